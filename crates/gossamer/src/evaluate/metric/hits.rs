//! Hits@k: how often the answer is among the first k.

use super::{Metric, mean};
use crate::evaluate::Rank;

/// Hits@k.
#[derive(Debug)]
pub struct Hits {
    k: u32,
    name: &'static str,
    key: &'static str,
}

/// Hits@1.
pub static AT_1: Hits = Hits { k: 1, name: "Hits@1", key: "hits_at_1" };
/// Hits@3.
pub static AT_3: Hits = Hits { k: 3, name: "Hits@3", key: "hits_at_3" };
/// Hits@10.
pub static AT_10: Hits = Hits { k: 10, name: "Hits@10", key: "hits_at_10" };

impl Metric for Hits {
    fn name(&self) -> &'static str {
        self.name
    }
    fn key(&self) -> &'static str {
        self.key
    }
    fn summary(&self) -> &'static str {
        "part of the answers among the first k"
    }
    fn formula(&self) -> &'static str {
        "mean(rank ≤ k)"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al. (NeurIPS 2013)"
    }
    fn value(&self, ranks: &[Rank]) -> f64 {
        mean(ranks, |rank| f64::from(u8::from(rank.realistic() <= f64::from(self.k))))
    }
}
