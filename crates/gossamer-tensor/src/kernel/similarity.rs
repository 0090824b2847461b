//! The closed list of similarities between a query and a row, as blocks forward and backward.
//!
//! Shapes as in [`distance`]: queries (m × width), rows (n × width), scores and
//! coefficients (m × n).
//!
//! *Invariant:* the score of a pair has the same bits in a block of any size: [`Similarity::scores`]
//! of one query and one row *is* the score.

use gossamer_machine::InstructionSet;

use super::measure::Measure;
use super::pack::{Matrix, MatrixMut, Right};
use super::product;
use super::{distance, modulus, vector};

/// How alike a query and a row are; higher is more alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Similarity {
    /// Σ q·e.
    Dot,
    /// −Σ |q − e|.
    NegativeL1,
    /// −√ Σ (q − e)².
    NegativeL2,
    /// −Σₖ |qₖ − eₖ| over complex coordinates, rows being [real | imaginary].
    NegativeModulus,
}

/// Which floats of queries and rows are compared.
///
/// A product may leave out columns in which every query is zero; distances are over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Floats per query and per row.
    pub width: usize,
    /// The first that counts.
    pub first: usize,
    /// How many count.
    pub n: usize,
}

impl From<usize> for Columns {
    /// All of them.
    fn from(width: usize) -> Self {
        Self { width, first: 0, n: width }
    }
}

impl Columns {
    /// Rows of which these columns count, as a matrix.
    pub fn of(self, values: &[f32]) -> Matrix<'_> {
        Matrix { values: &values[self.first..], stride: self.width }
    }

    /// As [`of`](Self::of), to be written.
    pub fn of_mut(self, values: &mut [f32]) -> MatrixMut<'_> {
        MatrixMut { values: &mut values[self.first..], stride: self.width }
    }

    fn slice(self, row: &[f32]) -> &[f32] {
        &row[self.first..][..self.n]
    }
}

/// A block of queries against a block of rows, as the backward pass sees it.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// (m × width).
    pub queries: &'a [f32],
    /// (n × width).
    pub rows: &'a [f32],
    /// Their columns.
    pub columns: Columns,
    /// (m × n), as [`Similarity::scores`] gave them; read only by [`Similarity::NegativeL2`].
    pub scores: &'a [f32],
    /// (m × n): the derivative of the loss by each score.
    pub coefficients: &'a [f32],
}

impl Similarity {
    /// Every similarity, for tests that loop over them.
    pub const ALL: [Self; 4] =
        [Self::Dot, Self::NegativeL1, Self::NegativeL2, Self::NegativeModulus];

    /// True if the backward pass reads the scores themselves.
    pub fn needs_scores(self) -> bool {
        self == Self::NegativeL2
    }

    /// Fills `out` (m × n) with the scores of every query against every row.
    pub fn scores(
        self,
        isa: InstructionSet,
        queries: &[f32],
        rows: &[f32],
        columns: impl Into<Columns>,
        out: &mut [f32],
    ) {
        let columns: Columns = columns.into();
        let width = columns.width;
        let (m, n) = (queries.len() / width, rows.len() / width);
        if n == 0 {
            return;
        }
        match self {
            Self::Dot => {
                let (queries, rows) = (columns.of(queries), columns.of(rows));
                product::rows_by_rows(isa, [m, columns.n, n], queries, rows, out);
            }
            Self::NegativeL1 => distance::l1_block(isa, queries, rows, width, out),
            Self::NegativeL2 => distance::l2_block(isa, queries, rows, width, out),
            Self::NegativeModulus => modulus::modulus_block(isa, queries, rows, width, out),
        }
    }

    /// Packs queries for [`scores_by_row`](Self::scores_by_row).
    pub fn pack(self, queries: &[f32], columns: Columns) -> Right<f32> {
        let mut packed = Right::default();
        packed.pack_transposed(columns.n, queries.len() / columns.width, columns.of(queries));
        packed
    }

    /// Fills `out` (n × m) with the scores of every row against `m` packed queries, in tiles.
    ///
    /// Sums run along the width in order, so the bits of a score do not depend on the block around
    /// it; those of a distance are not those of [`scores`](Self::scores), which sums in lanes.
    pub fn scores_by_row(
        self,
        isa: InstructionSet,
        (m, queries): (usize, &Right<f32>),
        rows: &[f32],
        columns: Columns,
        out: &mut [f32],
    ) {
        let n = rows.len() / columns.width;
        let measure = match self {
            Self::Dot => Measure::Product,
            Self::NegativeL1 => Measure::L1,
            Self::NegativeL2 => Measure::Square,
            Self::NegativeModulus => Measure::Modulus,
        };
        let matrix = MatrixMut { values: out, stride: m };
        product::measures(isa, measure, (n, columns.of(rows)), queries, matrix);
        match self {
            Self::Dot => {}
            Self::NegativeL2 => out.iter_mut().for_each(|score| *score = -score.sqrt()),
            _ => vector::scale(isa, out, -1.0),
        }
    }

