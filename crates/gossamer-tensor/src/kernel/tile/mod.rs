//! Tiles of matrix products: a few rows by one strip of columns, summed in registers.
//!
//! *Invariant:* for one instruction set an element is summed over the depth in the same order,
//! whatever the tile around it.
//! *Not here:* packing, and cutting a product into tiles ([`product`](super::product)).

use bytemuck::Pod;
use gossamer_machine::InstructionSet;

/// Columns of a strip: two AVX-512 registers.
pub const STRIP: usize = 32;
/// Columns of the last strip, where few are left.
pub const HALF_STRIP: usize = 16;
/// Most rows of a tile: two AMX registers.
pub const TILE_ROWS: usize = 32;

/// The sums of a tile.
pub type Tile = [[f32; STRIP]; TILE_ROWS];

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
pub trait Factor: Pod + Default + Send + Sync {
    /// Numbers along the depth in one factor.
    const NUMBERS: usize;
    /// An instruction set, ready for tiles.
    type Ready;
    /// The rows of a tile, where so many rows are to be summed.
    fn height(isa: InstructionSet, rows: usize) -> usize;
    /// Makes it ready, for this thread; one at a time.
    fn ready(isa: InstructionSet) -> Self::Ready;
    /// Sums `rows` rows, a [`height`](Self::height), by a strip; a half strip if `half`.
    fn tile(
        ready: &Self::Ready,
        rows: usize,
        half: bool,
        operands: &Operands<'_, Self>,
        out: &mut Tile,
    );
}

/// The rows of a tile in vector registers. Twelve rows, with two AVX-512 registers each, leave
/// eight for the operands; three, with four AVX2 registers each, leave four.
fn height_in_vectors(isa: InstructionSet, rows: usize) -> usize {
    let heights: &[usize] = if isa >= InstructionSet::Avx512 { &[12, 4] } else { &[3] };
    heights.iter().copied().find(|height| *height <= rows).unwrap_or(1)
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

#[cfg(target_arch = "x86_64")]
mod amx;
mod floats;
mod pairs;

pub(super) use floats::measured;
pub use pairs::{Pair, ReadyForPairs};
