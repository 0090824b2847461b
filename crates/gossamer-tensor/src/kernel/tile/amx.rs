//! Tiles of bf16 products in the matrix registers of AMX.
//!
//! A register holds sixteen rows of sixteen words. Four of them sum 32 rows by a strip, two hold
//! sixteen pairs of those rows, two sixteen steps of the strip; one instruction multiplies and adds
//! 16 × 16 × 16 pairs. What is left of the depth goes through a copy with zeros.
//!
//! *Invariant:* pairs are summed sixteen at a time, first and second numbers apart, from the first
//! on; an element does not depend on the tile around it.

use std::arch::asm;
use std::marker::PhantomData;

use super::{Operands, Pair, STRIP, TILE_ROWS, Tile};

/// Rows of a register, and words in one of its rows.
const SIDE: usize = 16;
/// Bytes of a row of a register.
const ROW_BYTES: u8 = 64;

/// The shapes of registers, as the processor reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// For sums and left operands of so many rows above and below.
    fn new([above, below]: [usize; 2]) -> Self {
        let mut shapes =
            Self { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(ROW_BYTES.into());
        let rows = [above, above, below, below, above, below, SIDE, SIDE];
        for (shape, rows) in shapes.rows.iter_mut().zip(rows) {
            *shape = rows as u8;
        }
        shapes
    }

    /// Gives the registers these shapes, and zeros.
    #[allow(unsafe_code)]
    unsafe fn set(&self) {
        // SAFETY: the caller promises that there are such registers; the shapes are possible ones.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) std::ptr::from_ref(self), options(nostack, readonly))
        }
    }
}

/// Pairs of up to [`TILE_ROWS`] rows, and of a strip, along one step of the registers.
#[repr(align(64))]
struct Last {
    left: [[Pair; SIDE]; TILE_ROWS],
    right: [[Pair; STRIP]; SIDE],
}

impl Last {
    /// What is left of the depth, with zeros.
    fn new(operands: &Operands<'_, Pair>, rows: usize, columns: usize) -> Self {
        let Operands { depth, left, row, right, .. } = *operands;
        let mut last = Self { left: [[Pair(0); SIDE]; TILE_ROWS], right: [[Pair(0); STRIP]; SIDE] };
        let (rest, first) = (depth % SIDE, depth - depth % SIDE);
        for (i, to) in last.left[..rows].iter_mut().enumerate() {
            to[..rest].copy_from_slice(&left[i * row + first..][..rest]);
        }
        for (to, from) in
            last.right[..rest].iter_mut().zip(right[first * columns..].chunks(columns))
        {
            to[..columns].copy_from_slice(from);
        }
        last
    }
}

/// Where a pass over whole steps reads.
#[repr(C)]
#[derive(Clone, Copy)]
struct Source {
    left: [*const Pair; 2],
    /// Bytes from row to row.
    left_stride: usize,
    right: [*const Pair; 2],
    right_stride: usize,
    steps: usize,
}

/// A thread's registers, shaped for whole tiles until this is dropped.
///
/// *Invariant:* a thread has one at a time.
pub(super) struct Matrices {
    /// The shapes are the thread's own.
    not_send: PhantomData<*const ()>,
}

