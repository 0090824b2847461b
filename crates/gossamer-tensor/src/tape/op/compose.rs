//! Zᵥ = Σ w·φ(hᵤ, cₗ) over the entries (v, u, l, w) of a labelled matrix: each neighbour is put
//! together with the row of the entry's label before it is added. Nothing is kept per entry.
//!
//! | φ(h, c) | ∂h, given g | ∂c | kept |
//! |---|---|---|---|
//! | h − c | g | −g | nothing |
//! | h ∘ c | g ∘ c | g ∘ h | h and c |
//! | h̄·c, of spectra: h against c shifted in a circle | ḡ·c | g·h | h and c |
//!
//! φ is linear in h, so what a codec does to h is noise in ∂c alone; c is kept exactly.
//! *Paper:* Vashishth et al. (2020), CompGCN.

use std::ops::Range;

use gossamer_machine::InstructionSet;

use super::super::kept::ROWS;
use super::super::rows::Rows;
use super::super::{Back, Floats, Op, Tape, Var};
use super::entries::{Entries, Part};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::spectrum::add_spectrum;
use crate::kernel::{gather, vector};
use crate::sparse::Labelled;

/// How a neighbour and a label's row become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Composition {
    /// h − c.
    Subtract,
    /// h ∘ c.
    Multiply,
    /// The product of one spectrum's conjugate with the other: dot products of shifted rows.
    Correlate,
}

impl Composition {
    /// out += Σ w·φ(h, c), given Σ w·h and Σ w.
    fn add(self, isa: InstructionSet, out: &mut [f32], (w, h): (f32, &[f32]), c: &[f32]) {
        match self {
            Self::Subtract => {
                vector::add_scaled(isa, out, 1.0, h);
                vector::add_scaled(isa, out, -w, c);
            }
            Self::Multiply => vector::add_product(isa, out, 1.0, h, c),
            Self::Correlate => add_spectrum(isa, out, 1.0, h, c, true),
        }
    }

    /// out += ∂h, given Σ w·g.
    fn add_of_row(self, isa: InstructionSet, out: &mut [f32], g: &[f32], c: &[f32]) {
        match self {
            Self::Subtract => vector::add_scaled(isa, out, 1.0, g),
            Self::Multiply => vector::add_product(isa, out, 1.0, g, c),
            Self::Correlate => add_spectrum(isa, out, 1.0, g, c, true),
        }
    }

    /// out += ∂c, given Σ w·g.
    fn add_of_label(self, isa: InstructionSet, out: &mut [f32], g: &[f32], h: &[f32]) {
        match self {
            Self::Subtract => vector::add_scaled(isa, out, -1.0, g),
            Self::Multiply => vector::add_product(isa, out, 1.0, g, h),
            Self::Correlate => add_spectrum(isa, out, 1.0, g, h, false),
        }
    }
}

struct Compose<'a> {
    inputs: [usize; 2],
    /// Of rows and labels; none where φ needs neither.
    floats: Option<[Floats<'a>; 2]>,
    around: Around<'a>,
    /// Rows of the input.
    n_given: usize,
    composition: Composition,
}

/// Who stands around whom: a matrix, which of its columns the input has as rows, which of its rows
/// are made, and what is left out.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    /// The matrix.
    pub matrix: BothWays<'a, Labelled>,
    /// The input's rows.
    pub given: Rows,
    /// The output's.
    pub wanted: Rows,
    /// Entries that are left out; the others grow.
    pub dropout: Dropout,
}

impl Around<'_> {
    /// What takes part, of one of the two ways.
    fn part(&self, is_turned: bool) -> Part<'_> {
        let Self { matrix, given, wanted, dropout } = self;
        let (of, rows, columns) = match is_turned {
            true => (matrix.backward, given, wanted),
            false => (matrix.forward, wanted, given),
        };
        let Labelled { matrix, labels, .. } = of;
        Part { matrix, labels, is_turned, rows, columns, dropout: Some(*dropout) }
    }
}

/// The sum of the rows of a run of entries, weighed, and of their weights.
fn summed(
    isa: InstructionSet,
    entries: &Entries,
    run: Range<usize>,
    of: &Array,
    sum: &mut Vec<f32>,
) -> f32 {
    sum.resize(of.width, 0.0);
    let (columns, weights, later) = entries.of(run);
    gather::sum_rows(isa, sum, &of.values, columns, weights, later);
    weights.iter().sum()
}

