//! Is a product right? For C = A·B, with e the row or column of ones, eᵀ·C must be (eᵀ·A)·B and C·e must
//! be A·(B·e), but for rounding: of sums of n terms at most n·ε times the sum of their sizes.
//!
//! Cost: that of one more row and one more column, each twice, beside k for every float of C.
//! *Paper:* Huang and Abraham, "Algorithm-based fault tolerance for matrix operations" (1984).

use super::pack::Matrix;

/// How much of the bound's worst case is allowed: rounding errors seldom agree on a sign.
const SLACK: f64 = 4.0;

/// The first row or column of a product whose sum is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// This row.
    Row(usize),
    /// This column.
    Column(usize),
}

/// The sum of the bits of some floats, as whole numbers: another if one of them is another.
pub fn bit_sum(values: &[f32]) -> u64 {
    values.iter().fold(0, |sum: u64, x| sum.wrapping_add(u64::from(x.to_bits())))
}

/// The sum of some bytes: another if one of them is another.
pub fn byte_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_add(u64::from(*byte)))
}

/// Looks at `found`, the product (n × m) of `left` (n × k) and `right` (k × m).
pub fn verify(
    [n, k, m]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    found: Matrix<'_>,
) -> Option<Wrong> {
    let row = |of: Matrix<'_>, i: usize, width: usize| -> Vec<f64> {
        of.values[i * of.stride..][..width].iter().map(|x| f64::from(*x)).collect()
    };
    let apart = |a: f64, b: f64, terms: usize, size: f64| {
        let allowed = SLACK * terms as f64 * f64::from(f32::EPSILON) * size;
        let off = (a - b).abs();
        off.is_nan() || off > allowed
    };
    // Sums of B's rows, and of their sizes.
    let of_right: Vec<[f64; 2]> = (0..k)
        .map(|i| row(right, i, m).iter().fold([0.0; 2], |[s, t], x| [s + x, t + x.abs()]))
        .collect();
    let mut of_left = vec![[0.0; 2]; k];
    let mut columns = vec![0.0; m];
    for i in 0..n {
        let (a, c) = (row(left, i, k), row(found, i, m));
        let mut expected = [0.0; 2];
        for ((a, [s, t]), sum) in a.iter().zip(&of_right).zip(&mut of_left) {
            expected = [expected[0] + a * s, expected[1] + a.abs() * t];
            *sum = [sum[0] + a, sum[1] + a.abs()];
        }
        if apart(c.iter().sum(), expected[0], k + m, expected[1]) {
            return Some(Wrong::Row(i));
        }
        columns.iter_mut().zip(&c).for_each(|(sum, c)| *sum += c);
    }
    let mut expected = vec![[0.0; 2]; m];
    for (i, [s, t]) in of_left.iter().enumerate() {
        for ([sum, size], b) in expected.iter_mut().zip(row(right, i, m)) {
            (*sum, *size) = (*sum + s * b, *size + t * b.abs());
        }
    }
    let wrong = |j: &usize| apart(columns[*j], expected[*j][0], k + n, expected[*j][1]);
    (0..m).find(wrong).map(Wrong::Column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    #[test]
    fn a_planted_error_is_found_with_its_place_and_rounding_is_none() {
        let [n, k, m] = [50, 70, 30];
        let address = Address::new(3, Purpose::Synthetic, 0);
        let filled = |count: usize, row: u32| -> Vec<f32> {
            (0..count as u32).map(|i| address.normal(i, row)).collect()
        };
        let (a, b) = (filled(n * k, 0), filled(k * m, 1));
        let mut c = vec![0f32; n * m];
        for i in 0..n {
            for l in 0..k {
                (0..m).for_each(|j| c[i * m + j] += a[i * k + l] * b[l * m + j]);
            }
        }
        let look = |c: &[f32]| {
            let [left, right, found] = [(&a[..], k), (&b[..], m), (c, m)]
                .map(|(values, stride)| Matrix { values, stride });
            verify([n, k, m], left, right, found)
        };
        assert_eq!(look(&c), None);
        for place in [0, 333, n * m - 1] {
            let before = c[place];
            // One bit of the exponent, as a cosmic ray would have it.
            c[place] = f32::from_bits(before.to_bits() ^ 1 << 24);
            assert_eq!(look(&c), Some(Wrong::Row(place / m)), "{place}");
            c[place] = f32::NAN;
            assert_eq!(look(&c), Some(Wrong::Row(place / m)));
            c[place] = before;
        }
        // Two that cancel in their row are found by their columns.
        (c[5], c[9]) = (c[5] + 0.5, c[9] - 0.5);
        assert_eq!(look(&c), Some(Wrong::Column(5)));
    }
}
