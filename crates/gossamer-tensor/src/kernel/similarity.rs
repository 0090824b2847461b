//! The closed list of similarities between a query and a row, as blocks forward and backward.
//!
//! Queries against rows that stand together are taken in tiles ([`Similarity::scores_by_row`]); one
//! row against others that stand anywhere is taken pair by pair ([`Similarity::scores`]). Shapes of
//! blocks: queries (m × width), rows (n × width), scores and coefficients (m × n).
//!
//! *Invariant:* the score of a pair has the same bits in a block of any size. Tiles sum along the
//! width in order, pairs in lanes: what is ranked or shown comes from tiles alone.

use gossamer_machine::InstructionSet;

use super::measure::Measure;
use super::pack::{Matrix, MatrixMut, Right};
use super::pairs::{self, Pairs};
use super::product;
use super::vector;

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

    /// The floats of a row that count.
    pub fn slice(self, row: &[f32]) -> &[f32] {
        &row[self.first..][..self.n]
    }

    /// As [`slice`](Self::slice), to be written.
    pub fn slice_mut(self, row: &mut [f32]) -> &mut [f32] {
        &mut row[self.first..][..self.n]
    }

    /// The rows of a matrix, what counts of each.
    fn rows(self, values: &[f32]) -> Vec<&[f32]> {
        values.chunks_exact(self.width).map(|row| self.slice(row)).collect()
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
    /// (m × n); read only by [`Similarity::NegativeL2`].
    pub scores: &'a [f32],
    /// (m × n): the derivative of the loss by each score.
    pub coefficients: &'a [f32],
}

impl Block<'_> {
    /// Queries and rows.
    fn size(&self) -> [usize; 2] {
        [self.queries, self.rows].map(|values| values.len() / self.columns.width)
    }
}

impl Similarity {
    /// Every similarity, for tests that loop over them.
    pub const ALL: [Self; 4] =
        [Self::Dot, Self::NegativeL1, Self::NegativeL2, Self::NegativeModulus];

    /// True if the backward pass reads the scores themselves.
    pub fn needs_scores(self) -> bool {
        self == Self::NegativeL2
    }

    /// Packs rows for [`scores_by_row`](Self::scores_by_row).
    pub fn pack(self, rows: &[f32], columns: Columns) -> Right<f32> {
        let mut packed = Right::default();
        packed.pack_transposed(columns.n, rows.len() / columns.width, columns.of(rows));
        packed
    }

    /// Fills `out` (n × m) with the scores of every row against `m` packed ones, in tiles.
    pub fn scores_by_row(
        self,
        isa: InstructionSet,
        (m, packed): (usize, &Right<f32>),
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
        product::measures(isa, measure, (n, columns.of(rows)), packed, matrix);
        match self {
            Self::Dot => {}
            Self::NegativeL2 => out.iter_mut().for_each(|score| *score = -score.sqrt()),
            _ => vector::scale(isa, out, -1.0),
        }
    }

    /// The score of one row with each of the others.
    pub fn scores(self, isa: InstructionSet, left: &[f32], rights: &[&[f32]], out: &mut [f32]) {
        match self {
            Self::Dot => pairs::product_scores(isa, left, rights, out),
            Self::NegativeL1 => pairs::l1_scores(isa, left, rights, out),
            Self::NegativeL2 => pairs::l2_scores(isa, left, rights, out),
            Self::NegativeModulus => pairs::modulus_scores(isa, left, rights, out),
        }
    }

