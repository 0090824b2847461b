//! Shelves: the files in which panels of a table stand while they are not in memory.
//!
//! *Invariant:* a panel is read as it was written, wherever it stands; a reading that fails leaves
//! zeros and is told by [`Table::failure`], which every caller asks before it uses a result.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gossamer_machine::FileError;
use gossamer_machine::file::read_at;
use gossamer_machine::parallel::Workers;
use gossamer_machine::random::{Address, Permutation, Purpose};

use super::{PANEL_ROWS, Panels, Table};

/// Which part each panel belongs to, and its place there.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// Of each panel: its part and its place.
    of: Vec<[u32; 2]>,
    /// The panels of each part, ascending.
    panels: Vec<Vec<u32>>,
    n_rows: usize,
}

impl Parts {
    /// All panels of so many rows in one.
    pub fn one(n_rows: usize) -> Self {
        let n = n_rows.div_ceil(PANEL_ROWS) as u32;
        Self {
            of: (0..n).map(|panel| [0, panel]).collect(),
            panels: vec![(0..n).collect()],
            n_rows,
        }
    }

    /// Panels spread at random over `n` parts of the same size, but for one panel.
    pub fn mixed(n_rows: usize, n: usize, seed: u64) -> Self {
        let n_panels = n_rows.div_ceil(PANEL_ROWS);
        let order = Permutation::new(n_panels as u64, Address::new(seed, Purpose::Partition, 0));
        let (mut of, mut panels) = (Vec::with_capacity(n_panels), vec![Vec::new(); n]);
        for panel in 0..n_panels {
            let part = order.get(panel as u64) as usize * n / n_panels;
            of.push([part as u32, panels[part].len() as u32]);
            panels[part].push(panel as u32);
        }
        Self { of, panels, n_rows }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.panels.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.panels.is_empty()
    }

    /// The part of a row.
    pub fn of_row(&self, id: u32) -> usize {
        self.of[id as usize / PANEL_ROWS][0] as usize
    }

    /// How many rows a part has.
    pub fn n_rows(&self, part: usize) -> u64 {
        let panels = &self.panels[part];
        let last = panels.last().is_some_and(|panel| *panel as usize + 1 == self.of.len());
        let missing = if last { self.of.len() * PANEL_ROWS - self.n_rows } else { 0 };
        (panels.len() * PANEL_ROWS - missing) as u64
    }

    /// The panels of a part, ascending.
    pub fn panels(&self, part: usize) -> &[u32] {
        &self.panels[part]
    }
}

/// A file and where in it the panels of a part begin.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub file: Arc<File>,
    /// Its path, for messages.
    pub path: PathBuf,
    /// The first byte.
    pub start: u64,
}

/// Where the panels of a table stand that are not in memory.
#[derive(Debug)]
pub struct Shelf {
    parts: Arc<Parts>,
    /// Where each part stands; none before it was written.
    sources: Vec<Mutex<Option<Source>>>,
    failed: Mutex<Option<FileError>>,
}

impl Shelf {
    /// With nothing on it yet.
    pub fn new(parts: Arc<Parts>) -> Self {
        let sources = (0..parts.len()).map(|_| Mutex::default()).collect();
        Self { parts, sources, failed: Mutex::default() }
    }

    /// Says where a part stands from now on.
    pub fn place(&self, part: usize, source: Source) {
        if let Ok(mut place) = self.sources[part].lock() {
            *place = Some(source);
        }
    }

    /// Where a part stands; none before it was written.
    pub fn source(&self, part: usize) -> Option<Source> {
        self.sources[part].lock().ok().and_then(|source| source.clone())
    }

    fn read(&self, panel: usize, (row_bytes, first): (usize, usize), out: &mut [u8]) {
        let [part, place] = self.of(panel);
        let Some(Source { file, path, start }) = self.source(part) else { return out.fill(0) };
        let at = start + (place * PANEL_ROWS * row_bytes + first) as u64;
        if let Err(error) = read_at(&file, &path, at, out) {
            out.fill(0);
            if let Ok(mut failed) = self.failed.lock() {
                failed.get_or_insert(error);
            }
        }
    }

