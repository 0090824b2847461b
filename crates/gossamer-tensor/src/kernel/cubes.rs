//! Sums of cubed sizes of coordinates, and their gradients.
//!
//! A complex row is [real parts | imaginary parts]; the size of a coordinate is its modulus.

use super::vector::{LANES, sum_lanes};

for_each_instruction_set! {
    /// Σ |x|³.
    pub fn cubes(row: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        let (full, rest) = row.as_chunks::<LANES>();
        for row in full {
            for lane in 0..LANES {
                lanes[lane] += row[lane].abs() * row[lane] * row[lane];
            }
        }
        for (lane, x) in rest.iter().enumerate() {
            lanes[lane] += x.abs() * x * x;
        }
        sum_lanes(&lanes)
    }
}

for_each_instruction_set! {
    /// Σ (re² + im²)^(3/2).
    pub fn complex_cubes(row: &[f32]) -> f32 {
        let mut lanes = [0.0; LANES];
        let (re, im) = row.split_at(row.len() / 2);
        let ((re, re_rest), (im, im_rest)) = (re.as_chunks::<LANES>(), im.as_chunks::<LANES>());
        for (re, im) in re.iter().zip(im) {
            for lane in 0..LANES {
                let square = re[lane] * re[lane] + im[lane] * im[lane];
                lanes[lane] += square * square.sqrt();
            }
        }
        for (lane, (re, im)) in re_rest.iter().zip(im_rest).enumerate() {
            let square = re * re + im * im;
            lanes[lane] += square * square.sqrt();
        }
        sum_lanes(&lanes)
    }
}

for_each_instruction_set! {
    /// out += factor · ∂/∂row Σ |x|³.
    pub fn add_cubes_gradient(row: &[f32], factor: f32, out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(row) {
            *out += 3.0 * factor * x.abs() * x;
        }
    }
}

for_each_instruction_set! {
    /// out += factor · ∂/∂row Σ (re² + im²)^(3/2).
    pub fn add_complex_cubes_gradient(row: &[f32], factor: f32, out: &mut [f32]) {
        let (re, im) = row.split_at(row.len() / 2);
        let (out_re, out_im) = out.split_at_mut(re.len());
        let outs = out_re.iter_mut().zip(out_im);
        for ((re, im), (out_re, out_im)) in re.iter().zip(im).zip(outs) {
            let size = 3.0 * factor * (re * re + im * im).sqrt();
            *out_re += size * re;
            *out_im += size * im;
        }
    }
}
