//! Operands of matrix products: where they lie, and how they are packed.
//!
//! A right operand is packed into strips of columns; a left one is read where it lies. Factors are
//! f32, or pairs of bf16 along the depth.
//!
//! *Not here:* the strips and their room ([`right`](super::right)), the products
//! ([`product`](super::product)).

use gossamer_machine::InstructionSet;

pub use super::right::Right;
use super::tile::{Factor, HALF_STRIP, Pair, STRIP};
use super::transpose::{floats_to_strip, pairs_of_columns, pairs_to_strip, pairs_turned};

/// A row-major matrix of which every row lies `stride` floats after the one before.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// From the first element on.
    pub values: &'a [f32],
    /// Floats from row to row.
    pub stride: usize,
}

/// As [`Matrix`], to be written.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    /// From the first element on.
    pub values: &'a mut [f32],
    /// Floats from row to row.
    pub stride: usize,
}

/// A left operand: the factor of row i and step k of the depth is at i·row + k·step.
#[derive(Debug, Clone, Copy)]
pub struct Left<'a, T> {
    /// From the first factor on.
    pub values: &'a [T],
    /// See above.
    pub row: usize,
    /// See above.
    pub step: usize,
}

impl<T> Left<'_, T> {
    /// The same from a row on.
    pub fn from_row(self, first: usize) -> Self {
        Self { values: &self.values[first * self.row..], ..self }
    }
}

impl<'a> From<Matrix<'a>> for Left<'a, f32> {
    fn from(matrix: Matrix<'a>) -> Self {
        Self { values: matrix.values, row: matrix.stride, step: 1 }
    }
}

impl<'a> Matrix<'a> {
    /// As left operand, rows and columns exchanged.
    pub fn transposed(self) -> Left<'a, f32> {
        Left { values: self.values, row: 1, step: self.stride }
    }
}

/// Columns that a strip of so many takes.
pub(super) fn width_of(columns: usize) -> usize {
    if columns <= HALF_STRIP { HALF_STRIP } else { STRIP }
}

/// A factor that is made of floats.
pub trait Number: Factor {
    /// Fills a strip with the first columns of `source`, each row times its scale.
    fn pack(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    );
    /// Fills a strip with the first rows of `source`, as columns; shape is (depth × columns).
    fn pack_transposed(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
    );
    /// `n` rows of a matrix as left operand; in `room`, if they are not what it takes.
    fn left<'a>(
        isa: InstructionSet,
        shape: [usize; 2],
        source: Matrix<'a>,
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self>;
    /// A matrix of so many columns as left operand, rows and columns exchanged; in `room`, if it
    /// is not what it takes.
    fn left_transposed<'a>(
        isa: InstructionSet,
        columns: usize,
        values: &'a [f32],
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self>;
}

impl Number for f32 {
    fn pack(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    ) {
        pack_floats(isa, strip, shape, source, scale);
    }
    fn pack_transposed(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
    ) {
        let Matrix { values, stride } = source;
        floats_to_strip(isa, values, stride, shape, strip, width_of(shape[1]));
    }
    fn left<'a>(
        _: InstructionSet,
        _: [usize; 2],
        source: Matrix<'a>,
        _: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        source.into()
    }
    fn left_transposed<'a>(
        _: InstructionSet,
        columns: usize,
        values: &'a [f32],
        _: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        Matrix { values, stride: columns }.transposed()
    }
}

impl Number for Pair {
    fn pack(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    ) {
        pack_pairs(isa, strip, shape, source, scale);
    }
    fn pack_transposed(
        isa: InstructionSet,
        strip: &mut [Self],
        shape: [usize; 2],
        source: Matrix<'_>,
    ) {
        let Matrix { values, stride } = source;
        pairs_to_strip(isa, values, stride, shape, strip, width_of(shape[1]));
    }
    fn left<'a>(
        isa: InstructionSet,
        [n, columns]: [usize; 2],
        source: Matrix<'a>,
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        let row = columns.div_ceil(2);
        room.resize(n * row, Self::default());
        pairs_of_rows(isa, columns, source, room);
        Left { values: room, row, step: 1 }
    }
    fn left_transposed<'a>(
        isa: InstructionSet,
        columns: usize,
        values: &'a [f32],
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        let row = (values.len() / columns.max(1)).div_ceil(2);
        room.resize(row * columns, Self::default());
        if takes_rows(isa) {
            pairs_of_columns(isa, values, columns, room);
            return Left { values: room, row, step: 1 };
        }
        pairs_along_columns(isa, values, columns, room);
        Left { values: room, row: 1, step: columns }
    }
}

/// Whether tiles of pairs take left operands only as rows.
fn takes_rows(isa: InstructionSet) -> bool {
    isa >= InstructionSet::Amx
}

