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
use crate::triples::Triples;
use crate::vocab::Names;

/// Stands for "no time given" in `from` and `until`.
pub const NO_TIME: i64 = i64::MIN;
/// The kind of folder.
pub const KIND: &str = "graph";

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

    /// Calls `visit` with every triple of a split in order, some thousand at a time in memory.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] also when an id has no name.
    pub fn for_each_triple(
        &self,
        split: Split,
        mut visit: impl FnMut([u32; 3]),
    ) -> Result<(), FileError> {
        const ROWS: u64 = 1 << 16;
        let name = format!("{}.gcol", split.name());
        if !self.folder.has(&name) {
            return Ok(());
        }
        let file = self.folder.columns(&name)?;
        let n = file.n_values("head");
        let [mut heads, mut relations, mut tails] = [const { Vec::new() }; 3];
        for start in (0..n).step_by(ROWS as usize) {
            let range = start..(start + ROWS).min(n);
            file.read::<u32>("head", range.clone(), &mut heads)?;
            file.read::<u32>("relation", range.clone(), &mut relations)?;
            file.read::<u32>("tail", range, &mut tails)?;
            for ((head, relation), tail) in heads.iter().zip(&relations).zip(&tails) {
                let named = (*head.max(tail) as usize) < self.entities.len()
                    && (*relation as usize) < self.relations.len();
                if !named {
                    return Err(FileError::corrupt(file.path(), start, "an id has no name"));
                }
                visit([*head, *relation, *tail]);
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
