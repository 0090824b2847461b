//! Snapshots: an immutable version of a graph, as a folder.
//!
//! | file | columns |
//! |---|---|
//! | `entities.gcol` | `name` (text), `name.order`, `label` and `label@LANG` (text), `type` (list) |
//! | `relations.gcol` | `name`, `name.order`, `label` …; `domain`, `range` (lists of types), `inverse` (list of relations) |
//! | `types.gcol`, `graphs.gcol` | `name`, `name.order` of types and named graphs |
//! | `attributes.gcol` | `entity`, `property`, `kind` (u32), `value` (text), in the order of the sources |
//! | `properties.gcol`, `kinds.gcol` | `name`, `name.order` of properties; of datatypes (IRIs) and languages (`@en`) |
//! | `train.gcol`, `valid.gcol`, `test.gcol` | `head`, `relation`, `tail` (u32, sorted), `weight` (f32), `from`, `until` (i64 seconds, least where absent), `graph.offsets`, `graph.values` |
//!
//! A text column KEY is `KEY.offsets` (u64) and `KEY.bytes`, a list `KEY.offsets` and `KEY.values`. Only names and triples are always
//! there; readers pass over columns they do not know.
//!
//! *Invariant:* a snapshot never changes; opening one reads headers and indexes only.

use std::path::Path;

use gossamer_machine::FileError;
use gossamer_machine::folder::Folder;

use crate::id::Split;
use crate::names::Names;
use crate::stored::{SplitTriples, StoredTriples};
use crate::triples::Triples;

/// Stands for "no time given" in `from` and `until`.
pub const NO_TIME: i64 = i64::MIN;
/// The kind of folder.
pub const KIND: &str = "graph";

/// Rows read at a time.
const WINDOW: u64 = 1 << 16;

/// A triple as it is stored, with what was said beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredRow<'a> {
    /// Head, relation, tail.
    pub triple: [u32; 3],
    /// Its weight, where the split has weights.
    pub weight: Option<f32>,
    /// Start and end of validity, or [`NO_TIME`].
    pub validity: [i64; 2],
    /// Its named graphs.
    pub graphs: &'a [u32],
}

/// The types of the entities of a graph.
#[derive(Debug)]
pub struct Types {
    /// The names of the types.
    pub names: Names,
    offsets: Vec<u64>,
    values: Vec<u32>,
}

impl Types {
    /// The types of an entity, ascending.
    pub fn of(&self, entity: u32) -> &[u32] {
        let end = |row: u32| self.offsets.get(row as usize).map_or(0, |offset| *offset as usize);
        self.values.get(end(entity)..end(entity + 1)).unwrap_or(&[])
    }
}

/// An open graph.
#[derive(Debug)]
pub struct Snapshot {
    folder: Folder,
    entities: Names,
    relations: Names,
}

