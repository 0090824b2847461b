//! A right operand, packed into strips of columns, in room that may be used again.

use std::marker::PhantomData;

use gossamer_machine::{Buffer, Buffers, InstructionSet};

use super::pack::{Matrix, Number, width_of};
use super::tile::{Factor, HALF_STRIP, STRIP};

/// A right operand, packed: strip after strip, each (depth × its columns).
#[derive(Debug, Default)]
pub struct Right<T> {
    /// Its factors, with room for more; each takes as much as a float.
    room: Buffer,
    /// Where larger room comes from, if not from the system.
    buffers: Option<Buffers>,
    pub(super) depth: usize,
    columns: usize,
    kind: PhantomData<T>,
}

impl<T: Factor> Right<T> {
    /// One whose room is used again: for those who pack a few in every step.
    pub fn within(buffers: &Buffers) -> Self {
        Self { buffers: Some(buffers.clone()), ..Self::default() }
    }

    /// Room for (depth × columns), depth counted in numbers; columns that are only room are zero.
    fn make_room(&mut self, depth: usize, columns: usize) {
        (self.depth, self.columns) = (depth.div_ceil(T::NUMBERS), columns);
        let last = columns % STRIP;
        let full = self.depth * (columns - last);
        let n = self.n_factors();
        match &self.buffers {
            Some(buffers) => buffers.grow(&mut self.room, n),
            None if self.room.len() < n => self.room = vec![0.0; n].into(),
            None => {}
        }
        if !last.is_multiple_of(HALF_STRIP) {
            self.factors_mut()[full..].fill(T::default());
        }
    }

    /// How many factors it has.
    fn n_factors(&self) -> usize {
        let last = self.columns % STRIP;
        let of_last = if last == 0 { 0 } else { width_of(last) };
        self.depth * (self.columns - last + of_last)
    }

    fn factors(&self) -> &[T] {
        bytemuck::cast_slice(&self.room[..self.n_factors()])
    }

    fn factors_mut(&mut self) -> &mut [T] {
        let n = self.n_factors();
        bytemuck::cast_slice_mut(&mut self.room[..n])
    }

    /// The strips: their first column, how many columns they hold, and their factors.
    pub(super) fn strips(&self) -> impl Iterator<Item = (usize, usize, &[T])> {
        (0..self.columns).step_by(STRIP).map(|first| {
            let columns = STRIP.min(self.columns - first);
            let factors = &self.factors()[first * self.depth..][..width_of(columns) * self.depth];
            (first, columns, factors)
        })
    }

    /// The strips to be filled: their first column, how many columns they hold, and their factors.
    fn strips_mut(&mut self) -> impl Iterator<Item = (usize, usize, &mut [T])> {
        let (columns, depth) = (self.columns, self.depth);
        let strips = self.factors_mut().chunks_mut((STRIP * depth).max(1));
        strips.enumerate().map(move |(place, factors)| {
            let first = place * STRIP;
            (first, STRIP.min(columns - first), factors)
        })
    }
}

impl<T: Number> Right<T> {
    /// Packs `source` (depth × columns), each of its rows times its scale.
    pub fn pack(
        &mut self,
        isa: InstructionSet,
        depth: usize,
        columns: usize,
        source: Matrix<'_>,
        scale: Option<&[f32]>,
    ) {
        self.make_room(depth, columns);
        for (first, columns, strip) in self.strips_mut() {
            let source = Matrix { values: &source.values[first..], ..source };
            T::pack(isa, strip, [depth, columns], source, scale);
        }
    }

    /// Packs the transpose of `source` (columns × depth).
    pub fn pack_transposed(
        &mut self,
        isa: InstructionSet,
        depth: usize,
        columns: usize,
        source: Matrix<'_>,
    ) {
        self.make_room(depth, columns);
        for (first, columns, strip) in self.strips_mut() {
            let source = Matrix { values: &source.values[first * source.stride..], ..source };
            T::pack_transposed(isa, strip, [depth, columns], source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tile::Pair;
    use super::*;

    fn packed_alike<T: Number>(isa: InstructionSet) {
        let buffers = Buffers::default();
        // Two arrays that were full of something else.
        let used = [90, 4000].map(|n| buffers.room(n));
        used.into_iter().for_each(|mut used| used.fill(f32::NAN));
        let mut again = Right::<T>::within(&buffers);
        let values: Vec<f32> = (0..60 * 50).map(|i| (i % 23) as f32 - 9.0).collect();
        for (depth, columns) in [(3, 7), (9, 50), (5, 17), (60, 50), (1, 1)] {
            let source = Matrix { values: &values, stride: 60 };
            let mut anew = Right::<T>::default();
            for right in [&mut again, &mut anew] {
                right.pack(isa, depth, columns, Matrix { stride: 50, ..source }, None);
            }
            let bytes = |of: &Right<T>| bytemuck::cast_slice::<T, u32>(of.factors()).to_vec();
            assert_eq!(bytes(&again), bytes(&anew), "{depth} {columns}");
            for right in [&mut again, &mut anew] {
                right.pack_transposed(isa, depth, columns, source);
            }
            assert_eq!(bytes(&again), bytes(&anew), "{depth} {columns}");
        }
    }

    #[test]
    fn room_that_was_used_before_packs_the_same() {
        for isa in InstructionSet::all() {
            packed_alike::<f32>(isa);
            packed_alike::<Pair>(isa);
        }
    }
}
