//! RotatE: a relation turns each complex coordinate of the head towards the tail's.
//!
//! A row of dim d holds d real parts, then d imaginary parts; a relation's row holds d angles.
//! *Paper:* Sun et al., "RotatE: knowledge graph embedding by relational rotation" (2019).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{Coordinates, DISTANCE, Folded, Habits, Initial, ScoreFunction, Widths};

/// RotatE.
#[derive(Debug)]
pub struct RotatE;

impl ScoreFunction for RotatE {
    fn name(&self) -> &'static str {
        "rotate"
    }
    fn summary(&self) -> &'static str {
        "rotations; learns symmetry, inversion and composition"
    }
    fn formula(&self) -> &'static str {
        "−Σₖ |hₖ·e^(iθₖ) − tₖ|"
    }
    fn paper(&self) -> &'static str {
        "Sun et al.: RotatE: Knowledge Graph Embedding by Relational Rotation (ICLR 2019)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 2 * dim, relation: dim, query: 2 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::NegativeModulus
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let sign = if side == Side::Tail { 1.0 } else { -1.0 };
        let (known_re, known_im) = known.split_at(condition.len());
        let (query_re, query_im) = query.split_at_mut(condition.len());
        for i in 0..condition.len() {
            let (sin, cos) = (sign * condition[i]).sin_cos();
            query_re[i] = known_re[i] * cos - known_im[i] * sin;
            query_im[i] = known_re[i] * sin + known_im[i] * cos;
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.condition.len();
        let sign = if side == Side::Tail { 1.0 } else { -1.0 };
        let (known_re, known_im) = rows.known.split_at(dim);
        let (g_re, g_im) = rows.gradient.split_at(dim);
        let (dk_re, dk_im) = known_gradient.split_at_mut(dim);
        for i in 0..dim {
            let (sin, cos) = (sign * rows.condition[i]).sin_cos();
            dk_re[i] += g_re[i] * cos + g_im[i] * sin;
            dk_im[i] += g_im[i] * cos - g_re[i] * sin;
            let turned_re = known_re[i] * cos - known_im[i] * sin;
            let turned_im = known_re[i] * sin + known_im[i] * cos;
            condition_gradient[i] += sign * (g_im[i] * turned_re - g_re[i] * turned_im);
        }
    }
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Complex, Coordinates::Angles)
    }
    fn habits(&self) -> Habits {
        DISTANCE
    }
    fn initial_relation(&self) -> Option<Initial> {
        Some(Initial::Uniform(std::f32::consts::PI))
    }
}
