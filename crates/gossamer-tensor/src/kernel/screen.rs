//! Which products are above a threshold, decided by bf16 factors wherever these can decide it.
//!
//! With q̂ and ê the factors rounded to bf16, n their number and u = 2⁻²⁴, the product that f32 tiles
//! sum is as near to that of the rounded ones as
//! |q·e − q̂·ê| ≤ ‖q − q̂‖·‖e‖ + ‖q̂‖·‖e − ê‖ + 4·n·u·‖q‖·‖e‖ (Cauchy–Schwarz, and what sums of n
//! terms lose). A product that is farther from the threshold is decided; the others are listed.
//!
//! *Invariant:* what is decided is decided as the f32 score decides it; numbers that are not finite
//! are never decided.

use gossamer_machine::InstructionSet;

use super::pack::{Left, Matrix, Right};
use super::product::tiles;
use super::tile::{Factor, Pair, STRIP, TILE_ROWS};

/// What is smaller counts as zero somewhere in a product of bf16 factors.
const FLUSHED: f32 = 4.0 * f32::MIN_POSITIVE;

/// Rows as bf16 factors, with their norms ‖e‖ and ‖e − ê‖, not less than they are.
#[derive(Debug, Default)]
pub struct ScreenedRows {
    factors: Vec<Pair>,
    norms: Vec<[f32; 2]>,
    columns: usize,
}

impl ScreenedRows {
    /// Takes the first `columns` numbers of `n` rows in place of what was there.
    pub fn take(&mut self, isa: InstructionSet, [n, columns]: [usize; 2], source: Matrix<'_>) {
        self.columns = columns;
        self.factors.resize(n * columns.div_ceil(2), Pair::default());
        self.norms.resize(n, [0.0; 2]);
        round_rows(isa, columns, source, &mut self.factors, &mut self.norms);
    }

    /// Bytes of so many rows.
    pub fn bytes_for(n: usize, columns: usize) -> u64 {
        (4 * n * columns.div_ceil(2) + 8 * n) as u64
    }
}

/// Queries, each with its threshold.
#[derive(Debug)]
pub struct Screen {
    queries: Right<Pair>,
    thresholds: Vec<f32>,
    /// How far a product may be from that of the rounded factors, for each ‖e‖, for each ‖e − ê‖,
    /// and whatever the row.
    slack: Vec<[f32; 3]>,
}

impl Screen {
    /// Of `thresholds.len()` queries with so many numbers.
    pub fn new(
        isa: InstructionSet,
        columns: usize,
        queries: Matrix<'_>,
        thresholds: Vec<f32>,
    ) -> Self {
        let n = thresholds.len();
        let mut packed = Right::default();
        packed.pack_transposed(isa, columns, n, queries);
        let mut rounded = ScreenedRows::default();
        rounded.take(isa, [n, columns], queries);
        let terms = columns as f32;
        let slack = rounded.norms.iter().zip(&thresholds).map(|([norm, lost], threshold)| {
            [
                lost + 4.0 * terms * f32::EPSILON / 2.0 * norm + terms * FLUSHED,
                norm + lost,
                terms * FLUSHED * (1.0 + norm) + threshold.abs() * 4.0 * f32::EPSILON,
            ]
        });
        Self { slack: slack.collect(), queries: packed, thresholds }
    }

    /// Bytes of so many queries.
    pub fn bytes_for(n: usize, columns: usize) -> u64 {
        let packed = 4 * n.next_multiple_of(STRIP) * columns.div_ceil(2);
        packed as u64 + ScreenedRows::bytes_for(n, columns) + 16 * n as u64
    }

    /// Adds for each query how many rows are surely above its threshold, and lists what is neither
    /// surely above nor surely below: [query, row].
    pub fn sift(
        &self,
        isa: InstructionSet,
        rows: &ScreenedRows,
        above: &mut [u32],
        unsure: &mut Vec<[u32; 2]>,
    ) {
        let row = rows.columns.div_ceil(2);
        let left = Left { values: &rows.factors[..], row, step: 1 };
        let mut bounds = [[0.0; STRIP]; 2];
        tiles(isa, rows.norms.len(), left, &self.queries, Pair::tile, |tile, taken, columns| {
            let ([i, height], [first, columns]) = (taken, columns);
            self.bound(&rows.norms[i..i + height], first..first + columns, &mut bounds);
            let (mut counts, mut open) = ([0; STRIP], [0; TILE_ROWS]);
            count(isa, &tile[..height], &bounds, &mut counts, &mut open);
            let above = &mut above[first..first + columns];
            above.iter_mut().zip(counts).for_each(|(above, count)| *above += count);
            for (place, _) in open[..height].iter().enumerate().filter(|(_, open)| **open != 0) {
                for (column, score) in tile[place][..columns].iter().enumerate() {
                    if !(*score > bounds[1][column] || *score < bounds[0][column]) {
                        unsure.push([(first + column) as u32, (i + place) as u32]);
                    }
                }
            }
        });
    }

