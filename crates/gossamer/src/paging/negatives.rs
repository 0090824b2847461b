//! Negatives from the partitions in memory.
//!
//! An entity that is not in memory cannot stand against anything. So that each still stands as
//! often in an epoch as with all in memory, a bucket draws from its partitions in shares: those that
//! are in memory seldom get more there.
//!
//! *Formula:* shares w of (bucket, partition), Σ over a bucket's partitions = 1, such that
//! Σ_b n_b·w_bk = N_k/N · Σ_b n_b; found by scaling both sums in turn. What this does not mend: an
//! entity meets only answers of the partitions it shares memory with.

use std::sync::Arc;

use crate::table::PANEL_ROWS;
use crate::table::shelf::Partitions;

use super::order::Order;

/// The shares of each set's partitions: of negatives, in an order's buckets with so many triples,
/// from partitions with so many rows.
pub fn shares(order: &Order, triples: &[u64], rows: &[u64]) -> Vec<Vec<f64>> {
    /// Scaling comes close quickly where it can come close at all.
    const ROUNDS: usize = 200;
    let all: f64 = triples.iter().map(|n| *n as f64).sum();
    let n_rows: f64 = rows.iter().map(|n| *n as f64).sum();
    let even = |set: &[usize]| {
        let sum: f64 = set.iter().map(|k| rows[*k] as f64).sum();
        set.iter().map(|k| rows[*k] as f64 / sum.max(1.0)).collect()
    };
    let mut shares: Vec<Vec<f64>> = (0..order.len()).map(|set| even(order.set(set))).collect();
    for _ in 0..ROUNDS {
        let mut drawn = vec![0.0; rows.len()];
        for (set, shares) in shares.iter().enumerate() {
            for (k, share) in order.set(set).iter().zip(shares) {
                drawn[*k] += share * triples[set] as f64;
            }
        }
        for (set, shares) in shares.iter_mut().enumerate() {
            for (k, share) in order.set(set).iter().zip(shares.iter_mut()) {
                *share *= rows[*k] as f64 / n_rows * all / drawn[*k].max(1e-300);
            }
            let sum: f64 = shares.iter().sum();
            shares.iter_mut().for_each(|share| *share /= sum.max(1e-300));
        }
    }
    shares
}

/// The entities in memory, numbered so that a number drawn evenly stands for an entity drawn by its
/// partition's share.
#[derive(Debug, Clone)]
pub struct Residents {
    partitions: Arc<Partitions>,
    /// Of each partition in memory: its first number, how many numbers, itself, its rows.
    spans: Vec<(u32, u32, usize, u64)>,
}

/// How many numbers stand for all entities in memory.
pub const NUMBERS: u32 = u32::MAX;

impl Residents {
    /// Of a set of partitions and their shares.
    pub fn new(partitions: &Arc<Partitions>, set: &[usize], shares: &[f64]) -> Self {
        let (mut spans, mut sum) = (Vec::new(), 0.0);
        let end = |sum: f64| (sum * f64::from(NUMBERS)).round().min(f64::from(NUMBERS)) as u32;
        for (place, (partition, share)) in set.iter().zip(shares).enumerate() {
            let first = end(sum);
            sum = if place + 1 == set.len() { 1.0 } else { sum + share };
            let rows = partitions.n_rows(*partition);
            spans.push((first, end(sum) - first, *partition, rows));
        }
        spans.retain(|(_, n, _, rows)| *n > 0 && *rows > 0);
        Self { partitions: Arc::clone(partitions), spans }
    }

    /// The entity that a number stands for.
    pub fn entity(&self, number: u32) -> u32 {
        let place = self.spans.partition_point(|(first, ..)| *first <= number).max(1) - 1;
        let (first, n, partition, rows) = self.spans[place];
        let row = (u64::from(number.saturating_sub(first)) * rows / u64::from(n)).min(rows - 1);
        let panel = self.partitions.panels(partition)[row as usize / PANEL_ROWS];
        panel * PANEL_ROWS as u32 + (row as usize % PANEL_ROWS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_drawn_by_its_rows_over_an_epoch() {
        for (n, c) in [(8, 2), (8, 4), (16, 8), (5, 5)] {
            let order = Order::new(n, c);
            let triples: Vec<u64> = (0..order.len() as u64).map(|set| 1000 + 37 * set).collect();
            let rows: Vec<u64> = (0..n as u64).map(|k| 5000 + k % 2 * 512).collect();
            let shares = shares(&order, &triples, &rows);
            let (all, n_rows) = (triples.iter().sum::<u64>(), rows.iter().sum::<u64>());
            for (k, rows) in rows.iter().enumerate() {
                let drawn: f64 = (0..order.len())
                    .filter_map(|set| {
                        let place = order.set(set).iter().position(|other| *other == k)?;
                        Some(shares[set][place] * triples[set] as f64)
                    })
                    .sum();
                let wanted = *rows as f64 / n_rows as f64 * all as f64;
                assert!((drawn / wanted - 1.0).abs() < 0.02, "{n} {c} {k}: {drawn} {wanted}");
            }
        }
    }

    #[test]
    fn numbers_stand_for_the_rows_of_their_partitions_evenly() {
        let partitions = Arc::new(Partitions::mixed(5000, 4, 7));
        let residents = Residents::new(&partitions, &[0, 2], &[0.25, 0.75]);
        let mut counts = std::collections::BTreeMap::new();
        for place in 0..1_000_000u64 {
            let number = (place * u64::from(NUMBERS) / 1_000_000) as u32;
            *counts.entry(residents.entity(number)).or_insert(0u64) += 1;
        }
        for (partition, share) in [(0, 0.25), (2, 0.75)] {
            let rows = partitions.n_rows(partition);
            let of = counts.iter().filter(|(id, _)| partitions.of_row(**id) == partition);
            let of: Vec<u64> = of.map(|(_, n)| *n).collect();
            let even = 1e6 * share / rows as f64;
            assert_eq!(of.len() as u64, rows);
            assert!(of.iter().all(|n| (*n as f64 - even).abs() < 2.0), "{even}: {of:?}");
        }
        assert!(counts.keys().all(|id| *id < 5000 && [0, 2].contains(&partitions.of_row(*id))));
        assert_eq!(residents.entity(0), residents.entity(1));
        residents.entity(NUMBERS);
    }
}