impl Snapshot {
    /// Opens a graph folder.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::of(Folder::open(KIND, path)?)
    }

    /// The graph in a folder of any kind that holds a graph's files.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn of(folder: Folder) -> Result<Self, FileError> {
        let entities = Names::open(folder.columns("entities.gcol")?)?;
        let relations = Names::open(folder.columns("relations.gcol")?)?;
        Ok(Self { folder, entities, relations })
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Entities.
    pub fn entities(&self) -> &Names {
        &self.entities
    }

    /// Relations.
    pub fn relations(&self) -> &Names {
        &self.relations
    }

    /// The files that hold the graph.
    pub fn files(&self) -> Vec<String> {
        self.folder.files().filter(|name| name.ends_with(".gcol")).map(String::from).collect()
    }

    /// How many triples a split has, without reading them.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn n_triples(&self, split: Split) -> Result<u64, FileError> {
        let name = format!("{}.gcol", split.name());
        if !self.folder.has(&name) {
            return Ok(0);
        }
        Ok(self.folder.columns(&name)?.n_values("head"))
    }

    /// True if the split's triples have weights.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn weighted(&self, split: Split) -> Result<bool, FileError> {
        let name = format!("{}.gcol", split.name());
        Ok(self.folder.has(&name) && self.folder.columns(&name)?.find("weight").is_some())
    }

    /// The triples of a split; none if the graph has no such split.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn triples(&self, split: Split) -> Result<Triples, FileError> {
        let name = format!("{}.gcol", split.name());
        if !self.folder.has(&name) {
            return Ok(Triples::default());
        }
        Triples::read(&self.folder.columns(&name)?, self.entities.len(), self.relations.len())
    }

    /// The triples of a split, left on disk; none if the graph has no such split.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn stored(&self, split: Split) -> Result<Option<StoredTriples>, FileError> {
        let name = format!("{}.gcol", split.name());
        if !self.folder.has(&name) {
            return Ok(None);
        }
        let sizes = [self.entities.len(), self.relations.len()];
        Ok(Some(StoredTriples::new(self.folder.columns(&name)?, sizes)))
    }

    /// The triples of a split, in memory or on disk; none if the graph has no such split.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn held(&self, split: Split, here: bool) -> Result<SplitTriples, FileError> {
        let stored = if here { None } else { self.stored(split)? };
        match stored {
            Some(stored) => Ok(SplitTriples::Stored(stored)),
            None => self.triples(split).map(SplitTriples::Here),
        }
    }

    /// Calls `visit` with every triple of a split in order, some thousand at a time in memory.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] also when an id has no name.
    pub fn for_each_triple(
        &self,
        split: Split,
        mut visit: impl FnMut([u32; 3]),
    ) -> Result<(), FileError> {
        self.for_each_row(split, |row| {
            visit(row.triple);
            Ok(())
        })
    }

    /// Names of another kind of thing, where the graph has such.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn names_of(&self, file: &str) -> Result<Option<Names>, FileError> {
        if !self.folder.has(file) {
            return Ok(None);
        }
        Names::open(self.folder.columns(file)?).map(Some)
    }

    /// Calls `visit` with every triple of a split and what was said beside it, in order, some
    /// thousand at a time in memory.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] also when an id has no name, and those of `visit`.
    pub fn for_each_row<E: From<FileError>>(
        &self,
        split: Split,
        mut visit: impl FnMut(&StoredRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = format!("{}.gcol", split.name());
        if !self.folder.has(&name) {
            return Ok(());
        }
        let file = self.folder.columns(&name)?;
        let n = file.n_values("head");
        let n_graphs = self.names_of("graphs.gcol")?.map_or(0, |names| names.len());
        let mut ids = [const { Vec::<u32>::new() }; 3];
        let (mut weights, mut times) = (Vec::<f32>::new(), [const { Vec::<i64>::new() }; 2]);
        let (mut offsets, mut graphs) = (Vec::<u64>::new(), Vec::<u32>::new());
        for start in (0..n).step_by(WINDOW as usize) {
            let range = start..(start + WINDOW).min(n);
            for (ids, column) in ids.iter_mut().zip(["head", "relation", "tail"]) {
                file.read(column, range.clone(), ids)?;
            }
            if file.find("weight").is_some() {
                file.read("weight", range.clone(), &mut weights)?;
            }
            for (times, column) in times.iter_mut().zip(["from", "until"]) {
                if file.find(column).is_some() {
                    file.read(column, range.clone(), times)?;
                }
            }
            if file.find("graph.offsets").is_some() {
                file.read("graph.offsets", range.start..range.end + 1, &mut offsets)?;
                let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
                file.read("graph.values", first..last.max(first), &mut graphs)?;
            }
            for row in 0..ids[0].len() {
                let triple = [ids[0][row], ids[1][row], ids[2][row]];
                let graphs = offsets.get(row..row + 2).map_or(Some(&[][..]), |ends| {
                    let at = |end: u64| end.checked_sub(offsets[0]).map(|end| end as usize);
                    graphs.get(at(ends[0])?..at(ends[1])?)
                });
                let graphs = graphs.filter(|ids| ids.iter().all(|id| (*id as usize) < n_graphs));
                let named = self.has_names(triple);
                let Some(graphs) = graphs.filter(|_| named) else {
                    return Err(FileError::corrupt(file.path(), start, "an id has no name").into());
                };
                let time = |times: &Vec<i64>| times.get(row).copied().unwrap_or(NO_TIME);
                visit(&StoredRow {
                    triple,
                    weight: weights.get(row).copied(),
                    validity: [time(&times[0]), time(&times[1])],
                    graphs,
                })?;
            }
        }
        Ok(())
    }

    fn has_names(&self, [head, relation, tail]: [u32; 3]) -> bool {
        (head.max(tail) as usize) < self.entities.len()
            && (relation as usize) < self.relations.len()
    }

    /// Calls `visit` with the entity, property and kind of every attribute, and its text.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] also when an id has no name, and those of `visit`.
    pub fn for_each_attribute<E: From<FileError>>(
        &self,
        mut visit: impl FnMut([u32; 3], &str) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.folder.has("attributes.gcol") {
            return Ok(());
        }
        let file = self.folder.columns("attributes.gcol")?;
        let limits = [
            self.entities.len(),
            self.names_of("properties.gcol")?.map_or(0, |names| names.len()),
            self.names_of("kinds.gcol")?.map_or(0, |names| names.len()),
        ];
        let n = file.n_values("entity");
        let mut ids = [const { Vec::<u32>::new() }; 3];
        let (mut offsets, mut bytes) = (Vec::<u64>::new(), Vec::<u8>::new());
        for start in (0..n).step_by(WINDOW as usize) {
            let range = start..(start + WINDOW).min(n);
            for (ids, column) in ids.iter_mut().zip(["entity", "property", "kind"]) {
                file.read(column, range.clone(), ids)?;
            }
            file.read("value.offsets", range.start..range.end + 1, &mut offsets)?;
            let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
            file.read("value.bytes", first..last.max(first), &mut bytes)?;
            for row in 0..ids[0].len() {
                let ids = [ids[0][row], ids[1][row], ids[2][row]];
                let at = |end: u64| end.checked_sub(first).map(|end| end as usize);
                let text = at(offsets[row]).zip(at(offsets[row + 1]));
                let text = text.and_then(|(start, end)| bytes.get(start..end));
                let text = text.and_then(|text| std::str::from_utf8(text).ok());
                let named = ids.iter().zip(limits).all(|(id, limit)| (*id as usize) < limit);
                let Some(text) = text.filter(|_| named) else {
                    let what = "an attribute does not fit";
                    return Err(FileError::corrupt(file.path(), start, what).into());
                };
                visit(ids, text)?;
            }
        }
        Ok(())
    }

    /// Calls `visit` with every entity of a type in order, some thousand at a time in memory.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn for_each_of_type(
        &self,
        name: &str,
        mut visit: impl FnMut(u32),
    ) -> Result<(), FileError> {
        let file = self.entities.file();
        let Some(names) = self.names_of("types.gcol")? else { return Ok(()) };
        let Some(wanted) = names.find(name)?.filter(|_| file.find("type.offsets").is_some()) else {
            return Ok(());
        };
        let n = self.entities.len() as u64;
        let (mut ends, mut types) = (Vec::<u64>::new(), Vec::<u32>::new());
        for start in (0..n).step_by(WINDOW as usize) {
            file.read("type.offsets", start..(start + WINDOW).min(n) + 1, &mut ends)?;
            let (first, last) = (ends[0], ends[ends.len() - 1]);
            file.read("type.values", first..last.max(first), &mut types)?;
            for (entity, ends) in (start as u32..).zip(ends.windows(2)) {
                let of = |end: u64| end.checked_sub(first).map_or(0, |end| end as usize);
                if types.get(of(ends[0])..of(ends[1])).is_some_and(|own| own.contains(&wanted)) {
                    visit(entity);
                }
            }
        }
        Ok(())
    }

    /// The types of each entity, where the graph has types.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn types(&self) -> Result<Option<Types>, FileError> {
        let file = self.entities.file();
        if file.find("type.offsets").is_none() || !self.folder.has("types.gcol") {
            return Ok(None);
        }
        let names = Names::open(self.folder.columns("types.gcol")?)?;
        let (offsets, values) = (file.read_all("type.offsets")?, file.read_all("type.values")?);
        Ok(Some(Types { names, offsets, values }))
    }
}
