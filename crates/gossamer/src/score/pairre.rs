//! PairRE: each relation weighs the head's coordinates and the tail's before they are compared.
//!
//! Entity rows keep length 1, as the paper's constraint asks. A relation's row is [rᴴ | rᵀ], a query
//! what the known side became and the weights of the side that is asked for.
//! *Paper:* Chao et al., "PairRE: knowledge graph embeddings via paired relation vectors" (2021).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{DISTANCE, Folded, Habits, ScoreFunction, Widths};

/// PairRE.
#[derive(Debug)]
pub struct PairRE;

impl ScoreFunction for PairRE {
    fn name(&self) -> &'static str {
        "pairre"
    }
    fn summary(&self) -> &'static str {
        "weights for heads and for tails; learns relations between one and many"
    }
    fn formula(&self) -> &'static str {
        "−Σ |h∘rᴴ − t∘rᵀ|, |h| = |t| = 1"
    }
    fn paper(&self) -> &'static str {
        "Chao et al.: PairRE: Knowledge Graph Embeddings via Paired Relation Vectors (ACL 2021)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: dim, relation: 2 * dim, query: 2 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::NegativeScaledL1
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let (own, other) = weights(side, condition);
        let (moved, weight) = query.split_at_mut(known.len());
        weight.copy_from_slice(other);
        for ((moved, known), own) in moved.iter_mut().zip(known).zip(own) {
            *moved = known * own;
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len();
        let (own, _) = weights(side, rows.condition);
        let (moved, weight) = rows.gradient.split_at(dim);
        let (heads, tails) = condition_gradient.split_at_mut(dim);
        let (own_out, other_out) = if side == Side::Tail { (heads, tails) } else { (tails, heads) };
        for i in 0..dim {
            known_gradient[i] += moved[i] * own[i];
            own_out[i] += moved[i] * rows.known[i];
            other_out[i] += weight[i];
        }
    }
    fn unit_entities(&self) -> bool {
        true
    }
    fn habits(&self) -> Habits {
        DISTANCE
    }
}

/// The weights of the known side and of the one that is asked for.
fn weights(side: Side, condition: &[f32]) -> (&[f32], &[f32]) {
    let (heads, tails) = condition.split_at(condition.len() / 2);
    if side == Side::Tail { (heads, tails) } else { (tails, heads) }
}
