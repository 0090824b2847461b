//! Folders of numbers with tab-separated lists, as multi-hop query data has them.

use std::path::Path;

use super::{Layout, numbered_sources};
use crate::error::GraphError;
use crate::read::numbers::ListOrder;
use crate::read::source::Source;

/// Numbers and tab-separated lists.
#[derive(Debug)]
pub struct NumberedFolder;

impl Layout for NumberedFolder {
    fn name(&self) -> &'static str {
        "numbered"
    }
    fn summary(&self) -> &'static str {
        "triples as numbers beside lists of entities and relations, a number and a name a line"
    }
    fn paper(&self) -> &'static str {
        "Ren, Leskovec: BetaE (NeurIPS 2020), its data"
    }
    fn example(&self) -> &'static str {
        "train_id.tsv, entities.tsv, relations.tsv"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let lists = ["entities.tsv", "relations.tsv"];
        let splits = ["train_id.tsv", "valid_id.tsv", "test_id.tsv"];
        let pattern = Source { format: Some("tsv"), ..Source::default() };
        numbered_sources(folder, lists, ListOrder::NumberFirst, splits, &pattern)
    }
}
