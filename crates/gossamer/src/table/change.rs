//! Changes of a table: rows and their optimiser's state, panel by panel, by all threads.
//!
//! *Invariant:* no gradient of the whole table ever exists: each panel's is made, used and
//! forgotten. An encoded row is decoded, changed and encoded over its old bytes; its rounding
//! belongs to the step and the row alone.

use std::sync::{Arc, Mutex};

use gossamer_machine::{Address, Buffer, Buffers, Machine, Purpose};
use gossamer_tensor::kernel::prefetch;
use gossamer_tensor::kernel::verify::{bit_sum, byte_sum};
use gossamer_tensor::optim::{Optimiser, Step};

use super::{Coding, PANEL_ROWS, Panels, Table};

/// Which rows a step changes.
#[derive(Debug, Clone, Copy)]
pub enum Touched<'a> {
    /// All of them.
    All,
    /// These, sorted, each once.
    Some(&'a [u32]),
}

/// Some rows of one panel whose gradient is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The panel they stand in.
    pub panel: usize,
    /// Their ids, ascending.
    pub ids: &'a [u32],
    /// The present values of the whole panel's rows, or of those of `ids` alone.
    pub rows: &'a [f32],
    /// Whether they are those of `ids` alone.
    alone: bool,
    width: usize,
}

impl<'a> Part<'a> {
    /// The present values of the row whose id stands at a place of `ids`.
    pub fn row(&self, place: usize) -> &'a [f32] {
        let within =
            if self.alone { place } else { self.ids[place] as usize - self.panel * PANEL_ROWS };
        &self.rows[within * self.width..][..self.width]
    }
}

/// Computes the gradient of some rows into a slice of zeros (ids × width). The scratch is the
/// thread's own.
pub type GradientOf<'a, S> = dyn Fn(&mut S, &Part<'_>, &mut [f32]) + Sync + 'a;

/// A panel of a table and of its state, borrowed for changing.
struct Work<'a, T> {
    panel: usize,
    ids: Option<&'a [u32]>,
    rows: &'a mut [T],
    state: &'a mut [f32],
}

/// A panel that will be changed: a copy is made of one that someone else still reads.
struct Due<'a, T> {
    panel: usize,
    ids: Option<&'a [u32]>,
    rows: &'a mut Arc<[T]>,
    state: &'a mut Arc<[f32]>,
}

impl<'a, T: Clone> Due<'a, T> {
    fn begin(&mut self) -> Work<'_, T> {
        let (rows, state) = (Arc::make_mut(self.rows), Arc::make_mut(self.state));
        Work { panel: self.panel, ids: self.ids, rows, state }
    }

    /// Asks for what changing some of its rows will touch, the first of them.
    fn prefetch(&self, row: usize, state_width: usize) {
        const ROWS: usize = 8;
        let Some(ids) = self.ids else { return };
        // Who else reads a panel is noted in front of its first row.
        prefetch(&self.rows[..1]);
        prefetch(&self.state[..state_width.min(1)]);
        for id in ids.iter().take(ROWS).map(|id| *id as usize % PANEL_ROWS) {
            prefetch(&self.rows[id * row..][..row]);
            prefetch(&self.state[id * state_width..][..state_width]);
        }
    }
}

/// A thread's room.
struct Room<'a, S> {
    scratch: S,
    ids: Vec<u32>,
    rows: Vec<f32>,
    /// Gradients of the last piece of work, and room for more.
    gradients: Buffer,
    buffers: &'a Buffers,
}

impl<'a, S> Room<'a, S> {
    fn new(scratch: S, buffers: &'a Buffers) -> Self {
        let (ids, rows, gradients) = (Vec::new(), Vec::new(), Buffer::default());
        Self { scratch, ids, rows, gradients, buffers }
    }

    /// Fills `ids` with those of a piece of work on `n` rows, and as many gradients with zeros.
    fn open<T>(&mut self, work: &Work<'_, T>, n: usize, width: usize) {
        let first = (work.panel * PANEL_ROWS) as u32;
        self.ids.clear();
        match work.ids {
            Some(some) => self.ids.extend_from_slice(some),
            None => self.ids.extend(first..first + n as u32),
        }
        let n = self.ids.len() * width;
        self.buffers.grow(&mut self.gradients, n);
        self.gradients[..n].fill(0.0);
    }
}

/// The optimiser, its step, and how a gradient is made.
struct Change<'a, S> {
    optimiser: &'a dyn Optimiser,
    step: &'a Step,
    gradient: &'a GradientOf<'a, S>,
    width: usize,
    state_width: usize,
}

