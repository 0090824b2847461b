//! Blocks of −Σₖ |qₖ − eₖ| over complex coordinates; a row is [real parts | imaginary parts].
//!
//! The way back wants q − e over its modulus, for the query and with the other sign for the row, so
//! it is made once for both: a panel of rows and its gradients are laid out by sixteen coordinates,
//! and 1/√x is a guess from the exponent's bits with three steps of Newton's method (relative error
//! below 3e-7), which costs a quarter of a square root and a division.
//!
//! *Invariant:* at a modulus of zero, where there is no derivative, the gradient is zero.

use super::distance::{Four, ROWS, block, lanes_at, padded, sum_four};
use super::vector::LANES;

/// Rows of a panel: with gradients 16 KiB, half of a small first-level cache.
const PANEL: usize = 64;

type Lanes = [f32; LANES];

/// Sixteen complex coordinates: real parts, imaginary parts.
type Slice = [Lanes; 2];

struct Modulus;

impl Four for Modulus {
    #[inline(always)]
    fn scores(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
        let half = query.len() / 2;
        let mut sums = [[0.0f32; LANES]; ROWS];
        let (q_re, q_im) = query.split_at(half);
        let full = half / LANES * LANES;
        for place in (0..full).step_by(LANES) {
            let (a, b) = (lanes_at(q_re, place), lanes_at(q_im, place));
            for (sum, row) in sums.iter_mut().zip(rows) {
                subtract_moduli(sum, a, b, lanes_at(row, place), lanes_at(row, half + place));
            }
        }
        if full < half {
            let (a, b) = (padded(&q_re[full..]), padded(&q_im[full..]));
            for (sum, row) in sums.iter_mut().zip(rows) {
                let (c, d) = (padded(&row[full..half]), padded(&row[half + full..]));
                subtract_moduli(sum, &a, &b, &c, &d);
            }
        }
        sum_four(&sums)
    }
}

/// sum −= |(a + bi) − (c + di)|.
#[inline(always)]
fn subtract_moduli(sum: &mut Lanes, a: &Lanes, b: &Lanes, c: &Lanes, d: &Lanes) {
    for lane in 0..LANES {
        let (re, im) = (a[lane] - c[lane], b[lane] - d[lane]);
        sum[lane] -= (re * re + im * im).sqrt();
    }
}

/// 1/√x for x > 0 that is no subnormal; something finite at zero.
#[inline(always)]
fn inverse_root(x: f32) -> f32 {
    /// Half of three times the exponent's bias, less the correction that halves the largest error.
    const MAGIC: u32 = 0x5f37_59df;
    let mut y = f32::from_bits(MAGIC.wrapping_sub(x.to_bits() >> 1));
    for _ in 0..3 {
        y *= 1.5 - 0.5 * x * y * y;
    }
    y
}

/// Copies up to sixteen coordinates from `place` on; the rest stays zero.
#[inline(always)]
fn slice_of(row: &[f32], place: usize) -> Slice {
    let half = row.len() / 2;
    let n = LANES.min(half - place);
    let mut slice = [[0.0; LANES]; 2];
    slice[0][..n].copy_from_slice(&row[place..place + n]);
    slice[1][..n].copy_from_slice(&row[half + place..half + place + n]);
    slice
}

#[inline(always)]
fn add_slice(row: &mut [f32], place: usize, slice: &Slice) {
    let half = row.len() / 2;
    let n = LANES.min(half - place);
    for lane in 0..n {
        row[place + lane] += slice[0][lane];
        row[half + place + lane] += slice[1][lane];
    }
}

/// Adds c·(q − e)/|q − e| to the row's gradient and takes it from the query's.
#[inline(always)]
fn add_pair(query: &Slice, row: &Slice, c: f32, dq: &mut Slice, de: &mut Slice) {
    for lane in 0..LANES {
        let (re, im) = (query[0][lane] - row[0][lane], query[1][lane] - row[1][lane]);
        let factor = c * inverse_root(re * re + im * im);
        dq[0][lane] -= factor * re;
        dq[1][lane] -= factor * im;
        de[0][lane] += factor * re;
        de[1][lane] += factor * im;
    }
}

for_each_instruction_set! {
    /// out = −Σₖ |qₖ − eₖ|.
    pub fn modulus_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block::<Modulus>(queries, rows, width, out);
    }
}

for_each_instruction_set! {
    /// dq (m × width) and de (n × width) += the block's gradients; coefficients are (m × n).
    pub fn add_modulus_gradients(
        queries: &[f32],
        rows: &[f32],
        width: usize,
        coefficients: &[f32],
        dq: &mut [f32],
        de: &mut [f32],
    ) {
        let n = rows.len() / width;
        for place in (0..width / 2).step_by(LANES) {
            for first in (0..n).step_by(PANEL) {
                let count = PANEL.min(n - first);
                let mut panel = [[[[0.0f32; LANES]; 2]; 2]; PANEL];
                for (packed, row) in panel.iter_mut().zip(rows[first * width..].chunks_exact(width))
                {
                    packed[0] = slice_of(row, place);
                }
                let targets = dq.chunks_exact_mut(width);
                let pairs = queries.chunks_exact(width).zip(targets).enumerate();
                for (i, (query, target)) in pairs {
                    let query = slice_of(query, place);
                    let mut sum = [[0.0; LANES]; 2];
                    let coefficients = &coefficients[i * n + first..][..count];
                    for ([row, gradient], c) in panel.iter_mut().zip(coefficients) {
                        add_pair(&query, row, *c, &mut sum, gradient);
                    }
                    add_slice(target, place, &sum);
                }
                let targets = de[first * width..].chunks_exact_mut(width);
                for ([_, gradient], target) in panel[..count].iter().zip(targets) {
                    add_slice(target, place, gradient);
                }
            }
        }
    }
}

#[inline(always)]
fn add_modulus(target: &mut [f32], a: &[f32], b: &[f32], c: f32) {
    let half = a.len() / 2;
    let (a_re, a_im) = a.split_at(half);
    let (b_re, b_im) = b.split_at(half);
    let (t_re, t_im) = target.split_at_mut(half);
    for i in 0..half {
        let (re, im) = (a_re[i] - b_re[i], a_im[i] - b_im[i]);
        let factor = c * inverse_root(re * re + im * im);
        t_re[i] -= factor * re;
        t_im[i] -= factor * im;
    }
}

for_each_instruction_set! {
    /// One side of [`add_modulus_gradients`], the arguments being those of
    /// [`add_l1_gradient`](super::distance::add_l1_gradient).
    pub fn add_modulus_gradient(
        lefts: &[f32],
        rights: &[f32],
        width: usize,
        coefficients: &[f32],
        strides: [usize; 2],
        targets: &mut [f32],
    ) {
        let pairs = lefts.chunks_exact(width).zip(targets.chunks_exact_mut(width));
        for (i, (left, target)) in pairs.enumerate() {
            for (j, right) in rights.chunks_exact(width).enumerate() {
                add_modulus(target, left, right, coefficients[i * strides[0] + j * strides[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_root_is_near_and_finite_at_zero() {
        assert!(inverse_root(0.0).is_finite());
        for exponent in -30..30 {
            for part in [1.0, 1.3, 1.7, 1.99, 3.1] {
                let x = part * 2f32.powi(exponent);
                let exact = 1.0 / f64::from(x).sqrt();
                let error = (f64::from(inverse_root(x)) / exact - 1.0).abs();
                assert!(error < 3e-7, "{x}: {error}");
            }
        }
    }
}
