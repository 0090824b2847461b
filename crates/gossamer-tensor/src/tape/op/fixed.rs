//! Z = H·W for a W that is not learned. Backward: dH = dZ·Wᵀ; nothing is kept.

use gossamer_machine::{InstructionSet, Machine};

use super::super::kept::ROWS;
use super::super::{Back, Op, Parameter, Tape, Var};
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut, Right};
use crate::kernel::product::{Put, multiply};

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

/// rows · matrix, or · its transpose, by all threads.
pub fn times(machine: &Machine, rows: &Array, matrix: &Array, transposed: bool) -> Array {
    let values = Matrix { values: &matrix.values, stride: matrix.width };
    let isa: InstructionSet = machine.instruction_set;
    let mut packed = Right::<f32>::default();
    let (k, m) = if transposed { (matrix.width, matrix.rows) } else { (matrix.rows, matrix.width) };
    match transposed {
        true => packed.pack_transposed(k, m, values),
        false => packed.pack(isa, k, m, values, None),
    }
    let mut out = Array::room(&machine.buffers, rows.rows, m);
    let tasks = rows.values.chunks((ROWS * k).max(1)).zip(out.values.chunks_mut((ROWS * m).max(1)));
    machine.workers.each(tasks.collect(), |(rows, out)| {
        let left = Matrix { values: rows, stride: k };
        let out = MatrixMut { values: out, stride: m };
        multiply(isa, rows.len() / k, left.into(), &packed, Put::Set, out);
    });
    out
}
