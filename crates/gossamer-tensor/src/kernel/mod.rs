//! Free functions on slices, each compiled for every instruction set and chosen by the caller's.
//!
//! *Invariant:* for one instruction set a result depends on the values alone, never on where a row
//! stands in its block. No kernel allocates, but the matrix product packs its operands.
//! *Not here:* threads; a caller cuts the work and calls kernels from its tasks.

/// Compiles a plain function for each instruction set and picks by the first argument.
///
/// The body is ordinary safe code that the optimiser turns into vector code; the portable version
/// beside each vector version is the same source.
macro_rules! for_each_instruction_set {
    (
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?)
        $(-> $result:ty)? $body:block
    ) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $visibility fn $name(
            instruction_set: gossamer_machine::InstructionSet,
            $($arg: $type),*
        ) $(-> $result)? {
            #[inline(always)]
            fn portable($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $result)? {
                portable($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
            fn avx512($($arg: $type),*) $(-> $result)? {
                portable($($arg),*)
            }

            match instruction_set {
                // SAFETY: an `InstructionSet` names only what this processor was found to have.
                #[cfg(target_arch = "x86_64")]
                set if set >= gossamer_machine::InstructionSet::Avx512 => unsafe {
                    avx512($($arg),*)
                },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                gossamer_machine::InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                _ => portable($($arg),*),
            }
        }
    };
}

/// Asks for the cache lines of a row that will soon be read.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(row: &[T]) {
    /// Bytes of a cache line.
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    // A row may begin in the midst of a line: its last part is asked for as well.
    for line in
        row.chunks((LINE / size_of::<T>()).max(1)).chain(row.last().map(std::slice::from_ref))
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and never faults; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (row, LINE);
}

pub mod vector;
pub mod spectrum;
pub mod complex;
mod measure;
pub mod tile;
pub mod transpose;
pub mod pack;
pub mod right;
pub mod product;
pub mod verify;
pub mod softmax;
pub mod logistic;
mod kind;
pub mod pairs;
mod wide;
pub mod rows;
pub mod gather;
pub mod blocks;
pub mod cubes;
pub mod counting;
pub mod codes;
pub mod coded;
pub mod projection;
pub mod largest;
pub mod left_out;
pub mod screen;
pub mod similarity;

pub use similarity::Similarity;
