//! Zᵥ = Σ w·(1 + s(l))·hᵤ over the entries (v, u, l, w) of a labelled matrix: sums of neighbours, each
//! label with a worth of its own that is learned, 1 at first.
//!
//! Backward: ∂H is the same sum over the transpose, and ∂s(l) = Σ w·⟨hᵤ, gᵥ⟩ over its entries. H alone
//! is kept, for the latter; what a codec does to it is noise there, never in what goes back.
//!
//! *Paper:* Li et al., "LightKG: efficient knowledge-aware recommendations with simplified GNN
//! architecture" (2025).

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::compose::{rows_of_part, sum_of_parts};
use super::neighbours::{BothWays, sums};
use crate::array::Array;
use crate::kernel::vector;
use crate::sparse::{Labelled, Sparse};

struct Weigh<'a> {
    input: usize,
    floats: Floats<'a>,
    worths: Parameter<'a>,
    matrix: BothWays<'a, Labelled>,
}

/// The matrix with each entry times its label's worth.
fn weighed(labelled: &Labelled, worths: &Array) -> Sparse {
    let Labelled { matrix, labels, .. } = labelled;
    let pairs = matrix.weights.iter().zip(labels);
    let weights = pairs.map(|(w, label)| w * (1.0 + worths.values[*label as usize])).collect();
    let (starts, columns) = (matrix.starts.clone(), matrix.columns.clone());
    Sparse { starts, columns, weights, n_columns: matrix.n_columns }
}

impl<'a> Tape<'a> {
    /// Sums over entries, each times one more than its label's share of `worths` (labels × 1).
    pub fn weigh_neighbours(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        matrix: BothWays<'a, Labelled>,
        worths: Parameter<'a>,
    ) -> Var<'a> {
        let floats = self.keep_floats(name, input);
        let out = sums(self.machine, &weighed(matrix.forward, worths.array), input.value());
        self.record(out, Weigh { input: input.id, floats, worths, matrix })
    }
}

impl Op for Weigh<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width, matrix) = (back.machine, gradient.width, self.matrix.backward);
        let (n, n_labels) = (matrix.matrix.n_rows(), matrix.n_labels);
        let step = rows_of_part(n).max(1);
        let mut parts = machine.buffers.zeroed(n.div_ceil(step) * n_labels);
        let tasks = parts.chunks_mut(n_labels.max(1)).enumerate().collect();
        machine.workers.each_with(
            tasks,
            Vec::new,
            |room, (part, of_worths): (usize, &mut [f32])| {
                for first in (part * step..n.min((part + 1) * step)).step_by(ROWS) {
                    let (rows, _) = self.floats.block(first / ROWS, back, room);
                    for (u, row) in (first..).zip(rows.chunks_exact(width)) {
                        for (v, label, w) in matrix.row(u) {
                            of_worths[label] += w * vector::dot(row, gradient.row(v));
                        }
                    }
                }
            },
        );
        let of_worths = sum_of_parts(back, &parts, n_labels, 1);
        let of_input = sums(machine, &weighed(matrix, self.worths.array), &gradient);
        back.weigh(self.floats, &of_input);
        back.add(self.input, of_input);
        back.add(self.worths.id, of_worths);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::tests::some;

    const N: usize = 70;
    const LABELS: usize = 3;

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        // Through a product, so that it is a value of the tape's own.
        let mut input = tape.linear("table", &mut all[0].var(), all[1]);
        tape.weigh_neighbours("input", &mut input, BothWays { forward, backward }, all[2])
    }

    fn parameters() -> Vec<Array> {
        let sizes = [(N, 4), (4, 5), (LABELS, 1)];
        (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_a_codec_is_noise_in_worths_alone() {
        let matrices = some(N, N, LABELS, 3);
        agrees(&matrices, parameters(), 0, build);
        let (_, exact, kept) =
            outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        // The table, for the product that it goes through, and the rows.
        assert_eq!(kept, (4 * N * 5) as u64);
        let (_, rough, _) = outcome(&matrices, &parameters(), codec::find("int2").unwrap(), build);
        assert_eq!(rough[0].values[..], exact[0].values[..]);
        assert_ne!(rough[2].values[..], exact[2].values[..]);
    }

    #[test]
    fn sums_equal_their_definition() {
        let (matrices, all) = (some(N, N, LABELS, 3), parameters());
        let found = sums(
            &gossamer_machine::Machine::new(2, None),
            &weighed(&matrices[1], &all[2]),
            &all[0],
        );
        for v in 0..N {
            for (j, found) in found.row(v).iter().enumerate() {
                let term = |(u, l, w): (usize, usize, f32)| {
                    w * (1.0 + all[2].values[l]) * all[0].row(u)[j]
                };
                let plain: f32 = matrices[1].row(v).map(term).sum();
                assert!((plain - found).abs() < 1e-4, "{v} {j}: {plain} {found}");
            }
        }
    }
}
