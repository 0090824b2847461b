//! Paged tables: learning from a few partitions of the entities at a time, the others on disk.
//!
//! Entity rows and their optimiser's state are cut into parts of whole panels. For each epoch a
//! [`deal`] makes partitions of the parts, and an [`order`] says which partitions are in memory one
//! after the other; what is learned there are the triples of its bucket. At each turn the parts of
//! one partition leave and those of another come. Where there is memory for one partition more than
//! an order asks for, both go on beside the learning: what left is written, and what comes next is
//! read into its place. Rows in a row code can be floats while they are learned from: then the parts
//! of a set are open, and are closed when their turn is over.
//!
//! | file | what |
//! |---|---|
//! | `.pages/part-K` | rows of part K, panel by panel, then their state; a new file each time |
//! | `checkpoint-N/part-K` | the same file as it was then, shared where the system can; the rows of an open part are floats |
//!
//! *Invariant:* how many parts are in memory changes no byte of a result; a file is replaced,
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
use crate::table::shelf::{Loose, Parts, Shelf, Source};

pub mod deal;
pub mod negatives;
pub mod order;
mod file;
mod turn;

use deal::n_parts;
use file::{Moved, read, write};
use turn::{Ahead, Done, Errand, run};

pub use file::name;

/// The folder of a run in which parts stand.
const FOLDER: &str = ".pages";

/// Rows and their optimiser's state.
pub type Both<'a> = [&'a mut Table; 2];

/// The parts of a run and where they are.
#[derive(Debug)]
pub struct Pages {
    /// Which panel is where.
    pub parts: Arc<Parts>,
    /// How many parts there is memory for.
    room_for: usize,
    /// Whether those that are learned from are open.
    opens: bool,
    folder: PathBuf,
    here: Vec<bool>,
    /// Those that are learned from.
    set: Vec<usize>,
    /// Those whose file is older than what is in memory.
    changed: Vec<bool>,
    sums: Vec<Sums>,
    turn: Option<Aside<Result<Done, FileError>>>,
    ahead: Vec<Ahead>,
}

impl Pages {
    /// Tables of no panel in memory, and where their parts stand.
    fn new(
        run: &Path,
        [rows, state]: Both<'_>,
        (parts, n_rows): (Parts, usize),
    ) -> Result<Self, FileError> {
        let n = parts.len();
        let parts = Arc::new(parts);
        for table in [rows, state] {
            let shelf = Shelf::new(Arc::clone(&parts));
            *table = table.clone().shelved(n_rows, shelf);
        }
        let folder = run.join(FOLDER);
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(FileError::io("create", &folder))?;
        Ok(Self {
            parts,
            room_for: 0,
            opens: false,
            folder,
            here: vec![false; n],
            set: Vec::new(),
            changed: vec![false; n],
            sums: vec![Sums::default(); n],
            turn: None,
            ahead: Vec::new(),
        })
    }

    /// How a run's entity rows are cut.
    pub fn cut(config: &Config, n_entities: usize) -> Parts {
        Parts::mixed(n_entities, n_parts(config.partitions, n_entities), config.seed)
    }