    /// Where a product with one of a few rows is surely below, and above, a query's threshold.
    fn bound(
        &self,
        norms: &[[f32; 2]],
        queries: std::ops::Range<usize>,
        bounds: &mut [[f32; STRIP]; 2],
    ) {
        // A norm that is no number decides nothing: the largest of all is then none either.
        let largest = |place: usize| {
            let of = norms.iter().map(|norms| norms[place]);
            of.fold(0.0f32, |most, norm| if norm <= most || most.is_nan() { most } else { norm })
        };
        let (norm, lost) = (largest(0), largest(1));
        let [low, high] = bounds;
        // Columns of the strip without a query are below.
        (*low, *high) = ([f32::INFINITY; STRIP], [f32::INFINITY; STRIP]);
        let of_queries = self.thresholds[queries.clone()].iter().zip(&self.slack[queries]);
        for ((low, high), (threshold, slack)) in low.iter_mut().zip(high).zip(of_queries) {
            let slack = (slack[0] * norm + slack[1] * lost + slack[2]) * 1.0001;
            (*low, *high) = (threshold - slack, threshold + slack);
        }
    }
}

for_each_instruction_set! {
    /// Counts scores above the upper bound; marks rows with a score within the bounds.
    fn count(
        tile: &[[f32; STRIP]],
        bounds: &[[f32; STRIP]; 2],
        counts: &mut [u32; STRIP],
        open: &mut [u32; TILE_ROWS],
    ) {
        let [low, high] = bounds;
        for (scores, open) in tile.iter().zip(open) {
            let mut any = 0;
            for column in 0..STRIP {
                let score = scores[column];
                // What is no number is neither above nor below.
                let (above, below) = (score > high[column], score < low[column]);
                counts[column] += u32::from(above);
                any |= u32::from(!(above | below));
            }
            *open = any;
        }
    }
}

