//! Zᵥ = Σ w·hᵤ·Q_l over entries (v, u, l): a matrix of blocks along the diagonal for each label.
//! Backward: dhᵤ = Σ w·dZᵥ·Q_lᵀ needs the parameters alone; dQ_l = Σ w·hᵤᵀ·dZᵥ needs H, so H is kept,
//! and nothing per entry or label.
//!
//! Cost: 2·width·side floating-point operations an entry, three times.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::compose::{rows_of_part, sum_of_parts};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::dropout::Dropout;
use crate::kernel::blocks::{add_blocks, add_blocks_back, add_outer_blocks};
use crate::sparse::Labelled;

struct Blocks<'a> {
    input: usize,
    floats: Floats<'a>,
    parameter: Parameter<'a>,
    matrix: BothWays<'a, Labelled>,
    /// Rows and columns of a block.
    sizes: [usize; 2],
    dropout: Dropout,
}

impl<'a> Tape<'a> {
    /// Sums over entries of the input's rows times their label's blocks, of which the parameter has
    /// a row for each label: input width · columns of a block. With dropout some places are left
    /// out and the others grow.
    pub fn sum_blocks(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        matrix: BothWays<'a, Labelled>,
        (parameter, n_blocks): (Parameter<'a>, usize),
        dropout: f32,
    ) -> Var<'a> {
        let dropout = self.dropout(dropout);
        let floats = self.keep_floats(name, input);
        let (machine, h, blocks) = (self.machine, input.value(), parameter.array);
        let sizes = [h.width / n_blocks, blocks.width / h.width];
        let (isa, width) = (machine.instruction_set, n_blocks * sizes[1]);
        let mut out = Array::zeroed(&machine.buffers, matrix.forward.matrix.n_rows(), width);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each_with(tasks, Vec::new, |worths, (block, out)| {
            for (v, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                dropout.factors(v as u32, matrix.forward.matrix.row(v).0, worths);
                for ((u, label, w), worth) in matrix.forward.row(v).zip(worths.iter()) {
                    let w = w * worth;
                    if w != 0.0 {
                        add_blocks(isa, out, w, h.row(u), blocks.row(label), sizes);
                    }
                }
            }
        });
        let input = input.id;
        self.record(out, Blocks { input, floats, parameter, matrix, sizes, dropout })
    }
}

impl Op for Blocks<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, matrix, sizes) = (back.machine, self.matrix.backward, self.sizes);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let blocks = self.parameter.array;
        let (n, of_label) = (matrix.matrix.n_rows(), blocks.width);
        let width = of_label / sizes[1];
        let mut of_rows = Array::zeroed(buffers, n, width);
        let step = rows_of_part(n);
        let mut parts = buffers.zeroed(n.div_ceil(step) * blocks.values.len());
        let rooms = || (Vec::new(), Vec::new());
        let tasks = of_rows.values.chunks_mut(step * width);
        let tasks = tasks.zip(parts.chunks_mut(blocks.values.len())).enumerate().collect();
        machine.workers.each_with(tasks, rooms, |(room, worths), (part, (out, of_blocks))| {
            let each = out.chunks_mut(ROWS * width);
            for (block, out) in (part * step / ROWS..).zip(each) {
                let rows = self.floats.block(block, back, room).0;
                let pairs = out.chunks_exact_mut(width).zip(rows.chunks_exact(width));
                for (u, (out, h)) in (block * ROWS..).zip(pairs) {
                    let around = matrix.matrix.row(u).0;
                    self.dropout.factors_of_rows(u as u32, around, worths);
                    for ((v, label, w), worth) in matrix.row(u).zip(worths.iter()) {
                        let w = w * worth;
                        if w == 0.0 {
                            continue;
                        }
                        let own = &mut of_blocks[label * of_label..][..of_label];
                        add_blocks_back(isa, out, w, gradient.row(v), blocks.row(label), sizes);
                        add_outer_blocks(isa, own, w, h, gradient.row(v), sizes);
                    }
                }
            }
        });
        let of_blocks = sum_of_parts(back, &parts, blocks.rows, of_label);
        back.weigh(self.floats, &of_rows);
        back.add(self.parameter.id(), of_blocks);
        back.add(self.input, of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::tests::some;

    const SIZES: [usize; 3] = [300, 40, 5]; // rows, neighbours, labels

    /// Rows of six floats in three blocks of 2 × 3.
    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        let matrix = BothWays { forward, backward };
        tape.sum_blocks("rows", &mut rows, matrix, (all[2], 3), 0.2)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let [n, m, n_labels] = SIZES;
        let parameters = || vec![filled(m, 3, 1), filled(3, 6, 2), filled(n_labels, 6 * 3, 3)];
        let matrices = some(n, m, n_labels, 4);
        agrees(&matrices, parameters(), 0, build);
        let exact = codec::find("f32").unwrap();
        assert_eq!(outcome(&matrices, &parameters(), exact, build).2, 4 * 6 * m as u64);
    }

    #[test]
    fn one_block_is_a_matrix() {
        let (h, q) = ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        for isa in gossamer_machine::InstructionSet::all() {
            let mut out = [1.0; 3];
            add_blocks(isa, &mut out, 2.0, &h, &q, [2, 3]);
            assert_eq!(out, [19.0, 25.0, 31.0]);
            let mut back = [0.0; 2];
            add_blocks_back(isa, &mut back, 1.0, &[1.0, 0.0, 2.0], &q, [2, 3]);
            assert_eq!(back, [7.0, 16.0]);
        }
    }
}
