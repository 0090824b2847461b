//! Z = A·H for a fixed sparse A: each row is a weighted sum of others. Backward: dH = Aᵀ·dZ; nothing
//! is kept, neither per row nor per entry.
//!
//! With dropout an entry is left out by its place: forward and backward ask the same random number.

use gossamer_machine::{InstructionSet, Machine};

use super::super::kept::ROWS;
use super::super::rows::Rows;
use super::super::{Back, Op, Tape, Var};
use super::entries::{Entries, Part};
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::gather;
use crate::sparse::Sparse;

/// A sparse matrix and its transpose.
#[derive(Debug)]
pub struct BothWays<'a, M = Sparse> {
    /// By row.
    pub forward: &'a M,
    /// By column; the same where the matrix is symmetric.
    pub backward: &'a M,
}

impl<M> Clone for BothWays<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for BothWays<'_, M> {}

struct Neighbours<'a> {
    input: usize,
    matrix: &'a Sparse,
    dropout: Dropout,
}

impl<'a> Tape<'a> {
    /// The weighted sums of the input's rows; with dropout some entries are left out and the others
    /// grow.
    pub fn sum_neighbours(
        &mut self,
        input: &Var<'_>,
        matrix: BothWays<'a>,
        dropout: f32,
    ) -> Var<'a> {
        let dropout = self.dropout(dropout);
        let out = summed(self.machine, matrix.forward, input.value(), (dropout, false));
        self.record(out, Neighbours { input: input.id, matrix: matrix.backward, dropout })
    }
}

impl Op for Neighbours<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let out = summed(back.machine, self.matrix, &gradient, (self.dropout, true));
        back.add(self.input, out);
    }
}

/// The product of a sparse matrix with an array.
pub fn sums(machine: &Machine, matrix: &Sparse, of: &Array) -> Array {
    let mut out = Array::zeroed(&machine.buffers, matrix.n_rows(), of.width);
    add_sums(machine, matrix, of, &mut out);
    out
}

/// Adds the product of a sparse matrix with an array.
pub fn add_sums(machine: &Machine, matrix: &Sparse, of: &Array, out: &mut Array) {
    let tasks = out.values.chunks_mut((ROWS * of.width).max(1)).enumerate().collect();
    machine.workers.each(tasks, |(block, out): (usize, &mut [f32])| {
        add_neighbours(machine.instruction_set, matrix, of, block * ROWS, out);
    });
}

/// Adds to rows, from a first one on, their weighted sums of an array's.
fn add_neighbours(isa: InstructionSet, matrix: &Sparse, of: &Array, first: usize, out: &mut [f32]) {
    for (row, out) in (first..).zip(out.chunks_exact_mut(of.width)) {
        let (columns, weights) = matrix.row(row);
        gather::add_rows(isa, out, &of.values, columns, weights, matrix.after(row));
    }
}

/// The product of a sparse matrix with an array, of whose entries dropout leaves some out; the
/// places that it asks about are turned where the matrix is the transpose of what it was.
pub fn summed(
    machine: &Machine,
    matrix: &Sparse,
    of: &Array,
    (dropout, is_turned): (Dropout, bool),
) -> Array {
    if !dropout.is_any() {
        return sums(machine, matrix, of);
    }
    let (rows, columns, dropout) = (&Rows::All, &Rows::All, Some(dropout));
    let part = Part { matrix, labels: &[], is_turned, rows, columns, dropout };
    let mut out = Array::room(&machine.buffers, matrix.n_rows(), of.width);
    set_sums(machine, part, of, &mut out);
    out
}

/// Sets rows to the sums of what takes part.
pub fn set_sums(machine: &Machine, part: Part<'_>, of: &Array, out: &mut Array) {
    let (isa, width, n) = (machine.instruction_set, of.width, out.rows);
    let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
    machine.workers.each_with(tasks, Entries::default, |entries, (block, out)| {
        let first = block * ROWS;
        entries.read(part, first..n.min(first + ROWS));
        for (at, out) in out.chunks_exact_mut(width).enumerate() {
            let (columns, weights, later) = entries.of(entries.range(at));
            gather::sum_rows(isa, out, &of.values, columns, weights, later);
        }
    });
}
