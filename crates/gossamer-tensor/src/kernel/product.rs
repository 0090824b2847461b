//! Matrix products of row-major blocks.
//!
//! *Invariant:* each element is summed over the inner dimension in one fixed order, so an element
//! does not depend on the size of the block around it (tested).
//! *Not here:* splitting over threads; each call runs on the caller's.

/// A row-major matrix of which every row lies `stride` floats after the one before.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// From the first element on.
    pub values: &'a [f32],
    /// Floats from row to row.
    pub stride: usize,
}

/// As [`Matrix`], to be added to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    /// From the first element on.
    pub values: &'a mut [f32],
    /// Floats from row to row.
    pub stride: usize,
}

/// How an operand lies in memory: rows × columns with strides.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    fn of(matrix: Matrix<'a>) -> Self {
        Self { values: matrix.values, row_stride: matrix.stride, column_stride: 1 }
    }

    fn transposed(matrix: Matrix<'a>) -> Self {
        Self { values: matrix.values, row_stride: 1, column_stride: matrix.stride }
    }
}

/// out (m × n) = beta·out + A (m × k) · B (k × n), with the strides of the views.
#[allow(unsafe_code)]
fn product(shape: [usize; 3], a: View<'_>, b: View<'_>, beta: f32, out: MatrixMut<'_>) {
    let [m, k, n] = shape;
    if m == 0 || n == 0 {
        return;
    }
    let reach = |rows: usize, columns: usize, view: &View<'_>| {
        (rows.max(1) - 1) * view.row_stride + (columns.max(1) - 1) * view.column_stride
    };
    assert!(k == 0 || reach(m, k, &a) < a.values.len(), "left operand too short");
    assert!(k == 0 || reach(k, n, &b) < b.values.len(), "right operand too short");
    assert!((m - 1) * out.stride + n <= out.values.len(), "result too short");
    assert!(m == 1 || n <= out.stride, "rows of the result overlap");
    // SAFETY: the assertions above say that every index reached with these shapes and strides lies
    // inside its slice and that no element of the result is reached twice, and `out` is borrowed
    // mutably, so it overlaps neither operand.
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
            out.values.as_mut_ptr(),
            out.stride as isize,
            1,
        );
    }
}

/// out (m × n) = A (m × k) · Bᵀ, B being (n × k): all dots of the rows of A with those of B.
pub fn rows_by_rows(shape: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    let out = MatrixMut { values: out, stride: shape[2] };
    product(shape, View::of(a), View::transposed(b), 0.0, out);
}

/// out (m × n) += A (m × k) · B (k × n).
pub fn add_product(shape: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    product(shape, View::of(a), View::of(b), 1.0, out);
}

/// out (m × n) += Aᵀ · B, A being (k × m) and B (k × n).
pub fn add_transposed_product(shape: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: MatrixMut<'_>) {
    product(shape, View::transposed(a), View::of(b), 1.0, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 1e7)
            .collect()
    }

    fn of(values: &[f32], stride: usize) -> Matrix<'_> {
        Matrix { values, stride }
    }

    fn to(values: &mut [f32], stride: usize) -> MatrixMut<'_> {
        MatrixMut { values, stride }
    }

    #[test]
    fn products_equal_their_definition_on_small_whole_numbers() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 × 3
        let b = [1.0, 0.0, 2.0, -1.0, 1.0, 1.0]; // 2 × 3
        let mut out = [0.0; 4];
        rows_by_rows([2, 3, 2], of(&a, 3), of(&b, 3), &mut out);
        assert_eq!(out, [7.0, 4.0, 16.0, 7.0]);
        let mut sum = [1.0; 6];
        add_product([2, 2, 3], of(&[1.0, 2.0, 0.0, 1.0], 2), of(&b, 3), to(&mut sum, 3));
        assert_eq!(sum, [0.0, 3.0, 5.0, 0.0, 2.0, 2.0]);
        let mut sum = [0.0; 9];
        add_transposed_product([3, 2, 3], of(&a, 3), of(&b, 3), to(&mut sum, 3));
        assert_eq!(sum, [-3.0, 4.0, 6.0, -3.0, 5.0, 9.0, -3.0, 6.0, 12.0]);
    }

    #[test]
    fn an_element_does_not_depend_on_the_block_around_it() {
        for k in [6, 200, 513, 1100] {
            let (m, n) = (37, 75);
            let (a, b) = (filled(m * k, 1), filled(n * k, 9));
            let mut whole = vec![0.0; m * n];
            rows_by_rows([m, k, n], of(&a, k), of(&b, k), &mut whole);
            for (i, j) in [(0, 0), (3, 70), (36, 74), (17, 33), (31, 64)] {
                let mut one = [0.0];
                rows_by_rows([1, k, 1], of(&a[i * k..], k), of(&b[j * k..], k), &mut one);
                assert_eq!(one[0].to_bits(), whole[i * n + j].to_bits(), "{k}: {i} {j}");
                let mut few = [0.0; 5];
                rows_by_rows([1, k, 5], of(&a[i * k..], k), of(&b[j / 5 * 5 * k..], k), &mut few);
                assert_eq!(few[j % 5].to_bits(), whole[i * n + j].to_bits(), "{k}: {i} {j}");
            }
        }
    }
}
