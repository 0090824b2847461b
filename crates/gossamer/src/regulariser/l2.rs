//! The squared Euclidean norm.

use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::vector;

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
    fn penalty(&self, _: InstructionSet, coordinates: Coordinates, row: &[f32]) -> f32 {
        match coordinates {
            Coordinates::Angles => 0.0,
            _ => row.iter().map(|x| x * x).sum(),
        }
    }
    fn add_gradient(
        &self,
        isa: InstructionSet,
        coordinates: Coordinates,
        row: &[f32],
        factor: f32,
        out: &mut [f32],
    ) {
        if coordinates != Coordinates::Angles {
            vector::add_scaled(isa, out, 2.0 * factor, row);
        }
    }
}
