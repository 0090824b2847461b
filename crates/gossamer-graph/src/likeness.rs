//! How alike relations are, by the pairs of entities that they join.
//!
//! A relation is the distribution of its pairs, P(h, t | r) = P(h | r) · P(t | h, r), from counts
//! with a little mass for what was not seen:
//!
//! ```text
//! P(h | r)    = (count of h as head + 1/N) / (triples of r + 1)
//! P(t | h, r) = ([(h, r, t) is a triple] + P(t | r)) / (count of h as head + 1)
//! P(t | r)    = (count of t as tail + 1/N) / (triples of r + 1)
//! ```
//!
//! The likeness of two relations is e^(−K), K being the larger of their two Kullback–Leibler
//! divergences, each estimated on the relation's own triples (at most [`SAMPLED`]): 1 for the same
//! facts under two names, near 0 for relations that share nothing.
//!
//! *Paper:* Chen et al., "Quantifying similarity between relations with fact distribution" (2019),
//! with counts in place of its neural estimate.

use std::collections::{BTreeMap, BTreeSet};

use gossamer_machine::{Address, Purpose};

use crate::triples::Triples;

/// Triples of a relation on which a divergence is estimated.
pub const SAMPLED: usize = 500;
/// Relations that one is compared with: those that meet most of its sampled heads and tails.
const COMPARED: usize = 50;

/// Two relations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The one with the lower id.
    pub one: u32,
    /// The other.
    pub other: u32,
    /// e^(−larger divergence): 0 … 1.
    pub likeness: f64,
    /// Pairs that both join.
    pub shared: u64,
    /// Pairs that each joins.
    pub triples: [u64; 2],
}

/// What a relation joins.
#[derive(Default)]
struct Facts {
    /// (head, tail), sorted.
    pairs: Vec<(u32, u32)>,
    /// Ids with counts, sorted.
    heads: Vec<(u32, u32)>,
    tails: Vec<(u32, u32)>,
}

fn counted(ids: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut counts = BTreeMap::new();
    ids.for_each(|id| *counts.entry(id).or_insert(0) += 1);
    counts.into_iter().collect()
}

fn count(counts: &[(u32, u32)], id: u32) -> f64 {
    counts.binary_search_by_key(&id, |(id, _)| *id).map_or(0.0, |place| f64::from(counts[place].1))
}

impl Facts {
    fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let heads = counted(pairs.iter().map(|pair| pair.0));
        let tails = counted(pairs.iter().map(|pair| pair.1));
        Self { pairs, heads, tails }
    }

    /// log P(h, t | this relation).
    fn log_probability(&self, (head, tail): (u32, u32), n_entities: f64) -> f64 {
        let n = self.pairs.len() as f64 + 1.0;
        let unseen = 1.0 / n_entities;
        let of_head = count(&self.heads, head);
        let is_there = f64::from(u8::from(self.pairs.binary_search(&(head, tail)).is_ok()));
        let of_tail = (count(&self.tails, tail) + unseen) / n;
        ((of_head + unseen) / n).ln() + ((is_there + of_tail) / (of_head + 1.0)).ln()
    }

    /// The divergence of another relation from this one, on a sample of this one's pairs.
    fn divergence(&self, sample: &[(u32, u32)], other: &Self, n_entities: f64) -> f64 {
        let gap = |pair: &(u32, u32)| {
            self.log_probability(*pair, n_entities) - other.log_probability(*pair, n_entities)
        };
        (sample.iter().map(gap).sum::<f64>() / sample.len().max(1) as f64).max(0.0)
    }

    fn shared(&self, other: &Self) -> u64 {
        let (few, many) =
            if self.pairs.len() < other.pairs.len() { (self, other) } else { (other, self) };
        few.pairs.iter().filter(|pair| many.pairs.binary_search(pair).is_ok()).count() as u64
    }
}

