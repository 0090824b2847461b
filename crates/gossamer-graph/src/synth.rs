//! Made-up graphs whose best possible score is known.
//!
//! The planted model is low-rank: entities belong to K communities on a ring (K is the cube root of
//! the entities, at most 256); a relation shifts a community by three steps of its own with weights
//! .7, .2, .1, which K complex coordinates hold exactly; and within a community entity j of S has
//! popularity √((j+1)/S) − √(j/S), a power law. A triple's head is drawn by a power law over all entities, its
//! relation likewise, its tail from
//!
//! p(t | h, r) = (1 − noise) · Σⱼ wⱼ · [c(t) = c(h) + shiftⱼ(r)] · popularity(t) + noise/N,
//!
//! c being the community. With types, which are stretches of the ring, a relation leads from one of
//! them, as relations of typed graphs do: its head's community is drawn evenly from the type's, and
//! the head by popularity within.
//!
//! No ranking of unseen triples can beat, in expectation, the one by these probabilities; its MRR is
//! estimated on a sample and noted in the graph folder.
//!
//! *Invariant:* triple i is a pure function of (seed, i), so graphs of any size stream.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use gossamer_machine::random::{Address, Permutation, Purpose};

use crate::error::GraphError;

/// Weights of the communities that a relation leads to.
const WEIGHTS: [f64; 3] = [0.7, 0.2, 0.1];
/// Most communities: the rank of the planted model, which grows with the cube root of the entities.
const MOST_COMMUNITIES: f64 = 256.0;

/// A planted graph.
#[derive(Debug, Clone, Copy)]
pub struct Synth {
    /// Entities.
    pub n_entities: u64,
    /// Relations.
    pub n_relations: u64,
    /// Triples drawn; some repeat.
    pub n_triples: u64,
    /// Part of tails drawn from all entities alike.
    pub noise: f64,
    /// Classes of entities: stretches of the ring; 0 for none.
    pub n_classes: u64,
    /// Types, of which a relation leads from one: stretches of the ring; 0 for none.
    pub n_types: u64,
    /// Seed of everything.
    pub seed: u64,
}

/// The best score there can be, as far as a sample tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Filtered, realistic, both sides.
    pub mrr: f64,
    /// Half of its 95 % interval.
    pub half_width: f64,
    /// Triples it was estimated on.
    pub n_sampled: usize,
}

