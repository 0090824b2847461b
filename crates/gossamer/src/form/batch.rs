//! A batch: its queries, their answers, and how much each weighs.

use gossamer_graph::adjacency::Query;
use gossamer_graph::{Adjacency, Side, Triples};

use crate::model::Asked;

/// What is learned from.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// The training triples.
    pub triples: &'a Triples,
    /// Their answers by query.
    pub adjacency: &'a Adjacency,
    /// The adjacency's queries with their answers, cut into [`portions`].
    pub portions: &'a [Portion],
}

/// Some answers of one query: those from `first` on, as many as a portion holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// The query's place in the adjacency.
    pub query: u32,
    /// Place of the first answer among the query's.
    pub first: u32,
    /// How many answers.
    pub n: u32,
}

/// Cuts the answers of every query into portions of at most `most` (0: any number).
///
/// A query with thousands of answers would fill a batch alone, and its gradient would shrink the
/// steps of its rows for the rest of the run; its portions spread over the epoch instead.
pub fn portions(adjacency: &Adjacency, most: usize) -> Vec<Portion> {
    let most = if most == 0 { usize::MAX } else { most };
    let mut portions = Vec::with_capacity(adjacency.n_queries());
    for query in 0..adjacency.n_queries() {
        let n = adjacency.query(query).answers.len();
        for first in (0..n).step_by(most.min(n)) {
            let n = most.min(n - first) as u32;
            portions.push(Portion { query: query as u32, first: first as u32, n });
        }
    }
    portions
}

/// The queries of a step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The queries.
    pub asked: Vec<Asked>,
    /// The sum of the weights of each query's answers.
    pub masses: Vec<f32>,
    /// The sum of all weights: what losses are divided by.
    pub total: f32,
    /// First answer of each query; one more than queries.
    starts: Vec<u32>,
    answers: Vec<u32>,
    weights: Vec<f32>,
}

impl Batch {
    fn empty() -> Self {
        let (asked, masses, total, starts) = (Vec::new(), Vec::new(), 0.0, vec![0]);
        Self { asked, masses, total, starts, answers: Vec::new(), weights: Vec::new() }
    }

    /// Adds answers of a query; to the last one, if that asks the same and `join` is true.
    fn push(&mut self, asked: Asked, answers: &[u32], weights: Option<&[f32]>, join: bool) {
        if !(join && self.asked.last() == Some(&asked)) {
            self.asked.push(asked);
            self.masses.push(0.0);
            self.starts.push(0);
        }
        self.answers.extend_from_slice(answers);
        match weights {
            Some(weights) => self.weights.extend_from_slice(weights),
            None => self.weights.resize(self.answers.len(), 1.0),
        }
        let query = self.asked.len() - 1;
        self.starts[query + 1] = self.answers.len() as u32;
        self.masses[query] = self.weights[self.starts[query] as usize..].iter().sum();
    }

    /// Of portions of queries; portions of one query are joined, so that it is scored once.
    pub fn of_portions(examples: Examples<'_>, items: &[u64]) -> Self {
        let mut sorted = items.to_vec();
        sorted.sort_unstable();
        let mut batch = Self::empty();
        for item in sorted {
            let Portion { query, first, n } = examples.portions[item as usize];
            let range = first as usize..(first + n) as usize;
            let Query { side, known, relation, answers, weights } =
                examples.adjacency.query(query as usize);
            let asked = Asked { side, known, relation };
            batch.push(asked, &answers[range.clone()], weights.map(|w| &w[range]), true);
        }
        batch.total = batch.masses.iter().sum();
        batch
    }

    /// Of (triple, side) pairs: item i is triple i for the tail, n + i for the head.
    pub fn of_pairs(triples: &Triples, items: &[u64]) -> Self {
        let mut batch = Self::empty();
        for item in items {
            let (side, place) = match (*item as usize).checked_sub(triples.len()) {
                None => (Side::Tail, *item as usize),
                Some(place) => (Side::Head, place),
            };
            let [head, relation, tail] = triples.get(place);
            let (known, answer) = if side == Side::Tail { (head, tail) } else { (tail, head) };
            let weights = triples.weights.as_ref().map(|weights| &weights[place..=place]);
            batch.push(Asked { side, known, relation }, &[answer], weights, false);
        }
        batch.total = batch.masses.iter().sum();
        batch
    }

    /// How many queries.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The answers of a query, ascending, and their weights.
    pub fn answers(&self, query: usize) -> (&[u32], &[f32]) {
        let range = self.starts[query] as usize..self.starts[query + 1] as usize;
        (&self.answers[range.clone()], &self.weights[range])
    }

    /// The answers of a query with ids in `first..first + n`, and their weights.
    pub fn answers_in(
        &self,
        query: usize,
        first: u32,
        n: usize,
    ) -> impl Iterator<Item = (u32, f32)> + '_ {
        let (answers, weights) = self.answers(query);
        let start = answers.partition_point(|answer| *answer < first);
        let end = answers.partition_point(|answer| (*answer as usize) < first as usize + n);
        answers[start..end].iter().copied().zip(weights[start..end].iter().copied())
    }

    /// How much each entity is used, as known or as answer: sorted ids with summed weights.
    pub fn entity_uses(&self) -> Vec<(u32, f32)> {
        let mut uses = Vec::new();
        for (query, asked) in self.asked.iter().enumerate() {
            uses.push((asked.known, self.masses[query]));
            let (answers, weights) = self.answers(query);
            uses.extend(answers.iter().copied().zip(weights.iter().copied()));
        }
        summed(uses)
    }
}

/// Sums the weights of equal ids, in the order given.
pub fn summed(mut uses: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    uses.sort_by_key(|(id, _)| *id);
    uses.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_hold_every_answer_once() {
        let rows = (0..50).map(|i| [i % 3, i % 2, i]).collect();
        let triples = Triples::from_rows(rows);
        let adjacency = Adjacency::build(50, &[&triples]);
        for most in [0, 1, 3, 100] {
            let portions = portions(&adjacency, most);
            let examples =
                Examples { triples: &triples, adjacency: &adjacency, portions: &portions };
            let items: Vec<u64> = (0..portions.len() as u64).collect();
            let batch = Batch::of_portions(examples, &items);
            assert_eq!(batch.total, 100.0);
            assert_eq!(batch.len(), adjacency.n_queries(), "portions of a query are joined");
            let mut pairs: Vec<(Asked, u32)> = Vec::new();
            for (query, asked) in batch.asked.iter().enumerate() {
                pairs.extend(batch.answers(query).0.iter().map(|answer| (*asked, *answer)));
            }
            pairs.sort();
            pairs.dedup();
            assert_eq!(pairs.len(), 100);
        }
    }
}
