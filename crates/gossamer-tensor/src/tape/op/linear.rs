//! Z = H·W. Backward: dH = dZ·Wᵀ needs the weights alone; dW = Hᵀ·dZ needs H, so H is kept.
//!
//! What a codec does to H is noise in dW alone: dH does not see it.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut, Right};
use crate::kernel::product::{Put, add_product, multiply};

/// Sums of blocks that are made one after the other; their number fixes the order of addition.
const SUMS: usize = 16;

struct Linear<'a> {
    input: usize,
    floats: Floats<'a>,
    weight: usize,
    weights: &'a Array,
}

impl<'a> Tape<'a> {
    /// input (n × k) · weight (k × m); `name` is that of the kept input.
    pub fn linear(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        weight: Parameter<'a>,
    ) -> Var<'a> {
        let weights = weight.array;
        let floats = self.keep_floats(name, input);
        let (x, machine) = (input.value(), self.machine);
        let mut out = Array::room(&machine.buffers, x.rows, weights.width);
        let isa = machine.instruction_set;
        let mut packed = Right::<f32>::default();
        let matrix = Matrix { values: &weights.values, stride: weights.width };
        packed.pack(isa, weights.rows, weights.width, matrix, None);
        let tasks =
            x.values.chunks(ROWS * x.width).zip(out.values.chunks_mut(ROWS * weights.width));
        machine.workers.each(tasks.collect(), |(rows, out)| {
            let left = Matrix { values: rows, stride: x.width };
            let out = MatrixMut { values: out, stride: weights.width };
            multiply(isa, rows.len() / x.width, left.into(), &packed, Put::Set, out);
        });
        self.record(out, Linear { input: input.id, floats, weight: weight.id, weights })
    }
}

impl Op for Linear<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, weights) = (back.machine, self.weights);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let (k, m) = (weights.rows, weights.width);
        let blocks: Vec<&[f32]> = gradient.values.chunks(ROWS * m).collect();
        let mut sums = buffers.zeroed(SUMS * k * m);
        machine.workers.each_with(
            sums.chunks_mut(k * m).enumerate().collect(),
            Vec::new,
            |decoded, (sum, out)| {
                let own = blocks.len() * sum / SUMS..blocks.len() * (sum + 1) / SUMS;
                for (block, rows) in own.clone().zip(&blocks[own]) {
                    let (values, n) = self.floats.block(block, back, decoded);
                    let left = Matrix { values, stride: k }.transposed();
                    let right = Matrix { values: rows, stride: m };
                    let out = MatrixMut { values: out, stride: m };
                    add_product(isa, [k, n, m], left, right, out);
                }
            },
        );
        let mut of_weights = Array::zeroed(buffers, k, m);
        for sum in sums.chunks(k * m) {
            of_weights.values.iter_mut().zip(sum).for_each(|(out, sum)| *out += sum);
        }
        let mut of_input = Array::room(buffers, gradient.rows, k);
        let mut packed = Right::<f32>::default();
        packed.pack_transposed(m, k, Matrix { values: &weights.values, stride: m });
        let tasks = blocks.into_iter().zip(of_input.values.chunks_mut(ROWS * k));
        machine.workers.each(tasks.collect(), |(rows, out)| {
            let left = Matrix { values: rows, stride: m };
            let out = MatrixMut { values: out, stride: k };
            multiply(isa, rows.len() / m, left.into(), &packed, Put::Set, out);
        });
        back.add(self.weight, of_weights);
        back.add(self.input, of_input);
    }
}
