//! Sources: files, folders and standard input, unpacked by content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::ReadOptions;
use crate::error::GraphError;
use crate::id::Split;

/// A file to be read, and the split its rows belong to, where its name says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, or `-` for standard input.
    pub path: PathBuf,
    /// Its split.
    pub split: Option<Split>,
}

const ENDINGS: &[&str] =
    &["txt", "tsv", "csv", "txt.gz", "tsv.gz", "csv.gz", "txt.zst", "tsv.zst", "csv.zst"];

/// The files of the sources that a user named: files as they are, folders by their
/// train/valid/test files.
///
/// # Errors
/// [`GraphError::Source`] when there is nothing to read.
pub fn find_sources(paths: &[PathBuf]) -> Result<Vec<Source>, GraphError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            sources.extend(in_folder(path)?);
        } else if path.as_os_str() == "-" || path.is_file() {
            let stem = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let stem = stem.split('.').next().unwrap_or_default().to_string();
            let split = Split::ALL.into_iter().find(|split| names_of(*split).contains(&&*stem));
            sources.push(Source { path: path.clone(), split });
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

fn names_of(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Valid => &["valid", "dev"],
        Split::Test => &["test"],
    }
}

fn in_folder(folder: &Path) -> Result<Vec<Source>, GraphError> {
    let mut sources = Vec::new();
    for split in Split::ALL {
        let candidates = names_of(split).iter().flat_map(|name| {
            ENDINGS.iter().map(move |ending| folder.join(format!("{name}.{ending}")))
        });
        if let Some(path) = candidates.into_iter().find(|path| path.is_file()) {
            sources.push(Source { path, split: Some(split) });
        }
    }
    if sources.first().is_none_or(|source| source.split != Some(Split::Train)) {
        return Err(GraphError::Source {
            path: folder.to_path_buf(),
            what: "expected train.txt, with valid.txt and test.txt if there are any".into(),
            hint: "name the files themselves if they have other names".into(),
        });
    }
    Ok(sources)
}

/// Opens a source and unpacks gzip and zstd, known by their first bytes.
///
/// # Errors
/// [`GraphError::Source`].
pub fn open(path: &Path) -> Result<Box<dyn BufRead>, GraphError> {
    let options = ReadOptions { file: path.display().to_string(), ..ReadOptions::default() };
    let failed = |error: io::Error| unreadable(&options, &error);
    let raw: Box<dyn Read> = if path.as_os_str() == "-" {
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
pub fn unpack(raw: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
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