    fn of(&self, panel: usize) -> [usize; 2] {
        self.parts.of[panel].map(|number| number as usize)
    }
}

/// Panels outside their table, on their way between memory and a file.
#[derive(Debug)]
pub struct Loose(Panels);

impl Loose {
    /// No panels, of floats.
    pub fn floats() -> Self {
        Self(Panels::Floats(Vec::new()))
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        let mut n = 0;
        let count = |bytes: &[u8]| {
            n += bytes.len() as u64;
            Ok::<(), std::convert::Infallible>(())
        };
        let _ = self.for_each(count);
        n
    }

    /// Calls `visit` with the bytes of each, in order.
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn for_each<E>(&self, visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match &self.0 {
            Panels::Floats(panels) => {
                panels.iter().map(|panel| bytemuck::cast_slice(panel)).try_for_each(visit)
            }
            Panels::Codes(_, panels) => panels.iter().map(|panel| &panel[..]).try_for_each(visit),
        }
    }

    /// Lets `fill` change the bytes of each, in order.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(&mut self, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        match &mut self.0 {
            Panels::Floats(panels) => {
                let panels = panels.iter_mut().map(Arc::make_mut);
                panels.map(bytemuck::cast_slice_mut).try_for_each(fill)
            }
            Panels::Codes(_, panels) => panels.iter_mut().map(Arc::make_mut).try_for_each(fill),
        }
    }
}

impl Table {
    /// A table with no panel in memory.
    pub fn shelved(mut self, n_rows: usize, shelf: Shelf) -> Self {
        let n = n_rows.div_ceil(PANEL_ROWS);
        match &mut self.panels {
            Panels::Floats(panels) => *panels = nowhere(n),
            Panels::Codes(_, panels) => *panels = nowhere(n),
        }
        Self { n_rows, open: Vec::new(), shelf: Some(Arc::new(shelf)), ..self }
    }

    /// A table of as many rows with nothing in memory and nowhere else: it knows their sizes.
    pub fn of_no_panels(&self) -> Self {
        Self { width: self.width, n_rows: self.n_rows, ..Self::empty(self.code(), self.width) }
    }

    /// No panels, of this table's kind.
    pub fn no_panels(&self) -> Loose {
        Loose(match &self.panels {
            Panels::Floats(_) => Panels::Floats(Vec::new()),
            Panels::Codes(coding, _) => Panels::Codes(*coding, Vec::new()),
        })
    }

    /// Calls `visit` with room of the size of each panel, in order.
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn for_each_size<E>(
        &self,
        mut visit: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut room = vec![0; PANEL_ROWS * self.row_bytes()];
        (0..self.n_panels())
            .try_for_each(|panel| visit(&mut room[..self.panel_rows(panel) * self.row_bytes()]))
    }

