//! Z = V_own + 1/K · Σ over K drawn neighbours of αₖ·Vₖ, with α = softmax of ⟨u, rₖ⟩/d: what a neighbour is
//! worth is said by someone's row u and the row of the entry's label r.
//!
//! Kept: V, where it is no parameter; u and r are parameters. With ∂αₖ = ⟨dZ, Vₖ⟩/K and
//! cₖ = αₖ·(∂αₖ − Σ α∂α)/d: ∂V_own = dZ, ∂Vₖ += αₖ·dZ/K, ∂u += cₖ·rₖ, ∂rₖ += cₖ·u.
//!
//! *Paper:* Wang et al., "Knowledge graph convolutional networks for recommender systems" (2019), whose
//! code has the 1/K.

use super::super::kept::ROWS;
use super::super::rows::Rows;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::neighbours::sums;
use super::worths::Worths;
use crate::array::Array;
use crate::kernel::gather;
use crate::sparse::Sparse;

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

impl AttendBy<'_> {
    /// The rows that have a gradient: of the input, and of those who say. What is kept has all, and
    /// so has what most have.
    fn rows(&self) -> [Rows; 2] {
        let drawn = &self.drawn;
        let few = |names: &mut dyn Iterator<Item = u32>, n: usize| {
            let rows = Rows::named(names, n);
            if 2 * rows.n(n) > n { Rows::All } else { rows }
        };
        let input = match self.floats {
            Floats::Kept(_) => Rows::All,
            Floats::Lent(_) => few(&mut drawn.own.iter().chain(&drawn.near).copied(), self.n_rows),
        };
        [input, few(&mut drawn.by.iter().copied(), self.by.array.rows)]
    }

    /// What each row that came out says, in order, of the input's rows, of those who say, or of
    /// labels: who adds how much of whom. One of these lists at a time is in memory.
    fn shares(&self, of: Of, slopes: &[f32], [input, by]: &[Rows; 2]) -> Vec<(u32, u32, f32)> {
        let (drawn, k, n) = (&self.drawn, self.drawn.n_near, self.drawn.own.len());
        let mut found = Vec::with_capacity(n * if of == Of::Input { k + 1 } else { k });
        for (at, slopes) in slopes.chunks_exact(2 * k).enumerate() {
            let own = at * k..(at + 1) * k;
            let ((alpha, c), who) = (slopes.split_at(k), drawn.by[at]);
            let labels = drawn.labels[own.clone()].iter().zip(c);
            match of {
                Of::Input => {
                    found.push((input.place(drawn.own[at]), at as u32, 1.0));
                    let near = drawn.near[own].iter().zip(alpha);
                    let share = |(near, alpha): (&u32, &f32)| {
                        (input.place(*near), at as u32, alpha / k as f32)
                    };
                    found.extend(near.map(share));
                }
                Of::By => found.extend(labels.map(|(label, c)| (by.place(who), *label, *c))),
                Of::Labels => found.extend(labels.map(|(label, c)| (*label, who, *c))),
            }
        }
        found
    }
}

/// Whose gradient is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Input,
    By,
    Labels,
}

impl Op for AttendBy<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width) = (back.machine, self.width);
        let v = self.floats.whole(self.n_rows, width, back);
        let slopes = self.slopes(back, &v, &gradient);
        drop(v);
        let [input, by] = self.rows();
        let sizes = [self.n_rows, self.by.array.rows, self.labels.array.rows];
        let n = [input.n(sizes[0]), by.n(sizes[1]), sizes[2]];
        let both = [input, by];
        let made = |of: Of, n: usize, whose: &Array| {
            let matrix = Sparse::of_any(n, whose.rows, &self.shares(of, &slopes, &both));
            sums(machine, &matrix, whose)
        };
        let of_input = made(Of::Input, n[0], &gradient);
        drop(gradient);
        let of_by = made(Of::By, n[1], self.labels.array);
        let of_labels = made(Of::Labels, n[2], self.by.array);
        drop(slopes);
        back.weigh(self.floats, &of_input);
        let [input, by] = both;
        back.add_rows(self.input, (input, sizes[0]), of_input);
        back.add_rows(self.by.id, (by, sizes[1]), of_by);
        back.add(self.labels.id, of_labels);
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
