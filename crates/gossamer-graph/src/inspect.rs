//! The report on a graph: its size, its warts, and what leaks from train into the held-out splits.

use std::collections::HashSet;

use gossamer_machine::FileError;

use crate::cardinality::AnswerCounts;
use crate::id::Split;
use crate::mirror::{Givers, Leak, Mirror, Pairs};
use crate::sampling::Sampling;
use crate::snapshot::Snapshot;
use crate::triples::Triples;

/// Relations that share this part of their pairs are named in the report.
const MIRROR_SHARE: f64 = 0.5;
/// Fewer shared pairs than this are chance.
const MIRROR_COUNT: u64 = 3;
/// Leaking pairs kept as examples.
const MAX_EXAMPLES: usize = 10;

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
    /// Cardinalities and mirrors come from one tail, one pair, in so many: 1 for all of them.
    pub looked_at_every: u64,
    /// Relations of each cardinality: 1-1, 1-n, n-1, n-n.
    pub cardinalities: [usize; 4],
    /// Relations that mirror another one or themselves.
    pub mirrors: Vec<Mirror>,
    /// Triples of valid and test that a mirror in train gives away.
    pub leaks: [usize; 2],
    /// The first of them.
    pub leak_examples: Vec<Leak>,
}

/// Looks at a whole graph. Cost: its training triples read twice, the held-out ones in memory.
///
/// # Errors
/// [`FileError`].
pub fn inspect(graph: &Snapshot) -> Result<Inspection, FileError> {
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let (valid, test) = (graph.triples(Split::Valid)?, graph.triples(Split::Test)?);
    let n_train = graph.n_triples(Split::Train)? as usize;
    let sampling = Sampling::of((n_train + valid.len() + test.len()) as u64);
    let (mut pairs, mut degrees) = (Pairs::new(sampling), vec![0; n_entities]);
    let mut answers = AnswerCounts::new(n_relations, sampling);
    let held_out = || valid.iter().chain(test.iter());
    let mut self_loops = held_out().filter(|[head, _, tail]| head == tail).count();
    graph.for_each_triple(Split::Train, |triple| {
        let [head, _, tail] = triple;
        degrees[head as usize] += 1;
        degrees[tail as usize] += 1;
        self_loops += usize::from(head == tail);
        pairs.push(triple);
        answers.push(triple);
    })?;
    held_out().for_each(|triple| pairs.push(triple));
    let mirrors = pairs.mirrors(MIRROR_SHARE, MIRROR_COUNT);
    let mut cardinalities = [0; 4];
    answers.cardinalities().into_iter().for_each(|kind| cardinalities[kind as usize] += 1);
    let unseen = [&valid, &test].map(|part| unseen(part, &degrees));
    let mut givers = [&valid, &test].map(|part| Givers::new(part.iter(), &mirrors));
    let in_both = test.iter().filter(|row| valid.contains(*row));
    let (mut overlaps, mut in_both) = (0, in_both.collect::<Vec<_>>());
    let held_out = [&valid, &test];
    if !(valid.is_empty() && test.is_empty()) {
        graph.for_each_triple(Split::Train, |triple| {
            givers.iter_mut().for_each(|givers| givers.push(triple));
            overlaps += held_out.iter().filter(|part| part.contains(triple)).count();
            if let Ok(place) = in_both.binary_search(&triple) {
                in_both.remove(place);
            }
        })?;
    }
    let leaks = givers.map(Givers::leaks);
    Ok(Inspection {
        n_entities,
        n_relations,
        n_triples: [n_train, valid.len(), test.len()],
        self_loops,
        overlaps: overlaps + in_both.len(),
        unseen_entities: unseen.map(|unseen| unseen[0]),
        unseen_triples: unseen.map(|unseen| unseen[1]),
        degrees: spread(&degrees),
        top_percent_share: top_percent_share(&degrees),
        looked_at_every: sampling.every(),
        cardinalities,
        leaks: [leaks[0].len(), leaks[1].len()],
        leak_examples: leaks.concat().into_iter().take(MAX_EXAMPLES).collect(),
        mirrors,
    })
}

/// Entities of a held-out part that no training triple has, and the triples with such an entity.
fn unseen(part: &Triples, degrees: &[u32]) -> [usize; 2] {
    let new = |id: &u32| degrees[*id as usize] == 0;
    let ids: HashSet<u32> =
        part.iter().flat_map(|[head, _, tail]| [head, tail]).filter(new).collect();
    [ids.len(), part.iter().filter(|[head, _, tail]| new(head) || new(tail)).count()]
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
    fn degrees_and_their_skew() {
        let train = Triples::from_rows((1..200).map(|i| [0, 0, i]).collect());
        let degrees = train_degrees(200, &train);
        assert_eq!(spread(&degrees), [1.0, 1.0, 398.0 / 200.0, 199.0]);
        assert!((top_percent_share(&degrees) - 200.0 / 398.0).abs() < 1e-9);
    }
}
