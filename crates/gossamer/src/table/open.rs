//! Open panels: encoded rows that are floats while they are changed, and rounded once afterwards.
//!
//! Rows that are changed where they stand are rounded at every step, and their noise grows with the
//! way they take. An open panel is rounded to the nearest codes when it is closed.
//!
//! *Invariant:* a panel is encoded, open or elsewhere. Closing depends on its floats alone; what is
//! opened and closed unchanged has the bytes it had after its last closing.
//! *Paper:* Yang, Huang, Park, Tang, Tulloch, "Mixed-precision embedding using a cache" (2020),
//! for rows of few bits behind a store of floats; there a cache of rows, here panels in turn.

use std::sync::Arc;

use gossamer_machine::parallel::Workers;

use super::{Coding, Panels, Table};

impl Table {
    /// Decodes encoded panels, which are floats until they are closed; those that are open or of
    /// floats stay as they are.
    pub fn open(&mut self, panels: &[u32], workers: &Workers) {
        let (width, n_panels) = (self.width, self.n_panels());
        let Panels::Codes(coding, all) = &mut self.panels else { return };
        self.open.resize(n_panels, Arc::from(Vec::new()));
        let tasks = both(all, &mut self.open, panels);
        let tasks: Vec<_> = tasks.into_iter().filter(|(codes, _)| !codes.is_empty()).collect();
        workers.each(tasks, |(codes, open)| {
            let n_rows = codes.len() / coding.code.row_bytes(width).max(1);
            let mut rows = vec![0.0; n_rows * width];
            coding.decode(codes, 0, &mut rows, width);
            (*open, *codes) = (rows.into(), Arc::from(Vec::new()));
        });
        self.look_for_open(panels);
    }

    /// Encodes open panels again, each float as the nearest code; others stay as they are.
    pub fn close(&mut self, panels: &[u32], workers: &Workers) {
        let width = self.width;
        let Panels::Codes(coding, all) = &mut self.panels else { return };
        if self.open.is_empty() {
            return;
        }
        let tasks = both(all, &mut self.open, panels);
        let tasks: Vec<_> = tasks.into_iter().filter(|(_, open)| !open.is_empty()).collect();
        workers.each(tasks, |(codes, open)| {
            let mut bytes = vec![0; open.len() / width.max(1) * coding.code.row_bytes(width)];
            coding.round(open, width, &mut bytes);
            (*open, *codes) = (Arc::from(Vec::new()), bytes.into());
        });
        self.look_for_open(panels);
    }

    /// Notes which panels are open after some were opened or closed.
    fn look_for_open(&mut self, changed: &[u32]) {
        if self.open.iter().all(|panel| panel.is_empty()) {
            self.open = Vec::new();
        }
        self.sum_again(changed);
    }

    /// True if some panel is open.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
}

impl Coding {
    /// Rounds rows to the nearest codes.
    pub(super) fn round(self, rows: &[f32], width: usize, out: &mut [u8]) {
        let codes = out.chunks_exact_mut(self.code.row_bytes(width).max(1));
        for (row, codes) in rows.chunks_exact(width.max(1)).zip(codes) {
            self.code.round(self.isa, row, codes);
        }
    }
}

