//! What tiles sum: the terms of products and distances, plain and in registers.
//!
//! *Not here:* how tiles reach their operands ([`tile`](super::tile)).

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

/// What a tile sums over the depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// a·b.
    Product,
    /// |a − b|.
    L1,
    /// (a − b)².
    Square,
    /// The modulus of a − b, complex: real parts are the first half of the depth, imaginary ones
    /// the second.
    Modulus,
}

/// A float of an operand, by its step.
pub trait Of: Fn(usize) -> f32 {}

impl<F: Fn(usize) -> f32> Of for F {}

/// The term of step k, over `n` steps.
#[inline(always)]
pub fn plain_product(k: usize, _: usize, a: &impl Of, b: &impl Of) -> f32 {
    a(k) * b(k)
}

/// The term of step k, over `n` steps.
#[inline(always)]
pub fn plain_l1(k: usize, _: usize, a: &impl Of, b: &impl Of) -> f32 {
    (a(k) - b(k)).abs()
}

/// The term of step k, over `n` steps.
#[inline(always)]
pub fn plain_square(k: usize, _: usize, a: &impl Of, b: &impl Of) -> f32 {
    (a(k) - b(k)) * (a(k) - b(k))
}

/// The term of step k, over `n` steps.
#[inline(always)]
pub fn plain_modulus(k: usize, n: usize, a: &impl Of, b: &impl Of) -> f32 {
    let (re, im) = (a(k) - b(k), a(n + k) - b(n + k));
    (re * re + im * im).sqrt()
}

/// The terms of measures in registers.
macro_rules! terms {
    ($feature:literal, $register:ident, $add:ident, $sub:ident, $mul:ident, $fmadd:ident,
     $sqrt:ident, $abs:expr, [$product:ident $l1:ident $square:ident $modulus:ident]) => {
        /// The sum with one term more.
        #[cfg(target_arch = "x86_64")]
        #[inline]
        #[target_feature(enable = $feature)]
        pub fn $product(
            sum: arch::$register,
            a: [arch::$register; 1],
            b: [arch::$register; 1],
        ) -> arch::$register {
            arch::$fmadd(a[0], b[0], sum)
        }
        /// The sum with one term more.
        #[cfg(target_arch = "x86_64")]
        #[inline]
        #[target_feature(enable = $feature)]
        pub fn $l1(
            sum: arch::$register,
            a: [arch::$register; 1],
            b: [arch::$register; 1],
        ) -> arch::$register {
            arch::$add(sum, $abs(arch::$sub(a[0], b[0])))
        }
        /// The sum with one term more.
        #[cfg(target_arch = "x86_64")]
        #[inline]
        #[target_feature(enable = $feature)]
        pub fn $square(
            sum: arch::$register,
            a: [arch::$register; 1],
            b: [arch::$register; 1],
        ) -> arch::$register {
            let x = arch::$sub(a[0], b[0]);
            arch::$fmadd(x, x, sum)
        }
        /// The sum with one term more.
        #[cfg(target_arch = "x86_64")]
        #[inline]
        #[target_feature(enable = $feature)]
        pub fn $modulus(
            sum: arch::$register,
            a: [arch::$register; 2],
            b: [arch::$register; 2],
        ) -> arch::$register {
            let (re, im) = (arch::$sub(a[0], b[0]), arch::$sub(a[1], b[1]));
            arch::$add(sum, arch::$sqrt(arch::$fmadd(re, re, arch::$mul(im, im))))
        }
    };
}

terms!(
    "avx2,fma,avx512f,avx512dq", __m512, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps,
    _mm512_fmadd_ps, _mm512_sqrt_ps, arch::_mm512_abs_ps,
    [wide_product wide_l1 wide_square wide_modulus]
);
terms!(
    "avx2,fma", __m256, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps,
    _mm256_fmadd_ps, _mm256_sqrt_ps, abs_256,
    [narrow_product narrow_l1 narrow_square narrow_modulus]
);

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn abs_256(x: arch::__m256) -> arch::__m256 {
    arch::_mm256_andnot_ps(arch::_mm256_set1_ps(-0.0), x)
}
