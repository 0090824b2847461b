//! Z = A·H for a fixed sparse A: each row is a weighted sum of others. Backward: dH = Aᵀ·dZ; nothing
//! is kept, neither per row nor per entry.
//!
//! With dropout an entry is left out by its place: forward and backward ask the same random number.

use gossamer_machine::{InstructionSet, Machine};

use super::super::kept::ROWS;
use super::super::{Back, Op, Tape, Var};
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::vector;
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
        let number = self.next_number();
        let dropout = Dropout { part: dropout, address: self.address, number };
        let out = sums(self.machine, matrix.forward, input.value(), |row, column| {
            dropout.factor(row, column)
        });
        self.record(out, Neighbours { input: input.id, matrix: matrix.backward, dropout })
    }
}

impl Op for Neighbours<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let out = sums(back.machine, self.matrix, &gradient, |row, column| {
            self.dropout.factor(column, row)
        });
        back.add(self.input, out);
    }
}

/// The product of a sparse matrix with an array, each entry times a factor of its place.
pub fn sums(
    machine: &Machine,
    matrix: &Sparse,
    of: &Array,
    factor: impl Fn(u32, u32) -> f32 + Sync,
) -> Array {
    let isa: InstructionSet = machine.instruction_set;
    let mut out = Array::zeroed(&machine.buffers, matrix.n_rows(), of.width);
    let tasks = out.values.chunks_mut((ROWS * of.width).max(1)).enumerate().collect();
    machine.workers.each(tasks, |(block, out)| {
        for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(of.width)) {
            let (columns, weights) = matrix.row(row);
            for (column, weight) in columns.iter().zip(weights) {
                let weight = weight * factor(row as u32, *column);
                if weight != 0.0 {
                    vector::add_scaled(isa, out, weight, of.row(*column as usize));
                }
            }
        }
    });
    out
}
