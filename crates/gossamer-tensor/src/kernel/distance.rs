//! Blocks of distances between queries and rows, and their gradients.
//!
//! Shapes: queries (m × width), rows (n × width), scores and coefficients (m × n), row-major.
//! A score is the *negative* distance. A coefficient is the derivative of the loss by that score.
//!
//! *Invariant:* at a distance of zero, where none of these is differentiable, the gradient is zero.

use super::vector::{LANES, sum_lanes};

/// Rows scored together, so that four independent sums hide the latency of addition.
const ROWS: usize = 4;

#[inline(always)]
fn block(
    queries: &[f32],
    rows: &[f32],
    width: usize,
    out: &mut [f32],
    four: impl Fn(&[f32], [&[f32]; ROWS]) -> [f32; ROWS],
) {
    let n = rows.len() / width;
    for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
        let mut start = 0;
        while start < n {
            // The last group overlaps its predecessor's place by repeating the last row.
            let row = |i: usize| &rows[(start + i).min(n - 1) * width..][..width];
            let scores = four(query, [row(0), row(1), row(2), row(3)]);
            let count = ROWS.min(n - start);
            out[start..start + count].copy_from_slice(&scores[..count]);
            start += count;
        }
    }
}

#[inline(always)]
fn reduce_four(query: &[f32], rows: [&[f32]; ROWS], term: impl Fn(f32) -> f32) -> [f32; ROWS] {
    let mut sums = [[0.0f32; LANES]; ROWS];
    let width = query.len();
    let full = width / LANES * LANES;
    let mut place = 0;
    while place < full {
        let q: &[f32] = &query[place..place + LANES];
        for (sum, row) in sums.iter_mut().zip(rows) {
            let row = &row[place..place + LANES];
            for lane in 0..LANES {
                sum[lane] += term(q[lane] - row[lane]);
            }
        }
        place += LANES;
    }
    for (sum, row) in sums.iter_mut().zip(rows) {
        for lane in 0..width - full {
            sum[lane] += term(query[full + lane] - row[full + lane]);
        }
    }
    sums.map(|sum| sum_lanes(&sum))
}

#[inline(always)]
fn moduli_four(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
    let half = query.len() / 2;
    let mut sums = [[0.0f32; LANES]; ROWS];
    let (q_re, q_im) = query.split_at(half);
    let full = half / LANES * LANES;
    let mut place = 0;
    while place < full {
        let (a, b) = (&q_re[place..place + LANES], &q_im[place..place + LANES]);
        for (sum, row) in sums.iter_mut().zip(rows) {
            let (c, d) = (&row[place..place + LANES], &row[half + place..half + place + LANES]);
            for lane in 0..LANES {
                let (re, im) = (a[lane] - c[lane], b[lane] - d[lane]);
                sum[lane] += (re * re + im * im).sqrt();
            }
        }
        place += LANES;
    }
    for (sum, row) in sums.iter_mut().zip(rows) {
        for lane in 0..half - full {
            let (re, im) =
                (q_re[full + lane] - row[full + lane], q_im[full + lane] - row[half + full + lane]);
            sum[lane] += (re * re + im * im).sqrt();
        }
    }
    sums.map(|sum| sum_lanes(&sum))
}

for_each_instruction_set! {
    /// out = −Σ |q − e|.
    pub fn l1_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block(queries, rows, width, out, |query, rows| {
            reduce_four(query, rows, |x| x.abs()).map(|sum| -sum)
        });
    }
}

for_each_instruction_set! {
    /// out = −√ Σ (q − e)².
    pub fn l2_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block(queries, rows, width, out, |query, rows| {
            reduce_four(query, rows, |x| x * x).map(|sum| -sum.sqrt())
        });
    }
}

for_each_instruction_set! {
    /// out = −Σₖ |qₖ − eₖ| over complex coordinates; a row is [real parts | imaginary parts].
    pub fn modulus_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block(queries, rows, width, out, |query, rows| moduli_four(query, rows).map(|sum| -sum));
    }
}

/// Adds c · ∂(−|x|)/∂x with x = q − e, to one side: `sign` is +1 for the query, −1 for the row.
#[inline(always)]
fn add_l1(target: &mut [f32], a: &[f32], b: &[f32], c: f32) {
    for (target, (a, b)) in target.iter_mut().zip(a.iter().zip(b)) {
        let x = a - b;
        let step = if x > 0.0 { c } else { -c };
        *target -= if x == 0.0 { 0.0 } else { step };
    }
}

#[inline(always)]
fn add_l2(target: &mut [f32], a: &[f32], b: &[f32], c: f32, score: f32) {
    let factor = if score == 0.0 { 0.0 } else { c / score };
    for (target, (a, b)) in target.iter_mut().zip(a.iter().zip(b)) {
        *target += factor * (a - b);
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
        let square = re * re + im * im;
        let factor = if square > 0.0 { c / square.sqrt() } else { 0.0 };
        t_re[i] -= factor * re;
        t_im[i] -= factor * im;
    }
}

for_each_instruction_set! {
    /// targets += ∂loss/∂(their row), targets standing for the left operand of each distance.
    ///
    /// `lefts` (m × width) against `rights` (n × width); coefficient (i, j) stands at
    /// i·(first stride) + j·(second), so the same kernel serves queries and rows.
    pub fn add_l1_gradient(
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
                add_l1(target, left, right, coefficients[i * strides[0] + j * strides[1]]);
            }
        }
    }
}

for_each_instruction_set! {
    /// As [`add_l1_gradient`] for the Euclidean distance; `scores` lie as the coefficients do.
    pub fn add_l2_gradient(
        lefts: &[f32],
        rights: &[f32],
        width: usize,
        coefficients: &[f32],
        scores: &[f32],
        strides: [usize; 2],
        targets: &mut [f32],
    ) {
        let pairs = lefts.chunks_exact(width).zip(targets.chunks_exact_mut(width));
        for (i, (left, target)) in pairs.enumerate() {
            for (j, right) in rights.chunks_exact(width).enumerate() {
                let place = i * strides[0] + j * strides[1];
                add_l2(target, left, right, coefficients[place], scores[place]);
            }
        }
    }
}

for_each_instruction_set! {
    /// As [`add_l1_gradient`] for the sum of complex moduli.
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
