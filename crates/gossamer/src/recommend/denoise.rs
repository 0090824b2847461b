//! Facts denoised by diffusion: noise is laid over an item's entities, and what a network makes of them again
//! is kept.
//!
//! *Formula:* x is an item's row of zeros and ones over N entities; x_t = √ᾱ_t·x + √(1 − ᾱ_t)·ε, of which a half
//! is left out in learning ([`noise`](super::noise)); h = tanh(x_t·A + s_t), x̂ = h·Bᵀ + b. A batch costs the mean over its items of
//! (1 − e)·w_t·‖x̂ − x‖²/N + e·‖x̂_items·M − own‖²/d, w_t being what a step's signal has to noise beyond the next
//! one's, M the sums of the rows of those who have each item: what it is joined to is to say who has it. Then
//! x ← c_t·x̂ + c′_t·x from the last step to the first. Of the steps only what goes into h is followed: with z = x·A
//! that is z ← c_t·(h·BᵀA + bᵀA) + c′_t·z; x comes at the end, Σ a_t·(h_t·Bᵀ + b) + a·x.
//! *Cost:* 12 · items · N · width of multiplications and additions for a pass, 2 to denoise; x is made again wherever
//! it is needed, some items by some entities at a time.
//! *Paper:* Jiang et al.: DiffKG: Knowledge Graph Diffusion Model for Recommendation (WSDM 2024).
//!
//! *Invariant:* threads change no bit.

use std::ops::Range;

use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{InstructionSet, Machine, Observer, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut};
use gossamer_tensor::kernel::product::add_product;
use gossamer_tensor::kernel::similarity::{Columns, Similarity};
use gossamer_tensor::kernel::vector;
use gossamer_tensor::optim::{Optimiser, Step};

use super::noise::{Noise, STEPS};
use super::problem::Lists;
use crate::error::Error;
use crate::layer::{Shape, Start};

/// Weight of what an item's joined items say of it: e.
const COLLABORATIVE: f32 = 0.01;
/// Items of a task.
const BLOCK: usize = 64;
/// Entities of a task.
const PANEL: usize = 512;

/// Panels whose gradients stand in memory together; blocks that are denoised together.
const TOGETHER: usize = 8;

/// How many parameters it has: A, B, b, s.
pub const PARAMETERS: usize = 4;

/// What denoises.
#[derive(Debug)]
pub struct Denoiser {
    /// The entities of each item, items first among them.
    has: Lists,
    n_entities: usize,
    width: usize,
    noise: Noise,
}