/// Every two relations that share heads or tails, the most alike first.
///
/// Cost: at most 50 relations are compared with each, on 500 triples.
pub fn likenesses(n_entities: usize, n_relations: usize, triples: &Triples) -> Vec<Likeness> {
    let mut pairs = vec![Vec::new(); n_relations];
    triples.iter().for_each(|[head, relation, tail]| pairs[relation as usize].push((head, tail)));
    let facts: Vec<Facts> = pairs.into_iter().map(Facts::new).collect();
    let mut met: [BTreeMap<u32, Vec<u32>>; 2] = Default::default();
    for (relation, facts) in (0u32..).zip(&facts) {
        for (met, ids) in met.iter_mut().zip([&facts.heads, &facts.tails]) {
            ids.iter().for_each(|(id, _)| met.entry(*id).or_default().push(relation));
        }
    }
    let samples: Vec<Vec<(u32, u32)>> = (0u64..).zip(&facts).map(sample).collect();
    let mut compared = BTreeSet::new();
    for (relation, sample) in (0u32..).zip(&samples) {
        let mut meetings: BTreeMap<u32, u32> = BTreeMap::new();
        for (head, tail) in sample {
            let others = met[0].get(head).into_iter().chain(met[1].get(tail)).flatten();
            others.for_each(|other| *meetings.entry(*other).or_default() += 1);
        }
        meetings.remove(&relation);
        let mut others: Vec<(u32, u32)> = meetings.into_iter().collect();
        others.sort_by_key(|(other, times)| (std::cmp::Reverse(*times), *other));
        let both = |(other, _): &(u32, u32)| (relation.min(*other), relation.max(*other));
        compared.extend(others.iter().take(COMPARED).map(both));
    }
    let likeness = |(one, other): (u32, u32)| {
        let ([a, b], n) = ([one, other].map(|id| &facts[id as usize]), n_entities as f64);
        let forth = a.divergence(&samples[one as usize], b, n);
        let back = b.divergence(&samples[other as usize], a, n);
        let triples = [a, b].map(|facts| facts.pairs.len() as u64);
        let (likeness, shared) = ((-forth.max(back)).exp(), a.shared(b));
        Likeness { one, other, likeness, shared, triples }
    };
    let mut all: Vec<Likeness> = compared.into_iter().map(likeness).collect();
    all.sort_by(|one, other| other.likeness.total_cmp(&one.likeness));
    all
}

/// All pairs of a relation, or some.
fn sample((relation, facts): (u64, &Facts)) -> Vec<(u32, u32)> {
    let n = facts.pairs.len();
    if n <= SAMPLED {
        return facts.pairs.clone();
    }
    let address = Address::new(0, Purpose::Sample, relation);
    (0..SAMPLED as u32).map(|i| facts.pairs[address.below(n as u64, i, 0) as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_facts_under_two_names_are_most_alike_and_strangers_are_not() {
        let mut rows = Vec::new();
        for i in 0..60u32 {
            rows.push([i, 0, i + 100]);
            rows.push([i, 1, i + 100]);
            // Half of the facts of 0 and 1, and others.
            rows.push(if i < 30 { [i, 2, i + 100] } else { [i + 200, 2, i + 300] });
            // The same heads and tails, joined otherwise.
            rows.push([i, 3, (i + 7) % 60 + 100]);
            rows.push([i + 400, 4, i + 500]);
        }
        let found = likenesses(600, 5, &Triples::from_rows(rows));
        let of = |one: u32, other: u32| {
            found
                .iter()
                .find(|both| (both.one, both.other) == (one, other))
                .map(|both| both.likeness)
        };
        assert_eq!((found[0].one, found[0].other, found[0].shared), (0, 1, 60));
        assert!((of(0, 1).unwrap() - 1.0).abs() < 1e-9);
        let (half, otherwise) = (of(0, 2).unwrap(), of(0, 3).unwrap());
        assert!(half < 0.2 && otherwise < 0.2, "{half} {otherwise}");
        assert_eq!(of(0, 4), None, "nothing in common");
        assert_eq!(found[0].triples, [60, 60]);
    }

    #[test]
    fn a_divergence_is_the_mean_of_the_logarithms() {
        let one = Facts::new(vec![(0, 1), (0, 2)]);
        let other = Facts::new(vec![(0, 1)]);
        // P(0, 1 | one) = (2.1/3) · ((1 + 1.1/3) / 3) with N = 10, and so on.
        let p = |n: f64, head: f64, tail: f64, there: f64| -> f64 {
            ((head + 0.1) / n).ln() + ((there + (tail + 0.1) / n) / (head + 1.0)).ln()
        };
        let expected = (p(3.0, 2.0, 1.0, 1.0) - p(2.0, 1.0, 1.0, 1.0) + p(3.0, 2.0, 1.0, 1.0)
            - p(2.0, 1.0, 0.0, 0.0))
            / 2.0;
        let found = one.divergence(&one.pairs, &other, 10.0);
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}
