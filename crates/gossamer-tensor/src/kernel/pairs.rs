//! One row against some others, wherever they stand: scores, and sums of their gradients.
//!
//! Every measure is the same both ways, so one kernel serves a query against its candidates and a
//! candidate against the queries that met it. Sums stay in registers: coordinates are taken 64 at a
//! time, then 16, 4 and 1, and all other rows are met before the next ones are.
//!
//! *Invariant:* a score depends on its two rows alone. Where a distance is zero and has no
//! derivative, its gradient is zero.

use gossamer_machine::InstructionSet;

use super::prefetch;
use super::vector::{LANES, sum_lanes};

/// How many rows ahead a row is asked for, so that it is near when its turn comes.
const AHEAD: usize = 4;

/// Rows against one, and how their scores should move.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// The one row.
    pub left: &'a [f32],
    /// The others, as wide.
    pub rights: &'a [&'a [f32]],
    /// The derivative of the loss by each score; that of row j at j · stride.
    pub coefficients: &'a [f32],
    /// The scores, lying as the coefficients do; read only by the Euclidean distance.
    pub scores: &'a [f32],
    /// From one coefficient to the next.
    pub stride: usize,
}

/// A float of a row and, where coordinates are complex, the imaginary part that belongs to it.
type Coordinate = [f32; 2];

