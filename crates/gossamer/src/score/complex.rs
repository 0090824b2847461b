//! ComplEx: DistMult over complex numbers, so that a relation need not be symmetric.
//!
//! A row of dim d holds d real parts, then d imaginary parts.
//! *Paper:* Trouillon et al., "Complex embeddings for simple link prediction" (2016).

use gossamer_graph::Side;
use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::complex::{add_complex_slopes, complex_product};

use super::{BILINEAR, Coordinates, Folded, Habits, ScoreFunction, Widths};

/// ComplEx.
#[derive(Debug)]
pub struct ComplEx;

impl ScoreFunction for ComplEx {
    fn name(&self) -> &'static str {
        "complex"
    }
    fn summary(&self) -> &'static str {
        "complex products; the best shallow score on most graphs"
    }
    fn formula(&self) -> &'static str {
        "Re Σ h·r·conj(t)"
    }
    fn paper(&self) -> &'static str {
        "Trouillon et al.: Complex Embeddings for Simple Link Prediction (ICML 2016)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 2 * dim, relation: 2 * dim, query: 2 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    /// h·r towards tails; t·conj(r) towards heads.
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        // The processor's best: no sum is fused, so that all have the same bits.
        let isa = InstructionSet::detect();
        complex_product(isa, known, condition, side == Side::Head, query);
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let (isa, conjugate) = (InstructionSet::detect(), side == Side::Head);
        let Folded { known, condition, gradient } = rows;
        let [of_known, of_condition] = [known_gradient, condition_gradient];
        add_complex_slopes(isa, known, condition, conjugate, gradient, of_known, of_condition);
    }
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Complex, Coordinates::Complex)
    }
    /// Chen et al. (2021), "Relation prediction as an auxiliary training objective".
    fn habits(&self) -> Habits {
        Habits { relation_prediction: 0.125, ..BILINEAR }
    }
}
