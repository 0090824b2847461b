//! One row against some others, wherever they stand: scores, and sums of their gradients.
//!
//! A kernel for each kind (`kind`) serves a query against its candidates, and the same one or
//! its converse a candidate against the queries that met it. Sums stay in registers: coordinates are
//! taken 64 at a time, then 16, 4 and 1, and all other rows are met before the next ones are.
//!
//! *Invariant:* a score depends on its two rows alone, and a converse gives the same bits. Where a
//! distance is zero and has no derivative, its gradient is zero.

use gossamer_machine::InstructionSet;

use super::kind::{
    Apart, Fused, Kind, L1, L2, Modulus, Product, Root, Scaled, Scaling, Sine, Size, Square, Steps,
};
use super::prefetch;
use super::vector::{LANES, sum_lanes};

/// How many rows ahead a row is asked for, so that it is near when its turn comes.
const AHEAD: usize = 4;

/// Rows against one, and how their scores should move.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// The one row.
    pub left: &'a [f32],
    /// The others; at least as wide where they have as many parts.
    pub rights: &'a [&'a [f32]],
    /// The float of the others with which their coordinates begin.
    pub from: usize,
    /// The derivative of the loss by each score; that of row j at j · stride.
    pub coefficients: &'a [f32],
    /// The scores, lying as the coefficients do; read only by the Euclidean distance.
    pub scores: &'a [f32],
    /// From one coefficient to the next.
    pub stride: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs of the left row at a place. From one left row's coefficients and scores to the
    /// next it is the first stride, from one of the others to the next the second.
    pub fn new(
        left: &'a [f32],
        rights: &'a [&'a [f32]],
        [coefficients, scores]: [&'a [f32]; 2],
        place: usize,
        [step, stride]: [usize; 2],
    ) -> Self {
        let scores = scores.get(place * step..).unwrap_or_default();
        Self { left, rights, from: 0, coefficients: &coefficients[place * step..], scores, stride }
    }
}

/// `N` floats from a place on.
#[inline(always)]
fn lanes<const N: usize>(row: &[f32], place: usize) -> &[f32; N] {
    &row[place..place + N].as_chunks().0[0]
}

/// `N` of `n` coordinates from a place on; of those with one part, the same part twice.
#[inline(always)]
fn parts<const N: usize>(row: &[f32], parts: usize, n: usize, place: usize) -> [&[f32; N]; 2] {
    let second = if parts == 2 { n } else { 0 };
    [lanes(row, place), lanes(row, second + place)]
}

/// Adds the terms of `N` of `n` coordinates.
#[inline(always)]
fn add_terms<K: Kind, S: Steps, const N: usize>(
    sums: &mut [f32; N],
    [a, b]: [&[f32]; 2],
    n: usize,
    place: usize,
) {
    let [a, c] = parts::<N>(a, K::PARTS[0], n, place);
    let [b, d] = parts::<N>(b, K::PARTS[1], n, place);
    let scale = K::scale(n);
    for i in 0..N {
        sums[i] = K::add::<S>(sums[i], [a[i], c[i]], [b[i], d[i]], scale);
    }
}

#[inline(always)]
fn score<K: Kind, S: Steps>(left: &[f32], right: &[f32]) -> f32 {
    let (n, rows) = (left.len() / K::PARTS[0], [left, right]);
    let mut place = 0;
    let mut wide = [0.0; 4 * LANES];
    while place + 4 * LANES <= n {
        add_terms::<K, S, { 4 * LANES }>(&mut wide, rows, n, place);
        place += 4 * LANES;
    }
    let mut sums = [0.0; LANES];
    for i in 0..LANES {
        let (low, high) = (wide[i] + wide[LANES + i], wide[2 * LANES + i] + wide[3 * LANES + i]);
        sums[i] = low + high;
    }
    while place + LANES <= n {
        add_terms::<K, S, LANES>(&mut sums, rows, n, place);
        place += LANES;
    }
    let mut few = [0.0; 4];
    while place + 4 <= n {
        add_terms::<K, S, 4>(&mut few, rows, n, place);
        place += 4;
    }
    let mut rest = [0.0];
    while place < n {
        add_terms::<K, S, 1>(&mut rest, rows, n, place);
        place += 1;
    }
    K::score(sum_lanes(&sums) + (few[0] + few[1]) + (few[2] + few[3]) + rest[0])
}

