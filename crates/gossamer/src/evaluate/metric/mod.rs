//! Metrics: one number from many ranks.
//!
//! *Invariant:* ranks are realistic; machine names are those of PyKEEN.

use super::Rank;

gossamer_machine::registry!("metric", Metric:
    mean_reciprocal_rank::MeanReciprocalRank,
    mean_rank::MeanRank,
    adjusted_mean_rank_index::AdjustedMeanRankIndex,
    hits::AT_1 + AT_3 + AT_10,
);

/// One number from many ranks.
pub trait Metric: Sync {
    /// Its name in tables and help.
    fn name(&self) -> &'static str;
    /// Its name for machines.
    fn key(&self) -> &'static str;
    /// What it says, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// Its value; zero of no ranks.
    fn value(&self, ranks: &[Rank]) -> f64;
}

/// The mean of a value over ranks; zero of none.
fn mean(ranks: &[Rank], value: impl Fn(&Rank) -> f64) -> f64 {
    ranks.iter().map(value).sum::<f64>() / ranks.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_graph::Side;

    #[test]
    fn values_equal_their_formula() {
        let rank =
            |greater, equal| Rank { triple: 0, side: Side::Tail, greater, equal, n_candidates: 21 };
        let ranks = [rank(0, 0), rank(3, 0), rank(1, 1), rank(14, 0)];
        let value = |name: &str| find(name).unwrap().value(&ranks);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(value("MRR"), (1.0 + 0.25 + 0.4 + 1.0 / 15.0) / 4.0);
        close(value("MR"), (1.0 + 4.0 + 2.5 + 15.0) / 4.0);
        close(value("AMRI"), 1.0 - (5.625 - 1.0) / (11.0 - 1.0));
        close(value("Hits@1"), 0.25);
        close(value("Hits@3"), 0.5);
        close(value("Hits@10"), 0.75);
        assert!(ALL.iter().all(|metric| metric.value(&[]).is_finite()));
    }
}
