//! How tables come to be: filled one by one or by all threads, read as they were stored, and grown.
//!
//! *Invariant:* rows of a code are rounded by their ids alone, so any number of threads makes the
//! same table.

use std::sync::Arc;

use gossamer_machine::parallel::Workers;
use gossamer_machine::{Address, InstructionSet, Purpose};
use gossamer_tensor::row_code::RowCode;

use super::{Coding, PANEL_ROWS, Panels, Table};

impl Table {
    /// Rows of floats filled one by one; `fill` gets the id and the row, zeroed.
    pub fn filled(n_rows: usize, width: usize, mut fill: impl FnMut(u32, &mut [f32])) -> Self {
        let mut table = Self::empty(None, width);
        table.grow(n_rows, &mut fill);
        table
    }

    /// No rows yet: of floats, or in a row code.
    pub fn empty(code: Option<&'static dyn RowCode>, width: usize) -> Self {
        let coding = code.map(|code| Coding { code, isa: InstructionSet::detect() });
        let panels = coding
            .map_or_else(|| Panels::Floats(Vec::new()), |coding| Panels::Codes(coding, Vec::new()));
        Self { width, n_rows: 0, panels, open: Vec::new(), sums: Vec::new(), shelf: None }
    }

    /// Rows of zeros.
    pub fn zeroed(n_rows: usize, width: usize) -> Self {
        Self::filled(n_rows, width, |_, _| {})
    }

    /// Rows filled by all threads, panel by panel; `fill` gets the id and the row, zeroed.
    pub fn made(
        code: Option<&'static dyn RowCode>,
        [n_rows, width]: [usize; 2],
        workers: &Workers,
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
    ) -> Self {
        let mut table = Self { n_rows, ..Self::empty(code, width) };
        let (n_panels, row_bytes) = (table.n_panels(), table.row_bytes());
        let panels = match table.panels {
            Panels::Floats(_) => Panels::Floats(workers.map(n_panels, |panel| {
                let mut rows = vec![0.0; table.panel_rows(panel) * width];
                table.fill_floats(panel as u32, &mut rows, fill);
                rows.into()
            })),
            Panels::Codes(coding, _) => {
                let panels = workers.map(n_panels, |panel| {
                    let mut rows = vec![0; table.panel_rows(panel) * row_bytes];
                    table.fill_codes(panel as u32, &mut rows, fill);
                    rows.into()
                });
                Panels::Codes(coding, panels)
            }
        };
        table.panels = panels;
        table
    }

    /// Fills the floats of a panel.
    pub(super) fn fill_floats(
        &self,
        panel: u32,
        rows: &mut [f32],
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
    ) {
        rows.fill(0.0);
        let first = panel as usize * PANEL_ROWS;
        fill_floats(first, rows, self.width, &mut |id, row| fill(id, row));
    }

    /// Fills the codes of a panel, where the table has such.
    pub(super) fn fill_codes(
        &self,
        panel: u32,
        rows: &mut [u8],
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
    ) {
        rows.fill(0);
        let first = panel as usize * PANEL_ROWS;
        if let Panels::Codes(coding, _) = &self.panels {
            coding.fill(first, rows, self.width, &mut |id, row| fill(id, row));
        }
    }

    /// Rows as they are stored; `fill` gets the bytes of a panel at a time.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn of_stored<E>(
        code: Option<&'static dyn RowCode>,
        [n_rows, width]: [usize; 2],
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut table = Self { n_rows, ..Self::empty(code, width) };
        for panel in 0..table.n_panels() {
            let n = table.panel_rows(panel);
            match &mut table.panels {
                Panels::Floats(panels) => {
                    let mut rows = vec![0.0f32; n * width];
                    fill(bytemuck::cast_slice_mut(&mut rows))?;
                    panels.push(rows.into());
                }
                Panels::Codes(coding, panels) => {
                    let mut rows = vec![0; n * coding.code.row_bytes(width)];
                    fill(&mut rows)?;
                    panels.push(rows.into());
                }
            }
        }
        Ok(table)
    }

    /// Appends rows.
    pub fn grow(&mut self, n_more: usize, fill: &mut dyn FnMut(u32, &mut [f32])) {
        let (target, width) = (self.n_rows + n_more, self.width);
        self.sums.clear();
        while self.n_rows < target {
            let (first, within) = (self.n_rows, self.n_rows % PANEL_ROWS);
            let more = (PANEL_ROWS - within).min(target - first);
            match &mut self.panels {
                Panels::Floats(panels) => lengthen(panels, within, more * width, |rows| {
                    fill_floats(first, rows, width, fill);
                }),
                Panels::Codes(coding, panels) => {
                    let bytes = coding.code.row_bytes(width);
                    lengthen(panels, within, more * bytes, |rows| {
                        coding.fill(first, rows, width, fill);
                    });
                }
            }
            self.n_rows += more;
        }
    }
}

/// Fills rows of floats, the first of which has the id `first`.
fn fill_floats(
    first: usize,
    rows: &mut [f32],
    width: usize,
    fill: &mut dyn FnMut(u32, &mut [f32]),
) {
    for (id, row) in (first..).zip(rows.chunks_exact_mut(width.max(1))) {
        fill(id as u32, row);
    }
}

impl Coding {
    /// Fills zeroed rows, the first of which has the id `first`.
    fn fill(
        self,
        first: usize,
        rows: &mut [u8],
        width: usize,
        fill: &mut dyn FnMut(u32, &mut [f32]),
    ) {
        // Of a step before all steps: first values are rounded as others are.
        let rounding = Address::new(0, Purpose::Rounding, 0);
        let mut floats = vec![0.0; width];
        for (id, row) in (first..).zip(rows.chunks_exact_mut(self.code.row_bytes(width).max(1))) {
            floats.fill(0.0);
            fill(id as u32, &mut floats);
            self.code.encode(self.isa, rounding.bits(id as u32, 0)[0], &floats, row);
        }
    }
}

/// Adds `more` parts to the last panel, of which `within` rows are there, or to a new one; `fill`
/// gets them, zeroed.
fn lengthen<T: Copy + Default>(
    panels: &mut Vec<Arc<[T]>>,
    within: usize,
    more: usize,
    fill: impl FnOnce(&mut [T]),
) {
    let last = if within > 0 { panels.pop() } else { None };
    let mut rows = last.map_or_else(Vec::new, |panel| panel.to_vec());
    let before = rows.len();
    rows.resize(before + more, T::default());
    fill(&mut rows[before..]);
    panels.push(rows.into());
}
