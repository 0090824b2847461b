//! Tiles of bf16 pairs: factors are rounded, sums are f32.

use gossamer_machine::InstructionSet;

#[cfg(target_arch = "x86_64")]
use super::amx::Matrices;
use super::{Factor, Operands, TILE_ROWS, Tile, height_in_vectors};

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

/// An instruction set, ready for tiles of pairs.
pub struct ReadyForPairs {
    isa: InstructionSet,
    #[cfg(target_arch = "x86_64")]
    matrices: Option<Matrices>,
}

impl ReadyForPairs {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    fn new(isa: InstructionSet) -> Self {
        // SAFETY: an `InstructionSet` names only what this processor was found to have.
        let matrices = (isa == InstructionSet::Amx).then(|| unsafe { Matrices::new() });
        Self { isa, matrices }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(isa: InstructionSet) -> Self {
        Self { isa }
    }
}

impl Factor for Pair {
    const NUMBERS: usize = 2;
    type Ready = ReadyForPairs;
    fn height(isa: InstructionSet, rows: usize) -> usize {
        match isa {
            InstructionSet::Amx => rows.min(TILE_ROWS),
            _ => height_in_vectors(isa, rows),
        }
    }
    fn ready(isa: InstructionSet) -> ReadyForPairs {
        ReadyForPairs::new(isa)
    }
    #[allow(unsafe_code)]
    fn tile(
        ready: &ReadyForPairs,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(matrices) = &ready.matrices {
            return matrices.tile(rows, half, operands, out);
        }
        match ready.isa {
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