impl Synth {
    /// Checks that the sizes make sense.
    ///
    /// # Errors
    /// [`GraphError::Request`].
    pub fn check(&self) -> Result<(), GraphError> {
        let most = u64::from(u32::MAX) - 1;
        let sizes = [self.n_entities, self.n_relations];
        if sizes.iter().any(|n| *n == 0 || *n > most) || self.n_triples > most {
            return Err(GraphError::Request {
                what: "a graph has 1 to 4,294,967,294 entities, relations and triples".into(),
                hint: "such as --entities 10000 --relations 50 --triples 100000".into(),
            });
        }
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(GraphError::Request {
                what: format!("--noise {} is no part", self.noise),
                hint: "0 is none, 1 is nothing else".into(),
            });
        }
        if self.n_types > self.n_communities() {
            return Err(GraphError::Request {
                what: format!("--types {} are more than there are communities", self.n_types),
                hint: format!("so many entities have {} communities", self.n_communities()),
            });
        }
        Ok(())
    }

    /// The name of an entity; popular ones do not come first.
    pub fn entity_name(&self, entity: u32) -> String {
        format!("e{}", self.entity_number(entity))
    }

    /// The number in its name.
    pub fn entity_number(&self, entity: u32) -> u32 {
        let order = Permutation::new(self.n_entities, self.address(0));
        order.get(u64::from(entity)) as u32
    }

    /// The name of a relation.
    pub fn relation_name(&self, relation: u32) -> String {
        format!("r{relation}")
    }

    /// The class of an entity, and the one that its feature tells: in half of all cases its own, in
    /// the others any.
    pub fn class(&self, entity: u32) -> [u64; 2] {
        let class = self.community(u64::from(entity)) * self.n_classes / self.n_communities();
        let address = self.address(u64::MAX);
        let told = if address.unit(entity, 0) < 0.5 {
            class
        } else {
            address.below(self.n_classes, entity, 1)
        };
        [class, told]
    }

    fn address(&self, step: u64) -> Address {
        Address::new(self.seed, Purpose::Synthetic, step)
    }

    fn n_communities(&self) -> u64 {
        (self.n_entities as f64).cbrt().round().clamp(1.0, MOST_COMMUNITIES) as u64
    }

    fn community(&self, entity: u64) -> u64 {
        entity % self.n_communities()
    }

    /// Entities of a community: c, c + K, c + 2K …
    fn size(&self, community: u64) -> u64 {
        (self.n_entities - community).div_ceil(self.n_communities())
    }

    /// The communities that a relation leads to.
    fn targets(&self, relation: u64, community: u64) -> [u64; 3] {
        let address = self.address(1);
        let n = self.n_communities();
        [0, 1, 2].map(|place| (community + address.below(n, relation as u32, place)) % n)
    }

    /// The i-th triple drawn.
    pub fn triple(&self, index: u64) -> [u32; 3] {
        let address = self.address(2 + (index >> 32));
        let unit = |column: u32| address.unit(index as u32, column);
        let relation = power_law(unit(1), self.n_relations);
        let head = if self.n_types == 0 {
            power_law(unit(0), self.n_entities)
        } else {
            let from = self.leads_from(relation);
            let n = from.end - from.start;
            let community = from.start + ((unit(6) * n as f64) as u64).min(n - 1);
            community + power_law(unit(0), self.size(community)) * self.n_communities()
        };
        let tail = if unit(2) < self.noise {
            (unit(3) * self.n_entities as f64) as u64
        } else {
            let mut choice = unit(4);
            let targets = self.targets(relation, self.community(head));
            let mut community = targets[2];
            for (target, weight) in targets.into_iter().zip(WEIGHTS) {
                if choice < weight {
                    community = target;
                    break;
                }
                choice -= weight;
            }
            community + power_law(unit(5), self.size(community)) * self.n_communities()
        };
        [head as u32, relation as u32, (tail as u32).min(self.n_entities as u32 - 1)]
    }

    /// The communities of the type that a relation leads from.
    fn leads_from(&self, relation: u64) -> Range<u64> {
        let of = self.address(1).below(self.n_types, relation as u32, 3);
        let n = self.n_communities();
        of * n / self.n_types..(of + 1) * n / self.n_types
    }

    /// p(h | r).
    fn head_probability(&self, head: u64, relation: u64) -> f64 {
        if self.n_types == 0 {
            return popularity(head, self.n_entities);
        }
        let (from, own) = (self.leads_from(relation), self.community(head));
        if !from.contains(&own) {
            return 0.0;
        }
        let within = popularity(head / self.n_communities(), self.size(own));
        within / (from.end - from.start) as f64
    }

    /// p(t | h, r).
    fn tail_probability(&self, head: u64, relation: u64, tail: u64) -> f64 {
        self.community_probability(self.community(head), relation, tail)
    }

    fn community_probability(&self, community: u64, relation: u64, tail: u64) -> f64 {
        let own = self.community(tail);
        let targets = self.targets(relation, community);
        let weight: f64 =
            targets.iter().zip(WEIGHTS).filter(|(c, _)| **c == own).map(|(_, w)| w).sum();
        let popularity = popularity(tail / self.n_communities(), self.size(own));
        (1.0 - self.noise) * weight * popularity + self.noise / self.n_entities as f64
    }

    /// Candidates in a community with a value above, and as high as, a threshold. The value must
    /// not rise with the place in the community.
    fn count(&self, community: u64, threshold: f64, value: impl Fn(u64) -> f64) -> [u64; 2] {
        let n = self.n_communities();
        let first_not = |holds: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (0, self.size(community));
            while low < high {
                let middle = low + (high - low) / 2;
                if holds(value(community + middle * n)) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        // Equal up to rounding counts as a tie.
        let above = first_not(&|v| v > threshold * (1.0 + 1e-12));
        [above, first_not(&|v| v >= threshold * (1.0 - 1e-12)) - above]
    }

    /// The reciprocal realistic rank of a triple by probability; `known` does not compete.
    fn reciprocal_rank(&self, triple: [u32; 3], tail_side: bool, known: &HashSet<u32>) -> f64 {
        let [head, relation, tail] = triple.map(u64::from);
        let value = |other: u64| {
            if tail_side {
                self.tail_probability(head, relation, other)
            } else {
                let given = self.tail_probability(other, relation, tail);
                given * self.head_probability(other, relation)
            }
        };
        let (own, answer) = if tail_side { (value(tail), tail) } else { (value(head), head) };
        let (mut above, mut equal) = (0i64, -1i64);
        for community in 0..self.n_communities() {
            let [more, same] = self.count(community, own, value);
            above += more as i64;
            equal += same as i64;
        }
        for other in known.iter().map(|id| u64::from(*id)).filter(|id| *id != answer) {
            let value = value(other);
            if value > own * (1.0 + 1e-12) {
                above -= 1;
            } else if value >= own * (1.0 - 1e-12) {
                equal -= 1;
            }
        }
        1.0 / (1.0 + above as f64 + equal.max(0) as f64 / 2.0)
    }

    /// Estimates the best possible MRR on `n` of the triples. Cost: one more pass over all of them.
    pub fn best(&self, n: usize) -> Best {
        let pick = Permutation::new(self.n_triples, self.address(1 << 40));
        let n = n.min(self.n_triples as usize);
        let sampled: Vec<[u32; 3]> =
            (0..n as u64).map(|place| self.triple(pick.get(place))).collect();
        let mut tails: HashMap<(u32, u32), HashSet<u32>> = HashMap::new();
        let mut heads: HashMap<(u32, u32), HashSet<u32>> = HashMap::new();
        let mut repeats: HashMap<[u32; 3], f64> = HashMap::new();
        for triple in &sampled {
            tails.entry((triple[0], triple[1])).or_default();
            heads.entry((triple[2], triple[1])).or_default();
            repeats.insert(*triple, 0.0);
        }
        for index in 0..self.n_triples {
            let triple @ [head, relation, tail] = self.triple(index);
            tails.entry((head, relation)).and_modify(|known| _ = known.insert(tail));
            heads.entry((tail, relation)).and_modify(|known| _ = known.insert(head));
            repeats.entry(triple).and_modify(|count| *count += 1.0);
        }
        // A split holds out different triples; one drawn twice as often is sampled twice as often.
        let draws: Vec<(f64, f64)> = sampled
            .iter()
            .map(|triple| {
                let tail = &tails[&(triple[0], triple[1])];
                let head = &heads[&(triple[2], triple[1])];
                let sum = self.reciprocal_rank(*triple, true, tail)
                    + self.reciprocal_rank(*triple, false, head);
                (sum / 2.0, 1.0 / repeats[triple].max(1.0))
            })
            .collect();
        let weight: f64 = draws.iter().map(|draw| draw.1).sum();
        let mrr = draws.iter().map(|(x, w)| x * w).sum::<f64>() / weight;
        let square: f64 = draws.iter().map(|(x, w)| (w * (x - mrr)).powi(2)).sum();
        Best { mrr, half_width: 1.96 * square.sqrt() / weight, n_sampled: n }
    }
}

