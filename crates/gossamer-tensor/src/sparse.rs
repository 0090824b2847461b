//! Sparse matrices by row: which columns a row has, and with which weights; where entries have
//! labels, one place may have several.

use std::ops::Range;
use std::sync::Arc;

/// A matrix of which most entries are zero; those of other weights may share its places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sparse {
    /// Where the entries of each row begin; one more than rows.
    pub starts: Arc<Vec<u32>>,
    /// The column of each entry, ascending within a row; where entries have labels, within each.
    pub columns: Arc<Vec<u32>>,
    /// Its weight.
    pub weights: Vec<f32>,
    /// Columns of the matrix.
    pub n_columns: usize,
}

impl Sparse {
    /// Of entries (row, column, weight) in any order; those of one place are added.
    pub fn new(n_rows: usize, n_columns: usize, mut entries: Vec<(u32, u32, f32)>) -> Self {
        entries.sort_by_key(|(row, column, _)| (*row, *column));
        let (mut starts, mut columns, mut weights) = (vec![0], Vec::new(), Vec::<f32>::new());
        let mut entries = entries.into_iter().peekable();
        for row in 0..n_rows as u32 {
            while let Some((_, column, weight)) = entries.next_if(|entry| entry.0 == row) {
                let start = starts[row as usize] as usize;
                if columns[start..].last() == Some(&column) {
                    let last = weights.len() - 1;
                    weights[last] += weight;
                } else {
                    columns.push(column);
                    weights.push(weight);
                }
            }
            starts.push(columns.len() as u32);
        }
        Self { starts: Arc::new(starts), columns: Arc::new(columns), weights, n_columns }
    }

    /// Of entries in order, one for each place: nothing is sorted, and no list of them is made.
    pub fn of_sorted(
        n_rows: usize,
        n_columns: usize,
        entries: impl Iterator<Item = (u32, u32, f32)>,
    ) -> Self {
        let (mut starts, mut columns, mut weights) = (vec![0; n_rows + 1], Vec::new(), Vec::new());
        for (row, column, weight) in entries {
            starts[row as usize + 1] += 1;
            columns.push(column);
            weights.push(weight);
        }
        (0..n_rows).for_each(|row| starts[row + 1] += starts[row]);
        columns.shrink_to_fit();
        weights.shrink_to_fit();
        Self { starts: Arc::new(starts), columns: Arc::new(columns), weights, n_columns }
    }

    /// Of entries in any order: those of a row stay in theirs, and one place may have several.
    pub fn of_any(n_rows: usize, n_columns: usize, entries: &[(u32, u32, f32)]) -> Self {
        let mut starts = vec![0; n_rows + 2];
        entries.iter().for_each(|(row, ..)| starts[*row as usize + 2] += 1);
        (2..starts.len()).for_each(|row| starts[row] += starts[row - 1]);
        let (mut columns, mut weights) = (vec![0; entries.len()], vec![0.0; entries.len()]);
        for (row, column, weight) in entries {
            // What is the start of a row is its end when all are placed.
            let at = &mut starts[*row as usize + 1];
            (columns[*at as usize], weights[*at as usize]) = (*column, *weight);
            *at += 1;
        }
        starts.pop();
        Self { starts: Arc::new(starts), columns: Arc::new(columns), weights, n_columns }
    }

    /// How many rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the entries of a row stand.
    pub fn range(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// The columns of a row, and their weights.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.range(row);
        (&self.columns[range.clone()], &self.weights[range])
    }

    /// The columns that come some way after the first of a row: those to ask memory for by then.
    pub fn after(&self, row: usize) -> &[u32] {
        /// So many entries ahead of its use a row is asked for.
        const AHEAD: usize = 16;
        let ahead = (self.starts[row] as usize + AHEAD).min(self.columns.len());
        &self.columns[ahead..]
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let (mut transposed, order) = self.turned();
        transposed.weights = order.iter().map(|place| self.weights[*place as usize]).collect();
        transposed
    }

    /// Rows and columns exchanged, without weights, and where each entry stands here.
    pub fn turned(&self) -> (Self, Vec<u32>) {
        let mut starts = vec![0; self.n_columns + 2];
        self.columns.iter().for_each(|column| starts[*column as usize + 2] += 1);
        (2..starts.len()).for_each(|column| starts[column] += starts[column - 1]);
        let (mut columns, mut order) = (vec![0; self.columns.len()], vec![0; self.columns.len()]);
        for row in 0..self.n_rows() {
            for place in self.starts[row]..self.starts[row + 1] {
                // What is the start of a column is its end when all are placed.
                let at = &mut starts[self.columns[place as usize] as usize + 1];
                columns[*at as usize] = row as u32;
                order[*at as usize] = place;
                *at += 1;
            }
        }
        starts.pop();
        let (starts, columns) = (Arc::new(starts), Arc::new(columns));
        let turned = Self { starts, columns, weights: Vec::new(), n_columns: self.n_rows() };
        (turned, order)
    }
}