/// A, B, b and s.
#[derive(Clone, Copy)]
pub struct Weights<'a>(pub [&'a Array; PARAMETERS]);

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
    /// Of items and their entities, with so many floats between.
    pub fn new(has: Lists, n_entities: usize, width: usize) -> Self {
        Self { has, n_entities, width, noise: Noise::default() }
    }

    /// The shapes of its parameters.
    pub fn shapes(n_entities: usize, width: usize) -> [Shape; PARAMETERS] {
        let rows = Shape::matrix(n_entities, width);
        let bias = Shape { rows: n_entities, width: 1, start: Start::Zero };
        [rows, rows, bias, Shape::matrix(STEPS, width)]
    }

    /// Those of an item's entities that are in a range, from its first on.
    fn ones(&self, item: u32, columns: &Range<usize>) -> impl Iterator<Item = usize> {
        let all = self.has.of(item as usize);
        let from = all.partition_point(|entity| (*entity as usize) < columns.start);
        let to = all.partition_point(|entity| (*entity as usize) < columns.end);
        let start = columns.start;
        all[from..to].iter().map(move |entity| *entity as usize - start)
    }

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

    /// h of rows before tanh, of items at steps.
    fn activate(&self, times: &Array, step_of: &dyn Fn(usize) -> usize, hidden: &mut [f32]) {
        for (place, row) in hidden.chunks_exact_mut(self.width).enumerate() {
            let time = times.row(step_of(place));
            row.iter_mut().zip(time).for_each(|(x, time)| *x = (*x + time).tanh());
        }
    }

    /// Fills `out` (items × columns) with x̂.
    fn guess(
        &self,
        hidden: &[f32],
        columns: &Range<usize>,
        Weights([_, from, bias, _]): Weights<'_>,
        isa: InstructionSet,
        out: &mut [f32],
    ) {
        let width = self.width;
        let rows = &from.values[columns.start * width..columns.end * width];
        let whole = Columns::from(width);
        Similarity::Dot.scores_by_query(isa, (hidden, rows), whole, out);
        let bias = &bias.values[columns.clone()];
        for out in out.chunks_exact_mut(columns.len().max(1)) {
            vector::add_scaled(isa, out, 1.0, bias);
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
        Similarity::Dot.scores_by_query(isa, (misfit, rows), Columns::from(dim), &mut found);
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

    /// Of each item those it has among the entities that are most there when noise is taken out.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn denoised(
        &self,
        weights: Weights<'_>,
        most: usize,
        (machine, observer): (&Machine, &dyn Observer),
    ) -> Result<Vec<Vec<u32>>, Error> {
        let items: Vec<u32> = (0..self.has.n_rows() as u32).collect();
        let mut all = Vec::with_capacity(items.len());
        let through = self.through(weights, machine.instruction_set);
        for some in items.chunks(TOGETHER * BLOCK) {
            let blocks: Vec<&[u32]> = some.chunks(BLOCK).collect();
            let found = machine.workers.map(blocks.len(), |block| {
                let isa = machine.instruction_set;
                self.denoised_block(blocks[block], (weights, &through), most, isa)
            });
            all.extend(found.into_iter().flatten());
            let (done, total) = (all.len() as u64, items.len() as u64);
            let (stage, unit, detail) = ("denoising facts", "items", "");
            observer.progress(&Progress { stage, done, total, unit, detail });
            if observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        Ok(all)
    }

    /// BᵀA and, below it, bᵀA: (width + 1) × width.
    fn through(
        &self,
        Weights([into, from, bias, _]): Weights<'_>,
        isa: InstructionSet,
    ) -> Vec<f32> {
        let (width, n) = (self.width, self.n_entities);
        let mut out = vec![0.0; (width + 1) * width];
        let (of_rows, of_bias) = out.split_at_mut(width * width);
        for (left, rows, out) in
            [(&from.values, width, &mut *of_rows), (&bias.values, 1, &mut *of_bias)]
        {
            let left = Matrix { values: left, stride: rows }.transposed();
            let right = Matrix { values: &into.values, stride: width };
            add_product(
                isa,
                [rows, n, width],
                left,
                right,
                MatrixMut { values: out, stride: width },
            );
        }
        out
    }

    /// Σ a_t·h_t of items, Σ a_t and a: what x is of in the end.
    fn steps_back(
        &self,
        items: &[u32],
        (Weights([into, _, _, times]), through): (Weights<'_>, &[f32]),
        isa: InstructionSet,
    ) -> (Vec<f32>, f32, f32) {
        let width = self.width;
        let (through, of_bias) = through.split_at(width * width);
        let mut z = vec![0.0; items.len() * width];
        for (item, z) in items.iter().zip(z.chunks_exact_mut(width)) {
            self.ones(*item, &(0..self.n_entities))
                .for_each(|entity| vector::add_scaled(isa, z, 1.0, into.row(entity)));
        }
        let (mut sum, mut of_guesses, mut of_x) = (vec![0.0; z.len()], 0.0, 1.0);
        for step in (0..STEPS).rev() {
            let mut hidden = z.clone();
            self.activate(times, &|_| step, &mut hidden);
            let [of_guess, of_row] = self.noise.shares(step);
            sum.iter_mut().zip(&hidden).for_each(|(sum, h)| *sum = of_row * *sum + of_guess * h);
            (of_guesses, of_x) = (of_row * of_guesses + of_guess, of_row * of_x);
            let mut made = vec![0.0; z.len()];
            let left = Matrix { values: &hidden, stride: width }.into();
            let right = Matrix { values: through, stride: width };
            let out = MatrixMut { values: &mut made, stride: width };
            add_product(isa, [items.len(), width, width], left, right, out);
            for (z, made) in z.chunks_exact_mut(width).zip(made.chunks_exact(width)) {
                let each = z.iter_mut().zip(made).zip(of_bias);
                each.for_each(|((z, x), bias)| *z = of_guess * (x + bias) + of_row * *z);
            }
        }
        (sum, of_guesses, of_x)
    }

    fn denoised_block(
        &self,
        items: &[u32],
        (weights, through): (Weights<'_>, &[f32]),
        most: usize,
        isa: InstructionSet,
    ) -> Vec<Vec<u32>> {
        let n = self.n_entities;
        let (sum, of_guesses, of_x) = self.steps_back(items, (weights, through), isa);
        let Weights([_, _, bias, _]) = weights;
        let mut x = vec![0.0; items.len() * n];
        let mut guessed = vec![0.0; items.len() * PANEL];
        for first in (0..n).step_by(PANEL) {
            let columns = first..(first + PANEL).min(n);
            let guessed = &mut guessed[..items.len() * columns.len()];
            self.guess(&sum, &columns, weights, isa, guessed);
            let rows = x.chunks_exact_mut(n).zip(guessed.chunks_exact(columns.len()));
            for ((row, guessed), item) in rows.zip(items) {
                let row = &mut row[columns.clone()];
                row.copy_from_slice(guessed);
                // The guess has b once.
                vector::add_scaled(isa, row, of_guesses - 1.0, &bias.values[columns.clone()]);
                self.ones(*item, &columns).for_each(|column| row[column] += of_x);
            }
        }
        let mut order: Vec<u32> = Vec::with_capacity(n);
        let best = |(item, row): (&u32, &[f32])| {
            order.clear();
            order.extend(0..n as u32);
            let by = |one: &u32, other: &u32| {
                row[*other as usize].total_cmp(&row[*one as usize]).then(one.cmp(other))
            };
            if most < n {
                order.select_nth_unstable_by(most, by);
                order.truncate(most);
            }
            // What it does not have joins it to nothing; and of all items there are many.
            let own = self.has.of(*item as usize);
            order.retain(|entity| own.binary_search(entity).is_ok());
            order.sort_unstable();
            order.to_vec()
        };
        items.iter().zip(x.chunks_exact(n.max(1))).map(best).collect()
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
    use super::*;
    use gossamer_tensor::optim;

    const SIZES: [usize; 4] = [40, 600, 6, 5]; // items, entities, width, dim

    fn filled(rows: usize, width: usize, seed: u64, size: f32) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> =
            (0..(rows * width) as u32).map(|i| size * address.normal(i, 0)).collect();
        Array::of(&Machine::new(1, None).buffers, &values, width)
    }

    fn denoiser() -> (Denoiser, Vec<Array>) {
        let [items, entities, width, _] = SIZES;
        let has = |item: u32| [(item, item % 7), (item, 45 + item % 3), (item, 550 + item % 4)];
        let has = Lists::of_pairs(items, (0..items as u32).flat_map(has).collect());
        let shapes = Denoiser::shapes(entities, width);
        let parameters = (1..).zip(shapes).map(|(seed, of)| filled(of.rows, of.width, seed, 0.3));
        (Denoiser::new(has, entities, width), parameters.collect())
    }

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

    /// Step by step x is what the end alone is made of.
    #[test]
    fn steps_back_lead_where_rows_that_are_made_at_each_lead() {
        let [items, entities, width, _] = SIZES;
        let (denoiser, parameters) = denoiser();
        let weights = Weights([0, 1, 2, 3].map(|place| &parameters[place]));
        let isa = InstructionSet::detect();
        let all: Vec<u32> = (0..items as u32).collect();
        let through = denoiser.through(weights, isa);
        let (sum, of_guesses, of_x) = denoiser.steps_back(&all, (weights, &through), isa);
        let Weights([into, from, bias, times]) = weights;
        for (item, sum) in all.iter().zip(sum.chunks_exact(width)) {
            let mut x = vec![0.0f64; entities];
            denoiser.ones(*item, &(0..entities)).for_each(|entity| x[entity] = 1.0);
            let first = x.clone();
            for step in (0..STEPS).rev() {
                let hidden = |unit: usize| -> f64 {
                    let z = (0..entities).map(|e| x[e] * f64::from(into.row(e)[unit]));
                    (z.sum::<f64>() + f64::from(times.row(step)[unit])).tanh()
                };
                let hidden: Vec<f64> = (0..width).map(hidden).collect();
                let [of_guess, of_row] = denoiser.noise.shares(step).map(f64::from);
                for (entity, x) in x.iter_mut().enumerate() {
                    let row = from.row(entity).iter().zip(&hidden);
                    let guess: f64 = row.map(|(b, h)| f64::from(*b) * h).sum();
                    *x = of_guess * (guess + f64::from(bias.values[entity])) + of_row * *x;
                }
            }
            for (entity, (x, first)) in x.iter().zip(first).enumerate() {
                let found = vector::dot(sum, from.row(entity)) + of_guesses * bias.values[entity];
                let found = f64::from(found + of_x * first as f32);
                assert!((x - found).abs() < 1e-4, "{item} {entity}: {x} {found}");
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
