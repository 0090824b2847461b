//! Things and entities: whatever has a name while a graph is being built, and which of it is in a
//! triple.
//!
//! A source may label or describe a thing long before, or without ever, putting it in a triple; only
//! what stands in a triple becomes an entity.
//!
//! *Invariant:* entities have ids in the order in which triples first name them.

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnWriter;

use crate::vocab::Vocab;

const NOT_IN_A_TRIPLE: u32 = u32::MAX;

/// Names, each with the id of its entity, if it has become one.
#[derive(Debug, Default)]
pub struct Things {
    names: Vocab,
    entity: Vec<u32>,
    /// The thing of each entity.
    thing: Vec<u32>,
}

impl Things {
    /// None.
    pub fn new() -> Self {
        Self { names: Vocab::new(), ..Self::default() }
    }

    /// The thing of a name, new or known.
    pub fn intern(&mut self, name: &str) -> u32 {
        let thing = self.names.intern(name);
        if thing as usize == self.entity.len() {
            self.entity.push(NOT_IN_A_TRIPLE);
        }
        thing
    }

    /// The entity of a name, which stands in a triple now.
    pub fn entity(&mut self, name: &str) -> u32 {
        let thing = self.intern(name);
        let slot = &mut self.entity[thing as usize];
        if *slot == NOT_IN_A_TRIPLE {
            *slot = self.thing.len() as u32;
            self.thing.push(thing);
        }
        *slot
    }

    /// The thing of an entity.
    pub fn thing_of(&self, entity: u32) -> u32 {
        self.thing[entity as usize]
    }

    /// The entity of a thing, if it stands in a triple.
    pub fn entity_of(&self, thing: u32) -> Option<u32> {
        self.entity.get(thing as usize).copied().filter(|id| *id != NOT_IN_A_TRIPLE)
    }

    /// The name of a thing.
    pub fn name(&self, thing: u32) -> &str {
        self.names.name(thing)
    }

    /// How many entities there are.
    pub fn n_entities(&self) -> usize {
        self.thing.len()
    }

    /// Writes the entities' names.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, writer: &mut ColumnWriter) -> Result<(), FileError> {
        self.names.write_some(writer, &self.thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_in_a_triple_is_an_entity() {
        let mut things = Things::new();
        let described = things.intern("described");
        assert_eq!((things.entity("b"), things.entity("a"), things.entity("b")), (0, 1, 0));
        assert_eq!((things.n_entities(), things.entity_of(described)), (2, None));
        assert_eq!(things.entity("described"), 2);
        assert_eq!((things.thing_of(2), things.entity_of(described)), (described, Some(2)));
    }
}
