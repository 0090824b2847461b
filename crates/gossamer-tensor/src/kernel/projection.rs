//! Random projections of groups, and back: signs, a Hadamard transform, and one of every two
//! coefficients. The transform mixes eight floats that stand sixteen places apart, so that it is made
//! of whole vectors.
//!
//! A group's seed tells the signs and the choice; of every two seeds that differ in the last bit, one
//! chooses what the other leaves. So over all seeds twice what was chosen has the group as its mean.

use super::vector::LANES;

/// Floats of a group.
pub const PROJECTED: usize = 128;
/// Coefficients that are kept of it.
pub const COEFFICIENTS: usize = PROJECTED / 2;

/// Bits that look random, for a seed and a place.
#[inline(always)]
fn mixed(seed: u8, place: u32) -> u32 {
    let mut x = (u32::from(seed >> 1) << 16 | place).wrapping_mul(0x9E37_79B9);
    x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
    x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

/// Gives each float the sign that the seed has for its place: its highest random bit.
#[inline(always)]
fn sign(seed: u8, values: &mut [f32; PROJECTED]) {
    for (place, x) in (0..).zip(values) {
        *x = f32::from_bits(x.to_bits() ^ (mixed(seed, place) & 0x8000_0000));
    }
}

/// Sums and differences of floats sixteen, thirty-two and sixty-four places apart; orthonormal.
#[inline(always)]
fn transform(values: &mut [f32; PROJECTED]) {
    let mut distance = LANES;
    while distance < PROJECTED {
        for pair in values.chunks_exact_mut(2 * distance) {
            let (first, second) = pair.split_at_mut(distance);
            for (a, b) in first.iter_mut().zip(second) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        distance *= 2;
    }
    let factor = 1.0 / ((PROJECTED / LANES) as f32).sqrt();
    values.iter_mut().for_each(|x| *x *= factor);
}

/// True if the seed chooses the second of a pair.
#[inline(always)]
fn second(seed: u8, pair: u32) -> bool {
    (mixed(seed, pair) ^ u32::from(seed)) & 1 == 1
}

for_each_instruction_set! {
    /// The coefficients that the seed chooses of a group; missing floats are zero.
    pub fn project(seed: u8, group: &[f32], out: &mut [f32; COEFFICIENTS]) {
        let mut values = [0.0; PROJECTED];
        values[..group.len()].copy_from_slice(group);
        sign(seed, &mut values);
        transform(&mut values);
        let (first, other) = values.split_at(COEFFICIENTS);
        for (pair, ((out, a), b)) in (0..).zip(out.iter_mut().zip(first).zip(other)) {
            *out = if second(seed, pair) { *b } else { *a };
        }
    }
}

for_each_instruction_set! {
    /// As many floats of a group as `out` holds, from its coefficients.
    pub fn unproject(seed: u8, coefficients: &[f32; COEFFICIENTS], out: &mut [f32]) {
        let mut values = [0.0; PROJECTED];
        let (first, other) = values.split_at_mut(COEFFICIENTS);
        for (pair, ((a, b), x)) in (0..).zip(first.iter_mut().zip(other).zip(coefficients)) {
            // Half of the coefficients stand for all.
            let x = 2.0 * x;
            (*a, *b) = if second(seed, pair) { (0.0, x) } else { (x, 0.0) };
        }
        transform(&mut values);
        sign(seed, &mut values);
        out.copy_from_slice(&values[..out.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn the_mean_over_all_seeds_is_the_group() {
        let group: Vec<f32> = (0..100).map(|i| ((i * 37) % 19) as f32 - 9.0).collect();
        for isa in InstructionSet::all() {
            let mut sums = vec![0.0f64; 100];
            for seed in 0..=255 {
                let (mut few, mut back) = ([0.0; COEFFICIENTS], vec![0.0; 100]);
                project(isa, seed, &group, &mut few);
                unproject(isa, seed, &few, &mut back);
                sums.iter_mut().zip(&back).for_each(|(sum, x)| *sum += f64::from(*x) / 256.0);
            }
            for (x, mean) in group.iter().zip(sums) {
                assert!((f64::from(*x) - mean).abs() < 1e-4, "{x} {mean}");
            }
        }
    }
}
