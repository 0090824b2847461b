//! Known answers: for an entity, a relation and a side, the entities that complete a triple.
//!
//! Serves the grouping of equal queries in training over all entities.
//!
//! *Invariant:* queries are ordered by known entity, then relation; the answers of a query are
//! sorted and free of duplicates.

use crate::id::Side;
use crate::triples::Triples;

/// The answers of one side.
#[derive(Debug, Clone)]
pub struct Answers {
    side: Side,
    /// First query of each known entity; one more than entities.
    starts: Vec<u32>,
    knowns: Vec<u32>,
    relations: Vec<u32>,
    /// First answer of each query; one more than queries.
    offsets: Vec<u32>,
    answers: Vec<u32>,
    weights: Option<Vec<f32>>,
}

/// A query with its known answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Query<'a> {
    /// The side asked for.
    pub side: Side,
    /// The entity given.
    pub known: u32,
    /// The relation given.
    pub relation: u32,
    /// The entities known to complete it, sorted.
    pub answers: &'a [u32],
    /// A weight per answer, where the triples had some.
    pub weights: Option<&'a [f32]>,
}

impl Answers {
    /// The answers of `side` in all of `parts`.
    pub fn build(side: Side, n_entities: usize, parts: &[&Triples]) -> Self {
        let weighted = parts.iter().any(|part| part.weights.is_some());
        let mut rows: Vec<([u32; 3], f32)> =
            Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
        for part in parts {
            rows.extend((0..part.len()).map(|index| {
                let [head, relation, tail] = part.get(index);
                let key = match side {
                    Side::Tail => [head, relation, tail],
                    Side::Head => [tail, relation, head],
                };
                (key, part.weight(index))
            }));
        }
        rows.sort_unstable_by_key(|row| row.0);
        rows.dedup_by_key(|row| row.0);
        let mut built = Self {
            side,
            starts: vec![0; n_entities + 1],
            knowns: Vec::new(),
            relations: Vec::new(),
            offsets: Vec::new(),
            answers: rows.iter().map(|row| row.0[2]).collect(),
            weights: weighted.then(|| rows.iter().map(|row| row.1).collect()),
        };
        for (place, (key, _)) in rows.iter().enumerate() {
            if place == 0 || rows[place - 1].0[..2] != key[..2] {
                built.starts[key[0] as usize + 1] += 1;
                built.knowns.push(key[0]);
                built.relations.push(key[1]);
                built.offsets.push(place as u32);
            }
        }
        built.offsets.push(rows.len() as u32);
        for entity in 0..n_entities {
            built.starts[entity + 1] += built.starts[entity];
        }
        built.knowns.shrink_to_fit();
        built.relations.shrink_to_fit();
        built.offsets.shrink_to_fit();
        built
    }

    /// How many different queries have an answer.
    pub fn n_queries(&self) -> usize {
        self.knowns.len()
    }

    /// How many (query, answer) pairs there are.
    pub fn n_answers(&self) -> usize {
        self.answers.len()
    }

    /// The query at a place below [`n_queries`](Self::n_queries).
    pub fn query(&self, index: usize) -> Query<'_> {
        let range = self.offsets[index] as usize..self.offsets[index + 1] as usize;
        Query {
            side: self.side,
            known: self.knowns[index],
            relation: self.relations[index],
            answers: &self.answers[range.clone()],
            weights: self.weights.as_ref().map(|weights| &weights[range]),
        }
    }

    /// The known answers of (known, relation); none if there are none.
    pub fn of(&self, known: u32, relation: u32) -> &[u32] {
        let Some(&end) = self.starts.get(known as usize + 1) else { return &[] };
        let range = self.starts[known as usize] as usize..end as usize;
        match self.relations[range.clone()].binary_search(&relation) {
            Ok(place) => self.query(range.start + place).answers,
            Err(_) => &[],
        }
    }
}

/// The known answers of both sides.
#[derive(Debug, Clone)]
pub struct Adjacency {
    tails: Answers,
    heads: Answers,
}

impl Adjacency {
    /// Bytes of both sides with so many queries, or at most, each triple a query of its own;
    /// building one side needs 16 bytes a triple more, once.
    pub fn bytes_for(
        n_entities: u64,
        n_triples: u64,
        n_queries: Option<u64>,
        weighted: bool,
    ) -> u64 {
        let of_answer = if weighted { 8 } else { 4 };
        let n_queries = n_queries.unwrap_or(2 * n_triples).min(2 * n_triples);
        8 * (n_entities + 1) + 2 * n_triples * of_answer + 12 * n_queries + 8
    }

    /// The known answers in all of `parts`.
    pub fn build(n_entities: usize, parts: &[&Triples]) -> Self {
        Self {
            tails: Answers::build(Side::Tail, n_entities, parts),
            heads: Answers::build(Side::Head, n_entities, parts),
        }
    }

    /// One side.
    pub fn side(&self, side: Side) -> &Answers {
        match side {
            Side::Tail => &self.tails,
            Side::Head => &self.heads,
        }
    }

    /// How many different queries both sides have.
    pub fn n_queries(&self) -> usize {
        self.tails.n_queries() + self.heads.n_queries()
    }

    /// A query of either side: tails first, then heads.
    pub fn query(&self, index: usize) -> Query<'_> {
        match index.checked_sub(self.tails.n_queries()) {
            None => self.tails.query(index),
            Some(index) => self.heads.query(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn answers_are_those_of_the_triples(
            rows in prop::collection::vec((0u32..6, 0u32..3, 0u32..6), 0..40),
        ) {
            let rows: Vec<[u32; 3]> = rows.into_iter().map(|(h, r, t)| [h, r, t]).collect();
            let triples = Triples::from_rows(rows.clone());
            let (first, second) = rows.split_at(rows.len() / 2);
            let parts = [Triples::from_rows(first.to_vec()), Triples::from_rows(second.to_vec())];
            let adjacency = Adjacency::build(6, &[&parts[0], &parts[1]]);
            for known in 0..6 {
                for relation in 0..3 {
                    let tails: Vec<u32> = (0..6).filter(|t| triples.contains([known, relation, *t])).collect();
                    let heads: Vec<u32> = (0..6).filter(|h| triples.contains([*h, relation, known])).collect();
                    prop_assert_eq!(adjacency.side(Side::Tail).of(known, relation), &tails[..]);
                    prop_assert_eq!(adjacency.side(Side::Head).of(known, relation), &heads[..]);
                }
            }
            let answers: usize = (0..adjacency.n_queries()).map(|i| adjacency.query(i).answers.len()).sum();
            prop_assert_eq!(answers, 2 * triples.len());
        }
    }
}
