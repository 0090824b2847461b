//! Z = Σ over a row's neighbours of ᾱₖ·Vₖ, for someone: ᾱ = ½(aₖ + αₖ), a being given and α = softmax of
//! leaky(⟨w, V_one ‖ V_other ‖ V_own ‖ Vₖ⟩), where one and other are the two that it is for.
//!
//! Kept: V, where it is no parameter; w is one, of four rows. With ∂αₖ = ½⟨dZ, Vₖ⟩,
//! cₖ = αₖ·(∂αₖ − Σ α∂α)·leaky′ and C = Σ cₖ: ∂Vₖ += ᾱₖ·dZ + cₖ·w₄, ∂w₄ += cₖ·Vₖ, and for the first three
//! ∂V += C·w, ∂w += C·V. A row without neighbours is zero.
//!
//! *Paper:* Tu et al., "Conditional graph attention networks for distilling and refining knowledge graphs
//! in recommendation" (2021).

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::leak::{leaky, slope};
use crate::array::Array;
use crate::kernel::vector;

/// Stands for no neighbour.
pub const NOBODY: u32 = u32::MAX;

/// Who stands around whom, and for which two, row by row of what comes out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Around {
    /// How many neighbours a row has room for.
    pub n_near: usize,
    /// The rows of the two that a row is for.
    pub pairs: Vec<[u32; 2]>,
    /// A row's own.
    pub own: Vec<u32>,
    /// Its neighbours', or [`NOBODY`].
    pub near: Vec<u32>,
    /// What of each neighbour is given: a.
    pub given: Vec<f32>,
}

struct AttendFor<'a> {
    input: usize,
    floats: Floats<'a>,
    n_rows: usize,
    width: usize,
    worth: Parameter<'a>,
    around: Around,
}

/// α of a row's neighbours, and the leak's slope of each; of nobody both are zero.
pub fn weights<'r>(
    worth: [&[f32]; 4],
    [one, other, own]: [&[f32]; 3],
    near: impl Iterator<Item = Option<&'r [f32]>>,
    out: &mut [[f32; 2]],
) {
    let of = |place: usize, row: &[f32]| vector::dot(worth[place], row);
    let common = of(0, one) + of(1, other) + of(2, own);
    let mut most = f32::MIN;
    for (out, near) in out.iter_mut().zip(near) {
        *out = [0.0; 2];
        if let Some(row) = near {
            let logit = common + of(3, row);
            *out = [leaky(logit), slope(logit)];
            most = most.max(out[0]);
        }
    }
    // A list of logits would be made for every row, by all threads at once.
    let mut sum = 0.0;
    for [alpha, _] in out.iter_mut().filter(|[_, slope]| *slope > 0.0) {
        *alpha = (*alpha - most).exp();
        sum += *alpha;
    }
    out.iter_mut().filter(|[_, slope]| *slope > 0.0).for_each(|[alpha, _]| *alpha /= sum);
}

impl Around {
    fn weights(&self, row: usize, worth: &Array, v: &Array, out: &mut [[f32; 2]]) {
        let [one, other] = self.pairs[row].map(|row| v.row(row as usize));
        let near = self.near[row * self.n_near..][..self.n_near].iter();
        let near = near.map(|near| (*near != NOBODY).then(|| v.row(*near as usize)));
        let worth = [0, 1, 2, 3].map(|place| worth.row(place));
        weights(worth, [one, other, v.row(self.own[row] as usize)], near, out);
    }
}

impl<'a> Tape<'a> {
    /// A row of each of those around; `worth` has four rows as wide as the input.
    pub fn attend_for(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        worth: Parameter<'a>,
        around: Around,
    ) -> Var<'a> {
        let (machine, v) = (self.machine, input.value());
        let (isa, width, k) = (machine.instruction_set, v.width, around.n_near);
        let mut out = Array::zeroed(&machine.buffers, around.own.len(), width);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        let room = || vec![[0.0; 2]; k];
        machine.workers.each_with(tasks, room, |alpha, (block, out): (usize, &mut [f32])| {
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                around.weights(row, worth.array, v, alpha);
                let both = around.near[row * k..].iter().zip(&around.given[row * k..]);
                for ([alpha, _], (near, given)) in alpha.iter().zip(both) {
                    if *near != NOBODY {
                        let share = 0.5 * (given + alpha);
                        vector::add_scaled(isa, out, share, v.row(*near as usize));
                    }
                }
            }
        });
        let (id, n_rows) = (input.id, v.rows);
        let floats = self.keep_floats(name, input);
        self.record(out, AttendFor { input: id, floats, n_rows, width, worth, around })
    }
}