impl<'a> Tape<'a> {
    /// Sums over entries of compositions of the input's rows with the labels' (labels × width), of
    /// the rows that are wanted. The entries of a row that stand together and have one label are
    /// composed as one.
    pub fn compose(
        &mut self,
        name: &'static str,
        [input, labels]: [&mut Var<'a>; 2],
        around: Around<'a>,
        composition: Composition,
    ) -> Var<'a> {
        let (machine, h, c) = (self.machine, input.value(), labels.value());
        let (isa, width) = (machine.instruction_set, h.width);
        let n_given = h.rows;
        let n = around.wanted.n(around.matrix.forward.matrix.n_rows());
        let mut out = Array::room(&machine.buffers, n, width);
        let part = around.part(false);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        let rooms = || (Entries::default(), Vec::new());
        machine.workers.each_with(tasks, rooms, |(entries, sum), (block, out)| {
            let first = block * ROWS;
            entries.read(part, first..n.min(first + ROWS));
            for (at, out) in out.chunks_exact_mut(width).enumerate() {
                out.fill(0.0);
                for run in entries.runs(at) {
                    let c = c.row(entries.label(run.start));
                    let weight = summed(isa, entries, run, h, sum);
                    composition.add(isa, out, (weight, sum), c);
                }
            }
        });
        let inputs = [input.id, labels.id];
        let floats = (composition != Composition::Subtract)
            .then(|| [self.keep_floats(name, input), self.keep_exactly("labels", labels)]);
        self.record(out, Compose { inputs, floats, around, n_given, composition })
    }
}

/// Parts of the rows whose shares of what belongs to labels are summed one after the other; their
/// number fixes the order of addition.
pub const PARTS: usize = 16;

/// Rows of a part: whole blocks.
pub fn rows_of_part(n_rows: usize) -> usize {
    n_rows.div_ceil(PARTS).next_multiple_of(ROWS)
}

/// The sum of arrays that lie one after the other.
pub fn sum_of_parts(back: &Back<'_>, parts: &[f32], rows: usize, width: usize) -> Array {
    let mut out = Array::zeroed(&back.machine.buffers, rows, width);
    for part in parts.chunks((rows * width).max(1)) {
        vector::add_scaled(back.machine.instruction_set, &mut out.values, 1.0, part);
    }
    out
}

