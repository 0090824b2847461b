//! Paged tables: learning from a few partitions of the entities at a time, the others on disk.
//!
//! Entity rows and their optimiser's state are cut into partitions of whole panels. An [`Order`]
//! says which partitions are in memory one after the other; what is learned there are the triples
//! of its bucket. At each turn one partition leaves and one comes. Where there is memory for one
//! more than an order asks for, both go on beside the learning: the one that left is written, and
//! the next is read into its place.
//!
//! | file | what |
//! |---|---|
//! | `.pages/part-K` | rows of partition K, panel by panel, then their state; a new file each time |
//! | `checkpoint-N/part-K` | the same file as it was then, shared where the system can |
//!
//! *Invariant:* how many partitions are in memory changes no byte of a result; a file is replaced,
//! never changed, so a checkpoint keeps what it shares and a process that ends at any moment goes
//! on from the last checkpoint.
//! *Paper:* Lerer et al.: PyTorch-BigGraph (SysML 2019); Mohoney et al.: Marius (OSDI 2021).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gossamer_machine::folder::{Draft, Sums, remove_folder, share};
use gossamer_machine::parallel::{Aside, Workers, aside};
use gossamer_machine::{FileError, Observer, Progress};

use crate::config::Config;
use crate::table::Table;
use crate::table::shelf::{Partitions, Shelf, Source};

pub mod negatives;
pub mod order;
mod file;

use file::{Moved, read, write};
use order::Order;

pub use file::name;

/// The folder of a run in which partitions stand.
const FOLDER: &str = ".pages";

/// Rows and their optimiser's state.
pub type Both<'a> = [&'a mut Table; 2];

/// What a turn left to be done beside the learning.
#[derive(Debug)]
struct Turn {
    /// The partition that was written, where it stands now, and its sums.
    written: Option<(usize, Arc<File>, Sums)>,
    /// The partition that was read, if one was, or memory for one: it is not given back, since the
    /// system's allocator would not find it again from another thread.
    ahead: Option<(Option<usize>, Moved)>,
}

/// The partitions of a run and where they are.
#[derive(Debug)]
pub struct Pages {
    /// Which panel is where.
    pub partitions: Arc<Partitions>,
    /// Who is in memory when.
    pub order: Order,
    /// How many partitions there is memory for.
    room_for: usize,
    folder: PathBuf,
    here: Vec<bool>,
    /// The set that is learned from.
    set: Vec<usize>,
    /// Those whose file is older than what is in memory.
    changed: Vec<bool>,
    sums: Vec<Sums>,
    turn: Option<Aside<Result<Turn, FileError>>>,
    /// The partition that was read ahead, or memory for one.
    ahead: Option<(Option<usize>, Moved)>,
}

impl Pages {
    /// Tables of no panel in memory, and where their partitions stand.
    fn new(
        run: &Path,
        [rows, state]: Both<'_>,
        ((partitions, order), n_rows): ((Partitions, Order), usize),
    ) -> Result<Self, FileError> {
        let (partitions, n) = (Arc::new(partitions), order.n_partitions());
        for table in [rows, state] {
            let shelf = Shelf::new(Arc::clone(&partitions));
            *table = table.clone().shelved(n_rows, shelf);
        }
        let folder = run.join(FOLDER);
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(FileError::io("create", &folder))?;
        Ok(Self {
            partitions,
            order,
            room_for: 0,
            folder,
            here: vec![false; n],
            set: Vec::new(),
            changed: vec![false; n],
            sums: vec![Sums::default(); n],
            turn: None,
            ahead: None,
        })
    }

    /// How a run's entity rows are cut, and the order in which the partitions meet.
    pub fn cut(config: &Config, n_entities: usize) -> (Partitions, Order) {
        let partitions = Partitions::mixed(n_entities, config.partitions, config.seed);
        (partitions, Order::new(config.partitions, config.in_memory))
    }

