//! MuRE: a relation stretches the head and moves the tail; each entity has a bias.
//!
//! An entity's row is [coordinates | bias], a relation's [R − 1 | r]: where all is zero a relation
//! changes nothing.
//! *Paper:* Balažević et al., "Multi-relational Poincaré graph embeddings" (2019), Euclidean variant.

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{Folded, Habits, Initial, ScoreFunction, Widths};

/// MuRE.
#[derive(Debug)]
pub struct MuRE;

impl ScoreFunction for MuRE {
    fn name(&self) -> &'static str {
        "mure"
    }
    fn summary(&self) -> &'static str {
        "stretched heads, moved tails and a bias of each entity; learns hierarchies"
    }
    fn formula(&self) -> &'static str {
        "−Σ (R∘h − t − r)² + bₕ + bₜ"
    }
    fn paper(&self) -> &'static str {
        "Balažević et al.: Multi-relational Poincaré Graph Embeddings (NeurIPS 2019)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: dim + 1, relation: 2 * dim, query: 2 * dim + 1 }
    }
    fn similarity(&self) -> Similarity {
        Similarity::NegativeBiasedSquare
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let dim = known.len() - 1;
        let (stretch, shift) = condition.split_at(dim);
        for i in 0..dim {
            let stretch = 1.0 + stretch[i];
            (query[i], query[dim + i]) = match side {
                Side::Tail => (stretch * known[i] - shift[i], 1.0),
                Side::Head => (known[i] + shift[i], stretch),
            };
        }
        query[2 * dim] = known[dim];
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len() - 1;
        let (moved, weight) = rows.gradient.split_at(dim);
        let (stretch_out, shift_out) = condition_gradient.split_at_mut(dim);
        for i in 0..dim {
            match side {
                Side::Tail => {
                    known_gradient[i] += moved[i] * (1.0 + rows.condition[i]);
                    stretch_out[i] += moved[i] * rows.known[i];
                    shift_out[i] -= moved[i];
                }
                Side::Head => {
                    known_gradient[i] += moved[i];
                    stretch_out[i] += weight[i];
                    shift_out[i] += moved[i];
                }
            }
        }
        known_gradient[dim] += weight[dim];
    }
    fn habits(&self) -> Habits {
        Habits {
            form: "negative-sampling",
            loss: "softmax-cross-entropy",
            optimiser: "adam",
            learning_rate: 3e-3,
            schedule: "linear",
            reciprocal: false,
            regularisation: 0.0,
            relation_prediction: 0.0,
            batch: 1024,
            initial: Initial::Normal(1e-3),
            within_margin: false,
        }
    }
}
