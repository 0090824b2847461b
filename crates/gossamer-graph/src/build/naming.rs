//! Naming: which things of all generations are the same, and which of them are entities.
//!
//! The sorted generations are merged by name. Of things with one name the first stands for all;
//! where any of them is in a triple it is an entity, and its id is its place among these.
//!
//! *Invariant:* ids go by the first appearance of names, however many generations there were.
//! Memory is a bit for each thing, four bytes for each of one generation, and buffers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use gossamer_machine::FileError;
use gossamer_machine::column::{ColumnWriter, Kind};

use super::growing::TextColumn;
use super::sorter::{Sorter, read_u32, write_u32};
use super::things::{Generation, NAMES_BYTES, Namesake};
use super::vocab::Vocab;
use crate::members::Members;
use crate::room::Room;

/// A text that goes by a key.
type Text = (u32, Box<str>);

/// Entities among things.
pub struct Naming {
    folder: PathBuf,
    /// The first thing of each generation, and the number of all.
    firsts: Vec<u32>,
    /// The things that stand for an entity.
    entities: Members,
    /// The relations among things, by the one that stands for all of the name.
    relations: HashMap<u32, u32>,
    /// Names of entities, by thing.
    names: Sorter<Text>,
}

impl Naming {
    /// Merges generations, whose first things are `firsts`, with the number of all at the end.
    pub(crate) fn new(
        folder: &Path,
        firsts: Vec<u32>,
        generations: Vec<Generation>,
        (relations, room): (&Vocab, Room),
    ) -> Result<Self, FileError> {
        let mut naming = Self {
            folder: folder.to_path_buf(),
            entities: Members::none(firsts.last().copied().unwrap_or(0) as usize),
            firsts,
            relations: HashMap::new(),
            names: Sorter::new(folder, "entities", room.sorting()),
        };
        let mut order = naming.create(&naming.order_path())?;
        // Of one generation each thing stands for itself.
        let several = 0..if generations.len() == 1 { 0 } else { generations.len() };
        let same = several.map(|number| naming.create(&naming.same_path(number)));
        let mut same: Vec<BufWriter<File>> = same.collect::<Result<_, _>>()?;
        let mut merge = Merge::new(generations)?;
        while let Some(Same { name, things, in_triple }) = merge.next()? {
            let standing = things[0].0;
            for (thing, number) in things {
                let Some(file) = same.get_mut(number) else { continue };
                write_u32(file, thing)
                    .and_then(|()| write_u32(file, standing))
                    .map_err(FileError::io("write", &naming.same_path(number)))?;
            }
            if let Some(relation) = relations.find(&name) {
                naming.relations.insert(standing, relation);
            }
            if in_triple {
                write_u32(&mut order, standing)
                    .map_err(FileError::io("write", &naming.order_path()))?;
                naming.entities.add(standing);
                naming.names.push(u128::from(standing), Some((0, name)))?;
            }
        }
        for file in same.iter_mut().chain([&mut order]) {
            file.flush().map_err(FileError::io("write", &naming.folder))?;
        }
        naming.entities.count();
        Ok(naming)
    }

    fn create(&self, path: &Path) -> Result<BufWriter<File>, FileError> {
        let file = File::create(path).map_err(FileError::io("create", path))?;
        Ok(BufWriter::with_capacity(NAMES_BYTES, file))
    }

    /// Entities in the order of their names.
    fn order_path(&self) -> PathBuf {
        self.folder.join(".order")
    }

    /// Things of a generation, each with the one that stands for it.
    fn same_path(&self, generation: usize) -> PathBuf {
        self.folder.join(format!(".same-{generation}"))
    }

    /// How many entities there are.
    pub fn n_entities(&self) -> usize {
        self.entities.len()
    }

    /// True if a name may have several things, so that entities are not in the order of things.
    pub fn merged(&self) -> bool {
        self.firsts.len() > 2
    }

    /// True if every thing is an entity.
    pub fn whole(&self) -> bool {
        self.firsts.last() == Some(&(self.entities.len() as u32))
    }

    /// Writes the entities' names, `name` and `name.order`.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn write(&mut self, writer: &mut ColumnWriter) -> Result<(), FileError> {
        let (mut column, mut row) = (TextColumn::new(writer, "name")?, 0);
        self.names.for_each(|_, text| {
            let (_, text) = text.unwrap_or_default();
            row += 1;
            column.push_once(writer, row - 1, &text)
        })?;
        column.finish(writer, row)?;
        let order = writer.declare("name.order", Kind::U32, 1);
        let path = self.order_path();
        let failed = |error| FileError::io("read", &path)(error);
        let mut file = BufReader::new(File::open(&path).map_err(failed)?);
        for _ in 0..self.n_entities() {
            let thing = read_u32(&mut file).map_err(failed)?;
            writer.push(order, &[self.entities.rank(thing)])?;
        }
        Ok(())
    }

    /// Looks things up, best in the order of their generations.
    pub fn lookup(&self) -> Lookup<'_> {
        Lookup { naming: self, generation: None, same: Vec::new() }
    }
}

impl Drop for Naming {
    fn drop(&mut self) {
        // What stays behind stands in a draft, which is swept with it.
        let _ = fs::remove_file(self.order_path());
        (0..self.firsts.len()).for_each(|number| drop(fs::remove_file(self.same_path(number))));
    }
}