    /// Adds what the pairs say of their left row.
    pub fn add_gradient(self, isa: InstructionSet, pairs: &Pairs<'_>, out: &mut [f32]) {
        match self {
            Self::Dot => pairs::add_product_gradient(isa, pairs, out),
            Self::NegativeL1 => pairs::add_l1_gradient(isa, pairs, out),
            Self::NegativeL2 => pairs::add_l2_gradient(isa, pairs, out),
            Self::NegativeModulus => pairs::add_modulus_gradient(isa, pairs, out),
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
        self.add_query_gradient(isa, block, dq);
        self.add_row_gradient(isa, block, de);
    }

    /// Adds the block's share of ∂loss/∂queries to `out` (m × width).
    pub fn add_query_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, coefficients, .. } = *block;
        let [m, n] = block.size();
        if self == Self::Dot {
            let (rows, out) = (columns.of(rows), columns.of_mut(out));
            let coefficients = Matrix { values: coefficients, stride: n };
            return product::add_product(isa, [m, n, columns.n], coefficients.into(), rows, out);
        }
        self.add_each(isa, block, [queries, rows], [n, 1], out);
    }

    /// Adds the block's share of ∂loss/∂rows to `out` (n × width).
    pub fn add_row_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, coefficients, .. } = *block;
        let [m, n] = block.size();
        if self == Self::Dot {
            let (queries, out) = (columns.of(queries), columns.of_mut(out));
            let coefficients = Matrix { values: coefficients, stride: n }.transposed();
            return product::add_product(isa, [n, m, columns.n], coefficients, queries, out);
        }
        self.add_each(isa, block, [rows, queries], [1, n], out);
    }

    /// Adds the gradient of every left row; from one of them to the next, coefficients are the
    /// first stride apart, from one of the others to the next the second.
    fn add_each(
        self,
        isa: InstructionSet,
        block: &Block<'_>,
        [lefts, rights]: [&[f32]; 2],
        [step, stride]: [usize; 2],
        out: &mut [f32],
    ) {
        let Block { columns, coefficients, scores, .. } = *block;
        let rights = columns.rows(rights);
        let targets = out.chunks_exact_mut(columns.width);
        for (i, (left, target)) in lefts.chunks_exact(columns.width).zip(targets).enumerate() {
            let scores = if self.needs_scores() { &scores[i * step..] } else { &[] };
            let (left, coefficients) = (columns.slice(left), &coefficients[i * step..]);
            let pairs = Pairs { left, rights: &rights, coefficients, scores, stride };
            self.add_gradient(isa, &pairs, columns.slice_mut(target));
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
    fn scores_are_near_the_definition_and_the_same_in_any_block() {
        for similarity in Similarity::ALL {
            for width in [2, 6, 38, 200] {
                let (m, n) = (5, 11);
                let columns = Columns::from(width);
                let (queries, rows) = (filled(m * width, 1), filled(n * width, 2));
                let apart = columns.rows(&rows);
                for isa in sets() {
                    let packed = similarity.pack(&queries, columns);
                    let mut by_row = vec![0.0; m * n];
                    similarity.scores_by_row(isa, (m, &packed), &rows, columns, &mut by_row);
                    let mut alone = [0.0];
                    let first = similarity.pack(&queries[..width], columns);
                    let last = &rows[(n - 1) * width..];
                    similarity.scores_by_row(isa, (1, &first), last, columns, &mut alone);
                    assert_eq!(alone[0].to_bits(), by_row[(n - 1) * m].to_bits());
                    for i in 0..m {
                        let q = &queries[i * width..][..width];
                        let mut out = vec![0.0; n];
                        similarity.scores(isa, q, &apart, &mut out);
                        for j in 0..n {
                            let mut one = [0.0];
                            similarity.scores(isa, apart[j], &[q], &mut one);
                            assert_eq!(one[0].to_bits(), out[j].to_bits(), "the same both ways");
                            let exact = plain(similarity, q, apart[j]);
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
        for width in [6, 46, 200] {
            gradients_at(width);
        }
    }

    fn gradients_at(width: usize) {
        let (m, n) = (3, 4);
        // On two grids that never meet: no difference is near zero, where a distance has a kink.
        let on_grid = |values: Vec<f32>, offset: f32| -> Vec<f32> {
            values.into_iter().map(|x| (8.0 * x).round() / 8.0 + offset).collect()
        };
        let queries = on_grid(filled(m * width, 3), 0.0);
        let rows = on_grid(filled(n * width, 4), 1.0 / 16.0);
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
                let apart = Columns::from(width).rows(&rows);
                let queries_apart = queries.chunks_exact(width);
                for (query, out) in queries_apart.zip(scores.chunks_exact_mut(n)) {
                    similarity.scores(isa, query, &apart, out);
                }
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
