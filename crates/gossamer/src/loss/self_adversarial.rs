//! Self-adversarial negative sampling: hard negatives weigh more.
//!
//! *Paper:* Sun et al., "RotatE" (2019), equation 5.

use gossamer_tensor::kernel::softmax::{exp, log_sigmoid, sigmoid};

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
    fn over_all(&self) -> bool {
        false
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let Shape { margin, temperature } = *shape;
        let max = negatives.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |score: f32| exp(temperature * (score - max));
        let sum: f32 = negatives.iter().map(|score| weight(*score)).sum();
        let mut loss = -log_sigmoid(margin + positive);
        for score in negatives.iter_mut() {
            let weight = weight(*score) / sum;
            loss -= weight * log_sigmoid(-margin - *score);
            *score = 0.5 * weight * sigmoid(margin + *score);
        }
        (0.5 * loss, -0.5 * sigmoid(-margin - positive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negatives_push_with_their_weights() {
        let shape = Shape { margin: 0.0, temperature: 0.0 };
        let mut negatives = [0.0, 0.0];
        let (loss, slope) = SelfAdversarial.sampled(&shape, 0.0, &mut negatives);
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
        assert_eq!((slope, negatives), (-0.25, [0.125, 0.125]));
        let mut negatives = [0.0, 3.0];
        let sharp = Shape { margin: 0.0, temperature: 2.0 };
        SelfAdversarial.sampled(&sharp, 0.0, &mut negatives);
        assert!(negatives[1] > 100.0 * negatives[0]);
    }
}
