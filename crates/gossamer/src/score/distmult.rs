//! DistMult: a relation weighs the coordinates in which head and tail agree.
//!
//! *Paper:* Yang et al., "Embedding entities and relations for learning and inference" (2015).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{BILINEAR, Folded, Habits, ScoreFunction, Widths};

/// DistMult.
#[derive(Debug)]
pub struct DistMult;

impl ScoreFunction for DistMult {
    fn name(&self) -> &'static str {
        "distmult"
    }
    fn summary(&self) -> &'static str {
        "symmetric products; the smallest bilinear score"
    }
    fn formula(&self) -> &'static str {
        "Σ h·r·t"
    }
    fn paper(&self) -> &'static str {
        "Yang et al.: Embedding Entities and Relations for Learning and Inference (ICLR 2015)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: dim, relation: dim, query: dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    fn fold(&self, _: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        for ((query, known), condition) in query.iter_mut().zip(known).zip(condition) {
            *query = known * condition;
        }
    }
    fn fold_backward(
        &self,
        _: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        for i in 0..rows.gradient.len() {
            known_gradient[i] += rows.gradient[i] * rows.condition[i];
            condition_gradient[i] += rows.gradient[i] * rows.known[i];
        }
    }
    fn symmetric(&self) -> bool {
        true
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}
