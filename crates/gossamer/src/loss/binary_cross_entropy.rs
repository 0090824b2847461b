//! Binary cross-entropy: a yes or no for every entity.
//!
//! *Paper:* Dettmers et al., "Convolutional 2D knowledge graph embeddings" (2018).

use gossamer_tensor::kernel::logistic::{logistic_row, sigmoid_and_softplus};

use super::{Loss, OverAll, Shape};

/// BinaryCrossEntropy.
#[derive(Debug)]
pub struct BinaryCrossEntropy;

impl Loss for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary-cross-entropy"
    }
    fn summary(&self) -> &'static str {
        "a yes or no for every entity; with k-vs-all the probabilities mean something"
    }
    fn formula(&self) -> &'static str {
        "Σ ln(1 + e^s) − y·s over all entities, or over the positive and its negatives"
    }
    fn paper(&self) -> &'static str {
        "Dettmers et al.: Convolutional 2D Knowledge Graph Embeddings (AAAI 2018)"
    }
    fn over_all(&self) -> Option<OverAll> {
        Some(OverAll::Sigmoids)
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let mut weights = vec![1.0; negatives.len()];
        let pushed = logistic_row(shape.instruction_set, negatives, 0.0, &mut weights);
        negatives.copy_from_slice(&weights);
        let (slope, pulled) = sigmoid_and_softplus(-positive);
        (pulled + pushed, -slope)
    }
}
