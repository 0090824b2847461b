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

use gossamer_machine::InstructionSet;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Tape, Var};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::spectrum::add_spectrum;
use crate::kernel::vector;
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
    /// out += w·φ(h, c).
    fn add(self, isa: InstructionSet, out: &mut [f32], w: f32, h: &[f32], c: &[f32]) {
        match self {
            Self::Subtract => {
                vector::add_scaled(isa, out, w, h);
                vector::add_scaled(isa, out, -w, c);
            }
            Self::Multiply => vector::add_product(isa, out, w, h, c),
            Self::Correlate => add_spectrum(isa, out, w, h, c, true),
        }
    }

    /// out += ∂h.
    fn add_of_row(self, isa: InstructionSet, out: &mut [f32], w: f32, g: &[f32], c: &[f32]) {
        match self {
            Self::Subtract => vector::add_scaled(isa, out, w, g),
            Self::Multiply => vector::add_product(isa, out, w, g, c),
            Self::Correlate => add_spectrum(isa, out, w, g, c, true),
        }
    }

    /// out += ∂c.
    fn add_of_label(self, isa: InstructionSet, out: &mut [f32], w: f32, g: &[f32], h: &[f32]) {
        match self {
            Self::Subtract => vector::add_scaled(isa, out, -w, g),
            Self::Multiply => vector::add_product(isa, out, w, g, h),
            Self::Correlate => add_spectrum(isa, out, w, g, h, false),
        }
    }
}

struct Compose<'a> {
    inputs: [usize; 2],
    /// Of rows and labels; none where φ needs neither.
    floats: Option<[Floats<'a>; 2]>,
    matrix: BothWays<'a, Labelled>,
    composition: Composition,
    dropout: Dropout,
}

impl<'a> Tape<'a> {
    /// Sums over entries of compositions of the input's rows with the labels' (labels × width);
    /// with dropout some places are left out and the others grow.
    pub fn compose(
        &mut self,
        name: &'static str,
        [input, labels]: [&mut Var<'a>; 2],
        matrix: BothWays<'a, Labelled>,
        composition: Composition,
        dropout: f32,
    ) -> Var<'a> {
        let dropout = self.dropout(dropout);
        let (machine, h, c) = (self.machine, input.value(), labels.value());
        let (isa, width) = (machine.instruction_set, h.width);
        let mut out = Array::zeroed(&machine.buffers, matrix.forward.matrix.n_rows(), width);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each_with(tasks, Vec::new, |worths, (block, out)| {
            for (v, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                dropout.factors(v as u32, matrix.forward.matrix.row(v).0, worths);
                for ((u, label, w), worth) in matrix.forward.row(v).zip(worths.iter()) {
                    let w = w * worth;
                    if w != 0.0 {
                        composition.add(isa, out, w, h.row(u), c.row(label));
                    }
                }
            }
        });
        let inputs = [input.id, labels.id];
        let floats = (composition != Composition::Subtract)
            .then(|| [self.keep_floats(name, input), self.keep_exactly("labels", labels)]);
        self.record(out, Compose { inputs, floats, matrix, composition, dropout })
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
        let (machine, width, matrix) = (back.machine, gradient.width, self.matrix.backward);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let (n, n_labels) = (matrix.matrix.n_rows(), matrix.n_labels);
        let labels = self.floats.map(|[_, labels]| labels.whole(n_labels, width, back));
        let mut of_rows = Array::zeroed(buffers, n, width);
        let step = rows_of_part(n);
        let mut parts = buffers.zeroed(n.div_ceil(step) * n_labels * width);
        let rooms = || (Vec::new(), Vec::new());
        let tasks = of_rows.values.chunks_mut(step * width);
        let tasks = tasks.zip(parts.chunks_mut(n_labels * width)).enumerate().collect();
        machine.workers.each_with(tasks, rooms, |(room, worths), (part, (out, of_labels))| {
            let blocks = out.chunks_mut(ROWS * width);
            for (block, out) in (part * step / ROWS..).zip(blocks) {
                let rows = self.floats.map(|[rows, _]| rows.block(block, back, room).0);
                for (within, out) in out.chunks_exact_mut(width).enumerate() {
                    let u = block * ROWS + within;
                    let h = rows.map_or(&[][..], |rows| &rows[within * width..][..width]);
                    let around = matrix.matrix.row(u).0;
                    self.dropout.factors_of_rows(u as u32, around, worths);
                    for ((v, label, w), worth) in matrix.row(u).zip(worths.iter()) {
                        let w = w * worth;
                        if w == 0.0 {
                            continue;
                        }
                        let c = labels.as_ref().map_or(&[][..], |labels| labels.row(label));
                        let of_label = &mut of_labels[label * width..][..width];
                        let g = gradient.row(v);
                        self.composition.add_of_row(isa, out, w, g, c);
                        self.composition.add_of_label(isa, of_label, w, g, h);
                    }
                }
            }
        });
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
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
        composition: Composition,
    ) -> Var<'a> {
        // Through a product, so that both are values of the tape's own.
        let mut rows = tape.linear("table", &mut all[0].var(), all[2]);
        let mut labels = tape.linear("table", &mut all[1].var(), all[2]);
        let matrix = BothWays { forward, backward };
        tape.compose("rows", [&mut rows, &mut labels], matrix, composition, 0.2)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept_per_entry() {
        let [n, m, n_labels, width] = SIZES;
        let parameters = || vec![filled(m, 3, 1), filled(n_labels, 3, 2), filled(3, width, 3)];
        let matrices = some(n, m, n_labels, 4);
        agrees(&matrices, parameters(), 0, |t, m, all| built(t, m, all, Composition::Subtract));
        agrees(&matrices, parameters(), 0, |t, m, all| built(t, m, all, Composition::Multiply));
        agrees(&matrices, parameters(), 0, |t, m, all| built(t, m, all, Composition::Correlate));
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
        let out = tape.compose("rows", inputs, matrix, Composition::Subtract, 0.0);
        for v in 0..n {
            for i in 0..width {
                let term = |(u, l, w): (usize, usize, f32)| w * (h.row(u)[i] - c.row(l)[i]);
                let plain: f32 = matrices[1].row(v).map(term).sum();
                assert!((plain - out.value().row(v)[i]).abs() < 1e-4);
            }
        }
    }
}
