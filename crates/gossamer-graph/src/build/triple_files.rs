//! The column files of a graph's triples, filled one fact after another.

use gossamer_machine::FileError;
use gossamer_machine::column::{ColumnWriter, Kind};
use gossamer_machine::folder::Draft;

use super::facts::{Fact, Said};
use crate::id::Split;

/// The files of all splits; one that gets no fact is not made.
pub struct TripleFiles<'a> {
    draft: &'a Draft,
    said: [Said; 3],
    graphs: bool,
    files: [Option<TripleFile>; 3],
}

impl<'a> TripleFiles<'a> {
    /// None yet. Columns are those that the facts of a split have said something for; `graphs`:
    /// any of them has a named graph.
    pub fn new(draft: &'a Draft, said: [Said; 3], graphs: bool) -> Self {
        Self { draft, said, graphs, files: [None, None, None] }
    }

    /// Takes the next fact of a split; facts of a split come in order.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(&mut self, split: Split, fact: &Fact) -> Result<(), FileError> {
        let slot = &mut self.files[split as usize];
        let file = match slot {
            Some(file) => file,
            None => {
                let said = self.said[split as usize];
                slot.insert(TripleFile::create(self.draft, split, said, self.graphs)?)
            }
        };
        file.push(fact)
    }

    /// Gives the files their names.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> Result<(), FileError> {
        self.files.into_iter().flatten().try_for_each(|file| file.writer.finish())
    }
}

struct TripleFile {
    writer: ColumnWriter,
    triple: [usize; 3],
    weight: Option<usize>,
    validity: [Option<usize>; 2],
    /// Offsets and values, and how many values there are.
    graphs: Option<([usize; 2], u64)>,
}

impl TripleFile {
    fn create(draft: &Draft, split: Split, said: Said, graphs: bool) -> Result<Self, FileError> {
        let mut writer = ColumnWriter::create(&draft.path(&format!("{}.gcol", split.name())))?;
        let triple = ["head", "relation", "tail"].map(|name| writer.declare(name, Kind::U32, 1));
        let mut declare =
            |wanted: bool, name: &str, kind| wanted.then(|| writer.declare(name, kind, 1));
        let weight = declare(said.weight, "weight", Kind::F32);
        let validity =
            [declare(said.from, "from", Kind::I64), declare(said.until, "until", Kind::I64)];
        let offsets = declare(graphs, "graph.offsets", Kind::U64);
        let values = declare(graphs, "graph.values", Kind::U32);
        let graphs = offsets.zip(values).map(|(offsets, values)| ([offsets, values], 0));
        if let Some(offsets) = offsets {
            writer.push(offsets, &[0u64])?;
        }
        Ok(Self { writer, triple, weight, validity, graphs })
    }

    fn push(&mut self, fact: &Fact) -> Result<(), FileError> {
        for (column, id) in self.triple.into_iter().zip(fact.triple) {
            self.writer.push(column, &[id])?;
        }
        if let Some(column) = self.weight {
            self.writer.push(column, &[fact.weight])?;
        }
        for (column, time) in self.validity.into_iter().zip(fact.validity) {
            if let Some(column) = column {
                self.writer.push(column, &[time])?;
            }
        }
        if let Some(([offsets, values], n)) = &mut self.graphs {
            *n += fact.graphs.len() as u64;
            self.writer.push(*offsets, &[*n])?;
            self.writer.push(*values, &fact.graphs)?;
        }
        Ok(())
    }
}
