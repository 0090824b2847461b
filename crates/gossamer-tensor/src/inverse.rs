//! The inverse of a large positive definite matrix, in place.
//!
//! Blocked Gauss-Jordan elimination without pivots: of each block of rows the diagonal part is
//! inverted in f64, the rest are matrix products. *Cost:* 2n³ operations. *Error:* about the
//! condition number times 10⁻⁷.
//!
//! *Invariant:* threads change no bit.

use gossamer_machine::Machine;

use crate::kernel::pack::{Left, Matrix, MatrixMut, Right};
use crate::kernel::product::{Put, multiply};

/// Rows of a block.
const BLOCK: usize = 64;
/// Rows that are one task.
const TASK: usize = 64;

/// Inverts a matrix (n × n, row-major); false, and of no use afterwards, where it is not positive
/// definite.
pub fn invert(machine: &Machine, n: usize, matrix: &mut [f32]) -> bool {
    let isa = machine.instruction_set;
    let mut right = Right::<f32>::default();
    for first in (0..n).step_by(BLOCK) {
        let block = BLOCK.min(n - first);
        let Some(inverse) = invert_small(block, |i, j| matrix[(first + i) * n + first + j]) else {
            return false;
        };
        // The block's rows become the inverse of its diagonal part times themselves.
        let rows = matrix[first * n..(first + block) * n].to_vec();
        right.pack(isa, block, n, Matrix { values: &rows, stride: n }, None);
        let left = Left { values: &inverse, row: block, step: 1 };
        let out = MatrixMut { values: &mut matrix[first * n..][..block * n], stride: n };
        multiply(isa, block, left, &right, Put::Set, out);
        for (row, inverse) in matrix[first * n..].chunks_mut(n).zip(inverse.chunks(block)) {
            row[first..first + block].copy_from_slice(inverse);
        }
        let rows = matrix[first * n..(first + block) * n].to_vec();
        right.pack(isa, block, n, Matrix { values: &rows, stride: n }, None);
        // The others lose what they have of the block.
        let (above, rest) = matrix.split_at_mut(first * n);
        let others = above.chunks_mut(TASK * n).chain(rest[block * n..].chunks_mut(TASK * n));
        machine.workers.each(others.collect(), |rows: &mut [f32]| {
            let m = rows.len() / n;
            let mut left = Vec::with_capacity(m * block);
            for row in rows.chunks_mut(n) {
                left.extend(row[first..first + block].iter().map(|x| -x));
                row[first..first + block].fill(0.0);
            }
            let left = Left { values: &left, row: block, step: 1 };
            multiply(isa, m, left, &right, Put::Add, MatrixMut { values: rows, stride: n });
        });
    }
    true
}

/// The inverse of a small matrix, found in f64; none where it is not positive definite.
fn invert_small(n: usize, at: impl Fn(usize, usize) -> f32) -> Option<Vec<f32>> {
    let mut a: Vec<f64> = (0..n * n).map(|place| f64::from(at(place / n, place % n))).collect();
    for k in 0..n {
        let pivot = a[k * n + k];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        a[k * n + k] = 1.0;
        a[k * n..(k + 1) * n].iter_mut().for_each(|x| *x /= pivot);
        let row = a[k * n..(k + 1) * n].to_vec();
        for i in (0..n).filter(|i| *i != k) {
            let factor = std::mem::take(&mut a[i * n + k]);
            a[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    Some(a.into_iter().map(|x| x as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one_and_no_inverse_is_told() {
        for n in [1, 5, 64, 130, 200] {
            let factor: Vec<f64> =
                (0..n * n).map(|i| ((i * 2_654_435_761) % 1000) as f64 / 1000.0 - 0.5).collect();
            let at = |i: usize, j: usize| -> f64 {
                let sum: f64 = (0..n).map(|k| factor[i * n + k] * factor[j * n + k]).sum();
                sum + if i == j { 1.0 } else { 0.0 }
            };
            let matrix: Vec<f64> = (0..n * n).map(|place| at(place / n, place % n)).collect();
            let mut inverse: Vec<f32> = matrix.iter().map(|x| *x as f32).collect();
            let mut same = inverse.clone();
            assert!(invert(&Machine::new(2, None), n, &mut inverse));
            assert!(invert(&Machine::new(1, None), n, &mut same));
            assert!(inverse == same);
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 =
                        (0..n).map(|k| matrix[i * n + k] * f64::from(inverse[k * n + j])).sum();
                    let wanted = f64::from(u8::from(i == j));
                    assert!((sum - wanted).abs() < 1e-3, "{n} {i} {j}: {sum}");
                }
            }
        }
        assert!(!invert(&Machine::new(1, None), 2, &mut [1.0, 2.0, 2.0, 1.0]));
        assert!(!invert(&Machine::new(1, None), 1, &mut [f32::NAN]));
    }
}
