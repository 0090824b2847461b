//! Splits: which triples are held out, so that no mirror straddles.
//!
//! Triples over the same two entities whose relations mirror each other form a group; a group goes
//! to one split whole. Groups are taken in a seeded random order; a group that would leave an
//! entity or a relation without any training triple stays in train.
//!
//! *Invariant:* the same triples, shares and seed give the same split.

use std::collections::HashMap;

use gossamer_machine::random::{Address, Permutation, Purpose};

use crate::error::GraphError;
use crate::id::Split;
use crate::mirror::{classes, find_mirrors};
use crate::triples::Triples;

/// Relations that share this part of their pairs are kept together.
pub const MIRROR_SHARE: f64 = 0.5;

/// What part of the triples goes where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Part for validation, 0 to 1.
    pub valid: f64,
    /// Part for test, 0 to 1.
    pub test: f64,
}

impl Shares {
    /// From words such as "90/5/5".
    ///
    /// # Errors
    /// [`GraphError::Request`] that says what was expected.
    pub fn parse(words: &str) -> Result<Self, GraphError> {
        let wrong = || GraphError::Request {
            what: format!("'{words}' is no split"),
            hint: "write three parts that add up to 100, such as 90/5/5".into(),
        };
        let parts: Result<Vec<f64>, _> = words.split('/').map(|part| part.trim().parse()).collect();
        match parts.map_err(|_| wrong())?.as_slice() {
            [train, valid, test]
                if *train > 0.0
                    && *valid >= 0.0
                    && *test >= 0.0
                    && (train + valid + test - 100.0).abs() < 0.01 =>
            {
                Ok(Self { valid: valid / 100.0, test: test / 100.0 })
            }
            _ => Err(wrong()),
        }
    }
}

/// The split of each triple, in the order of the triples.
pub fn assign(triples: &Triples, n_relations: usize, shares: Shares, seed: u64) -> Vec<Split> {
    let classes = classes(n_relations, &find_mirrors(&[triples], MIRROR_SHARE, 2));
    let mut groups: HashMap<(u32, u32, u32), Vec<u32>> = HashMap::new();
    for (index, [head, relation, tail]) in triples.iter().enumerate() {
        let key = (head.min(tail), head.max(tail), classes[relation as usize]);
        groups.entry(key).or_default().push(index as u32);
    }
    let mut groups: Vec<Vec<u32>> = groups.into_values().collect();
    groups.sort_unstable_by_key(|group| group[0]);
    let mut left = Remaining::count(triples);
    let mut splits = vec![Split::Train; triples.len()];
    let wanted = |share: f64| (share * triples.len() as f64).round() as usize;
    let mut room = [(Split::Test, wanted(shares.test)), (Split::Valid, wanted(shares.valid))];
    let order = Permutation::new(groups.len() as u64, Address::new(seed, Purpose::Split, 0));
    for place in 0..groups.len() as u64 {
        let group = &groups[order.get(place) as usize];
        let Some(slot) = room.iter_mut().find(|(_, room)| *room >= group.len()) else { break };
        if left.take(triples, group) {
            slot.1 -= group.len();
            group.iter().for_each(|index| splits[*index as usize] = slot.0);
        }
    }
    splits
}

/// How many training triples each entity and relation still has.
struct Remaining {
    entities: HashMap<u32, u32>,
    relations: HashMap<u32, u32>,
}

impl Remaining {
    fn count(triples: &Triples) -> Self {
        let (mut entities, mut relations) = (HashMap::new(), HashMap::new());
        for [head, relation, tail] in triples.iter() {
            *entities.entry(head).or_default() += 1;
            *entities.entry(tail).or_default() += 1;
            *relations.entry(relation).or_default() += 1;
        }
        Self { entities, relations }
    }

    /// Takes a group away, unless that would leave something with nothing.
    fn take(&mut self, triples: &Triples, group: &[u32]) -> bool {
        self.change(triples, group, u32::wrapping_sub);
        let enough = group.iter().all(|index| {
            let [head, relation, tail] = triples.get(*index as usize);
            self.entities[&head] > 0 && self.entities[&tail] > 0 && self.relations[&relation] > 0
        });
        if !enough {
            self.change(triples, group, u32::wrapping_add);
        }
        enough
    }

    fn change(&mut self, triples: &Triples, group: &[u32], by: fn(u32, u32) -> u32) {
        for index in group {
            let [head, relation, tail] = triples.get(*index as usize);
            for entity in [head, tail] {
                self.entities.entry(entity).and_modify(|count| *count = by(*count, 1));
            }
            self.relations.entry(relation).and_modify(|count| *count = by(*count, 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mirror_straddles_and_nothing_is_left_without_training() {
        let mut rows = Vec::new();
        for i in 0..400u32 {
            let (a, b) = (i % 37, 37 + (i * 11) % 41);
            rows.extend([[a, 0, b], [b, 0, a], [a, 1, b], [b, 2, a], [a, 3, (i * 5) % 37]]);
        }
        let triples = Triples::from_rows(rows);
        let shares = Shares::parse("80/10/10").unwrap();
        let splits = assign(&triples, 4, shares, 1);
        assert_eq!(splits, assign(&triples, 4, shares, 1));
        assert_ne!(splits, assign(&triples, 4, shares, 2));
        let split_of = |wanted: [u32; 3]| {
            triples.iter().position(|triple| triple == wanted).map(|place| splits[place])
        };
        let mut trained = [false; 78];
        for (place, [head, relation, tail]) in triples.iter().enumerate() {
            let mirror = [tail, [0, 2, 1, 3][relation as usize], head];
            if let Some(other) = split_of(mirror) {
                assert_eq!(other, splits[place]);
            }
            if splits[place] == Split::Train {
                trained[head as usize] = true;
                trained[tail as usize] = true;
            }
        }
        let seen = |entity: u32| triples.iter().any(|[h, _, t]| h == entity || t == entity);
        assert!((0..78).all(|entity| trained[entity as usize] || !seen(entity)));
        let n_test = splits.iter().filter(|split| **split == Split::Test).count();
        assert!((n_test as f64 / triples.len() as f64 - 0.1).abs() < 0.01, "{n_test}");
    }

    #[test]
    fn nonsense_shares_are_refused() {
        for words in ["90/5", "90/5/10", "a/b/c", "0/50/50", ""] {
            assert!(Shares::parse(words).is_err(), "{words}");
        }
    }
}
