//! Tables: all rows of a kind, reached block by block.
//!
//! A table is a list of blocks of 4,096 rows, shared and copied when written, so that a snapshot
//! that someone reads costs nothing until its rows change.
//!
//! *Invariant:* nothing outside this module sees a table as one slice. Rows are read by
//! [`Table::row`], scanned panel by panel ([`Table::for_each_block`], [`Table::panel`]), changed by
//! [`Table::apply`], appended by [`Table::grow`] (a test reads the signatures).
//! *Not here:* what rows mean (`score`), how gradients arise (`train`).

use std::sync::{Arc, Mutex};

use gossamer_machine::Machine;
use gossamer_tensor::kernel::verify::bit_sum;
use gossamer_tensor::optim::{Optimiser, Step};

pub mod rows;

pub use rows::SparseRows;

/// Rows of a block.
pub const BLOCK_ROWS: usize = 4096;
/// Rows of a panel, the unit in which rows are scored and changed: its scores against a batch of
/// queries stay in the second-level cache. Divides [`BLOCK_ROWS`].
pub const PANEL_ROWS: usize = 512;

/// Rows of one width.
#[derive(Debug, Clone)]
pub struct Table {
    width: usize,
    n_rows: usize,
    blocks: Vec<Arc<Vec<f32>>>,
    /// The sum of each panel's bits after its last change, where someone verifies; else none.
    sums: Vec<u64>,
}

/// Some consecutive rows.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// Id of the first of them.
    pub first: u32,
    /// Their floats, row by row.
    pub rows: &'a [f32],
}

impl Table {
    /// Bytes of a resident table of `f32`.
    pub fn bytes_for(n_rows: u64, width: u64) -> u64 {
        4 * n_rows * width
    }

    /// Rows filled one by one; `fill` gets the id and the row, zeroed.
    pub fn filled(n_rows: usize, width: usize, mut fill: impl FnMut(u32, &mut [f32])) -> Self {
        let mut table = Self { width, n_rows: 0, blocks: Vec::new(), sums: Vec::new() };
        table.grow(n_rows, &mut fill);
        table
    }

    /// Rows of zeros.
    pub fn zeroed(n_rows: usize, width: usize) -> Self {
        Self::filled(n_rows, width, |_, _| {})
    }

    /// Appends rows.
    pub fn grow(&mut self, n_more: usize, fill: &mut dyn FnMut(u32, &mut [f32])) {
        let target = self.n_rows + n_more;
        self.sums.clear();
        while self.n_rows < target {
            let within = self.n_rows % BLOCK_ROWS;
            if within == 0 {
                let rows = BLOCK_ROWS.min(target - self.n_rows);
                self.blocks.push(Arc::new(Vec::with_capacity(rows * self.width)));
            }
            let more = (BLOCK_ROWS - within).min(target - self.n_rows);
            let Some(block) = self.blocks.last_mut().map(Arc::make_mut) else { return };
            block.resize((within + more) * self.width, 0.0);
            if self.width > 0 {
                let rows = block[within * self.width..].chunks_exact_mut(self.width);
                rows.enumerate().for_each(|(i, row)| fill((self.n_rows + i) as u32, row));
            }
            self.n_rows += more;
        }
    }

    /// Floats per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// One row.
    pub fn row(&self, id: u32) -> &[f32] {
        let (block, within) = (id as usize / BLOCK_ROWS, id as usize % BLOCK_ROWS);
        &self.blocks[block][within * self.width..][..self.width]
    }

    /// Copies the rows of `ids` into `out` (ids × width).
    pub fn gather(&self, ids: &[u32], out: &mut [f32]) {
        if self.width > 0 {
            let rows = out.chunks_exact_mut(self.width);
            ids.iter().zip(rows).for_each(|(id, row)| row.copy_from_slice(self.row(*id)));
        }
    }

    /// How many panels the table has.
    pub fn n_panels(&self) -> usize {
        self.n_rows.div_ceil(PANEL_ROWS)
    }

    /// The panel at a place below [`n_panels`](Self::n_panels).
    pub fn panel(&self, index: usize) -> Panel<'_> {
        let first = index * PANEL_ROWS;
        let n = PANEL_ROWS.min(self.n_rows - first);
        let block = &self.blocks[first / BLOCK_ROWS];
        let start = first % BLOCK_ROWS * self.width;
        Panel { first: first as u32, rows: &block[start..start + n * self.width] }
    }

    /// Calls `visit` with every block in order.
    pub fn for_each_block(&self, mut visit: impl FnMut(Panel<'_>)) {
        for (index, block) in self.blocks.iter().enumerate() {
            visit(Panel { first: (index * BLOCK_ROWS) as u32, rows: block });
        }
    }

    /// True if every float is finite.
    pub fn is_finite(&self) -> bool {
        self.blocks.iter().all(|block| block.iter().all(|value| value.is_finite()))
    }
}

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
    /// The present values of the whole panel's rows.
    pub rows: &'a [f32],
    width: usize,
}

