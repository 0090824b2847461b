//! OpenHINE's folders: edges between nodes of several types, and classes of one type's.

use std::path::Path;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::read::source::Source;

/// Edges of several types, and classes.
#[derive(Debug)]
pub struct HinFolder;

impl Layout for HinFolder {
    fn name(&self) -> &'static str {
        "hin"
    }
    fn summary(&self) -> &'static str {
        "OpenHINE's graphs: nodes of several types, one of which has classes"
    }
    fn paper(&self) -> &'static str {
        "OpenHINE, its data sets (BUPT-GAMMA/OpenHINE)"
    }
    fn example(&self) -> &'static str {
        "edge.txt, label.txt"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let [edges, labels] = ["edge.txt", "label.txt"].map(|name| find_file(folder, &[name]));
        let (Some(edges), Some(labels)) = (edges, labels) else { return Ok(None) };
        let map = Some("head=1,relation=:class,value=2".to_string());
        Ok(Some(vec![
            Source { path: edges, format: Some("hin"), ..Source::default() },
            Source { path: labels, format: Some("tsv"), map, ..Source::default() },
        ]))
    }
}
