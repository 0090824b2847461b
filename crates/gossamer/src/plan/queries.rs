//! How training triples spread over the queries that they ask, from both sides: what decides how
//! many answers a batch brings.

use std::collections::HashMap;

use gossamer_graph::sampling::Sampling;

/// Numbers of queries and of their portions, which are what an epoch's items are; of large graphs
/// estimated from some of the queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// About how many different queries there are.
    pub n: u64,
    /// About how many portions their answers come in.
    pub n_portions: u64,
    /// Of the portions that were looked at, those of fewer than 2^i answers but not of fewer than
    /// half as many: how many, their answers, and the sum of these numbers' squares.
    classes: [[u64; 3]; 33],
    /// Portions that stand for one that was looked at.
    every: u64,
    /// Where some were looked at: as many answers as the largest portion has, or more.
    largest: u64,
}

/// Counters that all queries are spread over: the fullest has as many answers as any query.
const COUNTERS: usize = 1 << 14;

impl Queries {
    /// Counts keys of about `n` triples' queries, which `keys` gives, in portions of at most
    /// `most` answers.
    pub fn count(n: u64, most: usize, keys: impl FnOnce(&mut dyn FnMut(u64))) -> Self {
        let sampling = Sampling::within(n, 1 << 16);
        let mut answers: HashMap<u64, u64> = HashMap::new();
        let mut counters = vec![0u64; if sampling.every() > 1 { COUNTERS } else { 0 }];
        keys(&mut |key| {
            if sampling.has(key) {
                *answers.entry(key).or_default() += 1;
            }
            if !counters.is_empty() {
                counters[Sampling::hash(key) as usize % COUNTERS] += 1;
            }
        });
        let (most, every) = (most as u64, sampling.every());
        let mut classes = [[0; 3]; 33];
        let mut add = |n_portions: u64, n: u64| {
            let place = (u64::BITS - n.leading_zeros()).min(32) as usize;
            let sums = [n_portions, n_portions * n, n_portions * n.saturating_mul(n)];
            classes[place].iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        };
        for n in answers.values() {
            add(n / most, most);
            add(u64::from(n % most > 0), n % most);
        }
        let n_portions = every * classes.iter().map(|[n, ..]| n).sum::<u64>();
        let largest = counters.into_iter().max().unwrap_or(0).min(most);
        Self { n: answers.len() as u64 * every, n_portions, classes, every, largest }
    }

    /// The most answers that so many portions bring, drawn from all without return.
    ///
    /// Bernstein's bound n·mean + σ·√(2nt) + t/3·largest is passed with a chance of at most e^−t;
    /// t is 8. Where few portions are far larger than the others, it is lower if all of them are
    /// taken for drawn and the bound is that of the others.
    pub fn most_answers(&self, n_portions: u64) -> u64 {
        const T: f64 = 8.0;
        let n = n_portions as f64;
        let bound = |cut: usize| {
            let (below, above) = self.classes.split_at(cut);
            let sum = |place: usize| below.iter().map(|sums| sums[place]).sum::<u64>() as f64;
            let above = (self.every * above.iter().map(|sums| sums[1]).sum::<u64>()) as f64;
            let [mean, square] = [1, 2].map(|place| sum(place) / sum(0).max(1.0));
            // Where some were looked at, the mean is within some hundredths.
            let more = if self.every > 1 { mean / 32.0 } else { 0.0 };
            let deviation = (2.0 * T * n * (square - mean * mean).max(0.0)).sqrt();
            above + n * (mean + more) + deviation + T / 3.0 * 2f64.powi(cut as i32 - 1)
        };
        let least = (1..=self.classes.len()).map(bound).fold(f64::INFINITY, f64::min);
        least as u64 + self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::random::{Address, Purpose};

    /// Answers of each query: one for most, some, and for one query very many.
    fn answers(n: u64) -> Vec<u64> {
        (0..n).map(|query| if query == 7 { n / 30 } else { 1 + (query * query) % 29 % 5 }).collect()
    }

    fn counted(answers: &[u64], most: usize) -> Queries {
        Queries::count(answers.iter().sum(), most, |see| {
            for (query, n) in answers.iter().enumerate() {
                (0..*n).for_each(|_| see(query as u64));
            }
        })
    }

    fn portions(answers: &[u64], most: u64) -> Vec<u64> {
        let cut = |n: &u64| {
            let (n, parts) = (*n, n.div_ceil(most));
            (0..parts).map(move |part| most.min(n - part * most))
        };
        answers.iter().flat_map(cut).collect()
    }

    #[test]
    fn small_graphs_are_counted_exactly_and_large_ones_about() {
        for (n, within) in [(0, 0.0), (1000, 0.0), (200_000, 0.04)] {
            let answers = answers(n);
            for most in [1, 4, 16] {
                let (found, there) = (counted(&answers, most), portions(&answers, most as u64));
                let near = |a: u64, b: usize| (a as f64 - b as f64).abs() <= within * b as f64;
                assert!(near(found.n, answers.len()), "{found:?}");
                assert!(near(found.n_portions, there.len()), "{found:?} {}", there.len());
            }
        }
    }

    #[test]
    fn no_batch_brings_more() {
        for n in [1000, 200_000] {
            let answers = answers(n);
            for most in [1, 16, usize::MAX] {
                let found = counted(&answers, most);
                let mut there = portions(&answers, most as u64);
                there.sort_unstable();
                let largest = there.pop().unwrap();
                for batch in [1, 50, 900] {
                    let bound = found.most_answers(batch as u64);
                    let address = Address::new(1, Purpose::Synthetic, 0);
                    for round in 0..200 {
                        let draw = |i| address.below(there.len() as u64, round, i) as usize;
                        let drawn: u64 = (1..batch).map(|i| there[draw(i)]).sum();
                        // The largest is met once in an epoch.
                        let drawn = drawn + largest;
                        assert!(drawn <= bound, "{most} {batch}: {drawn} of {bound}");
                    }
                }
            }
        }
    }
}
