//! Triples that stay on disk, and those of a split wherever they are.
//!
//! *Invariant:* triples come in the same order from disk as from memory.

use std::ops::Range;
use std::sync::Mutex;

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnFile;

use crate::triples::Triples;

/// Triples of a window, where all are visited.
const WINDOW: usize = 1 << 16;

/// Triples that stay on disk and are read some at a time.
///
/// A reading that fails gives no triples, and [`failure`](Self::failure) tells.
#[derive(Debug)]
pub struct StoredTriples {
    file: ColumnFile,
    sizes: [usize; 2],
    failed: Mutex<Option<FileError>>,
}

impl StoredTriples {
    /// Those of a file, of so many entities and relations.
    pub(crate) fn new(file: ColumnFile, sizes: [usize; 2]) -> Self {
        Self { file, sizes, failed: Mutex::default() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.file.n_values("head") as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those at some places, sorted.
    pub fn window(&self, places: Range<usize>) -> Triples {
        let [n_entities, n_relations] = self.sizes;
        let places = places.start as u64..places.end as u64;
        Triples::window(&self.file, places, n_entities, n_relations).unwrap_or_else(|error| {
            if let Ok(mut failed) = self.failed.lock() {
                failed.get_or_insert(error);
            }
            Triples::default()
        })
    }

    /// Tells whether a reading went wrong.
    ///
    /// # Errors
    /// The first [`FileError`] since the last call.
    pub fn failure(&self) -> Result<(), FileError> {
        let failed = self.failed.lock().ok().and_then(|mut failed| failed.take());
        failed.map_or(Ok(()), Err)
    }
}

/// The triples of a split: in memory, or on disk.
#[derive(Debug)]
pub enum SplitTriples {
    /// In memory.
    Here(Triples),
    /// On disk.
    Stored(StoredTriples),
}

impl SplitTriples {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Here(triples) => triples.len(),
            Self::Stored(stored) => stored.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The triple at a place; from disk, a reading each.
    pub fn get(&self, place: usize) -> [u32; 3] {
        match self {
            Self::Here(triples) => triples.get(place),
            Self::Stored(stored) => {
                stored.window(place..place + 1).iter().next().unwrap_or_default()
            }
        }
    }

    /// Those in memory.
    pub fn here(&self) -> Option<&Triples> {
        match self {
            Self::Here(triples) => Some(triples),
            Self::Stored(_) => None,
        }
    }

    /// Those on disk.
    pub fn stored(&self) -> Option<&StoredTriples> {
        match self {
            Self::Here(_) => None,
            Self::Stored(stored) => Some(stored),
        }
    }

    /// Calls `visit` with each in order. What cannot be read is passed over, and
    /// [`failure`](Self::failure) tells.
    pub fn for_each(&self, mut visit: impl FnMut([u32; 3])) {
        match self {
            Self::Here(triples) => triples.iter().for_each(visit),
            Self::Stored(stored) => {
                for first in (0..stored.len()).step_by(WINDOW) {
                    let window = stored.window(first..(first + WINDOW).min(stored.len()));
                    window.iter().for_each(&mut visit);
                }
            }
        }
    }

    /// Tells whether a reading went wrong.
    ///
    /// # Errors
    /// The first [`FileError`] since the last call.
    pub fn failure(&self) -> Result<(), FileError> {
        self.stored().map_or(Ok(()), StoredTriples::failure)
    }
}
