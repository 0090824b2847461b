//! Facts on their way to columns: sorted outside memory, joined where they repeat a triple.
//!
//! Facts fill a buffer of fixed size; a full one is sorted and written as a run beside the graph.
//! At the end the runs are merged, so memory does not grow with the graph.
//!
//! *Invariant:* facts come out by split, head, relation, tail; of those that repeat a triple of
//! their split the first that says a weight or a time counts, and all their named graphs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use gossamer_machine::FileError;

use crate::id::Split;
use crate::snapshot::NO_TIME;

/// Facts in memory before they become a run: 64 MiB.
const BUFFER: usize = 4 << 20;
/// A key's lowest bits: the place of what the fact says beside its triple.
const EXTRA_BITS: u32 = 30;
const NO_EXTRA: u128 = (1 << EXTRA_BITS) - 1;
/// Stands for "no named graph".
const NO_GRAPH: u32 = u32::MAX;

/// What a fact says beside its triple.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extra {
    /// Weight, where one is said.
    pub weight: Option<f32>,
    /// Start of validity, or [`NO_TIME`].
    pub from: i64,
    /// End of validity, or [`NO_TIME`].
    pub until: i64,
    /// The named graph.
    pub graph: Option<u32>,
}

/// A triple with everything that was said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its split.
    pub split: Split,
    /// Head, relation, tail.
    pub triple: [u32; 3],
    /// Weight.
    pub weight: f32,
    /// Start and end of validity.
    pub validity: [i64; 2],
    /// Its named graphs, ascending.
    pub graphs: Vec<u32>,
}

/// What any fact so far has said, so that a writer knows its columns before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Said {
    /// Facts.
    pub n_facts: u64,
    /// A weight other than 1.
    pub weight: bool,
    /// A start of validity.
    pub from: bool,
    /// An end of validity.
    pub until: bool,
}

/// Facts being collected.
pub struct Facts {
    folder: PathBuf,
    capacity: usize,
    keys: Vec<u128>,
    extras: Vec<Extra>,
    runs: Vec<PathBuf>,
    said: [Said; 3],
}

