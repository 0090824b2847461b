//! Zᵥ = Σ α·hᵤ over the entries (v, u, l) of a labelled matrix, α being a softmax over v's entries of
//! leaky(⟨hᵤ, pₗ⟩ + ⟨hᵥ, qₗ⟩): attention that looks at both ends in the light of the label.
//!
//! Kept: h, and the labels' rows p and q; nothing per entry. Backward, row by row, logits and softmax
//! are made again of what was kept. With g = ∂z, ∂α = ⟨gᵥ, hᵤ⟩ and s = leak·α·(∂α − Σ α·∂α):
//! ∂hᵤ += α·gᵥ + s·pₗ, ∂hᵥ += s·qₗ, ∂pₗ += s·hᵤ, ∂qₗ += s·hᵥ.
//!
//! *Paper:* the attention of Jiang et al., "DiffKG" (2024), over entries of all labels.

use gossamer_machine::Machine;

use super::super::{Back, Floats, Op, Tape, Var};
use super::compose::{rows_of_part, sum_of_parts};
use super::leak::{leaky, slope};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::kernel::vector;
use crate::sparse::Labelled;

struct AttendLabels<'a> {
    /// The vars of h, p and q.
    inputs: [usize; 3],
    floats: [Floats<'a>; 3],
    matrix: BothWays<'a, Labelled>,
    width: usize,
}

/// What logits are made of.
struct Ends<'a> {
    h: &'a Array,
    p: &'a Array,
    q: &'a Array,
}

/// The softmax of a row: its largest logit, and the sum of exponentials.
#[derive(Clone, Copy, Default)]
struct Row {
    largest: f32,
    sum: f32,
}

impl Ends<'_> {
    /// The logit of an entry, before the leak.
    fn raw(&self, v: usize, u: usize, label: usize) -> f32 {
        vector::dot(self.h.row(u), self.p.row(label))
            + vector::dot(self.h.row(v), self.q.row(label))
    }

    fn row(&self, matrix: &Labelled, v: usize) -> Row {
        let mut row = Row { largest: f32::NEG_INFINITY, sum: 0.0 };
        for (u, label, _) in matrix.row(v) {
            let logit = leaky(self.raw(v, u, label));
            if logit > row.largest {
                row = Row { largest: logit, sum: row.sum * (row.largest - logit).exp() };
            }
            row.sum += (logit - row.largest).exp();
        }
        row
    }
}

impl<'a> Tape<'a> {
    /// Attends to entries; `labels` are p and q (labels × width).
    pub fn attend_labels(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        labels: [&mut Var<'a>; 2],
        matrix: BothWays<'a, Labelled>,
    ) -> Var<'a> {
        let machine = self.machine;
        let [p, q] = labels;
        let ends = Ends { h: input.value(), p: p.value(), q: q.value() };
        let (n, width) = (matrix.forward.matrix.n_rows(), ends.h.width);
        let mut out = Array::zeroed(&machine.buffers, n, width);
        let step = rows_of_part(n);
        let tasks = out.values.chunks_mut(step * width).enumerate().collect();
        machine.workers.each(tasks, |(part, out)| {
            for (v, out) in (part * step..).zip(out.chunks_exact_mut(width)) {
                let row = ends.row(matrix.forward, v);
                for (u, label, _) in matrix.forward.row(v) {
                    let weight = (leaky(ends.raw(v, u, label)) - row.largest).exp() / row.sum;
                    vector::add_scaled(machine.instruction_set, out, weight, ends.h.row(u));
                }
            }
        });
        let inputs = [input.id, p.id, q.id];
        let floats = [
            self.keep_floats(name, input),
            self.keep_exactly("labels", p),
            self.keep_exactly("labels", q),
        ];
        self.record(out, AttendLabels { inputs, floats, matrix, width })
    }
}

/// What both passes of the way back look at.
struct Work<'a> {
    machine: &'a Machine,
    gradient: &'a Array,
    ends: Ends<'a>,
}