/// Things of one name.
struct Same {
    name: Box<str>,
    /// Each with its generation, the first to come first.
    things: Vec<(u32, usize)>,
    /// True if any of them is in a triple.
    in_triple: bool,
}

/// Generations, merged by name.
struct Merge {
    generations: Vec<Generation>,
    /// The next thing of each.
    heap: BinaryHeap<Reverse<(Namesake, usize)>>,
}

impl Merge {
    fn new(generations: Vec<Generation>) -> Result<Self, FileError> {
        let mut merge = Self { generations, heap: BinaryHeap::new() };
        (0..merge.generations.len()).try_for_each(|number| merge.read(number))?;
        Ok(merge)
    }

    fn read(&mut self, number: usize) -> Result<(), FileError> {
        let next = self.generations[number].read()?;
        self.heap.extend(next.map(|next| Reverse((next, number))));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Same>, FileError> {
        let Some(Reverse((Namesake { name, thing, in_triple }, number))) = self.heap.pop() else {
            return Ok(None);
        };
        self.read(number)?;
        let mut same = Same { name, things: vec![(thing, number)], in_triple };
        while self.heap.peek().is_some_and(|Reverse((next, _))| next.name == same.name)
            && let Some(Reverse((next, number))) = self.heap.pop()
        {
            same.things.push((next.thing, number));
            same.in_triple |= next.in_triple;
            self.read(number)?;
        }
        Ok(Some(same))
    }
}

/// Finds what things are, with those of one generation in memory.
pub struct Lookup<'a> {
    naming: &'a Naming,
    generation: Option<usize>,
    same: Vec<u32>,
}

impl Lookup<'_> {
    /// The thing that stands for all with this one's name.
    fn standing(&mut self, thing: u32) -> Result<u32, FileError> {
        let naming = self.naming;
        if !naming.merged() {
            return Ok(thing);
        }
        let generation = naming.firsts.partition_point(|first| *first <= thing) - 1;
        let first = naming.firsts[generation];
        if self.generation != Some(generation) {
            let n = naming.firsts[generation + 1] - first;
            let path = naming.same_path(generation);
            let failed = |error| FileError::io("read", &path)(error);
            let mut file = BufReader::with_capacity(1 << 18, File::open(&path).map_err(failed)?);
            self.same.clear();
            self.same.resize(n as usize, 0);
            for _ in 0..n {
                let own = read_u32(&mut file).map_err(failed)?;
                self.same[(own - first) as usize] = read_u32(&mut file).map_err(failed)?;
            }
            self.generation = Some(generation);
        }
        Ok(self.same[(thing - first) as usize])
    }

    /// The entity of a thing, if its name stands in a triple.
    ///
    /// # Errors
    /// Those of reading.
    pub fn entity(&mut self, thing: u32) -> Result<Option<u32>, FileError> {
        let standing = self.standing(thing)?;
        let entities = &self.naming.entities;
        Ok(entities.has(standing).then(|| entities.rank(standing)))
    }

    /// The relation of the same name, if there is one.
    ///
    /// # Errors
    /// Those of reading.
    pub fn relation(&mut self, thing: u32) -> Result<Option<u32>, FileError> {
        let standing = self.standing(thing)?;
        Ok(self.naming.relations.get(&standing).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::things::Things;
    use crate::names::Names;
    use gossamer_machine::column::ColumnFile;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_room_gives_the_same_entities(
            words in prop::collection::vec(("[a-e]{1,2}", any::<bool>()), 1..60),
            names in 1u64..400,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut relations = Vocab::new();
            relations.intern("b");
            let mut things = Things::new(folder.path(), Room::tiny(3 * names));
            let mut numbers = Vec::new();
            for (word, in_triple) in &words {
                things.settle().unwrap();
                let number = if *in_triple { things.in_triple(word) } else { things.intern(word) };
                numbers.push(number);
            }
            let mut naming = things.named(&relations).unwrap();
            let mut firsts: Vec<&str> = Vec::new();
            let in_triple = |word: &str| words.iter().any(|(other, yes)| other == word && *yes);
            for (word, _) in &words {
                if in_triple(word) && !firsts.contains(&word.as_str()) {
                    firsts.push(word);
                }
            }
            prop_assert_eq!(naming.n_entities(), firsts.len());
            let mut lookup = naming.lookup();
            for ((word, _), number) in words.iter().zip(numbers) {
                let expected = firsts.iter().position(|other| other == word);
                let found = lookup.entity(number).unwrap().map(|id| id as usize);
                prop_assert_eq!(found, expected);
                prop_assert_eq!(lookup.relation(number).unwrap().is_some(), word == "b");
            }
            let path = folder.path().join("entities.gcol");
            let mut writer = ColumnWriter::create(&path).unwrap();
            naming.write(&mut writer).unwrap();
            writer.finish().unwrap();
            drop(naming);
            let names = Names::open(ColumnFile::open(&path).unwrap()).unwrap();
            for (id, word) in (0..).zip(&firsts) {
                prop_assert_eq!(&names.name(id).unwrap(), word);
                prop_assert_eq!(names.find(word).unwrap(), Some(id));
            }
            drop(names);
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
