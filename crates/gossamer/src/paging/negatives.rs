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
//! sets, so an epoch's negatives of i come from k as N_k/N, as if drawn from all entities. Two
//! candidates for a query are compared only where both are in memory with the known entity: which
//! these are changes from epoch to epoch ([`super::deal`]).
//! *Measured:* FB15k-237, 2 of 8 partitions in memory: `bench/paged`. Rows of absent partitions as
//! negatives that do not change were tried and made it worse: queries learn to tell what is in
//! memory from what is not. So did a few panels of them that change, other ones at each turn: so few
//! rows stand in for so many that they are pushed too far.
//! *Paper:* Lerer et al.: PyTorch-BigGraph (SysML 2019), §3.1, who draw from the answer's partition.

use std::sync::Arc;

use crate::table::PANEL_ROWS;
use crate::table::shelf::Parts;

use super::deal::Deal;
use super::order::Order;

/// The entities in memory, and which of them stand against answers of whom.
#[derive(Debug, Clone)]
pub struct Residents {
    parts: Arc<Parts>,
    /// The partition of each part.
    deal: Arc<Deal>,
    /// Of each known entity's partition: the parts in memory, each with its first number and how
    /// many numbers stand for its rows.
    spans: Vec<Vec<Span>>,
}

/// The numbers that stand for a part's rows.
#[derive(Debug, Clone, Copy)]
struct Span {
    part: usize,
    first: u32,
    n: u32,
}

/// How many numbers stand for the entities in memory.
pub const NUMBERS: u32 = u32::MAX;

impl Residents {
    /// Those of a set of an epoch's partitions.
    pub fn new(parts: &Arc<Parts>, deal: &Arc<Deal>, order: &Order, set: usize) -> Self {
        let here = deal.parts_of(order.set(set));
        let spans = |known| {
            let weight = |part: usize| {
                let sets = order.with(known, deal.partition(part)).len().max(1);
                parts.n_rows(part) as f64 / sets as f64
            };
            let all: f64 = here.iter().map(|part| weight(*part)).sum();
            let (mut spans, mut sum) = (Vec::new(), 0.0);
            let end = |sum: f64| (sum / all * f64::from(NUMBERS)).round() as u32;
            for part in here.iter().copied().filter(|part| parts.n_rows(*part) > 0) {
                let first = end(sum);
                sum += weight(part);
                spans.push(Span { part, first, n: end(sum) - first });
            }
            spans
        };
        let spans = (0..deal.n_partitions()).map(spans).collect();
        Self { parts: Arc::clone(parts), deal: Arc::clone(deal), spans }
    }

    /// The partition of an entity.
    pub fn partition(&self, id: u32) -> usize {
        self.deal.partition(self.parts.of_row(id))
    }

    /// The entity that a number stands for, against answers of known entities of a partition.
    pub fn entity(&self, known: usize, number: u32) -> u32 {
        let spans = &self.spans[known];
        let place = spans.partition_point(|span| span.first <= number).max(1) - 1;
        let Span { part, first, n } = spans[place];
        let rows = self.parts.n_rows(part);
        let row = u64::from(number - first) * rows / u64::from(n.max(1));
        let row = row.min(rows - 1) as usize;
        let panel = self.parts.panels(part)[row / PANEL_ROWS];
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
        const N: u64 = 160_000;
        for in_memory in [2, 3, 4] {
            let parts = Arc::new(Parts::mixed(40_000, 16, 7));
            let (deal, order) = (Arc::new(Deal::new((16, 4), 7, 2)), Order::new(4, in_memory));
            let n_rows =
                |k: usize| deal.parts(k).iter().map(|part| parts.n_rows(*part)).sum::<u64>() as f64;
            let mut drawn = vec![vec![0.0; 40_000]; 4];
            for set in 0..order.len() {
                let residents = Residents::new(&parts, &deal, &order, set);
                for known in order.set(set) {
                    // Its answers in this set: a pair's, over the sets that have both.
                    let of_pair = |k: &usize| n_rows(*k) / order.with(*known, *k).len() as f64;
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
                    let is_own = |id: &usize| deal.partition(parts.of_row(*id as u32)) == partition;
                    let own = (0..40_000).filter(is_own);
                    let sum: f64 = own.map(|id| drawn[id]).sum();
                    let wanted = n_rows(partition);
                    assert!((sum / wanted - 1.0).abs() < 0.01, "{known} {partition} {sum}");
                }
                let spread = drawn.iter().fold(0.0f64, |most, n| most.max((n - 1.0).abs()));
                assert!(spread < 0.35, "{in_memory} {known}: {spread}");
            }
        }
    }
}
