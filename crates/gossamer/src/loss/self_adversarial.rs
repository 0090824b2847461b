//! Self-adversarial negative sampling: hard negatives weigh more.
//!
//! *Paper:* Sun et al., "RotatE" (2019), equation 5.

use gossamer_tensor::kernel::logistic::{logistic_row, sigmoid_and_softplus};
use gossamer_tensor::kernel::softmax::exp_row;

use super::{Loss, Shape};

/// Log-sigmoids of the positive and of weighted negatives.
#[derive(Debug)]
pub struct SelfAdversarial;

impl Loss for SelfAdversarial {
    fn name(&self) -> &'static str {
        "self-adversarial"
    }
    fn summary(&self) -> &'static str {
        "log-sigmoids, negatives weighed by how plausible they are; for distances"
    }
    fn formula(&self) -> &'static str {
        "½·(−log σ(γ + s⁺) − Σᵢ pᵢ·log σ(−γ − sᵢ)), pᵢ = softmaxᵢ(α·s), taken as constants"
    }
    fn paper(&self) -> &'static str {
        "Sun et al.: RotatE (ICLR 2019)"
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let Shape { margin, temperature, instruction_set } = *shape;
        let mut weights: Vec<f32> = negatives.iter().map(|score| temperature * score).collect();
        let sum = exp_row(instruction_set, &mut weights).sum;
        weights.iter_mut().for_each(|weight| *weight *= 0.5 / sum);
        let pushed = logistic_row(instruction_set, negatives, margin, &mut weights);
        negatives.copy_from_slice(&weights);
        let (slope, pulled) = sigmoid_and_softplus(-margin - positive);
        (0.5 * pulled + pushed, -0.5 * slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn negatives_push_with_their_weights() {
        let shape =
            Shape { margin: 0.0, temperature: 0.0, instruction_set: InstructionSet::detect() };
        let mut negatives = [0.0, 0.0];
        let (loss, slope) = SelfAdversarial.sampled(&shape, 0.0, &mut negatives);
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
        assert_eq!((slope, negatives), (-0.25, [0.125, 0.125]));
        let mut negatives = [0.0, 3.0];
        let sharp = Shape { temperature: 2.0, ..shape };
        SelfAdversarial.sampled(&sharp, 0.0, &mut negatives);
        assert!(negatives[1] > 100.0 * negatives[0]);
    }
}
