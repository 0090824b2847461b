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
}

/// The queries of a step.
#[derive(Debug, Clone, Default)]
pub struct Batch<'a> {
    /// The queries.
    pub asked: Vec<Asked>,
    /// The sum of the weights of each query's answers.
    pub masses: Vec<f32>,
    /// The answers of each query, with weights where there are some.
    pub answers: Vec<(&'a [u32], Option<&'a [f32]>)>,
    /// The sum of all weights: what losses are divided by.
    pub total: f32,
}

impl<'a> Batch<'a> {
    /// Of queries with all their answers.
    pub fn of_queries(queries: impl Iterator<Item = Query<'a>>) -> Self {
        let mut batch = Self::default();
        for query in queries {
            let Query { side, known, relation, answers, weights } = query;
            batch.asked.push(Asked { side, known, relation });
            batch.masses.push(weights.map_or(answers.len() as f32, |weights| weights.iter().sum()));
            batch.answers.push((answers, weights));
        }
        batch.total = batch.masses.iter().sum();
        batch
    }

    /// Of (triple, side) pairs: item i is triple i for the tail, n + i for the head.
    pub fn of_pairs(triples: &'a Triples, items: &[u64]) -> Self {
        let mut batch = Self::default();
        for item in items {
            let (side, place) = match (*item as usize).checked_sub(triples.len()) {
                None => (Side::Tail, *item as usize),
                Some(place) => (Side::Head, place),
            };
            let (known, answer) = match side {
                Side::Tail => (triples.heads[place], &triples.tails[place..=place]),
                Side::Head => (triples.tails[place], &triples.heads[place..=place]),
            };
            batch.asked.push(Asked { side, known, relation: triples.relations[place] });
            batch.masses.push(triples.weight(place));
            batch.answers.push((answer, triples.weights.as_ref().map(|w| &w[place..=place])));
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

    /// The answers of a query with ids in `first..first + n`, and their weights.
    pub fn answers_in(
        &self,
        query: usize,
        first: u32,
        n: usize,
    ) -> impl Iterator<Item = (u32, f32)> + '_ {
        let (answers, weights) = self.answers[query];
        let start = answers.partition_point(|answer| *answer < first);
        let end = answers.partition_point(|answer| (*answer as usize) < first as usize + n);
        (start..end).map(move |place| (answers[place], weights.map_or(1.0, |w| w[place])))
    }

    /// How much each entity is used, as known or as answer: sorted ids with summed weights.
    pub fn entity_uses(&self) -> Vec<(u32, f32)> {
        let mut uses = Vec::new();
        for (query, asked) in self.asked.iter().enumerate() {
            uses.push((asked.known, self.masses[query]));
            uses.extend(self.answers_in(query, 0, u32::MAX as usize));
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