for_each_instruction_set! {
    /// Rows of numbers as rows of pairs, and bounds of their norms and of the norms of what is
    /// lost.
    fn round_rows(
        columns: usize,
        source: Matrix<'_>,
        factors: &mut [Pair],
        norms: &mut [[f32; 2]],
    ) {
        const LANES: usize = 16;
        let out = factors.chunks_exact_mut(columns.div_ceil(2)).zip(norms);
        for (row, (factors, norms)) in out.enumerate() {
            let row = &source.values[row * source.stride..][..columns];
            let (full, rest) = row.as_chunks::<{ 2 * LANES }>();
            let (of_full, of_rest) = factors.split_at_mut(full.len() * LANES);
            let mut sums = [[0.0f32; LANES]; 2];
            for (numbers, factors) in full.iter().zip(of_full.as_chunks_mut::<LANES>().0) {
                for lane in 0..LANES {
                    let [first, second] = [numbers[2 * lane], numbers[2 * lane + 1]];
                    factors[lane] = Pair::new(first, second);
                    let [one, two] = factors[lane].get();
                    let lost = [first - one, second - two];
                    sums[0][lane] += first * first + second * second;
                    sums[1][lane] += lost[0] * lost[0] + lost[1] * lost[1];
                }
            }
            for ((numbers, factor), lane) in rest.chunks(2).zip(of_rest).zip(0..) {
                let [first, second] = [numbers[0], numbers.get(1).copied().unwrap_or(0.0)];
                *factor = Pair::new(first, second);
                let [one, two] = factor.get();
                let lost: [f32; 2] = [first - one, second - two];
                sums[0][lane] += first * first + second * second;
                sums[1][lane] += lost[0] * lost[0] + lost[1] * lost[1];
            }
            // Less is lost by rounding sums and roots, and by squares too small for a float.
            let more = 1.0 + (columns + 64) as f32 * f32::EPSILON;
            let least = columns as f32 * f32::MIN_POSITIVE;
            *norms = sums.map(|sums| (sums.iter().sum::<f32>() + least).sqrt() * more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::similarity::{Columns, Similarity};
    use super::*;
    use gossamer_machine::{Address, Purpose};

    fn filled(n: usize, seed: u64, scale: impl Fn(usize) -> f32) -> Vec<f32> {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        (0..n).map(|i| scale(i) * address.symmetric(i as u32, 0)[0]).collect()
    }

    /// Sifts, settles what is unsure by f32 scores, and compares with counting f32 scores alone.
    fn compare(width: usize, queries: &[f32], rows: &[f32], of: impl Fn(f32) -> f32) -> usize {
        let [m, n] = [queries.len() / width, rows.len() / width];
        let (columns, mut left) = (Columns::from(width), 0);
        for isa in InstructionSet::all() {
            let mut exact = vec![0.0; m * n];
            let packed = Similarity::Dot.pack(isa, queries, columns);
            Similarity::Dot.scores_by_row(isa, &packed, rows, columns, &mut exact);
            let thresholds: Vec<f32> = (0..m).map(|query| of(exact[query])).collect();
            let expected: Vec<u32> = (0..m)
                .map(|query| {
                    let scores = exact.iter().skip(query).step_by(m);
                    scores.filter(|score| **score > thresholds[query]).count() as u32
                })
                .collect();
            let matrix = |values| Matrix { values, stride: width };
            let screen = Screen::new(isa, width, matrix(queries), thresholds.clone());
            let mut screened = ScreenedRows::default();
            screened.take(isa, [n, width], matrix(rows));
            let (mut above, mut unsure) = (vec![0; m], Vec::new());
            screen.sift(isa, &screened, &mut above, &mut unsure);
            for [query, row] in &unsure {
                let score = exact[*row as usize * m + *query as usize];
                above[*query as usize] += u32::from(score > thresholds[*query as usize]);
            }
            assert_eq!(above, expected, "{isa:?} {width}");
            // Each row is first a query's own: a tie, which nothing but f32 may decide.
            let ties = (0..m).filter(|query| thresholds[*query] == exact[*query]);
            let tied = unsure.iter().filter(|[_, row]| *row == 0).count();
            assert!(tied >= ties.count(), "{isa:?}");
            left = unsure.len();
        }
        left
    }

    #[test]
    fn what_is_decided_is_decided_as_by_f32_and_most_is() {
        for width in [1, 2, 7, 32, 100, 201] {
            let (m, n) = (45, 150);
            let queries = filled(m * width, 1, |i| 1.0 + (i / width % 7) as f32);
            let rows = filled(n * width, 2, |i| 0.01 * (1 + i / width % 3) as f32);
            let left = compare(width, &queries, &rows, |own| own);
            assert!(width < 32 || left < m * n / 10, "{left} of {}", m * n);
        }
    }

    #[test]
    fn hardly_a_difference_is_left_to_f32() {
        // All rows nearly the same: nothing can be decided, and nothing is.
        let (width, m, n) = (40, 33, 40);
        let queries = filled(m * width, 3, |_| 1.0);
        let one = filled(width, 4, |_| 1.0);
        let rows: Vec<f32> = (0..n * width)
            .map(|i| one[i % width] * (1.0 + (i / width) as f32 * f32::EPSILON))
            .collect();
        assert_eq!(compare(width, &queries, &rows, |own| own), m * n);
    }

    #[test]
    fn what_is_not_finite_or_hardly_anything_is_left_to_f32() {
        let (width, m, n) = (6, 3, 20);
        let mut queries = filled(m * width, 5, |_| 1.0);
        let mut rows = filled(n * width, 6, |_| 1.0);
        queries[width] = f32::MAX;
        rows[5 * width + 1] = f32::NAN;
        rows[6 * width] = f32::INFINITY;
        rows[7 * width] = f32::MAX;
        rows[8 * width + 2] = f32::from_bits(0x7FFF_FFFF);
        compare(width, &queries, &rows, |own| own);
        let small = rows.iter().map(|value| value * 1e-38).collect::<Vec<_>>();
        compare(width, &queries, &small, |own| own * 1.01);
    }
}
