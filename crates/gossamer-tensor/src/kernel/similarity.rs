//! The closed list of similarities between a query and a row, as blocks forward and backward.
//!
//! Queries against rows that stand together are taken in tiles ([`Similarity::scores_by_row`]); a
//! query against rows that stand anywhere, or a row against queries, is taken pair by pair
//! ([`Similarity::scores`]). A similarity whose queries are wider than rows knows pairs alone. Shapes
//! of blocks: queries (m × width), rows (n × width), scores and coefficients (m × n).
//!
//! *Invariant:* the score of a pair has the same bits in a block of any size. Tiles sum along the
//! width in order, pairs in lanes: what is ranked or shown comes from [`Similarity::scores_by_row`]
//! alone.

use gossamer_machine::InstructionSet;

use super::measure::Measure;
use super::pack::{Left, Matrix, MatrixMut, Right};
use super::pairs::{self, Pairs};
use super::product;
use super::vector;
use super::wide::{biased_square, polar};

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
    /// −Σ |a − w·e|, queries being [a | w].
    NegativeScaledL1,
    /// −Σ (a − w·e)² + b + c, queries being [a | w | b], rows [e | c].
    NegativeBiasedSquare,
    /// −√Σ (a − w·m)² − λ·Σ |sin(κ·(q − p)/2)|, queries being [a | w | q | λ], rows [m | p];
    /// κ = π/8 times the phases of a row.
    NegativePolar,
}

/// How wide queries or rows are, and which of their floats are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Floats of each.
    pub width: usize,
    /// The first that counts.
    pub first: usize,
    /// How many count.
    pub n: usize,
}

/// What of queries and of rows is compared.
///
/// A product may leave out floats in which every query is zero; all else is over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Of queries.
    pub queries: Span,
    /// Of rows.
    pub rows: Span,
}

impl From<usize> for Span {
    /// All floats.
    fn from(width: usize) -> Self {
        Self { width, first: 0, n: width }
    }
}

impl From<usize> for Columns {
    /// All floats of queries and rows that are equally wide.
    fn from(width: usize) -> Self {
        Self { queries: width.into(), rows: width.into() }
    }
}

impl Span {
    /// What counts, as a matrix.
    pub fn of(self, values: &[f32]) -> Matrix<'_> {
        Matrix { values: &values[self.first..], stride: self.width }
    }

    /// As [`of`](Self::of), to be written.
    pub fn of_mut(self, values: &mut [f32]) -> MatrixMut<'_> {
        MatrixMut { values: &mut values[self.first..], stride: self.width }
    }

    /// The floats of one that count.
    pub fn slice(self, row: &[f32]) -> &[f32] {
        &row[self.first..][..self.n]
    }

    /// As [`slice`](Self::slice), to be written.
    pub fn slice_mut(self, row: &mut [f32]) -> &mut [f32] {
        &mut row[self.first..][..self.n]
    }

    /// What counts of each.
    pub fn each(self, values: &[f32]) -> Vec<&[f32]> {
        values.chunks_exact(self.width).map(|row| self.slice(row)).collect()
    }

    /// How many there are.
    fn count(self, values: &[f32]) -> usize {
        values.len() / self.width
    }
}

/// Queries made ready for [`Similarity::scores_by_row`].
pub struct Packed {
    n: usize,
    form: Form,
}

/// For tiles, or as they were.
enum Form {
    Tiles(Right<f32>),
    Plain(Vec<f32>),
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
    /// The scores; read only where [`Similarity::needs_scores`].
    pub scores: &'a [f32],
    /// The derivative of the loss by each score.
    pub coefficients: &'a [f32],
    /// From a query's score or coefficient to the next query's, and from a row's to the next row's.
    pub strides: [usize; 2],
}

impl Block<'_> {
    /// Queries and rows.
    fn size(&self) -> [usize; 2] {
        [self.columns.queries.count(self.queries), self.columns.rows.count(self.rows)]
    }
}

impl Similarity {
    /// Every similarity, for tests that loop over them.
    pub const ALL: [Self; 7] = [
        Self::Dot,
        Self::NegativeL1,
        Self::NegativeL2,
        Self::NegativeModulus,
        Self::NegativeScaledL1,
        Self::NegativeBiasedSquare,
        Self::NegativePolar,
    ];

    /// Floats of a query for rows of this width.
    pub fn query_width(self, row: usize) -> usize {
        match self {
            Self::Dot | Self::NegativeL1 | Self::NegativeL2 | Self::NegativeModulus => row,
            Self::NegativeScaledL1 => 2 * row,
            Self::NegativeBiasedSquare => 2 * row - 1,
            Self::NegativePolar => 3 * (row / 2) + 1,
        }
    }

