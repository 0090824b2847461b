//! Links: things that two sources call by different names.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use super::fields::{mistake, starts};
use super::numbers::Behind;
use super::{ITEM, ReadOptions, source};
use crate::error::{GraphError, Mistake};

/// Items by the entity that a source of facts calls them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    items: HashMap<String, String>,
}

impl Behind for Links {
    /// The item that is meant; what is linked to none keeps its name.
    fn name<'a>(&'a self, written: &'a str) -> Result<&'a str, String> {
        Ok(self.items.get(written).map_or(written, String::as_str))
    }
}

/// The items that some links know, by themselves; rows of others are left out.
#[derive(Debug)]
pub struct Linked(HashMap<String, String>);

impl Behind for Linked {
    fn name<'a>(&'a self, written: &'a str) -> Result<&'a str, String> {
        Ok(self.0.get(written).map_or("", String::as_str))
    }
}

impl Links {
    /// The items, in no order.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.items.values().map(String::as_str)
    }

    /// Those items, as rows of interactions call them.
    pub fn linked(&self) -> Linked {
        let plain = |name: &String| name[ITEM.len() + 1..].to_string();
        Linked(self.items.values().map(|name| (plain(name), name.clone())).collect())
    }

    /// Reads a table with a header of `item_id` and `entity_id`.
    ///
    /// # Errors
    /// [`GraphError::Mistakes`] with the first line that is not understood.
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        Self::read_table(path, None)
    }

    /// Reads a table without a header, an item and its entity in a line.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_plain(path: &Path) -> Result<Self, GraphError> {
        Self::read_table(path, Some([0, 1]))
    }

    fn read_table(path: &Path, mut places: Option<[usize; 2]>) -> Result<Self, GraphError> {
        let file = path.display().to_string();
        let options = ReadOptions { file: file.clone(), ..ReadOptions::default() };
        let wrong = |line: u64, found: Mistake| {
            let mistakes = vec![Mistake { file: file.clone(), line, ..found }];
            GraphError::Mistakes { mistakes, total: 1 }
        };
        let mut links = Self::default();
        for (line, text) in (1..).zip(source::open(path)?.lines()) {
            let text = text.map_err(|error| source::unreadable(&options, &error))?;
            let cells: Vec<&str> = text.trim_end_matches('\r').split('\t').map(str::trim).collect();
            if cells == [""] {
                continue;
            }
            let Some([of_item, of_entity]) = places else {
                let hint = "the first line is item_id:token and entity_id:token";
                let found = ["item_id", "entity_id"].map(|wanted| column(&cells, wanted));
                let [Some(item), Some(entity)] = found else {
                    return Err(wrong(line, mistake(1, "expected item_id and entity_id", hint)));
                };
                places = Some([item, entity]);
                continue;
            };
            let (Some(item), Some(entity)) = (cells.get(of_item), cells.get(of_entity)) else {
                let what = format!("expected an item and an entity, found {} columns", cells.len());
                return Err(wrong(line, mistake(1, what, "columns are separated by tabs")));
            };
            let name = format!("{ITEM}/{item}");
            if let Some(other) = links.items.insert((*entity).to_string(), name) {
                let at = starts(&cells)[of_entity];
                let what = format!("'{entity}' is already linked to {other}");
                return Err(wrong(line, mistake(at, what, "an entity is one item")));
            }
        }
        Ok(links)
    }
}

/// True for a file of links, by its name.
pub fn is_links(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.trim_end_matches(".gz").trim_end_matches(".zst").ends_with(".link")
}

/// The place of a column in a header such as `item_id:token`.
pub fn column(header: &[&str], wanted: &str) -> Option<usize> {
    header.iter().position(|cell| cell.split(':').next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_read_and_mistakes_are_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.link");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Links::read(&path)
        };
        let links = read("entity_id:token\titem_id:token\r\nm.1\t7\r\n").unwrap();
        assert_eq!((links.name("m.1"), links.name("m.2")), (Ok("item/7"), Ok("m.2")));
        let said = read("item_id:token\tentity_id:token\n7\tm.1\n8\tm.1\n").unwrap_err();
        assert!(said.to_string().contains("x.link:3:3: 'm.1' is already linked to item/7"));
        let said = read("item_id:token\tentity_id:token\n7\n").unwrap_err().to_string();
        assert!(said.contains("x.link:2:1: expected an item and an entity"), "{said}");
        assert!(read("item\tentity\n").unwrap_err().to_string().contains("x.link:1:1"));
    }
}
