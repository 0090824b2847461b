//! What pairs sum: the terms of products and distances, and how each moves with its left side.
//!
//! *Not here:* how pairs reach their rows ([`pairs`](super::pairs)); what tiles sum
//! ([`measure`](super::measure)).

/// A float of a row and, where coordinates have two parts, the second that belongs to it.
pub type Coordinate = [f32; 2];

/// How a·b + c is made: fused where the instruction set has it, as it would be a call elsewhere.
pub trait Steps {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

pub struct Fused;

impl Steps for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

pub struct Apart;

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
pub trait Kind {
    /// Parts of a coordinate, left and right: 2 where a row is [first parts | second parts].
    const PARTS: [usize; 2];
    /// What all differences are multiplied by, where there are so many coordinates.
    #[inline(always)]
    fn scale(_coordinates: usize) -> f32 {
        1.0
    }
    /// The sum with one term more.
    fn add<S: Steps>(sum: f32, a: Coordinate, b: Coordinate, scale: f32) -> f32;
    /// The score of a sum of terms.
    fn score(sum: f32) -> f32;
    /// ∂term/∂a, but for a factor that all coordinates share.
    fn slope<S: Steps>(a: Coordinate, b: Coordinate, scale: f32) -> Coordinate;
    /// That factor times the coefficient.
    fn factor(coefficient: f32, score: f32) -> f32;
}

/// The sign of a difference, 0 for 0.
#[inline(always)]
fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1f32.copysign(x) }
}

/// a·b.
pub struct Product;

impl Kind for Product {
    const PARTS: [usize; 2] = [1, 1];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate, _: f32) -> f32 {
        S::mul_add(a, b, sum)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        sum
    }
    #[inline(always)]
    fn slope<S: Steps>(_: Coordinate, b: Coordinate, _: f32) -> Coordinate {
        b
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        coefficient
    }
}

/// |a − b|.
pub struct L1;

