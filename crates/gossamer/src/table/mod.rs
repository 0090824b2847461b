//! Tables: all rows of a kind, reached panel by panel.
//!
//! A table is a list of panels of 512 rows, shared and copied when written, so that a snapshot
//! that someone reads costs nothing until its rows change. Rows are floats, or stand encoded in a
//! [`RowCode`] and are decoded where they are read; panels that are changed often can be floats for a
//! while ([`open`](Table::open)). Panels may stand in files instead of in memory ([`shelf`]): reading
//! reaches them there, changing needs them here.
//!
//! *Invariant:* nothing outside this module sees a table as one slice. Rows are read by
//! [`Table::row`], scanned panel by panel ([`Table::panel`]), changed by [`Table::apply`], appended
//! by [`Table::grow`] (a test reads the signatures).
//! *Not here:* what rows mean (`score`), how gradients arise (`train`).

use std::sync::Arc;

use gossamer_machine::ledger::taken;
use gossamer_machine::{FileError, InstructionSet};
use gossamer_tensor::kernel::prefetch;
use gossamer_tensor::optim::Optimiser;
use gossamer_tensor::row_code::RowCode;

mod change;
mod make;
mod open;
pub mod rows;
pub mod shelf;

pub use change::{GradientOf, Part, Touched};
pub use rows::SparseRows;
use shelf::Shelf;

/// Rows of a panel, the unit in which rows are shared, scored and changed: its scores against a
/// batch of queries stay in the second-level cache.
pub const PANEL_ROWS: usize = 512;

/// Rows of one width.
#[derive(Debug, Clone)]
pub struct Table {
    width: usize,
    n_rows: usize,
    panels: Panels,
    /// Of encoded panels those that are floats for now, each at its place; none if there are none.
    open: Vec<Arc<[f32]>>,
    /// The sum of each panel's bits after its last change, where someone verifies; else none.
    sums: Vec<u64>,
    /// Where the panels that are not here stand.
    shelf: Option<Arc<Shelf>>,
}

/// Panels in memory, in order; an empty one stands elsewhere.
#[derive(Debug, Clone)]
enum Panels {
    Floats(Vec<Arc<[f32]>>),
    Codes(Coding, Vec<Arc<[u8]>>),
}

/// A row code and what it is computed with.
#[derive(Clone, Copy)]
struct Coding {
    code: &'static dyn RowCode,
    isa: InstructionSet,
}

impl std::fmt::Debug for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.name())
    }
}

/// Some consecutive rows.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// Id of the first of them.
    pub first: u32,
    /// Their floats, row by row.
    pub rows: &'a [f32],
}

/// Bytes that rows take in memory, panel by panel: of floats, or in a row code.
pub fn bytes_for(code: Option<&dyn RowCode>, n_rows: u64, width: u64) -> u64 {
    let row = code.map_or(4 * width, |code| code.row_bytes(width as usize) as u64);
    let (n_panels, rest) = (n_rows / PANEL_ROWS as u64, n_rows % PANEL_ROWS as u64);
    let last = if rest > 0 { taken(rest * row) } else { 0 };
    n_panels * taken(PANEL_ROWS as u64 * row) + last
}

/// The panel of a row, and its place there.
fn place(id: u32) -> (usize, usize) {
    (id as usize / PANEL_ROWS, id as usize % PANEL_ROWS)
}

impl Table {
    /// Bytes that a table of `f32` takes in memory.
    pub fn bytes_for(n_rows: u64, width: u64) -> u64 {
        bytes_for(None, n_rows, width)
    }

