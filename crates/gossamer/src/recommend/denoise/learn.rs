//! Learning to denoise: a batch of items, forward and back, panel by panel.
//!
//! *Formula:* a batch costs the mean over its items of (1 − e)·w_t·‖x̂ − x‖²/N + e·‖x̂_items·M − own‖²/d, w_t being
//! what a step's signal has to noise beyond the next one's, M the sums of the rows of those who have each item: what
//! it is joined to is to say who has it.

use std::ops::Range;

use gossamer_machine::Machine;
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Right};
use gossamer_tensor::kernel::product::add_product;
use gossamer_tensor::kernel::similarity::{Columns, Similarity};
use gossamer_tensor::kernel::vector;
use gossamer_tensor::optim::{Optimiser, Step};

use super::noise::STEPS;
use super::{BLOCK, Denoiser, PANEL, TOGETHER, Weights};

/// Weight of what an item's joined items say of it: e.
const COLLABORATIVE: f32 = 0.01;

/// What a pass goes by.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// M: items × dim.
    pub sums: &'a Array,
    /// The items' own rows, first among those of entities.
    pub own: &'a Array,
    /// Random numbers of the pass.
    pub address: Address,
    /// Threads and instructions.
    pub machine: &'a Machine,
}

/// A batch on its way.
struct Batch<'a> {
    items: &'a [u32],
    /// h, and its slopes before tanh (items × width).
    hidden: Vec<f32>,
    slopes: Vec<f32>,
    /// Of each item e·2/(d·n)·(x̂_items·M − own).
    misfit: Vec<f32>,
}

impl Denoiser {
    /// Fills `out` (items × columns) with noisy rows of which a half is left out.
    fn noisy(&self, items: &[u32], columns: Range<usize>, address: Address, out: &mut [f32]) {
        let n = columns.len();
        for (item, out) in items.iter().zip(out.chunks_exact_mut(n.max(1))) {
            let ones = self.ones(*item, &columns);
            self.noise.lay(*item, ones, columns.start, address, out);
        }
    }

    /// Adds x·A of noisy rows, which are made block by block.
    fn add_hidden(&self, items: &[u32], into: &Array, given: &Given<'_>, out: &mut [f32]) {
        let mut x = vec![0.0; items.len() * PANEL];
        for first in (0..self.n_entities).step_by(PANEL) {
            let columns = first..(first + PANEL).min(self.n_entities);
            let n = columns.len();
            self.noisy(items, columns, given.address, &mut x[..items.len() * n]);
            let left = Matrix { values: &x, stride: n }.into();
            let right = Matrix { values: &into.values[first * self.width..], stride: self.width };
            let out = MatrixMut { values: &mut *out, stride: self.width };
            let isa = given.machine.instruction_set;
            add_product(isa, [items.len(), n, self.width], left, right, out);
        }
    }

