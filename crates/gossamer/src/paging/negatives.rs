//! Negatives from the partitions in memory.
//!
//! An entity that is not in memory cannot stand against anything, and a bucket's answers are not
//! spread over the partitions as those of an epoch are. Were negatives spread evenly over the
//! partitions in memory, known entities of one would meet some partitions often and others seldom,
//! and what is learned would be which partition has come. So queries whose known entities are in one
//! partition share negatives, as far as a batch has enough of them, and these come from partitions
//! in the shares of the queries' answers.
//!
//! *Formula:* over an epoch the known entities of partition i have n_ik answers in partition k, and
//! as many times m negatives of it. The n_ik are about n_i·N_k/N, since partitions are drawn at
//! random: entities stand against them as often as if drawn from all. What is not mended: two
//! candidates for a query are compared only where both are in memory with the known entity.
//! *Measured:* FB15k-237, 8 partitions, 2 in memory: `bench/paged`.
//! *Paper:* Lerer et al.: PyTorch-BigGraph (SysML 2019), §3.1, who draw from the answer's partition.

use std::sync::Arc;

use crate::table::PANEL_ROWS;
use crate::table::shelf::Partitions;

/// The entities in memory.
#[derive(Debug, Clone)]
pub struct Residents {
    partitions: Arc<Partitions>,
}

/// How many numbers stand for the entities of a partition.
pub const NUMBERS: u32 = u32::MAX;

impl Residents {
    /// Of these partitions, in whichever of them answers stand.
    pub fn new(partitions: &Arc<Partitions>) -> Self {
        Self { partitions: Arc::clone(partitions) }
    }

    /// The partition of an entity.
    pub fn partition(&self, id: u32) -> usize {
        self.partitions.of_row(id)
    }

    /// The entity of a partition that a number stands for, each for about as many.
    pub fn entity(&self, partition: usize, number: u32) -> u32 {
        let row = (u64::from(number) * self.partitions.n_rows(partition)) >> 32;
        let panel = self.partitions.panels(partition)[row as usize / PANEL_ROWS];
        panel * PANEL_ROWS as u32 + (row as usize % PANEL_ROWS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_the_rows_of_a_partition_evenly() {
        let partitions = Arc::new(Partitions::mixed(5000, 4, 7));
        let residents = Residents::new(&partitions);
        for partition in 0..4 {
            let mut counts = std::collections::BTreeMap::new();
            for place in 0..1_000_000u64 {
                let number = (place * u64::from(NUMBERS) / 1_000_000) as u32;
                *counts.entry(residents.entity(partition, number)).or_insert(0u64) += 1;
            }
            let rows = partitions.n_rows(partition);
            let even = 1e6 / rows as f64;
            assert_eq!(counts.len() as u64, rows);
            assert!(counts.values().all(|n| (*n as f64 - even).abs() < 2.0), "{even}");
            assert!(counts.keys().all(|id| *id < 5000 && residents.partition(*id) == partition));
            assert_eq!(residents.partition(residents.entity(partition, NUMBERS)), partition);
        }
    }
}