    /// Where panels that are not in memory stand, if any may.
    pub fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_deref()
    }

    /// Bytes of some panels, encoded where the table is.
    pub fn bytes_of(&self, panels: &[u32]) -> u64 {
        let rows = panels.iter().map(|panel| self.panel_rows(*panel as usize)).sum::<usize>();
        (rows * self.row_bytes()) as u64
    }

    /// Fills loose panels with first values of this table's rows, by all threads; `fill` gets the
    /// id and the row, zeroed.
    pub fn refill(
        &self,
        loose: &mut Loose,
        panels: &[u32],
        workers: &Workers,
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
    ) {
        self.fit(loose, panels);
        match &mut loose.0 {
            Panels::Floats(all) => {
                let tasks = panels.iter().zip(all.iter_mut().map(Arc::make_mut)).collect();
                workers.each(tasks, |(panel, rows): (&u32, &mut [f32])| {
                    self.fill_floats(*panel, rows, fill);
                });
            }
            Panels::Codes(_, all) => {
                let tasks = panels.iter().zip(all.iter_mut().map(Arc::make_mut)).collect();
                workers.each(tasks, |(panel, rows): (&u32, &mut [u8])| {
                    self.fill_codes(*panel, rows, fill);
                });
            }
        }
    }

    /// Takes panels out: they are no longer in memory once they are dropped. All are open, or none.
    pub fn take(&mut self, panels: &[u32]) -> Loose {
        let open = panels.first().and_then(|panel| self.open.get(*panel as usize));
        if open.is_some_and(|rows| !rows.is_empty()) {
            return Loose(Panels::Floats(swapped(&mut self.open, panels)));
        }
        Loose(match &mut self.panels {
            Panels::Floats(all) => Panels::Floats(swapped(all, panels)),
            Panels::Codes(coding, all) => Panels::Codes(*coding, swapped(all, panels)),
        })
    }

    /// Puts panels in; floats are open ones of a table of codes.
    pub fn put(&mut self, panels: &[u32], loose: Loose) {
        match (&mut self.panels, loose.0) {
            (Panels::Floats(all), Panels::Floats(new)) => put(all, panels, new),
            (Panels::Codes(_, all), Panels::Codes(_, new)) => put(all, panels, new),
            (Panels::Codes(_, all), Panels::Floats(new)) => {
                self.open.resize(all.len(), Arc::from(Vec::new()));
                put(&mut self.open, panels, new);
            }
            (Panels::Floats(_), Panels::Codes(..)) => {}
        }
        self.sum_again(panels);
    }

    /// Makes loose panels as long as those of this table at other places; memory of the right
    /// length is kept.
    pub fn fit(&self, loose: &mut Loose, panels: &[u32]) {
        let lengths = panels.iter().map(|panel| self.panel_rows(*panel as usize));
        match &mut loose.0 {
            Panels::Floats(old) => fit(old, lengths.map(|n| n * self.width)),
            Panels::Codes(_, old) => fit(old, lengths.map(|n| n * self.row_bytes())),
        }
    }

    /// Tells whether reading panels from files went wrong.
    ///
    /// # Errors
    /// The first [`FileError`] since the last call.
    pub fn failure(&self) -> Result<(), FileError> {
        let failed = self.shelf.as_ref().and_then(|shelf| shelf.failed.lock().ok()?.take());
        failed.map_or(Ok(()), Err)
    }

    /// Reads bytes of a panel that is not in memory.
    pub(super) fn fetch(&self, panel: usize, first: usize, out: &mut [u8]) {
        match &self.shelf {
            Some(shelf) => shelf.read(panel, (self.row_bytes(), first), out),
            None => out.fill(0),
        }
    }
}

/// Panels that are not here.
fn nowhere<T: Clone>(n: usize) -> Vec<Arc<[T]>> {
    vec![Arc::from(Vec::new()); n]
}

fn swapped<T: Clone>(all: &mut [Arc<[T]>], panels: &[u32]) -> Vec<Arc<[T]>> {
    let away = Arc::from(Vec::new());
    let take = |panel: &u32| std::mem::replace(&mut all[*panel as usize], Arc::clone(&away));
    panels.iter().map(take).collect()
}

fn put<T>(all: &mut [Arc<[T]>], panels: &[u32], new: Vec<Arc<[T]>>) {
    for (panel, new) in panels.iter().zip(new) {
        all[*panel as usize] = new;
    }
}

fn fit<T: Copy + Default>(panels: &mut Vec<Arc<[T]>>, lengths: impl Iterator<Item = usize>) {
    let mut n = 0;
    for (place, length) in lengths.enumerate() {
        n += 1;
        if panels.get(place).is_none_or(|panel| panel.len() != length) {
            let new: Arc<[T]> = vec![T::default(); length].into();
            if place < panels.len() { panels[place] = new } else { panels.push(new) }
        }
    }
    panels.truncate(n);
}