impl<'a> Part<'a> {
    /// The present values of the row whose id stands at a place of `ids`.
    pub fn row(&self, place: usize) -> &'a [f32] {
        let within = self.ids[place] as usize - self.panel * PANEL_ROWS;
        &self.rows[within * self.width..][..self.width]
    }
}

/// Computes the gradient of some rows into a slice of zeros (ids × width). The scratch is the
/// thread's own.
pub type GradientOf<'a, S> = dyn Fn(&mut S, &Part<'_>, &mut [f32]) + Sync + 'a;

/// A panel of a table and of its state, borrowed for changing.
struct Work<'a> {
    panel: usize,
    ids: Option<&'a [u32]>,
    rows: &'a mut [f32],
    state: &'a mut [f32],
}

impl Table {
    /// Fresh state of an optimiser for these rows.
    pub fn state(&self, optimiser: &dyn Optimiser) -> Self {
        Self::zeroed(self.n_rows, optimiser.state_width(self.width))
    }

    /// Bytes of one thread's scratch in [`apply`](Self::apply).
    pub fn scratch_bytes(width: u64) -> u64 {
        PANEL_ROWS as u64 * (4 * width + 4)
    }

    /// Changes the touched rows by their gradients, panel by panel, in parallel. `state` is the
    /// optimiser's.
    ///
    /// No gradient of the whole table ever exists: each panel's is made, used and forgotten. Where
    /// the machine verifies, a panel whose bits are others than after its last change is a fault.
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
        let sums = Mutex::new(self.sums(machine));
        let work = self.work(state, touched);
        let buffers = || (scratch(), Vec::new(), Vec::new());
        machine.workers.each_with(work, buffers, |(scratch, ids, out), work| {
            let first = (work.panel * PANEL_ROWS) as u32;
            let sum = sums.lock().ok().and_then(|sums| sums.get(work.panel).copied());
            if sum.is_some_and(|sum| sum != bit_sum(work.rows)) {
                let last = first as usize + work.rows.len() / width - 1;
                let of = format!("rows {first} to {last} of a table");
                machine.faults.note(format!("{of} are no longer what they were changed to"));
            }
            ids.clear();
            match work.ids {
                Some(some) => ids.extend_from_slice(some),
                None => ids.extend(first..first + (work.rows.len() / width) as u32),
            }
            out.clear();
            out.resize(ids.len() * width, 0.0);
            let part = Part { panel: work.panel, ids, rows: &*work.rows, width };
            gradient(scratch, &part, out);
            for (id, gradient) in ids.iter().zip(out.chunks_exact(width)) {
                let place = (id - first) as usize;
                let row = &mut work.rows[place * width..][..width];
                let state = &mut work.state[place * state_width..][..state_width];
                optimiser.update(step, row, state, gradient);
            }
            let mut sums = sums.lock().ok().filter(|_| sum.is_some());
            if let Some(sum) = sums.as_deref_mut().and_then(|sums| sums.get_mut(work.panel)) {
                *sum = bit_sum(work.rows);
            }
        });
        self.sums = sums.into_inner().unwrap_or_default();
    }

    /// The sum of each panel's bits; none where nobody verifies.
    fn sums(&mut self, machine: &Machine) -> Vec<u64> {
        let known = std::mem::take(&mut self.sums);
        match machine.faults.looks() {
            true if known.is_empty() => {
                (0..self.n_panels()).map(|panel| bit_sum(self.panel(panel).rows)).collect()
            }
            true => known,
            false => Vec::new(),
        }
    }

    /// Cuts the touched rows into panels; blocks without touched rows are passed over.
    fn work<'a>(&'a mut self, state: &'a mut Self, touched: Touched<'a>) -> Vec<Work<'a>> {
        let (width, state_width) = (self.width, state.width);
        let mut work = Vec::new();
        let mut blocks = self.blocks.iter_mut().zip(state.blocks.iter_mut()).enumerate();
        let mut rest = match touched {
            Touched::All => &[][..],
            Touched::Some(ids) => ids,
        };
        let mut passed = 0;
        loop {
            let next = match (touched, rest.first()) {
                (Touched::All, _) => blocks.next(),
                (Touched::Some(_), None) => None,
                (Touched::Some(_), Some(id)) => blocks.nth(*id as usize / BLOCK_ROWS - passed),
            };
            let Some((block, (rows, state))) = next else { return work };
            passed = block + 1;
            let rows = Arc::make_mut(rows).chunks_mut(PANEL_ROWS * width);
            // An optimiser without state has a table of empty rows.
            let mut state = Arc::make_mut(state).chunks_mut((PANEL_ROWS * state_width).max(1));
            for (within, rows) in rows.enumerate() {
                let state = state.next().unwrap_or_default();
                let panel = block * (BLOCK_ROWS / PANEL_ROWS) + within;
                let ids = match touched {
                    Touched::All => None,
                    Touched::Some(_) => {
                        let end = (panel + 1) * PANEL_ROWS;
                        let n = rest.partition_point(|id| (*id as usize) < end);
                        let (here, after) = rest.split_at(n);
                        rest = after;
                        Some(here)
                    }
                };
                if ids.is_none_or(|ids| !ids.is_empty()) {
                    work.push(Work { panel, ids, rows, state });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;
    use gossamer_machine::faults::Faults;
    use gossamer_tensor::optim;

    fn numbered(n_rows: usize, width: usize) -> Table {
        Table::filled(n_rows, width, |id, row| row.fill(id as f32))
    }

    #[test]
    fn rows_are_found_wherever_their_block_is() {
        let mut table = numbered(5000, 3);
        table.grow(4000, &mut |id, row| row.fill(id as f32 + 0.5));
        let mut out = [0.0; 9];
        table.gather(&[4095, 4096, 8999], &mut out);
        assert_eq!(out, [4095.0, 4095.0, 4095.0, 4096.0, 4096.0, 4096.0, 8999.5, 8999.5, 8999.5]);
        let scanned: usize = (0..table.n_panels()).map(|panel| table.panel(panel).rows.len()).sum();
        assert_eq!(scanned, 9000 * 3);
        assert_eq!(table.panel(9).first, 9 * PANEL_ROWS as u32);
        let mut seen = 0;
        table.for_each_block(|block| seen += block.rows.len());
        assert_eq!(seen, 9000 * 3);
    }

    #[test]
    fn apply_changes_the_touched_rows_alone_and_leaves_old_snapshots() {
        let step = optim::Step {
            learning_rate: 1.0,
            number: 1,
            instruction_set: InstructionSet::detect(),
        };
        for touched in [vec![], vec![0, 511, 512, 4096, 8191, 8999], (0..9000).collect()] {
            let optimiser = optim::find("adagrad").unwrap();
            let mut table = numbered(9000, 2);
            let mut state = table.state(optimiser);
            let before = table.clone();
            let which = if touched.len() == 9000 { Touched::All } else { Touched::Some(&touched) };
            table.apply(
                &mut state,
                &Machine::new(2, None),
                (optimiser, &step),
                which,
                || (),
                &|(), part, out| {
                    for (place, (id, out)) in part.ids.iter().zip(out.chunks_mut(2)).enumerate() {
                        assert_eq!(part.row(place), [*id as f32; 2]);
                        assert_eq!(*id as usize / PANEL_ROWS, part.panel);
                        out.fill(7.0);
                    }
                },
            );
            for id in 0..9000 {
                let (old, new) = (before.row(id), table.row(id));
                assert_eq!(old, [id as f32; 2]);
                let expected = if touched.contains(&id) { id as f32 - 1.0 } else { id as f32 };
                assert_eq!(new, [expected; 2]);
            }
        }
    }

    #[test]
    fn a_bit_that_changes_by_itself_is_found_with_its_rows() {
        let mut machine = Machine::new(2, None);
        machine.faults = Faults::looking();
        let sgd = optim::find("sgd").unwrap();
        let instruction_set = InstructionSet::detect();
        let step = optim::Step { learning_rate: 1.0, number: 1, instruction_set };
        let mut table = numbered(5000, 3);
        let mut state = table.state(sgd);
        let mut change = |table: &mut Table| {
            let ids = [3, 600, 4999];
            let fill = |(): &mut (), _: &Part<'_>, out: &mut [f32]| out.fill(0.5);
            let touched = Touched::Some(&ids);
            table.apply(&mut state, &machine, (sgd, &step), touched, || (), &fill);
            machine.faults.take()
        };
        assert_eq!([change(&mut table), change(&mut table)], [None, None]);
        let block = Arc::make_mut(&mut table.blocks[0]);
        block[3 * 601] = f32::from_bits(block[3 * 601].to_bits() ^ 1 << 20);
        let said = change(&mut table).unwrap();
        assert!(said.contains("rows 512 to 1023 of a table"), "{said}");
        assert_eq!(change(&mut table), None);
    }
}
