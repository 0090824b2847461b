//! Names → ids, in memory while a graph is being built.
//!
//! On disk a text column NAME is two columns, `NAME.offsets` (u64, one more than rows) and
//! `NAME.bytes`; `name.order` holds the ids in the order of their names, so that a name is found by
//! binary search and no table of names is ever loaded ([`Names`](crate::names::Names)).
//!
//! *Invariant:* a bijection; ids are given in order of first appearance and never change.

use std::hash::BuildHasher;

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnWriter;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::growing::write_texts;

/// Names and their ids while a graph is being built.
#[derive(Debug, Default)]
pub struct Vocab {
    bytes: Vec<u8>,
    offsets: Vec<u64>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Vocab {
    /// No names.
    pub fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// True before the first name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it takes in memory, about.
    pub fn bytes(&self) -> u64 {
        // A place in the table and its tag, at the least load; vectors as they have grown.
        let table = self.table.capacity() * 2 * (size_of::<u32>() + 1);
        (self.bytes.capacity() + self.offsets.capacity() * size_of::<u64>() + table) as u64
    }

    /// The ids in the order of their names.
    pub fn order(&self) -> Vec<u32> {
        let name = |id: &u32| slice(&self.bytes, &self.offsets, *id);
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        order
    }

    /// The name of an id that was given.
    pub fn name(&self, id: u32) -> &str {
        let bytes = slice(&self.bytes, &self.offsets, id);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The id of a name, new or known.
    pub fn intern(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name.as_bytes());
        let Self { bytes, offsets, table, hasher } = self;
        if let Some(id) = table.find(hash, |id| slice(bytes, offsets, *id) == name.as_bytes()) {
            return *id;
        }
        let id = (offsets.len() - 1) as u32;
        bytes.extend_from_slice(name.as_bytes());
        offsets.push(bytes.len() as u64);
        table.insert_unique(hash, id, |id| hasher.hash_one(slice(bytes, offsets, *id)));
        id
    }

    /// The id of a known name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let same = |id: &u32| slice(&self.bytes, &self.offsets, *id) == name.as_bytes();
        self.table.find(hash, same).copied()
    }

    /// Writes `name` and `name.order`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, writer: &mut ColumnWriter) -> Result<(), FileError> {
        write_texts(writer, "name", (0..self.len() as u32).map(|id| self.name(id)))?;
        writer.column("name.order", &self.order())
    }
}

fn slice<'a>(bytes: &'a [u8], offsets: &[u64], id: u32) -> &'a [u8] {
    &bytes[offsets[id as usize] as usize..offsets[id as usize + 1] as usize]
}
