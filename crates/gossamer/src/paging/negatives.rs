//! Negatives from the partitions in memory.
//!
//! An entity that is not in memory cannot stand against anything, and a bucket's answers are not
//! spread over the partitions as those of an epoch are. Were negatives spread evenly over the
//! partitions in memory, known entities of one would meet some partitions often and others seldom,
//! and what is learned would be which partition has come. So queries whose known entities are in one
//! partition share negatives, as far as a batch has enough of them, and these come from partitions
//! in shares that make up for how often each is there.
//!
//! *Formula:* against answers of known entities of partition i a negative comes from partition k
//! with a share ∝ N_k / (sets that have both i and k). The triples of a pair are spread over these
//! sets, so an epoch's negatives of i come from k as N_k/N, as if drawn from all entities. What is not
//! mended: two candidates for a query are compared only where both are in memory with the known entity.
//! *Measured:* FB15k-237, 8 partitions, 2 in memory: `bench/paged`. Rows of absent partitions as
//! negatives that do not change were tried and made it worse: queries learn to tell what is in
//! memory from what is not. So did a few panels of them that change, other ones at each turn: so few
//! rows stand in for so many that they are pushed too far.
//! *Paper:* Lerer et al.: PyTorch-BigGraph (SysML 2019), §3.1, who draw from the answer's partition.

use std::sync::Arc;

use crate::table::PANEL_ROWS;
use crate::table::shelf::Partitions;

use super::order::Order;

/// The entities in memory, and which of them stand against answers of whom.
#[derive(Debug, Clone)]
pub struct Residents {
    partitions: Arc<Partitions>,
    /// Of each known entity's partition: the partitions in memory, each with its first number and
    /// how many numbers stand for its rows.
    spans: Vec<Vec<Span>>,
}

/// The numbers that stand for a partition's rows.
#[derive(Debug, Clone, Copy)]
struct Span {
    partition: usize,
    first: u32,
    n: u32,
}

/// How many numbers stand for the entities in memory.
pub const NUMBERS: u32 = u32::MAX;

impl Residents {
    /// Those of a set of partitions.
    pub fn new(partitions: &Arc<Partitions>, order: &Order, set: usize) -> Self {
        let spans = |known| {
            let weight = |k: &usize| {
                let sets = order.with(known, *k).len().max(1);
                partitions.n_rows(*k) as f64 / sets as f64
            };
            let all: f64 = order.set(set).iter().map(weight).sum();
            let (mut spans, mut sum) = (Vec::new(), 0.0);
            let end = |sum: f64| (sum / all * f64::from(NUMBERS)).round() as u32;
            for k in order.set(set).iter().filter(|k| partitions.n_rows(**k) > 0) {
                let first = end(sum);
                sum += weight(k);
                spans.push(Span { partition: *k, first, n: end(sum) - first });
            }
            spans
        };
        let spans = (0..partitions.len()).map(spans).collect();
        Self { partitions: Arc::clone(partitions), spans }
    }

    /// The partition of an entity.
    pub fn partition(&self, id: u32) -> usize {
        self.partitions.of_row(id)
    }

    /// The entity that a number stands for, against answers of known entities of a partition.
    pub fn entity(&self, known: usize, number: u32) -> u32 {
        let spans = &self.spans[known];
        let place = spans.partition_point(|span| span.first <= number).max(1) - 1;
        let Span { partition, first, n } = spans[place];
        let rows = self.partitions.n_rows(partition);
        let row = u64::from(number - first) * rows / u64::from(n.max(1));
        let row = row.min(rows - 1) as usize;
        let panel = self.partitions.panels(partition)[row / PANEL_ROWS];
        panel * PANEL_ROWS as u32 + (row % PANEL_ROWS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each entity is drawn against each known partition in an epoch in which entities
    /// have answers everywhere.
    #[test]
    fn over_an_epoch_each_entity_stands_against_each_partition_alike() {
        const N: u64 = 20_000;
        for in_memory in [2, 3, 4] {
            let (partitions, order) =
                (Arc::new(Partitions::mixed(5000, 4, 7)), Order::new(4, in_memory));
            let mut drawn = vec![vec![0.0; 5000]; 4];
            for set in 0..order.len() {
                let residents = Residents::new(&partitions, &order, set);
                for known in order.set(set) {
                    // Its answers in this set: a pair's, over the sets that have both.
                    let of_pair = |k: &usize| {
                        partitions.n_rows(*k) as f64 / order.with(*known, *k).len() as f64
                    };
                    let answers: f64 = order.set(set).iter().map(of_pair).sum();
                    for place in 0..N {
                        let number = (place * u64::from(NUMBERS) / N) as u32;
                        let entity = residents.entity(*known, number);
                        assert!(order.set(set).contains(&residents.partition(entity)));
                        drawn[*known][entity as usize] += answers / N as f64;
                    }
                    residents.entity(*known, NUMBERS);
                }
            }
            for (known, drawn) in drawn.iter().enumerate() {
                for partition in 0..4 {
                    let own = (0..5000).filter(|id| partitions.of_row(*id as u32) == partition);
                    let sum: f64 = own.map(|id| drawn[id]).sum();
                    let wanted = partitions.n_rows(partition) as f64;
                    assert!((sum / wanted - 1.0).abs() < 0.01, "{known} {partition} {sum}");
                }
                let spread = drawn.iter().fold(0.0f64, |most, n| most.max((n - 1.0).abs()));
                assert!(spread < 0.35, "{in_memory} {known}: {spread}");
            }
        }
    }
}
