//! Matrix products of row-major blocks.
//!
//! *Invariant:* each element is summed over the inner dimension in one fixed order, so an element
//! does not depend on the size of the block around it (tested).
//! *Not here:* splitting over threads; each call runs on the caller's.

/// How an operand lies in memory: rows × columns with strides.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

/// out (m × n) = beta·out + A (m × k) · B (k × n), with the strides of the views.
#[allow(unsafe_code)]
fn product(shape: [usize; 3], a: View<'_>, b: View<'_>, beta: f32, out: &mut [f32]) {
    let [m, k, n] = shape;
    if m == 0 || n == 0 {
        return;
    }
    let reach = |rows: usize, columns: usize, view: &View<'_>| {
        (rows.max(1) - 1) * view.row_stride + (columns.max(1) - 1) * view.column_stride
    };
    assert!(k == 0 || reach(m, k, &a) < a.values.len(), "left operand too short");
    assert!(k == 0 || reach(k, n, &b) < b.values.len(), "right operand too short");
    assert!(m * n <= out.len(), "result too short");
    // SAFETY: the assertions above say that every index reached with these shapes and strides lies
    // inside its slice, and `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.values.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            b.values.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            beta,
            out.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

/// out (m × n) = A (m × k) · Bᵀ, B being (n × k): all dots of the rows of A with those of B.
pub fn rows_by_rows(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    let left = View { values: a, row_stride: k, column_stride: 1 };
    let right = View { values: b, row_stride: 1, column_stride: k };
    product([m, k, n], left, right, 0.0, out);
}

/// out (m × n) += A (m × k) · B (k × n).
pub fn add_product(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    let left = View { values: a, row_stride: k, column_stride: 1 };
    let right = View { values: b, row_stride: n, column_stride: 1 };
    product([m, k, n], left, right, 1.0, out);
}

/// out (m × n) += Aᵀ · B, A being (k × m) and B (k × n).
pub fn add_transposed_product(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    let left = View { values: a, row_stride: 1, column_stride: m };
    let right = View { values: b, row_stride: n, column_stride: 1 };
    product([m, k, n], left, right, 1.0, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 1e7)
            .collect()
    }

    #[test]
    fn products_equal_their_definition_on_small_whole_numbers() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 × 3
        let b = [1.0, 0.0, 2.0, -1.0, 1.0, 1.0]; // 2 × 3
        let mut out = [0.0; 4];
        rows_by_rows(2, 3, 2, &a, &b, &mut out);
        assert_eq!(out, [7.0, 4.0, 16.0, 7.0]);
        let mut sum = [1.0; 6];
        add_product(2, 2, 3, &[1.0, 2.0, 0.0, 1.0], &b, &mut sum);
        assert_eq!(sum, [0.0, 3.0, 5.0, 0.0, 2.0, 2.0]);
        let mut sum = [0.0; 9];
        add_transposed_product(3, 2, 3, &a, &b, &mut sum);
        assert_eq!(sum, [-3.0, 4.0, 6.0, -3.0, 5.0, 9.0, -3.0, 6.0, 12.0]);
    }

    #[test]
    fn an_element_does_not_depend_on_the_block_around_it() {
        for k in [6, 200, 513, 1100] {
            let (m, n) = (37, 75);
            let (a, b) = (filled(m * k, 1), filled(n * k, 9));
            let mut whole = vec![0.0; m * n];
            rows_by_rows(m, k, n, &a, &b, &mut whole);
            for (i, j) in [(0, 0), (3, 70), (36, 74), (17, 33), (31, 64)] {
                let mut one = [0.0];
                rows_by_rows(1, k, 1, &a[i * k..][..k], &b[j * k..][..k], &mut one);
                assert_eq!(one[0].to_bits(), whole[i * n + j].to_bits(), "{k}: {i} {j}");
                let mut few = [0.0; 5];
                rows_by_rows(1, k, 5, &a[i * k..][..k], &b[(j / 5 * 5) * k..][..5 * k], &mut few);
                assert_eq!(few[j % 5].to_bits(), whole[i * n + j].to_bits(), "{k}: {i} {j}");
            }
        }
    }
}