    /// Turns x̂ of some columns into the cost's slopes; returns the first part of the cost, a sum.
    fn slopes(
        &self,
        (items, misfit): (&[u32], &[f32]),
        (n, given): (usize, &Given<'_>),
        columns: &Range<usize>,
        guessed: &mut [f32],
    ) -> f64 {
        let mut cost = 0.0;
        for (item, row) in items.iter().zip(guessed.chunks_exact_mut(columns.len().max(1))) {
            let worth = self.noise.worth(self.noise.step_of(*item, given.address));
            let factor = (1.0 - COLLABORATIVE) * worth / (self.n_entities * n) as f32;
            self.ones(*item, columns).for_each(|column| row[column] -= 1.0);
            cost += f64::from(factor * row.iter().map(|x| x * x).sum::<f32>());
            row.iter_mut().for_each(|x| *x *= 2.0 * factor);
        }
        self.add_misfit(misfit, given, columns, guessed);
        cost
    }

    /// Adds to the slopes of items' columns what their misfit says of them.
    fn add_misfit(
        &self,
        misfit: &[f32],
        given: &Given<'_>,
        columns: &Range<usize>,
        slopes: &mut [f32],
    ) {
        let (sums, isa) = (given.sums, given.machine.instruction_set);
        let n = sums.rows.min(columns.end).saturating_sub(columns.start);
        if n == 0 {
            return;
        }
        let dim = sums.width;
        let rows = &sums.values[columns.start * dim..][..n * dim];
        let mut found = vec![0.0; misfit.len() / dim * n];
        let (columns_of, room) = (Columns::from(dim), &mut Right::default());
        Similarity::Dot.scores_by_query(isa, (misfit, rows), columns_of, room, &mut found);
        let slopes = slopes.chunks_exact_mut(columns.len());
        for (slopes, found) in slopes.zip(found.chunks_exact(n)) {
            vector::add_scaled(isa, &mut slopes[..n], 1.0, found);
        }
    }

    /// Some of a batch's items, of so many: h, its slopes, the misfit, and the cost.
    fn block(
        &self,
        items: &[u32],
        n: usize,
        weights: Weights<'_>,
        given: &Given<'_>,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>, f64) {
        let Weights([into, from, _, times]) = weights;
        let (isa, dim, width) = (given.machine.instruction_set, given.sums.width, self.width);
        let mut hidden = vec![0.0; items.len() * width];
        self.add_hidden(items, into, given, &mut hidden);
        let step_of = |place: usize| self.noise.step_of(items[place], given.address);
        self.activate(times, &step_of, &mut hidden);
        let mut guessed = vec![0.0; items.len() * PANEL];
        let mut misfit = vec![0.0; items.len() * dim];
        for first in (0..given.sums.rows).step_by(PANEL) {
            let columns = first..(first + PANEL).min(given.sums.rows);
            let guessed = &mut guessed[..items.len() * columns.len()];
            self.guess(&hidden, &columns, weights, isa, guessed);
            let left = Matrix { values: guessed, stride: columns.len() }.into();
            let right = Matrix { values: &given.sums.values[first * dim..], stride: dim };
            let out = MatrixMut { values: &mut misfit, stride: dim };
            add_product(isa, [items.len(), columns.len(), dim], left, right, out);
        }
        let factor = COLLABORATIVE / (dim * n) as f32;
        let mut cost = 0.0;
        for (item, misfit) in items.iter().zip(misfit.chunks_exact_mut(dim)) {
            let own = given.own.row(*item as usize);
            misfit.iter_mut().zip(own).for_each(|(x, own)| *x -= own);
            cost += f64::from(factor * misfit.iter().map(|x| x * x).sum::<f32>());
            misfit.iter_mut().for_each(|x| *x *= 2.0 * factor);
        }
        let mut slopes = vec![0.0; hidden.len()];
        for first in (0..self.n_entities).step_by(PANEL) {
            let columns = first..(first + PANEL).min(self.n_entities);
            let guessed = &mut guessed[..items.len() * columns.len()];
            self.guess(&hidden, &columns, weights, isa, guessed);
            cost += self.slopes((items, &misfit), (n, given), &columns, guessed);
            let left = Matrix { values: guessed, stride: columns.len() }.into();
            let right = Matrix { values: &from.values[first * width..], stride: width };
            let out = MatrixMut { values: &mut slopes, stride: width };
            add_product(isa, [items.len(), columns.len(), width], left, right, out);
        }
        slopes.iter_mut().zip(&hidden).for_each(|(slope, h)| *slope *= 1.0 - h * h);
        (hidden, slopes, misfit, cost)
    }

    /// Forward, and back to h: of all items of a batch; and the cost.
    fn begin<'a>(
        &self,
        items: &'a [u32],
        weights: Weights<'_>,
        given: &Given<'_>,
    ) -> (Batch<'a>, f64) {
        let blocks: Vec<&[u32]> = items.chunks(BLOCK).collect();
        let found = given
            .machine
            .workers
            .map(blocks.len(), |block| self.block(blocks[block], items.len(), weights, given));
        let (hidden, slopes, misfit) = Default::default();
        let mut batch = Batch { items, hidden, slopes, misfit };
        let mut cost = 0.0;
        for (hidden, slopes, misfit, part) in found {
            batch.hidden.extend(hidden);
            batch.slopes.extend(slopes);
            batch.misfit.extend(misfit);
            cost += part;
        }
        (batch, cost)
    }

