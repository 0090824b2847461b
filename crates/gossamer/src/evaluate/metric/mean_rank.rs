//! Mean rank.

use super::{Metric, mean};
use crate::evaluate::Rank;

/// MR.
#[derive(Debug)]
pub struct MeanRank;

impl Metric for MeanRank {
    fn name(&self) -> &'static str {
        "MR"
    }
    fn key(&self) -> &'static str {
        "arithmetic_mean_rank"
    }
    fn summary(&self) -> &'static str {
        "1 when every answer comes first; dominated by the worst ranks"
    }
    fn formula(&self) -> &'static str {
        "mean(rank)"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al. (NeurIPS 2013)"
    }
    fn value(&self, ranks: &[Rank]) -> f64 {
        mean(ranks, Rank::realistic)
    }
}
