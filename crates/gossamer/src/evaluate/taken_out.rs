//! Known answers on their way out of ranks: how many stand above each answer that is judged.
//!
//! One query may be asked by many triples, and then meets its known answers for all of them: the
//! thresholds of those who ask stand sorted, so that a known answer costs a search and two sums
//! however many ask.
//!
//! *Invariant:* whole numbers add up to the same in any order; the answer judged is not counted.

use std::sync::atomic::{AtomicU32, Ordering};

/// The known answers met so far, by those who ask.
#[derive(Debug)]
pub struct TakenOut {
    /// Where each query's askers begin in the lists below, and where the last one's end.
    starts: Vec<usize>,
    /// Who asks; of one query, by rising threshold.
    askers: Vec<usize>,
    thresholds: Vec<f32>,
    /// Known answers by how many thresholds of their query they are above: of none, of the first,
    /// of the first two and so on.
    above: Vec<AtomicU32>,
    /// Known answers at a threshold, other than the answer judged, and how often that one was met.
    equal: Vec<[AtomicU32; 2]>,
}

/// What known answers amount to for one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Above its threshold.
    pub greater: u32,
    /// At its threshold.
    pub equal: u32,
    /// Of any score.
    pub all: u32,
}

impl TakenOut {
    /// Of queries that are asked by these, each with its threshold.
    pub fn new(asked_by: &[Vec<usize>], threshold: impl Fn(usize) -> f32) -> Self {
        let (mut starts, mut askers, mut thresholds) = (vec![0], Vec::new(), Vec::new());
        for asked_by in asked_by {
            // What is no number is above nothing and below nothing: it stands last.
            let threshold = |asker: usize| {
                let own = threshold(asker);
                if own.is_nan() { f32::NAN.abs() } else { own }
            };
            let mut sorted: Vec<_> =
                asked_by.iter().map(|asker| (threshold(*asker), *asker)).collect();
            sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            askers.extend(sorted.iter().map(|(_, asker)| *asker));
            thresholds.extend(sorted.iter().map(|(threshold, _)| *threshold));
            starts.push(askers.len());
        }
        let above = (0..askers.len() + asked_by.len()).map(|_| AtomicU32::new(0)).collect();
        let equal = askers.iter().map(|_| Default::default()).collect();
        Self { starts, askers, thresholds, above, equal }
    }

    /// Meets a known answer of a query, which is the answer judged of some who ask.
    pub fn meet(&self, query: usize, score: f32, is_judged: impl Fn(usize) -> bool) {
        let (first, end) = (self.starts[query], self.starts[query + 1]);
        let below = self.thresholds[first..end].partition_point(|own| *own < score);
        self.above[first + query + below].fetch_add(1, Ordering::Relaxed);
        for place in first + below..end {
            if self.thresholds[place] != score {
                break;
            }
            let judged = usize::from(is_judged(self.askers[place]));
            self.equal[place][judged].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls `take` with each who asks and what was met.
    pub fn for_each(&self, mut take: impl FnMut(usize, Counts)) {
        for (query, ends) in self.starts.windows(2).enumerate() {
            let (first, end) = (ends[0], ends[1]);
            let above = |place: usize| self.above[query + place].load(Ordering::Relaxed);
            let met: u32 = (first..=end).map(above).sum();
            let mut not_above = 0;
            for place in first..end {
                not_above += above(place);
                let [equal, judged] =
                    [0, 1].map(|of| self.equal[place][of].load(Ordering::Relaxed));
                let counts = Counts { greater: met - not_above, equal, all: met - judged };
                take(self.askers[place], counts);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    #[test]
    fn counts_equal_their_definition() {
        let address = Address::new(3, Purpose::Synthetic, 0);
        let score =
            |entity: u32| [address.below(9, entity, 0) as f32, f32::NAN][usize::from(entity == 7)];
        let asked_by: Vec<Vec<usize>> = vec![(0..13).collect(), vec![], vec![13, 14], vec![15]];
        let answer = |asker: usize| asker as u32 * 3;
        let known: Vec<(usize, u32)> = (0..200)
            .map(|i| (address.below(4, i, 1) as usize, address.below(60, i, 2) as u32))
            .collect();
        let out = TakenOut::new(&asked_by, |asker| score(answer(asker)));
        for (query, entity) in &known {
            out.meet(*query, score(*entity), |asker| answer(asker) == *entity);
        }
        let mut seen = 0;
        out.for_each(|asker, counts| {
            let own = score(answer(asker));
            let others = known.iter().filter(|(query, entity)| {
                asked_by[*query].contains(&asker) && *entity != answer(asker)
            });
            let scores: Vec<f32> = others.map(|(_, entity)| score(*entity)).collect();
            let count = |of: &dyn Fn(f32) -> bool| scores.iter().filter(|s| of(**s)).count() as u32;
            let expected = Counts {
                greater: count(&|s| s > own),
                equal: count(&|s| s == own),
                all: scores.len() as u32,
            };
            assert_eq!(counts, expected, "{asker}");
            seen += 1;
        });
        assert_eq!(seen, 16);
    }
}
