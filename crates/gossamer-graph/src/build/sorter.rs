//! Records sorted outside memory: they fill a buffer of fixed size, a full one is sorted and written
//! as a run beside the graph, and at the end the runs are merged.
//!
//! *Invariant:* records come out by key, those of one key in the order in which they came (but those
//! without a payload after the others of their run); memory does not grow with their number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use gossamer_machine::FileError;

/// A record's lowest bits: where its payload begins in the buffer.
const PLACE_BITS: u32 = 30;
const NO_PAYLOAD: u128 = (1 << PLACE_BITS) - 1;

/// What a record holds beside its key.
pub trait Payload: Sized {
    /// Writes it.
    ///
    /// # Errors
    /// Those of writing.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// Those of reading.
    fn read(input: &mut dyn Read) -> io::Result<Self>;
}

/// Nothing.
impl Payload for () {
    fn write(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
    fn read(_input: &mut dyn Read) -> io::Result<Self> {
        Ok(())
    }
}

/// A text, and a number with it.
impl Payload for (u32, Box<str>) {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_u32(out, self.0)?;
        write_u32(out, self.1.len() as u32)?;
        out.write_all(self.1.as_bytes())
    }
    fn read(input: &mut dyn Read) -> io::Result<Self> {
        let (number, n) = (read_u32(input)?, read_u32(input)?);
        let mut text = vec![0; n as usize];
        input.read_exact(&mut text)?;
        let text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok((number, text.into()))
    }
}

/// Writes a number.
pub fn write_u32(out: &mut dyn Write, number: u32) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

