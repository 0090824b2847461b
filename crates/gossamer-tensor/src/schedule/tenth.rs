//! The learning rate falls to a tenth in the middle of a run.

use super::Schedule;

/// A tenth from the middle on.
#[derive(Debug)]
pub struct Tenth;

impl Schedule for Tenth {
    fn name(&self) -> &'static str {
        "tenth"
    }
    fn summary(&self) -> &'static str {
        "whole, then a tenth from the middle on: RotatE's published training"
    }
    fn formula(&self) -> &'static str {
        "1 while t < ½, then 0.1"
    }
    fn paper(&self) -> &'static str {
        "Sun et al.: RotatE (ICLR 2019), the published code"
    }
    fn factor(&self, done: f32) -> f32 {
        if done < 0.5 { 1.0 } else { 0.1 }
    }
}
