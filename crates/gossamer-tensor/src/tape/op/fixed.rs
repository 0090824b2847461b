//! Z = H·W for a W that is not learned. Backward: dH = dZ·Wᵀ; nothing is kept.

use gossamer_machine::{InstructionSet, Machine};

use super::super::kept::ROWS;
use super::super::{Back, Op, Parameter, Tape, Var};
use crate::array::Array;
use crate::kernel::pack::{self, Matrix, MatrixMut};
use crate::kernel::product::{Put, multiply};
use crate::kernel::verify::{Wrong, verify};

struct Fixed<'a> {
    input: usize,
    matrix: &'a Array,
    transposed: bool,
}

impl<'a> Tape<'a> {
    /// input (n × k) · matrix (k × m), or · its transpose; the matrix gets no gradient.
    pub fn times_fixed(
        &mut self,
        input: &Var<'_>,
        matrix: Parameter<'a>,
        transposed: bool,
    ) -> Var<'a> {
        let out = times(self.machine, input.value(), matrix.array, transposed);
        self.record(out, Fixed { input: input.id, matrix: matrix.array, transposed })
    }
}

impl Op for Fixed<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let out = times(back.machine, &gradient, self.matrix, !self.transposed);
        back.add(self.input, out);
    }
}

/// A matrix, or its transpose.
fn plain(matrix: &Array, transposed: bool) -> Vec<f32> {
    let (rows, width) = (matrix.rows, matrix.width);
    let at = |at: usize| matrix.values[at % rows * width + at / rows];
    if transposed { (0..rows * width).map(at).collect() } else { matrix.values.to_vec() }
}

/// Notes what is wrong with a block of a product.
fn look(machine: &Machine, [n, k, m]: [usize; 3], values: [&[f32]; 3], block: usize) {
    let strides = [k, m, m];
    let [left, right, found] =
        [0, 1, 2].map(|place| Matrix { values: values[place], stride: strides[place] });
    let wrong = match verify([n, k, m], left, right, found) {
        Some(Wrong::Row(row)) => format!("row {}", block * ROWS + row),
        Some(Wrong::Column(column)) => format!("column {column} of block {block}"),
        None => return,
    };
    machine.faults.note(format!("{wrong} of a product of {k} × {m} does not add up"));
}

/// A matrix that rows are multiplied with, block by block.
pub struct Right<'a> {
    machine: &'a Machine,
    packed: pack::Right<f32>,
    k: usize,
    m: usize,
    /// As rows of what is multiplied with, which is what is verified against.
    plain: Option<Vec<f32>>,
}

impl<'a> Right<'a> {
    /// Of a matrix, or its transpose.
    pub fn new(machine: &'a Machine, matrix: &Array, transposed: bool) -> Self {
        let values = Matrix { values: &matrix.values, stride: matrix.width };
        let mut packed = pack::Right::<f32>::default();
        let (rows, width, isa) = (matrix.rows, matrix.width, machine.instruction_set);
        let (k, m) = if transposed { (width, rows) } else { (rows, width) };
        match transposed {
            true => packed.pack_transposed(isa, k, m, values),
            false => packed.pack(isa, k, m, values, None),
        }
        let plain = machine.faults.looks().then(|| plain(matrix, transposed));
        Self { machine, packed, k, m, plain }
    }

    /// A block of rows (n × k) multiplied, into n × m; the block's number is for what is said of
    /// faults.
    pub fn times(&self, rows: &[f32], out: &mut [f32], block: usize) {
        let isa: InstructionSet = self.machine.instruction_set;
        let (k, m) = (self.k, self.m);
        let (n, left) = (rows.len() / k, Matrix { values: rows, stride: k });
        multiply(isa, n, left.into(), &self.packed, Put::Set, MatrixMut { values: out, stride: m });
        if let Some(right) = &self.plain {
            look(self.machine, [n, k, m], [rows, right, out], block);
        }
    }
}

/// rows · matrix, or · its transpose, by all threads.
pub fn times(machine: &Machine, rows: &Array, matrix: &Array, transposed: bool) -> Array {
    let right = Right::new(machine, matrix, transposed);
    let (k, m) = (right.k, right.m);
    let mut out = Array::room(&machine.buffers, rows.rows, m);
    let tasks = rows.values.chunks((ROWS * k).max(1)).zip(out.values.chunks_mut((ROWS * m).max(1)));
    machine.workers.each(tasks.enumerate().collect(), |(block, (rows, out))| {
        right.times(rows, out, block);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::super::check::filled;
    use super::*;
    use gossamer_machine::faults::Faults;

    #[test]
    fn a_wrong_block_is_named_and_right_ones_are_not() {
        let mut machine = Machine::new(2, None);
        machine.faults = Faults::looking();
        let (rows, matrix) = (filled(600, 20, 1), filled(20, 12, 2));
        let mut out = times(&machine, &rows, &matrix, false);
        let back = times(&machine, &out, &matrix, true);
        assert_eq!((back.width, machine.faults.take()), (20, None));
        out.values[300 * 12 + 5] += 0.5;
        let (first, n) = (256, 256);
        let values =
            [&rows.values[first * 20..][..n * 20], &matrix.values, &out.values[first * 12..]];
        look(&machine, [n, 20, 12], values, 1);
        let said = machine.faults.take().unwrap();
        assert_eq!(said, "row 300 of a product of 20 × 12 does not add up");
    }
}
