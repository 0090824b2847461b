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
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use gossamer_machine::FileError;
use gossamer_machine::folder::{Folder, VerifiedFile};
use gossamer_tensor::row_code::{self, RowCode};
use serde_json::{Value, json};

use crate::error::Error;
use crate::table::Table;
use crate::table::shelf::{Parts, Shelf, Source};

/// A header longer than this is none.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// What can be written as a tensor, without a second copy.
pub trait Rows {
    /// Rows, and floats of each.
    fn size(&self) -> [usize; 2];
    /// The code of rows that are no floats.
    fn code(&self) -> Option<&'static dyn RowCode>;
    /// Calls `write` with its bytes in order, as they stand.
    ///
    /// # Errors
    /// Those of `write`, and of reading what stands in files.
    fn for_each_stored(
        &self,
        write: &mut dyn FnMut(&[u8]) -> Result<(), FileError>,
    ) -> Result<(), FileError>;
}

impl Rows for Table {
    fn size(&self) -> [usize; 2] {
        [self.n_rows(), self.width()]
    }
    fn code(&self) -> Option<&'static dyn RowCode> {
        self.code()
    }
    fn for_each_stored(
        &self,
        write: &mut dyn FnMut(&[u8]) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        self.for_each_stored(write)
    }
}

/// Writes tables and some words about them.
///
/// # Errors
/// [`FileError::Io`].
pub fn write<R: Rows>(
    path: &Path,
    tables: &[(&str, &R)],
    about: &BTreeMap<String, String>,
) -> Result<(), FileError> {
    let mut header = serde_json::Map::new();
    let (mut offset, mut about) = (0, about.clone());
    for (name, table) in tables {
        let [n_rows, width] = table.size();
        let (dtype, parts, row_bytes) = match table.code() {
            None => ("F32", width, 4 * width),
            Some(code) => {
                about.insert(format!("{name}.code"), format!("{} {width}", code.name()));
                let (dtype, parts) = elements(code, width);
                (dtype, parts, code.row_bytes(width))
            }
        };
        let (shape, end) = ([n_rows, parts], offset + n_rows * row_bytes);
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, end]});
        header.insert((*name).into(), entry);
        offset = end;
    }
    header.insert("__metadata__".into(), json!(about));
    let mut header = Value::Object(header).to_string().into_bytes();
    // Padding with spaces keeps the floats aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    let bytes = (8 + header.len() + offset) as u64;
    write_parts(path, &header, tables).map_err(|error| {
        // What is not whole is of no use, and takes room.
        let _ = fs::remove_file(path);
        FileError::full(error, path, bytes)
    })
}

/// The type and number of a row's elements: bytes, where a code has none of its own.
fn elements(code: &dyn RowCode, width: usize) -> (&'static str, usize) {
    code.element().map_or(("U8", code.row_bytes(width)), |dtype| (dtype, width))
}

fn write_parts<R: Rows>(
    path: &Path,
    header: &[u8],
    tables: &[(&str, &R)],
) -> Result<(), FileError> {
    let file = File::create(path).map_err(FileError::io("create", path))?;
    let mut file = BufWriter::new(file);
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(FileError::io("write", path));
    write(&(header.len() as u64).to_le_bytes())?;
    write(header)?;
    tables.iter().try_for_each(|(_, table)| table.for_each_stored(&mut write))?;
    file.flush().map_err(FileError::io("write", path))
}

/// A tensor as a header describes it.
struct Entry {
    name: String,
    start: u64,
    size: [usize; 2],
    code: Option<&'static dyn RowCode>,
}

/// The tables in a file of a sealed folder, by name. The rows of the one named `on_disk` stay there
/// and are read when they are asked for.
///
/// # Errors
/// [`Error::File`] when the file is damaged, or holds numbers that are none.
pub fn read(
    folder: &Folder,
    name: &str,
    on_disk: Option<&str>,
) -> Result<BTreeMap<String, Table>, Error> {
    let mut stream = Stream::new(folder.open_bytes(name)?);
    let path = folder.path().join(name);
    let (entries, first) = entries(&mut stream, &path)?;
    let mut tables = BTreeMap::new();
    for Entry { name, start, size: [n_rows, width], code } in entries {
        let fill = |bytes: &mut [u8]| stream.fill(bytes);
        let table = if on_disk == Some(name.as_str()) {
            let file = Arc::new(File::open(&path).map_err(FileError::io("open", &path))?);
            let shelf = Shelf::new(Arc::new(Parts::one(n_rows)));
            shelf.place(0, Source { file, path: path.clone(), start: first + start });
            let table = Table::empty(code, width).shelved(n_rows, shelf);
            // Every byte is verified once, as with tables that stay in memory.
            table.for_each_size(fill)?;
            table
        } else {
            let table = Table::of_stored(code, [n_rows, width], fill)?;
            if !table.is_finite() {
                let what = "a table holds values that are no numbers";
                return Err(FileError::corrupt(&path, 0, what).into());
            }
            table
        };
        tables.insert(name, table);
    }
    Ok(tables)
}

/// The tables in a file of a sealed folder, each whole in one piece: name, values, floats of a row.
///
/// # Errors
/// [`Error::File`] when the file is damaged, or holds rows in a code or numbers that are none.
pub fn read_whole(folder: &Folder, name: &str) -> Result<Vec<(String, Vec<f32>, usize)>, Error> {
    let mut stream = Stream::new(folder.open_bytes(name)?);
    let path = folder.path().join(name);
    let mut tables = Vec::new();
    for Entry { name, size: [n_rows, width], code, .. } in entries(&mut stream, &path)?.0 {
        let mut values = vec![0.0f32; n_rows * width];
        stream.fill(bytemuck::cast_slice_mut(&mut values))?;
        if code.is_some() || !values.iter().all(|value| value.is_finite()) {
            let what = "a table holds values that are no numbers";
            return Err(FileError::corrupt(&path, 0, what).into());
        }
        tables.push((name, values, width));
    }
    Ok(tables)
}

/// The tensors of a file in their order, and where the first begins.
fn entries(stream: &mut Stream, path: &Path) -> Result<(Vec<Entry>, u64), Error> {
    let mut length = [0; 8];
    stream.fill(&mut length)?;
    let length = u64::from_le_bytes(length);
    let wrong = |what: &str| FileError::corrupt(path, 0, what);
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
        let start = entry["data_offsets"][0].as_u64();
        let ([Some(n_rows), Some(parts)], Some(start)) = (shape, start) else {
            return Err(wrong("a tensor has no shape").into());
        };
        let said =
            header.get("__metadata__").and_then(|about| about[format!("{name}.code")].as_str());
        let (code, width) = match said {
            None => (None, parts),
            Some(said) => {
                let (code, width) = said.split_once(' ').unwrap_or((said, ""));
                let code = row_code::find(code)?;
                let width = width.parse().ok().filter(|width| elements(code, *width).1 == parts);
                (Some(code), width.ok_or_else(|| wrong("a tensor's code does not fit its shape"))?)
            }
        };
        entries.push(Entry { name: name.clone(), start, size: [n_rows, width], code });
    }
    entries.sort_by_key(|entry| entry.start);
    Ok((entries, 8 + length))
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