    /// Writes first values, part by part; `tables` are empty ones of the right kind.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn begin(
        run: &Path,
        [rows, state]: Both<'_>,
        cut: (Parts, usize),
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
        (workers, observer): (&Workers, &dyn Observer),
    ) -> Result<Self, FileError> {
        let n_rows = cut.1;
        let mut pages = Self::new(run, [&mut *rows, &mut *state], cut)?;
        let parts = Arc::clone(&pages.parts);
        let (stage, unit, detail) = ("first values", "rows", "");
        let (mut done, total) = (0, n_rows as u64);
        // All are made in the same memory, which the first that is read takes over.
        let mut moved = [rows.no_panels(), state.no_panels()];
        for part in 0..parts.len() {
            observer.progress(&Progress { stage, done, total, unit, detail });
            done += parts.n_rows(part);
            let panels = parts.panels(part);
            rows.refill(&mut moved[0], panels, workers, fill);
            state.refill(&mut moved[1], panels, workers, &|_, _| {});
            let written = write(&pages.folder, part, &moved)?;
            pages.stands([&mut *rows, &mut *state], part, written);
        }
        pages.ahead.push((None, moved));
        Ok(pages)
    }

    /// Takes over the parts of a checkpoint, whose bytes were checked.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn resume(
        run: &Path,
        [rows, state]: Both<'_>,
        cut: (Parts, usize),
        (checkpoint, sums): (&Path, Vec<Sums>),
    ) -> Result<Self, FileError> {
        let mut pages = Self::new(run, [&mut *rows, &mut *state], cut)?;
        for (part, sums) in sums.into_iter().enumerate() {
            let path = pages.folder.join(name(part));
            share(&checkpoint.join(name(part)), &path)?;
            let file = File::open(&path).map_err(FileError::io("open", &path))?;
            let n_bytes = file.metadata().map_err(FileError::io("look at", &path))?.len();
            pages.stands([&mut *rows, &mut *state], part, (Arc::new(file), sums));
            let panels = pages.parts.panels(part);
            if n_bytes > rows.bytes_of(panels) + state.bytes_of(panels) {
                // It was open: its rows are floats, and it was learned from.
                let room = [Loose::floats(), state.no_panels()];
                let moved = pages.read([&*rows, &*state], part, room)?;
                pages.put_in([&mut *rows, &mut *state], part, moved);
                pages.set.push(part);
                pages.changed[part] = true;
            }
        }
        Ok(pages)
    }

    /// Says how many partitions there is memory for: all, one more than the order asks for, or as
    /// many.
    pub fn hold(&mut self, held: usize, config: &Config) {
        let n = self.parts.len();
        self.room_for = (held * n.div_ceil(config.partitions)).min(n);
        self.opens = config.decoded;
    }

    /// Brings the parts of a set into memory and sends others away. `next` are those of the set
    /// that will follow.
    ///
    /// # Errors
    /// [`FileError`]; then the tables are of no use, and the run goes on from its last checkpoint.
    pub fn turn_to(
        &mut self,
        tables: Both<'_>,
        [set, next]: [&[usize]; 2],
        workers: &Workers,
    ) -> Result<(), FileError> {
        let [rows, state] = tables;
        self.wait([&mut *rows, &mut *state])?;
        self.close(rows, |part| !set.contains(&part), workers);
        let n = self.parts.len();
        let holds_all = self.room_for >= n;
        let wanted = if holds_all { (0..n).collect() } else { set.to_vec() };
        for (part, moved) in std::mem::take(&mut self.ahead) {
            match part.filter(|part| wanted.contains(part)) {
                Some(part) => self.put_in([&mut *rows, &mut *state], part, moved),
                None => self.ahead.push((None, moved)),
            }
        }
        let mut leaving: Vec<usize> =
            (0..n).filter(|part| self.here[*part] && !wanted.contains(part)).collect();
        for part in wanted.into_iter().filter(|part| !self.here[*part]).collect::<Vec<_>>() {
            // Into memory that waits, so that what leaves can be written beside the learning.
            let room = match self.ahead.pop() {
                Some((_, room)) => room,
                None => match leaving.pop() {
                    Some(leaves) => self.send_away([&mut *rows, &mut *state], leaves)?,
                    None => [rows.no_panels(), state.no_panels()],
                },
            };
            let moved = self.read([&*rows, &*state], part, room)?;
            self.put_in([&mut *rows, &mut *state], part, moved);
        }
        for part in set {
            self.changed[*part] = true;
            if self.opens {
                rows.open(self.parts.panels(*part), workers);
            }
        }
        let reads_ahead = self.room_for > set.len() && !holds_all;
        let coming = next.iter().copied().filter(|part| reads_ahead && !self.here[*part]);
        let coming = coming.take(self.room_for.saturating_sub(set.len())).collect();
        self.set = set.to_vec();
        self.begin_turn([rows, state], leaving, coming);
        Ok(())
    }

    /// Begins to write what leaves and to read what comes, in the memory of what left.
    fn begin_turn(&mut self, [rows, state]: Both<'_>, leaving: Vec<usize>, coming: Vec<usize>) {
        let mut errands = Vec::new();
        for part in leaving {
            let moved = self.take_out([&mut *rows, &mut *state], part);
            let write = std::mem::take(&mut self.changed[part]).then_some(part);
            errands.push(Errand { write, read: None, moved });
        }
        errands.extend(self.ahead.drain(..).map(|(_, moved)| Errand::of_room(moved)));
        while errands.len() < coming.len() {
            errands.push(Errand::of_room([rows.no_panels(), state.no_panels()]));
        }
        // What is read stands where it did before this turn: a file is not changed, but replaced.
        for (errand, part) in errands.iter_mut().zip(coming) {
            let source = rows.shelf().and_then(|shelf| shelf.source(part));
            errand.read = source.map(|source| (part, source, self.sums[part].clone()));
        }
        if errands.iter().all(|errand| errand.write.is_none() && errand.read.is_none()) {
            self.ahead.extend(errands.into_iter().map(|errand| (None, errand.moved)));
            return;
        }
        let (parts, folder) = (Arc::clone(&self.parts), self.folder.clone());
        let sizes = [rows.of_no_panels(), state.of_no_panels()];
        self.turn = Some(aside(move || run(errands, &folder, &parts, &sizes)));
    }

    /// Waits for what goes on beside the learning.
    fn wait(&mut self, [rows, state]: Both<'_>) -> Result<(), FileError> {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let Done { written, ahead } = turn.wait()?;
        for (part, file, sums) in written {
            self.stands([&mut *rows, &mut *state], part, (file, sums));
        }
        self.ahead = ahead;
        Ok(())
    }

    /// Writes every part that was changed since it was written, and gives the files to a
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
        for part in 0..self.parts.len() {
            if self.here[part] && self.changed[part] {
                let moved = self.take_out([&mut *rows, &mut *state], part);
                let written = write(&self.folder, part, &moved);
                self.put_in([&mut *rows, &mut *state], part, moved);
                self.stands([&mut *rows, &mut *state], part, written?);
                // It may go on changing.
                self.changed[part] = self.set.contains(&part);
            }
        }
        let names = (0..self.parts.len()).map(name);
        let mut sums = BTreeMap::new();
        for (name, of) in names.zip(&self.sums) {
            share(&self.folder.join(&name), &draft.path(&name))?;
            sums.insert(name, of.clone());
        }
        Ok(sums)
    }

    /// Ends a turn: every row can be read, from memory or from files, and none is open.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn settle(&mut self, tables: Both<'_>, workers: &Workers) -> Result<(), FileError> {
        let [rows, state] = tables;
        self.close(rows, |_| true, workers);
        self.wait([rows, state])
    }

    /// Closes those parts of the set that have had their turn.
    fn close(&self, rows: &mut Table, ended: impl Fn(usize) -> bool, workers: &Workers) {
        for part in self.set.iter().filter(|part| self.opens && ended(**part)) {
            rows.close(self.parts.panels(*part), workers);
        }
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
        workers: &Workers,
    ) -> Result<f64, FileError> {
        let bytes = (rows.bytes_of(&[0]) + state.bytes_of(&[0])).max(1);
        let n = n_panels.min((most_bytes / bytes).max(1));
        let panels: Vec<u32> = (0..n as u32).collect();
        let opens = rows.is_open();
        rows.close(&panels, workers);
        let moved = [rows.take(&panels), state.take(&panels)];
        let (file, sums) = write(scratch, 0, &moved)?;
        let path = scratch.join(name(0));
        let source = Source { file, path: path.clone(), start: 0 };
        let [of_rows, of_state] = read((&source, &sums), [&*rows, &*state], &panels, moved)?;
        rows.put(&panels, of_rows);
        state.put(&panels, of_state);
        if opens {
            rows.open(&panels, workers);
        }
        fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
        Ok(n as f64 / n_panels.max(1) as f64)
    }

    /// Takes a part out of memory and writes it if it was changed.
    fn send_away(&mut self, tables: Both<'_>, part: usize) -> Result<Moved, FileError> {
        let [rows, state] = tables;
        let moved = self.take_out([&mut *rows, &mut *state], part);
        if std::mem::take(&mut self.changed[part]) {
            let written = write(&self.folder, part, &moved)?;
            self.stands([rows, state], part, written);
        }
        Ok(moved)
    }

    fn take_out(&mut self, [rows, state]: Both<'_>, part: usize) -> Moved {
        let panels = self.parts.panels(part);
        self.here[part] = false;
        [rows.take(panels), state.take(panels)]
    }

    fn put_in(&mut self, [rows, state]: Both<'_>, part: usize, [of_rows, of_state]: Moved) {
        let panels = self.parts.panels(part);
        rows.put(panels, of_rows);
        state.put(panels, of_state);
        self.here[part] = true;
    }

    fn read(&self, tables: [&Table; 2], part: usize, room: Moved) -> Result<Moved, FileError> {
        let [rows, state] = tables;
        match rows.shelf().and_then(|shelf| shelf.source(part)) {
            Some(source) => {
                let panels = self.parts.panels(part);
                read((&source, &self.sums[part]), [rows, state], panels, room)
            }
            None => Ok(room),
        }
    }

    /// Notes where a part stands from now on.
    fn stands(&mut self, [rows, state]: Both<'_>, part: usize, written: (Arc<File>, Sums)) {
        let ((file, sums), path) = (written, self.folder.join(name(part)));
        // Of an open part nothing is read there before it is written again.
        let start = rows.bytes_of(self.parts.panels(part));
        let source = |start| Source { file: Arc::clone(&file), path: path.clone(), start };
        for (table, start) in [(rows, 0), (state, start)] {
            if let Some(shelf) = table.shelf() {
                shelf.place(part, source(start));
            }
        }
        self.sums[part] = sums;
        self.changed[part] = false;
    }
}