/// How a·b + c is made: fused where the instruction set has it, as it would be a call elsewhere.
trait Steps {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

struct Fused;

impl Steps for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

struct Apart;

impl Steps for Apart {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// A similarity as the sum of its coordinates' terms.
///
/// A trait with inlined functions, not closures: a closure is compiled on its own, and without its
/// caller's instruction set.
trait Kind {
    /// 2 where rows are [real parts | imaginary parts], else 1.
    const PARTS: usize;
    /// The sum with one term more.
    fn add<S: Steps>(sum: f32, a: Coordinate, b: Coordinate) -> f32;
    /// The score of a sum of terms.
    fn score(sum: f32) -> f32;
    /// ∂term/∂a, but for a factor that all coordinates share.
    fn slope<S: Steps>(a: Coordinate, b: Coordinate) -> Coordinate;
    /// That factor times the coefficient.
    fn factor(coefficient: f32, score: f32) -> f32;
}

struct Product;

impl Kind for Product {
    const PARTS: usize = 1;
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate) -> f32 {
        S::mul_add(a, b, sum)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        sum
    }
    #[inline(always)]
    fn slope<S: Steps>(_: Coordinate, b: Coordinate) -> Coordinate {
        b
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        coefficient
    }
}

struct L1;

impl Kind for L1 {
    const PARTS: usize = 1;
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate) -> f32 {
        sum + (a - b).abs()
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn slope<S: Steps>([a, _]: Coordinate, [b, _]: Coordinate) -> Coordinate {
        let x = a - b;
        [if x == 0.0 { 0.0 } else { 1f32.copysign(x) }, 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

struct L2;

impl Kind for L2 {
    const PARTS: usize = 1;
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate) -> f32 {
        S::mul_add(a - b, a - b, sum)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum.sqrt()
    }
    #[inline(always)]
    fn slope<S: Steps>([a, _]: Coordinate, [b, _]: Coordinate) -> Coordinate {
        [a - b, 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, score: f32) -> f32 {
        if score == 0.0 { 0.0 } else { coefficient / score }
    }
}

struct Modulus;

impl Kind for Modulus {
    const PARTS: usize = 2;
    #[inline(always)]
    fn add<S: Steps>(sum: f32, a: Coordinate, b: Coordinate) -> f32 {
        let (re, im) = (a[0] - b[0], a[1] - b[1]);
        sum + S::mul_add(re, re, im * im).sqrt()
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn slope<S: Steps>(a: Coordinate, b: Coordinate) -> Coordinate {
        let (re, im) = (a[0] - b[0], a[1] - b[1]);
        let factor = inverse_root::<S>(S::mul_add(re, re, im * im));
        [factor * re, factor * im]
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

/// 1/√x for x > 0 that is no subnormal, to a relative error below 1e-6; something finite at zero.
///
/// A guess from the exponent's bits with two steps of Newton's method, the first with constants
/// that halve its largest error (Kadlec 2010): a quarter of the cost of a root and a division.
#[inline(always)]
fn inverse_root<S: Steps>(x: f32) -> f32 {
    let y = f32::from_bits(0x5f1f_fff9u32.wrapping_sub(x.to_bits() >> 1));
    let y = 0.703_952_25 * y * S::mul_add(-x * y, y, 2.389_244_6);
    y * S::mul_add(-0.5 * x * y, y, 1.5)
}

/// `N` floats from a place on.
#[inline(always)]
fn lanes<const N: usize>(row: &[f32], place: usize) -> &[f32; N] {
    &row[place..place + N].as_chunks().0[0]
}

/// Both parts of `N` coordinates from a place on; of real ones, the same part twice.
#[inline(always)]
fn parts<K: Kind, const N: usize>(row: &[f32], place: usize) -> [&[f32; N]; 2] {
    let imaginary = if K::PARTS == 2 { row.len() / 2 } else { 0 };
    [lanes(row, place), lanes(row, imaginary + place)]
}

/// Adds the terms of `N` coordinates.
#[inline(always)]
fn add_terms<K: Kind, S: Steps, const N: usize>(
    sums: &mut [f32; N],
    a: &[f32],
    b: &[f32],
    place: usize,
) {
    let ([a, c], [b, d]) = (parts::<K, N>(a, place), parts::<K, N>(b, place));
    for i in 0..N {
        sums[i] = K::add::<S>(sums[i], [a[i], c[i]], [b[i], d[i]]);
    }
}

#[inline(always)]
fn score<K: Kind, S: Steps>(left: &[f32], right: &[f32]) -> f32 {
    let n = left.len() / K::PARTS;
    let mut place = 0;
    let mut wide = [0.0; 4 * LANES];
    while place + 4 * LANES <= n {
        add_terms::<K, S, { 4 * LANES }>(&mut wide, left, right, place);
        place += 4 * LANES;
    }
    let mut sums = [0.0; LANES];
    for i in 0..LANES {
        let (low, high) = (wide[i] + wide[LANES + i], wide[2 * LANES + i] + wide[3 * LANES + i]);
        sums[i] = low + high;
    }
    while place + LANES <= n {
        add_terms::<K, S, LANES>(&mut sums, left, right, place);
        place += LANES;
    }
    let mut few = [0.0; 4];
    while place + 4 <= n {
        add_terms::<K, S, 4>(&mut few, left, right, place);
        place += 4;
    }
    let mut rest = [0.0];
    while place < n {
        add_terms::<K, S, 1>(&mut rest, left, right, place);
        place += 1;
    }
    K::score(sum_lanes(&sums) + (few[0] + few[1]) + (few[2] + few[3]) + rest[0])
}

/// Adds the gradient of `N` coordinates of the left row.
#[inline(always)]
fn add_slopes<K: Kind, S: Steps, const N: usize>(
    pairs: &Pairs<'_>,
    place: usize,
    target: &mut [f32],
) {
    let [a, c] = parts::<K, N>(pairs.left, place);
    let mut sums = [[0.0; N]; 2];
    for (j, right) in pairs.rights.iter().enumerate() {
        let at = j * pairs.stride;
        let score = if pairs.scores.is_empty() { 0.0 } else { pairs.scores[at] };
        let factor = K::factor(pairs.coefficients[at], score);
        let [b, d] = parts::<K, N>(right, place);
        for i in 0..N {
            let [re, im] = K::slope::<S>([a[i], c[i]], [b[i], d[i]]);
            sums[0][i] = S::mul_add(factor, re, sums[0][i]);
            if K::PARTS == 2 {
                sums[1][i] = S::mul_add(factor, im, sums[1][i]);
            }
        }
    }
    let half = target.len() / 2;
    for (part, sums) in sums.iter().enumerate().take(K::PARTS) {
        let target = &mut target[part * half + place..][..N];
        target.iter_mut().zip(sums).for_each(|(target, sum)| *target += sum);
    }
}

#[inline(always)]
fn add_gradient<K: Kind, S: Steps>(pairs: &Pairs<'_>, target: &mut [f32]) {
    let n = pairs.left.len() / K::PARTS;
    let mut place = 0;
    while place + 4 * LANES <= n {
        add_slopes::<K, S, { 4 * LANES }>(pairs, place, target);
        place += 4 * LANES;
    }
    while place + LANES <= n {
        add_slopes::<K, S, LANES>(pairs, place, target);
        place += LANES;
    }
    while place + 4 <= n {
        add_slopes::<K, S, 4>(pairs, place, target);
        place += 4;
    }
    while place < n {
        add_slopes::<K, S, 1>(pairs, place, target);
        place += 1;
    }
}

#[inline(always)]
fn scores<K: Kind, S: Steps>(left: &[f32], rights: &[&[f32]], out: &mut [f32]) {
    for (j, (out, right)) in out.iter_mut().zip(rights).enumerate() {
        if let Some(later) = rights.get(j + AHEAD) {
            prefetch(later);
        }
        *out = score::<K, S>(left, right);
    }
}

/// The two kernels of a kind.
macro_rules! kernels {
    ($($kind:ident [$scores:ident $fused_scores:ident] [$add:ident $fused_add:ident];)*) => {$(
        for_each_instruction_set! {
            fn $fused_scores(left: &[f32], rights: &[&[f32]], out: &mut [f32]) {
                scores::<$kind, Fused>(left, rights, out);
            }
        }
        /// The score of a row with each of the others.
        pub fn $scores(isa: InstructionSet, left: &[f32], rights: &[&[f32]], out: &mut [f32]) {
            match isa {
                InstructionSet::Portable => scores::<$kind, Apart>(left, rights, out),
                _ => $fused_scores(isa, left, rights, out),
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
    Product [product_scores fused_product_scores] [add_product_gradient fused_product_gradient];
    L1 [l1_scores fused_l1_scores] [add_l1_gradient fused_l1_gradient];
    L2 [l2_scores fused_l2_scores] [add_l2_gradient fused_l2_gradient];
    Modulus [modulus_scores fused_modulus_scores] [add_modulus_gradient fused_modulus_gradient];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_root_is_near_and_finite_at_zero() {
        assert!(inverse_root::<Apart>(0.0).is_finite());
        for exponent in -30..30 {
            for part in [1.0, 1.3, 1.7, 1.99, 3.1] {
                let x = part * 2f32.powi(exponent);
                let exact = 1.0 / f64::from(x).sqrt();
                let error = (f64::from(inverse_root::<Apart>(x)) / exact - 1.0).abs();
                assert!(error < 1e-6, "{x}: {error}");
            }
        }
    }
}
