//! Do two runs differ? A paired bootstrap over the judged triples, and the spread over seeds.
//!
//! *Invariant:* the same ranks and seed give the same interval.
//! *Paper:* Efron, Tibshirani, "An introduction to the bootstrap" (1993), percentile interval.

use gossamer_machine::random::{Address, Purpose};

use super::rank::Rank;

/// How far the MRR of one run lies above another's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// MRR of both.
    pub mrr: [f64; 2],
    /// First minus second.
    pub difference: f64,
    /// The 95 % interval of the difference.
    pub interval: [f64; 2],
    /// Part of the resamples in which the first is not above the second.
    pub share_not_above: f64,
    /// Triples.
    pub n_triples: usize,
}

impl Difference {
    /// True if the interval does not hold zero.
    pub fn differs(&self) -> bool {
        self.interval[0] > 0.0 || self.interval[1] < 0.0
    }
}

/// The mean reciprocal rank of each triple, over its sides.
pub fn reciprocals(ranks: &[Rank], n_triples: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); n_triples];
    for rank in ranks {
        let sum = &mut sums[rank.triple as usize];
        *sum = (sum.0 + 1.0 / rank.realistic(), sum.1 + 1.0);
    }
    sums.into_iter().map(|(sum, n)| if n > 0.0 { sum / n } else { 0.0 }).collect()
}

/// Compares two lists of [`reciprocals`] of the same triples; lists of several seeds' means count
/// as one run's. Cost: `RESAMPLES` · triples.
pub fn compare(first: &[f64], second: &[f64], seed: u64) -> Difference {
    const RESAMPLES: u32 = 2000;
    let n = first.len().min(second.len());
    let mean = |values: &[f64]| values.iter().take(n).sum::<f64>() / n.max(1) as f64;
    let paired: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let address = Address::new(seed, Purpose::Resample, 0);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            // Two draws from each address: a number of 64 bits is more than an index needs.
            let mut sum = 0.0;
            for pair in 0..n.div_ceil(2) as u32 {
                let bits = address.bits(resample, pair);
                let index = |high: u32| ((u64::from(high) * n as u64) >> 32) as usize;
                sum += paired[index(bits[0])];
                if 2 * pair as usize + 1 < n {
                    sum += paired[index(bits[2])];
                }
            }
            sum / n.max(1) as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| means[((part * f64::from(RESAMPLES)) as usize).min(means.len() - 1)];
    let not_above = means.iter().filter(|mean| **mean <= 0.0).count();
    Difference {
        mrr: [mean(first), mean(second)],
        difference: mean(&paired),
        interval: [at(0.025), at(0.975)],
        share_not_above: not_above as f64 / f64::from(RESAMPLES),
        n_triples: n,
    }
}

/// Mean, deviation and 95 % interval of a figure over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, over n − 1.
    pub deviation: f64,
    /// Half of the 95 % interval of the mean, by Student's t.
    pub half_width: f64,
}

impl Spread {
    /// Of at least two figures; one alone has no spread.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let n = figures.len();
        if n < 2 {
            return None;
        }
        let mean = figures.iter().sum::<f64>() / n as f64;
        let square: f64 = figures.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (square / (n - 1) as f64).sqrt();
        let half_width = t_quantile(n - 1) * deviation / (n as f64).sqrt();
        Some(Self { mean, deviation, half_width })
    }
}

/// The 97.5 % quantile of Student's t (tables), 1.96 from 31 degrees of freedom on.
fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    TABLE.get(freedom.saturating_sub(1)).copied().unwrap_or(1.96)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_difference_is_found_and_none_is_not() {
        let address = Address::new(5, Purpose::Synthetic, 0);
        let noise =
            |column: u32| -> Vec<f64> { (0..2000).map(|i| address.unit(i, column)).collect() };
        let (a, b) = (noise(0), noise(1));
        // Two runs that differ by chance alone.
        let chance = compare(&a, &b, 0);
        assert!((chance.difference - (chance.mrr[0] - chance.mrr[1])).abs() < 1e-12);
        // Normal theory: ±1.96·√(2/12/2000) = ±0.0179.
        let half = (chance.interval[1] - chance.interval[0]) / 2.0;
        assert!((half - 0.0179).abs() < 0.002, "{half}");
        let better: Vec<f64> = b.iter().map(|x| x + 0.002).collect();
        let planted = compare(&better, &b, 0);
        assert!(planted.differs() && planted.share_not_above == 0.0);
        assert!(!compare(&a, &a, 0).differs());
    }

    #[test]
    fn spread_follows_its_definition() {
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.mean, spread.deviation), (2.0, 1.0));
        assert!((spread.half_width - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[1.0]), None);
    }
}
