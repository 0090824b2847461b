//! A gradient of an array: of all its rows, or of some where those of the others are zero. A step that asks
//! for few rows of a large table pays for these alone.

use gossamer_machine::{Buffers, Machine};

use super::kept::ROWS;
use super::rows::{NONE, Rows};
use crate::array::Array;
use crate::kernel::vector;

/// A gradient.
#[derive(Debug)]
pub struct Gradient {
    /// Row after row.
    values: Array,
    /// Which it has.
    which: Rows,
    /// How many there are.
    n: usize,
}

impl Gradient {
    /// Of all rows.
    pub fn of_all(values: Array) -> Self {
        let n = values.rows;
        Self { values, which: Rows::All, n }
    }

    /// Of some of n rows.
    pub fn of_some((which, n): (Rows, usize), values: Array) -> Self {
        Self { values, which, n }
    }

    /// What there is of it.
    pub fn values(&self) -> &Array {
        &self.values
    }

    /// Which rows it has.
    pub fn which(&self) -> &Rows {
        &self.which
    }

    /// That of a row; none where it has it not.
    pub fn row_mut(&mut self, number: usize) -> Option<&mut [f32]> {
        let (place, width) = (self.which.place(number as u32), self.values.width);
        (place != NONE).then(|| &mut self.values.values[place as usize * width..][..width])
    }

    /// With rows of zeros where it had none.
    pub fn into_all(self, buffers: &Buffers) -> Array {
        let width = self.values.width;
        if self.which.numbers().is_none() || self.values.rows == self.n {
            return self.values;
        }
        let mut all = Array::zeroed(buffers, self.n, width);
        for place in 0..self.values.rows {
            let own = self.which.row(place) * width;
            all.values[own..own + width].copy_from_slice(self.values.row(place));
        }
        all
    }

    /// The sum of two.
    pub fn plus(self, more: Self, machine: &Machine) -> Self {
        let n = self.n;
        let (one, other) = (self.values, more.values);
        match (self.which, more.which) {
            (which, of_other) if which.is(&of_other) => {
                Self::of_some((which, n), sum(one, &other, machine))
            }
            (all @ Rows::All, some) => Self::of_all(scattered(one, &other, (&some, &all), machine)),
            (some, all @ Rows::All) => Self::of_all(scattered(other, &one, (&some, &all), machine)),
            (of_one, of_other) => {
                let numbers = [&of_one, &of_other].map(|of| of.numbers().unwrap_or_default());
                let both = Rows::named(numbers.into_iter().flatten().copied(), n);
                let mut values = Array::zeroed(&machine.buffers, both.n(n), one.width);
                for (which, more) in [(&of_one, &one), (&of_other, &other)] {
                    values = scattered(values, more, (which, &both), machine);
                }
                Self::of_some((both, n), values)
            }
        }
    }
}

/// The sum of two arrays of one shape.
fn sum(mut one: Array, other: &Array, machine: &Machine) -> Array {
    let n = (ROWS * one.width).max(1);
    let tasks = one.values.chunks_mut(n).zip(other.values.chunks(n)).collect();
    let isa = machine.instruction_set;
    let add = |(sum, more): (&mut [f32], &[f32])| vector::add_scaled(isa, sum, 1.0, more);
    machine.workers.each(tasks, add);
    one
}

/// An array that has some rows, to which those of another are added that has fewer.
fn scattered(
    mut to: Array,
    rows: &Array,
    (which, of_to): (&Rows, &Rows),
    machine: &Machine,
) -> Array {
    let width = rows.width;
    for (place, row) in rows.values.chunks_exact(width.max(1)).enumerate() {
        let place = of_to.place(which.row(place) as u32) as usize;
        vector::add_scaled(
            machine.instruction_set,
            &mut to.values[place * width..][..width],
            1.0,
            row,
        );
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_all_rows_whichever_are_there() {
        let machine = Machine::new(2, None);
        let some = |numbers: &[u32], first: f32| -> Gradient {
            let values: Vec<f32> = (0..2 * numbers.len()).map(|i| first + i as f32).collect();
            let which = Rows::these(numbers.to_vec(), 5);
            Gradient::of_some((which, 5), Array::of(&machine.buffers, &values, 2))
        };
        let all = |first: f32| {
            let values: Vec<f32> = (0..10).map(|i| first - i as f32).collect();
            Gradient::of_all(Array::of(&machine.buffers, &values, 2))
        };
        let made: [&dyn Fn() -> Gradient; 5] = [
            &|| some(&[1, 3], 1.0),
            &|| some(&[0, 3, 4], 20.0),
            &|| some(&[1, 3], 40.0),
            &|| some(&[0, 1, 2, 3, 4], 60.0),
            &|| all(5.0),
        ];
        for one in made {
            for other in made {
                let whole = |of: Gradient| of.into_all(&machine.buffers).values.to_vec();
                let plain: Vec<f32> =
                    whole(one()).iter().zip(whole(other())).map(|(a, b)| a + b).collect();
                let mut found = one().plus(other(), &machine);
                for row in 0..5 {
                    let wanted = &plain[2 * row..2 * row + 2];
                    match found.row_mut(row) {
                        Some(row) => assert_eq!(row, wanted),
                        None => assert_eq!(wanted, [0.0, 0.0]),
                    }
                }
                assert_eq!(whole(found), plain);
            }
        }
        let twice = some(&[1, 3], 1.0).plus(some(&[1, 3], 2.0), &machine);
        assert_eq!(twice.which().numbers(), Some(&[1, 3][..]));
    }
}