    /// The score of each query with the row at the same place, with the bits of
    /// [`scores`](Self::scores).
    pub fn scores_of_pairs(
        self,
        isa: InstructionSet,
        queries: &[f32],
        rows: &[f32],
        columns: Columns,
        out: &mut [f32],
    ) {
        if self == Self::Dot {
            return product::row_by_row(isa, columns.n, columns.of(queries), columns.of(rows), out);
        }
        let pairs = queries.chunks_exact(columns.width).zip(rows.chunks_exact(columns.width));
        for ((query, row), out) in pairs.zip(out.chunks_exact_mut(1)) {
            self.scores(isa, query, row, columns, out);
        }
    }

    /// Adds the block's share of ∂loss/∂queries to `out` (m × width).
    pub fn add_query_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, scores, coefficients } = *block;
        let width = columns.width;
        let (m, n) = (queries.len() / width, rows.len() / width);
        let strides = [n, 1];
        match self {
            Self::Dot => {
                let coefficients = Matrix { values: coefficients, stride: n };
                let (rows, out) = (columns.of(rows), columns.of_mut(out));
                product::add_product(isa, [m, n, columns.n], coefficients.into(), rows, out);
            }
            Self::NegativeL1 => {
                distance::add_l1_gradient(isa, queries, rows, width, coefficients, strides, out);
            }
            Self::NegativeL2 => distance::add_l2_gradient(
                isa,
                queries,
                rows,
                width,
                coefficients,
                scores,
                strides,
                out,
            ),
            Self::NegativeModulus => {
                modulus::add_modulus_gradient(
                    isa,
                    queries,
                    rows,
                    width,
                    coefficients,
                    strides,
                    out,
                );
            }
        }
    }

    /// Adds the block's shares of ∂loss/∂queries to `dq` and of ∂loss/∂rows to `de`.
    pub fn add_gradients(
        self,
        isa: InstructionSet,
        block: &Block<'_>,
        dq: &mut [f32],
        de: &mut [f32],
    ) {
        if self == Self::NegativeModulus {
            let Block { queries, rows, columns: Columns { width, .. }, coefficients, .. } = *block;
            modulus::add_modulus_gradients(isa, queries, rows, width, coefficients, dq, de);
        } else {
            self.add_query_gradient(isa, block, dq);
            self.add_row_gradient(isa, block, de);
        }
    }

    /// As [`add_query_gradient`](Self::add_query_gradient) for one query and one row, without the
    /// cost of a matrix product.
    pub fn add_query_gradient_of_pair(
        self,
        isa: InstructionSet,
        block: &Block<'_>,
        out: &mut [f32],
    ) {
        match self {
            Self::Dot => {
                let Columns { first, n, .. } = block.columns;
                let row = block.columns.slice(block.rows);
                vector::add_scaled(isa, &mut out[first..][..n], block.coefficients[0], row);
            }
            _ => self.add_query_gradient(isa, block, out),
        }
    }

    /// As [`add_row_gradient`](Self::add_row_gradient) for one query and one row.
    pub fn add_row_gradient_of_pair(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        match self {
            Self::Dot => {
                let Columns { first, n, .. } = block.columns;
                let query = block.columns.slice(block.queries);
                vector::add_scaled(isa, &mut out[first..][..n], block.coefficients[0], query);
            }
            _ => self.add_row_gradient(isa, block, out),
        }
    }

    /// Adds the block's share of ∂loss/∂rows to `out` (n × width).
    pub fn add_row_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, scores, coefficients } = *block;
        let width = columns.width;
        let (m, n) = (queries.len() / width, rows.len() / width);
        let strides = [1, n];
        match self {
            Self::Dot => {
                let coefficients = Matrix { values: coefficients, stride: n };
                let (queries, out) = (columns.of(queries), columns.of_mut(out));
                let coefficients = coefficients.transposed();
                product::add_product(isa, [n, m, columns.n], coefficients, queries, out);
            }
            Self::NegativeL1 => {
                distance::add_l1_gradient(isa, rows, queries, width, coefficients, strides, out);
            }
            Self::NegativeL2 => distance::add_l2_gradient(
                isa,
                rows,
                queries,
                width,
                coefficients,
                scores,
                strides,
                out,
            ),
            Self::NegativeModulus => {
                modulus::add_modulus_gradient(
                    isa,
                    rows,
                    queries,
                    width,
                    coefficients,
                    strides,
                    out,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: usize, seed: u32) -> Vec<f32> {
        let address = gossamer_machine::Address::new(
            u64::from(seed),
            gossamer_machine::Purpose::Synthetic,
            0,
        );
        (0..n as u32).map(|i| address.symmetric(i, 0)[0]).collect()
    }

    /// The definition in f64, one pair at a time.
    fn plain(similarity: Similarity, q: &[f32], e: &[f32]) -> f64 {
        let difference = || q.iter().zip(e).map(|(q, e)| f64::from(*q) - f64::from(*e));
        match similarity {
            Similarity::Dot => q.iter().zip(e).map(|(q, e)| f64::from(*q) * f64::from(*e)).sum(),
            Similarity::NegativeL1 => -difference().map(f64::abs).sum::<f64>(),
            Similarity::NegativeL2 => -difference().map(|x| x * x).sum::<f64>().sqrt(),
            Similarity::NegativeModulus => {
                let x: Vec<f64> = difference().collect();
                let half = x.len() / 2;
                -(0..half).map(|k| x[k].hypot(x[half + k])).sum::<f64>()
            }
        }
    }

    fn sets() -> Vec<InstructionSet> {
        InstructionSet::all().collect()
    }

    #[test]
    fn block_scores_are_single_scores_and_near_the_definition() {
        for similarity in Similarity::ALL {
            for width in [2, 6, 38, 200] {
                let (m, n) = (5, 11);
                let columns = Columns::from(width);
                let (queries, rows) = (filled(m * width, 1), filled(n * width, 2));
                for isa in sets() {
                    let mut out = vec![0.0; m * n];
                    similarity.scores(isa, &queries, &rows, width, &mut out);
                    let packed = similarity.pack(&queries, columns);
                    let mut by_row = vec![0.0; m * n];
                    similarity.scores_by_row(isa, (m, &packed), &rows, columns, &mut by_row);
                    let mut alone = [0.0];
                    let first = similarity.pack(&queries[..width], columns);
                    let last = &rows[(n - 1) * width..];
                    similarity.scores_by_row(isa, (1, &first), last, columns, &mut alone);
                    assert_eq!(alone[0].to_bits(), by_row[(n - 1) * m].to_bits());
                    let mut pairs = vec![0.0; m];
                    similarity.scores_of_pairs(isa, &queries, &rows, columns, &mut pairs);
                    for i in 0..m {
                        assert_eq!(pairs[i].to_bits(), out[i * n + i].to_bits());
                        for j in 0..n {
                            let (q, e) =
                                (&queries[i * width..][..width], &rows[j * width..][..width]);
                            let mut one = [0.0];
                            similarity.scores(isa, q, e, width, &mut one);
                            assert_eq!(one[0].to_bits(), out[i * n + j].to_bits());
                            let exact = plain(similarity, q, e);
                            let across = f64::from(by_row[j * m + i]);
                            assert!((across - exact).abs() < 2e-5 * (1.0 + exact.abs()));
                            assert!((f64::from(one[0]) - exact).abs() < 2e-5 * (1.0 + exact.abs()));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (m, n, width) = (3, 4, 6);
        let (queries, rows) = (filled(m * width, 3), filled(n * width, 4));
        let coefficients = filled(m * n, 5);
        for similarity in Similarity::ALL {
            let loss = |queries: &[f32], rows: &[f32]| -> f64 {
                (0..m * n)
                    .map(|p| {
                        let (q, e) =
                            (&queries[p / n * width..][..width], &rows[p % n * width..][..width]);
                        f64::from(coefficients[p]) * plain(similarity, q, e)
                    })
                    .sum()
            };
            for isa in sets() {
                let mut scores = vec![0.0; m * n];
                similarity.scores(isa, &queries, &rows, width, &mut scores);
                let block = Block {
                    queries: &queries,
                    rows: &rows,
                    columns: width.into(),
                    scores: &scores,
                    coefficients: &coefficients,
                };
                let (mut dq, mut de) = (vec![0.0; m * width], vec![0.0; n * width]);
                similarity.add_query_gradient(isa, &block, &mut dq);
                similarity.add_row_gradient(isa, &block, &mut de);
                let (mut both_q, mut both_e) = (vec![0.0; m * width], vec![0.0; n * width]);
                similarity.add_gradients(isa, &block, &mut both_q, &mut both_e);
                let pairs = dq.iter().chain(&de).zip(both_q.iter().chain(&both_e));
                for (one, both) in pairs {
                    assert!((one - both).abs() < 1e-5, "{similarity:?}: {one} {both}");
                }
                let step = 1e-3;
                for i in 0..m * width {
                    let (mut up, mut down) = (queries.clone(), queries.clone());
                    up[i] += step;
                    down[i] -= step;
                    let slope =
                        (loss(&up, &rows) - loss(&down, &rows)) / f64::from(up[i] - down[i]);
                    assert!((slope - f64::from(dq[i])).abs() < 2e-3, "{similarity:?} dq {i}");
                }
                for i in 0..n * width {
                    let (mut up, mut down) = (rows.clone(), rows.clone());
                    up[i] += step;
                    down[i] -= step;
                    let slope =
                        (loss(&queries, &up) - loss(&queries, &down)) / f64::from(up[i] - down[i]);
                    assert!((slope - f64::from(de[i])).abs() < 2e-3, "{similarity:?} de {i}");
                }
            }
        }
    }

    #[test]
    fn at_distance_zero_the_gradient_is_zero() {
        let row = [0.5, -0.25, 1.0, 2.0];
        for similarity in
            [Similarity::NegativeL1, Similarity::NegativeL2, Similarity::NegativeModulus]
        {
            let block = Block {
                queries: &row,
                rows: &row,
                columns: 4.into(),
                scores: &[-0.0],
                coefficients: &[1.0],
            };
            let mut out = [0.0; 4];
            similarity.add_query_gradient(InstructionSet::detect(), &block, &mut out);
            assert_eq!(out, [0.0; 4], "{similarity:?}");
        }
    }
}
