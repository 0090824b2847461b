//! RecBole's atomic files: interactions of users and items, and what is known of either.
//!
//! | columns | what |
//! |---|---|
//! | `user_id`, `item_id` | a triple of the relation `interacts`; `timestamp` is its start |
//! | `item_id`, `entity_id` | that the item is one; facts about the entity are about it |
//! | `user_id` or `item_id` alone | attributes; one called a title or a name is the label |
//!
//! Users are called `user/NAME` and items `item/NAME`, since the two and entities may have the same
//! names. Ratings are counted and not read: an interaction is one whatever its rating.

use std::io::BufRead;

use super::fields::{mistake, starts};
use super::lines::for_each_line;
use super::links::column;
use super::table_rows::TableRows;
use super::{Attribute, INTERACTS, ITEM, ReadOptions, ReadReport, Reader, Row, TripleSink, USER};
use crate::error::GraphError;

/// A header of `user_id:token` and the like, then rows.
#[derive(Debug)]
pub struct RecBole;

/// What the columns of a file are.
struct Columns {
    names: Vec<String>,
    user: Option<usize>,
    item: Option<usize>,
    entity: Option<usize>,
    timestamp: Option<usize>,
}

impl Columns {
    fn of(header: &[&str]) -> Option<Self> {
        let place = |wanted| column(header, wanted);
        let [user, item] = ["user_id", "item_id"].map(place);
        (user.is_some() || item.is_some()).then(|| Self {
            names: header
                .iter()
                .map(|cell| cell.split(':').next().unwrap_or_default().to_string())
                .collect(),
            user,
            item,
            entity: place("entity_id"),
            timestamp: place("timestamp"),
        })
    }

    /// Gives a row to the sink.
    fn take(&self, line: u64, cells: &[&str], rows: &mut TableRows<'_>) -> Result<(), GraphError> {
        let at = |place: usize| starts(cells).get(place).copied().unwrap_or(1);
        if cells.len() != self.names.len() {
            let (n, found) = (self.names.len(), cells.len());
            let what = format!("expected {n} columns ({}), found {found}", self.names.join(", "));
            rows.mistake(line, mistake(1, what, "columns are separated by tabs"));
            return Ok(());
        }
        for place in [self.user, self.item].into_iter().flatten() {
            if cells[place].is_empty() {
                let what = format!("{} is empty", self.names[place]);
                rows.mistake(line, mistake(at(place), what, "every user and item has a name"));
                return Ok(());
            }
        }
        let named = |kind: &str, place: Option<usize>| {
            place.map(|place| format!("{kind}/{}", cells[place]))
        };
        match (named(USER, self.user), named(ITEM, self.item)) {
            (Some(user), Some(item)) => {
                let from = match self.timestamp {
                    None => None,
                    Some(place) => match cells[place].parse::<f64>() {
                        Ok(seconds) if seconds.abs() < 1e15 => Some(seconds as i64),
                        _ => {
                            let what = format!("expected a time, found '{}'", cells[place]);
                            let hint = "a timestamp is the seconds since 1970";
                            rows.mistake(line, mistake(at(place), what, hint));
                            return Ok(());
                        }
                    },
                };
                let read = 2 + usize::from(self.timestamp.is_some());
                rows.report.unread += (cells.len() - read) as u64;
                let (head_type, tail_type) = (Some(USER), Some(ITEM));
                let (head, tail) = (user.as_str(), item.as_str());
                rows.put(&Row {
                    head,
                    relation: INTERACTS,
                    tail,
                    from,
                    head_type,
                    tail_type,
                    ..Row::default()
                })
            }
            (None, Some(item)) if self.entity.is_some() => rows.kind(&item, ITEM),
            (Some(subject), None) => self.attributes(USER, &subject, cells, rows),
            (None, Some(subject)) => self.attributes(ITEM, &subject, cells, rows),
            (None, None) => Ok(()),
        }
    }

    /// Gives what a row says of a user or an item.
    fn attributes(
        &self,
        kind: &str,
        subject: &str,
        cells: &[&str],
        rows: &mut TableRows<'_>,
    ) -> Result<(), GraphError> {
        rows.kind(subject, kind)?;
        for (place, (property, text)) in self.names.iter().zip(cells).enumerate() {
            if Some(place) == self.user || Some(place) == self.item || text.is_empty() {
                continue;
            }
            let is_label = ["title", "name"].iter().any(|word| property.ends_with(word));
            rows.attribute(&Attribute { subject, property, text, kind: "", is_label })?;
        }
        Ok(())
    }
}

