//! LibKGE's data folders: numbers, with lists that name them.

use std::path::Path;

use super::{Layout, numbered_sources};
use crate::error::GraphError;
use crate::read::numbers::ListOrder;
use crate::read::source::Source;

/// LibKGE's data folders: numbers, with lists that name them.
#[derive(Debug)]
pub struct LibKge;

impl Layout for LibKge {
    fn name(&self) -> &'static str {
        "libkge"
    }
    fn summary(&self) -> &'static str {
        "LibKGE's data sets: triples as numbers, tab-separated"
    }
    fn paper(&self) -> &'static str {
        "Broscheit et al.: LibKGE (EMNLP 2020)"
    }
    fn example(&self) -> &'static str {
        "train.del, entity_ids.del, relation_ids.del"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let lists = ["entity_ids.del", "relation_ids.del"];
        let splits = ["train.del", "valid.del", "test.del"];
        let pattern = Source { format: Some("tsv"), ..Source::default() };
        numbered_sources(folder, lists, ListOrder::NumberFirst, splits, &pattern)
    }
}