    /// Floats per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// What its rows are encoded in; none where they are floats.
    pub fn code(&self) -> Option<&'static dyn RowCode> {
        match &self.panels {
            Panels::Floats(_) => None,
            Panels::Codes(coding, _) => Some(coding.code),
        }
    }

    /// Bytes of its rows as they stand.
    pub fn bytes(&self) -> u64 {
        (self.n_rows * self.row_bytes()) as u64
    }

    /// One row; `room` is where it is decoded, or read from a file.
    pub fn row<'a>(&'a self, id: u32, room: &'a mut Vec<f32>) -> &'a [f32] {
        let (panel, within) = place(id);
        if let Some(rows) = self.floats(panel) {
            return &rows[within * self.width..][..self.width];
        }
        room.resize(self.width, 0.0);
        self.read(id, room);
        room
    }

    /// Some rows, in the order of their ids; `room` is where they are decoded, or read from a file.
    pub fn rows<'a>(&'a self, ids: &[u32], room: &'a mut Vec<f32>) -> Vec<&'a [f32]> {
        match &self.panels {
            Panels::Floats(panels) if self.shelf.is_none() => {
                let row = |id: &u32| {
                    let (panel, within) = place(*id);
                    &panels[panel][within * self.width..][..self.width]
                };
                ids.iter().map(row).collect()
            }
            _ => {
                room.resize(ids.len() * self.width, 0.0);
                self.gather(ids, room);
                room.chunks_exact(self.width.max(1)).collect()
            }
        }
    }

    /// Asks for a row that will soon be read.
    pub fn prefetch(&self, id: u32) {
        let (panel, within) = place(id);
        if let Some(rows) = self.floats(panel) {
            prefetch(&rows[within * self.width..][..self.width]);
        } else if let Panels::Codes(coding, panels) = &self.panels {
            let bytes = coding.code.row_bytes(self.width);
            let row = panels[panel].get(within * bytes..(within + 1) * bytes);
            row.into_iter().for_each(prefetch);
        }
    }

    /// Asks for the row that will be read some places after one of `ids`.
    pub fn prefetch_after(&self, place: usize, id: impl Fn(usize) -> Option<u32>) {
        /// Rows on their way: as many as a core waits for at a time.
        const AHEAD: usize = 8;
        if let Some(later) = id(place + AHEAD) {
            self.prefetch(later);
        }
    }

    /// Copies a row into `out`.
    pub fn copy(&self, id: u32, out: &mut [f32]) {
        self.gather(&[id], out);
    }

    /// Copies the rows of `ids` into `out` (ids × width).
    pub fn gather(&self, ids: &[u32], out: &mut [f32]) {
        let width = self.width.max(1);
        for (place, (id, out)) in ids.iter().zip(out.chunks_exact_mut(width)).enumerate() {
            self.prefetch_after(place, |later| ids.get(later).copied());
            self.read(*id, out);
        }
    }

    /// How many panels the table has.
    pub fn n_panels(&self) -> usize {
        self.n_rows.div_ceil(PANEL_ROWS)
    }

    /// Rows of the panel at a place.
    pub fn panel_rows(&self, index: usize) -> usize {
        PANEL_ROWS.min(self.n_rows - index * PANEL_ROWS)
    }

    /// The panel at a place below [`n_panels`](Self::n_panels); `room` is where it is decoded, or
    /// read from a file.
    pub fn panel<'a>(&'a self, index: usize, room: &'a mut Vec<f32>) -> Panel<'a> {
        let first = (index * PANEL_ROWS) as u32;
        if let Some(rows) = self.floats(index) {
            return Panel { first, rows };
        }
        room.resize(self.panel_rows(index) * self.width, 0.0);
        self.read(first, room);
        Panel { first, rows: room }
    }

    /// Calls `visit` with every panel in order.
    pub fn for_each_panel(&self, mut visit: impl FnMut(Panel<'_>)) {
        let mut room = Vec::new();
        (0..self.n_panels()).for_each(|index| visit(self.panel(index, &mut room)));
    }

    /// The floats of a panel that is in memory and not encoded.
    fn floats(&self, panel: usize) -> Option<&[f32]> {
        let panels = match &self.panels {
            Panels::Floats(panels) => panels,
            Panels::Codes(..) => &self.open,
        };
        panels.get(panel).map(|rows| &rows[..]).filter(|rows| !rows.is_empty())
    }

    /// Copies rows that stand in one panel, from `first` on and as many as `out` holds.
    fn read(&self, first: u32, out: &mut [f32]) {
        let (panel, within) = place(first);
        if let Some(rows) = self.floats(panel) {
            return out.copy_from_slice(&rows[within * self.width..][..out.len()]);
        }
        match &self.panels {
            Panels::Floats(_) => {
                self.fetch(panel, 4 * within * self.width, bytemuck::cast_slice_mut(out));
            }
            Panels::Codes(coding, panels) if !panels[panel].is_empty() => {
                coding.decode(&panels[panel], within, out, self.width);
            }
            Panels::Codes(coding, _) => {
                let bytes = coding.code.row_bytes(self.width);
                let mut rows = vec![0; out.len() / self.width.max(1) * bytes];
                self.fetch(panel, within * bytes, &mut rows);
                coding.decode(&rows, 0, out, self.width);
            }
        }
    }

    /// Calls `visit` with the bytes of its panels in order, as they stand: little-endian floats, or
    /// codes; open panels are rounded on their way.
    ///
    /// # Errors
    /// Those of `visit`, and those of reading panels that stand in files.
    pub fn for_each_stored<E: From<FileError>>(
        &self,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut room = Vec::new();
        for panel in 0..self.n_panels() {
            let here: &[u8] = match &self.panels {
                Panels::Floats(panels) => bytemuck::cast_slice(&panels[panel]),
                Panels::Codes(coding, _) if self.floats(panel).is_some() => {
                    let rows = self.floats(panel).unwrap_or_default();
                    room.resize(self.panel_rows(panel) * self.row_bytes(), 0);
                    coding.round(rows, self.width, &mut room);
                    &room
                }
                Panels::Codes(_, panels) => &panels[panel],
            };
            if !here.is_empty() {
                visit(here)?;
                continue;
            }
            room.resize(self.panel_rows(panel) * self.row_bytes(), 0);
            self.fetch(panel, 0, &mut room);
            self.failure()?;
            visit(&room)?;
        }
        Ok(())
    }

    /// Bytes of a row as it stands.
    fn row_bytes(&self) -> usize {
        self.code().map_or(4 * self.width, |code| code.row_bytes(self.width))
    }

    /// True if every float is finite.
    pub fn is_finite(&self) -> bool {
        let mut finite = true;
        self.for_each_panel(|panel| finite &= panel.rows.iter().all(|value| value.is_finite()));
        finite
    }

    /// Fresh state of an optimiser for these rows.
    pub fn state(&self, optimiser: &dyn Optimiser) -> Self {
        Self::zeroed(self.n_rows, optimiser.state_width(self.width))
    }
}