/// An entry with a label: row, column, label, weight.
pub type Entry = (u32, u32, u32, f32);

/// A sparse matrix whose entries have a label each; entries of one place stand apart, and those of
/// one label in a row together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Labelled {
    /// Rows, columns and weights.
    pub matrix: Sparse,
    /// The label of each entry.
    pub labels: Vec<u32>,
    /// Labels there are.
    pub n_labels: usize,
}

impl Labelled {
    /// Of entries in any order.
    pub fn new(n_rows: usize, n_columns: usize, n_labels: usize, mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by_key(|(row, column, label, _)| (*row, *label, *column));
        let mut starts = vec![0; n_rows + 1];
        entries.iter().for_each(|entry| starts[entry.0 as usize + 1] += 1);
        (0..n_rows).for_each(|row| starts[row + 1] += starts[row]);
        let (starts, columns) =
            (Arc::new(starts), Arc::new(entries.iter().map(|entry| entry.1).collect()));
        let weights = entries.iter().map(|entry| entry.3).collect();
        let labels = entries.iter().map(|entry| entry.2).collect();
        Self { matrix: Sparse { starts, columns, weights, n_columns }, labels, n_labels }
    }

    /// The entries of a row: column, label, weight.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, usize, f32)> {
        let (columns, weights) = self.matrix.row(row);
        let labels = columns.iter().zip(&self.labels[self.matrix.range(row)]);
        labels.zip(weights).map(|((column, label), w)| (*column as usize, *label as usize, *w))
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let of_row = |row: usize| {
            let turned = move |(column, label, w)| (column as u32, row as u32, label as u32, w);
            self.row(row).map(turned)
        };
        let n_rows = self.matrix.n_rows();
        let entries = (0..n_rows).flat_map(of_row).collect();
        Self::new(self.matrix.n_columns, n_rows, self.n_labels, entries)
    }

    /// Bytes of one with so many rows and entries.
    pub fn bytes_for(n_rows: u64, n_entries: u64) -> u64 {
        4 * (n_rows + 1) + 12 * n_entries
    }
}

#[cfg(test)]
/// Made-up matrices, for the tests of ops.
pub mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    /// A matrix of about so many entries a row, and its transpose.
    pub fn some(n_rows: usize, n_columns: usize, n_labels: usize, each: usize) -> [Labelled; 2] {
        let address = Address::new(9, Purpose::Synthetic, 0);
        let entry = |i: u32| {
            let of = |n: usize, place| address.below(n as u64, i, place) as u32;
            let weight = 0.5 + address.symmetric(i, 9)[0].abs();
            (of(n_rows, 0), of(n_columns, 1), of(n_labels, 2), weight)
        };
        let entries = (0..(each * n_rows) as u32).map(entry).collect();
        let labelled = Labelled::new(n_rows, n_columns, n_labels, entries);
        [labelled.transposed(), labelled]
    }

    #[test]
    fn entries_stand_by_row_and_equal_places_are_added() {
        let entries = vec![(2, 1, 1.0), (0, 3, 2.0), (2, 0, 5.0), (0, 3, 0.5)];
        let sparse = Sparse::new(3, 4, entries);
        assert_eq!(sparse.row(0), (&[3][..], &[2.5][..]));
        assert_eq!(sparse.row(1), (&[][..], &[][..]));
        assert_eq!(sparse.row(2), (&[0, 1][..], &[5.0, 1.0][..]));
        assert_eq!(sparse.transposed().row(3), (&[0][..], &[2.5][..]));
        assert_eq!(sparse.transposed().transposed(), sparse);
        let sorted = [(0, 3, 2.5), (2, 0, 5.0), (2, 1, 1.0)];
        assert_eq!(Sparse::of_sorted(3, 4, sorted.into_iter()), sparse);
        let any = Sparse::of_any(3, 4, &[(2, 1, 1.0), (0, 3, 2.0), (2, 0, 5.0), (0, 3, 0.5)]);
        assert_eq!(any.row(0), (&[3, 3][..], &[2.0, 0.5][..]));
        assert_eq!(any.row(1), (&[][..], &[][..]));
        assert_eq!(any.row(2), (&[1, 0][..], &[1.0, 5.0][..]));
    }

    #[test]
    fn labelled_entries_of_one_place_stand_apart() {
        let entries = vec![(2, 1, 3, 1.0), (0, 1, 4, 2.0), (2, 1, 0, 5.0), (2, 0, 1, 0.5)];
        let labelled = Labelled::new(3, 2, 5, entries);
        let found: Vec<_> = labelled.row(2).collect();
        assert_eq!(found, [(1, 0, 5.0), (0, 1, 0.5), (1, 3, 1.0)]);
        assert_eq!(labelled.row(1).count(), 0);
        let transposed = labelled.transposed();
        assert_eq!(transposed.row(1).collect::<Vec<_>>(), [(2, 0, 5.0), (2, 3, 1.0), (0, 4, 2.0)]);
        assert_eq!(transposed.transposed(), labelled);
    }
}
