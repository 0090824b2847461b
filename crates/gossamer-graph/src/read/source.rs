//! Sources: files, folders and standard input, unpacked by content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::numbers::Numbers;
use super::{ReadOptions, layout};
use crate::error::GraphError;
use crate::id::Split;

/// A file to be read, with what its place says of it.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file, or `-` for standard input.
    pub path: PathBuf,
    /// The split its rows belong to.
    pub split: Option<Split>,
    /// Its format.
    pub format: Option<&'static str>,
    /// The names behind its numbers.
    pub numbers: Option<Arc<Numbers>>,
    /// A file whose lines go on those of the source.
    pub beside: Option<PathBuf>,
    /// Which column holds what.
    pub map: Option<String>,
}

/// The files of the sources that a user named: files as they are, folders by their layout.
///
/// # Errors
/// [`GraphError::Source`] when there is nothing to read.
pub fn find_sources(paths: &[PathBuf]) -> Result<Vec<Source>, GraphError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            sources.extend(layout::sources(path)?);
        } else if path.as_os_str() == "-" || path.is_file() {
            let stem = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let stem = stem.split('.').next().unwrap_or_default().to_string();
            let split = Split::ALL.into_iter().find(|split| names_of(*split).contains(&&*stem));
            sources.push(Source { path: path.clone(), split, ..Source::default() });
        } else {
            return Err(GraphError::Source {
                path: path.clone(),
                what: "there is no such file or folder".into(),
                hint: "check the path".into(),
            });
        }
    }
    Ok(sources)
}

/// What files of a split are called.
pub fn names_of(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Valid => &["valid", "dev", "val", "validation"],
        Split::Test => &["test"],
    }
}

/// Opens a source and unpacks gzip and zstd, known by their first bytes.
///
/// # Errors
/// [`GraphError::Source`].
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, GraphError> {
    let options = ReadOptions { file: path.display().to_string(), ..ReadOptions::default() };
    let failed = |error: io::Error| unreadable(&options, &error);
    let raw: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    unpack(raw).map_err(failed)
}

/// Unpacks gzip and zstd, known by their first bytes; anything else passes as it is.
///
/// # Errors
/// Those of reading, and of a header that only looks like one.
pub fn unpack(raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let packed = with_start(raw)?;
    let start = packed.get_ref().get_ref().0.get_ref();
    if start.starts_with(&[0x1F, 0x8B]) {
        return Ok(Box::new(with_start(flate2::read::MultiGzDecoder::new(packed))?));
    }
    if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        let decoder = ruzstd::decoding::StreamingDecoder::new(packed)
            .map_err(|error| io::Error::other(error.to_string()))?;
        return Ok(Box::new(with_start(decoder)?));
    }
    Ok(Box::new(packed))
}

/// A start read ahead, and the rest.
type Started<R> = BufReader<io::Chain<io::Cursor<Vec<u8>>, R>>;

/// Reads the start of a stream, however small its pieces are, so that the first look at the buffer
/// sees enough to know the format by.
fn with_start<R: Read>(mut raw: R) -> io::Result<Started<R>> {
    const START: u64 = 1 << 16;
    let mut start = Vec::new();
    (&mut raw).take(START).read_to_end(&mut start)?;
    Ok(BufReader::with_capacity(1 << 18, io::Cursor::new(start).chain(raw)))
}

/// The error for a source that stops being readable.
pub fn unreadable(options: &ReadOptions, error: &io::Error) -> GraphError {
    GraphError::Source {
        path: PathBuf::from(&options.file),
        what: format!("cannot be read: {error}"),
        hint: "check that the file is whole; compressed files must be .gz or .zst".into(),
    }
}
