//! Z = leaky((H + S)·W + b) + leaky((H ∘ S)·V + c), S = A·H being a mean over neighbours: a row and its
//! neighbours added, and multiplied.
//!
//! Kept: H, and a bit for each of the two leaks; S is summed again on the way back, from what was
//! kept. With p = ∂/∂(H + S) and q = ∂/∂(H ∘ S): ∂H = p + q∘S + Aᵀ·(p + q∘H). So, unlike where sums
//! are linear, what a codec does to H is noise in what goes back, by q.
//!
//! *Paper:* Wang et al., "KGAT: knowledge graph attention network" (2019), bi-interaction.

use gossamer_machine::Machine;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::bias::sum_of_rows;
use super::fixed::times;
use super::leak::{LEAK, leaky};
use super::linear::product_of_columns;
use super::neighbours::{BothWays, sums};
use crate::array::Array;

struct Interact<'a> {
    input: usize,
    floats: Floats<'a>,
    signs: [usize; 2],
    matrix: BothWays<'a>,
    /// W, b, V, c.
    parameters: [Parameter<'a>; 4],
    k: usize,
}

impl<'a> Tape<'a> {
    /// Interactions of rows with their neighbours; `parameters` are W and V (k × m), each with its
    /// row.
    pub fn interact(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        matrix: BothWays<'a>,
        parameters: [Parameter<'a>; 4],
    ) -> Var<'a> {
        let floats = self.keep_floats(name, input);
        let (machine, h) = (self.machine, input.value());
        let [added, multiplied] = both(machine, h, &sums(machine, matrix.forward, h));
        let mut out = Array::zeroed(&machine.buffers, h.rows, parameters[0].array.width);
        let signs = [(added, 0), (multiplied, 2)].map(|(of, place)| {
            let mut z = times(machine, &of, parameters[place].array, false);
            let bias = &parameters[place + 1].array.values;
            for (z, out) in
                z.values.chunks_exact_mut(z.width).zip(out.values.chunks_exact_mut(z.width))
            {
                for ((z, out), bias) in z.iter_mut().zip(out).zip(bias.iter()) {
                    *z += bias;
                    *out += leaky(*z);
                }
            }
            self.keep_signs(name, &z)
        });
        let (id, k) = (input.id, h.width);
        self.record(out, Interact { input: id, floats, signs, matrix, parameters, k })
    }
}

/// H + S and H ∘ S.
fn both(machine: &Machine, h: &Array, s: &Array) -> [Array; 2] {
    let of = |value: fn(f32, f32) -> f32| {
        let mut out = Array::room(&machine.buffers, h.rows, h.width);
        let pairs = h.values.iter().zip(s.values.iter());
        out.values.iter_mut().zip(pairs).for_each(|(out, (h, s))| *out = value(*h, *s));
        out
    };
    [of(|h, s| h + s), of(|h, s| h * s)]
}

impl Interact<'_> {
    /// The gradient before a leak.
    fn before_leak(&self, back: &Back<'_>, gradient: &Array, place: usize) -> Array {
        let (machine, width) = (back.machine, gradient.width);
        let mut out = Array::of(&machine.buffers, &gradient.values, width);
        let blocks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each_with(blocks, Vec::new, |room: &mut Vec<f32>, (block, out)| {
            room.clear();
            room.extend_from_slice(out);
            back.store.keep_positive(self.signs[place], block, machine, room);
            for (out, positive) in out.iter_mut().zip(room.iter()) {
                *out = LEAK * *out + (1.0 - LEAK) * positive;
            }
        });
        out
    }
}

impl Op for Interact<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let machine = back.machine;
        let h = self.floats.whole(gradient.rows, self.k, back);
        let s = sums(machine, self.matrix.forward, &h);
        let [p, q] = [0, 1].map(|place| {
            let gradient = self.before_leak(back, &gradient, place);
            let [added, multiplied] = both(machine, &h, &s);
            let of = if place == 0 { added } else { multiplied };
            let [weights, bias] = [2 * place, 2 * place + 1].map(|at| self.parameters[at]);
            let of_weights = product_of_columns(back, Floats::Lent(&of), self.k, &gradient);
            back.add(weights.id, of_weights);
            let of_bias = sum_of_rows(back, &gradient);
            back.add(bias.id, of_bias);
            times(machine, &gradient, weights.array, true)
        });
        drop(gradient);
        let mut of_sums = Array::room(&machine.buffers, h.rows, h.width);
        let mut of_rows = p;
        let out = of_rows.values.iter_mut().zip(of_sums.values.iter_mut());
        let given = q.values.iter().zip(h.values.iter().zip(s.values.iter()));
        for ((of_row, of_sum), (q, (h, s))) in out.zip(given) {
            *of_sum = *of_row + q * h;
            *of_row += q * s;
        }
        drop((q, s));
        back.add(self.input, sums(machine, self.matrix.backward, &of_sums));
        back.weigh(self.floats, &of_rows);
        back.add(self.input, of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::{Labelled, tests::some};

    const N: usize = 30;

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        let matrix = BothWays { forward: &forward.matrix, backward: &backward.matrix };
        tape.interact("rows", &mut rows, matrix, [all[2], all[3], all[4], all[5]])
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_and_two_bits_are_kept() {
        let sizes = [(N, 3), (3, 5), (5, 4), (1, 4), (5, 4), (1, 4)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        // One label, so that places are told apart.
        let matrices = some(N, N, 1, 3);
        agrees(&matrices, parameters(), 3, build);
        let (_, _, kept) = outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        assert_eq!(kept, (4 * N * 5 + 2 * (N * 4).div_ceil(8)) as u64);
    }
}
