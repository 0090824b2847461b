//! Mean reciprocal rank.

use super::{Metric, mean};
use crate::evaluate::Rank;

/// MRR.
#[derive(Debug)]
pub struct MeanReciprocalRank;

impl Metric for MeanReciprocalRank {
    fn name(&self) -> &'static str {
        "MRR"
    }
    fn key(&self) -> &'static str {
        "mean_reciprocal_rank"
    }
    fn summary(&self) -> &'static str {
        "1 when every answer comes first; dominated by the top ranks"
    }
    fn formula(&self) -> &'static str {
        "mean(1 / rank)"
    }
    fn paper(&self) -> &'static str {
        "Voorhees (TREC-8, 1999)"
    }
    fn value(&self, ranks: &[Rank]) -> f64 {
        mean(ranks, |rank| 1.0 / rank.realistic())
    }
}
