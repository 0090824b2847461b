//! Softplus: log-sigmoids of the positive and of its negatives, all weighing the same.
//!
//! *Paper:* Trouillon et al., "Complex embeddings for simple link prediction" (2016), equation 10.

use gossamer_tensor::kernel::logistic::{logistic_row, sigmoid_and_softplus};

use super::{Loss, Shape};

/// Softplus.
#[derive(Debug)]
pub struct Softplus;

impl Loss for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }
    fn summary(&self) -> &'static str {
        "log-sigmoids of the positive and, on average, of its negatives"
    }
    fn formula(&self) -> &'static str {
        "½·(ln(1 + e^(−s⁺)) + mean ln(1 + e^sᵢ))"
    }
    fn paper(&self) -> &'static str {
        "Trouillon et al.: Complex Embeddings for Simple Link Prediction (ICML 2016)"
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let mut weights = vec![0.5 / negatives.len() as f32; negatives.len()];
        let pushed = logistic_row(shape.instruction_set, negatives, 0.0, &mut weights);
        negatives.copy_from_slice(&weights);
        let (slope, pulled) = sigmoid_and_softplus(-positive);
        (0.5 * pulled + pushed, -0.5 * slope)
    }
}
