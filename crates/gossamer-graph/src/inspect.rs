//! The report on a graph: its size, its warts, and what leaks from train into the held-out splits.

use gossamer_machine::FileError;

use crate::id::Split;
use crate::mirror::{Leak, Mirror, find_leaks, find_mirrors};
use crate::snapshot::Snapshot;
use crate::triples::Triples;

/// Relations that share this part of their pairs are named in the report.
const MIRROR_SHARE: f64 = 0.5;
/// Fewer shared pairs than this are chance.
const MIRROR_COUNT: u64 = 3;
/// More answers per query than this, on average, make a side "n": the literature's threshold.
const MANY: f64 = 1.5;
/// Leaking pairs kept as examples.
const MAX_EXAMPLES: usize = 10;

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

    /// The cardinality of each relation in these triples (Bordes et al. 2013: a side is "n" when a
    /// query has more than 1.5 answers on average).
    pub fn of_relations(n_relations: usize, triples: &Triples) -> Vec<Self> {
        let mut counts = vec![[0u32; 3]; n_relations];
        let mut heads: Vec<(u32, u32)> = Vec::with_capacity(triples.len());
        let mut tails: Vec<(u32, u32)> = Vec::with_capacity(triples.len());
        for [head, relation, tail] in triples.iter() {
            counts[relation as usize][0] += 1;
            heads.push((relation, head));
            tails.push((relation, tail));
        }
        for (place, pairs) in [(1, &mut heads), (2, &mut tails)] {
            pairs.sort_unstable();
            pairs.dedup();
            pairs.iter().for_each(|(relation, _)| counts[*relation as usize][place] += 1);
        }
        let many = |all: u32, different: u32| f64::from(all) / f64::from(different.max(1)) > MANY;
        counts
            .into_iter()
            .map(|[all, heads, tails]| match (many(all, tails), many(all, heads)) {
                (false, false) => Self::OneToOne,
                (false, true) => Self::OneToMany,
                (true, false) => Self::ManyToOne,
                (true, true) => Self::ManyToMany,
            })
            .collect()
    }
}

/// What a graph is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Entities.
    pub n_entities: usize,
    /// Relations.
    pub n_relations: usize,
    /// Triples of train, valid, test.
    pub n_triples: [usize; 3],
    /// Triples whose head is their tail.
    pub self_loops: usize,
    /// Held-out triples that also stand in an earlier split.
    pub overlaps: usize,
    /// Entities of valid and test that no training triple has.
    pub unseen_entities: [usize; 2],
    /// Triples of valid and test with such an entity.
    pub unseen_triples: [usize; 2],
    /// Training triples of each entity: least, median, mean, most.
    pub degrees: [f64; 4],
    /// Part of all training triples' ends that the busiest hundredth of entities takes.
    pub top_percent_share: f64,
    /// Relations of each cardinality: 1-1, 1-n, n-1, n-n.
    pub cardinalities: [usize; 4],
    /// Relations that mirror another one or themselves.
    pub mirrors: Vec<Mirror>,
    /// Triples of valid and test that a mirror in train gives away.
    pub leaks: [usize; 2],
    /// The first of them.
    pub leak_examples: Vec<Leak>,
}

/// Looks at a whole graph. Cost: its triples in memory, twice.
///
/// # Errors
/// [`FileError`].
pub fn inspect(graph: &Snapshot) -> Result<Inspection, FileError> {
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let parts = [Split::Train, Split::Valid, Split::Test].map(|split| graph.triples(split));
    let [train, valid, test] = parts;
    let (train, valid, test) = (train?, valid?, test?);
    let all = [&train, &valid, &test];
    let degrees = train_degrees(n_entities, &train);
    let mirrors = find_mirrors(&all, MIRROR_SHARE, MIRROR_COUNT);
    let mut cardinalities = [0; 4];
    let kinds = Cardinality::of_relations(n_relations, &train);
    kinds.into_iter().for_each(|kind| cardinalities[kind as usize] += 1);
    let unseen = |part: &Triples| {
        let mut ids: Vec<u32> = part.iter().flat_map(|[head, _, tail]| [head, tail]).collect();
        ids.retain(|id| degrees[*id as usize] == 0);
        ids.sort_unstable();
        ids.dedup();
        let has = |id: u32| ids.binary_search(&id).is_ok();
        (ids.len(), part.iter().filter(|[head, _, tail]| has(*head) || has(*tail)).count())
    };
    let (unseen_valid, unseen_test) = (unseen(&valid), unseen(&test));
    let leaks = [&valid, &test].map(|part| find_leaks(&train, part, &mirrors));
    let in_train = |part: &Triples| part.iter().filter(|row| train.contains(*row)).count();
    let in_both = test.iter().filter(|row| valid.contains(*row) && !train.contains(*row)).count();
    Ok(Inspection {
        n_entities,
        n_relations,
        n_triples: all.map(Triples::len),
        self_loops: all.iter().flat_map(|part| part.iter()).filter(|row| row[0] == row[2]).count(),
        overlaps: in_train(&valid) + in_train(&test) + in_both,
        unseen_entities: [unseen_valid.0, unseen_test.0],
        unseen_triples: [unseen_valid.1, unseen_test.1],
        degrees: spread(&degrees),
        top_percent_share: top_percent_share(&degrees),
        cardinalities,
        leaks: [leaks[0].len(), leaks[1].len()],
        leak_examples: leaks.concat().into_iter().take(MAX_EXAMPLES).collect(),
        mirrors,
    })
}

/// Training triples that each entity takes part in; a self loop counts twice.
pub fn train_degrees(n_entities: usize, train: &Triples) -> Vec<u32> {
    let mut degrees = vec![0; n_entities];
    for [head, _, tail] in train.iter() {
        degrees[head as usize] += 1;
        degrees[tail as usize] += 1;
    }
    degrees
}

fn spread(degrees: &[u32]) -> [f64; 4] {
    let mut sorted = degrees.to_vec();
    sorted.sort_unstable();
    let at = |place: usize| sorted.get(place).map_or(0.0, |degree| f64::from(*degree));
    let mean = sorted.iter().map(|d| f64::from(*d)).sum::<f64>() / sorted.len().max(1) as f64;
    [at(0), at(sorted.len() / 2), mean, at(sorted.len().saturating_sub(1))]
}

fn top_percent_share(degrees: &[u32]) -> f64 {
    let mut sorted = degrees.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let sum = |part: &[u32]| part.iter().map(|d| f64::from(*d)).sum::<f64>();
    sum(&sorted[..sorted.len().div_ceil(100)]) / sum(&sorted).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cardinalities_follow_their_definition() {
        let mut rows = Vec::new();
        for i in 0..9u32 {
            rows.push([i, 0, i + 10]); // 1-1
            rows.push([i / 3, 1, i + 10]); // one head, many tails
            rows.push([i, 2, i / 3]); // many heads, one tail
            rows.push([i / 3, 3, i % 3]); // 3 × 3, complete
        }
        let kinds = Cardinality::of_relations(4, &Triples::from_rows(rows));
        assert_eq!(
            kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            ["1-1", "1-n", "n-1", "n-n"]
        );
    }

    #[test]
    fn degrees_and_their_skew() {
        let train = Triples::from_rows((1..200).map(|i| [0, 0, i]).collect());
        let degrees = train_degrees(200, &train);
        assert_eq!(spread(&degrees), [1.0, 1.0, 398.0 / 200.0, 199.0]);
        assert!((top_percent_share(&degrees) - 200.0 / 398.0).abs() < 1e-9);
    }
}
