//! Attention in two steps over the entries (v, u, l) of a labelled matrix: among the neighbours of one
//! label, and then among the labels and oneself.
//!
//! Zᵥ = Σₗ βᵥₗ·Σᵤ αᵥᵤₗ·hᵤ + βᵥ₀·oᵥ, where α is a softmax over v's neighbours of label l of
//! leaky(tᵥₗ + sᵤₗ), and β one over the labels that v has, and itself, of bᵥₗ and bᵥ₀ (the last
//! column).
//!
//! Kept: h and o through codecs, the numbers s, t and b as they are; nothing per entry. Backward, with
//! d = ⟨gᵥ, hᵤ⟩ and Dₗ = Σ α·d: ∂hᵤ += β·α·gᵥ, ∂logit = leak·β·α·(d − Dₗ), ∂b = β·(D − Σ β·D).
//!
//! *Paper:* Tran et al., "Layer-stacked attention for heterogeneous network embedding" (2020), LATTE.

use gossamer_machine::Machine;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Tape, Var};
use super::leak::{leaky, slope};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::kernel::vector;
use crate::sparse::Labelled;

/// The vars of an attention in two steps.
pub struct Attended<'v, 'a> {
    /// Rows of neighbours (n × m).
    pub rows: &'v mut Var<'a>,
    /// Rows of oneself (n × m).
    pub own: &'v mut Var<'a>,
    /// A number of each neighbour for each label (n × labels).
    pub sources: &'v mut Var<'a>,
    /// A number of each row for each label.
    pub targets: &'v mut Var<'a>,
    /// Logits of labels, and in the last column of oneself (n × labels).
    pub labels: &'v mut Var<'a>,
}

struct AttendTwice<'a> {
    inputs: [usize; 5],
    floats: [Floats<'a>; 5],
    matrix: BothWays<'a, Labelled>,
    width: usize,
}

/// What weights are made of.
struct Numbers<'a> {
    s: &'a Array,
    t: &'a Array,
    b: &'a Array,
}

/// The softmaxes of a row.
#[derive(Default, Clone)]
struct Row {
    /// Of each label that it has: the label, its largest logit, the sum of exponentials, β.
    labels: Vec<(usize, f32, f32, f32)>,
    /// β of oneself.
    own: f32,
}

impl Numbers<'_> {
    fn raw(&self, v: usize, u: usize, label: usize) -> f32 {
        self.t.row(v)[label] + self.s.row(u)[label]
    }

    fn row(&self, matrix: &Labelled, v: usize) -> Row {
        let mut row = Row::default();
        let logits = self.b.row(v);
        let last = logits.len() - 1;
        for (u, label, _) in matrix.row(v) {
            let logit = leaky(self.raw(v, u, label));
            let place = match row.labels.iter().position(|found| found.0 == label) {
                Some(place) => place,
                None => {
                    row.labels.push((label, f32::NEG_INFINITY, 0.0, 0.0));
                    row.labels.len() - 1
                }
            };
            let found = &mut row.labels[place];
            if logit > found.1 {
                found.2 *= (found.1 - logit).exp();
                found.1 = logit;
            }
            found.2 += (logit - found.1).exp();
        }
        let largest = row.labels.iter().fold(logits[last], |most, found| most.max(logits[found.0]));
        row.own = (logits[last] - largest).exp();
        row.labels.iter_mut().for_each(|found| found.3 = (logits[found.0] - largest).exp());
        let sum = row.own + row.labels.iter().map(|found| found.3).sum::<f32>();
        row.own /= sum;
        row.labels.iter_mut().for_each(|found| found.3 /= sum);
        row
    }

    /// α and β of an entry, and the leak's slope.
    fn weights(&self, row: &Row, [v, u, label]: [usize; 3]) -> (f32, f32, f32) {
        let raw = self.raw(v, u, label);
        let Some((_, largest, sum, beta)) = row.labels.iter().find(|found| found.0 == label) else {
            return (0.0, 0.0, 0.0);
        };
        ((leaky(raw) - largest).exp() / sum, *beta, slope(raw))
    }
}