    /// The slopes of some rows of A, B and b.
    fn of_panel(
        &self,
        batch: &Batch<'_>,
        columns: &Range<usize>,
        weights: Weights<'_>,
        given: &Given<'_>,
    ) -> [Vec<f32>; 3] {
        let (isa, width, dim) = (given.machine.instruction_set, self.width, given.sums.width);
        let n = columns.len();
        let [mut of_into, mut of_from] = [(); 2].map(|()| vec![0.0; n * width]);
        let mut of_bias = vec![0.0; n];
        let (mut x, mut guessed) = (vec![0.0; BLOCK * n], vec![0.0; BLOCK * n]);
        for (block, items) in batch.items.chunks(BLOCK).enumerate() {
            let rows = block * BLOCK..block * BLOCK + items.len();
            let [hidden, slopes] = [&batch.hidden, &batch.slopes]
                .map(|values| &values[rows.start * width..rows.end * width]);
            let misfit = &batch.misfit[rows.start * dim..rows.end * dim];
            let (x, guessed) = (&mut x[..items.len() * n], &mut guessed[..items.len() * n]);
            self.noisy(items, columns.clone(), given.address, x);
            self.guess(hidden, columns, weights, isa, guessed);
            self.slopes((items, misfit), (batch.items.len(), given), columns, guessed);
            for row in guessed.chunks_exact(n.max(1)) {
                vector::add_scaled(isa, &mut of_bias, 1.0, row);
            }
            for (left, right, out) in
                [(&*x, slopes, &mut of_into), (&*guessed, hidden, &mut of_from)]
            {
                let left = Matrix { values: left, stride: n }.transposed();
                let right = Matrix { values: right, stride: width };
                let out = MatrixMut { values: out, stride: width };
                add_product(isa, [n, items.len(), width], left, right, out);
            }
        }
        [of_into, of_from, of_bias]
    }

    /// The slopes of s.
    fn of_times(&self, batch: &Batch<'_>, given: &Given<'_>) -> Vec<f32> {
        let mut out = vec![0.0; STEPS * self.width];
        for (item, slopes) in batch.items.iter().zip(batch.slopes.chunks_exact(self.width)) {
            let step = self.noise.step_of(*item, given.address);
            let out = &mut out[step * self.width..][..self.width];
            vector::add_scaled(given.machine.instruction_set, out, 1.0, slopes);
        }
        out
    }

    /// A step over some items; `states` are the optimiser's. Returns the cost.
    pub fn step(
        &self,
        items: &[u32],
        parameters: &mut [Array],
        states: &mut [Array],
        (optimiser, step): (&dyn Optimiser, &Step),
        given: &Given<'_>,
    ) -> f64 {
        let weights = Weights([0, 1, 2, 3].map(|place| &parameters[place]));
        let (batch, cost) = self.begin(items, weights, given);
        let of_times = self.of_times(&batch, given);
        // Some panels at a time, so that no gradient of a table exists.
        let n_panels = self.n_entities.div_ceil(PANEL);
        for first in (0..n_panels).step_by(TOGETHER) {
            let some = first..(first + TOGETHER).min(n_panels);
            let weights = Weights([0, 1, 2, 3].map(|place| &parameters[place]));
            let columns = |panel: usize| panel * PANEL..((panel + 1) * PANEL).min(self.n_entities);
            let found = given.machine.workers.map(some.len(), |place| {
                self.of_panel(&batch, &columns(some.start + place), weights, given)
            });
            for (panel, gradients) in some.zip(found) {
                for (place, gradient) in gradients.iter().enumerate() {
                    let rows = columns(panel);
                    change(parameters, states, (place, rows), gradient, (optimiser, step));
                }
            }
        }
        change(parameters, states, (3, 0..STEPS), &of_times, (optimiser, step));
        cost
    }

    /// The items in an order of their own for a pass.
    pub fn order(&self, seed: u64, epoch: u64) -> Vec<u32> {
        let n = self.has.n_rows() as u64;
        let address = Address::new(seed, Purpose::Order, (2 << 32) + epoch);
        let order = Permutation::new(n, address);
        (0..n).map(|place| order.get(place) as u32).collect()
    }
}

