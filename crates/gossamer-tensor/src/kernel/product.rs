//! Matrix products, in f32 or with bf16 factors and f32 sums.
//!
//! The right operand is packed into strips of columns; the left one is read where it lies, by row or
//! by column. Sums go to the result, on what is there, or scaled on what is there.
//!
//! *Invariant:* each element is summed over the inner dimension in order, so an element does not
//! depend on the size of the block around it, nor on which operand is packed (tested).
//! *Not here:* splitting over threads; each call runs on the caller's.

use gossamer_machine::InstructionSet;

use super::measure::Measure;
use super::pack::{Left, Matrix, MatrixMut, Number, Right, width_of};
use super::tile::{Factor, HALF_STRIP, Operands, STRIP, TILE_ROWS, Tile, measured};

/// Where sums go.
#[derive(Debug, Clone, Copy)]
pub enum Put<'a> {
    /// In place of what is there.
    Set,
    /// On what is there.
    Add,
    /// On what is there, times a number for each row.
    AddScaled(&'a [f32]),
}

for_each_instruction_set! {
    /// Writes the sums of a tile to rows that lie `stride` floats apart.
    fn put_rows(tile: &[[f32; STRIP]], columns: usize, put: Put<'_>, out: MatrixMut<'_>) {
        let MatrixMut { values, stride } = out;
        for (i, sums) in tile.iter().enumerate() {
            let out = &mut values[i * stride..][..columns];
            match put {
                Put::Set => out.copy_from_slice(&sums[..columns]),
                Put::Add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                Put::AddScaled(factors) => {
                    let factor = factors[i];
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += factor * sum);
                }
            }
        }
    }
}

/// The product of `rows` rows of the left operand with the right one, put to `out`.
pub fn multiply<T: Factor>(
    isa: InstructionSet,
    rows: usize,
    left: Left<'_, T>,
    right: &Right<T>,
    put: Put<'_>,
    out: MatrixMut<'_>,
) {
    tiles(isa, rows, left, right, T::tile, |tile, [i, height], [first, columns]| {
        let put = match put {
            Put::AddScaled(factors) => Put::AddScaled(&factors[i..]),
            other => other,
        };
        let values = &mut out.values[i * out.stride + first..];
        let out = MatrixMut { values, stride: out.stride };
        put_rows(isa, &tile[..height], columns, put, out);
    });
}