impl Coding {
    /// Decodes rows of a panel from a place on, as many as `out` holds.
    fn decode(self, panel: &[u8], within: usize, out: &mut [f32], width: usize) {
        let bytes = self.code.row_bytes(width).max(1);
        let rows = panel[within * bytes..].chunks_exact(bytes);
        for (row, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
            self.code.decode(self.isa, row, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Machine;
    use gossamer_machine::faults::Faults;
    use gossamer_machine::parallel::Workers;
    use gossamer_tensor::{optim, row_code};

    fn kinds() -> impl Iterator<Item = Option<&'static dyn RowCode>> {
        std::iter::once(None).chain(row_code::ALL.iter().copied().map(Some))
    }

    fn numbered(code: Option<&'static dyn RowCode>, n_rows: usize, width: usize) -> Table {
        let mut table = Table::empty(code, width);
        table.grow(n_rows, &mut |id, row| row.fill(of(id)));
        table
    }

    /// The bytes of a table as a file has them.
    pub(super) fn stored(table: &Table) -> Vec<u8> {
        let mut bytes = Vec::new();
        let visit = |panel: &[u8]| {
            bytes.extend_from_slice(panel);
            Ok::<(), FileError>(())
        };
        table.for_each_stored(visit).unwrap();
        bytes
    }

    fn of(id: u32) -> f32 {
        let size = (1u32 << (id % 13)) as f32;
        if id.is_multiple_of(2) { size } else { -size }
    }

    fn near(code: Option<&dyn RowCode>, found: &[f32], exact: f32) -> bool {
        let bound = code.map_or(0.0, |code| code.largest_error(exact.abs()));
        found.iter().all(|x| (x - exact).abs() <= bound)
    }

    #[test]
    fn rows_are_found_wherever_their_panel_is() {
        for code in kinds() {
            let mut table = numbered(code, 5000, 3);
            table.grow(4000, &mut |id, row| row.fill(of(id) * 3.0));
            let ids = [4095, 4096, 4999, 5000, 8999];
            let mut out = [0.0; 15];
            table.gather(&ids, &mut out);
            let (mut room, mut other) = (Vec::new(), Vec::new());
            let rows: Vec<Vec<f32>> =
                table.rows(&ids, &mut room).into_iter().map(<[f32]>::to_vec).collect();
            for (id, (gathered, row)) in ids.iter().zip(out.chunks(3).zip(rows)) {
                let times = if *id < 5000 { 1.0 } else { 3.0 };
                assert!(near(code, gathered, of(*id) * times), "{id}");
                assert_eq!((gathered, gathered), (&row[..], table.row(*id, &mut other)));
                let panel = table.panel(*id as usize / PANEL_ROWS, &mut other);
                let place = (id - panel.first) as usize * 3;
                assert_eq!(&panel.rows[place..place + 3], gathered);
            }
            let mut seen = 0;
            table.for_each_panel(|panel| seen += panel.rows.len());
            assert_eq!(seen, 9000 * 3);
            assert_eq!(stored(&table).len() as u64, table.bytes());
        }
    }

    #[test]
    fn panels_with_pages_of_their_own_are_counted_whole() {
        // Of 512 · 100 floats, exactly fifty pages, each takes one more for its header.
        assert_eq!(Table::bytes_for(2 * 512, 100), 2 * 51 * 4096);
        assert_eq!(Table::bytes_for(2 * 512 + 1, 100), 2 * 51 * 4096 + 400 + 32);
        // Short ones stand in the heap.
        assert_eq!(Table::bytes_for(3 * 512, 1), 3 * (2048 + 32));
        assert_eq!(Table::filled(1025, 100, |_, _| {}).bytes(), 1025 * 400);
    }

    #[test]
    fn what_is_stored_makes_the_same_table_again() {
        for code in kinds() {
            let table = numbered(code, 5000, 5);
            let fill = |id: u32, row: &mut [f32]| row.fill(of(id));
            let made = Table::made(code, [5000, 5], &Workers::new(2), &fill);
            let bytes = stored(&table);
            assert!(stored(&made) == bytes);
            let mut rest = &bytes[..];
            let again = Table::of_stored(code, [5000, 5], |bytes| {
                let (now, later) = rest.split_at(bytes.len());
                bytes.copy_from_slice(now);
                rest = later;
                Ok::<(), ()>(())
            });
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let again = again.unwrap();
            for id in [0, 17, 4096, 4999] {
                assert_eq!(table.row(id, &mut one), again.row(id, &mut other));
            }
        }
    }

    fn step() -> optim::Step {
        let instruction_set = InstructionSet::detect();
        optim::Step { learning_rate: 1.0, number: 1, seed: 3, instruction_set }
    }

    #[test]
    fn apply_changes_the_touched_rows_alone_and_leaves_old_snapshots() {
        for (code, touched) in kinds().flat_map(|code| {
            let some = [vec![], vec![0, 511, 512, 4096, 8191, 8999], (0..9000).collect()];
            some.into_iter().map(move |touched| (code, touched))
        }) {
            let optimiser = optim::find("adagrad").unwrap();
            let mut table = numbered(code, 9000, 2);
            let mut state = table.state(optimiser);
            let before = table.clone();
            let which = if touched.len() == 9000 { Touched::All } else { Touched::Some(&touched) };
            let change = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
                let mut room = Vec::new();
                for (place, (id, out)) in part.ids.iter().zip(out.chunks_mut(2)).enumerate() {
                    assert_eq!(part.row(place), before.row(*id, &mut room));
                    assert_eq!(*id as usize / PANEL_ROWS, part.panel);
                    out.fill(7.0);
                }
            };
            let machine = Machine::new(2, None);
            table.apply(&mut state, &machine, (optimiser, &step()), which, || (), &change);
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for id in 0..9000 {
                let (old, new) = (before.row(id, &mut one), table.row(id, &mut other));
                assert!(near(code, old, of(id)));
                if !touched.contains(&id) {
                    assert_eq!(old, new);
                    continue;
                }
                let code = code.map_or(0.0, |code| code.largest_error(of(id).abs() + 1.0));
                let moved = |(new, old): (&f32, &f32)| (new - old + 1.0).abs() <= code;
                assert!(new.iter().zip(old).all(moved), "{id}: {old:?} {new:?} {code}");
            }
        }
    }

    #[test]
    fn a_bit_that_changes_by_itself_is_found_with_its_rows() {
        for code in kinds() {
            let mut machine = Machine::new(2, None);
            machine.faults = Faults::looking();
            let sgd = optim::find("sgd").unwrap();
            let mut table = numbered(code, 5000, 3);
            let mut state = table.state(sgd);
            let mut change = |table: &mut Table| {
                let ids = [3, 600, 4999];
                let fill = |(): &mut (), _: &Part<'_>, out: &mut [f32]| out.fill(0.5);
                let touched = Touched::Some(&ids);
                table.apply(&mut state, &machine, (sgd, &step()), touched, || (), &fill);
                machine.faults.take()
            };
            assert_eq!([change(&mut table), change(&mut table)], [None, None]);
            match &mut table.panels {
                Panels::Floats(panels) => {
                    let panel = Arc::make_mut(&mut panels[1]);
                    panel[3 * 89] = f32::from_bits(panel[3 * 89].to_bits() ^ 1 << 20);
                }
                Panels::Codes(coding, panels) => {
                    Arc::make_mut(&mut panels[1])[coding.code.row_bytes(3) * 89 + 2] ^= 1 << 3;
                }
            }
            let said = change(&mut table).unwrap();
            assert!(said.contains("rows 512 to 1023 of a table"), "{said}");
            assert_eq!(change(&mut table), None);
        }
    }
}
