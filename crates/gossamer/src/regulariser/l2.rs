//! The squared Euclidean norm.

use super::Regulariser;
use crate::score::Coordinates;

/// Σ x².
#[derive(Debug)]
pub struct L2;

impl Regulariser for L2 {
    fn name(&self) -> &'static str {
        "l2"
    }
    fn summary(&self) -> &'static str {
        "squares; the classic weight decay on the rows used"
    }
    fn formula(&self) -> &'static str {
        "Σ x²"
    }
    fn paper(&self) -> &'static str {
        "Yang et al. (ICLR 2015), Trouillon et al. (ICML 2016)"
    }
    fn penalty(&self, coordinates: Coordinates, row: &[f32]) -> f32 {
        match coordinates {
            Coordinates::Angles => 0.0,
            _ => row.iter().map(|x| x * x).sum(),
        }
    }
    fn add_gradient(&self, coordinates: Coordinates, row: &[f32], factor: f32, out: &mut [f32]) {
        if coordinates != Coordinates::Angles {
            out.iter_mut().zip(row).for_each(|(out, x)| *out += 2.0 * factor * x);
        }
    }
}