impl<'a> Tape<'a> {
    /// Attends to neighbours of each label, and to labels.
    pub fn attend_twice(
        &mut self,
        name: &'static str,
        given: Attended<'_, 'a>,
        matrix: BothWays<'a, Labelled>,
    ) -> Var<'a> {
        let machine = self.machine;
        let Attended { rows, own, sources, targets, labels } = given;
        let numbers = Numbers { s: sources.value(), t: targets.value(), b: labels.value() };
        let (h, o) = (rows.value(), own.value());
        let (n, width) = (h.rows, h.width);
        let mut out = Array::zeroed(&machine.buffers, n, width);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each(tasks, |(block, out)| {
            let isa = machine.instruction_set;
            for (v, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                let row = numbers.row(matrix.forward, v);
                vector::add_scaled(isa, out, row.own, o.row(v));
                for (u, label, _) in matrix.forward.row(v) {
                    let (alpha, beta, _) = numbers.weights(&row, [v, u, label]);
                    vector::add_scaled(isa, out, alpha * beta, h.row(u));
                }
            }
        });
        let inputs = [rows.id, own.id, sources.id, targets.id, labels.id];
        let floats = [
            self.keep_floats(name, rows),
            self.keep_floats(name, own),
            self.keep_exactly("attention", sources),
            self.keep_exactly("attention", targets),
            self.keep_exactly("attention", labels),
        ];
        self.record(out, AttendTwice { inputs, floats, matrix, width })
    }
}

/// What both passes of the way back look at.
struct Work<'a> {
    machine: &'a Machine,
    gradient: &'a Array,
    h: &'a Array,
    o: &'a Array,
    numbers: Numbers<'a>,
}

/// A row's softmaxes, and D of each label that it has.
type Found = (Row, Vec<f32>);

impl Work<'_> {
    fn distance(&self, v: usize, u: usize) -> f32 {
        vector::dot(self.gradient.row(v), self.h.row(u))
    }

    /// ∂logit of an entry before the leak, and its weight in the sum.
    fn slope(&self, entry: [usize; 3], (row, means): &Found) -> (f32, f32) {
        let [v, u, label] = entry;
        let (alpha, beta, leak) = self.numbers.weights(row, entry);
        let place = row.labels.iter().position(|found| found.0 == label).unwrap_or(0);
        let mean = means.get(place).copied().unwrap_or(0.0);
        (leak * alpha * beta * (self.distance(v, u) - mean), alpha * beta)
    }

    /// By row: what is found of each, ∂o, ∂t and ∂b.
    fn by_row(&self, matrix: &Labelled) -> (Vec<Found>, [Array; 3]) {
        let (buffers, width) = (&self.machine.buffers, self.h.width);
        let (n, n_labels) = (self.h.rows, self.numbers.b.width);
        let mut found = vec![Found::default(); n];
        let [mut of_o, mut of_t, mut of_b] =
            [width, n_labels, n_labels].map(|width| Array::zeroed(buffers, n, width));
        let tasks = found.chunks_mut(ROWS).zip(of_o.values.chunks_mut(ROWS * width));
        let tasks = tasks.zip(of_t.values.chunks_mut(ROWS * n_labels));
        let tasks = tasks.zip(of_b.values.chunks_mut(ROWS * n_labels)).enumerate().collect();
        self.machine.workers.each(tasks, |(block, (((found, of_o), of_t), of_b))| {
            let rows = found.iter_mut().zip(of_o.chunks_exact_mut(width));
            let rows = rows.zip(of_t.chunks_exact_mut(n_labels));
            let rows = rows.zip(of_b.chunks_exact_mut(n_labels)).enumerate();
            for (within, (((found, of_o), of_t), of_b)) in rows {
                let v = block * ROWS + within;
                let row = self.numbers.row(matrix, v);
                let mut means = vec![0.0; row.labels.len()];
                for (u, label, _) in matrix.row(v) {
                    let (alpha, ..) = self.numbers.weights(&row, [v, u, label]);
                    let place = row.labels.iter().position(|found| found.0 == label).unwrap_or(0);
                    means[place] += alpha * self.distance(v, u);
                }
                let of_own = vector::dot(self.gradient.row(v), self.o.row(v));
                let labels = row.labels.iter().zip(&means);
                let mean = labels.clone().map(|(label, mean)| label.3 * mean).sum::<f32>()
                    + row.own * of_own;
                labels.for_each(|(label, own)| of_b[label.0] = label.3 * (own - mean));
                of_b[n_labels - 1] += row.own * (of_own - mean);
                vector::add_scaled(
                    self.machine.instruction_set,
                    of_o,
                    row.own,
                    self.gradient.row(v),
                );
                *found = (row, means);
                for (u, label, _) in matrix.row(v) {
                    of_t[label] += self.slope([v, u, label], found).0;
                }
            }
        });
        (found, [of_o, of_t, of_b])
    }

    /// By column: ∂h and ∂s.
    fn by_column(&self, matrix: &Labelled, found: &[Found]) -> [Array; 2] {
        let (buffers, n, width) = (&self.machine.buffers, self.h.rows, self.h.width);
        let n_labels = self.numbers.s.width;
        let (mut of_h, mut of_s) =
            (Array::zeroed(buffers, n, width), Array::zeroed(buffers, n, n_labels));
        let tasks = of_h.values.chunks_mut(ROWS * width);
        let tasks = tasks.zip(of_s.values.chunks_mut(ROWS * n_labels)).enumerate().collect();
        self.machine.workers.each(tasks, |(block, (of_h, of_s))| {
            let rows = of_h.chunks_exact_mut(width).zip(of_s.chunks_exact_mut(n_labels));
            for (u, (of_h, of_s)) in (block * ROWS..).zip(rows) {
                for (v, label, _) in matrix.row(u) {
                    let (slope, weight) = self.slope([v, u, label], &found[v]);
                    let isa = self.machine.instruction_set;
                    vector::add_scaled(isa, of_h, weight, self.gradient.row(v));
                    of_s[label] += slope;
                }
            }
        });
        [of_h, of_s]
    }
}