/// Reads a number.
pub fn read_u32(input: &mut dyn Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Records being collected.
pub struct Sorter<P> {
    folder: PathBuf,
    /// What files of runs are called.
    name: &'static str,
    /// Bytes in memory before they become a run.
    room: usize,
    keys: Vec<u128>,
    /// Payloads as they are written.
    payloads: Vec<u8>,
    runs: Vec<PathBuf>,
    kind: PhantomData<P>,
}

impl<P: Payload> Sorter<P> {
    /// None yet; runs will lie in `folder`, under a name that no other sorter has there. `room`:
    /// bytes in memory.
    pub fn new(folder: &Path, name: &'static str, room: usize) -> Self {
        let (keys, payloads, runs) = (Vec::new(), Vec::new(), Vec::new());
        let folder = folder.to_path_buf();
        Self { folder, name, room, keys, payloads, runs, kind: PhantomData }
    }

    /// Another sorter in the same folder, of the same room, once this one's memory is given back.
    ///
    /// # Errors
    /// Those of writing a run.
    pub fn beside<Q: Payload>(&mut self, name: &'static str) -> Result<Sorter<Q>, FileError> {
        self.spill()?;
        Ok(Sorter::new(&self.folder, name, self.room))
    }

    /// Takes a record; keys have 98 bits.
    ///
    /// # Errors
    /// Those of writing a run.
    pub fn push(&mut self, key: u128, payload: Option<P>) -> Result<(), FileError> {
        let mut place = NO_PAYLOAD;
        if let Some(payload) = payload {
            place = self.payloads.len() as u128;
            payload.write(&mut self.payloads).map_err(FileError::io("write", &self.folder))?;
        }
        self.keys.push(key << PLACE_BITS | place);
        let bytes = self.keys.len() * size_of::<u128>() + self.payloads.len();
        if bytes >= self.room { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), FileError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.keys.sort_unstable();
        let path = self.folder.join(format!(".{}-{}", self.name, self.runs.len()));
        self.write(&path).map_err(|error| {
            let _ = fs::remove_file(&path);
            let bytes = self.keys.len() * size_of::<u128>() + self.payloads.len();
            FileError::full(error, &path, bytes as u64)
        })?;
        (self.keys, self.payloads) = (Vec::new(), Vec::new());
        self.runs.push(path);
        Ok(())
    }

    /// Writes what is there as one sorted run.
    fn write(&self, path: &Path) -> Result<(), FileError> {
        let file = File::create(path).map_err(FileError::io("create", path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        for record in &self.keys {
            file.write_all(&record.to_le_bytes())
                .and_then(|()| {
                    let payload = payload_at::<P>(&self.payloads, *record)?;
                    payload.map_or(Ok(()), |payload| payload.write(&mut file))
                })
                .map_err(FileError::io("write", path))?;
        }
        file.flush().map_err(FileError::io("write", path))
    }

    /// Calls `take` with every record in order; may be called again.
    ///
    /// # Errors
    /// Those of reading runs, and of `take`.
    pub fn for_each<E: From<FileError>>(
        &mut self,
        mut take: impl FnMut(u128, Option<P>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.keys.sort_unstable();
        let reading = (self.room / self.runs.len().max(1)).clamp(1 << 12, 1 << 18);
        let mut sources = Vec::with_capacity(self.runs.len() + 1);
        for path in &self.runs {
            sources.push(Source::Run(Run::open(path, reading)?));
        }
        sources.push(Source::Buffer { keys: &self.keys, payloads: &self.payloads });
        let mut heap = BinaryHeap::new();
        let mut pending: Vec<Option<P>> = Vec::with_capacity(sources.len());
        for (number, source) in sources.iter_mut().enumerate() {
            let (key, payload) = source.next()?.map_or((None, None), |(k, p)| (Some(k), p));
            heap.extend(key.map(|key| Reverse((key, number))));
            pending.push(payload);
        }
        while let Some(mut top) = heap.peek_mut() {
            let Reverse((key, number)) = *top;
            let payload = pending[number].take();
            match sources[number].next()? {
                Some((next, payload)) => {
                    pending[number] = payload;
                    *top = Reverse((next, number));
                    drop(top);
                }
                None => drop(PeekMut::pop(top)),
            }
            take(key, payload)?;
        }
        Ok(())
    }
}

impl<P> Drop for Sorter<P> {
    fn drop(&mut self) {
        for path in &self.runs {
            // What stays behind stands in a draft, which is swept with it.
            let _ = fs::remove_file(path);
        }
    }
}

/// The payload of a record in memory.
fn payload_at<P: Payload>(payloads: &[u8], record: u128) -> io::Result<Option<P>> {
    let place = record & NO_PAYLOAD;
    (place != NO_PAYLOAD).then(|| P::read(&mut &payloads[place as usize..])).transpose()
}

/// Records in order: those of the buffer, or a run's.
enum Source<'a> {
    Buffer { keys: &'a [u128], payloads: &'a [u8] },
    Run(Run),
}

impl Source<'_> {
    fn next<P: Payload>(&mut self) -> Result<Option<(u128, Option<P>)>, FileError> {
        let (keys, payloads) = match self {
            Self::Run(run) => return run.next(),
            Self::Buffer { keys, payloads } => (keys, payloads),
        };
        let Some(record) = keys.split_off_first() else { return Ok(None) };
        let payload = payload_at(payloads, *record);
        let payload = payload.map_err(FileError::io("read", Path::new("a buffer")))?;
        Ok(Some((record >> PLACE_BITS, payload)))
    }
}

struct Run {
    path: PathBuf,
    file: BufReader<File>,
}

impl Run {
    fn open(path: &Path, bytes: usize) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        Ok(Self { path: path.to_path_buf(), file: BufReader::with_capacity(bytes, file) })
    }

    fn next<P: Payload>(&mut self) -> Result<Option<(u128, Option<P>)>, FileError> {
        let Self { path, file } = self;
        let mut read = || {
            if file.fill_buf()?.is_empty() {
                return Ok(None);
            }
            let mut record = [0; 16];
            file.read_exact(&mut record)?;
            let record = u128::from_le_bytes(record);
            let own = record & NO_PAYLOAD != NO_PAYLOAD;
            let payload = own.then(|| P::read(file)).transpose()?;
            Ok(Some((record >> PLACE_BITS, payload)))
        };
        read().map_err(FileError::io("read", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_by_key_and_then_as_they_came(
            keys in prop::collection::vec(0u128..12, 0..60),
            room in 1usize..600,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(folder.path(), "run", room);
            for (place, key) in (0u32..).zip(&keys) {
                sorter.push(*key << 94, Some((place, "x".repeat(place as usize).into()))).unwrap();
            }
            let mut expected: Vec<(u128, u32)> = keys.into_iter().zip(0..).collect();
            expected.sort_unstable();
            for _ in 0..2 {
                let mut found = Vec::new();
                sorter.for_each(|key, payload: Option<(u32, Box<str>)>| {
                    let (place, text) = payload.unwrap_or_default();
                    assert_eq!(text.len(), place as usize);
                    found.push((key >> 94, place));
                    Ok::<(), FileError>(())
                }).unwrap();
                prop_assert_eq!(&found, &expected);
            }
            drop(sorter);
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