/// Adds the gradient of `N` of `n` coordinates of the left row.
#[inline(always)]
fn add_slopes<K: Kind, S: Steps, const N: usize>(
    pairs: &Pairs<'_>,
    n: usize,
    place: usize,
    target: &mut [f32],
) {
    let [a, c] = parts::<N>(pairs.left, K::PARTS[0], n, place);
    let scale = K::scale(n);
    let mut sums = [[0.0; N]; 2];
    for (j, right) in pairs.rights.iter().enumerate() {
        let at = j * pairs.stride;
        let score = if pairs.scores.is_empty() { 0.0 } else { pairs.scores[at] };
        let factor = K::factor(pairs.coefficients[at], score);
        let [b, d] = parts::<N>(&right[pairs.from..], K::PARTS[1], n, place);
        for i in 0..N {
            let [one, two] = K::slope::<S>([a[i], c[i]], [b[i], d[i]], scale);
            sums[0][i] = S::mul_add(factor, one, sums[0][i]);
            if K::PARTS[0] == 2 {
                sums[1][i] = S::mul_add(factor, two, sums[1][i]);
            }
        }
    }
    for (part, sums) in sums.iter().enumerate().take(K::PARTS[0]) {
        let target = &mut target[part * n + place..][..N];
        target.iter_mut().zip(sums).for_each(|(target, sum)| *target += sum);
    }
}

#[inline(always)]
fn add_gradient<K: Kind, S: Steps>(pairs: &Pairs<'_>, target: &mut [f32]) {
    let n = pairs.left.len() / K::PARTS[0];
    let mut place = 0;
    while place + 4 * LANES <= n {
        add_slopes::<K, S, { 4 * LANES }>(pairs, n, place, target);
        place += 4 * LANES;
    }
    while place + LANES <= n {
        add_slopes::<K, S, LANES>(pairs, n, place, target);
        place += LANES;
    }
    while place + 4 <= n {
        add_slopes::<K, S, 4>(pairs, n, place, target);
        place += 4;
    }
    while place < n {
        add_slopes::<K, S, 1>(pairs, n, place, target);
        place += 1;
    }
}

#[inline(always)]
fn scores<K: Kind, S: Steps>(left: &[f32], rights: &[&[f32]], from: usize, out: &mut [f32]) {
    for (j, (out, right)) in out.iter_mut().zip(rights).enumerate() {
        if let Some(later) = rights.get(j + AHEAD) {
            prefetch(later);
        }
        *out = score::<K, S>(left, &right[from..]);
    }
}

/// The two kernels of a kind.
macro_rules! kernels {
    ($($kind:ty, [$scores:ident $fused_scores:ident] [$add:ident $fused_add:ident];)*) => {$(
        for_each_instruction_set! {
            fn $fused_scores(left: &[f32], rights: &[&[f32]], from: usize, out: &mut [f32]) {
                scores::<$kind, Fused>(left, rights, from, out);
            }
        }
        /// The score of a row with each of the others, whose coordinates begin `from` floats on.
        pub fn $scores(
            isa: InstructionSet,
            left: &[f32],
            (rights, from): (&[&[f32]], usize),
            out: &mut [f32],
        ) {
            match isa {
                InstructionSet::Portable => scores::<$kind, Apart>(left, rights, from, out),
                _ => $fused_scores(isa, left, rights, from, out),
            }
        }
        for_each_instruction_set! {
            fn $fused_add(pairs: &Pairs<'_>, target: &mut [f32]) {
                add_gradient::<$kind, Fused>(pairs, target);
            }
        }
        /// target += ∂loss/∂left.
        pub fn $add(isa: InstructionSet, pairs: &Pairs<'_>, target: &mut [f32]) {
            match isa {
                InstructionSet::Portable => add_gradient::<$kind, Apart>(pairs, target),
                _ => $fused_add(isa, pairs, target),
            }
        }
    )*};
}

kernels! {
    Product, [product_scores fused_product_scores] [add_product_gradient fused_product_gradient];
    L1, [l1_scores fused_l1_scores] [add_l1_gradient fused_l1_gradient];
    L2, [l2_scores fused_l2_scores] [add_l2_gradient fused_l2_gradient];
    Modulus, [modulus_scores fused_modulus_scores] [add_modulus_gradient fused_modulus_gradient];
    Scaled<Size>, [scaled_l1_scores fused_scaled_l1] [add_scaled_l1 fused_add_scaled_l1];
    Scaling<Size>, [scaling_l1_scores fused_scaling_l1] [add_scaling_l1 fused_add_scaling_l1];
    Scaled<Square>, [scaled_square_scores fused_scaled_square]
        [add_scaled_square fused_add_scaled_square];
    Scaling<Square>, [scaling_square_scores fused_scaling_square]
        [add_scaling_square fused_add_scaling_square];
    Scaled<Root>, [scaled_l2_scores fused_scaled_l2] [add_scaled_l2 fused_add_scaled_l2];
    Scaling<Root>, [scaling_l2_scores fused_scaling_l2] [add_scaling_l2 fused_add_scaling_l2];
    Sine, [sine_scores fused_sine_scores] [add_sine_gradient fused_sine_gradient];
}
