//! A batch: its queries, their answers, and how much each weighs.

use gossamer_graph::adjacency::Query;
use gossamer_graph::cardinality::AnswerCounts;
use gossamer_graph::sampling::Sampling;
use gossamer_graph::{Adjacency, Side, Triples};
use gossamer_tensor::kernel::prefetch;

use super::alternatives::Alternatives;
use super::pools::Pools;
use crate::model::Asked;
use crate::paging::negatives::Residents;

/// What is learned from.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// The training triples.
    pub triples: &'a Triples,
    /// Their answers by query.
    pub adjacency: &'a Adjacency,
    /// The adjacency's queries with their answers, cut into [`portions`].
    pub portions: &'a [Portion],
    /// What the queries for heads and for tails of each relation weigh in negative sampling; none:
    /// the same.
    pub side_weights: Option<&'a [[f32; 2]]>,
    /// What negatives are drawn from; none: all entities.
    pub pools: Option<&'a Pools>,
    /// The entities in memory, where only some are; negatives come from them.
    pub residents: Option<&'a Residents>,
    /// The relations that stand against each positive's own; none: none do.
    pub alternatives: Option<&'a Alternatives>,
}

/// The weights of a relation's queries for heads and for tails, from its answers per query: the
/// more tails a head has, the likelier a drawn tail is an answer, and the less such a query weighs.
pub fn side_weights(n_relations: usize, triples: &Triples) -> Vec<[f32; 2]> {
    let mut answers = AnswerCounts::new(n_relations, Sampling::WHOLE);
    triples.iter().for_each(|triple| answers.push(triple));
    let weights = |[tails, heads]: [f64; 2]| {
        let all = (tails + heads).max(f64::MIN_POSITIVE);
        [(2.0 * tails / all) as f32, (2.0 * heads / all) as f32]
    };
    answers.means().into_iter().map(weights).collect()
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

    /// Of whole queries of the adjacency, each with weight 1. `competing`: the labels of a query
    /// add up to 1; else each is its answer's weight, at most 1.
    pub fn of_queries(examples: Examples<'_>, items: &[u64], competing: bool) -> Self {
        let mut batch = Self::empty();
        for item in items {
            let Query { side, known, relation, answers, weights } =
                examples.adjacency.query(*item as usize);
            batch.push(Asked { side, known, relation }, answers, weights, false);
            let start = batch.weights.len() - answers.len();
            let sum: f32 = batch.weights[start..].iter().sum();
            for weight in &mut batch.weights[start..] {
                *weight =
                    if competing { *weight / sum.max(f32::MIN_POSITIVE) } else { weight.min(1.0) };
            }
        }
        batch.masses.fill(1.0);
        batch.total = batch.len() as f32;
        batch
    }

    /// Of (triple, side) pairs: item i is triple i for the tail, n + i for the head.
    pub fn of_pairs(examples: Examples<'_>, items: &[u64]) -> Self {
        /// Triples on their way from memory: they are drawn from everywhere.
        const AHEAD: usize = 16;
        let Examples { triples, side_weights, .. } = examples;
        let mut batch = Self::empty();
        for (at, item) in items.iter().enumerate() {
            if let Some(later) = items.get(at + AHEAD) {
                let place = *later as usize % triples.len();
                let columns = [&triples.heads, &triples.relations, &triples.tails];
                columns.into_iter().for_each(|column| prefetch(&column[place..=place]));
            }
            let (side, place) = match (*item as usize).checked_sub(triples.len()) {
                None => (Side::Tail, *item as usize),
                Some(place) => (Side::Head, place),
            };
            let [head, relation, tail] = triples.get(place);
            let (known, answer) = if side == Side::Tail { (head, tail) } else { (tail, head) };
            let sides = side_weights.map_or([1.0; 2], |weights| weights[relation as usize]);
            let weight = triples.weight(place) * sides[usize::from(side == Side::Tail)];
            batch.push(Asked { side, known, relation }, &[answer], Some(&[weight]), false);
        }
        batch.total = batch.masses.iter().sum();
        batch
    }

    /// The same, with the place of each answer among `ids`, which ascend, in its stead.
    pub fn placed(&self, ids: &[u32]) -> Self {
        let mut placed = self.clone();
        for query in 0..self.len() {
            let range = self.starts[query] as usize..self.starts[query + 1] as usize;
            let mut place = 0;
            for answer in &mut placed.answers[range] {
                place += ids[place..].partition_point(|id| id < answer);
                *answer = place as u32;
            }
        }
        placed
    }

    /// Adds queries that have no answer of their own and no weight.
    pub fn push_unanswered(&mut self, asked: impl Iterator<Item = Asked>) {
        asked.for_each(|asked| self.push(asked, &[], None, false));
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

    /// How much each entity is used, as answer and with `as_known` as known: sorted ids with
    /// summed weights.
    pub fn entity_uses(&self, as_known: bool) -> Vec<(u32, f32)> {
        let mut uses = Vec::new();
        for (query, asked) in self.asked.iter().enumerate() {
            if as_known {
                uses.push((asked.known, self.masses[query]));
            }
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

    fn examples<'a>(
        triples: &'a Triples,
        adjacency: &'a Adjacency,
        portions: &'a [Portion],
    ) -> Examples<'a> {
        Examples {
            triples,
            adjacency,
            portions,
            side_weights: None,
            pools: None,
            residents: None,
            alternatives: None,
        }
    }

    #[test]
    fn the_side_with_many_answers_weighs_less() {
        // Relation 0: one head, four tails. Relation 1: one to one.
        let rows = (0..4).flat_map(|i| [[0, 0, i + 1], [i, 1, i + 1]]).collect();
        let triples = Triples::from_rows(rows);
        let weights = side_weights(2, &triples);
        assert_eq!(weights, [[1.6, 0.4], [1.0, 1.0]]);
        let adjacency = Adjacency::build(5, &[&triples]);
        let examples =
            Examples { side_weights: Some(&weights), ..examples(&triples, &adjacency, &[]) };
        // The first triple, (0, 0, 1), asked for its tail and for its head.
        let batch = Batch::of_pairs(examples, &[0, triples.len() as u64]);
        assert_eq!(batch.masses, [0.4, 1.6]);
    }

    #[test]
    fn labels_of_whole_queries_compete_or_stand_alone() {
        let mut triples = Triples::from_rows((1..5).map(|i| [0, 0, i]).collect());
        triples.weights = Some(vec![3.0, 1.0, 0.5, 0.5]);
        let adjacency = Adjacency::build(5, &[&triples]);
        let examples = examples(&triples, &adjacency, &[]);
        let query = (0..adjacency.n_queries())
            .find(|query| adjacency.query(*query).answers.len() == 4)
            .unwrap() as u64;
        let competing = Batch::of_queries(examples, &[query], true);
        assert_eq!(competing.answers(0).1, [0.6, 0.2, 0.1, 0.1]);
        let alone = Batch::of_queries(examples, &[query], false);
        assert_eq!(alone.answers(0).1, [1.0, 1.0, 0.5, 0.5]);
        assert_eq!((competing.masses[0], alone.masses[0], alone.total), (1.0, 1.0, 1.0));
    }

    #[test]
    fn portions_hold_every_answer_once() {
        let rows = (0..50).map(|i| [i % 3, i % 2, i]).collect();
        let triples = Triples::from_rows(rows);
        let adjacency = Adjacency::build(50, &[&triples]);
        for most in [0, 1, 3, 100] {
            let portions = portions(&adjacency, most);
            let examples = examples(&triples, &adjacency, &portions);
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
