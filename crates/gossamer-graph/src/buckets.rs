//! Buckets: triples kept on disk by the parts of the graph that their entities belong to.
//!
//! What is learned from a part of the entities at a time reads its triples bucket by bucket. A
//! bucket with many triples is cut into pieces at random, so that one piece is in memory at a time
//! and none has only the first heads.
//!
//! *Invariant:* each triple stands in one piece, and the pieces are a function of the graph, the
//! buckets and the address; a piece that is read back with other bytes is refused.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use gossamer_machine::file::{checksum, read_at};
use gossamer_machine::folder::remove_folder;
use gossamer_machine::random::Address;
use gossamer_machine::{FileError, Observer, Progress};

use crate::id::Split;
use crate::snapshot::Snapshot;
use crate::triples::Triples;

/// Triples of a record that is written at once: 16 KiB of them.
const RECORD: usize = 1 << 10;
/// Words of a triple: head, relation, tail, and the bits of its weight.
const WORDS: usize = 4;

/// Some triples of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bucket.
    pub bucket: usize,
    /// How many triples.
    pub n: u64,
    /// The checksum of each record.
    sums: Vec<u64>,
}

/// The triples of a split, by bucket.
#[derive(Debug)]
pub struct Buckets {
    folder: PathBuf,
    weighted: bool,
    pieces: Vec<Piece>,
}

/// How triples are cut into buckets and pieces.
pub struct Cut<'a> {
    /// How many buckets.
    pub n_buckets: usize,
    /// The bucket of the triple with this number, head and tail.
    pub bucket: &'a dyn Fn(u64, u32, u32) -> usize,
    /// Triples of a piece, about.
    pub most: u64,
    /// Of the random numbers that choose a triple's piece.
    pub address: Address,
}

impl Buckets {
    /// Bytes of a piece of `most` triples while it is read, and of what is written at a time to the
    /// pieces of all buckets.
    pub fn bytes_for(n_buckets: u64, n_triples: u64, most: u64) -> u64 {
        let n_pieces = n_buckets + n_triples / most.max(1);
        let record = (4 * WORDS * RECORD) as u64;
        // Sizes of pieces vary by some deviations; rows stand beside their columns.
        let largest = most.min(n_triples) + 6 * most.isqrt();
        (n_pieces * record).max(largest * (16 + Triples::bytes_for(1, true)))
    }

    /// Writes the triples of a split into a folder of their own, which is made anew.
    ///
    /// # Errors
    /// [`FileError`]; the folder is gone then.
    pub fn write(
        graph: &Snapshot,
        split: Split,
        folder: &Path,
        cut: &Cut<'_>,
        observer: &dyn Observer,
    ) -> Result<Self, FileError> {
        Self::write_all(graph, split, folder, cut, observer).map_err(|error| {
            let _ = remove_folder(folder);
            let bytes = graph.n_triples(split).unwrap_or(0) * (4 * WORDS) as u64;
            FileError::full(error, folder, bytes)
        })
    }

    fn write_all(
        graph: &Snapshot,
        split: Split,
        folder: &Path,
        cut: &Cut<'_>,
        observer: &dyn Observer,
    ) -> Result<Self, FileError> {
        remove_folder(folder)?;
        fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
        let total = 2 * graph.n_triples(split)?;
        let mut done = 0;
        let tell = |n: &mut u64| {
            *n += 1;
            if n.is_multiple_of(1 << 20) {
                let (stage, unit, detail) = ("sorting into buckets", "triples", "");
                observer.progress(&Progress { stage, done: *n, total, unit, detail });
            }
        };
        let mut counts = vec![0u64; cut.n_buckets];
        let mut number = 0u64;
        graph.for_each_triple(split, |[head, _, tail]| {
            counts[(cut.bucket)(number, head, tail)] += 1;
            number += 1;
            tell(&mut done);
        })?;
        let (mut firsts, mut pieces) = (Vec::new(), Vec::new());
        for (bucket, n) in counts.iter().enumerate() {
            firsts.push(pieces.len());
            let of_bucket = || Piece { bucket, n: 0, sums: Vec::new() };
            let n_pieces = n.div_ceil(cut.most.max(1));
            pieces.extend((0..n_pieces).map(|_| of_bucket()));
        }
        firsts.push(pieces.len());
        let paths = (0..pieces.len()).map(|piece| folder.join(piece.to_string()));
        let mut writers: Vec<Writer> = paths.map(Writer::create).collect::<Result<_, _>>()?;
        let mut number = 0u64;
        graph.for_each_row(split, |row| {
            let [head, relation, tail] = row.triple;
            let bucket = (cut.bucket)(number, head, tail);
            let (first, end) = (firsts[bucket], firsts[bucket + 1]);
            let n = (end - first) as u64;
            let place = cut.address.below(n, number as u32, (number >> 32) as u32);
            number += 1;
            tell(&mut done);
            let weight = row.weight.unwrap_or(1.0).to_bits();
            let piece = first + place as usize;
            pieces[piece].n += 1;
            writers[piece].push([head, relation, tail, weight], &mut pieces[piece].sums)
        })?;
        for (writer, piece) in writers.iter_mut().zip(&mut pieces) {
            writer.flush(&mut piece.sums)?;
        }
        let weighted = graph.weighted(split)?;
        Ok(Self { folder: folder.to_path_buf(), weighted, pieces })
    }

