//! Tiles of matrix products: a few rows by one strip of columns, summed in registers.
//!
//! *Invariant:* each element is summed over the depth in order, one step after the other, so it
//! does not depend on the tile around it.
//! *Not here:* packing, and cutting a product into tiles ([`product`](super::product)).

use gossamer_machine::InstructionSet;

use super::measure::{Measure, plain_l1, plain_modulus, plain_product, plain_square};
#[cfg(target_arch = "x86_64")]
use super::measure::{
    narrow_l1, narrow_modulus, narrow_product, narrow_square, wide_l1, wide_modulus, wide_product,
    wide_square,
};

/// Columns of a strip: two AVX-512 registers.
pub const STRIP: usize = 32;
/// Columns of the last strip, where few are left.
pub const HALF_STRIP: usize = 16;
/// Most rows of a tile: with two registers each, they leave eight for the operands.
pub const TILE_ROWS: usize = 12;

/// The sums of a tile.
pub type Tile = [[f32; STRIP]; TILE_ROWS];

/// Two bf16 numbers that stand one after the other along the depth; the first in the low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Pair(pub u32);

// SAFETY: a transparent word: any bits are two numbers, and none is padding.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Pair {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Pair {}

impl Pair {
    /// Both rounded to the nearest; halves away from zero.
    #[inline(always)]
    pub fn new(first: f32, second: f32) -> Self {
        let rounded = |value: f32| value.to_bits().wrapping_add(0x8000) >> 16;
        Self(rounded(first) | (rounded(second) << 16))
    }

    /// Both numbers.
    #[inline(always)]
    pub fn get(self) -> [f32; 2] {
        [f32::from_bits(self.0 << 16), f32::from_bits(self.0 & 0xFFFF_0000)]
    }
}

/// Where the operands of a tile lie.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a, T> {
    /// Steps of the depth.
    pub depth: usize,
    /// Row i, step k is at i·row + k·step.
    pub left: &'a [T],
    /// See `left`.
    pub row: usize,
    /// See `left`.
    pub step: usize,
    /// (depth × strip).
    pub right: &'a [T],
}

impl<T> Operands<'_, T> {
    /// Panics unless a tile of this size lies inside the slices.
    #[inline(always)]
    fn check(&self, rows: usize, columns: usize) {
        assert!(self.right.len() >= self.depth * columns, "right operand too short");
        let last = (rows - 1) * self.row + self.depth.saturating_sub(1) * self.step;
        assert!(self.depth == 0 || self.left.len() > last, "left operand too short");
    }
}

/// What matrices are made of.
pub trait Factor: Copy + Default + Send + Sync {
    /// Numbers along the depth in one factor.
    const NUMBERS: usize;
    /// Sums `rows` rows, one of [`heights`], by a strip; a half strip if `half`.
    fn tile(
        isa: InstructionSet,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    );
}

/// The heights of tiles, falling, the last 1.
pub fn heights(isa: InstructionSet) -> &'static [usize] {
    match isa {
        InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => &[TILE_ROWS, 4, 1],
        // Four registers a row: three rows leave four for the operands.
        _ => &[3, 1],
    }
}

/// Calls `$tile::<rows, registers>` for the rows and registers at hand.
macro_rules! sized {
    (
        $tile:ident, [$($rows:literal)+], $full:literal, $half:literal,
        $at:expr, $is_half:expr, $operands:expr, $out:expr
    ) => {
        match ($at, $is_half) {
            $(
                ($rows, false) => $tile::<$rows, $full>($operands, $out),
                ($rows, true) => $tile::<$rows, $half>($operands, $out),
            )+
            (other, _) => unreachable!("no tile has {other} rows"),
        }
    };
}

impl Factor for f32 {
    const NUMBERS: usize = 1;
    fn tile(
        isa: InstructionSet,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    ) {
        f32_product(isa, rows, half, operands, out);
    }
}

/// A tile of any measure; rows and strip as [`Factor::tile`] has them.
pub(super) fn measured(
    isa: InstructionSet,
    measure: Measure,
    (rows, half): (usize, bool),
    operands: &Operands<'_, f32>,
    out: &mut Tile,
) {
    match measure {
        Measure::Product => f32_product(isa, rows, half, operands, out),
        Measure::L1 => f32_l1(isa, rows, half, operands, out),
        Measure::Square => f32_square(isa, rows, half, operands, out),
        Measure::Modulus => f32_modulus(isa, rows, half, operands, out),
    }
}

