//! Z = softmax(W)·C, row by row of W: each row of Z is a mean of C's rows. Backward: dC = Sᵀ·dZ, and by
//! the softmax dW = S ∘ (G − rows' sums of S ∘ G) with S = softmax(W), G = dZ·Cᵀ. For few rows: one
//! thread, and C is kept exactly where it is not a parameter.

use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use crate::array::Array;
use crate::kernel::{softmax, vector};

struct Mix<'a> {
    weights: Parameter<'a>,
    input: usize,
    floats: Floats<'a>,
    width: usize,
}

impl<'a> Tape<'a> {
    /// Means of the input's rows (r × width) by the softmax of each row of weights (n × r).
    pub fn mix(&mut self, weights: Parameter<'a>, input: &mut Var<'a>) -> Var<'a> {
        let (c, shares) = (input.value(), shares(weights.array));
        let mut out = Array::zeroed(&self.machine.buffers, weights.array.rows, c.width);
        let (isa, width) = (self.machine.instruction_set, c.width);
        let rows = out.values.chunks_exact_mut(width).zip(shares.chunks_exact(c.rows));
        for (out, shares) in rows {
            for (place, share) in shares.iter().enumerate() {
                vector::add_scaled(isa, out, *share, c.row(place));
            }
        }
        let floats = self.keep_exactly("labels", input);
        self.record(out, Mix { weights, input: input.id, floats, width })
    }
}

/// The softmax of each row.
fn shares(of: &Array) -> Vec<f32> {
    let mut shares = of.values.to_vec();
    shares.chunks_exact_mut(of.width).for_each(softmax::shares);
    shares
}

impl Op for Mix<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, weights) = (back.machine, self.weights.array);
        let (isa, n) = (machine.instruction_set, weights.width);
        let c = self.floats.whole(n, self.width, back);
        let shares = shares(weights);
        let mut of_rows = Array::zeroed(&machine.buffers, n, self.width);
        let mut of_weights = Array::zeroed(&machine.buffers, weights.rows, n);
        let rows = of_weights.values.chunks_exact_mut(n).zip(shares.chunks_exact(n));
        for ((out, shares), g) in rows.zip(gradient.values.chunks_exact(self.width)) {
            for (place, share) in shares.iter().enumerate() {
                let of_row = &mut of_rows.values[place * self.width..][..self.width];
                vector::add_scaled(isa, of_row, *share, g);
                out[place] = vector::dot(g, c.row(place));
            }
            let mean: f32 = out.iter().zip(shares).map(|(g, share)| g * share).sum();
            out.iter_mut().zip(shares).for_each(|(g, share)| *g = share * (*g - mean));
        }
        drop(c);
        back.add(self.weights.id, of_weights);
        back.add(self.input, of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[1].var(), all[2]);
        tape.mix(all[0], &mut rows)
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        agrees(&(), vec![filled(3, 7, 1), filled(7, 4, 2), filled(4, 5, 3)], 0, build);
    }
}
