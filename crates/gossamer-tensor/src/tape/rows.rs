//! Which rows of all that there are an array has.

use std::sync::Arc;

/// All rows, or some.
#[derive(Debug, Clone, Default)]
pub enum Rows {
    /// All.
    #[default]
    All,
    /// Some.
    These(Arc<These>),
}

/// Some rows.
#[derive(Debug)]
pub struct These {
    /// Their numbers, ascending.
    numbers: Vec<u32>,
    /// By number where a row stands among them; [`NONE`] for the others.
    places: Vec<u32>,
}

/// No place.
pub const NONE: u32 = u32::MAX;

impl Rows {
    /// These of n rows, ascending.
    pub fn these(numbers: Vec<u32>, n: usize) -> Self {
        let mut places = vec![NONE; n];
        (0..).zip(&numbers).for_each(|(place, row)| places[*row as usize] = place);
        Self::These(Arc::new(These { numbers, places }))
    }

    /// Those of n rows that are named, however often and in whatever order.
    pub fn named(names: impl Iterator<Item = u32>, n: usize) -> Self {
        let mut places = vec![NONE; n];
        names.for_each(|row| places[row as usize] = 0);
        let mut numbers = Vec::new();
        for (row, place) in (0..).zip(&mut places).filter(|(_, place)| **place == 0) {
            *place = numbers.len() as u32;
            numbers.push(row);
        }
        Self::These(Arc::new(These { numbers, places }))
    }

    /// How many, where there are so many in all.
    pub fn n(&self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::These(these) => these.numbers.len(),
        }
    }

    /// True if they are the same as others.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::These(one), Self::These(other)) => {
                Arc::ptr_eq(one, other) || one.numbers == other.numbers
            }
            _ => false,
        }
    }

    /// The number of a row by its place.
    pub fn row(&self, place: usize) -> usize {
        match self {
            Self::All => place,
            Self::These(these) => these.numbers[place] as usize,
        }
    }

    /// Their numbers, if they are not all.
    pub fn numbers(&self) -> Option<&[u32]> {
        match self {
            Self::All => None,
            Self::These(these) => Some(&these.numbers),
        }
    }

    /// The place of a row by its number; [`NONE`] if it is not among them.
    pub fn place(&self, row: u32) -> u32 {
        match self {
            Self::All => row,
            Self::These(these) => these.places[row as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_are_each_others() {
        let these = Rows::named([11, 2, 30, 2, 3].into_iter(), 40);
        assert_eq!(these.numbers(), Some(&[2, 3, 11, 30][..]));
        assert_eq!(these.numbers(), Rows::these(vec![2, 3, 11, 30], 40).numbers());
        assert_eq!((these.n(40), these.row(2), these.place(11), these.place(12)), (4, 11, 2, NONE));
        assert_eq!((Rows::All.n(40), Rows::All.row(7), Rows::All.place(7)), (40, 7, 7));
    }
}