impl Op for AttendTwice<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (n, n_labels) = (gradient.rows, self.matrix.forward.n_labels);
        let widths = [self.width, self.width, n_labels, n_labels, n_labels];
        let [h, o, s, t, b] =
            [0, 1, 2, 3, 4].map(|input| self.floats[input].whole(n, widths[input], back));
        let numbers = Numbers { s: &s, t: &t, b: &b };
        let work = Work { machine: back.machine, gradient: &gradient, h: &h, o: &o, numbers };
        let (found, [of_o, of_t, of_b]) = work.by_row(self.matrix.forward);
        let [of_h, of_s] = work.by_column(self.matrix.backward, &found);
        back.weigh(self.floats[0], &of_h);
        back.weigh(self.floats[1], &of_o);
        let inputs = self.inputs.into_iter().zip([of_h, of_o, of_s, of_t, of_b]);
        inputs.for_each(|(input, gradient)| back.add(input, gradient));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled};
    use super::*;
    use crate::sparse::tests::some;

    const SIZES: [usize; 3] = [30, 4, 5]; // rows, labels, width

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let [mut rows, mut own, mut sources, mut targets, mut labels] =
            [1, 2, 3, 4, 5].map(|place| tape.linear("table", &mut all[0].var(), all[place]));
        let given = Attended {
            rows: &mut rows,
            own: &mut own,
            sources: &mut sources,
            targets: &mut targets,
            labels: &mut labels,
        };
        tape.attend_twice("rows", given, BothWays { forward, backward })
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let [n, n_labels, width] = SIZES;
        let widths = [width, width, n_labels, n_labels, n_labels];
        let mut parameters = vec![filled(n, 3, 1)];
        parameters.extend((2..).zip(widths).map(|(seed, width)| filled(3, width, seed)));
        // The last label is oneself's, and no entry has it.
        let mut matrices = some(n, n, n_labels - 1, 4);
        matrices.iter_mut().for_each(|matrix| matrix.n_labels = n_labels);
        // A logit may cross the leak's kink between the two.
        agrees(&matrices, parameters, 8, build);
    }

    #[test]
    fn weights_of_a_row_add_up_to_one() {
        let [n, n_labels, _] = SIZES;
        let [_, matrix] = some(n, n, n_labels - 1, 4);
        let [s, t, b] = [1, 2, 3].map(|seed| filled(n, n_labels, seed));
        let numbers = Numbers { s: &s, t: &t, b: &b };
        for v in 0..n {
            let row = numbers.row(&matrix, v);
            let weigh = |(u, label, _): (usize, usize, f32)| {
                let (alpha, beta, _) = numbers.weights(&row, [v, u, label]);
                alpha * beta
            };
            let sum = row.own + matrix.row(v).map(weigh).sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-5, "{v}: {sum}");
        }
    }
}
