//! What goes on beside the learning in a turn: parts that left are written, and those that come are
//! read into their memory.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use gossamer_machine::FileError;
use gossamer_machine::folder::Sums;

use super::file::{Moved, read, write};
use crate::table::Table;
use crate::table::shelf::{Parts, Source};

/// A part that was read ahead of its turn, or memory for one: it is not given back, since the
/// system's allocator would not find it again from another thread.
pub type Ahead = (Option<usize>, Moved);

/// What is done with the memory of one part.
pub struct Errand {
    /// The part whose rows are there and are to be written; none where their file has them.
    pub write: Option<usize>,
    /// The part that is read then, where it stands, and its sums.
    pub read: Option<(usize, Source, Sums)>,
    /// The memory.
    pub moved: Moved,
}

/// What a turn has done.
#[derive(Debug, Default)]
pub struct Done {
    /// The parts that were written, where they stand now, and their sums.
    pub written: Vec<(usize, Arc<File>, Sums)>,
    /// What was read.
    pub ahead: Vec<Ahead>,
}

impl Errand {
    /// Of memory in which nothing is worth keeping.
    pub fn of_room(moved: Moved) -> Self {
        Self { write: None, read: None, moved }
    }
}

/// Runs errands one after the other; `sizes` are tables of no panels, of the kinds of the parts'.
///
/// # Errors
/// [`FileError`].
pub fn run(
    errands: Vec<Errand>,
    folder: &Path,
    parts: &Parts,
    sizes: &[Table; 2],
) -> Result<Done, FileError> {
    let mut done = Done::default();
    for Errand { write: leaves, read: comes, mut moved } in errands {
        if let Some(part) = leaves {
            let (file, sums) = write(folder, part, &moved)?;
            done.written.push((part, file, sums));
        }
        if let Some((part, source, sums)) = &comes {
            let sizes = [&sizes[0], &sizes[1]];
            moved = read((source, sums), sizes, parts.panels(*part), moved)?;
        }
        done.ahead.push((comes.map(|(part, ..)| part), moved));
    }
    Ok(done)
}