impl Facts {
    /// None yet; runs will lie in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::with_capacity(folder, BUFFER)
    }

    fn with_capacity(folder: &Path, capacity: usize) -> Self {
        let (folder, said) = (folder.to_path_buf(), [Said::default(); 3]);
        Self { folder, capacity, keys: Vec::new(), extras: Vec::new(), runs: Vec::new(), said }
    }

    /// What the facts of a split have said.
    pub fn said(&self, split: Split) -> Said {
        self.said[split as usize]
    }

    /// How many were pushed.
    pub fn len(&self) -> u64 {
        self.said.iter().map(|said| said.n_facts).sum()
    }

    /// True before the first one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a fact.
    ///
    /// # Errors
    /// Those of writing a run.
    pub fn push(
        &mut self,
        split: Split,
        triple: [u32; 3],
        extra: Option<Extra>,
    ) -> Result<(), FileError> {
        let said = &mut self.said[split as usize];
        said.n_facts += 1;
        let mut place = NO_EXTRA;
        if let Some(extra) = extra {
            said.weight |= extra.weight.is_some_and(|weight| weight != 1.0);
            said.from |= extra.from != NO_TIME;
            said.until |= extra.until != NO_TIME;
            place = self.extras.len() as u128;
            self.extras.push(extra);
        }
        self.keys.push(key(split, triple) << EXTRA_BITS | place);
        if self.keys.len() == self.capacity { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), FileError> {
        self.keys.sort_unstable();
        let path = self.folder.join(format!(".run-{}", self.runs.len()));
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        for key in self.keys.drain(..) {
            let extra = self.extras.get((key & NO_EXTRA) as usize).copied();
            write_record(&mut file, key, extra).map_err(FileError::io("write", &path))?;
        }
        file.flush().map_err(FileError::io("write", &path))?;
        self.extras.clear();
        self.runs.push(path);
        Ok(())
    }

    /// Calls `take` with every fact in order; may be called again. Returns how many facts repeated
    /// another.
    ///
    /// # Errors
    /// Those of reading runs, and of `take`.
    pub fn for_each<E: From<FileError>>(
        &mut self,
        mut take: impl FnMut(&Fact) -> Result<(), E>,
    ) -> Result<u64, E> {
        self.keys.sort_unstable();
        let mut sources = Vec::with_capacity(self.runs.len() + 1);
        for path in &self.runs {
            sources.push(Source::Run(Run::open(path)?));
        }
        sources.push(Source::Buffer { keys: &self.keys, extras: &self.extras });
        let (mut n, mut heap) = (0, BinaryHeap::new());
        let mut pending: Vec<Option<Extra>> = vec![None; sources.len()];
        for (number, source) in sources.iter_mut().enumerate() {
            if let Some((key, extra)) = source.next()? {
                pending[number] = extra;
                heap.push(Reverse((key, number)));
            }
        }
        let mut joined: Option<Joined> = None;
        while let Some(mut top) = heap.peek_mut() {
            let Reverse((key, number)) = *top;
            let extra = pending[number];
            match sources[number].next()? {
                Some((next, extra)) => {
                    pending[number] = extra;
                    *top = Reverse((next, number));
                    drop(top);
                }
                None => drop(PeekMut::pop(top)),
            }
            match &mut joined {
                Some(joined) if joined.key == key => joined.add(extra),
                _ => {
                    if let Some(whole) = joined.replace(Joined::new(key, extra)) {
                        n += 1;
                        take(&whole.fact)?;
                    }
                }
            }
        }
        if let Some(whole) = joined {
            n += 1;
            take(&whole.fact)?;
        }
        Ok(self.len() - n)
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        for path in &self.runs {
            // What stays behind stands in a draft, which is swept with it.
            let _ = fs::remove_file(path);
        }
    }
}

fn key(split: Split, [head, relation, tail]: [u32; 3]) -> u128 {
    let triple = u128::from(head) << 64 | u128::from(relation) << 32 | u128::from(tail);
    (split as u128) << 96 | triple
}

/// A fact with what its repetitions said so far.
struct Joined {
    key: u128,
    fact: Fact,
    said: bool,
}

impl Joined {
    fn new(key: u128, extra: Option<Extra>) -> Self {
        let split = Split::ALL[(key >> 96) as usize % 3];
        let triple = [(key >> 64) as u32, (key >> 32) as u32, key as u32];
        let (validity, graphs) = ([NO_TIME; 2], Vec::new());
        let fact = Fact { split, triple, weight: 1.0, validity, graphs };
        let mut joined = Self { key, fact, said: false };
        joined.add(extra);
        joined
    }

    fn add(&mut self, extra: Option<Extra>) {
        let Some(extra) = extra else { return };
        // A named graph alone says neither.
        let says = extra.weight.is_some() || [extra.from, extra.until] != [NO_TIME; 2];
        if says && !self.said {
            self.fact.weight = extra.weight.unwrap_or(1.0);
            self.fact.validity = [extra.from, extra.until];
            self.said = true;
        }
        if let Some(graph) = extra.graph
            && let Err(place) = self.fact.graphs.binary_search(&graph)
        {
            self.fact.graphs.insert(place, graph);
        }
    }
}

/// Facts in order, each with its key (without the place of its extra): those of the buffer, or a
/// run's.
enum Source<'a> {
    Buffer { keys: &'a [u128], extras: &'a [Extra] },
    Run(Run),
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<(u128, Option<Extra>)>, FileError> {
        match self {
            Self::Run(run) => run.next(),
            Self::Buffer { keys, extras } => Ok(keys
                .split_off_first()
                .map(|key| (key >> EXTRA_BITS, extras.get((key & NO_EXTRA) as usize).copied()))),
        }
    }
}