    /// The pieces, bucket by bucket.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The triples of a piece, sorted.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] when they are not those that were written.
    pub fn read(&self, piece: usize) -> Result<Triples, FileError> {
        let path = self.folder.join(piece.to_string());
        let file = File::open(&path).map_err(FileError::io("read", &path))?;
        let Piece { n, sums, .. } = &self.pieces[piece];
        let mut rows = vec![[0u32; WORDS]; *n as usize];
        for (place, (record, sum)) in rows.chunks_mut(RECORD).zip(sums).enumerate() {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(record);
            let offset = (place * RECORD * WORDS * 4) as u64;
            read_at(&file, &path, offset, bytes)?;
            if checksum(bytes) != *sum {
                let what = "the checksum of these triples does not match";
                return Err(FileError::corrupt(&path, offset, what));
            }
        }
        rows.sort_unstable();
        let column = |place: usize| rows.iter().map(|row| row[place]).collect();
        let weights = || rows.iter().map(|row| f32::from_bits(row[3])).collect();
        Ok(Triples {
            heads: column(0),
            relations: column(1),
            tails: column(2),
            weights: self.weighted.then(weights),
        })
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // They are made anew by whoever needs them again.
        let _ = remove_folder(&self.folder);
    }
}

/// The file of a piece being written.
struct Writer {
    path: PathBuf,
    record: Vec<[u32; WORDS]>,
}

impl Writer {
    fn create(path: PathBuf) -> Result<Self, FileError> {
        File::create(&path).map_err(FileError::io("create", &path))?;
        Ok(Self { path, record: Vec::new() })
    }

    fn push(&mut self, row: [u32; WORDS], sums: &mut Vec<u64>) -> Result<(), FileError> {
        self.record.push(row);
        if self.record.len() == RECORD { self.flush(sums) } else { Ok(()) }
    }

    /// Appends what is there. The file is opened for it: there may be more pieces than a process
    /// may hold open.
    fn flush(&mut self, sums: &mut Vec<u64>) -> Result<(), FileError> {
        if self.record.is_empty() {
            return Ok(());
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.record);
        sums.push(checksum(bytes));
        let file = File::options().append(true).open(&self.path);
        let mut file = BufWriter::new(file.map_err(FileError::io("write", &self.path))?);
        let written = file.write_all(bytes).and_then(|()| file.flush());
        written.map_err(FileError::io("write", &self.path))?;
        self.record.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Purpose, Silent};

    use crate::import::{ImportRequest, import};

    #[test]
    fn each_triple_stands_in_one_piece_of_its_bucket_and_a_flipped_byte_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let rows = (0..9000).map(|i| format!("e{}\tr{}\te{}\t{}\n", i % 97, i % 3, i % 89, i % 5));
        let text = String::from("head\trelation\ttail\tweight\n") + &rows.collect::<String>();
        fs::write(root.path().join("facts.tsv"), text).unwrap();
        let sources = vec![root.path().join("facts.tsv")];
        let request = ImportRequest { sources, ..ImportRequest::default() };
        import(&request, &root.path().join("graph"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let cut = Cut {
            n_buckets: 4,
            bucket: &|_, head, tail| (head % 2 + tail % 2 * 2) as usize,
            most: 1000,
            address: Address::new(3, Purpose::Partition, 1),
        };
        let folder = root.path().join("buckets");
        let buckets = Buckets::write(&graph, Split::Train, &folder, &cut, &Silent).unwrap();
        let whole = graph.triples(Split::Train).unwrap();
        assert!(buckets.pieces().len() >= 8 && whole.weights.is_some());
        let mut found = Vec::new();
        for (place, piece) in buckets.pieces().iter().enumerate() {
            let triples = buckets.read(place).unwrap();
            assert_eq!(triples.len() as u64, piece.n);
            for row in 0..triples.len() {
                let [head, _, tail] = triples.get(row);
                assert_eq!((cut.bucket)(0, head, tail), piece.bucket);
                found.push((triples.get(row), triples.weight(row).to_bits()));
            }
        }
        found.sort_unstable();
        let all: Vec<_> =
            (0..whole.len()).map(|i| (whole.get(i), whole.weight(i).to_bits())).collect();
        assert!(found == all);
        let path = folder.join("2");
        let mut bytes = fs::read(&path).unwrap();
        bytes[70] ^= 4;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(buckets.read(2), Err(FileError::Corrupt { offset: 0, .. })));
        drop(buckets);
        assert!(!folder.exists());
    }
}
