//! Splits: which triples are held out, so that no mirror straddles.
//!
//! Triples over the same two entities whose relations mirror each other form a group. A group's own
//! random number says which split it would go to; one goes to train all the same, where else an
//! entity, or a relation that is mirrored in it, would have no training triple.
//!
//! *Invariant:* the same triples, shares and seed give the same split, and a group goes to one split
//! whole. Memory is a bit for each entity. *Cost:* three passes over the triples; shares are met up to
//! chance, the deviation of n held-out triples being √n.

use gossamer_machine::random::{Address, Purpose};

use crate::error::GraphError;
use crate::id::Split;
use crate::members::Members;
use crate::mirror::Mirror;
use crate::mirror::classes;

/// Relations that share this part of their pairs are kept together.
pub const MIRROR_SHARE: f64 = 0.5;
/// Fewer shared pairs than this are chance.
pub const MIRROR_COUNT: u64 = 2;

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
            hint: "write three parts that add up to 100, such as 90/5/5; of interactions alone \
                   per-user:80/10/10, by-time:80/10/10 or leave-last"
                .into(),
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

/// Says where triples go, once it has seen them all.
pub struct Assignment {
    shares: Shares,
    address: Address,
    /// The class of each relation: those that mirror each other are in one.
    classes: Vec<u32>,
    /// Entities and relations that some group leaves in train.
    entities: Members,
    relations: Members,
    /// Classes with a relation that has no training triple else.
    bare: Members,
}

impl Assignment {
    /// For so many entities and relations, of which some mirror each other.
    pub fn new(
        [n_entities, n_relations]: [usize; 2],
        mirrors: &[Mirror],
        shares: Shares,
        seed: u64,
    ) -> Self {
        Self {
            shares,
            address: Address::new(seed, Purpose::Split, 0),
            classes: classes(n_relations, mirrors),
            entities: Members::none(n_entities),
            relations: Members::none(n_relations),
            bare: Members::none(n_relations),
        }
    }

    /// The split that a group's own number chooses.
    fn wanted(&self, [head, relation, tail]: [u32; 3]) -> Split {
        let class = self.classes[relation as usize];
        let place = self.address.part(class).unit(head.min(tail), head.max(tail));
        let Shares { valid, test } = self.shares;
        match place {
            place if place < test => Split::Test,
            place if place < test + valid => Split::Valid,
            _ => Split::Train,
        }
    }

    /// Sees a triple; every one is to be seen before the first is asked for.
    pub fn see(&mut self, triple: [u32; 3]) {
        if self.wanted(triple) == Split::Train {
            let [head, relation, tail] = triple;
            self.entities.add(head);
            self.entities.add(tail);
            self.relations.add(relation);
        }
    }

    /// To be called when all were seen.
    pub fn settle(&mut self) {
        for (relation, class) in (0..).zip(&self.classes) {
            if !self.relations.has(relation) {
                self.bare.add(*class);
            }
        }
    }

    /// The split of a triple.
    pub fn split(&self, triple: [u32; 3]) -> Split {
        let [head, relation, tail] = triple;
        let known = self.entities.has(head)
            && self.entities.has(tail)
            && !self.bare.has(self.classes[relation as usize]);
        if known { self.wanted(triple) } else { Split::Train }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::find_mirrors;
    use crate::triples::Triples;

    #[test]
    fn no_mirror_straddles_and_nothing_is_left_without_training() {
        let mut rows = Vec::new();
        for i in 0..400u32 {
            let (a, b) = (i % 37, 37 + (i * 11) % 41);
            rows.extend([[a, 0, b], [b, 0, a], [a, 1, b], [b, 2, a], [a, 3, (i * 5) % 37]]);
        }
        let triples = Triples::from_rows(rows);
        let shares = Shares::parse("80/10/10").unwrap();
        let assign = |seed| -> Vec<Split> {
            let mirrors = find_mirrors(&[&triples], MIRROR_SHARE, MIRROR_COUNT);
            let mut assignment = Assignment::new([78, 4], &mirrors, shares, seed);
            triples.iter().for_each(|triple| assignment.see(triple));
            assignment.settle();
            triples.iter().map(|triple| assignment.split(triple)).collect()
        };
        let splits = assign(1);
        assert_eq!(splits, assign(1));
        assert_ne!(splits, assign(2));
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
        let (wanted, deviation) =
            (triples.len() as f64 * 0.1, (triples.len() as f64 * 0.09).sqrt());
        // Triples of a pair come together, three at a time.
        assert!((n_test as f64 - wanted).abs() < 3.0 * 3.0 * deviation, "{n_test}");
    }

    #[test]
    fn nonsense_shares_are_refused() {
        for words in ["90/5", "90/5/10", "a/b/c", "0/50/50", ""] {
            assert!(Shares::parse(words).is_err(), "{words}");
        }
    }
}
