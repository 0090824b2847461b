//! The nuclear 3-norm: cubes of the coordinates' sizes.
//!
//! *Paper:* Lacroix et al., "Canonical tensor decomposition for knowledge base completion" (2018).

use super::Regulariser;
use crate::score::Coordinates;

/// Σ |x|³.
#[derive(Debug)]
pub struct N3;

impl Regulariser for N3 {
    fn name(&self) -> &'static str {
        "n3"
    }
    fn summary(&self) -> &'static str {
        "cubes of sizes; the choice for bilinear score functions"
    }
    fn formula(&self) -> &'static str {
        "Σ |x|³, |x| being the modulus of a complex coordinate"
    }
    fn paper(&self) -> &'static str {
        "Lacroix, Usunier, Obozinski (ICML 2018)"
    }
    fn penalty(&self, coordinates: Coordinates, row: &[f32]) -> f32 {
        match coordinates {
            Coordinates::Real => row.iter().map(|x| x.abs() * x * x).sum(),
            Coordinates::Complex => {
                let (re, im) = row.split_at(row.len() / 2);
                let square = |(re, im): (&f32, &f32)| re * re + im * im;
                re.iter().zip(im).map(square).map(|square| square * square.sqrt()).sum()
            }
            Coordinates::Angles => 0.0,
        }
    }
    fn add_gradient(&self, coordinates: Coordinates, row: &[f32], factor: f32, out: &mut [f32]) {
        let factor = 3.0 * factor;
        match coordinates {
            Coordinates::Real => {
                for (out, x) in out.iter_mut().zip(row) {
                    *out += factor * x.abs() * x;
                }
            }
            Coordinates::Complex => {
                let half = row.len() / 2;
                let (re, im) = row.split_at(half);
                let (out_re, out_im) = out.split_at_mut(half);
                for i in 0..half {
                    let size = factor * (re[i] * re[i] + im[i] * im[i]).sqrt();
                    out_re[i] += size * re[i];
                    out_im[i] += size * im[i];
                }
            }
            Coordinates::Angles => {}
        }
    }
}
