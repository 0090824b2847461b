//! Z = S ∘ (1 + B·E): each row's mean over neighbours S = A·H, coordinate by coordinate times one plus a
//! mean of few intents E (p × d), by B = softmax(U·Lᵀ): how near the row U is to what each intent looks
//! for, L (p × d).
//!
//! Kept: H and U; S, B and B·E are found again. With M = 1 + B·E and D = dZ ∘ S: dS = dZ ∘ M, dH = Aᵀ·dS,
//! dE = Bᵀ·D, logits' C = B ∘ (D·Eᵀ − rows' sums of B ∘ D·Eᵀ), dU = C·L, dL = Cᵀ·U. As products do, both
//! H and U bring noise of their codec to what goes back.
//!
//! *Paper:* Wang et al., "Learning intents behind interactions with knowledge graph for
//! recommendation" (2021), KGIN.

use super::super::kept::ROWS;
use super::super::rows::Rows;
use super::super::{Back, Floats, Op, Tape, Var};
use super::compose::{PARTS, rows_of_part, sum_of_parts};
use super::neighbours::{BothWays, summed};
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::{softmax, vector};

struct Intents<'a> {
    /// Of H, U, L and E.
    inputs: [usize; 4],
    floats: [Floats<'a>; 4],
    matrix: BothWays<'a>,
    dropout: Dropout,
    /// Rows and floats of H.
    sizes: [usize; 2],
    n_intents: usize,
}

/// What goes into it: rows, who takes means of them, what intents look for, and intents.
pub struct Given<'v, 'a> {
    /// H, whose first rows are the matrix's columns.
    pub rows: &'v mut Var<'a>,
    /// U.
    pub own: &'v mut Var<'a>,
    /// L.
    pub sought: &'v mut Var<'a>,
    /// E.
    pub intents: &'v mut Var<'a>,
}

/// B and M of a row.
fn shares(own: &[f32], [sought, intents]: [&Array; 2], shares: &mut [f32], factor: &mut [f32]) {
    for (place, share) in shares.iter_mut().enumerate() {
        *share = vector::dot(own, sought.row(place));
    }
    softmax::shares(shares);
    factor.fill(1.0);
    for (place, share) in shares.iter().enumerate() {
        factor.iter_mut().zip(intents.row(place)).for_each(|(out, x)| *out += share * x);
    }
}

impl<'a> Tape<'a> {
    /// Means by intents; with dropout some entries of the matrix are left out and the others grow.
    pub fn intents(
        &mut self,
        [of_rows, of_own]: [&'static str; 2],
        given: Given<'_, 'a>,
        matrix: BothWays<'a>,
        dropout: f32,
    ) -> Var<'a> {
        let Given { rows, own, sought, intents } = given;
        let dropout = self.dropout(dropout);
        let mut out = summed(self.machine, matrix.forward, rows.value(), (dropout, false));
        let (sizes, n_intents) = ([rows.value().rows, out.width], intents.value().rows);
        let width = out.width;
        let both = [sought.value(), intents.value()];
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        let rooms = || (vec![0.0; n_intents], vec![0.0; width]);
        self.machine.workers.each_with(tasks, rooms, |(share, factor), (block, out)| {
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                shares(own.value().row(row), both, share, factor);
                out.iter_mut().zip(factor.iter()).for_each(|(out, factor)| *out *= factor);
            }
        });
        let inputs = [rows.id, own.id, sought.id, intents.id];
        let floats = [
            self.keep_floats(of_rows, rows),
            self.keep_floats(of_own, own),
            self.keep_exactly("labels", sought),
            self.keep_exactly("labels", intents),
        ];
        self.record(out, Intents { inputs, floats, matrix, dropout, sizes, n_intents })
    }
}

impl Op for Intents<'_> {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let (machine, [n_given, width], p) = (back.machine, self.sizes, self.n_intents);
        let (isa, n, forward) = (machine.instruction_set, gradient.rows, self.matrix.forward);
        let rows = self.floats[0].whole(n_given, width, back);
        let sums = summed(machine, forward, &rows, (self.dropout, false));
        drop(rows);
        let own = self.floats[1].whole(n, width, back);
        let [sought, intents] = [2, 3].map(|place| self.floats[place].whole(p, width, back));
        let mut of_own = Array::zeroed(&machine.buffers, n, width);
        let [mut of_sought, mut of_intents] = [(); 2].map(|()| vec![0.0; PARTS * p * width]);
        let step = rows_of_part(n).max(1);
        let parts = of_sought.chunks_mut(p * width).zip(of_intents.chunks_mut(p * width));
        let tasks = gradient.values.chunks_mut(step * width).zip(parts);
        let tasks = tasks.zip(of_own.values.chunks_mut(step * width)).enumerate().collect();
        machine.workers.each(tasks, |(part, ((g, (of_sought, of_intents)), of_own))| {
            let (mut b, mut m, mut of_b) = (vec![0.0; p], vec![0.0; width], vec![0.0; p]);
            let rows = g.chunks_exact_mut(width).zip(of_own.chunks_exact_mut(width));
            for (row, (g, of_own)) in (part * step..).zip(rows) {
                shares(own.row(row), [&sought, &intents], &mut b, &mut m);
                // m becomes dZ ∘ M, what goes to S, and g dZ ∘ S.
                for ((g, m), s) in g.iter_mut().zip(&mut m).zip(sums.row(row)) {
                    (*m, *g) = (*g * *m, *g * s);
                }
                for place in 0..p {
                    of_b[place] = vector::dot(g, intents.row(place));
                    let out = &mut of_intents[place * width..][..width];
                    vector::add_scaled(isa, out, b[place], g);
                }
                let mean: f32 = b.iter().zip(&of_b).map(|(b, of_b)| b * of_b).sum();
                for place in 0..p {
                    let c = b[place] * (of_b[place] - mean);
                    vector::add_scaled(isa, of_own, c, sought.row(place));
                    let out = &mut of_sought[place * width..][..width];
                    vector::add_scaled(isa, out, c, own.row(row));
                }
                g.copy_from_slice(&m);
            }
        });
        drop((own, sums));
        for (input, of) in [(2, &of_sought), (3, &of_intents)] {
            let sum = sum_of_parts(back, of, p, width);
            back.add(self.inputs[input], sum);
        }
        back.weigh(self.floats[1], &of_own);
        back.add(self.inputs[1], of_own);
        let of_rows = summed(machine, self.matrix.backward, &gradient, (self.dropout, true));
        back.weigh(self.floats[0], &of_rows);
        let first = Rows::these((0..of_rows.rows as u32).collect(), n_given);
        back.add_rows(self.inputs[0], (first, n_given), of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees_within, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::{Labelled, tests::some};

    const N: [usize; 2] = [40, 30];

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[2]);
        let mut own = tape.linear("table", &mut all[1].var(), all[2]);
        let matrix = BothWays { forward: &forward.matrix, backward: &backward.matrix };
        let (sought, intents) = (&mut all[3].var(), &mut all[4].var());
        let given = Given { rows: &mut rows, own: &mut own, sought, intents };
        tape.intents(["rows", "own"], given, matrix, 0.2)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let sizes = [(N[1], 3), (N[0], 3), (3, 5), (4, 5), (4, 5)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        // One label, so that places are told apart.
        let matrices = some(N[0], N[1], 1, 3);
        agrees_within(0.2, &matrices, parameters(), 0, build);
        let (_, _, kept) = outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        assert_eq!(kept, (4 * 5 * (N[0] + N[1])) as u64);
    }
}
