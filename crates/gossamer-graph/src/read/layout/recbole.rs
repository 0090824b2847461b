//! RecBole's folders: interactions, and perhaps a graph of facts whose entities are linked to items.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Layout;
use crate::error::GraphError;
use crate::id::Split;
use crate::read::links::Links;
use crate::read::numbers::{Behind, Numbers};
use crate::read::source::Source;

/// Interactions with what is known of users and items.
#[derive(Debug)]
pub struct RecBoleFolder;

/// The files with an ending, perhaps packed, by name.
fn ending(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
            path.is_file() && name.ends_with(wanted)
        })
        .collect();
    found.sort();
    found
}

/// The split that a file such as `x.valid.inter` is of.
fn split_of(path: &Path) -> Option<Split> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Split::ALL.into_iter().find(|split| name.contains(&format!(".{}.inter", split.name())))
}

impl Layout for RecBoleFolder {
    fn name(&self) -> &'static str {
        "recbole"
    }
    fn summary(&self) -> &'static str {
        "RecBole's data sets: interactions of users and items, split or not, and facts about items"
    }
    fn paper(&self) -> &'static str {
        "Zhao et al.: RecBole (CIKM 2021)"
    }
    fn example(&self) -> &'static str {
        "x.inter or x.train.inter, x.kg, x.link, x.user, x.item"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let interactions = ending(folder, ".inter");
        if interactions.is_empty() {
            return Ok(None);
        }
        let atomic = |path: PathBuf| Source { format: Some("recbole"), path, ..Source::default() };
        let mut sources: Vec<Source> = interactions
            .into_iter()
            .map(|path| Source { split: split_of(&path), ..atomic(path) })
            .collect();
        // Training comes first, so that its names have the first numbers.
        sources.sort_by_key(|source| source.split.unwrap_or(Split::Train) as usize);
        let links = ending(folder, ".link");
        let mut numbers = None;
        if let Some(path) = links.first() {
            let links: Arc<dyn Behind> = Arc::new(Links::read(path)?);
            let (heads, tails) = (Some(Arc::clone(&links)), Some(links));
            numbers = Some(Arc::new(Numbers { heads, tails, relations: None }));
        }
        sources.extend(links.into_iter().map(atomic));
        for path in ending(folder, ".kg") {
            let (numbers, split) = (numbers.clone(), Some(Split::Train));
            sources.push(Source { path, format: Some("tsv"), numbers, split, ..Source::default() });
        }
        for ending_of in [".user", ".item"] {
            sources.extend(ending(folder, ending_of).into_iter().map(atomic));
        }
        Ok(Some(sources))
    }
}