    /// Writes first values, partition by partition; `tables` are empty ones of the right kind.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn begin(
        run: &Path,
        [rows, state]: Both<'_>,
        cut: ((Partitions, Order), usize),
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
        (workers, observer): (&Workers, &dyn Observer),
    ) -> Result<Self, FileError> {
        let n_rows = cut.1;
        let mut pages = Self::new(run, [&mut *rows, &mut *state], cut)?;
        let partitions = Arc::clone(&pages.partitions);
        let (stage, unit, detail) = ("first values", "rows", "");
        let (mut done, total) = (0, n_rows as u64);
        // All are made in the same memory, which the first that is read takes over.
        let mut moved = [rows.no_panels(), state.no_panels()];
        for partition in 0..partitions.len() {
            observer.progress(&Progress { stage, done, total, unit, detail });
            done += partitions.n_rows(partition);
            let panels = partitions.panels(partition);
            rows.refill(&mut moved[0], panels, workers, fill);
            state.refill(&mut moved[1], panels, workers, &|_, _| {});
            let written = write(&pages.folder, partition, &moved)?;
            pages.stands([&mut *rows, &mut *state], partition, written);
        }
        pages.ahead = Some((None, moved));
        Ok(pages)
    }

    /// Takes over the partitions of a checkpoint, whose bytes were checked.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn resume(
        run: &Path,
        [rows, state]: Both<'_>,
        cut: ((Partitions, Order), usize),
        (checkpoint, sums): (&Path, Vec<Sums>),
    ) -> Result<Self, FileError> {
        let mut pages = Self::new(run, [&mut *rows, &mut *state], cut)?;
        for (partition, sums) in sums.into_iter().enumerate() {
            let path = pages.folder.join(name(partition));
            share(&checkpoint.join(name(partition)), &path)?;
            let file = File::open(&path).map_err(FileError::io("open", &path))?;
            pages.stands([&mut *rows, &mut *state], partition, (Arc::new(file), sums));
        }
        Ok(pages)
    }

    /// Says how many partitions there is memory for: all, one more than the order asks for, or as
    /// many.
    pub fn hold(&mut self, room_for: usize) {
        self.room_for = room_for;
    }

    /// Brings the partitions of a set into memory and sends others away. `next` is the set that
    /// will follow.
    ///
    /// # Errors
    /// [`FileError`]; then the tables are of no use, and the run goes on from its last checkpoint.
    pub fn turn_to(
        &mut self,
        tables: Both<'_>,
        set: usize,
        next: Option<usize>,
    ) -> Result<(), FileError> {
        let [rows, state] = tables;
        self.wait([&mut *rows, &mut *state])?;
        let n = self.partitions.len();
        let set = self.order.set(set).to_vec();
        let wanted: Vec<usize> = if self.room_for >= n { (0..n).collect() } else { set.clone() };
        let leaving = (0..n).filter(|k| self.here[*k] && !wanted.contains(k));
        let mut leaving: Vec<usize> = leaving.collect();
        let mut ahead = self.ahead.take();
        for partition in wanted.iter().filter(|k| !self.here[**k]).copied().collect::<Vec<_>>() {
            let moved = match ahead.take() {
                Some((read, moved)) if read == Some(partition) => moved,
                other => {
                    let room = match (other, leaving.pop()) {
                        (other, Some(leaves)) => {
                            ahead = other;
                            self.send_away([&mut *rows, &mut *state], leaves)?
                        }
                        (Some((_, room)), None) => room,
                        (None, None) => [rows.no_panels(), state.no_panels()],
                    };
                    self.read([&*rows, &*state], partition, room)?
                }
            };
            let panels = self.partitions.panels(partition);
            let [of_rows, of_state] = moved;
            rows.put(panels, of_rows);
            state.put(panels, of_state);
            self.here[partition] = true;
        }
        while leaving.len() > 1 {
            let leaves = leaving.pop().unwrap_or_default();
            self.send_away([&mut *rows, &mut *state], leaves)?;
        }
        set.iter().for_each(|k| self.changed[*k] = true);
        let next = next.filter(|_| self.room_for > set.len() && self.room_for < n);
        let coming = next.and_then(|next| {
            let mut new = self.order.set(next).iter().filter(|k| !self.here[**k]);
            new.next().copied()
        });
        self.set = set;
        self.begin_turn([rows, state], leaving.pop(), (coming, ahead))
    }

    /// Begins to write what leaves and to read what comes.
    fn begin_turn(
        &mut self,
        [rows, state]: Both<'_>,
        leaves: Option<usize>,
        (coming, ahead): (Option<usize>, Option<(Option<usize>, Moved)>),
    ) -> Result<(), FileError> {
        let left = leaves.map(|leaves| self.take_out([&mut *rows, &mut *state], leaves));
        let write_it = leaves.filter(|k| std::mem::take(&mut self.changed[*k]));
        let mut room = left.or(ahead.map(|(_, room)| room));
        if coming.is_some() && room.is_none() {
            room = Some([rows.no_panels(), state.no_panels()]);
        }
        let Some(moved) = room else { return Ok(()) };
        // What is read stands where it did before this turn: a file is not changed, but replaced.
        let source = coming.map(|k| (k, rows.shelf().and_then(|shelf| shelf.source(k))));
        let sizes = coming.map(|k| {
            let panels = self.partitions.panels(k);
            let sums = self.sums[k].clone();
            (rows.of_no_panels(), state.of_no_panels(), panels.to_vec(), sums)
        });
        let folder = self.folder.clone();
        let work = move || {
            let mut turn = Turn { written: None, ahead: None };
            if let Some(partition) = write_it {
                let (file, sums) = write(&folder, partition, &moved)?;
                turn.written = Some((partition, file, sums));
            }
            if let (Some((partition, Some(source))), Some((rows, state, panels, sums))) =
                (source, sizes)
            {
                let moved = read((&source, &sums), [&rows, &state], &panels, moved)?;
                turn.ahead = Some((Some(partition), moved));
            } else {
                turn.ahead = Some((None, moved));
            }
            Ok(turn)
        };
        self.turn = Some(aside(work));
        Ok(())
    }

    /// Waits for what goes on beside the learning.
    fn wait(&mut self, tables: Both<'_>) -> Result<(), FileError> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let Turn { written, ahead } = turn.wait()?;
        if let Some((partition, file, sums)) = written {
            self.stands(tables, partition, (file, sums));
        }
        self.ahead = ahead;
        Ok(())
    }

    /// Writes every partition that was changed since it was written, and gives the files to a
    /// checkpoint; returns their sums by name.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn save(
        &mut self,
        [rows, state]: Both<'_>,
        draft: &Draft,
    ) -> Result<BTreeMap<String, Sums>, FileError> {
        self.wait([&mut *rows, &mut *state])?;
        for partition in 0..self.partitions.len() {
            if self.here[partition] && self.changed[partition] {
                let moved = self.take_out([&mut *rows, &mut *state], partition);
                let written = write(&self.folder, partition, &moved);
                let panels = self.partitions.panels(partition);
                let [of_rows, of_state] = moved;
                rows.put(panels, of_rows);
                state.put(panels, of_state);
                self.here[partition] = true;
                self.stands([&mut *rows, &mut *state], partition, written?);
                // It may go on changing.
                self.changed[partition] = self.set.contains(&partition);
            }
        }
        let names = (0..self.partitions.len()).map(name);
        let mut sums = BTreeMap::new();
        for (name, of) in names.zip(&self.sums) {
            share(&self.folder.join(&name), &draft.path(&name))?;
            sums.insert(name, of.clone());
        }
        Ok(sums)
    }

    /// Lets every row be read, from memory or from files.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn settle(&mut self, tables: Both<'_>) -> Result<(), FileError> {
        self.wait(tables)
    }

    /// Removes the files: what is worth keeping was saved.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn remove(run: &Path) -> Result<(), FileError> {
        remove_folder(&run.join(FOLDER))
    }

    /// Writes the first of some panels, up to so many bytes, and reads them back, as a turn would;
    /// returns what part of the panels that was.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn there_and_back(
        [rows, state]: Both<'_>,
        scratch: &Path,
        (n_panels, most_bytes): (u64, u64),
    ) -> Result<f64, FileError> {
        let bytes = (rows.bytes_of(&[0]) + state.bytes_of(&[0])).max(1);
        let n = n_panels.min((most_bytes / bytes).max(1));
        let panels: Vec<u32> = (0..n as u32).collect();
        let moved = [rows.take(&panels), state.take(&panels)];
        let (file, sums) = write(scratch, 0, &moved)?;
        let path = scratch.join(name(0));
        let source = Source { file, path: path.clone(), start: 0 };
        let [of_rows, of_state] = read((&source, &sums), [&*rows, &*state], &panels, moved)?;
        rows.put(&panels, of_rows);
        state.put(&panels, of_state);
        fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
        Ok(n as f64 / n_panels.max(1) as f64)
    }

    /// Takes a partition out of memory and writes it if it was changed.
    fn send_away(&mut self, tables: Both<'_>, partition: usize) -> Result<Moved, FileError> {
        let [rows, state] = tables;
        let moved = self.take_out([&mut *rows, &mut *state], partition);
        if std::mem::take(&mut self.changed[partition]) {
            let written = write(&self.folder, partition, &moved)?;
            self.stands([rows, state], partition, written);
        }
        Ok(moved)
    }

    fn take_out(&mut self, [rows, state]: Both<'_>, partition: usize) -> Moved {
        let panels = self.partitions.panels(partition);
        self.here[partition] = false;
        [rows.take(panels), state.take(panels)]
    }

    fn read(
        &self,
        [rows, state]: [&Table; 2],
        partition: usize,
        room: Moved,
    ) -> Result<Moved, FileError> {
        let panels = self.partitions.panels(partition);
        match rows.shelf().and_then(|shelf| shelf.source(partition)) {
            Some(source) => read((&source, &self.sums[partition]), [rows, state], panels, room),
            None => Ok(room),
        }
    }

    /// Notes where a partition stands from now on.
    fn stands(&mut self, [rows, state]: Both<'_>, partition: usize, written: (Arc<File>, Sums)) {
        let ((file, sums), path) = (written, self.folder.join(name(partition)));
        let start = rows.bytes_of(self.partitions.panels(partition));
        let source = |start| Source { file: Arc::clone(&file), path: path.clone(), start };
        for (table, start) in [(rows, 0), (state, start)] {
            if let Some(shelf) = table.shelf() {
                shelf.place(partition, source(start));
            }
        }
        self.sums[partition] = sums;
        self.changed[partition] = false;
    }
}
