//! Tables as safetensors: eight bytes of header length, a JSON header, the floats.
//!
//! The `safetensors` crate writes tensors from whole slices; our tables are lists of blocks, and
//! saving must never need a second copy, so the format's few lines are written here.
//!
//! Rows in a row code are bytes (`U8`), as they stand in memory; the metadata `NAME.code` says the
//! code and the floats of a row.
//!
//! *Invariant:* little-endian, row-major; a table's rows are in the order of its ids.
//! *Paper:* the format's description at the huggingface/safetensors repository.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use gossamer_machine::FileError;
use gossamer_machine::folder::{Folder, VerifiedFile};
use gossamer_tensor::row_code;
use serde_json::{Value, json};

use crate::error::Error;
use crate::table::Table;

/// A header longer than this is none.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Writes tables and some words about them.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(
    path: &Path,
    tables: &[(&str, &Table)],
    about: &BTreeMap<String, String>,
) -> Result<(), FileError> {
    let mut header = serde_json::Map::new();
    let (mut offset, mut about) = (0, about.clone());
    for (name, table) in tables {
        let end = offset + table.bytes() as usize;
        let (dtype, parts) = match table.code() {
            None => ("F32", table.width()),
            Some(code) => {
                about.insert(format!("{name}.code"), format!("{} {}", code.name(), table.width()));
                ("U8", code.row_bytes(table.width()))
            }
        };
        let shape = [table.n_rows(), parts];
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, end]});
        header.insert((*name).into(), entry);
        offset = end;
    }
    header.insert("__metadata__".into(), json!(about));
    let mut header = Value::Object(header).to_string().into_bytes();
    // Padding with spaces keeps the floats aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let file = File::create(path).map_err(FileError::io("create", path))?;
    let mut file = BufWriter::new(file);
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(FileError::io("write", path));
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    tables.iter().try_for_each(|(_, table)| table.for_each_stored(&mut write))?;
    file.flush().map_err(FileError::io("write", path))
}

/// The tables in a file of a sealed folder, by name.
///
/// # Errors
/// [`Error::File`] when the file is damaged, or holds numbers that are none.
pub fn read(folder: &Folder, name: &str) -> Result<BTreeMap<String, Table>, Error> {
    let mut stream = Stream::new(folder.open_bytes(name)?);
    let mut length = [0; 8];
    stream.fill(&mut length)?;
    let length = u64::from_le_bytes(length);
    let wrong = |what: &str| FileError::corrupt(&folder.path().join(name), 0, what);
    if length > MAX_HEADER_BYTES {
        return Err(wrong("the header is too long").into());
    }
    let mut header = vec![0; length as usize];
    stream.fill(&mut header)?;
    let header: BTreeMap<String, Value> =
        serde_json::from_slice(&header).map_err(|_| wrong("the header is no JSON"))?;
    let mut entries = Vec::new();
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let number = |value: &Value| value.as_u64().map(|n| n as usize);
        let shape = [number(&entry["shape"][0]), number(&entry["shape"][1])];
        let start = number(&entry["data_offsets"][0]);
        let ([Some(n_rows), Some(parts)], Some(start)) = (shape, start) else {
            return Err(wrong("a tensor has no shape").into());
        };
        entries.push((start, name.clone(), n_rows, parts));
    }
    entries.sort();
    let mut tables = BTreeMap::new();
    for (_, name, n_rows, parts) in entries {
        let said =
            header.get("__metadata__").and_then(|about| about[format!("{name}.code")].as_str());
        let (code, width) = match said {
            None => (None, parts),
            Some(said) => {
                let (code, width) = said.split_once(' ').unwrap_or((said, ""));
                let code = row_code::find(code)?;
                let width = width.parse().ok().filter(|width| code.row_bytes(*width) == parts);
                (Some(code), width.ok_or_else(|| wrong("a tensor's code does not fit its shape"))?)
            }
        };
        let table = Table::of_stored(code, [n_rows, width], |bytes| stream.fill(bytes))?;
        if !table.is_finite() {
            return Err(wrong("a table holds values that are no numbers").into());
        }
        tables.insert(name, table);
    }
    Ok(tables)
}

/// A verified file read from front to back.
struct Stream {
    file: VerifiedFile,
    block: usize,
    buffer: Vec<u8>,
    position: usize,
}

impl Stream {
    fn new(file: VerifiedFile) -> Self {
        Self { file, block: 0, buffer: Vec::new(), position: 0 }
    }

    fn fill(&mut self, mut out: &mut [u8]) -> Result<(), FileError> {
        while !out.is_empty() {
            if self.position == self.buffer.len() {
                if self.block == self.file.n_blocks() {
                    return Err(FileError::corrupt(self.file.path(), 0, "the file ends too early"));
                }
                self.file.block(self.block, &mut self.buffer)?;
                (self.block, self.position) = (self.block + 1, 0);
            }
            let n = out.len().min(self.buffer.len() - self.position);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.buffer[self.position..][..n]);
            self.position += n;
            out = later;
        }
        Ok(())
    }
}