/// The tiles of a measure for every instruction set.
///
/// `$plain` is its term for two floats; `$wide` and `$narrow` add it in AVX-512 and AVX2
/// registers. A measure over two halves of the depth has `2`, the others `1`.
macro_rules! tiles {
    (
        $name:ident, $halves:literal, $plain:ident, $wide:ident, $narrow:ident,
        [$portable:ident $wide_tile:ident $narrow_tile:ident]
    ) => {
        #[inline(always)]
        fn $portable<const ROWS: usize, const COLUMNS: usize>(
            operands: &Operands<'_, f32>,
            out: &mut Tile,
        ) {
            operands.check(ROWS, COLUMNS);
            let mut sums = [[0.0; COLUMNS]; ROWS];
            let Operands { depth, left, row, step, right } = *operands;
            let (right, depth) = (right.as_chunks::<COLUMNS>().0, depth / $halves);
            for k in 0..depth {
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = |k: usize| left[i * row + k * step];
                    let other = |k: usize, column: usize| right[k][column];
                    for (column, sum) in sums.iter_mut().enumerate() {
                        *sum += $plain(k, depth, &factor, &|k| other(k, column));
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(&sums) {
                out[..COLUMNS].copy_from_slice(sums);
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        #[target_feature(enable = "avx2,fma,avx512f,avx512dq")]
        fn $wide_tile<const ROWS: usize, const REGISTERS: usize>(
            operands: &Operands<'_, f32>,
            out: &mut Tile,
        ) {
            use std::arch::x86_64::{
                _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
            };
            operands.check(ROWS, 16 * REGISTERS);
            let Operands { depth, left, row, step, right } = *operands;
            let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
            let steps = depth / $halves;
            for k in 0..steps {
                let mut others = [[_mm512_setzero_ps(); $halves]; REGISTERS];
                for (place, other) in others.iter_mut().enumerate() {
                    for (part, other) in other.iter_mut().enumerate() {
                        let at = ((part * steps + k) * REGISTERS + place) * 16;
                        // SAFETY: `check` says that depth · 16 · REGISTERS floats are there.
                        *other = unsafe { _mm512_loadu_ps(right.as_ptr().add(at)) };
                    }
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let mut factors = [_mm512_setzero_ps(); $halves];
                    for (part, factor) in factors.iter_mut().enumerate() {
                        let at = i * row + (part * steps + k) * step;
                        // SAFETY: `check` says that the last row's last step lies inside.
                        *factor = unsafe { _mm512_set1_ps(*left.get_unchecked(at)) };
                    }
                    for (sum, others) in sums.iter_mut().zip(others) {
                        *sum = $wide(*sum, factors, others);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                for (out, sum) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
                    // SAFETY: sixteen floats are there.
                    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
                }
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        #[target_feature(enable = "avx2,fma")]
        fn $narrow_tile<const ROWS: usize, const REGISTERS: usize>(
            operands: &Operands<'_, f32>,
            out: &mut Tile,
        ) {
            use std::arch::x86_64::{
                _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
            };
            operands.check(ROWS, 8 * REGISTERS);
            let Operands { depth, left, row, step, right } = *operands;
            let mut sums = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
            let steps = depth / $halves;
            for k in 0..steps {
                for place in 0..REGISTERS {
                    let mut others = [_mm256_setzero_ps(); $halves];
                    for (part, other) in others.iter_mut().enumerate() {
                        let at = ((part * steps + k) * REGISTERS + place) * 8;
                        // SAFETY: `check` says that depth · 8 · REGISTERS floats are there.
                        *other = unsafe { _mm256_loadu_ps(right.as_ptr().add(at)) };
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let mut factors = [_mm256_setzero_ps(); $halves];
                        for (part, factor) in factors.iter_mut().enumerate() {
                            let at = i * row + (part * steps + k) * step;
                            // SAFETY: `check` says that the last row's last step lies inside.
                            *factor = unsafe { _mm256_set1_ps(*left.get_unchecked(at)) };
                        }
                        sums[place] = $narrow(sums[place], factors, others);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                    // SAFETY: eight floats are there.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) };
                }
            }
        }

        #[allow(unsafe_code)]
        fn $name(
            isa: InstructionSet,
            rows: usize,
            half: bool,
            operands: &Operands<'_, f32>,
            out: &mut Tile,
        ) {
            match isa {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => {
                    // SAFETY: an `InstructionSet` names only what this processor was found to have.
                    unsafe { sized!($wide_tile, [12 4 1], 2, 1, rows, half, operands, out) }
                }
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => {
                    // SAFETY: as above.
                    unsafe { sized!($narrow_tile, [3 1], 4, 2, rows, half, operands, out) }
                }
                _ => sized!($portable, [3 1], 32, 16, rows, half, operands, out),
            }
        }
    };
}

tiles!(
    f32_product, 1,
    plain_product, wide_product, narrow_product,
    [portable_product avx512_product avx2_product]
);
tiles!(
    f32_l1, 1,
    plain_l1, wide_l1, narrow_l1,
    [portable_l1 avx512_l1 avx2_l1]
);
tiles!(
    f32_square, 1,
    plain_square, wide_square, narrow_square,
    [portable_square avx512_square avx2_square]
);
tiles!(
    f32_modulus, 2,
    plain_modulus, wide_modulus, narrow_modulus,
    [portable_modulus avx512_modulus avx2_modulus]
);

impl Factor for Pair {
    const NUMBERS: usize = 2;
    #[allow(unsafe_code)]
    fn tile(
        isa: InstructionSet,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    ) {
        match isa {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 => {
                // SAFETY: an `InstructionSet` names only what this processor was found to have.
                unsafe { sized!(pair_avx512, [12 4 1], 2, 1, rows, half, operands, out) }
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => {
                // SAFETY: as above.
                unsafe { sized!(pair_wide, [12 4 1], 32, 16, rows, half, operands, out) }
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => {
                // SAFETY: as above.
                unsafe { sized!(pair_avx2, [3 1], 32, 16, rows, half, operands, out) }
            }
            _ => sized!(portable, [3 1], 32, 16, rows, half, operands, out),
        }
    }
}

#[inline(always)]
fn portable<const ROWS: usize, const COLUMNS: usize>(
    operands: &Operands<'_, Pair>,
    out: &mut Tile,
) {
    operands.check(ROWS, COLUMNS);
    let mut sums = [[0.0; COLUMNS]; ROWS];
    let Operands { depth, left, row, step, right } = *operands;
    for (k, right) in right.as_chunks::<COLUMNS>().0[..depth].iter().enumerate() {
        for (i, sums) in sums.iter_mut().enumerate() {
            let [a, b] = left[i * row + k * step].get();
            for (sum, other) in sums.iter_mut().zip(right) {
                let [c, d] = other.get();
                *sum = *sum + a * c + b * d;
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(&sums) {
        out[..COLUMNS].copy_from_slice(sums);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn pair_avx2<const ROWS: usize, const COLUMNS: usize>(
    operands: &Operands<'_, Pair>,
    out: &mut Tile,
) {
    portable::<ROWS, COLUMNS>(operands, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
fn pair_wide<const ROWS: usize, const COLUMNS: usize>(
    operands: &Operands<'_, Pair>,
    out: &mut Tile,
) {
    portable::<ROWS, COLUMNS>(operands, out);
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma,avx512f,avx512bf16")]
fn pair_avx512<const ROWS: usize, const REGISTERS: usize>(
    operands: &Operands<'_, Pair>,
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
    };
    /// Sixteen pairs as the product instruction takes them.
    #[inline(always)]
    fn pairs(bits: __m512i) -> __m512bh {
        // SAFETY: both are sixteen times 32 bits without meaning of their own.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
    }
    operands.check(ROWS, 16 * REGISTERS);
    let Operands { depth, left, row, step, right } = *operands;
    let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
    for k in 0..depth {
        let mut others = [_mm512_setzero_si512(); REGISTERS];
        for (place, other) in others.iter_mut().enumerate() {
            let at = (k * REGISTERS + place) * 16;
            // SAFETY: `check` says that depth · 16 · REGISTERS pairs are there.
            *other = unsafe { _mm512_loadu_si512(right.as_ptr().add(at).cast()) };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `check` says that the last row's last step lies inside.
            let factor = unsafe { left.get_unchecked(i * row + k * step) };
            let factor = pairs(_mm512_set1_epi32(factor.0.cast_signed()));
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = _mm512_dpbf16_ps(*sum, factor, pairs(other));
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(sums) {
        for (out, sum) in out.as_chunks_mut::<16>().0.iter_mut().zip(sums) {
            // SAFETY: sixteen floats are there.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }
}
