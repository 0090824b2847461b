//! Noise laid over rows of zeros and ones in steps, and how much of a row it leaves.
//!
//! *Formula:* x_t = √ᾱ_t·x + √(1 − ᾱ_t)·ε, ᾱ_t = Π (1 − β) of the steps up to t, the variance 1 − ᾱ_t growing
//! evenly; back, x ← c_t·x̂ + c′_t·x with c_t = β_t·√ᾱ_t₋₁/(1 − ᾱ_t), c′_t = (1 − ᾱ_t₋₁)·√(1 − β_t)/(1 − ᾱ_t).
//! *Paper:* Ho, Jain, Abbeel: Denoising Diffusion Probabilistic Models (NeurIPS 2020).
//!
//! *Invariant:* what is drawn belongs to an address, a row and a column, in whatever parts it is asked for.

use gossamer_machine::random::Address;

/// Steps: T.
pub const STEPS: usize = 5;
/// Variance of the noise after the first step and after the last.
const VARIANCE: [f64; 2] = [1e-5, 2e-3];
/// The first step's, whatever the others'.
const FIRST: f64 = 1e-4;
/// Floats whose dropout one draw decides.
const CHUNK: usize = 128;

/// Values that a draw may have.
const DRAWS: usize = 4096;

/// What is laid over rows.
#[derive(Debug)]
pub struct Noise {
    /// ᾱ of each step.
    clear: [f64; STEPS],
    /// A normal distribution: its means over as many parts that are equally likely.
    normal: Vec<f32>,
}

impl Default for Noise {
    fn default() -> Self {
        let [first, last] = VARIANCE;
        let wanted = |step: usize| 1.0 - first - (last - first) * step as f64 / (STEPS - 1) as f64;
        let (mut clear, mut product) = ([0.0; STEPS], 1.0);
        for (step, clear) in clear.iter_mut().enumerate() {
            let beta = match step {
                0 => FIRST,
                _ => 1.0 - wanted(step) / wanted(step - 1),
            };
            product *= 1.0 - beta;
            *clear = product;
        }
        Self { clear, normal: normal() }
    }
}

impl Noise {
    /// The step that a row is noisy by in a pass.
    pub fn step_of(&self, row: u32, address: Address) -> usize {
        address.below(STEPS as u64, row, u32::MAX) as usize
    }

    /// What a step's signal has to noise beyond the next one's; 1 at the first.
    pub fn worth(&self, step: usize) -> f32 {
        let ratio = |step: usize| self.clear[step] / (1.0 - self.clear[step]);
        if step == 0 { 1.0 } else { (ratio(step - 1) - ratio(step)) as f32 }
    }

    /// The shares of a guess and of the row itself in the row a step back: c, c′.
    pub fn shares(&self, step: usize) -> [f32; 2] {
        let before = if step == 0 { 1.0 } else { self.clear[step - 1] };
        let (beta, noise) = (1.0 - self.clear[step] / before, 1.0 - self.clear[step]);
        let of_guess = beta * before.sqrt() / noise;
        let of_row = (1.0 - before) * (1.0 - beta).sqrt() / noise;
        [of_guess as f32, of_row as f32]
    }

    /// Fills some columns of a row, from `first` on, a multiple of 128, with ones at these places,
    /// noise over them, and a half of all left out.
    pub fn lay(
        &self,
        row: u32,
        ones: impl Iterator<Item = usize>,
        first: usize,
        address: Address,
        out: &mut [f32],
    ) {
        let clear = self.clear[self.step_of(row, address)];
        let [signal, noise] = [clear.sqrt() as f32, (1.0 - clear).sqrt() as f32];
        out.fill(0.0);
        ones.for_each(|column| out[column] = signal);
        for (chunk, out) in (first / CHUNK..).zip(out.chunks_mut(CHUNK)) {
            let stays = address.bits(row, chunk as u32);
            for (eight, out) in (0..).zip(out.chunks_mut(8)) {
                let drawn = address.bits(row, (1 << 30) + 16 * chunk as u32 + eight);
                for (place, x) in out.iter_mut().enumerate() {
                    let at = 8 * eight as usize + place;
                    let stays = stays[at / 32] >> (at % 32) & 1;
                    let drawn = drawn[place / 2] >> (16 * (place % 2) + 4) & (DRAWS as u32 - 1);
                    *x = 2.0 * stays as f32 * (*x + noise * self.normal[drawn as usize]);
                }
            }
        }
    }
}

