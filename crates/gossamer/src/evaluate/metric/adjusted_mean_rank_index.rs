//! Adjusted mean rank index: mean rank against chance.

use super::{Metric, mean};
use crate::evaluate::Rank;

/// AMRI.
#[derive(Debug)]
pub struct AdjustedMeanRankIndex;

impl Metric for AdjustedMeanRankIndex {
    fn name(&self) -> &'static str {
        "AMRI"
    }
    fn key(&self) -> &'static str {
        "adjusted_arithmetic_mean_rank_index"
    }
    fn summary(&self) -> &'static str {
        "1 is perfect, 0 is chance, below is worse; compares graphs of different size"
    }
    fn formula(&self) -> &'static str {
        "1 − (MR − 1) / (E[MR] − 1), E[MR] = mean((candidates + 1) / 2)"
    }
    fn paper(&self) -> &'static str {
        "Berrendorf et al.: On the Ambiguity of Rank-Based Evaluation (2020)"
    }
    fn value(&self, ranks: &[Rank]) -> f64 {
        let expected = mean(ranks, |rank| (f64::from(rank.n_candidates) + 1.0) / 2.0);
        if expected <= 1.0 {
            return 0.0;
        }
        1.0 - (mean(ranks, Rank::realistic) - 1.0) / (expected - 1.0)
    }
}
