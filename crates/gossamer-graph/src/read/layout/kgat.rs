//! KGAT's folders: lists of items by user, and a graph whose first entities are the items.
//!
//! | file | what |
//! |---|---|
//! | `train.txt`, `test.txt` | a user and its items in a line |
//! | `kg_final.txt` | head, relation, tail |
//! | `user_list.txt`, `item_list.txt`, `entity_list.txt`, `relation_list.txt` | names of the numbers, if they are there |

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::id::Split;
use crate::read::numbers::{Behind, ListOrder, Numbered, Numbers};
use crate::read::source::{self, Source};
use crate::read::{ITEM, ReadOptions, USER};

/// Interactions by user, and facts about items.
#[derive(Debug)]
pub struct KgatFolder;

impl Layout for KgatFolder {
    fn name(&self) -> &'static str {
        "kgat"
    }
    fn summary(&self) -> &'static str {
        "KGAT's data sets: the items of each user, and facts whose first entities are the items"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: KGAT (KDD 2019)"
    }
    fn example(&self) -> &'static str {
        "train.txt, test.txt, kg_final.txt, item_list.txt"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let [train, facts] = ["train.txt", "kg_final.txt"].map(|name| find_file(folder, &[name]));
        let (Some(train), Some(facts)) = (train, facts) else { return Ok(None) };
        let held_out = [(Split::Valid, "valid.txt"), (Split::Test, "test.txt")];
        let held_out = held_out.map(|(split, name)| (split, find_file(folder, &[name])));
        let mut lists = vec![(Split::Train, train)];
        lists.extend(held_out.into_iter().filter_map(|(split, path)| Some((split, path?))));
        let n_items = numbers_below(lists.iter().map(|(_, path)| path), |place| place > 0)?;
        let n_entities = numbers_below([&facts].into_iter(), |place| place != 1)?;
        let find = |name: &str| find_file(folder, &[name]);
        let items = named(find("item_list.txt"), &format!("{ITEM}/"), n_items)?;
        let entities = named(find("entity_list.txt"), "", n_entities)?;
        let entities: Arc<dyn Behind> = Arc::new(items.then(&entities));
        let items: Arc<dyn Behind> = Arc::new(items);
        let users: Option<Arc<dyn Behind>> = match find("user_list.txt") {
            None => None,
            list => Some(Arc::new(named(list, &format!("{USER}/"), 0)?)),
        };
        let relations: Option<Arc<dyn Behind>> = match find("relation_list.txt") {
            None => None,
            list => Some(Arc::new(named(list, "", 0)?)),
        };
        let of_lists = Arc::new(Numbers { heads: users, tails: Some(items), relations: None });
        let (heads, tails) = (Some(Arc::clone(&entities)), Some(entities));
        let of_facts = Arc::new(Numbers { heads, tails, relations });
        let list = |(split, path)| {
            let (split, numbers) = (Some(split), Some(Arc::clone(&of_lists)));
            Source { path, split, format: Some("lists"), numbers, ..Source::default() }
        };
        let mut sources: Vec<Source> = lists.into_iter().map(list).collect();
        sources.push(Source {
            path: facts,
            split: Some(Split::Train),
            format: Some("spaces"),
            numbers: Some(of_facts),
            ..Source::default()
        });
        Ok(Some(sources))
    }
}

/// One more than the largest number at some places of the lines of files; what is no number is
/// for a reader to tell.
fn numbers_below<'a>(
    paths: impl Iterator<Item = &'a PathBuf>,
    counts: impl Fn(usize) -> bool,
) -> Result<usize, GraphError> {
    let mut most = 0;
    for path in paths {
        let options = ReadOptions { file: path.display().to_string(), ..ReadOptions::default() };
        for line in source::open(path)?.lines() {
            let line = line.map_err(|error| source::unreadable(&options, &error))?;
            for (place, word) in line.split_whitespace().enumerate() {
                let number = word.parse::<u32>().ok().filter(|_| counts(place));
                most = most.max(number.map_or(0, |number| number as usize + 1));
            }
        }
    }
    Ok(most)
}

/// The names in a list of name, number and more; without one, of so many numbers themselves.
fn named(list: Option<PathBuf>, prefix: &str, n: usize) -> Result<Numbered, GraphError> {
    match list {
        Some(path) => Ok(Numbered::read(&path, ListOrder::NameThenMore)?.under(prefix)),
        None => {
            let prefix = if prefix.is_empty() { "entity/" } else { prefix };
            Ok(Numbered::counted(prefix, n))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gossamer_machine::Silent;

    use super::*;
    use crate::import::{ImportRequest, import};
    use crate::snapshot::Snapshot;

    /// The facts of a folder with these files, split by split, in words.
    fn facts(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir_all(&data).unwrap();
        files.iter().for_each(|(name, text)| fs::write(data.join(name), text).unwrap());
        let request = ImportRequest { sources: vec![data], ..ImportRequest::default() };
        import(&request, &root.path().join("graph"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let name = |id: u32| graph.entities().name(id).unwrap();
        let mut found = Vec::new();
        for split in Split::ALL {
            for [head, relation, tail] in graph.triples(split).unwrap().iter() {
                let relation = graph.relations().name(relation).unwrap();
                found.push(format!("{} {} {relation} {}", split.name(), name(head), name(tail)));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn items_are_the_first_entities_and_lists_name_the_numbers() {
        let files = [
            ("train.txt", "0 0 1\n1 1\n2\n"),
            ("test.txt", "0 2\n"),
            ("kg_final.txt", "0 0 3\n1 1 3\n4 0 2\n"),
        ];
        assert_eq!(
            facts(&files),
            [
                "test user/0 interacts item/2",
                "train entity/4 0 item/2",
                "train item/0 0 entity/3",
                "train item/1 1 entity/3",
                "train user/0 interacts item/0",
                "train user/0 interacts item/1",
                "train user/1 interacts item/1",
            ]
        );
        let lists = [
            ("user_list.txt", "org_id remap_id\nann 0\nbob 1\nkim 2\n"),
            ("item_list.txt", "org_id remap_id freebase_id\nb1 0 m.0\nb2 1 m.1\nb3 2 m.2\n"),
            ("entity_list.txt", "org_id remap_id\nm.0 0\nm.1 1\nm.2 2\nm.3 3\nm.4 4\n"),
            ("relation_list.txt", "org_id remap_id\nby 0\nin 1\n"),
        ];
        let named = facts(&[&files[..], &lists[..]].concat());
        for wanted in
            ["test user/ann interacts item/b3", "train item/b2 in m.3", "train m.4 by item/b3"]
        {
            assert!(named.iter().any(|fact| fact == wanted), "{wanted}: {named:?}");
        }
    }
}
