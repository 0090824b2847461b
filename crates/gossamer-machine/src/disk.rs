//! What a disk has left, for those whose bytes did not fit.

use std::path::{Path, PathBuf};

/// A disk, named by the folder where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it begins: on Unix the folder it is mounted on.
    pub root: PathBuf,
    /// Bytes that may still be written to it, if the system says so.
    pub left: Option<u64>,
}

impl Disk {
    /// The disk that a path is on; the path itself need not be there.
    pub fn of(path: &Path) -> Self {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let there = whole.ancestors().find(|folder| folder.exists()).unwrap_or(&whole);
        Self { root: root(there), left: fs4::available_space(there).ok() }
    }
}

/// The highest folder above a path that is still on the same device.
#[cfg(unix)]
fn root(path: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().ok().map(|about| about.dev());
    let on = device(path);
    let same = path.ancestors().take_while(|folder| device(folder) == on);
    same.last().unwrap_or(path).to_path_buf()
}

/// The drive of a path.
#[cfg(not(unix))]
fn root(path: &Path) -> PathBuf {
    path.ancestors().last().unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_there_yet_is_on_the_disk_of_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        let of_folder = Disk::of(folder.path());
        assert!(folder.path().starts_with(&of_folder.root), "{of_folder:?}");
        assert_eq!(Disk::of(&folder.path().join("a/b/c")).root, of_folder.root);
        assert!(of_folder.left.is_some_and(|left| left > 0), "{of_folder:?}");
    }
}
