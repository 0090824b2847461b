//! One learning rate for the whole run.

use super::Schedule;

/// No change.
#[derive(Debug)]
pub struct Constant;

impl Schedule for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn summary(&self) -> &'static str {
        "the same step throughout; suits optimisers that shrink their own steps"
    }
    fn formula(&self) -> &'static str {
        "1"
    }
    fn paper(&self) -> &'static str {
        "Robbins, Monro: A Stochastic Approximation Method (1951)"
    }
    fn factor(&self, _: f32) -> f32 {
        1.0
    }
}
