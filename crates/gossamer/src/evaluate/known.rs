//! Known answers, streamed: which triples answer one of some queries.
//!
//! No index of all answers is ever built: a pass over the triples finds those of the queries at
//! hand. It costs a look at a bit for each end of each triple, and the answers found.
//!
//! *Invariant:* an answer is met once, in however many parts its triple stands; what threads found
//! is given back in the order of the triples.

use std::collections::HashMap;

use gossamer_graph::stored::StoredTriples;
use gossamer_graph::{Side, Triples};
use gossamer_machine::Machine;

use crate::model::Asked;
use crate::plan::ranking::{KNOWN_ANSWERS, TRIPLES_READ};

/// The triples that are known, in parts such as splits.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    parts: &'a [&'a Triples],
    stored: Option<&'a StoredTriples>,
}

/// Bits of a sieve: 16 KiB, which stay in the first-level cache.
const SIEVE: u32 = 1 << 17;

/// Queries whose known answers are wanted, each once.
#[derive(Debug)]
pub struct Wanted {
    places: HashMap<Asked, u32>,
    /// A bit for each number that a query may have: set where one of them has it. Most that are not
    /// wanted fall through here.
    sieve: Vec<u64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { places: HashMap::new(), sieve: vec![0; SIEVE as usize / 64] }
    }
}

/// The word and the bit of a query in a sieve.
fn in_sieve(side: Side, known: u32, relation: u32) -> (usize, u64) {
    // Odd factors without a pattern; the upper bits of a product depend on all that are below.
    let mixed = u64::from(known) << 33 | u64::from(relation) << 1 | u64::from(side == Side::Head);
    let number =
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ mixed).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let bit = (number >> (64 - SIEVE.trailing_zeros())) as usize;
    (bit / 64, 1 << (bit % 64))
}

impl Wanted {
    /// Adds a query and returns its place among them.
    pub fn push(&mut self, asked: Asked) -> usize {
        let (word, bit) = in_sieve(asked.side, asked.known, asked.relation);
        self.sieve[word] |= bit;
        let next = self.places.len() as u32;
        *self.places.entry(asked).or_insert(next) as usize
    }

    /// How many queries.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn place(&self, side: Side, known: u32, relation: u32) -> Option<usize> {
        let (word, bit) = in_sieve(side, known, relation);
        if self.sieve[word] & bit == 0 {
            return None;
        }
        self.places.get(&Asked { side, known, relation }).map(|place| *place as usize)
    }
}

impl<'a> Known<'a> {
    /// Of some parts.
    pub fn new(parts: &'a [&'a Triples]) -> Self {
        Self { parts, stored: None }
    }

    /// The same and others that stay on disk, whose
    /// [`failure`](StoredTriples::failure) the caller asks for.
    pub fn with(self, stored: Option<&'a StoredTriples>) -> Self {
        Self { stored, ..self }
    }

    /// Calls `take` with a task's own findings and the answers of wanted queries, [query, answer],
    /// some at a time, to be read in any order; returns the findings of all tasks in order.
    pub fn visit<S: Default + Send>(
        &self,
        wanted: &Wanted,
        machine: &Machine,
        take: impl Fn(&mut S, &mut [[u32; 2]]) + Sync,
    ) -> Vec<S> {
        let mut tasks = Vec::new();
        let stored = self.stored.map_or(0, StoredTriples::len);
        tasks.extend((0..stored).step_by(TRIPLES_READ).map(|first| (None, first)));
        for (part, triples) in self.parts.iter().enumerate() {
            tasks.extend((0..triples.len()).step_by(TRIPLES_READ).map(|first| (Some(part), first)));
        }
        machine.workers.map(tasks.len(), |task| {
            let (part, first) = tasks[task];
            let read = self.stored.filter(|_| part.is_none());
            let window = read.map(|all| all.window(first..(first + TRIPLES_READ).min(stored)));
            let (triples, first) = match (part, &window) {
                (Some(part), _) => (self.parts[part], first),
                (None, Some(window)) => (window, 0),
                (None, None) => return S::default(),
            };
            let later = &self.parts[part.map_or(0, |part| part + 1)..];
            let (mut found, mut met) = (S::default(), Vec::with_capacity(KNOWN_ANSWERS));
            for place in first..(first + TRIPLES_READ).min(triples.len()) {
                let [head, relation, tail] = triples.get(place);
                let sides = [(Side::Tail, head, tail), (Side::Head, tail, head)];
                for (side, known, answer) in sides {
                    let Some(query) = wanted.place(side, known, relation) else { continue };
                    if !later.iter().any(|part| part.contains([head, relation, tail])) {
                        met.push([query as u32, answer]);
                    }
                }
                if met.len() + 2 > KNOWN_ANSWERS {
                    take(&mut found, &mut met);
                    met.clear();
                }
            }
            take(&mut found, &mut met);
            found
        })
    }

    /// The answers of each wanted query that are to be kept, sorted.
    pub fn answers(
        &self,
        wanted: &Wanted,
        keeps: &(dyn Fn(u32) -> bool + Sync),
        machine: &Machine,
    ) -> Vec<Vec<u32>> {
        let push = |found: &mut Vec<[u32; 2]>, met: &mut [[u32; 2]]| {
            found.extend(met.iter().filter(|[_, answer]| keeps(*answer)));
        };
        let mut answers = vec![Vec::new(); wanted.len()];
        for [query, answer] in self.visit(wanted, machine, push).into_iter().flatten() {
            answers[query as usize].push(answer);
        }
        answers.iter_mut().for_each(|answers| answers.sort_unstable());
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_graph::Adjacency;
    use gossamer_machine::{Address, Purpose};

    #[test]
    fn the_answers_are_those_of_an_index_of_all() {
        let address = Address::new(1, Purpose::Synthetic, 0);
        let below = |n, row, column| address.below(n, row, column) as u32;
        let rows = |of: std::ops::Range<u32>| {
            Triples::from_rows(
                of.map(|i| [below(90, i, 0), below(3, i, 1), below(90, i, 2)]).collect(),
            )
        };
        // Some triples stand in both.
        let parts = [rows(0..700), rows(600..900)];
        let parts = [&parts[0], &parts[1]];
        let (index, machine) = (Adjacency::build(90, &parts), Machine::new(2, None));
        let mut wanted = Wanted::default();
        let mut asked = Vec::new();
        for side in Side::BOTH {
            for known in (0..90).step_by(7) {
                for relation in 0..3 {
                    asked.push(Asked { side, known, relation });
                    assert_eq!(wanted.push(asked[asked.len() - 1]), asked.len() - 1);
                }
            }
        }
        assert_eq!(wanted.push(asked[5]), 5);
        let found = Known::new(&parts).answers(&wanted, &|_| true, &machine);
        for (asked, found) in asked.iter().zip(found) {
            assert_eq!(index.side(asked.side).of(asked.known, asked.relation), found);
        }
    }
}