impl Reader for RecBole {
    fn name(&self) -> &'static str {
        "recbole"
    }
    fn summary(&self) -> &'static str {
        "RecBole's atomic files .inter, .user, .item and .link, with a header such as user_id:token"
    }
    fn paper(&self) -> &'static str {
        "Zhao et al.: RecBole (CIKM 2021), its atomic files"
    }
    fn example(&self) -> &'static str {
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n\
         186\t302\t3\t891717742\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let header = start.lines().next().unwrap_or_default();
        header.contains(":token")
            && Columns::of(&header.trim_end().split('\t').collect::<Vec<_>>()).is_some()
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut rows = TableRows::new(options, sink);
        let mut columns: Option<Columns> = None;
        for_each_line(input, options, &mut rows, |number, text, rows| {
            let cells: Vec<&str> = text.split('\t').map(str::trim).collect();
            match &columns {
                Some(columns) => columns.take(number, &cells, rows),
                None => {
                    columns = Columns::of(&cells);
                    if columns.is_none() {
                        let hint = "the first line is a header such as user_id:token item_id:token";
                        let what = "there is no user_id or item_id";
                        rows.mistake(number, mistake(1, what, hint));
                    }
                    Ok(())
                }
            }
        })?;
        Ok(rows.report)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use gossamer_machine::Silent;

    use crate::error::GraphError;
    use crate::id::Split;
    use crate::import::{ImportReport, ImportRequest, import};
    use crate::snapshot::Snapshot;

    fn import_folder(root: &Path, files: &[(&str, &str)]) -> Result<ImportReport, GraphError> {
        let data = root.join("data");
        fs::create_dir_all(&data).unwrap();
        files.iter().for_each(|(name, text)| fs::write(data.join(name), text).unwrap());
        let request = ImportRequest { sources: vec![data], ..ImportRequest::default() };
        import(&request, &root.join("graph"), &Silent)
    }

    #[test]
    fn interactions_facts_and_attributes_become_one_graph() {
        let root = tempfile::tempdir().unwrap();
        let report = import_folder(
            root.path(),
            &[
                ("x.train.inter", "user_id:token\titem_id:token\trating:float\n1\t1\t5\n2\t1\t3\n"),
                ("x.test.inter", "user_id:token\titem_id:token\trating:float\n1\t2\t4\n"),
                ("x.kg", "head_id:token\trelation_id:token\ttail_id:token\n7\tby\t1\n9\tby\t1\n"),
                ("x.link", "item_id:token\tentity_id:token\n1\t7\n3\t9\n4\t8\n"),
                (
                    "x.item",
                    "item_id:token\tmovie_title:token_seq\tyear:token\n1\tToy Story\t1995\n",
                ),
            ],
        );
        let report = report.unwrap();
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let name = |id: u32| graph.entities().name(id).unwrap();
        let facts = |split| -> Vec<[String; 3]> {
            let of = |[head, relation, tail]: [u32; 3]| {
                [name(head), graph.relations().name(relation).unwrap(), name(tail)]
            };
            graph.triples(split).unwrap().iter().map(of).collect()
        };
        // The entity 1 of the facts is not the user 1 or the item 1.
        let train = [
            ["user/1", "interacts", "item/1"],
            ["item/1", "by", "1"],
            ["user/2", "interacts", "item/1"],
            ["item/3", "by", "1"],
        ];
        let mut found = facts(Split::Train);
        found.sort();
        let mut wanted = train.map(|fact| fact.map(String::from));
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(facts(Split::Test), [["user/1", "interacts", "item/2"].map(String::from)]);
        let types = graph.types().unwrap().unwrap();
        let kind = |name: &str| {
            let id = graph.entities().find(name).unwrap().unwrap();
            types.of(id).iter().map(|kind| types.names.name(*kind).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!([kind("user/1"), kind("item/3"), kind("1")].concat(), ["user", "item"]);
        let mut items = Vec::new();
        graph.for_each_of_type("item", |id| items.push(graph.entities().name(id))).unwrap();
        let mut items: Vec<String> = items.into_iter().map(Result::unwrap).collect();
        items.sort();
        assert_eq!(items, ["item/1", "item/2", "item/3"]);
        graph.for_each_of_type("shop", |id| panic!("{id}")).unwrap();
        let toy = graph.entities().find("item/1").unwrap().unwrap();
        assert_eq!(graph.entities().shown(toy).unwrap(), "Toy Story (item/1)");
        assert_eq!(report.sources[0].read.unread, 2);
        assert_eq!(report.dangling, ["item/2", "item/4"]);
    }

    #[test]
    fn mistakes_have_their_place() {
        let said = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            import_folder(root.path(), &[("x.inter", text)]).unwrap_err().to_string()
        };
        let header = "user_id:token\titem_id:token\ttimestamp:float\n";
        let found = said(&format!("{header}1\t2\t881250949\n1\t\t5\n"));
        assert!(found.contains("x.inter:3:3: item_id is empty"), "{found}");
        let found = said(&format!("{header}1\t2\tnoon\n"));
        assert!(found.contains("x.inter:2:5: expected a time, found 'noon'"), "{found}");
        let found = said(&format!("{header}1\t2\n"));
        assert!(found.contains("expected 3 columns (user_id, item_id, timestamp)"), "{found}");
        assert!(said("user\titem\n1\t2\n").contains("there is no user_id or item_id"));
    }
}
