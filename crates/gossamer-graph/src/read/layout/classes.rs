//! Folders for classifying entities: edges, and beside them classes, features and a split.
//!
//! | file | columns | becomes |
//! |---|---|---|
//! | `edges.tsv` | entity, entity | triples of the relation `edge` |
//! | `labels.tsv` | entity, class | attribute `class` |
//! | `features.tsv` | entity, feature, number | attributes named by the features |
//! | `split.tsv` | entity, train, valid or test | attribute `split` |

use std::path::Path;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::read::source::Source;

/// Edges, classes, features and a split of entities.
#[derive(Debug)]
pub struct Classes;

/// Each file with what its columns are.
const FILES: [(&str, &str); 4] = [
    ("edges.tsv", "head=1,relation=:edge,tail=2"),
    ("labels.tsv", "head=1,relation=:class,value=2"),
    ("features.tsv", "head=1,relation=2,value=3"),
    ("split.tsv", "head=1,relation=:split,value=2"),
];

impl Layout for Classes {
    fn name(&self) -> &'static str {
        "classes"
    }
    fn summary(&self) -> &'static str {
        "edges of entities that have classes, and features and a split if there are any"
    }
    fn paper(&self) -> &'static str {
        "Yang, Cohen, Salakhutdinov: Revisiting Semi-Supervised Learning with Graph Embeddings \
         (ICML 2016), whose data it holds"
    }
    fn example(&self) -> &'static str {
        "edges.tsv, labels.tsv, features.tsv, split.tsv"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let found = FILES.map(|(name, map)| (find_file(folder, &[name]), map));
        if found[..2].iter().any(|(path, _)| path.is_none()) {
            return Ok(None);
        }
        let source = |(path, map): (Option<_>, &str)| {
            let (format, map) = (Some("tsv"), Some(map.to_string()));
            Some(Source { path: path?, format, map, ..Source::default() })
        };
        Ok(Some(found.into_iter().filter_map(source).collect()))
    }
}
