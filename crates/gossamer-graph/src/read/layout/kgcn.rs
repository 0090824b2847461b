//! KGCN's raw folder of music: who listened to whom, and facts about the artists that are linked.
//!
//! As with KGCN, interactions with items that no link names are left out. *Not here:* its movies and
//! books, whose interactions are ratings above a threshold.

use std::path::Path;
use std::sync::Arc;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::id::Split;
use crate::read::links::Links;
use crate::read::numbers::{Behind, Numbers};
use crate::read::source::Source;

/// Interactions, links and facts.
#[derive(Debug)]
pub struct KgcnFolder;

impl Layout for KgcnFolder {
    fn name(&self) -> &'static str {
        "kgcn"
    }
    fn summary(&self) -> &'static str {
        "KGCN's music: users and artists, and facts about the artists that are linked"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: Knowledge Graph Convolutional Networks for Recommender Systems (WWW 2019)"
    }
    fn example(&self) -> &'static str {
        "user_artists.dat, item_index2entity_id.txt, kg.txt"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let names = ["user_artists.dat", "item_index2entity_id.txt", "kg.txt"];
        let [interactions, links, facts] = names.map(|name| find_file(folder, &[name]));
        let (Some(interactions), Some(links), Some(facts)) = (interactions, links, facts) else {
            return Ok(None);
        };
        let links = Links::read_plain(&links)?;
        let linked: Arc<dyn Behind> = Arc::new(links.linked());
        let links: Arc<dyn Behind> = Arc::new(links);
        let of = |heads, tails| Some(Arc::new(Numbers { heads, tails, relations: None }));
        let (split, format) = (Some(Split::Train), Some("tsv"));
        let map = Some("user=userID,item=artistID".to_string());
        let numbers = of(None, Some(linked));
        let interactions =
            Source { path: interactions, split, format, numbers, map, ..Source::default() };
        let numbers = of(Some(Arc::clone(&links)), Some(links));
        let facts = Source { path: facts, split, format, numbers, ..Source::default() };
        Ok(Some(vec![interactions, facts]))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gossamer_machine::Silent;

    use super::*;
    use crate::import::{ImportRequest, import};
    use crate::snapshot::Snapshot;

    #[test]
    fn what_is_not_linked_is_left_out_and_facts_are_about_items() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir_all(&data).unwrap();
        for (name, text) in [
            ("user_artists.dat", "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11\n3\t51\t7\n"),
            ("item_index2entity_id.txt", "51\t0\n60\t1\n"),
            ("kg.txt", "0\torigin\t9\r\n1\torigin\t9\r\n"),
        ] {
            fs::write(data.join(name), text).unwrap();
        }
        let request = ImportRequest { sources: vec![data], ..ImportRequest::default() };
        let report = import(&request, &root.path().join("graph"), &Silent).unwrap();
        assert_eq!((report.sources[0].read.rows, report.sources[0].read.left_out), (2, 1));
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        for name in ["user/2", "user/3", "item/51", "item/60", "9"] {
            assert!(graph.entities().find(name).unwrap().is_some(), "{name}");
        }
        assert_eq!(graph.n_triples(Split::Train).unwrap(), 4);
    }
}
