//! Open column files: header and index verified at once, each block when it is first read.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::file::{FileError, checksum, read_at};

/// An open column file.
#[derive(Debug)]
pub struct ColumnFile {
    path: PathBuf,
    file: File,
    columns: Vec<Column>,
    verified: Vec<Vec<AtomicBool>>,
    header_checksum: u64,
}

impl ColumnFile {
    /// Opens a file and verifies its header and index. Cost: two small reads.
    ///
    /// # Errors
    /// [`FileError::Io`], [`FileError::Corrupt`] with the place, [`FileError::FormatTooNew`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let mut header = [0; HEADER_BYTES as usize];
        read_at(&file, path, 0, &mut header)?;
        let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or([0; 8]));
        if &header[..8] != MAGIC {
            return Err(FileError::corrupt(path, 0, "this is no gossamer column file"));
        }
        if checksum(&header[..40]) != word(40) {
            return Err(FileError::corrupt(path, 0, "the header's checksum does not match"));
        }
        let version = word(8) as u32;
        if version > FORMAT_VERSION {
            let (path, readable) = (path.to_path_buf(), FORMAT_VERSION);
            return Err(FileError::FormatTooNew { path, found: version, readable });
        }
        let (index_offset, index_bytes) = (word(16), word(24));
        let length = file.metadata().map_err(FileError::io("read", path))?.len();
        let end = index_offset.checked_add(index_bytes);
        if index_bytes > MAX_INDEX_BYTES || end != Some(length) {
            return Err(FileError::corrupt(
                path,
                length,
                "the file's length is not the written one",
            ));
        }
        let mut index = vec![0; index_bytes as usize];
        read_at(&file, path, index_offset, &mut index)?;
        if checksum(&index) != word(32) {
            return Err(FileError::corrupt(
                path,
                index_offset,
                "the index's checksum does not match",
            ));
        }
        let columns = decode_index(&index, index_offset)
            .ok_or_else(|| FileError::corrupt(path, index_offset, "the index makes no sense"))?;
        let verified = columns
            .iter()
            .map(|column| column.blocks.iter().map(|_| AtomicBool::new(false)).collect())
            .collect();
        let path = path.to_path_buf();
        Ok(Self { path, file, columns, verified, header_checksum: word(40) })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that stands for the whole content: the checksum of the header, which holds the
    /// checksum of the index, which holds those of the blocks.
    pub fn fingerprint(&self) -> u64 {
        self.header_checksum
    }

    /// The columns, in the order in which they were declared.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name.
    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of this name and kind.
    ///
    /// # Errors
    /// [`FileError::Missing`].
    pub fn expect<T: Value>(&self, name: &str) -> Result<&Column, FileError> {
        self.find(name).filter(|column| column.kind == T::KIND).ok_or_else(|| FileError::Missing {
            path: self.path.clone(),
            what: format!("has no column '{name}' of kind {:?}", T::KIND),
            hint: "import the source again".into(),
        })
    }

    /// How many values the column has; zero when it is not there.
    pub fn n_values(&self, name: &str) -> u64 {
        self.find(name).map_or(0, |column| column.n_values)
    }

    /// Reads the values of `range` into `out`, which is cleared first.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the block's place, [`FileError::Io`], [`FileError::Missing`].
    pub fn read<T: Value>(
        &self,
        name: &str,
        range: Range<u64>,
        out: &mut Vec<T>,
    ) -> Result<(), FileError> {
        let column = self.expect::<T>(name)?;
        out.clear();
        if range.start > range.end || range.end > column.n_values {
            let what = format!("column '{name}' has {} values, not {range:?}", column.n_values);
            return Err(FileError::corrupt(&self.path, 0, what));
        }
        let size = size_of::<T>() as u64;
        out.resize((range.end - range.start) as usize, T::zeroed());
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        let (start, end) = (range.start * size, range.end * size);
        let mut position = start;
        while position < end {
            let block = (position / BLOCK_BYTES as u64) as usize;
            let within = position % BLOCK_BYTES as u64;
            let stop = ((block as u64 + 1) * BLOCK_BYTES as u64).min(end);
            let into = &mut bytes[(position - start) as usize..(stop - start) as usize];
            self.verify(column, block)?;
            read_at(&self.file, &self.path, column.blocks[block].offset + within, into)?;
            position = stop;
        }
        Ok(())
    }

    /// Every value of a column.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_all<T: Value>(&self, name: &str) -> Result<Vec<T>, FileError> {
        let mut values = Vec::new();
        self.read(name, 0..self.expect::<T>(name)?.n_values, &mut values)?;
        Ok(values)
    }

    /// Verifies every block that was not verified yet.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the first damaged place.
    pub fn check(&self) -> Result<(), FileError> {
        for column in &self.columns {
            for block in 0..column.blocks.len() {
                self.verify(column, block)?;
            }
        }
        Ok(())
    }

    fn verify(&self, column: &Column, block: usize) -> Result<(), FileError> {
        let place = self.columns.iter().position(|other| other.name == column.name).unwrap_or(0);
        if !self.verified[place][block].load(Ordering::Relaxed) {
            self.block(column, block)?;
            self.verified[place][block].store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn block(&self, column: &Column, block: usize) -> Result<Vec<u8>, FileError> {
        let Block { offset, bytes, checksum: expected } = column.blocks[block];
        let mut content = vec![0; bytes as usize];
        read_at(&self.file, &self.path, offset, &mut content)?;
        if checksum(&content) != expected {
            let what = format!("block {block} of column '{}' does not match", column.name);
            return Err(FileError::corrupt(&self.path, offset, what));
        }
        Ok(content)
    }
}
