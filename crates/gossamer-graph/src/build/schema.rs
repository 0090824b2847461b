//! Schema: what an ontology says of relations. Types of their heads and tails, and inverses.
//!
//! *Invariant:* in a folder it stands beside the relations' names: `domain` and `range` are lists of
//! types, `inverse` is a list of relations; a statement about something else is counted.

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnWriter;

use super::growing::write_lists;
use super::vocab::Vocab;
use crate::read::{SchemaFact, SchemaKind};

/// Statements being collected, by name.
#[derive(Debug, Default)]
pub struct Schema {
    facts: Vec<(SchemaKind, String, String)>,
}

impl Schema {
    /// Takes a statement.
    pub fn push(&mut self, fact: &SchemaFact<'_>) {
        self.facts.push((fact.kind, fact.relation.to_string(), fact.object.to_string()));
    }

    /// Writes the lists of those kinds that were said. Returns how many statements speak of a
    /// relation that is not there.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(
        &self,
        writer: &mut ColumnWriter,
        relations: &Vocab,
        types: &mut Vocab,
    ) -> Result<u64, FileError> {
        let mut lists: [Vec<(u32, u32)>; 3] = [const { Vec::new() }; 3];
        let mut left = 0;
        for (kind, relation, object) in &self.facts {
            let relation = relations.find(relation);
            let object = match kind {
                SchemaKind::Inverse => relations.find(object),
                SchemaKind::Domain | SchemaKind::Range => {
                    relation.is_some().then(|| types.intern(object))
                }
            };
            let Some((relation, object)) = relation.zip(object) else {
                left += 1;
                continue;
            };
            let list = &mut lists[*kind as usize];
            list.push((relation, object));
            if *kind == SchemaKind::Inverse {
                list.push((object, relation));
            }
        }
        for (name, mut list) in ["domain", "range", "inverse"].into_iter().zip(lists) {
            if !list.is_empty() {
                list.sort_unstable();
                list.dedup();
                write_lists(writer, name, &list, relations.len())?;
            }
        }
        Ok(left)
    }
}