impl AttendFor<'_> {
    /// ᾱ and c of every neighbour of every row.
    fn slopes(&self, back: &Back<'_>, v: &Array, gradient: &Array) -> Vec<[f32; 2]> {
        let (k, around) = (self.around.n_near, &self.around);
        let mut found = vec![[0.0; 2]; gradient.rows * k];
        let tasks = found.chunks_mut((ROWS * k).max(1)).enumerate().collect();
        back.machine.workers.each(tasks, |(block, out): (usize, &mut [[f32; 2]])| {
            let mut by = vec![0.0; k];
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(k)) {
                around.weights(row, self.worth.array, v, out);
                let near = &around.near[row * k..][..k];
                for (by, near) in by.iter_mut().zip(near) {
                    *by = match *near {
                        NOBODY => 0.0,
                        near => 0.5 * vector::dot(gradient.row(row), v.row(near as usize)),
                    };
                }
                let mean: f32 = out.iter().zip(&by).map(|([alpha, _], by)| alpha * by).sum();
                for (place, out) in out.iter_mut().enumerate() {
                    let [alpha, slope] = *out;
                    let share = 0.5 * (around.given[row * k + place] + alpha);
                    *out = [share, alpha * (by[place] - mean) * slope];
                }
            }
        });
        found
    }
}

impl Op for AttendFor<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, width, k) = (back.machine, self.width, self.around.n_near);
        let isa = machine.instruction_set;
        let v = self.floats.whole(self.n_rows, width, back);
        let slopes = self.slopes(back, &v, &gradient);
        let mut of_worth = Array::zeroed(&machine.buffers, self.worth.array.rows, width);
        let mut of_rows = Array::zeroed(&machine.buffers, self.n_rows, width);
        fn row(of: &mut Array, row: usize) -> &mut [f32] {
            &mut of.values[row * of.width..][..of.width]
        }
        // Rows of one place come from many: they are added in order.
        for (at, slopes) in slopes.chunks_exact(k.max(1)).enumerate() {
            let (g, mut all) = (gradient.row(at), 0.0);
            for (near, [share, c]) in self.around.near[at * k..].iter().zip(slopes) {
                if *near == NOBODY {
                    continue;
                }
                let near = *near as usize;
                all += c;
                vector::add_scaled(isa, row(&mut of_rows, near), *share, g);
                vector::add_scaled(isa, row(&mut of_rows, near), *c, self.worth.array.row(3));
                vector::add_scaled(isa, row(&mut of_worth, 3), *c, v.row(near));
            }
            let [one, other] = self.around.pairs[at];
            for (place, of) in [one, other, self.around.own[at]].into_iter().enumerate() {
                let of = of as usize;
                vector::add_scaled(isa, row(&mut of_rows, of), all, self.worth.array.row(place));
                vector::add_scaled(isa, row(&mut of_worth, place), all, v.row(of));
            }
        }
        drop(v);
        back.add(self.worth.id, of_worth);
        back.weigh(self.floats, &of_rows);
        back.add(self.input, of_rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use gossamer_machine::{Address, Purpose};

    const SIZES: [usize; 2] = [20, 6]; // rows, width

    fn around() -> Around {
        let address = Address::new(4, Purpose::Synthetic, 0);
        let (n, k) = (12, 3);
        let of = |place: u32, count: usize| -> Vec<u32> {
            let rows = (0..count as u32).map(|i| address.below(SIZES[0] as u64, i, place) as u32);
            rows.collect()
        };
        let mut near = of(2, n * k);
        // One has fewer neighbours, one has none.
        near[4] = NOBODY;
        near[9..12].fill(NOBODY);
        let pairs = of(0, n).into_iter().zip(of(1, n)).map(|(one, other)| [one, other]).collect();
        let given = (0..n * k).map(|place| 0.1 * (place % 4) as f32).collect();
        Around { n_near: k, pairs, own: of(3, n), near, given }
    }

    fn build<'a>(tape: &mut Tape<'a>, around: &'a Around, all: &[Parameter<'a>]) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.attend_for("rows", &mut rows, all[2], around.clone())
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let [rows, width] = SIZES;
        let sizes = [(rows, 3), (3, width), (4, width)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        agrees(&around(), parameters(), 2, build);
        let exact = crate::codec::find("f32").unwrap();
        let kept = outcome(&around(), &parameters(), exact, build).2;
        assert_eq!(kept, (4 * rows * width) as u64);
    }
}
