//! Stochastic gradient descent: no state, one step for all.
//!
//! *Paper:* Robbins, Monro, "A stochastic approximation method" (1951).

use super::{Optimiser, Step};
use crate::kernel::vector::add_scaled;

/// No state.
#[derive(Debug)]
pub struct Sgd;

impl Optimiser for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }
    fn summary(&self) -> &'static str {
        "no state at all; wants a large learning rate and a schedule"
    }
    fn formula(&self) -> &'static str {
        "x ← x − η·g"
    }
    fn paper(&self) -> &'static str {
        "Robbins, Monro: A Stochastic Approximation Method (1951)"
    }
    fn state_width(&self, _: usize) -> usize {
        0
    }
    fn update(&self, step: &Step, row: &mut [f32], _: &mut [f32], gradient: &[f32]) {
        add_scaled(step.instruction_set, row, -step.learning_rate, gradient);
    }
}
