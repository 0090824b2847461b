//! Mirrored and inverse relations: how one relation's pairs repeat another's.
//!
//! If most pairs (h, t) of a relation stand as (t, h) in another, then a test triple whose mirror
//! is in train is no question at all. Found from counts over unordered pairs of entities.
//!
//! *Paper:* Toutanova, Chen (2015) on FB15k's inverses; Akrami et al. (2020).

use std::collections::HashMap;

use crate::sampling::Sampling;
#[cfg(test)]
use crate::triples::Triples;

/// A pair of entities with more relations than this is a hub of generated facts; it is passed over.
const MAX_RELATIONS_PER_PAIR: usize = 64;

/// A relation whose pairs stand in another one too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mirror {
    /// The relation.
    pub relation: u32,
    /// The other one; itself, if it is symmetric.
    pub other: u32,
    /// True if the pairs are turned round, false if they repeat as they are.
    pub inverse: bool,
    /// Pairs of `relation` that stand in `other` so.
    pub count: u64,
    /// `count` over the pairs of `relation`.
    pub share: f64,
}

/// What a pair of entities is chosen by, whichever comes first.
pub fn pair_key(one: u32, other: u32) -> u64 {
    u64::from(one.min(other)) << 32 | u64::from(one.max(other))
}

/// Every mirror with at least `least_share` and at least `least_count` pairs, by share.
#[cfg(test)]
pub(crate) fn find_mirrors(parts: &[&Triples], least_share: f64, least_count: u64) -> Vec<Mirror> {
    let mut pairs = Pairs::new(Sampling::WHOLE);
    parts.iter().flat_map(|part| part.iter()).for_each(|triple| pairs.push(triple));
    pairs.mirrors(least_share, least_count)
}

/// The relations of each unordered pair of entities, or of a sample of them.
pub struct Pairs {
    sampling: Sampling,
    /// The lesser entity, the greater, and twice the relation, one more where the greater is head.
    pairs: Vec<[u32; 3]>,
    totals: HashMap<u32, u64>,
}

impl Pairs {
    /// Of nothing yet.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, pairs: Vec::new(), totals: HashMap::new() }
    }

    /// Takes a triple.
    pub fn push(&mut self, [head, relation, tail]: [u32; 3]) {
        let (low, high) = (head.min(tail), head.max(tail));
        if self.sampling.has(pair_key(head, tail)) {
            *self.totals.entry(relation).or_default() += 1;
            if head != tail {
                self.pairs.push([low, high, 2 * relation + u32::from(head > tail)]);
            }
        }
    }

    /// Every mirror with at least `least_share` and at least `least_count` pairs, by share; of a
    /// sample, counts are those that it stands for.
    pub fn mirrors(mut self, least_share: f64, least_count: u64) -> Vec<Mirror> {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let mut counts: HashMap<(u32, u32, bool), u64> = HashMap::new();
        for group in self.pairs.chunk_by(|a, b| a[..2] == b[..2]) {
            if group.len() > MAX_RELATIONS_PER_PAIR {
                continue;
            }
            for [.., one] in group {
                for [.., two] in group {
                    let ([relation, other], inverse) = ([one / 2, two / 2], one % 2 != two % 2);
                    if inverse || relation != other {
                        *counts.entry((relation, other, inverse)).or_default() += 1;
                    }
                }
            }
        }
        let mut mirrors = Vec::new();
        for ((relation, other, inverse), count) in counts {
            let share = count as f64 / self.totals[&relation] as f64;
            if share >= least_share && count >= least_count {
                let count = count * self.sampling.every();
                mirrors.push(Mirror { relation, other, inverse, count, share });
            }
        }
        mirrors.sort_by(|a, b| {
            b.share.total_cmp(&a.share).then((a.relation, a.other).cmp(&(b.relation, b.other)))
        });
        mirrors
    }
}

