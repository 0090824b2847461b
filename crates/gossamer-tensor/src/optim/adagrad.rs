//! Adagrad: a step per coordinate that shrinks with the gradients it has seen.
//!
//! *Paper:* Duchi, Hazan, Singer, "Adaptive subgradient methods" (2011).

use super::{Optimiser, Step};
use crate::kernel::rows::adagrad_row;

/// One accumulator per float.
#[derive(Debug)]
pub struct Adagrad;

impl Optimiser for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }
    fn summary(&self) -> &'static str {
        "one accumulator per float; the choice for bilinear score functions"
    }
    fn formula(&self) -> &'static str {
        "G ← G + g²; x ← x − η·g / (√G + 1e-10)"
    }
    fn paper(&self) -> &'static str {
        "Duchi, Hazan, Singer: Adaptive Subgradient Methods (JMLR 2011)"
    }
    fn state_width(&self, width: usize) -> usize {
        width
    }
    fn gathered(&self, n: f32) -> f32 {
        // n² times the square, once in n steps.
        n.sqrt()
    }
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        adagrad_row(step.instruction_set, step.learning_rate, row, state, gradient);
    }
}
