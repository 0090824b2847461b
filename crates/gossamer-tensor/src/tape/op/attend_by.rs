//! Z = V_own + 1/K · Σ over K drawn neighbours of αₖ·Vₖ, with α = softmax of ⟨u, rₖ⟩/d: what a neighbour is
//! worth is said by someone's row u and the row of the entry's label r.
//!
//! Kept: V, where it is no parameter; u and r are parameters. With ∂αₖ = ⟨dZ, Vₖ⟩/K and
//! cₖ = αₖ·(∂αₖ − Σ α∂α)/d: ∂V_own = dZ, ∂Vₖ += αₖ·dZ/K, ∂u += cₖ·rₖ, ∂rₖ += cₖ·u.
//!
//! *Paper:* Wang et al., "Knowledge graph convolutional networks for recommender systems" (2019), whose
//! code has the 1/K.

use gossamer_machine::InstructionSet;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::worths::Worths;
use crate::array::Array;
use crate::kernel::{gather, vector};

/// Who stands around whom, row by row of what comes out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawn {
    /// How many neighbours a row has.
    pub n_near: usize,
    /// Whose row says what neighbours are worth.
    pub by: Vec<u32>,
    /// A row's own.
    pub own: Vec<u32>,
    /// Its neighbours'.
    pub near: Vec<u32>,
    /// Their labels.
    pub labels: Vec<u32>,
}

struct AttendBy<'a> {
    input: usize,
    floats: Floats<'a>,
    n_rows: usize,
    width: usize,
    by: Parameter<'a>,
    labels: Parameter<'a>,
    drawn: Drawn,
}

impl Drawn {
    /// Fills `alpha` with what a row's neighbours are worth, times a factor.
    fn weights(
        &self,
        row: usize,
        [by, of]: [&Array; 2],
        (worths, factor): (&mut Worths, f32),
        alpha: &mut [f32],
    ) {
        let (who, labels) = (self.by[row], &self.labels[row * self.n_near..][..self.n_near]);
        worths.of(who).shares(by.row(who as usize), |label| of.row(label), labels, factor, alpha);
    }
}

impl<'a> Tape<'a> {
    /// A row of each of those drawn; `by` and `labels` are parameters as wide as the input.
    pub fn attend_by(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        [by, labels]: [Parameter<'a>; 2],
        drawn: Drawn,
    ) -> Var<'a> {
        let (machine, v) = (self.machine, input.value());
        let (isa, width, k) = (machine.instruction_set, v.width, drawn.n_near);
        let mut out = Array::room(&machine.buffers, drawn.own.len(), width);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each_with(
            tasks,
            || (vec![0.0; k], Worths::new(labels.array.rows)),
            |(alpha, worths), (block, out)| {
                for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                    let worths = (&mut *worths, 1.0 / k as f32);
                    drawn.weights(row, [by.array, labels.array], worths, alpha);
                    out.copy_from_slice(v.row(drawn.own[row] as usize));
                    let near = &drawn.near[row * k..][..k];
                    gather::add_rows(isa, out, &v.values, near, alpha, &[]);
                }
            },
        );
        let (id, n_rows) = (input.id, v.rows);
        let floats = self.keep_floats(name, input);
        self.record(out, AttendBy { input: id, floats, n_rows, width, by, labels, drawn })
    }
}

impl AttendBy<'_> {
    /// α and c of every neighbour of every row, side by side.
    fn slopes(&self, back: &Back<'_>, v: &Array, gradient: &Array) -> Vec<f32> {
        let (k, width, isa) = (self.drawn.n_near, self.width, back.machine.instruction_set);
        let mut found = vec![0.0; 2 * gradient.rows * k];
        let tasks = found.chunks_mut((2 * ROWS * k).max(1)).enumerate().collect();
        let worths = || Worths::new(self.labels.array.rows);
        back.machine.workers.each_with(tasks, worths, |worths, (block, out)| {
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(2 * k)) {
                let (alpha, c) = out.split_at_mut(k);
                let (of, near) = ([self.by.array, self.labels.array], &self.drawn.near);
                self.drawn.weights(row, of, (&mut *worths, 1.0), alpha);
                gather::products(isa, c, gradient.row(row), &v.values, &near[row * k..][..k]);
                c.iter_mut().for_each(|c| *c /= k as f32);
                let mean: f32 = alpha.iter().zip(c.iter()).map(|(alpha, c)| alpha * c).sum();
                for (alpha, c) in alpha.iter().zip(c) {
                    *c = alpha * (*c - mean) / width as f32;
                }
            }
        });
        found
    }
}

impl Op for AttendBy<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width, k) = (back.machine, self.width, self.drawn.n_near);
        let isa: InstructionSet = machine.instruction_set;
        let v = self.floats.whole(self.n_rows, width, back);
        let slopes = self.slopes(back, &v, &gradient);
        drop(v);
        // Rows of one place come from many: of each array they are added in order.
        let sizes = [self.n_rows, self.by.array.rows, self.labels.array.rows];
        let found = machine.workers.map(sizes.len(), |of| {
            let mut out = Array::zeroed(&machine.buffers, sizes[of], width);
            for (at, slopes) in slopes.chunks_exact(2 * k).enumerate() {
                let own = at * k..(at + 1) * k;
                let (near, labels) = (&self.drawn.near[own.clone()], &self.drawn.labels[own]);
                let (alpha, c) = slopes.split_at(k);
                let by = self.drawn.by[at];
                let mut add = |row: u32, factor: f32, of: &[f32]| {
                    let row = &mut out.values[row as usize * width..][..width];
                    vector::add_scaled(isa, row, factor, of);
                };
                let g = gradient.row(at);
                match of {
                    0 => {
                        add(self.drawn.own[at], 1.0, g);
                        let each = near.iter().zip(alpha);
                        each.for_each(|(near, alpha)| add(*near, alpha / k as f32, g));
                    }
                    1 => labels.iter().zip(c).for_each(|(label, c)| {
                        add(by, *c, self.labels.array.row(*label as usize));
                    }),
                    _ => labels.iter().zip(c).for_each(|(label, c)| {
                        add(*label, *c, self.by.array.row(by as usize));
                    }),
                }
            }
            out
        });
        back.weigh(self.floats, &found[0]);
        for (var, of) in [self.input, self.by.id, self.labels.id].into_iter().zip(found) {
            back.add(var, of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use gossamer_machine::{Address, Purpose};

    const SIZES: [usize; 4] = [20, 5, 4, 6]; // rows, those who say, labels, width

    fn drawn() -> Drawn {
        let address = Address::new(4, Purpose::Synthetic, 0);
        let (n, k) = (12, 3);
        let of = |n: usize, place: u32, count: usize| -> Vec<u32> {
            (0..count as u32).map(|i| address.below(n as u64, i, place) as u32).collect()
        };
        let [rows, by, labels, _] = SIZES;
        Drawn {
            n_near: k,
            by: of(by, 0, n),
            own: of(rows, 1, n),
            near: of(rows, 2, n * k),
            labels: of(labels, 3, n * k),
        }
    }

    fn build<'a>(tape: &mut Tape<'a>, drawn: &'a Drawn, all: &[Parameter<'a>]) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.attend_by("rows", &mut rows, [all[2], all[3]], drawn.clone())
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let [rows, by, labels, width] = SIZES;
        let sizes = [(rows, 3), (3, width), (by, width), (labels, width)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        agrees(&drawn(), parameters(), 0, build);
        let exact = crate::codec::find("f32").unwrap();
        let kept = outcome(&drawn(), &parameters(), exact, build).2;
        assert_eq!(kept, (4 * rows * width) as u64);
    }
}