impl Kind for L1 {
    const PARTS: [usize; 2] = [1, 1];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate, _: f32) -> f32 {
        sum + (a - b).abs()
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn slope<S: Steps>([a, _]: Coordinate, [b, _]: Coordinate, _: f32) -> Coordinate {
        [sign(a - b), 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

/// (a − b)², of whose sum the root is taken.
pub struct L2;

impl Kind for L2 {
    const PARTS: [usize; 2] = [1, 1];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate, _: f32) -> f32 {
        S::mul_add(a - b, a - b, sum)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum.sqrt()
    }
    #[inline(always)]
    fn slope<S: Steps>([a, _]: Coordinate, [b, _]: Coordinate, _: f32) -> Coordinate {
        [a - b, 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, score: f32) -> f32 {
        if score == 0.0 { 0.0 } else { coefficient / score }
    }
}

/// |a − b|, complex.
pub struct Modulus;

impl Kind for Modulus {
    const PARTS: [usize; 2] = [2, 2];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, a: Coordinate, b: Coordinate, _: f32) -> f32 {
        let (re, im) = (a[0] - b[0], a[1] - b[1]);
        sum + S::mul_add(re, re, im * im).sqrt()
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn slope<S: Steps>(a: Coordinate, b: Coordinate, _: f32) -> Coordinate {
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

/// Distances between a and w·b, a left row being [a | w]: `D` says how x = a − w·b is taken.
///
/// The product is rounded before it is taken away: where a is the same product, x is zero.
pub struct Scaled<D>(std::marker::PhantomData<D>);

/// As [`Scaled`], the left row being b and the right ones [a | w].
pub struct Scaling<D>(std::marker::PhantomData<D>);

/// How a difference becomes a term.
pub trait Difference {
    /// The sum with the term of x more.
    fn add<S: Steps>(sum: f32, x: f32) -> f32;
    /// ∂term/∂x, but for a factor that all coordinates share.
    fn slope(x: f32) -> f32;
    /// The score of a sum of terms.
    fn score(sum: f32) -> f32;
    /// The factor times the coefficient.
    fn factor(coefficient: f32, score: f32) -> f32;
}

impl<D: Difference> Kind for Scaled<D> {
    const PARTS: [usize; 2] = [2, 1];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, w]: Coordinate, [b, _]: Coordinate, _: f32) -> f32 {
        D::add::<S>(sum, a - w * b)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        D::score(sum)
    }
    #[inline(always)]
    fn slope<S: Steps>([a, w]: Coordinate, [b, _]: Coordinate, _: f32) -> Coordinate {
        let slope = D::slope(a - w * b);
        [slope, -b * slope]
    }
    #[inline(always)]
    fn factor(coefficient: f32, score: f32) -> f32 {
        D::factor(coefficient, score)
    }
}

impl<D: Difference> Kind for Scaling<D> {
    const PARTS: [usize; 2] = [1, 2];
    #[inline(always)]
    fn add<S: Steps>(sum: f32, b: Coordinate, a: Coordinate, scale: f32) -> f32 {
        Scaled::<D>::add::<S>(sum, a, b, scale)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        D::score(sum)
    }
    #[inline(always)]
    fn slope<S: Steps>([b, _]: Coordinate, [a, w]: Coordinate, _: f32) -> Coordinate {
        [-w * D::slope(a - w * b), 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, score: f32) -> f32 {
        D::factor(coefficient, score)
    }
}

/// |x|.
pub struct Size;

impl Difference for Size {
    #[inline(always)]
    fn add<S: Steps>(sum: f32, x: f32) -> f32 {
        sum + x.abs()
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        sign(x)
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

/// x².
pub struct Square;

impl Difference for Square {
    #[inline(always)]
    fn add<S: Steps>(sum: f32, x: f32) -> f32 {
        S::mul_add(x, x, sum)
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        2.0 * x
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

/// x², of whose sum the root is taken.
pub struct Root;

impl Difference for Root {
    #[inline(always)]
    fn add<S: Steps>(sum: f32, x: f32) -> f32 {
        Square::add::<S>(sum, x)
    }
    #[inline(always)]
    fn slope(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum.sqrt()
    }
    #[inline(always)]
    fn factor(coefficient: f32, score: f32) -> f32 {
        if score == 0.0 { 0.0 } else { coefficient / score }
    }
}

/// |sin(κ·(a − b)/2)|, κ = π·coordinates/8: phases that begin in ±8/coordinates go once around.
pub struct Sine;

impl Kind for Sine {
    const PARTS: [usize; 2] = [1, 1];
    /// Turns of half a circle in a difference of 1.
    #[inline(always)]
    fn scale(coordinates: usize) -> f32 {
        coordinates as f32 / 16.0
    }
    #[inline(always)]
    fn add<S: Steps>(sum: f32, [a, _]: Coordinate, [b, _]: Coordinate, scale: f32) -> f32 {
        sum + sine_of_turn::<S>(past_half_turns(scale * (a - b)).abs())
    }
    #[inline(always)]
    fn score(sum: f32) -> f32 {
        -sum
    }
    #[inline(always)]
    fn slope<S: Steps>([a, _]: Coordinate, [b, _]: Coordinate, scale: f32) -> Coordinate {
        let past = past_half_turns(scale * (a - b));
        let slope = std::f32::consts::PI * scale * sine_of_turn::<S>(0.5 - past.abs());
        [slope * sign(past), 0.0]
    }
    #[inline(always)]
    fn factor(coefficient: f32, _: f32) -> f32 {
        -coefficient
    }
}

/// What is left of z past the nearest whole number; |sin(π·z)| is that of what is left.
#[inline(always)]
fn past_half_turns(z: f32) -> f32 {
    /// Adding and taking it away rounds what is below 2²² to the nearest whole number.
    const ROUNDING: f32 = 12_582_912.0;
    z - ((z + ROUNDING) - ROUNDING)
}

/// sin(π·z) for z in 0 … ½, to 2e-7: the first six terms of its series.
#[inline(always)]
fn sine_of_turn<S: Steps>(z: f32) -> f32 {
    let square = z * z;
    let mut sum = -0.007_370_43;
    for factor in [0.082_145_89, -0.599_264_5, 2.550_164, -5.167_712_7, std::f32::consts::PI] {
        sum = S::mul_add(sum, square, factor);
    }
    sum * z
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

    #[test]
    fn the_sine_of_a_turn_is_near() {
        for step in -400..400 {
            let z = step as f32 / 100.0;
            let exact = (std::f64::consts::PI * f64::from(z)).sin().abs();
            let found = f64::from(sine_of_turn::<Apart>(past_half_turns(z).abs()));
            assert!((found - exact).abs() < 1e-6, "{z}: {found} {exact}");
        }
    }
}