impl Op for Compose<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width, n) = (back.machine, gradient.width, self.n_given);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let n_labels = self.around.matrix.backward.n_labels;
        let labels = self.floats.map(|[_, labels]| labels.whole(n_labels, width, back));
        let mut of_rows = Array::room(buffers, n, width);
        let step = rows_of_part(n);
        let mut parts = buffers.zeroed(n.div_ceil(step) * n_labels * width);
        let rooms = || (Vec::new(), Entries::default(), Vec::new());
        let around = self.around.part(true);
        let tasks = of_rows.values.chunks_mut(step * width);
        let tasks = tasks.zip(parts.chunks_mut(n_labels * width)).enumerate().collect();
        machine.workers.each_with(
            tasks,
            rooms,
            |(room, entries, sum), (part, (out, of_labels))| {
                let blocks = out.chunks_mut(ROWS * width);
                for (block, out) in (part * step / ROWS..).zip(blocks) {
                    let rows = self.floats.map(|[rows, _]| rows.block(block, back, room).0);
                    let first = block * ROWS;
                    entries.read(around, first..n.min(first + ROWS));
                    for (within, out) in out.chunks_exact_mut(width).enumerate() {
                        let h = rows.map_or(&[][..], |rows| &rows[within * width..][..width]);
                        out.fill(0.0);
                        for run in entries.runs(within) {
                            let label = entries.label(run.start);
                            let c = labels.as_ref().map_or(&[][..], |labels| labels.row(label));
                            let of_label = &mut of_labels[label * width..][..width];
                            summed(isa, entries, run, &gradient, sum);
                            self.composition.add_of_row(isa, out, sum, c);
                            self.composition.add_of_label(isa, of_label, sum, h);
                        }
                    }
                }
            },
        );
        let of_labels = sum_of_parts(back, &parts, n_labels, width);
        if let Some([rows, _]) = self.floats {
            back.weigh(rows, &of_rows);
        }
        back.add(self.inputs[0], of_rows);
        back.add(self.inputs[1], of_labels);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::tests::some;

    const SIZES: [usize; 4] = [300, 40, 5, 6]; // rows, neighbours, labels, width

    fn built<'a>(
        tape: &mut Tape<'a>,
        matrices: &'a [Labelled; 2],
        all: &[Parameter<'a>],
        composition: Composition,
    ) -> Var<'a> {
        built_of(tape, matrices, all, composition, [Rows::All, Rows::All])
    }

    fn built_of<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
        composition: Composition,
        [given, wanted]: [Rows; 2],
    ) -> Var<'a> {
        // Through a product, so that both are values of the tape's own.
        let mut rows = tape.linear("table", &mut all[0].var(), all[2]);
        if let Some(numbers) = given.numbers() {
            rows = tape.pick(&rows, numbers.to_vec());
        }
        let mut labels = tape.linear("table", &mut all[1].var(), all[2]);
        let (matrix, dropout) = (BothWays { forward, backward }, tape.dropout(0.2));
        let around = Around { matrix, given, wanted, dropout };
        tape.compose("rows", [&mut rows, &mut labels], around, composition)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept_per_entry() {
        let [n, m, n_labels, width] = SIZES;
        let parameters = || vec![filled(m, 3, 1), filled(n_labels, 3, 2), filled(3, width, 3)];
        let matrices = some(n, m, n_labels, 4);
        agrees(&matrices, parameters(), 0, |t, m, p| built(t, m, p, Composition::Subtract));
        agrees(&matrices, parameters(), 0, |t, m, p| built(t, m, p, Composition::Multiply));
        agrees(&matrices, parameters(), 0, |t, m, p| built(t, m, p, Composition::Correlate));
        agrees(&matrices, parameters(), 0, |t, m, p| {
            let wanted = Rows::these(vec![0, 7, 8, 270, 299], SIZES[0]);
            let given = Rows::these((0..SIZES[1] as u32).step_by(3).collect(), SIZES[1]);
            built_of(t, m, p, Composition::Multiply, [given, wanted])
        });
        let exact = codec::find("f32").unwrap();
        let kept = |build| outcome(&matrices, &parameters(), exact, build).2;
        assert_eq!(kept(|t, m, all| built(t, m, all, Composition::Subtract)), 0);
        let both = (4 * width * (m + n_labels)) as u64;
        assert_eq!(kept(|t, m, all| built(t, m, all, Composition::Multiply)), both);
    }

    #[test]
    fn sums_equal_their_definition() {
        let [n, m, n_labels, width] = SIZES;
        let [h, c] = [filled(m, width, 4), filled(n_labels, width, 5)];
        let matrices = some(n, m, n_labels, 4);
        let (machine, exact) =
            (gossamer_machine::Machine::new(2, None), codec::find("f32").unwrap());
        let choose = |_: usize| exact;
        let address = gossamer_machine::Address::new(0, gossamer_machine::Purpose::Dropout, 0);
        let mut tape = Tape::new(&machine, &choose, address);
        let [of_h, of_c] = [&h, &c].map(|array| tape.parameter(array));
        let matrix = BothWays { forward: &matrices[1], backward: &matrices[0] };
        let inputs = [&mut of_h.var(), &mut of_c.var()];
        let dropout = tape.dropout(0.0);
        let around = Around { matrix, given: Rows::All, wanted: Rows::All, dropout };
        let out = tape.compose("rows", inputs, around.clone(), Composition::Subtract);
        for v in 0..n {
            for i in 0..width {
                let term = |(u, l, w): (usize, usize, f32)| w * (h.row(u)[i] - c.row(l)[i]);
                let plain: f32 = matrices[1].row(v).map(term).sum();
                assert!((plain - out.value().row(v)[i]).abs() < 1e-4);
            }
        }
        let inputs = [&mut of_h.var(), &mut of_c.var()];
        let around = Around { wanted: Rows::these(vec![3, 260], n), ..around };
        let some = tape.compose("rows", inputs, around, Composition::Subtract);
        assert_eq!(some.value().values[..], [out.value().row(3), out.value().row(260)].concat());
    }
}
