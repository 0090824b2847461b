//! Adam on the rows used: moments of a row move only in steps that touch it.
//!
//! *Paper:* Kingma, Ba, "Adam" (2015).

use super::{Optimiser, Step};
use crate::kernel::rows::{AdamRates, adam_row};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;

/// Two moments per float; the step count of the bias correction is that of the run.
#[derive(Debug)]
pub struct Adam;

impl Optimiser for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }
    fn summary(&self) -> &'static str {
        "two moments per float; the choice for distance score functions"
    }
    fn formula(&self) -> &'static str {
        "m ← .9m + .1g; v ← .999v + .001g²; x ← x − η·m̂ / (√v̂ + 1e-8), m̂ = m/(1 − .9ᵗ), \
         v̂ = v/(1 − .999ᵗ)"
    }
    fn paper(&self) -> &'static str {
        "Kingma, Ba: Adam (ICLR 2015), on used rows only"
    }
    fn state_width(&self, width: usize) -> usize {
        2 * width
    }
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        let t = step.number.min(1 << 20) as i32;
        let rates = AdamRates {
            first: BETA_1,
            second: BETA_2,
            size: step.learning_rate / (1.0 - BETA_1.powi(t)),
            second_correction: 1.0 / (1.0 - f64::from(BETA_2).powi(t)) as f32,
        };
        let (m, v) = state.split_at_mut(row.len());
        adam_row(step.instruction_set, rates, row, m, v, gradient);
    }
}
