//! Things: whatever has a name while a graph is being built, and which of it is in a triple.
//!
//! A source may label or describe a thing long before, or without ever, putting it in a triple; only
//! what stands in a triple becomes an entity. Names fill the room they are given; then they are
//! written out as a *generation*, sorted, and names begin anew: one that comes again is another
//! thing, until [`Naming`] finds them to be the same.
//!
//! *Invariant:* things are numbered as they come, so a generation's are a range.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use gossamer_machine::FileError;

use super::naming::Naming;
use super::sorter::{read_u32, write_u32};
use super::vocab::Vocab;
use crate::error::GraphError;
use crate::room::Room;

/// Bytes of the buffer through which a generation is read or written while all are.
pub const NAMES_BYTES: usize = 1 << 14;

/// Names being collected, each with whether it stands in a triple.
#[derive(Debug)]
pub struct Things {
    folder: PathBuf,
    room: Room,
    names: Vocab,
    in_triple: Vec<bool>,
    /// The first thing of each generation; the last one's is in memory.
    firsts: Vec<u32>,
}

impl Things {
    /// None; generations will lie in `folder`.
    pub fn new(folder: &Path, room: Room) -> Self {
        Self {
            folder: folder.to_path_buf(),
            room,
            names: Vocab::new(),
            in_triple: Vec::new(),
            firsts: vec![0],
        }
    }

    fn first(&self) -> u32 {
        self.firsts.last().copied().unwrap_or(0)
    }

    /// The thing of a name, new or known in this generation.
    pub fn intern(&mut self, name: &str) -> u32 {
        let place = self.names.intern(name);
        if place as usize == self.in_triple.len() {
            self.in_triple.push(false);
        }
        self.first() + place
    }

    /// The thing of a name that stands in a triple.
    pub fn in_triple(&mut self, name: &str) -> u32 {
        let (thing, first) = (self.intern(name), self.first());
        self.in_triple[(thing - first) as usize] = true;
        thing
    }

    /// Writes a generation out if names have outgrown their room; true if so. Asked for between
    /// rows, so that all things of a row are of one generation.
    ///
    /// # Errors
    /// Those of writing; [`GraphError::Request`] beyond the four billion names that ids can tell
    /// apart.
    pub fn settle(&mut self) -> Result<bool, GraphError> {
        /// Fewer names of a row than this are left room for.
        const ROW: usize = 1 << 10;
        if self.names.is_empty() || self.names.bytes() < self.room.names() {
            return Ok(false);
        }
        let next = self.first() as usize + self.names.len();
        if next + ROW > u32::MAX as usize {
            return Err(GraphError::Request {
                what: "the sources have more than 4,294,000,000 names".into(),
                hint: "names that come again in another part of a source count again; give more \
                       room with --budget"
                    .into(),
            });
        }
        self.spill()?;
        self.firsts.push(next as u32);
        Ok(true)
    }

    fn spill(&mut self) -> Result<(), FileError> {
        let path = generation_path(&self.folder, self.firsts.len() - 1);
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        let names = std::mem::take(&mut self.names);
        for place in names.order() {
            let namesake = Namesake {
                name: names.name(place).into(),
                thing: self.first() + place,
                in_triple: self.in_triple[place as usize],
            };
            namesake.write(&mut file).map_err(FileError::io("write", &path))?;
        }
        self.names = Vocab::new();
        self.in_triple = Vec::new();
        file.flush().map_err(FileError::io("write", &path))
    }

    /// Finds the entities, and which of the things are among these relations.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn named(mut self, relations: &Vocab) -> Result<Naming, FileError> {
        let n_things = self.first() + self.names.len() as u32;
        self.spill()?;
        let mut firsts = std::mem::take(&mut self.firsts);
        firsts.push(n_things);
        let generations = (0..firsts.len() - 1)
            .map(|number| Generation::open(&generation_path(&self.folder, number)));
        let generations = generations.collect::<Result<_, _>>()?;
        Naming::new(&self.folder, firsts, generations, (relations, self.room))
    }
}

fn generation_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!(".names-{number}"))
}

/// A thing by its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namesake {
    /// The name.
    pub name: Box<str>,
    /// The thing.
    pub thing: u32,
    /// True if it stands in a triple.
    pub in_triple: bool,
}

impl Namesake {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_u32(out, self.name.len() as u32)?;
        out.write_all(self.name.as_bytes())?;
        write_u32(out, self.thing)?;
        out.write_all(&[u8::from(self.in_triple)])
    }
}

/// The things of a generation on disk, by name; the file goes when they were read.
#[derive(Debug)]
pub struct Generation {
    path: PathBuf,
    file: BufReader<File>,
}

impl Generation {
    fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        Ok(Self { path: path.to_path_buf(), file: BufReader::with_capacity(NAMES_BYTES, file) })
    }

    /// The next thing.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self) -> Result<Option<Namesake>, FileError> {
        let Self { path, file } = self;
        let mut read = || {
            if file.fill_buf()?.is_empty() {
                return Ok(None);
            }
            let mut name = vec![0; read_u32(file)? as usize];
            file.read_exact(&mut name)?;
            let name = String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?.into();
            let (thing, mut flag) = (read_u32(file)?, [0]);
            file.read_exact(&mut flag)?;
            Ok(Some(Namesake { name, thing, in_triple: flag[0] == 1 }))
        };
        read().map_err(FileError::io("read", path))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // What stays behind stands in a draft, which is swept with it.
        let _ = fs::remove_file(&self.path);
    }
}