/// Calls `take` with every tile, its first row and rows, its first column and columns.
pub(super) fn tiles<T: Factor>(
    isa: InstructionSet,
    rows: usize,
    left: Left<'_, T>,
    right: &Right<T>,
    sum: impl Fn(&T::Ready, usize, bool, &Operands<'_, T>, &mut Tile),
    mut take: impl FnMut(&Tile, [usize; 2], [usize; 2]),
) {
    let (mut tile, ready) = ([[0.0; STRIP]; TILE_ROWS], T::ready(isa));
    for (first, columns, strip) in right.strips() {
        let half = width_of(columns) == HALF_STRIP;
        let mut i = 0;
        while i < rows {
            let height = T::height(isa, rows - i);
            let (Left { values, row, step }, depth) = (left, right.depth);
            let operands = Operands { depth, left: &values[i * row..], row, step, right: strip };
            sum(&ready, height, half, &operands, &mut tile);
            take(&tile, [i, height], [first, columns]);
            i += height;
        }
    }
}

/// out (n × m): a measure between each row of B (n × k) and each row of A (m × k), A being packed.
pub(super) fn measures(
    isa: InstructionSet,
    measure: Measure,
    (n, b): (usize, Matrix<'_>),
    a: &Right<f32>,
    out: MatrixMut<'_>,
) {
    let sum = |isa: &InstructionSet, rows, half, operands: &Operands<'_, f32>, tile: &mut Tile| {
        measured(*isa, measure, (rows, half), operands, tile);
    };
    tiles(isa, n, b.into(), a, sum, |tile, [i, height], [first, columns]| {
        let values = &mut out.values[i * out.stride + first..];
        let out = MatrixMut { values, stride: out.stride };
        put_rows(isa, &tile[..height], columns, Put::Set, out);
    });
}

/// out (m × n) += A (m × k) · B (k × n), with A's kind of factors. B is packed strip by strip.
pub fn add_product<T: Number>(
    isa: InstructionSet,
    [m, k, n]: [usize; 3],
    a: Left<'_, T>,
    b: Matrix<'_>,
    out: MatrixMut<'_>,
) {
    if m == 0 {
        return;
    }
    let mut right = Right::<T>::default();
    for first in (0..n).step_by(STRIP) {
        let strip = Matrix { values: &b.values[first.min(b.values.len())..], ..b };
        right.pack(isa, k, STRIP.min(n - first), strip, None);
        let out = MatrixMut { values: &mut out.values[first..], stride: out.stride };
        multiply(isa, m, a, &right, Put::Add, out);
    }
}

/// out (m × n) = A (m × k) · Bᵀ, B being (n × k), with factors of a kind; B is packed in `right`.
pub fn rows_by_rows<T: Number>(
    isa: InstructionSet,
    [m, k, n]: [usize; 3],
    [a, b]: [Matrix<'_>; 2],
    right: &mut Right<T>,
    out: MatrixMut<'_>,
) {
    let mut room = Vec::new();
    right.pack_transposed(isa, k, n, b);
    multiply(isa, m, T::left(isa, [m, k], a, &mut room), right, Put::Set, out);
}

#[cfg(test)]
mod tests {
    use super::super::pack::{pairs_along_columns, pairs_along_rows};
    use super::super::tile::Pair;
    use super::*;

    fn filled(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 1e7)
            .collect()
    }

    fn of(values: &[f32], stride: usize) -> Matrix<'_> {
        Matrix { values, stride }
    }

    /// As [`super::rows_by_rows`], of rows without gaps and in f32.
    fn rows_by_rows(isa: InstructionSet, m_k_n: [usize; 3], a: &[f32], b: &[f32], out: &mut [f32]) {
        let [_, k, n] = m_k_n;
        let (both, mut room) = ([of(a, k), of(b, k)], Right::<f32>::default());
        super::rows_by_rows(isa, m_k_n, both, &mut room, to(out, n));
    }

    fn to(values: &mut [f32], stride: usize) -> MatrixMut<'_> {
        MatrixMut { values, stride }
    }

    #[test]
    fn products_equal_their_definition_on_small_whole_numbers() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 × 3
        let b = [1.0, 0.0, 2.0, -1.0, 1.0, 1.0]; // 2 × 3
        for isa in InstructionSet::all() {
            let mut out = [0.0; 4];
            rows_by_rows(isa, [2, 3, 2], &a, &b, &mut out);
            assert_eq!(out, [7.0, 4.0, 16.0, 7.0]);
            let mut sum = [1.0; 6];
            let left = of(&[1.0, 2.0, 0.0, 1.0], 2).into();
            add_product(isa, [2, 2, 3], left, of(&b, 3), to(&mut sum, 3));
            assert_eq!(sum, [0.0, 3.0, 5.0, 0.0, 2.0, 2.0]);
            let mut sum = [0.0; 9];
            add_product(isa, [3, 2, 3], of(&a, 3).transposed(), of(&b, 3), to(&mut sum, 3));
            assert_eq!(sum, [-3.0, 4.0, 6.0, -3.0, 5.0, 9.0, -3.0, 6.0, 12.0]);
        }
    }

    /// Small whole numbers have no rounding in bf16.
    fn products_with<T: Number>(isa: InstructionSet) {
        for [m, k, n] in [[1, 1, 1], [3, 2, 5], [13, 7, 33], [29, 12, 40]] {
            let whole = |n: usize, by: usize| -> Vec<f32> {
                (0..n).map(|i| (i * by % 9) as f32 - 4.0).collect()
            };
            // With a gap of two after each row of one operand and of the result.
            let (a, b, columns) = (whole(m * (k + 2), 5), whole(n * k, 7), whole(k * n, 4));
            let sum = |term: &dyn Fn(usize) -> f32| (0..k).map(term).sum::<f32>();
            let mut scores = vec![9.0; m * (n + 2)];
            let mut added = vec![9.0; m * (n + 2)];
            let (both, mut right) = ([of(&a, k + 2), of(&b, k)], Right::<T>::default());
            super::rows_by_rows(isa, [m, k, n], both, &mut right, to(&mut scores, n + 2));
            let mut room = Vec::new();
            let left = T::left(isa, [m, k], of(&a, k + 2), &mut room);
            add_product(isa, [m, k, n], left, of(&columns, n), to(&mut added, n + 2));
            let tall = whole(k * m, 2);
            let mut turned = vec![9.0; m * (n + 2)];
            let left = T::left_transposed(isa, m, &tall, &mut room);
            add_product(isa, [m, k, n], left, of(&columns, n), to(&mut turned, n + 2));
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let at = i * (n + 2) + j;
                assert_eq!(scores[at], sum(&|c| a[i * (k + 2) + c] * b[j * k + c]));
                assert_eq!(added[at], 9.0 + sum(&|c| a[i * (k + 2) + c] * columns[c * n + j]));
                assert_eq!(turned[at], 9.0 + sum(&|c| tall[c * m + i] * columns[c * n + j]));
            }
            assert!((0..m - 1).all(|i| scores[i * (n + 2) + n] == 9.0), "gaps stay");
        }
    }

    #[test]
    fn products_of_a_kind_equal_their_definition_and_leave_gaps() {
        for isa in InstructionSet::all() {
            products_with::<f32>(isa);
            products_with::<Pair>(isa);
        }
    }

    /// Elements of a product, alone, in blocks and exchanged with their operands.
    fn elements_of<T: Number>(isa: InstructionSet) {
        for k in [6, 200, 513] {
            let (m, n) = (71, 75);
            let (a, b) = (filled(m * k, 1), filled(n * k, 9));
            let product = |a: &[f32], b: &[f32], [rows, columns]: [usize; 2]| {
                let mut out = vec![0.0; rows * columns];
                let shape = [rows, k, columns];
                let (both, mut right) = ([of(a, k), of(b, k)], Right::<T>::default());
                super::rows_by_rows(isa, shape, both, &mut right, to(&mut out, columns));
                out
            };
            let (whole, exchanged) = (product(&a, &b, [m, n]), product(&b, &a, [n, m]));
            for (i, j) in [(0, 0), (3, 70), (70, 74), (17, 33), (31, 64), (47, 16)] {
                let (row, element) = (&a[i * k..], whole[i * n + j].to_bits());
                let one = product(row, &b[j * k..], [1, 1])[0];
                assert_eq!(one.to_bits(), element, "{isa:?} {k}: {i} {j}");
                let at = j.min(n - 2);
                let two = product(row, &b[at * k..], [1, 2])[j - at];
                assert_eq!(two.to_bits(), element, "{isa:?} {k}: {i} {j}");
                let few = product(row, &b[j / 5 * 5 * k..], [1, 5])[j % 5];
                assert_eq!(few.to_bits(), element, "{isa:?} {k}: {i} {j}");
                let first = i.min(m - 20);
                let block = product(&a[first * k..], &b, [20, n])[(i - first) * n + j];
                assert_eq!(block.to_bits(), element, "{isa:?} {k}: {i} {j}");
                assert_eq!(exchanged[j * m + i].to_bits(), element, "{isa:?} {k}: {i} {j}");
            }
        }
    }

    #[test]
    fn an_element_does_not_depend_on_the_block_around_it() {
        for isa in InstructionSet::all() {
            elements_of::<f32>(isa);
            elements_of::<Pair>(isa);
        }
    }

    #[test]
    fn pairs_along_columns_become_pairs_along_rows() {
        for isa in InstructionSet::all() {
            for (n, m) in [(1usize, 1usize), (2, 2), (5, 7), (8, 33)] {
                let values: Vec<f32> = (0..n * m).map(|i| i as f32).collect();
                let mut columns = vec![Pair::default(); n.div_ceil(2) * m];
                pairs_along_columns(isa, &values, m, &mut columns);
                let mut rows = vec![Pair::default(); n * m.div_ceil(2)];
                pairs_along_rows(isa, &columns, m, &mut rows);
                for (e, row) in values.chunks(m).enumerate() {
                    for (q, value) in row.iter().enumerate() {
                        let value = Pair::new(*value, 0.0).get()[0];
                        assert_eq!(columns[e / 2 * m + q].get()[e % 2], value);
                        assert_eq!(rows[e * m.div_ceil(2) + q / 2].get()[q % 2], value);
                    }
                }
            }
        }
    }

    #[test]
    fn every_shape_with_bf16_factors_is_near_the_product_of_their_numbers() {
        let rounded = |x: f32| Pair::new(x, 0.0).get()[0];
        for isa in InstructionSet::all() {
            for [m, k, n] in [[1, 1, 1], [5, 7, 3], [13, 64, 33], [29, 101, 80], [12, 2, 48]] {
                let (a, b) = (filled(m * k, 3), filled(k * n, 4));
                let scale: Vec<f32> = (0..k).map(|k| 1.0 + k as f32 / 7.0).collect();
                let mut room = Vec::new();
                let left = Pair::left(isa, [m, k], of(&a, k), &mut room);
                let mut right = Right::<Pair>::default();
                right.pack(isa, k, n, of(&b, n), Some(&scale));
                let factors: Vec<f32> = (0..m).map(|i| i as f32 - 2.0).collect();
                let mut out = vec![1.0; m * n];
                let put = Put::AddScaled(&factors);
                multiply(isa, m, left, &right, put, to(&mut out, n));
                let across: Vec<f32> = (0..n * k).map(|p| b[p % k * n + p / k]).collect();
                let mut plain = Right::<Pair>::default();
                plain.pack_transposed(isa, k, n, of(&across, k));
                let mut unscaled = vec![0.0; m * n];
                multiply(isa, m, left, &plain, Put::Set, to(&mut unscaled, n));
                for i in 0..m {
                    for j in 0..n {
                        let sum = |scale: &dyn Fn(usize) -> f32| -> f64 {
                            let of = |k_: usize| {
                                let other = rounded(scale(k_) * b[k_ * n + j]);
                                f64::from(rounded(a[i * k + k_])) * f64::from(other)
                            };
                            (0..k).map(of).sum()
                        };
                        let exact = 1.0 + f64::from(factors[i]) * sum(&|k| scale[k]);
                        let found = f64::from(out[i * n + j]);
                        assert!((found - exact).abs() < 1e-4 * (1.0 + exact.abs()), "{isa:?}");
                        let (exact, found) = (sum(&|_| 1.0), f64::from(unscaled[i * n + j]));
                        assert!((found - exact).abs() < 1e-5 * (1.0 + exact.abs()), "{isa:?}");
                    }
                }
            }
        }
    }
}
