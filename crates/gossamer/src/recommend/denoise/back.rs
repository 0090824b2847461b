//! Noise taken out: of each item the entities that are left when all steps were gone back.
//!
//! *Formula:* of x ← c_t·x̂ + c′_t·x only what goes into h is followed: with z = x·A that is
//! z ← c_t·(h·BᵀA + bᵀA) + c′_t·z. x comes at the end, Σ a_t·(h_t·Bᵀ + b) + a·x.

use gossamer_machine::{InstructionSet, Machine, Observer, Progress};
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut};
use gossamer_tensor::kernel::product::add_product;
use gossamer_tensor::kernel::vector;

use super::noise::STEPS;
use super::{BLOCK, Denoiser, PANEL, TOGETHER, Weights};
use crate::error::Error;

impl Denoiser {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{SIZES, denoiser};
    use super::*;

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
}
