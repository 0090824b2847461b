//! Facts denoised by diffusion: noise is laid over an item's entities, and what a network makes of them again
//! is kept.
//!
//! *Formula:* x is an item's row of zeros and ones over N entities; x_t = √ᾱ_t·x + √(1 − ᾱ_t)·ε, of which a half
//! is left out in [learning](self::learn) ([`noise`]); h = tanh(x_t·A + s_t), x̂ = h·Bᵀ + b. Then
//! x ← c_t·x̂ + c′_t·x from the last step to the first ([`back`]).
//! *Cost:* 12 · items · N · width of multiplications and additions for a pass, 2 to denoise; x is made again wherever
//! it is needed, some items by some entities at a time.
//! *Paper:* Jiang et al.: DiffKG: Knowledge Graph Diffusion Model for Recommendation (WSDM 2024).
//!
//! *Invariant:* threads change no bit.

mod noise;
mod learn;
mod back;

use std::ops::Range;

use gossamer_machine::InstructionSet;
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::pack::Right;
use gossamer_tensor::kernel::similarity::{Columns, Similarity};
use gossamer_tensor::kernel::vector;

use self::noise::{Noise, STEPS};
use super::problem::Lists;
use crate::layer::{Shape, Start};

pub use self::learn::Given;

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
        Similarity::Dot.scores_by_query(isa, (hidden, rows), whole, &mut Right::default(), out);
        let bias = &bias.values[columns.clone()];
        for out in out.chunks_exact_mut(columns.len().max(1)) {
            vector::add_scaled(isa, out, 1.0, bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Machine, Purpose};

    pub const SIZES: [usize; 4] = [40, 600, 6, 5]; // items, entities, width, dim

    pub fn filled(rows: usize, width: usize, seed: u64, size: f32) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> =
            (0..(rows * width) as u32).map(|i| size * address.normal(i, 0)).collect();
        Array::of(&Machine::new(1, None).buffers, &values, width)
    }

    pub fn denoiser() -> (Denoiser, Vec<Array>) {
        let [items, entities, width, _] = SIZES;
        let has = |item: u32| [(item, item % 7), (item, 45 + item % 3), (item, 550 + item % 4)];
        let has = Lists::of_pairs(items, (0..items as u32).flat_map(has).collect());
        let shapes = Denoiser::shapes(entities, width);
        let parameters = (1..).zip(shapes).map(|(seed, of)| filled(of.rows, of.width, seed, 0.3));
        (Denoiser::new(has, entities, width), parameters.collect())
    }
}
