//! Mirrored and inverse relations: how one relation's pairs repeat another's.
//!
//! If most pairs (h, t) of a relation stand as (t, h) in another, then a test triple whose mirror
//! is in train is no question at all. Found from counts over unordered pairs of entities.
//!
//! *Paper:* Toutanova, Chen (2015) on FB15k's inverses; Akrami et al. (2020).

use std::collections::HashMap;

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

/// Every mirror with at least `least_share` and at least `least_count` pairs, by share.
pub fn find_mirrors(parts: &[&Triples], least_share: f64, least_count: u64) -> Vec<Mirror> {
    let mut pairs: Vec<(u32, u32, u32, bool)> = Vec::new();
    let mut totals: HashMap<u32, u64> = HashMap::new();
    for [head, relation, tail] in parts.iter().flat_map(|part| part.iter()) {
        *totals.entry(relation).or_default() += 1;
        if head != tail {
            pairs.push((head.min(tail), head.max(tail), relation, head > tail));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut counts: HashMap<(u32, u32, bool), u64> = HashMap::new();
    for group in pairs.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        if group.len() > MAX_RELATIONS_PER_PAIR {
            continue;
        }
        for (_, _, relation, turned) in group {
            for (_, _, other, other_turned) in group {
                let inverse = turned != other_turned;
                if inverse || relation != other {
                    *counts.entry((*relation, *other, inverse)).or_default() += 1;
                }
            }
        }
    }
    let mut mirrors: Vec<Mirror> = counts
        .into_iter()
        .map(|((relation, other, inverse), count)| {
            let share = count as f64 / totals[&relation] as f64;
            Mirror { relation, other, inverse, count, share }
        })
        .filter(|mirror| mirror.share >= least_share && mirror.count >= least_count)
        .collect();
    mirrors.sort_by(|a, b| {
        b.share.total_cmp(&a.share).then((a.relation, a.other).cmp(&(b.relation, b.other)))
    });
    mirrors
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

/// The held-out triples that a mirror in `train` gives away.
pub fn find_leaks(train: &Triples, held_out: &Triples, mirrors: &[Mirror]) -> Vec<Leak> {
    let mut of_relation: HashMap<u32, Vec<&Mirror>> = HashMap::new();
    for mirror in mirrors {
        of_relation.entry(mirror.relation).or_default().push(mirror);
    }
    let mut leaks = Vec::new();
    for [head, relation, tail] in held_out.iter() {
        let mirrors = of_relation.get(&relation).map_or(&[][..], Vec::as_slice);
        let given = mirrors
            .iter()
            .map(|m| if m.inverse { [tail, m.other, head] } else { [head, m.other, tail] })
            .find(|triple| train.contains(*triple));
        if let Some(given_away_by) = given {
            leaks.push(Leak { held_out: [head, relation, tail], given_away_by });
        }
    }
    leaks
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
        let leaks = find_leaks(&train, &test, &mirrors);
        assert_eq!(
            leaks.iter().map(|leak| leak.held_out).collect::<Vec<_>>(),
            [[3, 0, 23], [5, 1, 45]]
        );
        assert_eq!(leaks[0].given_away_by, [23, 0, 3]);
    }
}
