//! Files that are whole or absent: errors with a place, checksums, and writing beside.
//!
//! *Invariant:* a name that a user sees holds either the old whole content or the new whole
//! content: bytes are written under a `.partial` name, synced, and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// Why a file of ours could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}{}", path.display(), io_hint(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "read", "create" …
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error("{}: damaged at byte {offset}: {what}\nhint: restore the file from a copy, or make it anew", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damaged part starts.
        offset: u64,
        /// What does not hold.
        what: String,
    },
    /// Written by a later version.
    #[error("{}: format version {found}, this program reads up to {readable}\nhint: use the gossamer that wrote it, or a later one", path.display())]
    FormatTooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version that can be read.
        readable: u32,
    },
    /// The disk has no room for what was to be written.
    #[error("{}: {}\nhint: make room there; what was saved before is whole", path.display(), no_room(disk, *bytes))]
    Full {
        /// The file.
        path: PathBuf,
        /// Where it was to stand.
        disk: Disk,
        /// Its bytes, where they were known.
        bytes: Option<u64>,
    },
    /// A part that should be there is not.
    #[error("{}: {what}\nhint: {hint}", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// What is missing.
        what: String,
        /// The next step.
        hint: String,
    },
    /// The target is there already and was not to be replaced.
    #[error("{}: is there already\nhint: name another folder, or replace it with --force", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
}

fn io_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "\nhint: check the path",
        io::ErrorKind::PermissionDenied => "\nhint: check who may read and write there",
        _ => "",
    }
}

/// What the bytes of a file miss on its disk.
fn no_room(disk: &Disk, bytes: Option<u64>) -> String {
    let (root, left) = (disk.root.display(), disk.left);
    match (bytes, left) {
        (Some(bytes), Some(left)) if left < bytes => {
            let missing = bytes - left;
            format!(
                "its {bytes} bytes do not fit the disk at {root}: {left} are left, {missing} are missing"
            )
        }
        (Some(bytes), _) => format!("its {bytes} bytes did not fit the disk at {root}"),
        (None, Some(left)) => format!("the disk at {root} is full: {left} bytes are left"),
        (None, None) => format!("the disk at {root} is full"),
    }
}

impl FileError {
    /// For `map_err`: the system refused `action` on `path`.
    pub fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_path_buf(), disk: Disk::of(path), bytes: None }
            }
            _ => Self::Io { path: path.to_path_buf(), action, source },
        }
    }

    /// The same failure; where it is that of a full disk, with the file and all its bytes. What was
    /// written of them should be gone, so that what is left of the disk is true.
    pub fn full(error: Self, path: &Path, bytes: u64) -> Self {
        match error {
            Self::Full { .. } => {
                let (path, disk) = (path.to_path_buf(), Disk::of(path));
                Self::Full { path, disk, bytes: Some(bytes) }
            }
            other => other,
        }
    }

    /// Bytes at `offset` of `path` are not those that were written.
    pub fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), offset, what: what.into() }
    }
}

/// The checksum used everywhere: XXH3, 64 bits.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Where the bytes of `target` are written until they are whole: `.NAME.partial` beside it.
pub fn partial_path(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.partial"))
}

/// Writes `bytes` under `target`, whole or not at all.
///
/// # Errors
/// [`FileError::Io`]; the old content then stays.
pub fn write_whole(target: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut out = Whole::create(target)?;
    out.write_all(bytes).map_err(FileError::io("write", target))?;
    out.finish()
}

/// A file that is written piece by piece and takes the place of what was there when it is finished;
/// one that never is leaves nothing.
#[derive(Debug)]
pub struct Whole {
    out: BufWriter<File>,
    target: PathBuf,
    finished: bool,
}

impl Whole {
    /// Begins one.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let partial = partial_path(target);
        let file = File::create(&partial).map_err(FileError::io("create", &partial))?;
        let out = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { out, target: target.to_path_buf(), finished: false })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// [`FileError::Io`]; the old content then stays.
    pub fn finish(mut self) -> Result<(), FileError> {
        let target = &self.target;
        self.out.flush().map_err(FileError::io("write", target))?;
        self.out.get_ref().sync_all().map_err(FileError::io("sync", target))?;
        fs::rename(partial_path(target), target).map_err(FileError::io("rename", target))?;
        self.finished = true;
        sync_parent(target)
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(partial_path(&self.target));
        }
    }
}

/// Makes a rename in the parent folder last through a power cut, where the system can.
///
/// # Errors
/// [`FileError::Io`].
pub fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if cfg!(unix) {
        let folder = File::open(parent).map_err(FileError::io("open", parent))?;
        folder.sync_all().map_err(FileError::io("sync", parent))?;
    }
    Ok(())
}

/// The whole content of a small file.
///
/// # Errors
/// [`FileError::Io`].
pub fn read_whole(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(FileError::io("open", path))?;
    file.read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    Ok(bytes)
}

/// Fills `out` from `offset` on, without moving any cursor.
///
/// # Errors
/// [`FileError::Corrupt`] when the file ends first, [`FileError::Io`] otherwise.
pub fn read_at(file: &File, path: &Path, offset: u64, out: &mut [u8]) -> Result<(), FileError> {
    #[cfg(unix)]
    let result = std::os::unix::fs::FileExt::read_exact_at(file, out, offset);
    #[cfg(windows)]
    let result = {
        use std::os::windows::fs::FileExt;
        let mut done = 0;
        loop {
            if done == out.len() {
                break Ok(());
            }
            match file.seek_read(&mut out[done..], offset + done as u64) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(n) => done += n,
                Err(error) => break Err(error),
            }
        }
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(FileError::corrupt(path, offset, format!("{} bytes expected here", out.len())))
        }
        other => other.map_err(FileError::io("read", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_short_read_names_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"three").unwrap();
        assert_eq!(read_whole(&path).unwrap(), b"three");
        assert!(!partial_path(&path).exists());
        let mut begun = Whole::create(&path).unwrap();
        begun.write_all(b"four and").unwrap();
        begun.flush().unwrap();
        assert_eq!(read_whole(&partial_path(&path)).unwrap(), b"four and");
        drop(begun);
        assert_eq!(read_whole(&path).unwrap(), b"three");
        assert!(!partial_path(&path).exists());
        let file = File::open(&path).unwrap();
        let error = read_at(&file, &path, 3, &mut [0; 9]).unwrap_err();
        assert!(matches!(error, FileError::Corrupt { offset: 3, .. }));
    }

    #[test]
    fn a_full_disk_is_told_with_what_is_left_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part-3");
        let failed = |kind: io::ErrorKind| FileError::io("write", &path)(kind.into());
        let full = failed(io::ErrorKind::StorageFull).to_string();
        let disk = Disk::of(&path).root;
        let wanted = format!("{}: the disk at {} is full: ", path.display(), disk.display());
        assert!(full.starts_with(&wanted), "{full}");
        let huge = FileError::full(failed(io::ErrorKind::StorageFull), &path, 1 << 60).to_string();
        assert!(huge.contains(": its 1152921504606846976 bytes do not fit the disk at "), "{huge}");
        assert!(huge.contains(" are missing\nhint: make room there"), "{huge}");
        let other = FileError::full(failed(io::ErrorKind::PermissionDenied), &path, 77);
        assert!(matches!(other, FileError::Io { .. }));
        let disk = Disk { root: "/data".into(), left: Some(30) };
        let missing = "its 77 bytes do not fit the disk at /data: 30 are left, 47 are missing";
        assert_eq!(no_room(&disk, Some(77)), missing);
        assert_eq!(no_room(&disk, Some(20)), "its 20 bytes did not fit the disk at /data");
    }
}
