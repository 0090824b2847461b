//! Adagrad with one accumulator per row: a fraction 1/width of Adagrad's state.
//!
//! *Paper:* Lerer et al., "PyTorch-BigGraph" (2019), §4.

use super::{Optimiser, Step};

const EPSILON: f32 = 1e-10;

/// One accumulator per row.
#[derive(Debug)]
pub struct RowwiseAdagrad;

impl Optimiser for RowwiseAdagrad {
    fn name(&self) -> &'static str {
        "rowwise-adagrad"
    }
    fn summary(&self) -> &'static str {
        "one accumulator per row; almost no state, for large graphs"
    }
    fn formula(&self) -> &'static str {
        "G ← G + mean(g²); x ← x − η·g / (√G + 1e-10)"
    }
    fn paper(&self) -> &'static str {
        "Lerer et al.: PyTorch-BigGraph (SysML 2019)"
    }
    fn state_width(&self, _: usize) -> usize {
        1
    }
    fn gathered(&self, n: f32) -> f32 {
        // n² times the square, once in n steps.
        n.sqrt()
    }
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        let square: f32 = crate::kernel::vector::dot(gradient, gradient);
        state[0] += square / gradient.len() as f32;
        let factor = step.learning_rate / (state[0].sqrt() + EPSILON);
        crate::kernel::vector::add_scaled(step.instruction_set, row, -factor, gradient);
    }
}
