//! Products of complex rows, number by number: real parts first, then imaginary ones.

/// Real and imaginary parts, of known length.
#[inline(always)]
fn halves(row: &[f32], dim: usize) -> (&[f32], &[f32]) {
    row[..2 * dim].split_at(dim)
}

for_each_instruction_set! {
    /// out = a·b; with `conjugate`, a·b̄.
    pub fn complex_product(a: &[f32], b: &[f32], conjugate: bool, out: &mut [f32]) {
        let dim = a.len() / 2;
        let sign = if conjugate { -1.0 } else { 1.0 };
        let ((a_re, a_im), (b_re, b_im)) = (halves(a, dim), halves(b, dim));
        let (re, im) = out[..2 * dim].split_at_mut(dim);
        for i in 0..dim {
            let b_im = sign * b_im[i];
            re[i] = a_re[i] * b_re[i] - a_im[i] * b_im;
            im[i] = a_re[i] * b_im + a_im[i] * b_re[i];
        }
    }
}

for_each_instruction_set! {
    /// Adds what a slope g of that product says of a, and of b.
    pub fn add_complex_slopes(
        a: &[f32],
        b: &[f32],
        conjugate: bool,
        slope: &[f32],
        of_a: &mut [f32],
        of_b: &mut [f32],
    ) {
        let dim = a.len() / 2;
        let sign = if conjugate { -1.0 } else { 1.0 };
        let ((a_re, a_im), (b_re, b_im)) = (halves(a, dim), halves(b, dim));
        let (g_re, g_im) = halves(slope, dim);
        let (da_re, da_im) = of_a[..2 * dim].split_at_mut(dim);
        let (db_re, db_im) = of_b[..2 * dim].split_at_mut(dim);
        for i in 0..dim {
            let b_im = sign * b_im[i];
            da_re[i] += g_re[i] * b_re[i] + g_im[i] * b_im;
            da_im[i] += g_im[i] * b_re[i] - g_re[i] * b_im;
            db_re[i] += g_re[i] * a_re[i] + g_im[i] * a_im[i];
            db_im[i] += sign * (g_im[i] * a_re[i] - g_re[i] * a_im[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use gossamer_machine::InstructionSet;

    use super::*;

    #[test]
    fn products_are_complex_and_have_the_same_bits_on_every_instruction_set() {
        // (1 + 2i)(3 − i) = 5 + 5i; (1 + 2i)(3 + i) = 1 + 7i.
        let (a, b) = ([1.0, 2.0], [3.0, -1.0]);
        let row = |by: u32| -> Vec<f32> {
            (0..74).map(|i: u32| (i * by % 61) as f32 / 7.0 - 4.0).collect()
        };
        let mut first = None;
        for isa in InstructionSet::all() {
            let mut out = [0.0; 2];
            complex_product(isa, &a, &b, false, &mut out);
            assert_eq!(out, [5.0, 5.0]);
            complex_product(isa, &a, &b, true, &mut out);
            assert_eq!(out, [1.0, 7.0]);
            let mut found = vec![vec![0.0; 74], vec![1.0; 74], vec![2.0; 74]];
            let [product, of_a, of_b] = &mut found[..] else { unreachable!() };
            complex_product(isa, &row(5), &row(7), true, product);
            add_complex_slopes(isa, &row(5), &row(7), true, &row(11), of_a, of_b);
            assert_eq!(*first.get_or_insert(found.clone()), found, "{isa:?}");
        }
    }
}