/// The values of a draw, from the least to the largest: mean 0, variance 1.
fn normal() -> Vec<f32> {
    /// Parts of a deviation that the density is added up over.
    const FINE: usize = 10_000;
    /// Deviations after which nothing is left to add.
    const WHOLE: usize = 8;
    let point = |i: usize| (i as f64 + 0.5) / FINE as f64;
    let density = |i: usize| (-0.5 * point(i) * point(i)).exp();
    let sum: f64 = (0..WHOLE * FINE).map(density).sum();
    let (mut right, mut below) = (vec![(0.0, 0.0); DRAWS / 2], 0.0);
    for i in 0..WHOLE * FINE {
        let part = (below / sum * (DRAWS / 2) as f64) as usize;
        let (weight, total) = &mut right[part.min(DRAWS / 2 - 1)];
        *weight += density(i);
        *total += density(i) * point(i);
        below += density(i);
    }
    let right: Vec<f64> = right.into_iter().map(|(weight, total)| total / weight).collect();
    // Means of parts lie closer together than what is in them.
    let variance = right.iter().map(|x| x * x).sum::<f64>() / right.len() as f64;
    let left = right.iter().rev().map(|x| -x);
    left.chain(right.iter().copied()).map(|x| (x / variance.sqrt()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn a_row_has_the_same_noise_in_whatever_parts_it_is_made() {
        let (noise, address) = (Noise::default(), Address::new(3, Purpose::Dropout, 1));
        let ones = [5, 130, 300];
        let part = |columns: std::ops::Range<usize>| {
            let mut out = vec![9.0; columns.len()];
            let own = ones.iter().filter(|one| columns.contains(one));
            noise.lay(7, own.map(|one| one - columns.start), columns.start, address, &mut out);
            out
        };
        let whole = part(0..400);
        assert_eq!([part(0..128), part(128..256), part(256..400)].concat(), whole);
        let left_out = whole.iter().filter(|x| **x == 0.0).count();
        assert!((150..250).contains(&left_out), "{left_out}");
    }

    /// At every step back the mean of what noise was laid over is x, if x is what is guessed.
    #[test]
    fn a_step_back_with_the_right_guess_stays_on_the_way() {
        let noise = Noise::default();
        for step in 0..STEPS {
            let [of_guess, of_row] = noise.shares(step).map(f64::from);
            let before = if step == 0 { 1.0 } else { noise.clear[step - 1] };
            let mean = of_guess + of_row * noise.clear[step].sqrt();
            assert!((mean - before.sqrt()).abs() < 1e-6, "{step}: {mean}");
            assert!(noise.worth(step) > 0.0 && noise.clear[step] < before);
        }
    }

    #[test]
    fn what_is_laid_over_zeros_is_normal_and_independent() {
        let (noise, address) = (Noise::default(), Address::new(1, Purpose::Dropout, 5));
        let mut rows: Vec<[f32; 256]> = Vec::new();
        for row in 0..20_000 {
            let mut out = [0.0; 256];
            noise.lay(row, std::iter::empty(), 0, address, &mut out);
            let size = 2.0 * (1.0 - noise.clear[noise.step_of(row, address)]).sqrt() as f32;
            rows.push(out.map(|x| x / size));
        }
        let mean = |of: &dyn Fn(&[f32; 256]) -> f32| -> f64 {
            rows.iter().map(|row| f64::from(of(row))).sum::<f64>() / rows.len() as f64
        };
        // A half of them is left out: moments are half of what a normal distribution has.
        for one in [0, 1, 2, 7, 8, 127, 128, 200] {
            assert!(mean(&|row| row[one]).abs() < 0.02, "{one}");
            assert!((mean(&|row| row[one].powi(4)) - 1.5).abs() < 0.15, "{one}");
            for other in [0, 1, 2, 7, 8, 127, 128, 200] {
                let wanted = if one == other { 0.5 } else { 0.0 };
                let found = mean(&|row| row[one] * row[other]);
                assert!((found - wanted).abs() < 0.03, "{one} {other}: {found}");
            }
        }
        let left_out = rows.iter().flatten().filter(|x| **x == 0.0).count() as f64;
        assert!((left_out / (256.0 * 20_000.0) - 0.5).abs() < 1e-3, "{left_out}");
    }

    #[test]
    fn draws_have_the_quantiles_of_a_normal_distribution() {
        let values = normal();
        let moment = |power: i32| -> f64 {
            values.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / DRAWS as f64
        };
        assert!(moment(1).abs() < 1e-6 && (moment(2) - 1.0).abs() < 1e-6);
        assert!((moment(4) - 3.0).abs() < 0.02, "{}", moment(4));
        // Known quantiles: of 0.8413, 0.9772 and 0.99865 of all.
        for (part, wanted) in [(0.841_345, 1.0), (0.977_250, 2.0), (0.998_650, 3.0)] {
            let found = values[(part * DRAWS as f64) as usize];
            assert!((found - wanted).abs() < 0.02, "{part}: {found}");
        }
    }
}
