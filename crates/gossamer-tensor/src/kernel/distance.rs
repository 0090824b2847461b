//! Blocks of L1 and L2 distances between queries and rows, and their gradients.
//!
//! Shapes: queries (m × width), rows (n × width), scores and coefficients (m × n), row-major.
//! A score is the *negative* distance. A coefficient is the derivative of the loss by that score.
//!
//! *Invariant:* at a distance of zero, where none of these is differentiable, the gradient is zero.

use super::vector::{LANES, sum_lanes};

/// Rows scored together, so that four independent sums hide the latency of addition.
pub const ROWS: usize = 4;

/// Scores of one query against four rows.
///
/// A trait with an inlined function, not a closure: a closure is compiled on its own, and without
/// its caller's instruction set.
pub trait Four {
    /// The four scores.
    fn scores(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS];
}

/// Scores every query against the rows, four rows at a time.
#[inline(always)]
pub fn block<F: Four>(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
    let n = rows.len() / width;
    for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
        let mut start = 0;
        while start < n {
            // The last group repeats the last row.
            let mut four = [query; ROWS];
            for (i, row) in four.iter_mut().enumerate() {
                *row = &rows[(start + i).min(n - 1) * width..][..width];
            }
            let scores = F::scores(query, four);
            let count = ROWS.min(n - start);
            out[start..start + count].copy_from_slice(&scores[..count]);
            start += count;
        }
    }
}

/// Σ |q − e|, or with `SQUARE` Σ (q − e)².
#[inline(always)]
fn reduce_four<const SQUARE: bool>(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
    let mut sums = [[0.0f32; LANES]; ROWS];
    let (full, rest) = query.as_chunks::<LANES>();
    for (place, q) in full.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            add_terms::<SQUARE>(sum, q, lanes_at(row, place * LANES));
        }
    }
    if !rest.is_empty() {
        let start = full.len() * LANES;
        for (sum, row) in sums.iter_mut().zip(rows) {
            add_terms::<SQUARE>(sum, &padded(rest), &padded(&row[start..]));
        }
    }
    sum_four(&sums)
}

#[inline(always)]
fn add_terms<const SQUARE: bool>(sum: &mut [f32; LANES], q: &[f32; LANES], e: &[f32; LANES]) {
    for lane in 0..LANES {
        let x = q[lane] - e[lane];
        sum[lane] += if SQUARE { x * x } else { x.abs() };
    }
}

/// Sixteen values from `start` on.
#[inline(always)]
pub fn lanes_at(row: &[f32], start: usize) -> &[f32; LANES] {
    &row[start..start + LANES].as_chunks().0[0]
}

/// Fewer than sixteen values, then zeros.
#[inline(always)]
pub fn padded(rest: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

/// The sum of each row's lanes.
#[inline(always)]
pub fn sum_four(sums: &[[f32; LANES]; ROWS]) -> [f32; ROWS] {
    let mut out = [0.0; ROWS];
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum_lanes(sum);
    }
    out
}

struct L1;

impl Four for L1 {
    #[inline(always)]
    fn scores(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
        let mut scores = reduce_four::<false>(query, rows);
        for score in &mut scores {
            *score = -*score;
        }
        scores
    }
}

struct L2;

impl Four for L2 {
    #[inline(always)]
    fn scores(query: &[f32], rows: [&[f32]; ROWS]) -> [f32; ROWS] {
        let mut scores = reduce_four::<true>(query, rows);
        for score in &mut scores {
            *score = -score.sqrt();
        }
        scores
    }
}

for_each_instruction_set! {
    /// out = −Σ |q − e|.
    pub fn l1_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block::<L1>(queries, rows, width, out);
    }
}

for_each_instruction_set! {
    /// out = −√ Σ (q − e)².
    pub fn l2_block(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        block::<L2>(queries, rows, width, out);
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
