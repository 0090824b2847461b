//! Softmax cross-entropy: the log-probability of the positive among all candidates.
//!
//! *Paper:* Kadlec et al. (2017); Lacroix et al., "Canonical tensor decomposition for knowledge base
//! completion" (2018), over all entities.

use gossamer_tensor::kernel::softmax::{LogSumExp, exp, exp_row};
use gossamer_tensor::kernel::vector;

use super::{Loss, OverAll, Shape};

/// −log softmax.
#[derive(Debug)]
pub struct SoftmaxCrossEntropy;

impl Loss for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax-cross-entropy"
    }
    fn summary(&self) -> &'static str {
        "the positive against all candidates at once; over all entities, or over negatives"
    }
    fn formula(&self) -> &'static str {
        "−s⁺ + log Σ e^s over the positive and its candidates"
    }
    fn paper(&self) -> &'static str {
        "Lacroix, Usunier, Obozinski: Canonical Tensor Decomposition for Knowledge Base \
         Completion (ICML 2018)"
    }
    fn over_all(&self) -> Option<OverAll> {
        Some(OverAll::Softmax)
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let others = exp_row(shape.instruction_set, negatives);
        let log_z = others.join(LogSumExp { max: positive, sum: 1.0 }).value();
        vector::scale(shape.instruction_set, negatives, exp(others.max - log_z));
        (log_z - positive, exp(positive - log_z) - 1.0)
    }
}
