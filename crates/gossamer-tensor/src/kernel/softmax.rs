//! Exponentials, and a log-sum-exp that streams over panels of scores.
//!
//! *Invariant:* only adds, (fused) multiplications and bit shifts, so every instruction set gives the
//! same bits; without hardware for fused ones they are slow, not different.

use super::vector::{LANES, sum_lanes};

/// eˣ for x ≤ 88; below −87 it is 0. Relative error under 2e-7.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; eʳ by a minimax polynomial of
/// degree 7 (coefficients of Moshier's Cephes library); 2ⁿ by its bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first exact in few bits, so that r loses nothing.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5·2²³ rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let bounded = x.clamp(-87.3, 88.0);
    let rounded = bounded.mul_add(LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, bounded));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = r.mul_add(p, coefficient);
    }
    p = (r * r).mul_add(p, r) + 1.0;
    // n stands in the last bits of `rounded` already: no conversion, which saturates, is needed.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let power = f32::from_bits(exponent << 23);
    if x < -87.3 { 0.0 } else { p * power }
}

/// Running maximum and sum of exponentials of one query's scores: log Σ eˢ without overflow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSumExp {
    /// The largest score so far.
    pub max: f32,
    /// Σ e^(score − max).
    pub sum: f32,
}

impl LogSumExp {
    /// Of no scores.
    pub const EMPTY: Self = Self { max: f32::NEG_INFINITY, sum: 0.0 };

    /// Of the scores of both.
    #[inline(always)]
    pub fn join(self, other: Self) -> Self {
        if other.sum == 0.0 {
            return self;
        }
        if self.sum == 0.0 {
            return other;
        }
        let max = self.max.max(other.max);
        Self { max, sum: self.sum * exp(self.max - max) + other.sum * exp(other.max - max) }
    }

    /// log Σ eˢ.
    pub fn value(self) -> f32 {
        self.max + self.sum.ln()
    }
}

/// Makes few numbers parts of one: their softmax, one after the other.
pub fn shares(of: &mut [f32]) {
    let most = of.iter().copied().fold(f32::MIN, f32::max);
    of.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f32 = of.iter().sum();
    of.iter_mut().for_each(|x| *x /= sum);
}

for_each_instruction_set! {
    /// Replaces a row of scores by e^(score − its largest) and returns their log-sum-exp.
    pub fn exp_row(scores: &mut [f32]) -> LogSumExp {
        let (full, rest) = scores.as_chunks::<LANES>();
        let mut largest = [f32::NEG_INFINITY; LANES];
        for chunk in full {
            for lane in 0..LANES {
                let larger = chunk[lane] > largest[lane];
                largest[lane] = if larger { chunk[lane] } else { largest[lane] };
            }
        }
        let mut max = f32::NEG_INFINITY;
        for value in largest.iter().chain(rest) {
            max = if *value > max { *value } else { max };
        }
        if max == f32::NEG_INFINITY {
            return LogSumExp::EMPTY;
        }
        let mut lanes = [0.0; LANES];
        let (full, rest) = scores.as_chunks_mut::<LANES>();
        for chunk in full {
            for lane in 0..LANES {
                chunk[lane] = exp(chunk[lane] - max);
                lanes[lane] += chunk[lane];
            }
        }
        for (lane, score) in rest.iter_mut().enumerate() {
            *score = exp(*score - max);
            lanes[lane] += *score;
        }
        LogSumExp { max, sum: sum_lanes(&lanes) }
    }
}

for_each_instruction_set! {
    /// Raises each maximum to the largest value of its column; rows are as long as `maxima`.
    pub fn raise_to_columns(values: &[f32], maxima: &mut [f32]) {
        for row in values.chunks_exact(maxima.len()) {
            for (max, value) in maxima.iter_mut().zip(row) {
                *max = if *value > *max { *value } else { *max };
            }
        }
    }
}

for_each_instruction_set! {
    /// Replaces values by e^(value − its column's maximum) and adds them to their column's sum.
    pub fn exp_columns(values: &mut [f32], maxima: &[f32], sums: &mut [f32]) {
        for row in values.chunks_exact_mut(maxima.len()) {
            for ((value, max), sum) in row.iter_mut().zip(maxima).zip(sums.iter_mut()) {
                *value = exp(*value - max);
                *sum += *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn exp_is_close_everywhere() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= 2e-7 * exact, "{x}: {ours} {exact}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn log_sum_exp_joins_and_survives_large_scores() {
        let isa = InstructionSet::detect();
        let scores: Vec<f32> = (0..70).map(|i| 300.0 + (i % 13) as f32 / 3.0).collect();
        let exact = 300.0 + scores.iter().map(|s| f64::from(s - 300.0).exp()).sum::<f64>().ln();
        let of = |scores: &[f32]| exp_row(isa, &mut scores.to_vec());
        let whole = of(&scores);
        let parts = of(&scores[..33]).join(of(&scores[33..]));
        for value in [whole.value(), parts.value()] {
            assert!((f64::from(value) - exact).abs() < 1e-4, "{value} {exact}");
        }
        assert_eq!(of(&[]), LogSumExp::EMPTY);
        let mut columns: Vec<f32> = scores.iter().flat_map(|s| [*s, -s, 2.0 * s]).collect();
        let (mut maxima, mut sums) = ([f32::NEG_INFINITY; 3], [0.0; 3]);
        raise_to_columns(isa, &columns, &mut maxima);
        exp_columns(isa, &mut columns, &maxima, &mut sums);
        let first = LogSumExp { max: maxima[0], sum: sums[0] };
        assert!((f64::from(first.value()) - exact).abs() < 1e-4);
        assert_eq!(maxima[2], 2.0 * maxima[0]);
        assert_eq!(columns[3], exp(scores[1] - maxima[0]));
        let mut row = [1.0, 3.0];
        exp_row(isa, &mut row);
        assert_eq!(row, [exp(-2.0), 1.0]);
        assert_eq!(LogSumExp::EMPTY.join(whole), whole);
    }
}