/// The place below n of a unit random number: p(k) = √((k+1)/n) − √(k/n).
fn power_law(unit: f64, n: u64) -> u64 {
    ((unit * unit * n as f64) as u64).min(n - 1)
}

fn popularity(place: u64, n: u64) -> f64 {
    let n = n as f64;
    ((place as f64 + 1.0) / n).sqrt() - (place as f64 / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(noise: f64) -> Synth {
        let (n_entities, n_relations, n_triples) = (60, 4, 3000);
        Synth { n_entities, n_relations, n_triples, noise, n_classes: 0, n_types: 0, seed: 5 }
    }

    #[test]
    fn tails_are_drawn_as_often_as_their_probability_says() {
        let synth = Synth { n_triples: 400_000, n_relations: 1, ..small(0.2) };
        let mut counts = vec![0.0; 60];
        let mut total = 0.0;
        for index in 0..synth.n_triples {
            let [head, _, tail] = synth.triple(index);
            if head == 0 {
                counts[tail as usize] += 1.0;
                total += 1.0;
            }
        }
        let whole: f64 = (0..60).map(|tail| synth.tail_probability(0, 0, tail)).sum();
        assert!((whole - 1.0).abs() < 1e-9);
        for (tail, count) in counts.iter().enumerate() {
            let p = synth.tail_probability(0, 0, tail as u64);
            let deviation = (total * p * (1.0 - p)).sqrt();
            assert!(
                (count - total * p).abs() < 5.0 * deviation + 1.0,
                "{tail}: {count} {}",
                total * p
            );
        }
    }

    #[test]
    fn heads_are_drawn_as_often_as_their_probability_says() {
        for n_types in [0, 2] {
            let synth = Synth { n_triples: 100_000, n_relations: 1, n_types, ..small(0.2) };
            let mut counts = vec![0.0; 60];
            for index in 0..synth.n_triples {
                counts[synth.triple(index)[0] as usize] += 1.0;
            }
            for (head, count) in counts.iter().enumerate() {
                let mean = 1e5 * synth.head_probability(head as u64, 0);
                assert!((count - mean).abs() <= 5.0 * mean.sqrt(), "{head}: {count} {mean}");
            }
        }
    }

    #[test]
    fn the_best_rank_equals_its_definition() {
        let typed = Synth { n_types: 2, ..small(0.1) };
        for (synth, index) in [small(0.1), typed].iter().flat_map(|s| (0..40).map(move |i| (s, i)))
        {
            let triple @ [head, relation, tail] = synth.triple(index);
            let known: HashSet<u32> = (0..60).step_by(7).collect();
            let value = |h: u32, t: u32| {
                synth.tail_probability(u64::from(h), u64::from(relation), u64::from(t))
                    * synth.head_probability(u64::from(h), u64::from(relation))
            };
            for side in [true, false] {
                let own = value(head, tail);
                let answer = if side { tail } else { head };
                let (mut above, mut equal) = (0.0, 0.0);
                for other in (0..60).filter(|id| *id != answer && !known.contains(id)) {
                    let value = if side { value(head, other) } else { value(other, tail) };
                    if value > own * (1.0 + 1e-12) {
                        above += 1.0;
                    } else if value >= own * (1.0 - 1e-12) {
                        equal += 1.0;
                    }
                }
                let expected = 1.0 / (1.0 + above + equal / 2.0);
                let found = synth.reciprocal_rank(triple, side, &known);
                assert!((found - expected).abs() < 1e-12, "{triple:?} {side}");
            }
        }
    }

    #[test]
    fn noise_lowers_what_can_be_reached() {
        let clean = small(0.0).best(300);
        let noisy = small(0.8).best(300);
        assert!(clean.mrr > noisy.mrr + 0.05, "{clean:?} {noisy:?}");
        assert_eq!(clean.n_sampled, 300);
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        assert!(Synth { n_entities: 0, ..small(0.1) }.check().is_err());
        assert!(Synth { noise: 2.0, ..small(0.1) }.check().is_err());
        assert!(Synth { n_types: 5, ..small(0.1) }.check().is_err());
        assert!(small(0.1).check().is_ok());
    }
}