impl<S> Change<'_, S> {
    /// Changes rows of floats where they stand.
    fn floats(&self, room: &mut Room<'_, S>, work: &mut Work<'_, f32>) {
        let (width, state_width) = (self.width, self.state_width);
        room.open(work, work.rows.len() / width, width);
        let Room { scratch, ids, gradients, .. } = room;
        let gradients = &mut gradients[..ids.len() * width];
        let part = Part { panel: work.panel, ids, rows: &*work.rows, alone: false, width };
        (self.gradient)(scratch, &part, gradients);
        for (id, gradient) in ids.iter().zip(gradients.chunks_exact(width)) {
            let place = *id as usize - work.panel * PANEL_ROWS;
            let row = &mut work.rows[place * width..][..width];
            let state = &mut work.state[place * state_width..][..state_width];
            self.optimiser.update(self.step, row, state, gradient);
        }
    }

    /// Decodes the rows that change, changes them, and encodes them over their old bytes.
    fn codes(&self, coding: Coding, room: &mut Room<'_, S>, work: &mut Work<'_, u8>) {
        let (width, state_width) = (self.width, self.state_width);
        let bytes = coding.code.row_bytes(width);
        room.open(work, work.rows.len() / bytes, width);
        let Room { scratch, ids, rows, gradients, .. } = room;
        let gradients = &mut gradients[..ids.len() * width];
        rows.resize(ids.len() * width, 0.0);
        let place = |id: &u32| *id as usize - work.panel * PANEL_ROWS;
        for (id, row) in ids.iter().zip(rows.chunks_exact_mut(width)) {
            coding.decode(work.rows, place(id), row, width);
        }
        let part = Part { panel: work.panel, ids, rows, alone: true, width };
        (self.gradient)(scratch, &part, gradients);
        let rounding = Address::new(self.step.seed, Purpose::Rounding, self.step.number);
        let both = rows.chunks_exact_mut(width).zip(gradients.chunks_exact(width));
        for (id, (row, gradient)) in ids.iter().zip(both) {
            let state = &mut work.state[place(id) * state_width..][..state_width];
            self.optimiser.update(self.step, row, state, gradient);
            let codes = &mut work.rows[place(id) * bytes..][..bytes];
            coding.code.encode(coding.isa, rounding.bits(*id, 0)[0], row, codes);
        }
    }
}

impl Table {
    /// Floats of the gradients that one thread has in hand in [`apply`](Self::apply), where so many
    /// rows are touched.
    pub fn gradient_floats(touched: usize, width: usize) -> usize {
        Buffers::roomy(PANEL_ROWS.min(touched) * width)
    }

    /// Changes the touched rows by their gradients, panel by panel, in parallel. `state` is the
    /// optimiser's, of floats. Where panels are open, the touched rows stand in them.
    ///
    /// Where the machine verifies, a panel whose bits are others than after its last change is a
    /// fault.
    pub fn apply<S>(
        &mut self,
        state: &mut Self,
        machine: &Machine,
        (optimiser, step): (&dyn Optimiser, &Step),
        touched: Touched<'_>,
        scratch: impl Fn() -> S + Sync,
        gradient: &GradientOf<'_, S>,
    ) {
        let (width, state_width) = (self.width, state.width);
        let Panels::Floats(state) = &mut state.panels else { return };
        let change = Change { optimiser, step, gradient, width, state_width };
        let sums = Sums { of: Mutex::new(self.sums(machine)), machine };
        let room = || Room::new(scratch(), &machine.buffers);
        match (&mut self.panels, &mut self.open) {
            (Panels::Codes(coding, panels), open) if open.is_empty() => {
                let bytes = coding.code.row_bytes(width);
                let due = due(panels, state, touched);
                each(machine, due, (bytes, state_width), room, |room, mut work| {
                    let rows = work.rows.len() / bytes;
                    sums.look(work.panel, rows, || byte_sum(work.rows));
                    change.codes(*coding, room, &mut work);
                    sums.note(work.panel, || byte_sum(work.rows));
                });
            }
            (Panels::Floats(panels), _) | (Panels::Codes(..), panels) => {
                let due = due(panels, state, touched);
                each(machine, due, (width, state_width), room, |room, mut work| {
                    let rows = work.rows.len() / width;
                    sums.look(work.panel, rows, || bit_sum(work.rows));
                    change.floats(room, &mut work);
                    sums.note(work.panel, || bit_sum(work.rows));
                });
            }
        }
        self.sums = sums.of.into_inner().unwrap_or_default();
    }

