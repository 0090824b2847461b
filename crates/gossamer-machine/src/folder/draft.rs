//! Folders being written, and what they replace.
//!
//! *Invariant:* a folder is either whole under its name or gone, whenever a process ends; one that
//! fails to become whole leaves nothing; only folders of ours are ever replaced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Folder, MANIFEST, Sums, seal_with};
use crate::file::{FileError, partial_path, sync_parent};

/// A folder being written, beside its target.
#[derive(Debug)]
pub struct Draft {
    kind: &'static str,
    target: PathBuf,
    folder: PathBuf,
}

impl Draft {
    /// Starts a folder of this kind beside `target`. What an earlier, killed writer left there is
    /// removed.
    ///
    /// # Errors
    /// [`FileError::Exists`] when there is something under `target` and `replace` is false.
    pub fn create(kind: &'static str, target: &Path, replace: bool) -> Result<Self, FileError> {
        let empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
        if target.exists() && !replace && !empty {
            return Err(FileError::Exists { path: target.to_path_buf() });
        }
        refuse_strange(target)?;
        let folder = partial_path(target);
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(FileError::io("create", &folder))?;
        Ok(Self { kind, target: target.to_path_buf(), folder })
    }

    /// Where a file of the folder is to be written.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where files lie until then.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Seals the folder and gives it its name.
    ///
    /// # Errors
    /// [`FileError`]; then nothing stands under the target, or what stood there before.
    pub fn finish(self, notes: &BTreeMap<String, String>) -> Result<Folder, FileError> {
        self.finish_summed(notes, &BTreeMap::new())
    }

    /// The same, with the checksums of some of its files, which are not read again.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub fn finish_summed(
        self,
        notes: &BTreeMap<String, String>,
        sums: &BTreeMap<String, Sums>,
    ) -> Result<Folder, FileError> {
        seal_with(self.kind, &self.folder, notes, sums)?;
        let old = set_aside(&self.target)?;
        fs::rename(&self.folder, &self.target).map_err(FileError::io("rename", &self.target))?;
        old.as_deref().map_or(Ok(()), remove_folder)?;
        sync_parent(&self.target)?;
        Folder::open(self.kind, &self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // One that is finished has another name by now.
        let _ = remove_folder(&self.folder);
    }
}

/// Refuses to replace what is no folder of ours: a file, or a folder in which we have never sealed
/// or begun anything.
fn refuse_strange(target: &Path) -> Result<(), FileError> {
    let Ok(entries) = fs::read_dir(target) else {
        return if target.exists() { Err(strange(target)) } else { Ok(()) };
    };
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ours = |name: String| {
        let draft = name.starts_with('.') && name.ends_with(".partial");
        let begun = draft || name == MANIFEST || name.starts_with("checkpoint-");
        begun || target.join(&name).join(MANIFEST).is_file()
    };
    let empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    if empty || names.any(ours) { Ok(()) } else { Err(strange(target)) }
}

fn strange(target: &Path) -> FileError {
    FileError::Missing {
        path: target.to_path_buf(),
        what: "is there, and is no folder that gossamer made".into(),
        hint: "name another folder; --force replaces only graphs and runs".into(),
    }
}

/// Gives a folder a hidden name beside its own, `.NAME.replaced`, and returns it; none if there is
/// no such folder. So a folder is either whole under its name or gone, whenever a process ends.
///
/// # Errors
/// [`FileError::Io`].
pub fn set_aside(folder: &Path) -> Result<Option<PathBuf>, FileError> {
    if !folder.exists() {
        return Ok(None);
    }
    refuse_strange(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!(".{name}.replaced"));
    remove_folder(&aside)?;
    fs::rename(folder, &aside).map_err(FileError::io("rename", folder))?;
    Ok(Some(aside))
}

/// Removes a folder and what is in it, if it is there.
///
/// # Errors
/// [`FileError::Io`].
pub fn remove_folder(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(FileError::io("remove", folder)),
    }
}

/// Gives a file of one folder to another without copying where the system can; files of ours never
/// change under their name, so sharing is safe.
///
/// # Errors
/// [`FileError::Io`].
pub fn share(from: &Path, to: &Path) -> Result<(), FileError> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).map_err(FileError::io("copy into place", to))?;
    }
    Ok(())
}
