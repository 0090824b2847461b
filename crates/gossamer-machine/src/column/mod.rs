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

mod writer;
mod reader;

pub use reader::ColumnFile;
pub use writer::ColumnWriter;

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
        // A column is found by its name.
        columns.iter().all(|other: &Column| other.name != name).then_some(())?;
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
    use std::path::Path;

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

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let block = |offset| Block { offset, bytes: 4, checksum: 0 };
        let column = |name: &str, blocks| {
            let (name, kind) = (name.to_string(), Kind::U32);
            Column { name, kind, width: 1, n_values: 1, blocks }
        };
        let index = |second: &str| {
            encode_index(&[column("a", vec![block(48)]), column(second, vec![block(52)])])
        };
        assert!(decode_index(&index("b"), 1000).is_some());
        assert!(decode_index(&index("a"), 1000).is_none());
    }

    proptest! {
        #[test]
        fn an_index_of_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_index(&bytes, 1000);
        }
    }
}
