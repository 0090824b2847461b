//! Cardinality: how many answers a relation's queries have on each side.
//!
//! *Paper:* Bordes et al. (2013): a side is "n" when a query has more than 1.5 answers on average.

use crate::sampling::Sampling;

/// More answers per query than this, on average, make a side "n": the literature's threshold.
const MANY: f64 = 1.5;

/// Tails that are looked at before those of one are joined.
const LOOK_AT: usize = 1 << 20;

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
}

/// Counts of a relation's queries and their answers; triples come in order.
pub struct AnswerCounts {
    /// Per relation: triples, different heads; triples of sampled tails, different ones of these.
    counts: Vec<[u64; 4]>,
    sampling: Sampling,
    before: Option<(u32, u32)>,
    /// (relation, tail) of sampled tails, and how many there may be before those of one are joined.
    tails: Vec<(u32, u32)>,
    look_at: usize,
}

impl AnswerCounts {
    /// Of nothing yet.
    pub fn new(n_relations: usize, sampling: Sampling) -> Self {
        let (counts, tails) = (vec![[0; 4]; n_relations], Vec::new());
        Self { counts, sampling, before: None, tails, look_at: LOOK_AT }
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
            if self.tails.len() >= self.look_at {
                // A tail of many triples is to stand once.
                self.tails.sort_unstable();
                self.tails.dedup();
                self.look_at = LOOK_AT.max(2 * self.tails.len());
            }
        }
    }

    /// Answers per query of each relation, on average: tails per head, heads per tail.
    pub fn means(mut self) -> Vec<[f64; 2]> {
        self.tails.sort_unstable();
        self.tails.dedup();
        self.tails.iter().for_each(|(relation, _)| self.counts[*relation as usize][3] += 1);
        let mean = |all: u64, different: u64| all as f64 / different.max(1) as f64;
        let every = self.sampling.every();
        // A relation of which no tail was drawn has about so many or fewer.
        let heads = |[all, _, sampled, tails]: [u64; 4]| match tails {
            0 => mean(all, every),
            _ => mean(sampled, tails),
        };
        let means = |counts: [u64; 4]| [mean(counts[0], counts[1]), heads(counts)];
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
    fn a_sample_knows_a_relation_of_few_tails() {
        // Relation 0 has one tail, relation 1 has as many as heads.
        let rows = (0..40_000u32).flat_map(|i| [[i, 0, 7], [i, 1, i]]);
        for sampling in [Sampling::WHOLE, Sampling::within(1 << 20, 1 << 14)] {
            let mut answers = AnswerCounts::new(2, sampling);
            rows.clone().for_each(|triple| answers.push(triple));
            let kinds = answers.cardinalities();
            assert_eq!(kinds, [Cardinality::ManyToOne, Cardinality::OneToOne]);
        }
    }

    #[test]
    fn cardinalities_follow_their_definition() {
        let mut rows = Vec::new();
        for i in 0..9u32 {
            rows.push([i, 0, i + 10]); // 1-1
            rows.push([i / 3, 1, i + 10]); // one head, many tails
            rows.push([i, 2, i / 3]); // many heads, one tail
            rows.push([i / 3, 3, i % 3]); // 3 × 3, complete
        }
        let mut answers = AnswerCounts::new(4, Sampling::WHOLE);
        Triples::from_rows(rows).iter().for_each(|triple| answers.push(triple));
        let kinds = answers.cardinalities();
        assert_eq!(
            kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            ["1-1", "1-n", "n-1", "n-n"]
        );
    }
}
