//! Changes of a table: rows and their optimiser's state, panel by panel, by all threads.
//!
//! *Invariant:* no gradient of the whole table ever exists: each panel's is made, used and
//! forgotten. An encoded row is decoded, changed and encoded over its old bytes; its rounding
//! belongs to the step and the row alone.

use std::sync::{Arc, Mutex};

use gossamer_machine::{Address, Machine, Purpose};
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

/// A thread's room.
struct Room<S> {
    scratch: S,
    ids: Vec<u32>,
    rows: Vec<f32>,
    gradients: Vec<f32>,
}

impl<S> Room<S> {
    fn new(scratch: S) -> Self {
        Self { scratch, ids: Vec::new(), rows: Vec::new(), gradients: Vec::new() }
    }

    /// Fills `ids` with those of a piece of work on `n` rows, and `gradients` with zeros.
    fn open<T>(&mut self, work: &Work<'_, T>, n: usize, width: usize) {
        let first = (work.panel * PANEL_ROWS) as u32;
        self.ids.clear();
        match work.ids {
            Some(some) => self.ids.extend_from_slice(some),
            None => self.ids.extend(first..first + n as u32),
        }
        self.gradients.clear();
        self.gradients.resize(self.ids.len() * width, 0.0);
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
    fn floats(&self, room: &mut Room<S>, work: &mut Work<'_, f32>) {
        let (width, state_width) = (self.width, self.state_width);
        room.open(work, work.rows.len() / width, width);
        let Room { scratch, ids, gradients, .. } = room;
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
    fn codes(&self, coding: Coding, room: &mut Room<S>, work: &mut Work<'_, u8>) {
        let (width, state_width) = (self.width, self.state_width);
        let bytes = coding.code.row_bytes(width);
        room.open(work, work.rows.len() / bytes, width);
        let Room { scratch, ids, rows, gradients } = room;
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
    /// Bytes of one thread's scratch in [`apply`](Self::apply).
    pub fn scratch_bytes(width: u64) -> u64 {
        PANEL_ROWS as u64 * (8 * width + 4)
    }

    /// Changes the touched rows by their gradients, panel by panel, in parallel. `state` is the
    /// optimiser's, of floats.
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
        let buffers = || Room::new(scratch());
        match &mut self.panels {
            Panels::Floats(panels) => {
                let work = work(panels, (state, state_width), touched);
                machine.workers.each_with(work, buffers, |room, mut work| {
                    let rows = work.rows.len() / width;
                    sums.look(work.panel, rows, || bit_sum(work.rows));
                    change.floats(room, &mut work);
                    sums.note(work.panel, || bit_sum(work.rows));
                });
            }
            Panels::Codes(coding, panels) => {
                let bytes = coding.code.row_bytes(width);
                let work = work(panels, (state, state_width), touched);
                machine.workers.each_with(work, buffers, |room, mut work| {
                    let rows = work.rows.len() / bytes;
                    sums.look(work.panel, rows, || byte_sum(work.rows));
                    change.codes(*coding, room, &mut work);
                    sums.note(work.panel, || byte_sum(work.rows));
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
    pub(super) fn sum(&self, panel: usize) -> u64 {
        match &self.panels {
            Panels::Floats(panels) => bit_sum(&panels[panel]),
            Panels::Codes(_, panels) => byte_sum(&panels[panel]),
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
fn work<'a, T: Clone>(
    panels: &'a mut [Arc<[T]>],
    (state, state_width): (&'a mut [Arc<[f32]>], usize),
    touched: Touched<'a>,
) -> Vec<Work<'a, T>> {
    let mut work = Vec::new();
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
        let Some((panel, (rows, state))) = next else { return work };
        passed = panel + 1;
        let ids = match touched {
            Touched::All => None,
            Touched::Some(_) => {
                let here = rest.partition_point(|id| (*id as usize) < passed * PANEL_ROWS);
                let (here, after) = rest.split_at(here);
                rest = after;
                for id in here.iter().filter(|_| state_width > 0) {
                    prefetch(&state[*id as usize % PANEL_ROWS * state_width..][..state_width]);
                }
                Some(here)
            }
        };
        let (rows, state) = (Arc::make_mut(rows), Arc::make_mut(state));
        work.push(Work { panel, ids, rows, state });
    }
}
