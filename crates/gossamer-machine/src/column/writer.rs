//! Column files being written: blocks as they fill, the index at the end, a name when all is well.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::*;
use crate::file::{FileError, checksum, partial_path, sync_parent};

/// A column file being written; nothing stands under its name until [`finish`](Self::finish).
#[derive(Debug)]
pub struct ColumnWriter {
    target: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    position: u64,
    columns: Vec<Column>,
    pending: Vec<Vec<u8>>,
}

impl ColumnWriter {
    /// Starts a file beside `target`.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let partial = partial_path(target);
        let file = File::create(&partial).map_err(FileError::io("create", &partial))?;
        let mut file = BufWriter::new(file);
        file.write_all(&[0; HEADER_BYTES as usize]).map_err(FileError::io("write", &partial))?;
        let (target, position) = (target.to_path_buf(), HEADER_BYTES);
        Ok(Self { target, partial, file, position, columns: Vec::new(), pending: Vec::new() })
    }

    /// Declares a column and returns its number. Several may be filled in turn.
    pub fn declare(&mut self, name: &str, kind: Kind, width: u32) -> usize {
        let blocks = Vec::new();
        self.columns.push(Column { name: name.to_string(), kind, width, n_values: 0, blocks });
        self.pending.push(Vec::new());
        self.columns.len() - 1
    }

    /// Appends values to a declared column, whose kind must be that of `T`.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn push<T: Value>(&mut self, column: usize, values: &[T]) -> Result<(), FileError> {
        assert_eq!(self.columns[column].kind, T::KIND, "column {}", self.columns[column].name);
        self.push_bytes(column, bytemuck::cast_slice(values))
    }

    fn push_bytes(&mut self, column: usize, mut bytes: &[u8]) -> Result<(), FileError> {
        self.columns[column].n_values += (bytes.len() / self.columns[column].kind.bytes()) as u64;
        while !bytes.is_empty() {
            let pending = &mut self.pending[column];
            let room = (BLOCK_BYTES - pending.len()).min(bytes.len());
            pending.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if pending.len() == BLOCK_BYTES {
                self.flush(column)?;
            }
        }
        Ok(())
    }

    /// Ends a column that gets no more values, so that nothing of it stays in memory.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn end(&mut self, column: usize) -> Result<(), FileError> {
        self.flush(column)
    }

    /// Declares a column and fills it.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn column<T: Value>(&mut self, name: &str, values: &[T]) -> Result<(), FileError> {
        let column = self.declare(name, T::KIND, 1);
        self.push(column, values)
    }

    /// Copies a column of another file as it is, known or not.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn copy(&mut self, from: &ColumnFile, column: &Column) -> Result<(), FileError> {
        let number = self.declare(&column.name, column.kind, column.width);
        for block in 0..column.blocks.len() {
            let bytes = from.block(column, block)?;
            self.push_bytes(number, &bytes)?;
        }
        Ok(())
    }

    fn flush(&mut self, column: usize) -> Result<(), FileError> {
        let bytes = std::mem::take(&mut self.pending[column]);
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all(&bytes).map_err(FileError::io("write", &self.partial))?;
        self.columns[column].blocks.push(Block {
            offset: self.position,
            bytes: bytes.len() as u32,
            checksum: checksum(&bytes),
        });
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes what is left, reads everything back, and gives the file its name.
    ///
    /// # Errors
    /// [`FileError::Io`], and [`FileError::Corrupt`] if the disk returns other bytes than were
    /// written.
    pub fn finish(mut self) -> Result<(), FileError> {
        for column in 0..self.columns.len() {
            self.flush(column)?;
        }
        let index = encode_index(&self.columns);
        self.file.write_all(&index).map_err(FileError::io("write", &self.partial))?;
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        for word in [self.position, index.len() as u64, checksum(&index)] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        let sum = checksum(&header);
        header.extend_from_slice(&sum.to_le_bytes());
        self.file.seek(SeekFrom::Start(0)).map_err(FileError::io("write", &self.partial))?;
        self.file.write_all(&header).map_err(FileError::io("write", &self.partial))?;
        self.file.flush().map_err(FileError::io("write", &self.partial))?;
        self.file.get_ref().sync_all().map_err(FileError::io("sync", &self.partial))?;
        ColumnFile::open(&self.partial)?.check()?;
        fs::rename(&self.partial, &self.target).map_err(FileError::io("rename", &self.target))?;
        sync_parent(&self.target)
    }
}
