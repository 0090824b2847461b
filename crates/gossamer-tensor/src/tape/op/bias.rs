//! Z = H + b, the same b for every row. Backward: dH = dZ and db = Σ dZ; nothing is kept.

use super::super::{Back, Op, Parameter, Tape, Var};
use crate::array::Array;

struct Bias {
    input: usize,
    bias: usize,
}

impl<'a> Tape<'a> {
    /// Adds a row to every row; the input's array becomes the output's.
    pub fn add_bias(&mut self, input: Var<'a>, bias: Parameter<'a>) -> Var<'a> {
        let id = input.id;
        let mut out = input.into_own(self.machine);
        let row = &bias.array.values;
        for out in out.values.chunks_exact_mut(out.width) {
            out.iter_mut().zip(row.iter()).for_each(|(out, bias)| *out += bias);
        }
        self.record(out, Bias { input: id, bias: bias.id })
    }
}

impl Op for Bias {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let sum = sum_of_rows(back, &gradient);
        back.add(self.bias, sum);
        back.add(self.input, gradient);
    }
}

/// The sum of all rows, as one.
pub fn sum_of_rows(back: &Back<'_>, rows: &Array) -> Array {
    let mut sum = Array::zeroed(&back.machine.buffers, 1, rows.width);
    for row in rows.values.chunks_exact(rows.width) {
        sum.values.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sum
}
