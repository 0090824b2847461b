//! PyKEEN's folders: a saved triples factory, or a data set of three.

use std::path::Path;

use super::{Layout, numbered_sources};
use crate::error::GraphError;
use crate::id::Split;
use crate::read::numbers::ListOrder;
use crate::read::source::Source;

/// PyKEEN's folders.
#[derive(Debug)]
pub struct PyKeen;

impl Layout for PyKeen {
    fn name(&self) -> &'static str {
        "pykeen"
    }
    fn summary(&self) -> &'static str {
        "what PyKEEN saves: numeric triples with two lists, or training, validation and testing"
    }
    fn paper(&self) -> &'static str {
        "Ali et al.: PyKEEN 1.0 (JMLR 2021), TriplesFactory.to_path_binary"
    }
    fn example(&self) -> &'static str {
        "numeric_triples.tsv.gz, entity_to_id.tsv.gz, relation_to_id.tsv.gz"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let parts =
            [(Split::Train, "training"), (Split::Valid, "validation"), (Split::Test, "testing")];
        let mut all = Vec::new();
        for (split, part) in parts {
            let found = one(&folder.join(part))?.unwrap_or_default();
            all.extend(found.into_iter().map(|source| Source { split: Some(split), ..source }));
        }
        if all.is_empty() { one(folder) } else { Ok(Some(all)) }
    }
}

fn one(folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
    let lists = ["entity_to_id.tsv", "relation_to_id.tsv"];
    let splits = ["numeric_triples.tsv", "", ""];
    let pattern = Source { format: Some("tsv"), ..Source::default() };
    numbered_sources(folder, lists, ListOrder::NumberFirst, splits, &pattern)
}