    /// The sum of each panel's bits; none where nobody verifies.
    fn sums(&mut self, machine: &Machine) -> Vec<u64> {
        let known = std::mem::take(&mut self.sums);
        match machine.faults.looks() {
            false => Vec::new(),
            true if !known.is_empty() => known,
            true => (0..self.n_panels()).map(|panel| self.sum(panel)).collect(),
        }
    }

    /// The sum of a panel's bits, as far as they are here.
    fn sum(&self, panel: usize) -> u64 {
        match (&self.panels, self.floats(panel)) {
            (_, Some(rows)) => bit_sum(rows),
            (Panels::Codes(_, panels), None) => byte_sum(&panels[panel]),
            (Panels::Floats(_), None) => bit_sum(&[]),
        }
    }

    /// Sums panels up that stand otherwise than before, where someone verifies.
    pub(super) fn sum_again(&mut self, panels: &[u32]) {
        if !self.sums.is_empty() {
            for panel in panels {
                self.sums[*panel as usize] = self.sum(*panel as usize);
            }
        }
    }
}

/// What the panels' bits add up to, where someone verifies.
struct Sums<'a> {
    of: Mutex<Vec<u64>>,
    machine: &'a Machine,
}

impl Sums<'_> {
    /// Notes a fault if a panel is no longer what it was changed to.
    fn look(&self, panel: usize, n_rows: usize, now: impl Fn() -> u64) {
        let sum = self.of.lock().ok().and_then(|sums| sums.get(panel).copied());
        if sum.is_some_and(|sum| sum != now()) {
            let first = panel * PANEL_ROWS;
            let of = format!("rows {first} to {} of a table", first + n_rows - 1);
            self.machine.faults.note(format!("{of} are no longer what they were changed to"));
        }
    }

    /// Remembers what a panel was changed to.
    fn note(&self, panel: usize, now: impl Fn() -> u64) {
        if self.machine.faults.looks() {
            let now = now();
            if let Some(sum) = self.of.lock().ok().as_deref_mut().and_then(|s| s.get_mut(panel)) {
                *sum = now;
            }
        }
    }
}

/// Cuts the touched rows by panels; panels without touched rows are passed over.
fn due<'a, T>(
    panels: &'a mut [Arc<[T]>],
    state: &'a mut [Arc<[f32]>],
    touched: Touched<'a>,
) -> Vec<Due<'a, T>> {
    let mut due = Vec::new();
    let mut both = panels.iter_mut().zip(state.iter_mut()).enumerate();
    let mut rest = match touched {
        Touched::All => &[][..],
        Touched::Some(ids) => ids,
    };
    let mut passed = 0;
    loop {
        let next = match (touched, rest.first()) {
            (Touched::All, _) => both.next(),
            (Touched::Some(_), None) => None,
            (Touched::Some(_), Some(id)) => both.nth(*id as usize / PANEL_ROWS - passed),
        };
        let Some((panel, (rows, state))) = next else { return due };
        passed = panel + 1;
        let ids = match touched {
            Touched::All => None,
            Touched::Some(_) => {
                let n = rest.iter().take_while(|id| (**id as usize) < passed * PANEL_ROWS).count();
                let (here, after) = rest.split_at(n);
                rest = after;
                Some(here)
            }
        };
        due.push(Due { panel, ids, rows, state });
    }
}

/// Changes panels, some of them at a time to a thread: where a step touches a few rows of many
/// panels, each is little work, and is on its way from memory while those before it change.
fn each<T: Clone + Send + Sync, S>(
    machine: &Machine,
    mut due: Vec<Due<'_, T>>,
    (row, state_width): (usize, usize),
    scratch: impl Fn() -> S + Sync,
    body: impl Fn(&mut S, Work<'_, T>) + Sync,
) {
    /// Panels of which each thread gets many lots, so that none waits long for another.
    const LOTS: usize = 16;
    const AHEAD: usize = 8;
    let lot = (due.len() / (LOTS * machine.workers.n_threads())).clamp(1, 4 * AHEAD);
    machine.workers.each_with(due.chunks_mut(lot).collect(), scratch, |scratch, lot| {
        lot.iter().take(AHEAD).for_each(|due| due.prefetch(row, state_width));
        for place in 0..lot.len() {
            if let Some(later) = lot.get(place + AHEAD) {
                later.prefetch(row, state_width);
            }
            body(scratch, lot[place].begin());
        }
    });
}
