//! The deal of an epoch: which parts of the rows are a partition.
//!
//! Entity rows stand in parts, a file each, and a partition is about four of them, dealt at random
//! anew for every epoch. Were partitions always of the same entities, an entity with few facts
//! would stand against the same few partitions in every epoch, and two candidates that are never in
//! memory together with a known entity would never be compared.
//!
//! *Measured:* FB15k-237, 2 of 8 partitions in memory: `bench/paged`.
//! *Paper:* Waleffe et al.: MariusGNN (EuroSys 2023), the policy COMET: physical partitions are
//! grouped into logical ones.

use gossamer_machine::random::{Address, Permutation, Purpose};

use crate::table::PANEL_ROWS;

/// Parts of a partition, where there are as many panels.
const PARTS: usize = 4;

/// How many parts so many rows are cut into. With few panels each is a part, so that all partitions
/// have about as many rows.
pub fn n_parts(n_partitions: usize, n_rows: usize) -> usize {
    match n_rows.div_ceil(PANEL_ROWS) {
        n_panels if n_panels <= 2 * PARTS * n_partitions => n_panels.max(n_partitions),
        _ => PARTS * n_partitions,
    }
}

/// The most panels that so many partitions have, of all that there are.
pub fn most_panels(held: usize, n_partitions: usize, n_rows: usize) -> usize {
    let (n_panels, n) = (n_rows.div_ceil(PANEL_ROWS), n_parts(n_partitions, n_rows));
    let parts = (held * n.div_ceil(n_partitions)).min(n);
    // Some parts have one panel more than the others.
    parts * (n_panels / n) + parts.min(n_panels % n)
}

/// Which part belongs to which partition, in an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal {
    partition_of: Vec<usize>,
    parts: Vec<Vec<usize>>,
}

impl Deal {
    /// That of so many parts to so many partitions in an epoch; these differ by one part at most.
    pub fn new((n_parts, n_partitions): (usize, usize), seed: u64, epoch: u64) -> Self {
        /// Smaller numbers are those of other choices.
        const FIRST: u64 = 1 << 32;
        let address = Address::new(seed, Purpose::Partition, FIRST + epoch);
        let order = Permutation::new(n_parts as u64, address);
        let place = |part: usize| order.get(part as u64) as usize;
        let partition_of: Vec<usize> =
            (0..n_parts).map(|part| place(part) * n_partitions / n_parts).collect();
        let mut parts = vec![Vec::new(); n_partitions];
        for (part, partition) in partition_of.iter().enumerate() {
            parts[*partition].push(part);
        }
        Self { partition_of, parts }
    }

    /// How many partitions.
    pub fn n_partitions(&self) -> usize {
        self.parts.len()
    }

    /// The partition that a part belongs to.
    pub fn partition(&self, part: usize) -> usize {
        self.partition_of[part]
    }

    /// The parts of a partition, ascending.
    pub fn parts(&self, partition: usize) -> &[usize] {
        &self.parts[partition]
    }

    /// The parts of some partitions, ascending.
    pub fn parts_of(&self, partitions: &[usize]) -> Vec<usize> {
        let mut parts: Vec<usize> =
            partitions.iter().flat_map(|partition| self.parts(*partition)).copied().collect();
        parts.sort_unstable();
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::shelf::Parts;

    #[test]
    fn each_part_is_in_one_partition_and_each_epoch_has_others() {
        assert_eq!([n_parts(8, 1 << 20), n_parts(8, 14_541), n_parts(8, 100)], [32, 29, 8]);
        assert_eq!([n_parts(8, 64 * 512), n_parts(8, 65 * 512)], [64, 32]);
        for (n, n_rows) in [(32, 65 * 512), (29, 14_541)] {
            assert_eq!(n_parts(8, n_rows), n);
            let parts = Parts::mixed(n_rows, n, 5);
            let deals: Vec<Deal> = (0..100).map(|epoch| Deal::new((n, 8), 5, epoch)).collect();
            let mut together = vec![0; n];
            for deal in &deals {
                let all: Vec<usize> = (0..8).collect();
                assert_eq!(deal.parts_of(&all), (0..n).collect::<Vec<_>>());
                for partition in 0..8 {
                    assert!((n / 8..=n.div_ceil(8)).contains(&deal.parts(partition).len()));
                    assert!(deal.parts(partition).iter().all(|k| deal.partition(*k) == partition));
                }
                deal.parts(deal.partition(0)).iter().for_each(|other| together[*other] += 1);
                let of = |k: usize| deal.parts(k).iter().map(|part| parts.panels(*part).len());
                let mut panels: Vec<usize> = (0..8).map(|k| of(k).sum()).collect();
                panels.sort_unstable();
                for held in 1..=8 {
                    let had: usize = panels[8 - held..].iter().sum();
                    assert!(had <= most_panels(held, 8, n_rows), "{held} {panels:?}");
                }
            }
            // Part 0 meets every other in some epoch, about 3 of 31 in each.
            assert_eq!(together[0], 100);
            assert!(together[1..].iter().all(|n| (1..=25).contains(n)), "{together:?}");
            assert_eq!(Deal::new((n, 8), 5, 3), deals[3]);
        }
    }
}
