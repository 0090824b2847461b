//! Spectra: the discrete Fourier transform of rows, as matrices, and products of what it makes.
//!
//! A spectrum of 2m floats has the real parts of the frequencies 0 … m − 1, then the imaginary parts
//! of 1 … m − 1; before these stands the real one of frequency m, whose imaginary part is zero, as is
//! that of 0. ā·b is the spectrum of the dot products of a with b shifted by 0, 1, 2 … in a circle.

for_each_instruction_set! {
    /// target += factor · a·b for spectra (see [`Spectrum`]); with `conjugate`, ā·b.
    pub fn add_spectrum(target: &mut [f32], factor: f32, a: &[f32], b: &[f32], conjugate: bool) {
        let sign = if conjugate { -factor } else { factor };
        let half = target.len() / 2;
        let ((re, im), (a_re, a_im), (b_re, b_im)) =
            (target.split_at_mut(half), a.split_at(half), b.split_at(half));
        let (first, last) = (factor * a_re[0] * b_re[0], factor * a_im[0] * b_im[0]);
        let (was_first, was_last) = (re[0], im[0]);
        for i in 0..half {
            re[i] += factor * a_re[i] * b_re[i] - sign * a_im[i] * b_im[i];
            im[i] += factor * a_re[i] * b_im[i] + sign * a_im[i] * b_re[i];
        }
        (re[0], im[0]) = (was_first + first, was_last + last);
    }
}

/// The transform of rows of so many floats, an even number.
#[derive(Debug, Clone, Copy)]
pub struct Spectrum(pub usize);

impl Spectrum {
    /// What a row is multiplied by: orthonormal, so that its transpose leads back; or not scaled,
    /// so that ā (orthonormal) times b (not scaled) is an orthonormal spectrum.
    pub fn matrix(self, orthonormal: bool) -> Vec<f32> {
        let (width, half) = (self.0, self.0 / 2);
        let mut matrix = vec![0.0; width * width];
        for (n, row) in matrix.chunks_exact_mut(width).enumerate() {
            for j in 0..=half {
                let angle = std::f64::consts::TAU * ((j * n) % width) as f64 / width as f64;
                let end = j == 0 || j == half;
                let scale = if end { 1.0 } else { 2.0 } / width as f64;
                let scale = if orthonormal { scale.sqrt() } else { 1.0 };
                let (cos, sin) = ((scale * angle.cos()) as f32, (-scale * angle.sin()) as f32);
                if j < half {
                    row[j] = cos;
                }
                if j > 0 {
                    row[half + j % half] = if j == half { cos } else { sin };
                }
            }
        }
        matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn shifted_dot_products_are_a_product_of_spectra() {
        let width = 10;
        let a: Vec<f32> = (0..width).map(|i| (i * i % 7) as f32 - 2.0).collect();
        let b: Vec<f32> = (0..width).map(|i| (i * 3 % 5) as f32 - 1.5).collect();
        let times = |x: &[f32], matrix: &[f32]| -> Vec<f32> {
            let column = |j| (0..width).map(|i| x[i] * matrix[i * width + j]).sum();
            (0..width).map(column).collect()
        };
        let orthonormal = Spectrum(width).matrix(true);
        let back: Vec<f32> = {
            let mut transposed = vec![0.0; width * width];
            (0..width * width)
                .for_each(|at| transposed[at % width * width + at / width] = orthonormal[at]);
            transposed
        };
        let mut spectrum = vec![0.0; width];
        let of_b = times(&b, &Spectrum(width).matrix(false));
        let isa = InstructionSet::detect();
        add_spectrum(isa, &mut spectrum, 2.0, &times(&a, &orthonormal), &of_b, true);
        let found = times(&spectrum, &back);
        for (k, found) in found.iter().enumerate() {
            let plain: f32 = (0..width).map(|i| a[i] * b[(k + i) % width]).sum();
            assert!((2.0 * plain - found).abs() < 1e-3, "{k}: {plain} {found}");
        }
    }
}