impl Matrices {
    /// Shapes the registers.
    ///
    /// # Safety
    ///
    /// The processor has them, and the system lets this process use them.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        unsafe { Shapes::new([SIDE; 2]).set() }
        Self { not_send: PhantomData }
    }

    /// Sums up to [`TILE_ROWS`] rows by a strip, or half a strip. Rows must lie pair by pair.
    ///
    /// # Panics
    ///
    /// If they don't, or operands are too short.
    #[allow(unsafe_code)]
    pub(super) fn tile(
        &self,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Pair>,
        out: &mut Tile,
    ) {
        let columns = if half { SIDE } else { STRIP };
        assert!((1..=TILE_ROWS).contains(&rows) && operands.step == 1, "rows lie pair by pair");
        operands.check(rows, columns);
        let Operands { depth, left, row, right, .. } = *operands;
        // With few rows both halves of the registers hold the same; one result is not looked at.
        let (above, lower) = (rows.min(SIDE), if rows > SIDE { SIDE } else { 0 });
        let (steps, rest) = (depth / SIDE, depth % SIDE);
        let whole = Source {
            left: [0, lower].map(|first| left[(first * row).min(left.len())..].as_ptr()),
            left_stride: size_of::<Pair>() * row,
            right: [0, columns - SIDE].map(|first| right[first.min(right.len())..].as_ptr()),
            right_stride: size_of::<Pair>() * columns,
            steps,
        };
        let copy;
        let mut last = Source { steps: 0, ..whole };
        if rest > 0 {
            copy = Last::new(operands, rows, columns);
            last = Source {
                left: [0, lower].map(|first| copy.left[first].as_ptr()),
                left_stride: size_of::<[Pair; SIDE]>(),
                right: [0, columns - SIDE].map(|first| copy.right[0][first..].as_ptr()),
                right_stride: size_of::<[Pair; STRIP]>(),
                steps: 1,
            };
        }
        let whole_tile = rows == TILE_ROWS;
        // SAFETY: `check` says that whole steps of all rows and columns lie inside the operands,
        // the copy has one step of each; registers have no more rows than were asked for, and those
        // fit into `out`. That there are such registers was promised to `new`.
        unsafe {
            if !whole_tile {
                Shapes::new([above, rows - lower]).set();
            }
            sum(&[whole, last], out);
            if !whole_tile {
                Shapes::new([SIDE; 2]).set();
            }
        }
    }
}

impl Drop for Matrices {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the registers are there, and nobody has anything in them.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }
}

/// Sums what both sources hold into a tile.
#[allow(unsafe_code)]
unsafe fn sum(sources: &[Source; 2], out: &mut Tile) {
    const OUT_STRIDE: usize = size_of::<[f32; STRIP]>();
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "mov {sources:e}, 2",
            "2:",
            "mov {left0}, [{source}]",
            "mov {left1}, [{source} + 8]",
            "mov {left}, [{source} + 16]",
            "mov {right0}, [{source} + 24]",
            "mov {right1}, [{source} + 32]",
            "mov {right}, [{source} + 40]",
            "mov {steps}, [{source} + 48]",
            "test {steps}, {steps}",
            "jz 4f",
            // Sixteen steps of the strip.
            "mov {s}, {right}",
            "shl {s}, 4",
            "3:",
            "tileloadd tmm6, [{right0} + {right}*1]",
            "tileloadd tmm4, [{left0} + {left}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right1} + {right}*1]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{left1} + {left}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left0}, 64",
            "add {left1}, 64",
            "add {right0}, {s}",
            "add {right1}, {s}",
            "dec {steps}",
            "jnz 3b",
            "4:",
            "add {source}, {source_bytes}",
            "dec {sources:e}",
            "jnz 2b",
            "mov {s:e}, {out_stride}",
            "tilestored [{out} + {s}*1], tmm0",
            "tilestored [{out} + {s}*1 + 64], tmm1",
            "tilestored [{out} + {s}*1 + {below}], tmm2",
            "tilestored [{out} + {s}*1 + {below} + 64], tmm3",
            s = out(reg) _,
            source = inout(reg) sources.as_ptr() => _,
            out = in(reg) out.as_mut_ptr(),
            sources = out(reg) _,
            left0 = out(reg) _,
            left1 = out(reg) _,
            left = out(reg) _,
            right0 = out(reg) _,
            right1 = out(reg) _,
            right = out(reg) _,
            steps = out(reg) _,
            source_bytes = const size_of::<Source>(),
            out_stride = const OUT_STRIDE,
            below = const SIDE * OUT_STRIDE,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
