//! Typed columns on disk: the file format of graphs.
//!
//! A column file holds named columns of little-endian values. Layout, version 1:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `gossamer` |
//! | 8–11 | format version, u32 |
//! | 12–15 | zero |
//! | 16–23, 24–31, 32–39 | index: offset, length, checksum, u64 each |
//! | 40–47 | checksum of bytes 0–39 |
//! | 48 … | blocks of at most 256 KiB, in the order in which they filled |
//! | … end | index: per column name, kind, width, values, and per block offset, bytes, checksum |
//!
//! *Invariant:* the header and the index are verified on opening, each block when it is first read;
//! a file under its final name was read back whole. Offsets are 64 bits wide.
//! *Not here:* what columns mean; `gossamer-graph` names them. Memory mapping: pages that the system
//! maps count towards the budget, so files are read through buffers of the caller.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::file::{FileError, checksum, partial_path, read_at, sync_parent};

#[cfg(target_endian = "big")]
compile_error!("columns are little-endian on disk and are read without conversion");

/// The version this program writes, and the latest it reads.
pub const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"gossamer";
const HEADER_BYTES: u64 = 48;
/// Large enough that its checksum is cheap, small enough that a damaged place is named closely.
const BLOCK_BYTES: usize = 256 << 10;
/// An index larger than this is a damaged one: it would describe 50 TiB.
const MAX_INDEX_BYTES: u64 = 4 << 30;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Bytes, such as the text of names.
    U8 = 1,
    /// Ids.
    U32 = 2,
    /// Offsets.
    U64 = 3,
    /// Times.
    I64 = 4,
    /// Weights and features.
    F32 = 5,
    /// Numbers.
    F64 = 6,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::U8, Self::U32, Self::U64, Self::I64, Self::F32, Self::F64]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// A type that columns hold.
pub trait Value: bytemuck::Pod {
    /// Its kind on disk.
    const KIND: Kind;
}
impl Value for u8 {
    const KIND: Kind = Kind::U8;
}
impl Value for u32 {
    const KIND: Kind = Kind::U32;
}
impl Value for u64 {
    const KIND: Kind = Kind::U64;
}
impl Value for i64 {
    const KIND: Kind = Kind::I64;
}
impl Value for f32 {
    const KIND: Kind = Kind::F32;
}
impl Value for f64 {
    const KIND: Kind = Kind::F64;
}

#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    bytes: u32,
    checksum: u64,
}

/// A column as the index describes it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Values per row: 1, or the length of a feature vector.
    pub width: u32,
    /// Values in all.
    pub n_values: u64,
    blocks: Vec<Block>,
}

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

    fn block(&self, column: &Column, block: usize) -> Result<Vec<u8>, FileError> {
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

fn encode_index(columns: &[Column]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(columns.len() as u32).to_le_bytes());
    for column in columns {
        out.extend_from_slice(&(column.name.len() as u32).to_le_bytes());
        out.extend_from_slice(column.name.as_bytes());
        out.push(column.kind as u8);
        out.extend_from_slice(&column.width.to_le_bytes());
        out.extend_from_slice(&column.n_values.to_le_bytes());
        out.extend_from_slice(&(column.blocks.len() as u32).to_le_bytes());
        for block in &column.blocks {
            out.extend_from_slice(&block.offset.to_le_bytes());
            out.extend_from_slice(&block.bytes.to_le_bytes());
            out.extend_from_slice(&block.checksum.to_le_bytes());
        }
    }
    out
}

fn decode_index(bytes: &[u8], data_end: u64) -> Option<Vec<Column>> {
    let mut rest = bytes;
    let n_columns = u32::from_le_bytes(take(&mut rest)?);
    let mut columns = Vec::new();
    for _ in 0..n_columns {
        let name_bytes = u32::from_le_bytes(take(&mut rest)?) as usize;
        let name = String::from_utf8(rest.get(..name_bytes)?.to_vec()).ok()?;
        rest = &rest[name_bytes..];
        let kind = Kind::from_code(take::<1>(&mut rest)?[0])?;
        let width = u32::from_le_bytes(take(&mut rest)?);
        let n_values = u64::from_le_bytes(take(&mut rest)?);
        let n_blocks = u32::from_le_bytes(take(&mut rest)?) as usize;
        let mut blocks = Vec::new();
        for _ in 0..n_blocks {
            let offset = u64::from_le_bytes(take(&mut rest)?);
            let bytes = u32::from_le_bytes(take(&mut rest)?);
            let checksum = u64::from_le_bytes(take(&mut rest)?);
            (offset.checked_add(u64::from(bytes))? <= data_end).then_some(())?;
            blocks.push(Block { offset, bytes, checksum });
        }
        let full = blocks.iter().rev().skip(1).all(|block| block.bytes as usize == BLOCK_BYTES);
        let total: u64 = blocks.iter().map(|block| u64::from(block.bytes)).sum();
        (full && n_values.checked_mul(kind.bytes() as u64)? == total).then_some(())?;
        columns.push(Column { name, kind, width, n_values, blocks });
    }
    rest.is_empty().then_some(columns)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_at_checked(N)?;
    *rest = tail;
    head.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(path: &Path, ids: &[u32], text: &[u8]) {
        let mut writer = ColumnWriter::create(path).unwrap();
        let first = writer.declare("ids", Kind::U32, 1);
        let second = writer.declare("text", Kind::U8, 1);
        for (ids, text) in ids.chunks(1000).zip(text.chunks(777)) {
            writer.push(first, ids).unwrap();
            writer.push(second, text).unwrap();
        }
        writer.column("weights", &[0.5f32, 2.0]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn any_range_reads_back_and_unknown_columns_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gcol");
        let ids: Vec<u32> = (0..200_000).map(|i| i * 7).collect();
        sample(&path, &ids, &vec![7; 200 * 777]);
        let file = ColumnFile::open(&path).unwrap();
        let mut out = Vec::new();
        for range in [0..10, 65_530..65_540, 131_000..200_000, 5..5] {
            file.read::<u32>("ids", range.clone(), &mut out).unwrap();
            assert_eq!(out, ids[range.start as usize..range.end as usize]);
        }
        assert!(file.read::<f32>("ids", 0..1, &mut Vec::new()).is_err());
        assert!(file.read::<u32>("ids", 0..200_001, &mut out).is_err());
        let copied = folder.path().join("b.gcol");
        let mut writer = ColumnWriter::create(&copied).unwrap();
        for column in file.columns() {
            writer.copy(&file, column).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(ColumnFile::open(&copied).unwrap().read_all::<u32>("ids").unwrap(), ids);
    }

    #[test]
    fn any_flipped_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gcol");
        sample(&path, &[1, 2, 3], b"some text");
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            let result = ColumnFile::open(&path).and_then(|file| file.check());
            assert!(result.is_err(), "byte {place} of {}", whole.len());
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(ColumnFile::open(&path).and_then(|file| file.check()).is_err());
        }
    }

    proptest! {
        #[test]
        fn an_index_of_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_index(&bytes, 1000);
        }
    }
}
