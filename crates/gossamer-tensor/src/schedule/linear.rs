//! The learning rate falls in equal strides to nothing.

use super::Schedule;

/// Equal strides to nothing.
#[derive(Debug)]
pub struct Linear;

impl Schedule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn summary(&self) -> &'static str {
        "down to nothing in equal strides; ends a run of adam or sgd in rest"
    }
    fn formula(&self) -> &'static str {
        "1 − t"
    }
    fn paper(&self) -> &'static str {
        "Robbins, Monro: A Stochastic Approximation Method (1951)"
    }
    fn factor(&self, done: f32) -> f32 {
        1.0 - done
    }
}