    /// What compares rows with each other as this compares queries with rows.
    pub fn between_rows(self) -> Self {
        match self {
            Self::NegativeScaledL1 => Self::NegativeL1,
            Self::NegativeBiasedSquare | Self::NegativePolar => Self::NegativeL2,
            other => other,
        }
    }

    /// True if the backward pass reads the scores themselves.
    pub fn needs_scores(self) -> bool {
        self == Self::NegativeL2
    }

    /// What tiles sum for it; nothing where queries are wider than rows.
    fn measure(self) -> Option<Measure> {
        match self {
            Self::Dot => Some(Measure::Product),
            Self::NegativeL1 => Some(Measure::L1),
            Self::NegativeL2 => Some(Measure::Square),
            Self::NegativeModulus => Some(Measure::Modulus),
            Self::NegativeScaledL1 | Self::NegativeBiasedSquare | Self::NegativePolar => None,
        }
    }

    /// Packs queries for [`scores_by_row`](Self::scores_by_row).
    pub fn pack(self, isa: InstructionSet, queries: &[f32], columns: Columns) -> Packed {
        let (span, n) = (columns.queries, columns.queries.count(queries));
        let form = match self.measure() {
            Some(_) => {
                let mut packed = Right::default();
                packed.pack_transposed(isa, span.n, n, span.of(queries));
                Form::Tiles(packed)
            }
            None => Form::Plain(queries.to_vec()),
        };
        Packed { n, form }
    }

    /// Fills `out` (n × m) with the scores of every row against every packed query.
    pub fn scores_by_row(
        self,
        isa: InstructionSet,
        packed: &Packed,
        rows: &[f32],
        columns: Columns,
        out: &mut [f32],
    ) {
        let n = columns.rows.count(rows);
        match (&packed.form, self.measure()) {
            (Form::Tiles(queries), Some(measure)) => {
                let matrix = MatrixMut { values: &mut *out, stride: packed.n };
                product::measures(isa, measure, (n, columns.rows.of(rows)), queries, matrix);
                self.finish(isa, out);
            }
            (Form::Plain(queries), None) => {
                let (rows, mut scores) = (columns.rows.each(rows), vec![0.0; n]);
                for (place, query) in queries.chunks_exact(columns.queries.width).enumerate() {
                    self.scores(isa, query, &rows, &mut scores);
                    let column = out.iter_mut().skip(place).step_by(packed.n);
                    column.zip(&scores).for_each(|(out, score)| *out = *score);
                }
            }
            _ => unreachable!("packed for another similarity"),
        }
    }

    /// Fills `out` (m × n) with the scores of every query against every row; rows are packed in
    /// `room`.
    pub fn scores_by_query(
        self,
        isa: InstructionSet,
        (queries, rows): (&[f32], &[f32]),
        columns: Columns,
        room: &mut Right<f32>,
        out: &mut [f32],
    ) {
        let n = columns.rows.count(rows);
        if let Some(measure) = self.measure() {
            room.pack_transposed(isa, columns.rows.n, n, columns.rows.of(rows));
            let queries = (columns.queries.count(queries), columns.queries.of(queries));
            let matrix = MatrixMut { values: &mut *out, stride: n };
            product::measures(isa, measure, queries, room, matrix);
            return self.finish(isa, out);
        }
        let rows = columns.rows.each(rows);
        let queries = queries.chunks_exact(columns.queries.width);
        queries.zip(out.chunks_exact_mut(n)).for_each(|(query, out)| {
            self.scores(isa, query, &rows, out);
        });
    }

    /// Turns sums of tiles into scores.
    fn finish(self, isa: InstructionSet, sums: &mut [f32]) {
        match self {
            Self::Dot => {}
            Self::NegativeL2 => sums.iter_mut().for_each(|score| *score = -score.sqrt()),
            _ => vector::scale(isa, sums, -1.0),
        }
    }

    /// The score of one query with each of the rows.
    pub fn scores(self, isa: InstructionSet, query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        match self {
            Self::Dot => pairs::product_scores(isa, query, (rows, 0), out),
            Self::NegativeL1 => pairs::l1_scores(isa, query, (rows, 0), out),
            Self::NegativeL2 => pairs::l2_scores(isa, query, (rows, 0), out),
            Self::NegativeModulus => pairs::modulus_scores(isa, query, (rows, 0), out),
            Self::NegativeScaledL1 => pairs::scaled_l1_scores(isa, query, (rows, 0), out),
            Self::NegativeBiasedSquare => biased_square::scores(isa, query, rows, out),
            Self::NegativePolar => polar::scores(isa, query, rows, out),
        }
    }

