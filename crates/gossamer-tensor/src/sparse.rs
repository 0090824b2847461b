//! Sparse matrices by row: which columns a row has, and with which weights.

/// A matrix of which most entries are zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sparse {
    /// Where the entries of each row begin; one more than rows.
    pub starts: Vec<u32>,
    /// The column of each entry, ascending within a row.
    pub columns: Vec<u32>,
    /// Its weight.
    pub weights: Vec<f32>,
    /// Columns of the matrix.
    pub n_columns: usize,
}

impl Sparse {
    /// Of entries (row, column, weight) in any order; those of one place are added.
    pub fn new(n_rows: usize, n_columns: usize, mut entries: Vec<(u32, u32, f32)>) -> Self {
        entries.sort_by_key(|(row, column, _)| (*row, *column));
        let mut sparse = Self { starts: vec![0], n_columns, ..Self::default() };
        let mut entries = entries.into_iter().peekable();
        for row in 0..n_rows as u32 {
            while let Some((_, column, weight)) = entries.next_if(|entry| entry.0 == row) {
                let start = sparse.starts[row as usize] as usize;
                if sparse.columns[start..].last() == Some(&column) {
                    let last = sparse.weights.len() - 1;
                    sparse.weights[last] += weight;
                } else {
                    sparse.columns.push(column);
                    sparse.weights.push(weight);
                }
            }
            sparse.starts.push(sparse.columns.len() as u32);
        }
        sparse
    }

    /// How many rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The columns of a row, and their weights.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        (&self.columns[range.clone()], &self.weights[range])
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let entries = (0..self.n_rows()).flat_map(|row| {
            let (columns, weights) = self.row(row);
            columns.iter().zip(weights).map(move |(column, weight)| (*column, row as u32, *weight))
        });
        Self::new(self.n_columns, self.n_rows(), entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_by_row_and_equal_places_are_added() {
        let entries = vec![(2, 1, 1.0), (0, 3, 2.0), (2, 0, 5.0), (0, 3, 0.5)];
        let sparse = Sparse::new(3, 4, entries);
        assert_eq!(sparse.row(0), (&[3][..], &[2.5][..]));
        assert_eq!(sparse.row(1), (&[][..], &[][..]));
        assert_eq!(sparse.row(2), (&[0, 1][..], &[5.0, 1.0][..]));
        assert_eq!(sparse.transposed().row(3), (&[0][..], &[2.5][..]));
        assert_eq!(sparse.transposed().transposed(), sparse);
    }
}