/// Pairs (depth × columns) as left operand, rows and columns exchanged; in `room`, if they are not
/// what its tiles take.
pub fn left_of_pairs<'a>(
    isa: InstructionSet,
    columns: usize,
    pairs: &'a [Pair],
    room: &'a mut Vec<Pair>,
) -> Left<'a, Pair> {
    if !takes_rows(isa) {
        return Left { values: pairs, row: 1, step: columns };
    }
    room.resize(pairs.len(), Pair::default());
    pairs_turned(isa, pairs, columns, room);
    Left { values: room, row: pairs.len() / columns.max(1), step: 1 }
}

for_each_instruction_set! {
    fn pack_floats(
        strip: &mut [f32],
        shape: [usize; 2],
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    ) {
        let [_, columns] = shape;
        for (k, packed) in strip.chunks_exact_mut(width_of(columns)).enumerate() {
            let row = &source.values[k * source.stride..][..columns];
            match scale {
                None => packed[..columns].copy_from_slice(row),
                Some(scale) => {
                    let packed = packed.iter_mut().zip(row);
                    packed.for_each(|(packed, value)| *packed = scale[k] * value);
                }
            }
        }
    }
}

for_each_instruction_set! {
    fn pack_pairs(
        strip: &mut [Pair],
        shape: [usize; 2],
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    ) {
        let [depth, columns] = shape;
        for (step, packed) in strip.chunks_exact_mut(width_of(columns)).enumerate() {
            let k = 2 * step;
            let row = &source.values[k * source.stride..][..columns];
            let first = scale.map_or(1.0, |scale| scale[k]);
            if k + 1 < depth {
                let next = &source.values[(k + 1) * source.stride..][..columns];
                let second = scale.map_or(1.0, |scale| scale[k + 1]);
                for ((packed, one), two) in packed.iter_mut().zip(row).zip(next) {
                    *packed = Pair::new(first * one, second * two);
                }
            } else {
                for (packed, one) in packed.iter_mut().zip(row) {
                    *packed = Pair::new(first * one, 0.0);
                }
            }
        }
    }
}

for_each_instruction_set! {
    /// Rows of numbers as rows of pairs; `out` is (n × columns/2, rounded up).
    fn pairs_of_rows(columns: usize, source: Matrix<'_>, out: &mut [Pair]) {
        for (row, out) in out.chunks_exact_mut(columns.div_ceil(2)).enumerate() {
            let row = &source.values[row * source.stride..][..columns];
            let (full, rest) = row.as_chunks::<2>();
            for (out, [first, second]) in out.iter_mut().zip(full) {
                *out = Pair::new(*first, *second);
            }
            if let ([last], Some(out)) = (rest, out.last_mut()) {
                *out = Pair::new(*last, 0.0);
            }
        }
    }
}

for_each_instruction_set! {
    /// Two rows after another as a row of pairs; an odd last row goes with zeros. Rows are (n × m),
    /// pairs (n/2, rounded up, × m).
    pub fn pairs_along_columns(values: &[f32], m: usize, out: &mut [Pair]) {
        for (rows, out) in values.chunks(2 * m).zip(out.chunks_exact_mut(m)) {
            let (first, second) = rows.split_at(m);
            if second.is_empty() {
                let pairs = out.iter_mut().zip(first);
                pairs.for_each(|(out, value)| *out = Pair::new(*value, 0.0));
                continue;
            }
            for ((out, one), two) in out.iter_mut().zip(first).zip(second) {
                *out = Pair::new(*one, *two);
            }
        }
    }
}

for_each_instruction_set! {
    /// Turns pairs along columns into pairs along rows: from (n/2, rounded up, × m) to
    /// (n × m/2, rounded up).
    pub fn pairs_along_rows(pairs: &[Pair], m: usize, out: &mut [Pair]) {
        let width = m.div_ceil(2);
        for (pairs, out) in pairs.chunks_exact(m).zip(out.chunks_mut(2 * width)) {
            let (first, second) = out.split_at_mut(width);
            let (full, rest) = pairs.as_chunks::<2>();
            for (out, [one, two]) in first.iter_mut().zip(full) {
                *out = Pair((one.0 & 0xFFFF) | (two.0 << 16));
            }
            for (out, [one, two]) in second.iter_mut().zip(full) {
                *out = Pair((one.0 >> 16) | (two.0 & 0xFFFF_0000));
            }
            if let [last] = rest {
                first[width - 1] = Pair(last.0 & 0xFFFF);
                if let Some(out) = second.last_mut() {
                    *out = Pair(last.0 >> 16);
                }
            }
        }
    }
}
