//! OpenKE's benchmark folders: numbers, with lists that name them.

use std::path::Path;

use super::{Layout, numbered_sources};
use crate::error::GraphError;
use crate::read::numbers::ListOrder;
use crate::read::source::Source;

/// OpenKE's benchmark folders: numbers, with lists that name them.
#[derive(Debug)]
pub struct OpenKeFolder;

impl Layout for OpenKeFolder {
    fn name(&self) -> &'static str {
        "openke"
    }
    fn summary(&self) -> &'static str {
        "OpenKE's benchmarks: triples as numbers, head tail relation"
    }
    fn paper(&self) -> &'static str {
        "Han et al.: OpenKE (EMNLP 2018)"
    }
    fn example(&self) -> &'static str {
        "train2id.txt, entity2id.txt, relation2id.txt"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let lists = ["entity2id.txt", "relation2id.txt"];
        let splits = ["train2id.txt", "valid2id.txt", "test2id.txt"];
        let pattern = Source { format: Some("openke"), ..Source::default() };
        numbered_sources(folder, lists, ListOrder::NameFirst, splits, &pattern)
    }
}
