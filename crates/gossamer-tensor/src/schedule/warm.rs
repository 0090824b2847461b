//! The learning rate rises from nothing, then falls to nothing.

use super::Schedule;

/// Up over the first tenth, then down to nothing.
#[derive(Debug)]
pub struct Warm;

/// The part of a run in which the factor rises.
const RISE: f32 = 0.1;

impl Schedule for Warm {
    fn name(&self) -> &'static str {
        "warm"
    }
    fn summary(&self) -> &'static str {
        "up from nothing over the first tenth, then down to nothing; for large steps of adagrad, whose first one is the same for every gradient"
    }
    fn formula(&self) -> &'static str {
        "min(t / 0.1, (1 − t) / 0.9)"
    }
    fn paper(&self) -> &'static str {
        "Goyal et al.: Accurate, Large Minibatch SGD (arXiv:1706.02677, 2017)"
    }
    fn factor(&self, done: f32) -> f32 {
        (done / RISE).min((1.0 - done) / (1.0 - RISE)).max(0.0)
    }
}
