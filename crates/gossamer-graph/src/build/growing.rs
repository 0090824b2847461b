//! Columns with a text or a list for each row, written row after row.
//!
//! *Invariant:* rows that get nothing are empty; nothing of an ended column stays in memory.

use gossamer_machine::FileError;
use gossamer_machine::column::{ColumnWriter, Kind};

/// Writes a text column: one text per row.
///
/// # Errors
/// Those of writing.
pub fn write_texts(
    writer: &mut ColumnWriter,
    name: &str,
    texts: impl Iterator<Item = impl AsRef<str>>,
) -> Result<(), FileError> {
    let mut column = TextColumn::new(writer, name)?;
    for (row, text) in texts.enumerate() {
        column.push_once(writer, row, text.as_ref())?;
    }
    let n = column.n_rows;
    column.finish(writer, n)
}

/// A text column being written, row after row.
pub struct TextColumn {
    offsets: usize,
    bytes: usize,
    n_rows: usize,
    end: u64,
}

impl TextColumn {
    /// Declares it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(writer: &mut ColumnWriter, name: &str) -> Result<Self, FileError> {
        let offsets = writer.declare(&format!("{name}.offsets"), Kind::U64, 1);
        let bytes = writer.declare(&format!("{name}.bytes"), Kind::U8, 1);
        writer.push(offsets, &[0u64])?;
        Ok(Self { offsets, bytes, n_rows: 0, end: 0 })
    }

    /// Appends the text of a row, unless it has one; rows before it that have none are empty.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push_once(
        &mut self,
        writer: &mut ColumnWriter,
        row: usize,
        text: &str,
    ) -> Result<(), FileError> {
        if row < self.n_rows {
            return Ok(());
        }
        self.fill(writer, row)?;
        self.end += text.len() as u64;
        self.n_rows += 1;
        writer.push(self.offsets, &[self.end])?;
        writer.push(self.bytes, text.as_bytes())
    }

    fn fill(&mut self, writer: &mut ColumnWriter, n_rows: usize) -> Result<(), FileError> {
        for _ in self.n_rows..n_rows {
            writer.push(self.offsets, &[self.end])?;
        }
        self.n_rows = n_rows.max(self.n_rows);
        Ok(())
    }

    /// Ends the column, of so many rows.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self, writer: &mut ColumnWriter, n_rows: usize) -> Result<(), FileError> {
        self.fill(writer, n_rows)?;
        writer.end(self.offsets)?;
        writer.end(self.bytes)
    }
}

/// A list per row, being written row after row.
pub struct ListColumn {
    offsets: usize,
    values: usize,
    n_rows: usize,
    n_values: u64,
}

impl ListColumn {
    /// Declares it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(writer: &mut ColumnWriter, name: &str) -> Result<Self, FileError> {
        let offsets = writer.declare(&format!("{name}.offsets"), Kind::U64, 1);
        let values = writer.declare(&format!("{name}.values"), Kind::U32, 1);
        writer.push(offsets, &[0u64])?;
        Ok(Self { offsets, values, n_rows: 0, n_values: 0 })
    }

    /// Appends a value to a row, which is none before the last one.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(
        &mut self,
        writer: &mut ColumnWriter,
        row: u32,
        value: u32,
    ) -> Result<(), FileError> {
        self.fill(writer, row as usize)?;
        self.n_values += 1;
        writer.push(self.values, &[value])
    }

    fn fill(&mut self, writer: &mut ColumnWriter, n_rows: usize) -> Result<(), FileError> {
        while self.n_rows < n_rows {
            writer.push(self.offsets, &[self.n_values])?;
            self.n_rows += 1;
        }
        Ok(())
    }

    /// Ends the column, of so many rows.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self, writer: &mut ColumnWriter, n_rows: usize) -> Result<(), FileError> {
        self.fill(writer, n_rows)?;
        writer.end(self.offsets)?;
        writer.end(self.values)
    }
}

/// Writes a list per row from sorted (row, value) pairs.
///
/// # Errors
/// Those of writing.
pub fn write_lists(
    writer: &mut ColumnWriter,
    name: &str,
    pairs: &[(u32, u32)],
    n_rows: usize,
) -> Result<(), FileError> {
    let mut column = ListColumn::new(writer, name)?;
    pairs.iter().try_for_each(|(row, value)| column.push(writer, *row, *value))?;
    column.finish(writer, n_rows)
}
