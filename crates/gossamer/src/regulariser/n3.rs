//! The nuclear 3-norm: cubes of the coordinates' sizes.
//!
//! *Paper:* Lacroix et al., "Canonical tensor decomposition for knowledge base completion" (2018).

use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::cubes::{
    add_complex_cubes_gradient, add_cubes_gradient, complex_cubes, cubes,
};

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
    fn penalty(&self, isa: InstructionSet, coordinates: Coordinates, row: &[f32]) -> f32 {
        match coordinates {
            Coordinates::Real => cubes(isa, row),
            Coordinates::Complex => complex_cubes(isa, row),
            Coordinates::Angles => 0.0,
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
        match coordinates {
            Coordinates::Real => add_cubes_gradient(isa, row, factor, out),
            Coordinates::Complex => add_complex_cubes_gradient(isa, row, factor, out),
            Coordinates::Angles => {}
        }
    }
}
