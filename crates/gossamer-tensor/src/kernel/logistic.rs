//! Sigmoids and softplus, over rows of scores.
//!
//! *Invariant:* as in [`softmax`](super::softmax), every instruction set gives the same bits.

use super::softmax::exp;
use super::vector::{LANES, sum_lanes};

/// σ(x) and ln(1 + eˣ), from one exponential. Both without overflow; errors below 1e-6 of
/// the larger of the value and 1e-6.
///
/// With u = e^(−|x|) in 0 … 1: σ(|x|) = 1/(1 + u); ln(1 + u) = 2·artanh(u/(2 + u)) by its series.
#[inline(always)]
pub fn sigmoid_and_softplus(x: f32) -> (f32, f32) {
    let u = exp(-x.abs());
    let large = 1.0 / (1.0 + u);
    let sigmoid = if x < 0.0 { u * large } else { large };
    let s = u / (2.0 + u);
    let square = s * s;
    let mut series = 1.0 / 15.0;
    for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = square.mul_add(series, 1.0 / odd);
    }
    (sigmoid, (2.0 * s).mul_add(series, x.max(0.0)))
}

for_each_instruction_set! {
    /// Replaces x by tanh(x), with errors below 2e-7.
    pub fn tanh_row(row: &mut [f32]) {
        for x in row {
            let u = exp(-2.0 * x.abs());
            *x = ((1.0 - u) / (1.0 + u)).copysign(*x);
        }
    }
}

for_each_instruction_set! {
    /// Replaces weights wᵢ by wᵢ·σ(xᵢ + shift) and returns Σ wᵢ·ln(1 + e^(xᵢ + shift)).
    pub fn logistic_row(scores: &[f32], shift: f32, weights: &mut [f32]) -> f32 {
        let mut sums = [0.0; LANES];
        let (full, rest) = scores.as_chunks::<LANES>();
        let (w_full, w_rest) = weights.as_chunks_mut::<LANES>();
        for (scores, weights) in full.iter().zip(w_full) {
            for lane in 0..LANES {
                let (sigmoid, softplus) = sigmoid_and_softplus(scores[lane] + shift);
                sums[lane] += weights[lane] * softplus;
                weights[lane] *= sigmoid;
            }
        }
        for (lane, (score, weight)) in rest.iter().zip(w_rest).enumerate() {
            let (sigmoid, softplus) = sigmoid_and_softplus(score + shift);
            sums[lane] += *weight * softplus;
            *weight *= sigmoid;
        }
        sum_lanes(&sums)
    }
}

for_each_instruction_set! {
    /// Replaces scores x by σ(x) and adds ln(1 + eˣ) to the sum of their column.
    pub fn sigmoid_columns(scores: &mut [f32], sums: &mut [f32]) {
        for row in scores.chunks_exact_mut(sums.len()) {
            for (score, sum) in row.iter_mut().zip(sums.iter_mut()) {
                let (sigmoid, softplus) = sigmoid_and_softplus(*score);
                *score = sigmoid;
                *sum += softplus;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn tangents_are_near_and_have_the_same_bits_on_every_instruction_set() {
        let row: Vec<f32> =
            (-4000..4000).map(|i| i as f32 * 0.005).chain([0.0, 1e-5, 90.0]).collect();
        let of = |isa| {
            let mut out = row.clone();
            tanh_row(isa, &mut out);
            out
        };
        let all: Vec<Vec<f32>> = InstructionSet::all().map(of).collect();
        for (x, out) in row.iter().zip(&all[0]) {
            assert!((f64::from(*x).tanh() - f64::from(*out)).abs() < 2e-7, "{x} {out}");
        }
        assert!(all.iter().all(|out| *out == all[0]));
    }

    #[test]
    fn both_are_close_everywhere() {
        for step in -9000..9000 {
            let x = step as f32 / 97.0;
            let (sigmoid, softplus) = sigmoid_and_softplus(x);
            let wide = f64::from(x);
            let exact = 1.0 / (1.0 + (-wide).exp());
            assert!((f64::from(sigmoid) - exact).abs() <= 1e-6 * exact.max(1e-6), "{x}");
            let exact = wide.max(0.0) + (-wide.abs()).exp().ln_1p();
            assert!((f64::from(softplus) - exact).abs() <= 1e-6 * exact.max(1e-6), "{x}");
        }
        assert_eq!(sigmoid_and_softplus(f32::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(sigmoid_and_softplus(1000.0), (1.0, 1000.0));
    }

    #[test]
    fn a_row_is_its_elements() {
        let scores: Vec<f32> = (0..37).map(|i| (i as f32 - 18.0) / 4.0).collect();
        let mut weights: Vec<f32> = (0..37).map(|i| 1.0 + (i % 5) as f32).collect();
        let before = weights.clone();
        let sum = logistic_row(InstructionSet::detect(), &scores, 0.5, &mut weights);
        let mut exact = 0.0;
        for i in 0..37 {
            let (sigmoid, softplus) = sigmoid_and_softplus(scores[i] + 0.5);
            assert_eq!(weights[i], before[i] * sigmoid);
            exact += f64::from(before[i] * softplus);
        }
        assert!((f64::from(sum) - exact).abs() < 1e-4);
    }
}