impl Work<'_> {
    /// An entry's weight, and ∂logit before the leak.
    fn slope(&self, [v, u, label]: [usize; 3], (row, mean): (Row, f32)) -> (f32, f32) {
        let raw = self.ends.raw(v, u, label);
        let weight = (leaky(raw) - row.largest).exp() / row.sum;
        let of_weight = vector::dot(self.gradient.row(v), self.ends.h.row(u));
        (weight, slope(raw) * weight * (of_weight - mean))
    }

    /// By row: each one's softmax and Σ α·∂α, what its own end gets, and the parts of ∂q.
    fn by_row(&self, matrix: &Labelled, of_h: &mut Array, parts: &mut [f32]) -> Vec<(Row, f32)> {
        let (isa, n, width) = (self.machine.instruction_set, matrix.matrix.n_rows(), of_h.width);
        let (step, mut found) = (rows_of_part(n), vec![(Row::default(), 0.0); n]);
        let tasks = found.chunks_mut(step).zip(of_h.values.chunks_mut(step * width));
        let tasks = tasks.zip(parts.chunks_mut(matrix.n_labels * width)).enumerate().collect();
        self.machine.workers.each(tasks, |(part, ((found, of_h), of_q))| {
            let rows = found.iter_mut().zip(of_h.chunks_exact_mut(width));
            for (v, (found, of_h)) in (part * step..).zip(rows) {
                let row = self.ends.row(matrix, v);
                let g = self.gradient.row(v);
                let weighed = |(u, label, _): (usize, usize, f32)| {
                    let weight = (leaky(self.ends.raw(v, u, label)) - row.largest).exp() / row.sum;
                    weight * vector::dot(g, self.ends.h.row(u))
                };
                *found = (row, matrix.row(v).map(weighed).sum());
                for (u, label, _) in matrix.row(v) {
                    let (_, slope) = self.slope([v, u, label], *found);
                    vector::add_scaled(isa, of_h, slope, self.ends.q.row(label));
                    let of_q = &mut of_q[label * width..][..width];
                    vector::add_scaled(isa, of_q, slope, self.ends.h.row(v));
                }
            }
        });
        found
    }

    /// By column: what the other end gets, and the parts of ∂p.
    fn by_column(
        &self,
        matrix: &Labelled,
        found: &[(Row, f32)],
        of_h: &mut Array,
        parts: &mut [f32],
    ) {
        let (isa, n, width) = (self.machine.instruction_set, matrix.matrix.n_rows(), of_h.width);
        let step = rows_of_part(n);
        let tasks = of_h.values.chunks_mut(step * width);
        let tasks = tasks.zip(parts.chunks_mut(matrix.n_labels * width)).enumerate().collect();
        self.machine.workers.each(tasks, |(part, (of_h, of_p))| {
            for (u, of_h) in (part * step..).zip(of_h.chunks_exact_mut(width)) {
                for (v, label, _) in matrix.row(u) {
                    let (weight, slope) = self.slope([v, u, label], found[v]);
                    vector::add_scaled(isa, of_h, weight, self.gradient.row(v));
                    vector::add_scaled(isa, of_h, slope, self.ends.p.row(label));
                    let of_p = &mut of_p[label * width..][..width];
                    vector::add_scaled(isa, of_p, slope, self.ends.h.row(u));
                }
            }
        });
    }
}

impl Op for AttendLabels<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width, n) = (back.machine, self.width, gradient.rows);
        let n_labels = self.matrix.forward.n_labels;
        let [h, p, q] = [(0, n), (1, n_labels), (2, n_labels)]
            .map(|(input, rows)| self.floats[input].whole(rows, width, back));
        let ends = Ends { h: &h, p: &p, q: &q };
        let work = Work { machine, gradient: &gradient, ends };
        let mut of_h = Array::zeroed(&machine.buffers, n, width);
        let parts = || machine.buffers.zeroed(n.div_ceil(rows_of_part(n)) * n_labels * width);
        let (mut of_p, mut of_q) = (parts(), parts());
        let found = work.by_row(self.matrix.forward, &mut of_h, &mut of_q);
        work.by_column(self.matrix.backward, &found, &mut of_h, &mut of_p);
        let of_p = sum_of_parts(back, &of_p, n_labels, width);
        let of_q = sum_of_parts(back, &of_q, n_labels, width);
        back.weigh(self.floats[0], &of_h);
        let inputs = self.inputs.into_iter().zip([of_h, of_p, of_q]);
        inputs.for_each(|(input, gradient)| back.add(input, gradient));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::tests::some;

    const SIZES: [usize; 3] = [30, 4, 5]; // rows, labels, width

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        let matrix = BothWays { forward, backward };
        tape.attend_labels("rows", &mut rows, [&mut all[2].var(), &mut all[3].var()], matrix)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let [n, n_labels, width] = SIZES;
        let sizes = [(n, 3), (3, width), (n_labels, width), (n_labels, width)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        let matrices = some(n, n, n_labels, 4);
        // A logit may cross the leak's kink between the two.
        agrees(&matrices, parameters(), 6, build);
        let (_, _, kept) = outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        assert_eq!(kept, (4 * n * width) as u64);
    }

    #[test]
    fn weights_are_a_softmax() {
        let [n, n_labels, width] = SIZES;
        let matrices = some(n, n, n_labels, 4);
        let (h, p, q) =
            (filled(n, width, 1), filled(n_labels, width, 2), filled(n_labels, width, 3));
        let ends = Ends { h: &h, p: &p, q: &q };
        for v in 0..n {
            let row = ends.row(&matrices[1], v);
            let logits = matrices[1].row(v).map(|(u, label, _)| leaky(ends.raw(v, u, label)));
            let sum: f32 = logits.map(|logit| (logit - row.largest).exp() / row.sum).sum();
            assert!(matrices[1].row(v).count() == 0 || (sum - 1.0).abs() < 1e-5, "{v}: {sum}");
        }
    }
}
