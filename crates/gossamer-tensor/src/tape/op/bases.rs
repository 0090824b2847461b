//! Zᵥ = Σ w·hᵤ·Wₗ over the entries (v, u, l, w) of a labelled matrix, the label's matrix being a mix
//! of a few that all share: Wₗ = Σ_b s(l, b)·V_b. With P_b = H·V_b that is Σ_b Σ w·s(l, b)·P_b(u): a
//! product for each base and a sum over entries, and no matrix of a label exists.
//!
//! Backward, base by base, with Q_b(u) = Σ w·s(l, b)·gᵥ: ∂H = Σ_b Q_b·V_bᵀ, ∂V_b = Hᵀ·Q_b, and
//! ∂s(l, b) = Σ w·⟨P_b(u), gᵥ⟩ with P_b made again. So H alone is kept; what a codec does to it is
//! noise in the parameters' gradients, never in what goes back.
//!
//! Cost: 2·k·m floating-point operations per row and base, 2·m per entry and base; backward thrice.
//! *Paper:* Schlichtkrull et al. (2018), R-GCN.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::compose::{rows_of_part, sum_of_parts};
use super::fixed::times;
use super::linear::product_of_columns;
use super::neighbours::BothWays;
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::vector;
use crate::sparse::Labelled;

struct Bases<'a> {
    input: usize,
    floats: Floats<'a>,
    shares: Parameter<'a>,
    bases: Parameter<'a>,
    matrix: BothWays<'a, Labelled>,
    dropout: Dropout,
    k: usize,
}

/// One of the matrices that lie below each other.
fn base(all: &Array, place: usize, k: usize, back: &gossamer_machine::Buffers) -> Array {
    Array::of(back, &all.values[place * k * all.width..][..k * all.width], all.width)
}

impl<'a> Tape<'a> {
    /// Sums over entries, each times its label's mix (`shares`: labels × bases) of matrices
    /// (`bases`: bases · k × m).
    pub fn sum_bases(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        matrix: BothWays<'a, Labelled>,
        [shares, bases]: [Parameter<'a>; 2],
        dropout: f32,
    ) -> Var<'a> {
        let dropout = self.dropout(dropout);
        let floats = self.keep_floats(name, input);
        let (machine, x) = (self.machine, input.value());
        let (isa, k, m) = (machine.instruction_set, x.width, bases.array.width);
        let mut out = Array::zeroed(&machine.buffers, matrix.forward.matrix.n_rows(), m);
        for place in 0..shares.array.width {
            let product = times(machine, x, &base(bases.array, place, k, &machine.buffers), false);
            let tasks = out.values.chunks_mut((ROWS * m).max(1)).enumerate().collect();
            machine.workers.each_with(tasks, Vec::new, |worths, (block, out)| {
                for (v, out) in (block * ROWS..).zip(out.chunks_exact_mut(m)) {
                    dropout.factors(v as u32, matrix.forward.matrix.row(v).0, worths);
                    for ((u, label, w), worth) in matrix.forward.row(v).zip(worths.iter()) {
                        let w = w * worth;
                        let share = shares.array.row(label)[place];
                        vector::add_scaled(isa, out, w * share, product.row(u));
                    }
                }
            });
        }
        self.record(out, Bases { input: input.id, floats, shares, bases, matrix, dropout, k })
    }
}

impl Bases<'_> {
    /// Q_b, and ∂s(l, b) of each part of the rows; P_b is given.
    fn sums(
        &self,
        back: &Back<'_>,
        place: usize,
        product: &Array,
        gradient: &Array,
    ) -> (Array, Array) {
        let (machine, m, matrix) = (back.machine, gradient.width, self.matrix.backward);
        let (n, n_labels) = (matrix.matrix.n_rows(), matrix.n_labels);
        let mut sums = Array::zeroed(&machine.buffers, n, m);
        let step = rows_of_part(n);
        let mut parts = machine.buffers.zeroed(n.div_ceil(step) * n_labels);
        let tasks = sums.values.chunks_mut(step * m).zip(parts.chunks_mut(n_labels)).enumerate();
        let isa = machine.instruction_set;
        machine.workers.each_with(
            tasks.collect(),
            Vec::new,
            |worths, (part, (sums, of_shares))| {
                for (u, sum) in (part * step..).zip(sums.chunks_exact_mut(m)) {
                    self.dropout.factors_of_rows(u as u32, matrix.matrix.row(u).0, worths);
                    for ((v, label, w), worth) in matrix.row(u).zip(worths.iter()) {
                        let w = w * worth;
                        let share = self.shares.array.row(label)[place];
                        vector::add_scaled(isa, sum, w * share, gradient.row(v));
                        of_shares[label] += w * vector::dot(product.row(u), gradient.row(v));
                    }
                }
            },
        );
        (sums, sum_of_parts(back, &parts, n_labels, 1))
    }
}

