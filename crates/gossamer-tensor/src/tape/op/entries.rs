//! The entries of a sparse matrix that take part: those that dropout leaves, between rows that are wanted
//! and columns that are given.
//!
//! They are read for a block of rows at a time, so that what comes after an entry is known, and memory asked
//! for it early.

use std::ops::Range;

use super::super::kept::ROWS;
use super::super::rows::{NONE, Rows};
use crate::dropout::Dropout;
use crate::sparse::{Labelled, Sparse};

/// A matrix and what of it takes part.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The matrix, or its transpose.
    pub matrix: &'a Sparse,
    /// The label of each entry; none where entries have none.
    pub labels: &'a [u32],
    /// True for the transpose.
    pub is_turned: bool,
    /// Its rows that are made.
    pub rows: &'a Rows,
    /// Its columns that there are.
    pub columns: &'a Rows,
    /// What is left out, by the places of the matrix itself.
    pub dropout: Option<Dropout>,
}

/// The entries of some rows, one row after the other.
#[derive(Debug, Default)]
pub struct Entries {
    starts: Vec<usize>,
    /// Of these lists what stands before the last start has been read.
    columns: Vec<u32>,
    weights: Vec<f32>,
    labels: Vec<u32>,
    worths: Vec<f32>,
}

/// So many entries ahead of its use a row is asked for.
const AHEAD: usize = 16;

impl Entries {
    /// Reads those of some of the rows that are made, by their places; columns become places among
    /// those that there are.
    pub fn read(&mut self, part: Part<'_>, rows: Range<usize>) {
        let number = |at: usize| part.rows.row(at);
        let most = rows.clone().map(|at| part.matrix.range(number(at)).len()).sum();
        if self.columns.len() < most {
            self.columns.resize(most, 0);
            self.weights.resize(most, 0.0);
            self.labels.resize(most, 0);
        }
        let mut next = 0;
        self.starts.clear();
        self.starts.push(next);
        for row in rows.map(number) {
            next = self.add(part, row, next);
            self.starts.push(next);
        }
    }

    /// Adds those of a row where the next one stands, and says where that is then.
    fn add(&mut self, part: Part<'_>, row: usize, mut next: usize) -> usize {
        let Part { matrix, labels, is_turned, dropout, .. } = part;
        let (columns, weights) = matrix.row(row);
        self.worths.clear();
        match (dropout, is_turned) {
            (None, _) => self.worths.resize(columns.len(), 1.0),
            (Some(of), true) => of.factors_of_rows(row as u32, columns, &mut self.worths),
            (Some(of), false) => of.factors(row as u32, columns, &mut self.worths),
        }
        let labels = labels.get(matrix.range(row)).unwrap_or_default();
        // Every entry is written and those that take part stay: nobody could foretell which.
        for (at, ((column, weight), worth)) in
            columns.iter().zip(weights).zip(&self.worths).enumerate()
        {
            let weight = weight * worth;
            let place = part.columns.place(*column);
            self.columns[next] = place;
            self.weights[next] = weight;
            if let Some(label) = labels.get(at) {
                self.labels[next] = *label;
            }
            next += usize::from(weight != 0.0 && place != NONE);
        }
        next
    }

    /// The columns of all that were read.
    fn columns(&self) -> &[u32] {
        &self.columns[..self.starts[self.starts.len() - 1]]
    }

    /// Where the entries of a row of those that were read stand.
    pub fn range(&self, at: usize) -> Range<usize> {
        self.starts[at]..self.starts[at + 1]
    }

    /// The columns of some of a row's, their weights, and the columns some way behind the first.
    pub fn of(&self, range: Range<usize>) -> (&[u32], &[f32], &[u32]) {
        let end = self.starts[self.starts.len() - 1];
        let later = &self.columns[(range.start + AHEAD).min(end)..end];
        (&self.columns[range.clone()], &self.weights[range], later)
    }

    /// The label of an entry.
    pub fn label(&self, at: usize) -> usize {
        self.labels[at] as usize
    }

    /// Stretches of a row's entries that have one label, as far as they stand together.
    pub fn runs(&self, at: usize) -> impl Iterator<Item = Range<usize>> {
        let Range { start, end } = self.range(at);
        let runs = self.labels[start..end].chunk_by(|one, other| one == other);
        runs.scan(start, |first, run| {
            *first += run.len();
            Some(*first - run.len()..*first)
        })
    }
}

