//! Attributes while a graph is being built: values of things, waiting in a file until the things
//! have ids.
//!
//! *Invariant:* on disk they stand in the order of the sources; what no triple names is counted.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use gossamer_machine::FileError;
use gossamer_machine::column::{ColumnWriter, Kind};
use gossamer_machine::folder::Draft;

use super::vocab::Vocab;

/// Attributes being collected; a thing is a number that the builder gives a name.
pub struct Attributes {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    properties: Vocab,
    kinds: Vocab,
}

impl Attributes {
    /// None yet; they will wait in the draft's folder.
    pub fn new(draft: &Draft) -> Self {
        let (properties, kinds) = (Vocab::new(), Vocab::new());
        Self { path: draft.path(".attributes"), file: None, properties, kinds }
    }

    /// Takes one.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(
        &mut self,
        thing: u32,
        property: &str,
        kind: &str,
        text: &str,
    ) -> Result<(), FileError> {
        let numbers =
            [thing, self.properties.intern(property), self.kinds.intern(kind), text.len() as u32];
        let failed = |error| FileError::io("write", &self.path)(error);
        let file = match &mut self.file {
            Some(file) => file,
            slot => slot.insert(BufWriter::with_capacity(
                1 << 18,
                File::create(&self.path).map_err(FileError::io("create", &self.path))?,
            )),
        };
        for number in numbers {
            file.write_all(&number.to_le_bytes()).map_err(failed)?;
        }
        file.write_all(text.as_bytes()).map_err(failed)
    }

    /// Writes `attributes.gcol`, `properties.gcol` and `kinds.gcol`, with the id that `entity`
    /// gives a thing. Returns how many belong to nothing.
    ///
    /// # Errors
    /// Those of reading and writing, and of `entity`.
    pub fn write(
        &mut self,
        draft: &Draft,
        mut entity: impl FnMut(u32) -> Result<Option<u32>, FileError>,
    ) -> Result<u64, FileError> {
        let Some(mut file) = self.file.take() else { return Ok(0) };
        file.flush().map_err(FileError::io("write", &self.path))?;
        drop(file);
        let mut writer = ColumnWriter::create(&draft.path("attributes.gcol"))?;
        let [ids, properties, kinds] =
            ["entity", "property", "kind"].map(|name| writer.declare(name, Kind::U32, 1));
        let offsets = writer.declare("value.offsets", Kind::U64, 1);
        let bytes = writer.declare("value.bytes", Kind::U8, 1);
        writer.push(offsets, &[0u64])?;
        let failed = |error| FileError::io("read", &self.path)(error);
        let file = File::open(&self.path).map_err(failed)?;
        let mut left = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::with_capacity(1 << 18, file);
        let (mut end, mut orphans, mut text) = (0u64, 0, Vec::new());
        while left > 0 {
            let mut numbers = [[0u8; 4]; 4];
            file.read_exact(numbers.as_flattened_mut()).map_err(failed)?;
            let [thing, property, kind, n] = numbers.map(u32::from_le_bytes);
            text.resize(n as usize, 0);
            file.read_exact(&mut text).map_err(failed)?;
            left -= 16 + u64::from(n);
            let Some(id) = entity(thing)? else {
                orphans += 1;
                continue;
            };
            for (column, number) in [(ids, id), (properties, property), (kinds, kind)] {
                writer.push(column, &[number])?;
            }
            end += u64::from(n);
            writer.push(offsets, &[end])?;
            writer.push(bytes, &text)?;
        }
        writer.finish()?;
        fs::remove_file(&self.path).map_err(FileError::io("remove", &self.path))?;
        let names = [(&self.properties, "properties.gcol"), (&self.kinds, "kinds.gcol")];
        for (vocab, name) in names {
            let mut writer = ColumnWriter::create(&draft.path(name))?;
            vocab.write(&mut writer)?;
            writer.finish()?;
        }
        Ok(orphans)
    }
}