impl Op for Bases<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, k, m) = (back.machine, self.k, gradient.width);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let n = self.matrix.backward.matrix.n_rows();
        let input = self.floats.whole(n, k, back);
        let (shares, bases) = (self.shares.array, self.bases.array);
        let mut of_input = Array::zeroed(buffers, n, k);
        let mut of_bases = Array::zeroed(buffers, bases.rows, m);
        let mut of_shares = Array::zeroed(buffers, shares.rows, shares.width);
        for place in 0..shares.width {
            let matrix = base(bases, place, k, buffers);
            let product = times(machine, &input, &matrix, false);
            let (sums, found) = self.sums(back, place, &product, &gradient);
            drop(product);
            let out = of_shares.values[place..].iter_mut().step_by(shares.width);
            out.zip(found.values.iter()).for_each(|(out, found)| *out = *found);
            let more = times(machine, &sums, &matrix, true);
            vector::add_scaled(isa, &mut of_input.values, 1.0, &more.values);
            let more = product_of_columns(back, Floats::Lent(&input), k, &sums);
            back.weigh(self.floats, &sums);
            of_bases.values[place * k * m..][..k * m].copy_from_slice(&more.values);
        }
        back.add(self.input, of_input);
        back.add(self.bases.id, of_bases);
        back.add(self.shares.id, of_shares);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::tests::some;

    const N: usize = 40;
    const SIZES: [usize; 4] = [3, 2, 6, 5]; // labels, bases, floats in, floats out

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        // Through a product, so that it is a value of the tape's own.
        let mut input = tape.linear("table", &mut all[0].var(), all[1]);
        let matrix = BothWays { forward, backward };
        tape.sum_bases("input", &mut input, matrix, [all[2], all[3]], 0.2)
    }

    fn parameters() -> Vec<Array> {
        let [n_labels, n_bases, k, m] = SIZES;
        let sizes = [(N, 4), (4, k), (n_labels, n_bases), (n_bases * k, m)];
        (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_the_input_alone_is_kept() {
        let matrices = some(N, N, SIZES[0], 3);
        agrees(&matrices, parameters(), 0, build);
        let (_, exact, kept) =
            outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        assert_eq!(kept, (4 * N * SIZES[2]) as u64);
        let (_, rough, _) = outcome(&matrices, &parameters(), codec::find("int2").unwrap(), build);
        assert_eq!(rough[0].values[..], exact[0].values[..]);
        assert_ne!(rough[3].values[..], exact[3].values[..]);
    }

    #[test]
    fn sums_equal_their_definition() {
        let input = filled(N, SIZES[2], 5);
        let (matrices, all) = (some(N, N, SIZES[0], 3), parameters());
        let machine = gossamer_machine::Machine::new(2, None);
        let choose = |_: usize| codec::find("f32").unwrap();
        let address = gossamer_machine::Address::new(0, gossamer_machine::Purpose::Dropout, 0);
        let mut tape = Tape::new(&machine, &choose, address);
        let parameters: Vec<Parameter<'_>> = all.iter().map(|of| tape.parameter(of)).collect();
        let matrix = BothWays { forward: &matrices[1], backward: &matrices[0] };
        let (shares, bases) = (parameters[2], parameters[3]);
        let input = tape.parameter(&input);
        let out = tape.sum_bases("input", &mut input.var(), matrix, [shares, bases], 0.0);
        for v in 0..N {
            for j in 0..SIZES[3] {
                let of_label = |label: usize, i: usize| -> f32 {
                    let part = |b: usize| all[2].row(label)[b] * all[3].row(b * SIZES[2] + i)[j];
                    (0..SIZES[1]).map(part).sum()
                };
                let term = |(u, label, w): (usize, usize, f32)| -> f32 {
                    let all = input.array.row(u).iter().enumerate();
                    all.map(|(i, x)| w * x * of_label(label, i)).sum()
                };
                let plain: f32 = matrices[1].row(v).map(term).sum();
                let found = out.value().row(v)[j];
                assert!((plain - found).abs() < 1e-3, "{v} {j}: {plain} {found}");
            }
        }
    }
}