    /// Adds what pairs of a query with rows say of the query.
    pub fn add_to_query(self, isa: InstructionSet, pairs: &Pairs<'_>, out: &mut [f32]) {
        match self {
            Self::NegativeScaledL1 => pairs::add_scaled_l1(isa, pairs, out),
            Self::NegativeBiasedSquare => biased_square::add_query_gradient(isa, pairs, out),
            Self::NegativePolar => polar::add_query_gradient(isa, pairs, out),
            same_both_ways => same_both_ways.add_to_row(isa, pairs, out),
        }
    }

    /// Adds what pairs of a row with queries say of the row.
    pub fn add_to_row(self, isa: InstructionSet, pairs: &Pairs<'_>, out: &mut [f32]) {
        match self {
            Self::Dot => pairs::add_product_gradient(isa, pairs, out),
            Self::NegativeL1 => pairs::add_l1_gradient(isa, pairs, out),
            Self::NegativeL2 => pairs::add_l2_gradient(isa, pairs, out),
            Self::NegativeModulus => pairs::add_modulus_gradient(isa, pairs, out),
            Self::NegativeScaledL1 => pairs::add_scaling_l1(isa, pairs, out),
            Self::NegativeBiasedSquare => biased_square::add_row_gradient(isa, pairs, out),
            Self::NegativePolar => polar::add_row_gradient(isa, pairs, out),
        }
    }