/// Both kinds of some panels; `panels` ascend.
fn both<'a, A, B>(
    one: &'a mut [A],
    other: &'a mut [B],
    panels: &[u32],
) -> Vec<(&'a mut A, &'a mut B)> {
    let mut pairs = one.iter_mut().zip(other);
    let mut passed = 0;
    let pair = |panel: &u32| {
        let pair = pairs.nth(*panel as usize - passed);
        passed = *panel as usize + 1;
        pair
    };
    panels.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::stored;
    use crate::table::{PANEL_ROWS, Part, Touched};
    use gossamer_machine::Machine;
    use gossamer_machine::faults::Faults;
    use gossamer_tensor::{optim, row_code};

    fn value(id: u32, place: usize) -> f32 {
        ((id as f32 + 1.0) * (place as f32 + 0.7)).sin()
    }

    fn tables() -> impl Iterator<Item = Table> {
        row_code::ALL.iter().map(|code| {
            let mut table = Table::empty(Some(*code), 3);
            table.grow(2 * PANEL_ROWS + 7, &mut |id, row| {
                row.iter_mut().enumerate().for_each(|(place, x)| *x = value(id, place));
            });
            table
        })
    }

    /// Takes 0.0001 from all floats of some rows.
    fn change(table: &mut Table, ids: &[u32], number: u64, machine: &Machine) {
        let sgd = optim::find("sgd").unwrap();
        let instruction_set = machine.instruction_set;
        let step = optim::Step { learning_rate: 1.0, number, seed: 3, instruction_set };
        let fill = |(): &mut (), _: &Part<'_>, out: &mut [f32]| out.fill(1e-4);
        let mut state = table.state(sgd);
        table.apply(&mut state, machine, (sgd, &step), Touched::Some(ids), || (), &fill);
    }

    #[test]
    fn what_is_opened_is_read_as_it_was_and_closes_to_what_it_was() {
        let workers = Workers::new(2);
        for mut table in tables() {
            // Their codes were drawn; the nearest ones are those of what they stand for.
            let all = [0, 1, 2];
            table.open(&all, &workers);
            table.close(&all, &workers);
            let (bytes, before) = (stored(&table), table.clone());
            table.open(&[], &workers);
            assert!(!table.is_open());
            table.open(&[0, 2], &workers);
            assert!(table.is_open() && !before.is_open());
            assert_eq!(stored(&table), bytes);
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for id in [0, 511, 512, 1023, 1024, 1030] {
                assert_eq!(table.row(id, &mut one), before.row(id, &mut other), "{id}");
                let panel = id as usize / PANEL_ROWS;
                let (here, there) = (table.panel(panel, &mut one), before.panel(panel, &mut other));
                assert_eq!(here.rows, there.rows);
            }
            table.close(&[0], &workers);
            assert!(table.is_open());
            table.close(&[1, 2], &workers);
            assert!(!table.is_open());
            assert_eq!(stored(&table), bytes);
        }
    }

    /// A step far below a code's grid is kept while a panel is open.
    #[test]
    fn small_steps_add_up_in_open_panels_without_noise() {
        let machine = Machine::new(2, None);
        for mut table in tables() {
            table.open(&[1], &machine.workers);
            let before = table.clone();
            let ids = [512, 700];
            for number in 0..100 {
                change(&mut table, &ids, number, &machine);
            }
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for id in 512..1024 {
                let way = if ids.contains(&id) { 1e-2 } else { 0.0 };
                let both = table.row(id, &mut one).iter().zip(before.row(id, &mut other));
                for (new, old) in both {
                    assert!((old - new - way).abs() < 1e-5, "{id}: {old} {new}");
                }
            }
        }
    }

    #[test]
    fn a_bit_that_changes_in_an_open_panel_is_found_and_no_panel_is_blamed_for_its_turn() {
        let mut machine = Machine::new(2, None);
        machine.faults = Faults::looking();
        for mut table in tables() {
            let said = |table: &mut Table| {
                change(table, &[600, 1030], 0, &machine);
                machine.faults.take()
            };
            assert_eq!(said(&mut table), None);
            table.open(&[1, 2], &machine.workers);
            assert_eq!([said(&mut table), said(&mut table)], [None, None]);
            let float = &mut Arc::make_mut(&mut table.open[1])[3 * 89];
            *float = f32::from_bits(float.to_bits() ^ 1 << 20);
            let found = said(&mut table).unwrap();
            assert!(found.contains("rows 512 to 1023 of a table"), "{found}");
            assert_eq!(said(&mut table), None);
            table.close(&[1, 2], &machine.workers);
            assert_eq!([said(&mut table), said(&mut table)], [None, None]);
        }
    }
}