/// Changes some rows of a parameter.
fn change(
    parameters: &mut [Array],
    states: &mut [Array],
    (place, rows): (usize, Range<usize>),
    gradient: &[f32],
    (optimiser, step): (&dyn Optimiser, &Step),
) {
    let (parameter, state) = (&mut parameters[place], &mut states[place]);
    let (width, of_state) = (parameter.width, state.width);
    for (row, gradient) in rows.zip(gradient.chunks_exact(width)) {
        let own = &mut parameter.values[row * width..][..width];
        let state = &mut state.values[row * of_state..][..of_state];
        optimiser.update(step, own, state, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::PARAMETERS;
    use super::super::tests::{SIZES, denoiser, filled};
    use super::*;
    use gossamer_machine::Observer;
    use gossamer_tensor::optim;

    #[test]
    fn slopes_agree_with_finite_differences() {
        let [items, entities, _, dim] = SIZES;
        let (denoiser, mut parameters) = denoiser();
        let machine = Machine::new(2, None);
        let (sums, own) = (filled(items, dim, 8, 1.0), filled(entities, dim, 9, 1.0));
        let address = Address::new(3, Purpose::Dropout, 0);
        let given = Given { sums: &sums, own: &own, address, machine: &machine };
        let batch: Vec<u32> = (0..items as u32).rev().collect();
        let weights = |of: &[Array]| -> f64 {
            let weights = Weights([0, 1, 2, 3].map(|place| &of[place]));
            denoiser.begin(&batch, weights, &given).1
        };
        let all = Weights([0, 1, 2, 3].map(|place| &parameters[place]));
        let (begun, _) = denoiser.begin(&batch, all, &given);
        let mut found: [Vec<f32>; PARAMETERS] = Default::default();
        for first in (0..entities).step_by(PANEL) {
            let columns = first..(first + PANEL).min(entities);
            let of_panel = denoiser.of_panel(&begun, &columns, all, &given);
            found.iter_mut().zip(of_panel).for_each(|(found, of_panel)| found.extend(of_panel));
        }
        found[3] = denoiser.of_times(&begun, &given);
        for (place, found) in found.iter().enumerate() {
            assert_eq!(found.len(), parameters[place].values.len());
            let largest = found.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for at in (0..found.len()).step_by(if place == 3 { 1 } else { 97 }) {
                let before = parameters[place].values[at];
                let mut moved = |more: f32| {
                    parameters[place].values[at] = before + more;
                    weights(&parameters)
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                parameters[place].values[at] = before;
                let off = (slope - f64::from(found[at])).abs();
                assert!(off < f64::from(0.01 * largest), "{place} {at}: {slope} {}", found[at]);
            }
        }
    }

    #[test]
    fn what_was_learned_finds_what_an_item_has_and_threads_change_no_bit() {
        let [items, entities, _, dim] = SIZES;
        let sums = filled(items, dim, 8, 0.1);
        let own = filled(entities, dim, 9, 0.1);
        let learned = |threads: usize| {
            let (denoiser, mut parameters) = denoiser();
            let machine = Machine::new(threads, None);
            let adam = optim::find("adam").unwrap();
            let state =
                |of: &Array| Array::zeroed(&machine.buffers, of.rows, adam.state_width(of.width));
            let mut states: Vec<Array> = parameters.iter().map(state).collect();
            let mut costs = Vec::new();
            for epoch in 0..60 {
                let address = Address::new(3, Purpose::Dropout, epoch);
                let given = Given { sums: &sums, own: &own, address, machine: &machine };
                let instruction_set = machine.instruction_set;
                let step =
                    Step { learning_rate: 0.02, number: epoch + 1, seed: 0, instruction_set };
                let order = denoiser.order(0, epoch);
                let with = (adam, &step);
                costs.push(denoiser.step(&order, &mut parameters, &mut states, with, &given));
            }
            let weights = Weights([0, 1, 2, 3].map(|place| &parameters[place]));
            let with = (&machine, &gossamer_machine::Silent as &dyn Observer);
            (costs, denoiser.denoised(weights, 3, with).unwrap())
        };
        let (costs, found) = learned(2);
        assert!(costs[59] < 0.2 * costs[0], "{} {}", costs[0], costs[59]);
        let right = (0..items as u32)
            .flat_map(|item| [item % 7, 45 + item % 3, 550 + item % 4].map(|of| (item, of)))
            .filter(|(item, entity)| found[*item as usize].contains(entity))
            .count();
        // By chance it is less than one.
        assert!(right > 20, "{right} of 120");
        assert_eq!(learned(1), (costs, found));
    }
}
