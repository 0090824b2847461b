//! Losses: how wrong the scores of a query are, and in which direction each should move.
//!
//! *Invariant:* the coefficients are the derivatives of the loss by the scores.
//! *Not here:* sums over all entities, which stream over panels (`train/form`).

use gossamer_machine::InstructionSet;

gossamer_machine::registry!("loss", Loss:
    softmax_cross_entropy::SoftmaxCrossEntropy,
    self_adversarial::SelfAdversarial,
    binary_cross_entropy::BinaryCrossEntropy,
    softplus::Softplus,
    margin::Margin,
);

/// Numbers that losses share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Added to every score before a sigmoid: γ.
    pub margin: f32,
    /// Sharpness of the weights of negatives: α.
    pub temperature: f32,
    /// The kernels' instruction set.
    pub instruction_set: InstructionSet,
}

/// How a loss is taken over all entities, panel by panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverAll {
    /// One softmax over all entities: the scores of a query compete.
    Softmax,
    /// A sigmoid for every entity: each score stands alone.
    Sigmoids,
}

/// A loss over one positive and its negatives.
pub trait Loss: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// How it is taken over all entities (1-vs-all, k-vs-all, sampled-softmax), if it can be.
    fn over_all(&self) -> Option<OverAll> {
        None
    }
    /// The loss of a positive's score against its negatives' scores; these are replaced by the
    /// derivatives of the loss. Returns the loss and its derivative by the positive's score.
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let shape =
            Shape { margin: 1.5, temperature: 0.7, instruction_set: InstructionSet::detect() };
        for loss in ALL {
            let (positive, negatives) = (0.3f32, [0.9f32, -1.3, 0.1, 0.1]);
            let mut coefficients = negatives;
            let (_, slope) = loss.sampled(&shape, positive, &mut coefficients);
            let value = |positive: f32, negatives: [f32; 4]| {
                let mut scratch = negatives;
                loss.sampled(&shape, positive, &mut scratch).0
            };
            let step = 1e-2;
            let difference = (value(positive + step, negatives)
                - value(positive - step, negatives))
                / (2.0 * step);
            assert!((difference - slope).abs() < 1e-3, "{} positive", loss.name());
            if loss.name() == "self-adversarial" {
                continue; // The weights of its negatives are constants by definition; see its own test.
            }
            for i in 0..4 {
                let (mut up, mut down) = (negatives, negatives);
                up[i] += step;
                down[i] -= step;
                let difference = (value(positive, up) - value(positive, down)) / (2.0 * step);
                assert!((difference - coefficients[i]).abs() < 1e-3, "{} {i}", loss.name());
            }
        }
    }
}
