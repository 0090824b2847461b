//! Conditions: what a score function folds with, where that is not the relation's row itself.
//!
//! With a core, a table of one row for each float of a relation's row, a condition is the relation's
//! row times the core: Σₖ rₖ·Wₖ. It is made for the relations at hand, used, and forgotten.
//!
//! Cost: 2·width·condition floating-point operations per relation, twice that again backward.

use gossamer_machine::{Buffer, InstructionSet, Machine};
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, add_product, multiply};

use super::Model;
use crate::table::PANEL_ROWS;
use crate::table::rows::SparseRows;

/// Columns of the core that are packed at a time.
const COLUMNS: usize = 1024;
/// Relations, or rows of the core, that are one task.
const ROWS: usize = 48;

/// The conditions of some relation rows.
pub struct Conditions {
    /// Rows of the relation table, ascending.
    ids: Vec<u32>,
    values: Buffer,
    width: usize,
}

impl Conditions {
    /// Of these rows of a model's relation table, made by all threads; none where each row is its
    /// own condition.
    pub fn of(model: &Model, machine: &Machine, ids: Vec<u32>) -> Option<Self> {
        let mut made = Self::room(model, machine, ids)?;
        let tasks = made.ids.chunks(ROWS).zip(made.values.chunks_mut(ROWS * made.width));
        let isa = machine.instruction_set;
        machine.workers.each(tasks.collect(), |(ids, out)| fill(model, isa, ids, out));
        Some(made)
    }

    /// As [`of`](Self::of), on the caller's thread.
    pub fn here(model: &Model, machine: &Machine, ids: Vec<u32>) -> Option<Self> {
        let mut made = Self::room(model, machine, ids)?;
        fill(model, machine.instruction_set, &made.ids, &mut made.values);
        Some(made)
    }

    fn room(model: &Model, machine: &Machine, mut ids: Vec<u32>) -> Option<Self> {
        let width = model.core.width();
        if model.core.n_rows() == 0 {
            return None;
        }
        ids.sort_unstable();
        ids.dedup();
        let values = machine.buffers.zeroed(ids.len() * width);
        Some(Self { ids, values, width })
    }

    /// The condition of a row that is among them.
    pub fn row(&self, id: u32) -> &[f32] {
        let place = self.ids.partition_point(|other| *other < id);
        &self.values[place * self.width..][..self.width]
    }

    /// Turns the gradients of conditions into those of relation rows and of the core's rows.
    pub fn backward(model: &Model, machine: &Machine, of: &SparseRows) -> (SparseRows, Buffer) {
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let (width, floats) = (model.core.width(), model.relations.width());
        let n = of.ids.len();
        let mut whole = buffers.zeroed(n * width);
        let tasks = of.ids.chunks(ROWS).zip(whole.chunks_mut(ROWS * width));
        machine.workers.each(tasks.collect(), |(ids, out)| of.add_to(isa, ids, out));
        let mut rows = buffers.zeroed(n * floats);
        let tasks = whole.chunks(ROWS * width).zip(rows.chunks_mut(ROWS * floats));
        machine.workers.each(tasks.collect(), |(gradient, out)| {
            add_row_gradient(model, isa, gradient, out);
        });
        let mut relations = buffers.room(n * floats);
        model.relations.gather(&of.ids, &mut relations);
        let mut core = buffers.zeroed(floats * width);
        let tasks = core.chunks_mut(ROWS * width).enumerate().collect();
        machine.workers.each(tasks, |(task, out)| {
            let k = out.len() / width;
            let left = Matrix { values: &relations[task * ROWS..], stride: floats }.transposed();
            for first in (0..width).step_by(COLUMNS) {
                let columns = COLUMNS.min(width - first);
                let right = Matrix { values: &whole[first..], stride: width };
                let out = MatrixMut { values: &mut out[first..], stride: width };
                add_product(isa, [k, n, columns], left, right, out);
            }
        });
        (SparseRows::new(&of.ids, rows, floats), core)
    }
}

/// out (ids × width) += their relation rows times the core.
fn fill(model: &Model, isa: InstructionSet, ids: &[u32], out: &mut [f32]) {
    let (width, floats) = (model.core.width(), model.relations.width());
    let mut relations = vec![0.0; ids.len() * floats];
    model.relations.gather(ids, &mut relations);
    let mut room = Vec::new();
    for index in 0..model.core.n_panels() {
        let panel = model.core.panel(index, &mut room);
        let k = panel.rows.len() / width;
        let left = Matrix { values: &relations[panel.first as usize..], stride: floats };
        for first in (0..width).step_by(COLUMNS) {
            let columns = COLUMNS.min(width - first);
            let right = Matrix { values: &panel.rows[first..], stride: width };
            let out = MatrixMut { values: &mut out[first..], stride: width };
            add_product(isa, [ids.len(), k, columns], left.into(), right, out);
        }
    }
}

/// out (n × floats) += gradient (n × width) times the core's transpose.
fn add_row_gradient(model: &Model, isa: InstructionSet, gradient: &[f32], out: &mut [f32]) {
    let (width, floats) = (model.core.width(), model.relations.width());
    let n = gradient.len() / width;
    let mut packed = Right::<f32>::default();
    let mut room = Vec::new();
    for index in 0..model.core.n_panels() {
        let panel = model.core.panel(index, &mut room);
        let k = panel.rows.len() / width;
        for first in (0..width).step_by(COLUMNS) {
            let columns = COLUMNS.min(width - first);
            let rows = Matrix { values: &panel.rows[first..], stride: width };
            packed.pack_transposed(isa, columns, k, rows);
            let left = Matrix { values: &gradient[first..], stride: width };
            let values = &mut out[panel.first as usize..];
            multiply(isa, n, left.into(), &packed, Put::Add, MatrixMut { values, stride: floats });
        }
    }
}

/// Floats of a step with `n` distinct relations, whose gradients come in so many parts: these
/// beside conditions or whole gradients, the core's gradient, and that of a panel once more.
pub fn floats_for(n: u64, n_parts: u64, floats: u64, width: u64) -> u64 {
    // Arrays have a little more room than was asked for.
    let rows = (n + n_parts) * 17 / 16;
    (rows + floats + floats.min(PANEL_ROWS as u64)) * width
}
