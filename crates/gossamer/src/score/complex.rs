//! ComplEx: DistMult over complex numbers, so that a relation need not be symmetric.
//!
//! A row of dim d holds d real parts, then d imaginary parts.
//! *Paper:* Trouillon et al., "Complex embeddings for simple link prediction" (2016).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

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
        let dim = known.len() / 2;
        let sign = if side == Side::Tail { 1.0 } else { -1.0 };
        let (known_re, known_im) = known.split_at(dim);
        let (re, im) = condition.split_at(dim);
        let (query_re, query_im) = query.split_at_mut(dim);
        for i in 0..dim {
            let im = sign * im[i];
            query_re[i] = known_re[i] * re[i] - known_im[i] * im;
            query_im[i] = known_re[i] * im + known_im[i] * re[i];
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len() / 2;
        let sign = if side == Side::Tail { 1.0 } else { -1.0 };
        let (known_re, known_im) = rows.known.split_at(dim);
        let (re, im) = rows.condition.split_at(dim);
        let (g_re, g_im) = rows.gradient.split_at(dim);
        let (dk_re, dk_im) = known_gradient.split_at_mut(dim);
        let (dc_re, dc_im) = condition_gradient.split_at_mut(dim);
        for i in 0..dim {
            let im = sign * im[i];
            dk_re[i] += g_re[i] * re[i] + g_im[i] * im;
            dk_im[i] += g_im[i] * re[i] - g_re[i] * im;
            dc_re[i] += g_re[i] * known_re[i] + g_im[i] * known_im[i];
            dc_im[i] += sign * (g_im[i] * known_re[i] - g_re[i] * known_im[i]);
        }
    }
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Complex, Coordinates::Complex)
    }
    /// Chen et al. (2021), "Relation prediction as an auxiliary training objective".
    fn habits(&self) -> Habits {
        Habits { relation_prediction: 0.125, ..BILINEAR }
    }
}
