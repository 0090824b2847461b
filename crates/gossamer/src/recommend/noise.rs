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

/// ᾱ of each step.
#[derive(Debug)]
pub struct Noise([f64; STEPS]);

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
        Self(clear)
    }
}

impl Noise {
    /// The step that a row is noisy by in a pass.
    pub fn step_of(&self, row: u32, address: Address) -> usize {
        address.below(STEPS as u64, row, u32::MAX) as usize
    }

    /// What a step's signal has to noise beyond the next one's; 1 at the first.
    pub fn worth(&self, step: usize) -> f32 {
        let ratio = |step: usize| self.0[step] / (1.0 - self.0[step]);
        if step == 0 { 1.0 } else { (ratio(step - 1) - ratio(step)) as f32 }
    }

    /// The shares of a guess and of the row itself in the row a step back: c, c′.
    pub fn shares(&self, step: usize) -> [f32; 2] {
        let before = if step == 0 { 1.0 } else { self.0[step - 1] };
        let (beta, noise) = (1.0 - self.0[step] / before, 1.0 - self.0[step]);
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
        let clear = self.0[self.step_of(row, address)];
        let [signal, noise] = [clear.sqrt() as f32, (1.0 - clear).sqrt() as f32];
        out.fill(0.0);
        ones.for_each(|column| out[column] = signal);
        for (chunk, out) in (first / CHUNK..).zip(out.chunks_mut(CHUNK)) {
            let stays = address.bits(row, chunk as u32);
            for (four, out) in (0..).zip(out.chunks_mut(4)) {
                let drawn = normals(address.bits(row, (1 << 30) + 32 * chunk as u32 + four));
                for (place, (x, drawn)) in (4 * four..).zip(out.iter_mut().zip(drawn)) {
                    let stays = stays[place as usize / 32] >> (place % 32) & 1 == 1;
                    *x = if stays { 2.0 * (*x + noise * drawn) } else { 0.0 };
                }
            }
        }
    }
}

/// Four draws of a normal distribution from 128 bits, by Box and Muller's method.
fn normals([a, b, c, d]: [u32; 4]) -> [f32; 4] {
    let pair = |one: u32, other: u32| {
        let unit = ((one >> 8) as f32 + 0.5) * (1.0 / 16_777_216.0);
        let angle = other as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
        let (sine, cosine) = angle.sin_cos();
        let size = (-2.0 * unit.ln()).sqrt();
        [size * cosine, size * sine]
    };
    let ([e, f], [g, h]) = (pair(a, b), pair(c, d));
    [e, f, g, h]
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
            let before = if step == 0 { 1.0 } else { noise.0[step - 1] };
            let mean = of_guess + of_row * noise.0[step].sqrt();
            assert!((mean - before.sqrt()).abs() < 1e-6, "{step}: {mean}");
            assert!(noise.worth(step) > 0.0 && noise.0[step] < before);
        }
    }

    #[test]
    fn four_draws_are_normal_and_independent() {
        let address = Address::new(1, Purpose::Synthetic, 5);
        let drawn: Vec<[f32; 4]> = (0..20_000).map(|i| normals(address.bits(i, 0))).collect();
        let mean = |of: &dyn Fn(&[f32; 4]) -> f32| -> f64 {
            drawn.iter().map(|four| f64::from(of(four))).sum::<f64>() / drawn.len() as f64
        };
        for one in 0..4 {
            assert!(mean(&|four| four[one]).abs() < 0.03);
            assert!((mean(&|four| four[one].powi(4)) - 3.0).abs() < 0.3);
            for other in 0..4 {
                let wanted = f64::from(u8::from(one == other));
                assert!((mean(&|four| four[one] * four[other]) - wanted).abs() < 0.04);
            }
        }
    }
}