/// Bytes of a key in a run; 24 of what it says may follow.
const KEY_BYTES: usize = 16;

fn write_record(out: &mut impl Write, key: u128, extra: Option<Extra>) -> std::io::Result<()> {
    out.write_all(&key.to_le_bytes())?;
    if let Some(Extra { weight, from, until, graph }) = extra {
        // No weight that a source can say is NaN.
        out.write_all(&weight.unwrap_or(f32::NAN).to_le_bytes())?;
        out.write_all(&from.to_le_bytes())?;
        out.write_all(&until.to_le_bytes())?;
        out.write_all(&graph.unwrap_or(NO_GRAPH).to_le_bytes())?;
    }
    Ok(())
}

struct Run {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl Run {
    fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let left = file.metadata().map_err(FileError::io("read", path))?.len();
        let file = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_path_buf(), file, left })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FileError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(FileError::io("read", &self.path))?;
        self.left -= N as u64;
        Ok(bytes)
    }

    fn next(&mut self) -> Result<Option<(u128, Option<Extra>)>, FileError> {
        if self.left < KEY_BYTES as u64 {
            return Ok(None);
        }
        let key = u128::from_le_bytes(self.take()?);
        if key & NO_EXTRA == NO_EXTRA {
            return Ok(Some((key >> EXTRA_BITS, None)));
        }
        let weight = Some(f32::from_le_bytes(self.take()?)).filter(|weight| !weight.is_nan());
        let (from, until) = (i64::from_le_bytes(self.take()?), i64::from_le_bytes(self.take()?));
        let graph = Some(u32::from_le_bytes(self.take()?)).filter(|graph| *graph != NO_GRAPH);
        Ok(Some((key >> EXTRA_BITS, Some(Extra { weight, from, until, graph }))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pushed = (u8, [u32; 3], Option<(Option<f32>, Option<u32>)>);

    fn collected(facts: &[Pushed], capacity: usize) -> (Vec<Fact>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let mut collect = Facts::with_capacity(folder.path(), capacity);
        for (split, triple, extra) in facts {
            let extra = extra.map(|(weight, graph)| {
                let (from, until) = (NO_TIME, NO_TIME);
                Extra { weight, from, until, graph }
            });
            collect.push(Split::ALL[*split as usize], *triple, extra).unwrap();
        }
        let mut all = Vec::new();
        let mut repeated = 0;
        for _ in 0..2 {
            all.clear();
            repeated = collect
                .for_each(|fact| {
                    all.push(fact.clone());
                    Ok::<(), FileError>(())
                })
                .unwrap();
        }
        drop(collect);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a run was left behind");
        (all, repeated)
    }

    proptest! {
        #[test]
        fn any_buffer_gives_the_same_sorted_and_joined_facts(
            facts in prop::collection::vec(
                (0u8..3, [0u32..4, 0u32..2, 0u32..4],
                 prop::option::of((prop::option::of(0.1f32..2.0), prop::option::of(0u32..3)))),
                0..60,
            ),
            capacity in 1usize..20,
        ) {
            let (all, repeated) = collected(&facts, 1000);
            prop_assert_eq!(&collected(&facts, capacity), &(all.clone(), repeated));
            prop_assert_eq!(all.len() as u64 + repeated, facts.len() as u64);
            let order = |fact: &Fact| (fact.split, fact.triple);
            prop_assert!(all.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
            for fact in &all {
                let same = facts.iter().filter(|(split, triple, _)| {
                    (Split::ALL[*split as usize], *triple) == (fact.split, fact.triple)
                });
                let said: Vec<_> = same.filter_map(|(_, _, extra)| *extra).collect();
                let weight = said.iter().find_map(|said| said.0);
                prop_assert_eq!(fact.weight, weight.unwrap_or(1.0));
                let graphs: std::collections::BTreeSet<u32> =
                    said.iter().filter_map(|said| said.1).collect();
                prop_assert_eq!(&fact.graphs, &graphs.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