/// The first so many of a matrix's columns, and those that entries of some of its rows stand in:
/// what is asked of one hop is all that the hop before has to make.
pub fn reached(rows: &Rows, facts: &Labelled, dropout: Dropout, first: usize) -> Rows {
    let Labelled { matrix, labels, .. } = facts;
    let (n, columns, dropout) = (rows.n(matrix.n_rows()), &Rows::All, Some(dropout));
    let part = Part { matrix, labels, is_turned: false, rows, columns, dropout };
    let mut entries = Entries::default();
    let of_blocks = (0..n).step_by(ROWS).flat_map(|block| {
        entries.read(part, block..n.min(block + ROWS));
        entries.columns().to_vec()
    });
    Rows::named((0..first as u32).chain(of_blocks), matrix.n_columns)
}

#[cfg(test)]
mod tests {
    use gossamer_machine::{Address, InstructionSet, Purpose};

    use super::*;
    use crate::sparse::tests::some;

    /// Row, column and weight of every entry that takes part.
    fn places(part: Part<'_>, n: usize) -> Vec<(usize, u32, u32)> {
        let mut entries = Entries::default();
        let mut found = Vec::new();
        for first in (0..n).step_by(7) {
            let rows = first..n.min(first + 7);
            entries.read(part, rows.clone());
            for (at, row) in rows.enumerate() {
                let (columns, weights, _) = entries.of(entries.range(at));
                found.extend(columns.iter().zip(weights).map(|(c, w)| (row, *c, w.to_bits())));
                let of_runs: Vec<usize> = entries.runs(at).flatten().collect();
                assert_eq!(of_runs, entries.range(at).collect::<Vec<_>>());
                for run in entries.runs(at) {
                    assert!(run.clone().all(|at| entries.label(at) == entries.label(run.start)));
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// What dropout leaves out of a matrix.
    fn dropout(part: f32) -> Option<Dropout> {
        let address = Address::new(3, Purpose::Dropout, 5);
        Some(Dropout { part, address, instruction_set: InstructionSet::detect(), number: 2 })
    }

    #[test]
    fn both_ways_have_the_same_entries_between_rows_that_are_wanted_and_given() {
        let [backward, forward] = some(40, 30, 3, 4);
        let these = Rows::these(vec![2, 3, 11, 30, 39], 40);
        let those = Rows::these((0..30).step_by(2).collect(), 30);
        for (wanted, given, part) in [
            (&Rows::All, &Rows::All, 0.0),
            (&Rows::All, &those, 0.4),
            (&these, &Rows::All, 0.0),
            (&these, &those, 0.4),
        ] {
            let of = |is_turned| {
                let Labelled { matrix, labels, .. } = if is_turned { &backward } else { &forward };
                let (rows, columns) = if is_turned { (given, wanted) } else { (wanted, given) };
                Part { matrix, labels, is_turned, rows, columns, dropout: dropout(part) }
            };
            let one = places(of(false), wanted.n(40));
            let other = places(of(true), given.n(30));
            let mut turned: Vec<_> =
                other.into_iter().map(|(u, v, w)| (v as usize, u as u32, w)).collect();
            turned.sort_unstable();
            assert_eq!(one, turned);
            assert!(!one.is_empty());
        }
    }

    #[test]
    fn what_is_reached_is_whom_entries_that_take_part_join() {
        let [_, forward] = some(40, 30, 3, 4);
        let these = Rows::these(vec![2, 3, 39], 40);
        let found = reached(&these, &forward, dropout(0.4).unwrap(), 2);
        let (rows, columns, labels) = (&these, &Rows::All, &forward.labels[..]);
        let matrix = &forward.matrix;
        let part = Part { matrix, labels, is_turned: false, rows, columns, dropout: dropout(0.4) };
        let mut wanted: Vec<u32> =
            places(part, 3).into_iter().map(|(_, column, _)| column).collect();
        let of_entries = wanted.len();
        wanted.extend([0, 1]);
        wanted.sort_unstable();
        wanted.dedup();
        assert_eq!(found.numbers(), Some(&wanted[..]));
        let all = reached(&these, &forward, dropout(0.0).unwrap(), 2).n(30);
        assert!(wanted.len() < all && of_entries > 2, "{} {all} {of_entries}", wanted.len());
    }
}
