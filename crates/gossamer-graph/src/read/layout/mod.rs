//! Layouts: what the files of a folder are to each other.
//!
//! *Invariant:* a layout looks at the names of files alone; what is in them is for readers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::numbers::{Behind, ListOrder, Numbered, Numbers};
use super::source::Source;
use crate::error::GraphError;
use crate::id::Split;

gossamer_machine::registry!("layout", Layout:
    recbole::RecBoleFolder,
    kgat::KgatFolder,
    kgcn::KgcnFolder,
    ogb::Ogb,
    openke::OpenKeFolder,
    libkge::LibKge,
    pykeen::PyKeen,
    numbered::NumberedFolder,
    classes::Classes,
    hin::HinFolder,
    splits::Splits,
);

/// A way to lay out a folder.
pub trait Layout: Sync {
    /// Its name in help.
    fn name(&self) -> &'static str;
    /// What it holds, in a line.
    fn summary(&self) -> &'static str;
    /// Where it comes from.
    fn paper(&self) -> &'static str;
    /// Its files.
    fn example(&self) -> &'static str;
    /// The sources in a folder of this layout; none if it is of another.
    ///
    /// # Errors
    /// Those of reading lists of names.
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError>;
}

/// The sources in a folder of any layout.
///
/// # Errors
/// [`GraphError::Source`] when there is none that we know.
pub fn sources(folder: &Path) -> Result<Vec<Source>, GraphError> {
    for layout in ALL {
        if let Some(sources) = layout.sources(folder)? {
            return Ok(sources);
        }
    }
    let known: Vec<String> = ALL.iter().map(|layout| layout.example().to_string()).collect();
    Err(GraphError::Source {
        path: folder.to_path_buf(),
        what: "expected train.txt, or the files of another layout".into(),
        hint: format!("name the files themselves; known layouts: {}", known.join("; ")),
    })
}

const PACKINGS: [&str; 3] = ["", ".gz", ".zst"];

/// The first of these files that is there, perhaps packed.
pub fn find_file(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let packed = |name: &&str| PACKINGS.map(|packing| folder.join(format!("{name}{packing}")));
    names.iter().flat_map(packed).find(|path| path.is_file())
}

/// The sources of a folder whose triples are numbers: a list of entities, one of relations, and a
/// file for each split, the first of which must be there.
///
/// # Errors
/// Those of reading the lists.
pub fn numbered_sources(
    folder: &Path,
    lists: [&str; 2],
    order: ListOrder,
    splits: [&str; 3],
    pattern: &Source,
) -> Result<Option<Vec<Source>>, GraphError> {
    let [entities, relations] = lists.map(|name| find_file(folder, &[name]));
    let files = splits.map(|name| find_file(folder, &[name]));
    let (Some(entities), Some(relations), Some(_)) = (entities, relations, &files[0]) else {
        return Ok(None);
    };
    let entities: Option<Arc<dyn Behind>> = Some(Arc::new(Numbered::read(&entities, order)?));
    let relations: Option<Arc<dyn Behind>> = Some(Arc::new(Numbered::read(&relations, order)?));
    let numbers = Arc::new(Numbers { heads: entities.clone(), tails: entities, relations });
    let sources = Split::ALL.into_iter().zip(files).filter_map(|(split, path)| {
        let (path, split, numbers) = (path?, Some(split), Some(Arc::clone(&numbers)));
        Some(Source { path, split, numbers, ..pattern.clone() })
    });
    Ok(Some(sources.collect()))
}
