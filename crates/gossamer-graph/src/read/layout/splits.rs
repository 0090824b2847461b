//! The literature's folders: a file of names for each split.

use std::path::Path;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::id::Split;
use crate::read::source::{Source, names_of};

/// A file for each split.
#[derive(Debug)]
pub struct Splits;

const ENDINGS: &[&str] = &["txt", "tsv", "csv", "nt", "nq", "ttl", "trig", "rdf", "kgtk", "kg"];

impl Layout for Splits {
    fn name(&self) -> &'static str {
        "splits"
    }
    fn summary(&self) -> &'static str {
        "a file of any format for train, and for valid and test if there are any"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al. (NeurIPS 2013), the folders of its data"
    }
    fn example(&self) -> &'static str {
        "train.txt, valid.txt, test.txt"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let mut sources = Vec::new();
        for split in Split::ALL {
            let ended = |name: &&str| ENDINGS.iter().map(|end| format!("{name}.{end}")).collect();
            let names: Vec<String> = names_of(split).iter().flat_map::<Vec<_>, _>(ended).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some(path) = find_file(folder, &names) {
                sources.push(Source { path, split: Some(split), ..Source::default() });
            }
        }
        let has_train = sources.first().is_some_and(|source| source.split == Some(Split::Train));
        Ok(has_train.then_some(sources))
    }
}
