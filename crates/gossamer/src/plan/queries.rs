//! How training triples spread over the queries that they ask, from both sides: what decides how
//! many answers a batch brings.

use std::collections::HashMap;

use gossamer_graph::sampling::Sampling;

/// Numbers of queries and of their portions, which are what an epoch's items are; of large graphs
/// estimated from some of the queries and those that have most answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// About how many different queries there are.
    pub n: u64,
    /// About how many portions their answers come in.
    pub n_portions: u64,
    /// Of the portions that have fewer than 2^i answers but not fewer than half as many: how many
    /// there are, their answers, and the sum of these numbers' squares.
    classes: [[u64; 3]; 33],
    /// True if not all queries were counted.
    estimated: bool,
}

/// Counters of the keys that come most often, by Misra and Gries, "Finding repeated elements"
/// (Science of Computer Programming 1982): a key that came more than `passed` times has one, and
/// came at most `passed` times more than it says.
#[derive(Default)]
struct Frequent {
    counters: HashMap<u64, u64>,
    passed: u64,
}

impl Frequent {
    const COUNTERS: usize = 1 << 10;

    fn meet(&mut self, key: u64) {
        let full = self.counters.len() == Self::COUNTERS;
        match self.counters.get_mut(&key) {
            Some(counter) => *counter += 1,
            None if !full => _ = self.counters.insert(key, 1),
            None => {
                self.passed += 1;
                self.counters.retain(|_, counter| {
                    *counter -= 1;
                    *counter > 0
                });
            }
        }
    }

    /// Those whose number is known within a quarter.
    fn known(self) -> HashMap<u64, u64> {
        let passed = self.passed;
        let mut known = self.counters;
        known.retain(|_, counter| *counter > 4 * passed);
        known.values_mut().for_each(|counter| *counter += passed);
        known
    }
}

impl Queries {
    /// Most answers of a portion that are few: a batch has many such.
    const FEW: usize = 64;

    /// Counts keys of about `n` triples' queries, which `keys` gives, in portions of at most
    /// `most` answers.
    pub fn count(n: u64, most: usize, keys: impl FnOnce(&mut dyn FnMut(u64))) -> Self {
        let sampling = Sampling::within(n, 1 << 16);
        let estimated = sampling.every() > 1;
        let mut answers: HashMap<u64, u64> = HashMap::new();
        let mut frequent = Frequent::default();
        keys(&mut |key| {
            if sampling.has(key) {
                *answers.entry(key).or_default() += 1;
            }
            if estimated && most > Self::FEW {
                frequent.meet(key);
            }
        });
        let frequent = frequent.known();
        answers.retain(|key, _| !frequent.contains_key(key));
        let (most, mut classes) = (most as u64, [[0; 3]; 33]);
        let mut add = |n_portions: u64, n: u64| {
            let place = (u64::BITS - n.leading_zeros()).min(32) as usize;
            let sums = [n_portions, n_portions * n, n_portions * n.saturating_mul(n)];
            classes[place].iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        };
        let looked_at = answers.values().map(|n| (sampling.every(), n));
        for (every, n) in looked_at.chain(frequent.values().map(|n| (1, n))) {
            add(every * (n / most), most);
            add(every * u64::from(n % most > 0), n % most);
        }
        let n = answers.len() as u64 * sampling.every() + frequent.len() as u64;
        let n_portions = classes.iter().map(|[n, ..]| n).sum();
        Self { n, n_portions, classes, estimated }
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
            let above = above.iter().map(|sums| sums[1]).sum::<u64>() as f64;
            let [mean, square] = [1, 2].map(|place| sum(place) / sum(0).max(1.0));
            // Of some of the queries, it is within some hundredths.
            let more = if self.estimated { mean / 32.0 } else { 0.0 };
            let deviation = (2.0 * T * n * (square - mean * mean).max(0.0)).sqrt();
            above + n * (mean + more) + deviation + T / 3.0 * 2f64.powi(cut as i32 - 1)
        };
        (1..=self.classes.len()).map(bound).fold(f64::INFINITY, f64::min) as u64
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
    fn no_batch_brings_more_and_the_bound_is_near() {
        for n in [1000, 200_000] {
            let answers = answers(n);
            for most in [1, 16, usize::MAX] {
                let found = counted(&answers, most);
                let mut there = portions(&answers, most as u64);
                there.sort_unstable();
                let largest = there.pop().unwrap();
                for batch in [1, 50, 900] {
                    let bound = found.most_answers(batch as u64);
                    let mean = batch as f64 * there.iter().sum::<u64>() as f64 / there.len() as f64;
                    let near = 1.1 * mean + 12.0 * mean.sqrt() + 1.1 * largest as f64 + 100.0;
                    assert!((bound as f64) < near, "{most} {batch}: {bound}, {near}");
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
