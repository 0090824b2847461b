//! The file of a part: its rows panel by panel, then their optimiser's state.
//!
//! *Invariant:* a file is replaced, never changed; what is read back is what was written, or refused.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use gossamer_machine::FileError;
use gossamer_machine::file::partial_path;
use gossamer_machine::folder::{SummedFile, Summing, Sums};

use crate::table::Table;
use crate::table::shelf::{Loose, Source};

/// A part on its way: rows, then state.
pub type Moved = [Loose; 2];

/// The file of a part.
pub fn name(part: usize) -> String {
    format!("part-{part}")
}

/// Writes a part in place of its older file, which stays as long as someone shares it.
pub fn write(folder: &Path, part: usize, moved: &Moved) -> Result<(Arc<File>, Sums), FileError> {
    let path = folder.join(name(part));
    let partial = partial_path(&path);
    let write = || {
        let mut file = SummedFile::create(&partial)?;
        moved.iter().try_for_each(|loose| loose.for_each(|bytes| file.write(bytes)))?;
        Ok(file.finish())
    };
    let sums = write().map_err(|error| {
        let _ = fs::remove_file(&partial);
        let bytes = moved.iter().map(Loose::bytes).sum();
        FileError::full(error, &path, bytes)
    })?;
    fs::rename(&partial, &path).map_err(FileError::io("rename", &path))?;
    let file = File::open(&path).map_err(FileError::io("open", &path))?;
    Ok((Arc::new(file), sums))
}

/// Reads a part into memory that another one had; bytes that are not those that were written
/// are refused.
pub fn read(
    (source, sums): (&Source, &Sums),
    tables: [&Table; 2],
    panels: &[u32],
    mut room: Moved,
) -> Result<Moved, FileError> {
    let (mut offset, mut found) = (0, Summing::default());
    for (table, room) in tables.iter().zip(&mut room) {
        table.fit(room, panels);
        room.fill(|bytes| {
            gossamer_machine::file::read_at(&source.file, &source.path, offset, bytes)?;
            offset += bytes.len() as u64;
            found.push(bytes);
            Ok::<(), FileError>(())
        })?;
    }
    if found.finish() != *sums {
        let what = "this part is not what was written";
        return Err(FileError::corrupt(&source.path, 0, what));
    }
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_as_it_went_or_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let filled = |id: u32, row: &mut [f32]| row.fill(id as f32);
        let mut tables = [Table::filled(900, 3, filled), Table::filled(900, 1, filled)];
        let [rows, state] = &mut tables;
        let moved = [rows.take(&[1]), state.take(&[1])];
        let (file, sums) = write(root.path(), 0, &moved).unwrap();
        let path = root.path().join(name(0));
        let source = Source { file, path: path.clone(), start: 0 };
        let again = read((&source, &sums), [&tables[0], &tables[1]], &[1], moved).unwrap();
        let [rows, state] = &mut tables;
        let [of_rows, of_state] = again;
        rows.put(&[1], of_rows);
        state.put(&[1], of_state);
        assert_eq!(rows.row(600, &mut Vec::new()), [600.0; 3]);
        assert_eq!(state.row(899, &mut Vec::new()), [899.0]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[77] ^= 1;
        fs::write(&path, bytes).unwrap();
        let moved = [rows.take(&[1]), state.take(&[1])];
        let refused = read((&source, &sums), [&tables[0], &tables[1]], &[1], moved);
        assert!(matches!(refused, Err(FileError::Corrupt { .. })));
    }
}
