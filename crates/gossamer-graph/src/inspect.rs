//! The report on a graph: its size, its warts, and what leaks from train into the held-out splits.

use std::collections::{BTreeMap, HashSet};

use gossamer_machine::FileError;

use crate::cardinality::AnswerCounts;
use crate::id::Split;
use crate::mirror::{Givers, Leak, Mirror, Pairs};
use crate::room::Room;
use crate::sampling::{Sampling, WHOLE_TRIPLES};
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

/// Looks at a whole graph, in so much room and that of the held-out triples. Cost: its training
/// triples read twice, and once more for as many entities as there is room for the degrees of.
///
/// # Errors
/// [`FileError`].
pub fn inspect(graph: &Snapshot, room: Room) -> Result<Inspection, FileError> {
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let (valid, test) = (graph.triples(Split::Valid)?, graph.triples(Split::Test)?);
    let n_train = graph.n_triples(Split::Train)? as usize;
    let n_triples = (n_train + valid.len() + test.len()) as u64;
    let sampling = Sampling::within(n_triples, room.sampled().min(WHOLE_TRIPLES));
    let degrees = Degrees::of(graph, [&valid, &test], room.degrees())?;
    let (mut pairs, mut answers) = (Pairs::new(sampling), AnswerCounts::new(n_relations, sampling));
    let held_out = || valid.iter().chain(test.iter());
    let mut self_loops = held_out().filter(|[head, _, tail]| head == tail).count();
    graph.for_each_triple(Split::Train, |triple| {
        let [head, _, tail] = triple;
        self_loops += usize::from(head == tail);
        pairs.push(triple);
        answers.push(triple);
    })?;
    held_out().for_each(|triple| pairs.push(triple));
    let mirrors = pairs.mirrors(MIRROR_SHARE, MIRROR_COUNT);
    let mut cardinalities = [0; 4];
    answers.cardinalities().into_iter().for_each(|kind| cardinalities[kind as usize] += 1);
    let unseen = degrees.unseen([&valid, &test]);
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
        degrees: degrees.spread(),
        top_percent_share: degrees.top_percent_share(),
        looked_at_every: sampling.every(),
        cardinalities,
        leaks: [leaks[0].len(), leaks[1].len()],
        leak_examples: leaks.concat().into_iter().take(MAX_EXAMPLES).collect(),
        mirrors,
    })
}

/// How many entities have each degree in train, and which of the held-out ones have none.
#[derive(Debug, Default)]
struct Degrees {
    /// Entities by degree.
    counts: BTreeMap<u32, u64>,
    unseen: [HashSet<u32>; 2],
}

impl Degrees {
    /// Counted for so many entities at a time.
    fn of(graph: &Snapshot, held_out: [&Triples; 2], n: usize) -> Result<Self, FileError> {
        let (mut found, n_entities) = (Self::default(), graph.entities().len());
        for first in (0..n_entities).step_by(n.max(1)) {
            let window = first as u32..(first + n).min(n_entities) as u32;
            let mut degrees = vec![0u32; window.len()];
            graph.for_each_triple(Split::Train, |[head, _, tail]| {
                for id in [head, tail].into_iter().filter(|id| window.contains(id)) {
                    degrees[(id - window.start) as usize] += 1;
                }
            })?;
            for (part, unseen) in held_out.iter().zip(&mut found.unseen) {
                let ids = part.iter().flat_map(|[head, _, tail]| [head, tail]);
                let here = ids.filter(|id| window.contains(id));
                unseen.extend(here.filter(|id| degrees[(id - window.start) as usize] == 0));
            }
            for degree in degrees {
                *found.counts.entry(degree).or_default() += 1;
            }
        }
        Ok(found)
    }

    /// Of each held-out part, its entities that no training triple has, and its triples with such
    /// an entity.
    fn unseen(&self, held_out: [&Triples; 2]) -> [[usize; 2]; 2] {
        [0, 1].map(|part| {
            let (new, triples) = (&self.unseen[part], held_out[part].iter());
            let some = triples.filter(|[head, _, tail]| new.contains(head) || new.contains(tail));
            [new.len(), some.count()]
        })
    }

    fn n_entities(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The least, the median, the mean, the most.
    fn spread(&self) -> [f64; 4] {
        let n = self.n_entities();
        let (mut before, mut median, mut sum) = (0, 0, 0.0);
        for (degree, count) in &self.counts {
            if (before..before + count).contains(&(n / 2)) {
                median = *degree;
            }
            before += count;
            sum += f64::from(*degree) * *count as f64;
        }
        let end = |found: Option<(&u32, &u64)>| found.map_or(0.0, |(degree, _)| (*degree).into());
        let [least, most] = [self.counts.first_key_value(), self.counts.last_key_value()].map(end);
        [least, median.into(), sum / n.max(1) as f64, most]
    }

    /// The part of all ends that the busiest hundredth of entities takes.
    fn top_percent_share(&self) -> f64 {
        let (mut left, mut top, mut all) = (self.n_entities().div_ceil(100), 0.0, 0.0);
        for (degree, count) in self.counts.iter().rev() {
            let taken = left.min(*count);
            left -= taken;
            top += f64::from(*degree) * taken as f64;
            all += f64::from(*degree) * *count as f64;
        }
        top / f64::max(all, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImportRequest;
    use gossamer_machine::Silent;

    #[test]
    fn degrees_and_their_skew_however_many_are_counted_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("data");
        std::fs::create_dir(&source).unwrap();
        let train: String = (1..200).map(|i| format!("hub\tr\tx{i}\n")).collect();
        std::fs::write(source.join("train.txt"), train).unwrap();
        std::fs::write(source.join("valid.txt"), "hub\tr\thub\nnew\tr\tx1\n").unwrap();
        std::fs::write(source.join("test.txt"), "new\tr\tnewer\nnew\tr\tx1\n").unwrap();
        let request = ImportRequest { sources: vec![source], ..ImportRequest::default() };
        crate::import(&request, &root.path().join("graph"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let held_out = [Split::Valid, Split::Test].map(|split| graph.triples(split).unwrap());
        for n in [1, 7, 1000] {
            let degrees = Degrees::of(&graph, held_out.each_ref(), n).unwrap();
            assert_eq!(degrees.spread(), [0.0, 1.0, 398.0 / 202.0, 199.0]);
            // Three of 202 are a hundredth and what is left of the next.
            let top = (199.0 + 1.0 + 1.0) / 398.0;
            assert!((degrees.top_percent_share() - top).abs() < 1e-9);
            assert_eq!(degrees.unseen(held_out.each_ref()), [[1, 1], [2, 2]]);
        }
    }
}
