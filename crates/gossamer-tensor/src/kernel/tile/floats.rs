//! Tiles of floats: products, and the other measures between rows.

use gossamer_machine::InstructionSet;

use super::super::measure::{Measure, plain_l1, plain_modulus, plain_product, plain_square};
#[cfg(target_arch = "x86_64")]
use super::super::measure::{
    narrow_l1, narrow_modulus, narrow_product, narrow_square, wide_l1, wide_modulus, wide_product,
    wide_square,
};
use super::{Factor, Operands, Tile, height_in_vectors};

impl Factor for f32 {
    const NUMBERS: usize = 1;
    type Ready = InstructionSet;
    fn height(isa: InstructionSet, rows: usize) -> usize {
        height_in_vectors(isa, rows)
    }
    fn ready(isa: InstructionSet) -> InstructionSet {
        isa
    }
    fn tile(
        isa: &InstructionSet,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    ) {
        f32_product(*isa, rows, half, operands, out);
    }
}

/// A tile of any measure; rows and strip as [`Factor::tile`] has them.
pub(in crate::kernel) fn measured(
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
                isa if isa >= InstructionSet::Avx512 => {
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
