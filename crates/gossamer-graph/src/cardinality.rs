//! Cardinality: how many answers a relation's queries have on each side.
//!
//! *Paper:* Bordes et al. (2013): a side is "n" when a query has more than 1.5 answers on average.

use crate::sampling::Sampling;
use crate::stored::SplitTriples;

/// More answers per query than this, on average, make a side "n": the literature's threshold.
const MANY: f64 = 1.5;

/// How many answers a relation's queries have on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cardinality {
    /// About one on both sides.
    OneToOne,
    /// Many tails for a head.
    OneToMany,
    /// Many heads for a tail.
    ManyToOne,
    /// Many on both sides.
    ManyToMany,
}

impl Cardinality {
    /// "1-1", "1-n", "n-1" or "n-n".
    pub fn name(self) -> &'static str {
        match self {
            Self::OneToOne => "1-1",
            Self::OneToMany => "1-n",
            Self::ManyToOne => "n-1",
            Self::ManyToMany => "n-n",
        }
    }

    /// The cardinality of each relation in these triples, or where they are many in a sample.
    pub fn of_relations(n_relations: usize, triples: &SplitTriples) -> Vec<Self> {
        let mut answers = AnswerCounts::new(n_relations, Sampling::of(triples.len() as u64));
        triples.for_each(|triple| answers.push(triple));
        answers.cardinalities()
    }
}

/// Counts of a relation's queries and their answers; triples come in order.
pub struct AnswerCounts {
    /// Per relation: triples, different heads; triples of sampled tails, different ones of these.
    counts: Vec<[u64; 4]>,
    sampling: Sampling,
    before: Option<(u32, u32)>,
    /// (relation, tail) of sampled tails.
    tails: Vec<(u32, u32)>,
}

impl AnswerCounts {
    /// Of nothing yet.
    pub fn new(n_relations: usize, sampling: Sampling) -> Self {
        Self { counts: vec![[0; 4]; n_relations], sampling, before: None, tails: Vec::new() }
    }

    /// Takes the next triple in the order of (head, relation, tail).
    pub fn push(&mut self, [head, relation, tail]: [u32; 3]) {
        let counts = &mut self.counts[relation as usize];
        counts[0] += 1;
        counts[1] += u64::from(self.before != Some((head, relation)));
        self.before = Some((head, relation));
        if self.sampling.has(u64::from(tail)) {
            counts[2] += 1;
            self.tails.push((relation, tail));
        }
    }

    /// Answers per query of each relation, on average: tails per head, heads per tail.
    pub fn means(mut self) -> Vec<[f64; 2]> {
        self.tails.sort_unstable();
        self.tails.dedup();
        self.tails.iter().for_each(|(relation, _)| self.counts[*relation as usize][3] += 1);
        let mean = |all: u64, different: u64| all as f64 / different.max(1) as f64;
        let means =
            |[all, heads, sampled, tails]: [u64; 4]| [mean(all, heads), mean(sampled, tails)];
        self.counts.into_iter().map(means).collect()
    }

    /// The cardinality of each relation.
    pub fn cardinalities(self) -> Vec<Cardinality> {
        let kind = |[tails, heads]: [f64; 2]| match (tails > MANY, heads > MANY) {
            (false, false) => Cardinality::OneToOne,
            (true, false) => Cardinality::OneToMany,
            (false, true) => Cardinality::ManyToOne,
            (true, true) => Cardinality::ManyToMany,
        };
        self.means().into_iter().map(kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triples::Triples;

    #[test]
    fn cardinalities_follow_their_definition() {
        let mut rows = Vec::new();
        for i in 0..9u32 {
            rows.push([i, 0, i + 10]); // 1-1
            rows.push([i / 3, 1, i + 10]); // one head, many tails
            rows.push([i, 2, i / 3]); // many heads, one tail
            rows.push([i / 3, 3, i % 3]); // 3 × 3, complete
        }
        let triples = SplitTriples::Here(Triples::from_rows(rows));
        let kinds = Cardinality::of_relations(4, &triples);
        assert_eq!(
            kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            ["1-1", "1-n", "n-1", "n-n"]
        );
    }
}
