//! Tiles of matrix products: a few rows by one strip of columns, summed in registers.
//!
//! *Invariant:* each element is summed over the depth in order, one step after the other, so it
//! does not depend on the tile around it.
//! *Not here:* packing, and cutting a product into tiles ([`product`](super::product)).

use gossamer_machine::InstructionSet;

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
            InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => {
                // SAFETY: an `InstructionSet` names only what this processor was found to have.
                unsafe { sized!(f32_avx512, [12 4 1], 2, 1, rows, half, operands, out) }
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => {
                // SAFETY: as above.
                unsafe { sized!(f32_avx2, [3 1], 4, 2, rows, half, operands, out) }
            }
            _ => sized!(portable, [3 1], 32, 16, rows, half, operands, out),
        }
    }
}

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

/// A factor's product with another, added: what the portable tile needs to know of it.
trait Plain: Copy {
    fn add_product(self, other: Self, sum: f32) -> f32;
}

impl Plain for f32 {
    #[inline(always)]
    fn add_product(self, other: Self, sum: f32) -> f32 {
        sum + self * other
    }
}

impl Plain for Pair {
    #[inline(always)]
    fn add_product(self, other: Self, sum: f32) -> f32 {
        let ([a, b], [c, d]) = (self.get(), other.get());
        sum + a * c + b * d
    }
}

#[inline(always)]
fn portable<const ROWS: usize, const COLUMNS: usize>(
    operands: &Operands<'_, impl Plain>,
    out: &mut Tile,
) {
    operands.check(ROWS, COLUMNS);
    let mut sums = [[0.0; COLUMNS]; ROWS];
    let Operands { depth, left, row, step, right } = *operands;
    for (k, right) in right.as_chunks::<COLUMNS>().0[..depth].iter().enumerate() {
        for (i, sums) in sums.iter_mut().enumerate() {
            let factor = left[i * row + k * step];
            for (sum, other) in sums.iter_mut().zip(right) {
                *sum = factor.add_product(*other, *sum);
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
#[target_feature(enable = "avx2,fma,avx512f")]
fn f32_avx512<const ROWS: usize, const REGISTERS: usize>(
    operands: &Operands<'_, f32>,
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    operands.check(ROWS, 16 * REGISTERS);
    let Operands { depth, left, row, step, right } = *operands;
    let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
    for k in 0..depth {
        let mut others = [_mm512_setzero_ps(); REGISTERS];
        for (place, other) in others.iter_mut().enumerate() {
            // SAFETY: `check` says that depth · 16 · REGISTERS floats are there.
            *other = unsafe { _mm512_loadu_ps(right.as_ptr().add((k * REGISTERS + place) * 16)) };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `check` says that the last row's last step lies inside.
            let factor = unsafe { _mm512_set1_ps(*left.get_unchecked(i * row + k * step)) };
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = _mm512_fmadd_ps(factor, other, *sum);
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
fn f32_avx2<const ROWS: usize, const REGISTERS: usize>(
    operands: &Operands<'_, f32>,
    out: &mut Tile,
) {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    operands.check(ROWS, 8 * REGISTERS);
    let Operands { depth, left, row, step, right } = *operands;
    let mut sums = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
    for k in 0..depth {
        for place in 0..REGISTERS {
            // SAFETY: `check` says that depth · 8 · REGISTERS floats are there.
            let other = unsafe { _mm256_loadu_ps(right.as_ptr().add((k * REGISTERS + place) * 8)) };
            for (i, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `check` says that the last row's last step lies inside.
                let factor = unsafe { _mm256_set1_ps(*left.get_unchecked(i * row + k * step)) };
                sums[place] = _mm256_fmadd_ps(factor, other, sums[place]);
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
