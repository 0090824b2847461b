//! Neighbourhoods: what is drawn around a batch of entities, so that a step sees a part of the graph.
//!
//! From each entity of the batch so many of its triples are drawn, without repeating one; from the
//! entities at their other ends again, as many times as there are layers. What was drawn is a small
//! graph of its own, in which means over neighbours have the whole graph's as their expectation.
//!
//! *Invariant:* what is drawn is a function of the batch and the address.
//! *Paper:* Hamilton, Ying, Leskovec: "Inductive representation learning on large graphs" (2017).

use std::collections::HashMap;

use gossamer_machine::Address;
use gossamer_machine::random::Permutation;
use gossamer_tensor::sparse::Sparse;

/// The triples of each entity, by place, at whichever end it stands.
pub struct Incidence {
    starts: Vec<u32>,
    places: Vec<u32>,
}

/// A part of a graph.
#[derive(Debug, PartialEq)]
pub struct Neighbourhood {
    /// Its entities by their ids in the graph; the batch comes first.
    pub entities: Vec<u32>,
    /// Its triples; heads and tails are places in the list.
    pub triples: Vec<[u32; 3]>,
}

impl Incidence {
    /// Of triples among so many entities.
    pub fn of(n: usize, triples: &[[u32; 3]]) -> Self {
        let ends = |triple: &[u32; 3]| {
            // A triple from an entity to itself is met once.
            let [head, _, tail] = *triple;
            std::iter::once(head).chain((tail != head).then_some(tail))
        };
        let mut starts = vec![0u32; n + 1];
        triples.iter().flat_map(ends).for_each(|entity| starts[entity as usize + 1] += 1);
        (0..n).for_each(|entity| starts[entity + 1] += starts[entity]);
        let mut places = vec![0; starts[n] as usize];
        let mut next = starts.clone();
        for (place, triple) in (0..).zip(triples) {
            for entity in ends(triple) {
                places[next[entity as usize] as usize] = place;
                next[entity as usize] += 1;
            }
        }
        Self { starts, places }
    }

    /// Bytes of so many entities and triples.
    pub fn bytes_for(n: u64, n_triples: u64) -> u64 {
        4 * (n + 1) + 8 * n_triples
    }

    /// At most so many places of an entity's triples, each as likely as another.
    fn draw(&self, entity: u32, fanout: usize, address: Address, out: &mut Vec<u32>) {
        let own = self.starts[entity as usize] as usize..self.starts[entity as usize + 1] as usize;
        let own = &self.places[own];
        if own.len() <= fanout {
            out.extend_from_slice(own);
            return;
        }
        let order = Permutation::new(own.len() as u64, address.part(entity));
        out.extend((0..fanout as u64).map(|place| own[order.get(place) as usize]));
    }

    /// What is drawn around a batch, so many triples an entity and so many steps far.
    pub fn around(
        &self,
        batch: &[u32],
        (fanout, n_hops): (usize, usize),
        triples: &[[u32; 3]],
        address: Address,
    ) -> Neighbourhood {
        let mut entities = batch.to_vec();
        let mut place_of: HashMap<u32, u32> =
            (0..).zip(batch).map(|(place, entity)| (*entity, place)).collect();
        let (mut drawn, mut from) = (Vec::new(), 0);
        for hop in 0..n_hops as u32 {
            let (before, already) = (entities.len(), drawn.len());
            for entity in &entities[from..] {
                self.draw(*entity, fanout, address.part(hop), &mut drawn);
            }
            for place in &drawn[already..] {
                let [head, _, tail] = triples[*place as usize];
                for entity in [head, tail] {
                    place_of.entry(entity).or_insert_with(|| {
                        entities.push(entity);
                        entities.len() as u32 - 1
                    });
                }
            }
            from = before;
        }
        drawn.sort_unstable();
        drawn.dedup();
        let number = |place: &u32| {
            let [head, relation, tail] = triples[*place as usize];
            [place_of[&head], relation, place_of[&tail]]
        };
        Neighbourhood { triples: drawn.iter().map(number).collect(), entities }
    }
}

impl Neighbourhood {
    /// Entities of the largest one: a tree of so many hops, or the whole graph.
    pub fn most_entities(batch: usize, (fanout, n_hops): (usize, usize), n: usize) -> usize {
        let level = |width: usize| width.saturating_mul(fanout);
        let levels = std::iter::successors(Some(batch), |width| Some(level(*width)));
        levels.take(n_hops + 1).fold(0usize, usize::saturating_add).min(n)
    }

    /// The rows of its entities, by entity and by column.
    pub fn rows_of(&self, matrix: &Sparse) -> [Sparse; 2] {
        let entries = (0..).zip(&self.entities).flat_map(|(row, entity)| {
            let (columns, weights) = matrix.row(*entity as usize);
            columns.iter().zip(weights).map(move |(column, weight)| (row, *column, *weight))
        });
        let by_entity = Sparse::of_sorted(self.entities.len(), matrix.n_columns, entries);
        [by_entity.transposed(), by_entity]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    /// A star of 40 around 0, and a path 1 – 41 – 42.
    fn star() -> Vec<[u32; 3]> {
        let rays = (1..=40).map(|leaf| if leaf % 2 == 0 { [0, 0, leaf] } else { [leaf, 1, 0] });
        rays.chain([[1, 0, 41], [41, 0, 42], [42, 1, 42]]).collect()
    }

    fn drawn(batch: &[u32], size: (usize, usize), seed: u64) -> Neighbourhood {
        let triples = star();
        let address = Address::new(seed, Purpose::Sample, 0);
        Incidence::of(43, &triples).around(batch, size, &triples, address)
    }

    #[test]
    fn as_many_as_asked_for_are_drawn_and_all_where_there_are_no_more() {
        let found = drawn(&[0], (10, 1), 1);
        assert_eq!((found.entities.len(), found.triples.len()), (11, 10));
        assert!(found.triples.iter().all(|t| t[0] == 0 || t[2] == 0));
        let all = drawn(&[42, 41], (10, 2), 1);
        assert_eq!(all.entities[..2], [42, 41]);
        assert_eq!(all.triples.len(), 4, "{all:?}");
        assert!(Neighbourhood::most_entities(1, (10, 1), 43) >= found.entities.len());
        assert_eq!(Neighbourhood::most_entities(2, (10, 2), 43), 43);
    }

    #[test]
    fn the_same_address_draws_the_same_and_each_triple_is_as_likely() {
        assert_eq!(drawn(&[0], (10, 2), 5), drawn(&[0], (10, 2), 5));
        let mut counts = [0u32; 43];
        for seed in 0..2000 {
            let found = drawn(&[0], (10, 1), seed);
            found.entities[1..].iter().for_each(|entity| counts[*entity as usize] += 1);
        }
        // 500 of 2,000 on average, with a deviation of 19.
        let leaves = &counts[1..=40];
        assert!(leaves.iter().all(|count| (400..600).contains(count)), "{leaves:?}");
    }
}
