//! Sums and products of rows.
//!
//! *Invariant:* a reduction runs over sixteen lanes in a fixed order, whatever the instruction set.

/// Lanes of a reduction: one AVX-512 register of `f32`.
pub const LANES: usize = 16;

/// Sums sixteen lanes pairwise.
#[inline(always)]
pub fn sum_lanes(lanes: &[f32; LANES]) -> f32 {
    let mut sums = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Σ aᵢ·bᵢ for slices of one length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_full, a_rest) = a.as_chunks::<LANES>();
    let (b_full, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_full.iter().zip(b_full) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] += a * b;
    }
    sum_lanes(&lanes)
}

for_each_instruction_set! {
    /// target += factor · source, for slices of one length.
    pub fn add_scaled(target: &mut [f32], factor: f32, source: &[f32]) {
        for (target, source) in target.iter_mut().zip(source) {
            *target += factor * source;
        }
    }
}

for_each_instruction_set! {
    /// target ·= factor.
    pub fn scale(target: &mut [f32], factor: f32) {
        target.iter_mut().for_each(|value| *value *= factor);
    }
}

for_each_instruction_set! {
    /// target += factor · a ∘ b, element by element.
    pub fn add_product(target: &mut [f32], factor: f32, a: &[f32], b: &[f32]) {
        for ((target, a), b) in target.iter_mut().zip(a).zip(b) {
            *target += factor * a * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn dot_equals_the_plain_sum_on_whole_numbers() {
        for n in [0, 1, 15, 16, 17, 40] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..n).map(|i| (i % 5) as f32 - 2.0).collect();
            let plain: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), plain);
        }
    }

    #[test]
    fn add_scaled_adds() {
        let mut target = [1.0, 2.0];
        add_scaled(InstructionSet::detect(), &mut target, 2.0, &[10.0, 20.0]);
        assert_eq!(target, [21.0, 42.0]);
    }
}