    /// Adds the block's share of ∂loss/∂queries to `out` (m × width).
    pub fn add_query_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, coefficients, scores, strides } = *block;
        let [m, n] = block.size();
        if self == Self::Dot {
            let left = Left { values: coefficients, row: strides[0], step: strides[1] };
            let (rows, out) = (columns.rows.of(rows), columns.queries.of_mut(out));
            return product::add_product(isa, [m, n, columns.rows.n], left, rows, out);
        }
        let rights = columns.rows.each(rows);
        let targets = out.chunks_exact_mut(columns.queries.width);
        for (i, (left, out)) in columns.queries.each(queries).iter().zip(targets).enumerate() {
            let pairs = Pairs::new(left, &rights, [coefficients, scores], i, strides);
            self.add_to_query(isa, &pairs, columns.queries.slice_mut(out));
        }
    }

    /// Adds the block's share of ∂loss/∂rows to `out` (n × width).
    pub fn add_row_gradient(self, isa: InstructionSet, block: &Block<'_>, out: &mut [f32]) {
        let Block { queries, rows, columns, coefficients, scores, strides } = *block;
        let [m, n] = block.size();
        let strides = [strides[1], strides[0]];
        if self == Self::Dot {
            let left = Left { values: coefficients, row: strides[0], step: strides[1] };
            let (queries, out) = (columns.queries.of(queries), columns.rows.of_mut(out));
            return product::add_product(isa, [n, m, columns.rows.n], left, queries, out);
        }
        let rights = columns.queries.each(queries);
        let targets = out.chunks_exact_mut(columns.rows.width);
        for (i, (left, out)) in columns.rows.each(rows).iter().zip(targets).enumerate() {
            let pairs = Pairs::new(left, &rights, [coefficients, scores], i, strides);
            self.add_to_row(isa, &pairs, columns.rows.slice_mut(out));
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
        let at = |row: &[f32], i: usize| f64::from(row[i]);
        let n = e.len();
        let sum = |n: usize, term: &dyn Fn(usize) -> f64| (0..n).map(term).sum::<f64>();
        let apart = |i: usize| at(q, i) - at(e, i);
        let scaled = |n: usize, i: usize| at(q, i) - at(q, n + i) * at(e, i);
        match similarity {
            Similarity::Dot => sum(n, &|i| at(q, i) * at(e, i)),
            Similarity::NegativeL1 => -sum(n, &|i| apart(i).abs()),
            Similarity::NegativeL2 => -sum(n, &|i| apart(i).powi(2)).sqrt(),
            Similarity::NegativeModulus => -sum(n / 2, &|i| apart(i).hypot(apart(n / 2 + i))),
            Similarity::NegativeScaledL1 => -sum(n, &|i| scaled(n, i).abs()),
            Similarity::NegativeBiasedSquare => {
                let n = n - 1;
                at(q, 2 * n) + at(e, n) - sum(n, &|i| scaled(n, i).powi(2))
            }
            Similarity::NegativePolar => {
                let n = n / 2;
                let kappa = std::f64::consts::PI * n as f64 / 8.0;
                let phase = |i: usize| kappa * (at(q, 2 * n + i) - at(e, n + i)) / 2.0;
                let moduli = sum(n, &|i| scaled(n, i).powi(2)).sqrt();
                -moduli - at(q, 3 * n) * sum(n, &|i| phase(i).sin().abs())
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
                scores_at(similarity, width);
            }
        }
    }

    fn scores_at(similarity: Similarity, width: usize) {
        let (m, n, of_query) = (5, 11, similarity.query_width(width));
        let columns = Columns { queries: of_query.into(), rows: width.into() };
        let (queries, rows) = (filled(m * of_query, 1), filled(n * width, 2));
        let apart = columns.rows.each(&rows);
        for isa in sets() {
            let packed = similarity.pack(isa, &queries, columns);
            let mut by_row = vec![0.0; m * n];
            similarity.scores_by_row(isa, &packed, &rows, columns, &mut by_row);
            let mut alone = [0.0];
            let first = similarity.pack(isa, &queries[..of_query], columns);
            let last = &rows[(n - 1) * width..];
            similarity.scores_by_row(isa, &first, last, columns, &mut alone);
            assert_eq!(alone[0].to_bits(), by_row[(n - 1) * m].to_bits());
            let mut by_query = vec![0.0; m * n];
            let (both, room) = ((&queries[..], &rows[..]), &mut Right::default());
            similarity.scores_by_query(isa, both, columns, room, &mut by_query);
            for (i, query) in queries.chunks_exact(of_query).enumerate() {
                let mut out = vec![0.0; n];
                similarity.scores(isa, query, &apart, &mut out);
                for j in 0..n {
                    let mut one = [0.0];
                    similarity.scores(isa, query, &apart[j..=j], &mut one);
                    assert_eq!(one[0].to_bits(), out[j].to_bits(), "the same alone");
                    let exact = plain(similarity, query, apart[j]);
                    for found in [by_row[j * m + i], by_query[i * n + j], one[0]] {
                        let error = (f64::from(found) - exact).abs();
                        assert!(error < 2e-5 * (1.0 + exact.abs()), "{similarity:?} {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for similarity in Similarity::ALL {
            for width in [6, 46, 200] {
                for by_row in [false, true] {
                    gradients_at(similarity, width, by_row);
                }
            }
        }
    }

    /// Adding to one number at a time, the loss moves as the gradient says.
    fn check(values: &[f32], gradient: &[f32], name: &str, loss: &dyn Fn(&[f32]) -> f64) {
        let step = 1e-3;
        for i in 0..values.len() {
            let (mut up, mut down) = (values.to_vec(), values.to_vec());
            up[i] += step;
            down[i] -= step;
            let slope = (loss(&up) - loss(&down)) / f64::from(up[i] - down[i]);
            let error = (slope - f64::from(gradient[i])).abs();
            assert!(error < 2e-3 * (1.0 + slope.abs()), "{name} {i}: {slope} {}", gradient[i]);
        }
    }

    fn gradients_at(similarity: Similarity, width: usize, by_row: bool) {
        let (m, n, of_query) = (3, 4, similarity.query_width(width));
        // On two grids that never meet: no difference is near zero, where a distance has a kink.
        let on_grid = |values: Vec<f32>, offset: f32| -> Vec<f32> {
            values.into_iter().map(|x| (8.0 * x).round() / 8.0 + offset).collect()
        };
        let queries = on_grid(filled(m * of_query, 3), 0.0);
        let rows = on_grid(filled(n * width, 4), 3.0 / 64.0);
        let strides = if by_row { [1, m] } else { [n, 1] };
        let coefficients = filled(m * n, 5);
        let pairs = || (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        let pair = |queries: &[f32], rows: &[f32], i: usize, j: usize| {
            plain(similarity, &queries[i * of_query..][..of_query], &rows[j * width..][..width])
        };
        let coefficient = |i: usize, j: usize| coefficients[i * strides[0] + j * strides[1]];
        let loss = |queries: &[f32], rows: &[f32]| -> f64 {
            pairs().map(|(i, j)| f64::from(coefficient(i, j)) * pair(queries, rows, i, j)).sum()
        };
        for isa in sets() {
            let mut scores = vec![0.0; m * n];
            for (i, j) in pairs() {
                scores[i * strides[0] + j * strides[1]] = pair(&queries, &rows, i, j) as f32;
            }
            let columns = Columns { queries: of_query.into(), rows: width.into() };
            let block = Block {
                queries: &queries,
                rows: &rows,
                columns,
                scores: &scores,
                coefficients: &coefficients,
                strides,
            };
            let (mut dq, mut de) = (vec![0.0; m * of_query], vec![0.0; n * width]);
            similarity.add_query_gradient(isa, &block, &mut dq);
            similarity.add_row_gradient(isa, &block, &mut de);
            check(&queries, &dq, &format!("{similarity:?} dq"), &|queries| loss(queries, &rows));
            check(&rows, &de, &format!("{similarity:?} de"), &|rows| loss(&queries, rows));
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
                strides: [1, 1],
            };
            let mut out = [0.0; 4];
            similarity.add_query_gradient(InstructionSet::detect(), &block, &mut out);
            assert_eq!(out, [0.0; 4], "{similarity:?}");
        }
    }
}