/// Relations joined into classes by their mirrors: the class of each relation.
pub fn classes(n_relations: usize, mirrors: &[Mirror]) -> Vec<u32> {
    let mut parent: Vec<u32> = (0..n_relations as u32).collect();
    fn root(parent: &mut [u32], mut relation: u32) -> u32 {
        while parent[relation as usize] != relation {
            parent[relation as usize] = parent[parent[relation as usize] as usize];
            relation = parent[relation as usize];
        }
        relation
    }
    for mirror in mirrors {
        let (a, b) = (root(&mut parent, mirror.relation), root(&mut parent, mirror.other));
        parent[a.max(b) as usize] = a.min(b);
    }
    (0..n_relations as u32).map(|relation| root(&mut parent, relation)).collect()
}

/// A held-out triple whose mirror can be read off the training triples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    /// The held-out triple.
    pub held_out: [u32; 3],
    /// The training triple that gives it away.
    pub given_away_by: [u32; 3],
}

/// What would give held-out triples away, to be looked for among training triples in order.
pub struct Givers {
    /// (what gives away, held-out triple), ascending.
    wanted: Vec<([u32; 3], [u32; 3])>,
    next: usize,
    found: Vec<Leak>,
}

impl Givers {
    /// The mirrored versions of held-out triples.
    pub fn new(held_out: impl Iterator<Item = [u32; 3]>, mirrors: &[Mirror]) -> Self {
        let mut of_relation: HashMap<u32, Vec<&Mirror>> = HashMap::new();
        for mirror in mirrors {
            of_relation.entry(mirror.relation).or_default().push(mirror);
        }
        let mut wanted = Vec::new();
        for triple in held_out {
            let [head, relation, tail] = triple;
            for m in of_relation.get(&relation).into_iter().flatten() {
                let giver = if m.inverse { [tail, m.other, head] } else { [head, m.other, tail] };
                wanted.push((giver, triple));
            }
        }
        wanted.sort_unstable();
        Self { wanted, next: 0, found: Vec::new() }
    }

    /// Takes the next training triple, in ascending order.
    pub fn push(&mut self, triple: [u32; 3]) {
        while let Some((giver, held_out)) = self.wanted.get(self.next).copied() {
            if giver > triple {
                break;
            }
            self.next += 1;
            if giver == triple {
                self.found.push(Leak { held_out, given_away_by: giver });
            }
        }
    }

    /// The held-out triples that are given away, ascending, each once.
    pub fn leaks(mut self) -> Vec<Leak> {
        self.found.sort_unstable_by_key(|leak| (leak.held_out, leak.given_away_by));
        self.found.dedup_by_key(|leak| leak.held_out);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_mirrors_and_leaks_are_found() {
        // 0 is symmetric, 2 is the inverse of 1, 3 repeats 1, 4 is none of these.
        let mut rows = Vec::new();
        for i in 0..20 {
            rows.extend([[i, 0, i + 20], [i + 20, 0, i]]);
            rows.extend([[i, 1, i + 40], [i + 40, 2, i], [i, 3, i + 40]]);
            rows.push([i, 4, (i * 7) % 20]);
        }
        let all = Triples::from_rows(rows.clone());
        let mirrors = find_mirrors(&[&all], 0.8, 5);
        let found = |relation, other, inverse| {
            mirrors.iter().any(|m| (m.relation, m.other, m.inverse) == (relation, other, inverse))
        };
        assert!(found(0, 0, true) && found(1, 2, true) && found(2, 1, true));
        assert!(found(1, 3, false) && found(3, 2, true));
        assert!(mirrors.iter().all(|m| m.relation != 4 && m.other != 4));
        let classes = classes(5, &mirrors);
        assert_eq!(classes, [0, 1, 1, 1, 4]);
        let test = Triples::from_rows(vec![[3, 0, 23], [5, 1, 45], [1, 4, 7]]);
        let train =
            Triples::from_rows(rows.into_iter().filter(|row| !test.contains(*row)).collect());
        let mut givers = Givers::new(test.iter(), &mirrors);
        train.iter().for_each(|triple| givers.push(triple));
        let leaks = givers.leaks();
        assert_eq!(
            leaks.iter().map(|leak| leak.held_out).collect::<Vec<_>>(),
            [[3, 0, 23], [5, 1, 45]]
        );
        assert_eq!(leaks[0].given_away_by, [23, 0, 3]);
    }
}
