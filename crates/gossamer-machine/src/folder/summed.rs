//! Files that are summed while they are written, so that sealing need not read them again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::BLOCK_BYTES;
use crate::file::FileError;

/// The checksums of a file of form `bytes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(pub(super) Vec<u64>);

/// Checksums of bytes that come one after the other.
#[derive(Default)]
pub struct Summing {
    hash: Box<Xxh3>,
    in_block: u64,
    sums: Vec<u64>,
}

impl Summing {
    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = bytes.len().min((BLOCK_BYTES - self.in_block) as usize);
            let (now, later) = bytes.split_at(n);
            self.hash.update(now);
            self.in_block += n as u64;
            bytes = later;
            if self.in_block == BLOCK_BYTES {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        self.sums.push(self.hash.digest());
        self.hash.reset();
        self.in_block = 0;
    }

    /// The checksums of all that came.
    pub fn finish(mut self) -> Sums {
        if self.in_block > 0 {
            self.end_block();
        }
        Sums(self.sums)
    }
}

/// A file being written.
pub struct SummedFile {
    path: PathBuf,
    file: File,
    summing: Summing,
}

impl SummedFile {
    /// Begins a file.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = File::create(path).map_err(FileError::io("create", path))?;
        Ok(Self { path: path.to_path_buf(), file, summing: Summing::default() })
    }

    /// Writes bytes at its end.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(FileError::io("write", &self.path))?;
        self.summing.push(bytes);
        Ok(())
    }

    /// Its checksums.
    pub fn finish(self) -> Sums {
        self.summing.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_sums;
    use super::*;

    #[test]
    fn sums_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for n in [0, 5, BLOCK_BYTES, 2 * BLOCK_BYTES + 77] {
            let bytes: Vec<u8> = (0..n).map(|i| ((i * i) >> 3) as u8).collect();
            let mut file = SummedFile::create(&path).unwrap();
            bytes.chunks(70_001).for_each(|part| file.write(part).unwrap());
            assert_eq!(file.finish().0, block_sums(&path, n).unwrap());
        }
    }
}
