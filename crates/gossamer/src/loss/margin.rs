//! Margin ranking: a negative costs as far as it comes within a margin of the positive.
//!
//! *Paper:* Bordes et al., "Translating embeddings for modeling multi-relational data" (2013).

use super::{Loss, Shape};

/// Margin.
#[derive(Debug)]
pub struct Margin;

impl Loss for Margin {
    fn name(&self) -> &'static str {
        "margin"
    }
    fn summary(&self) -> &'static str {
        "a negative costs as far as it comes within the margin of the positive"
    }
    fn formula(&self) -> &'static str {
        "mean max(0, γ − s⁺ + sᵢ)"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al.: Translating Embeddings for Modeling Multi-relational Data (NeurIPS 2013)"
    }
    fn sampled(&self, shape: &Shape, positive: f32, negatives: &mut [f32]) -> (f32, f32) {
        let share = 1.0 / negatives.len() as f32;
        let (mut loss, mut slope) = (0.0, 0.0);
        for score in negatives.iter_mut() {
            let short = (shape.margin - positive + *score).max(0.0);
            loss += share * short;
            *score = if short > 0.0 { share } else { 0.0 };
            slope -= *score;
        }
        (loss, slope)
    }
}
