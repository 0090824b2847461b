//! Reasons: which of a user's items speak for another, and which facts they share with it.
//!
//! *Formula:* of `ease` and `itemknn` an item's part of the score; of recommenders with rows the cosine of
//! the two items' rows, which tells how alike they are and is no part of a score. Shared facts stand by
//! n / √N, n of the user's items and N of all items having the fact. Where a recommender looks at what is
//! around the two, that is a reason too, with what each gets.

use super::nodes::Nodes;
use super::problem::{Lists, Problem};
use super::scores::Learned;
use gossamer_tensor::kernel::vector;

/// A fact that an item shares with some of a user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The relation.
    pub relation: u32,
    /// The entity at its other end.
    pub entity: u32,
    /// How many of the user's items have it too.
    pub n: usize,
}

/// The facts of items: an entity, a relation, and whether the item is the fact's tail.
#[derive(Debug)]
pub struct Facts {
    kinds: Vec<(u32, u32, bool)>,
    /// Of each item, places in `kinds`.
    of_items: Lists,
    /// How many items have each kind.
    n_items: Vec<u32>,
}

impl Facts {
    /// Those of a problem.
    pub fn of(problem: &Problem) -> Self {
        let ends = problem.facts.iter().flat_map(|[head, relation, tail]| {
            [(*head, (*tail, *relation, false)), (*tail, (*head, *relation, true))]
        });
        let item = |(id, kind)| Some((problem.items.binary_search(&id).ok()? as u32, kind));
        let found: Vec<_> = ends.filter_map(item).collect();
        let mut kinds: Vec<(u32, u32, bool)> = found.iter().map(|(_, kind)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let place = |kind| kinds.partition_point(|other| *other < kind) as u32;
        let pairs = found.into_iter().map(|(item, kind)| (item, place(kind))).collect();
        let of_items = Lists::of_pairs(problem.items.len(), pairs);
        let mut n_items = vec![0; kinds.len()];
        for item in 0..problem.items.len() {
            of_items.of(item).iter().for_each(|kind| n_items[*kind as usize] += 1);
        }
        Self { kinds, of_items, n_items }
    }

    /// The facts that an item shares with a user's, the most telling first.
    pub fn shared(&self, item: u32, own: &[u32], most: usize) -> Vec<Shared> {
        let has =
            |own: &u32, kind: &u32| self.of_items.of(*own as usize).binary_search(kind).is_ok();
        let mut found: Vec<(f32, Shared)> = Vec::new();
        for kind in self.of_items.of(item as usize) {
            let n = own.iter().filter(|own| **own != item && has(own, kind)).count();
            if n > 0 {
                let (entity, relation, _) = self.kinds[*kind as usize];
                let worth = n as f32 / (self.n_items[*kind as usize] as f32).sqrt();
                found.push((worth, Shared { relation, entity, n }));
            }
        }
        found.sort_by(|one, other| other.0.total_cmp(&one.0));
        found.truncate(most);
        found.into_iter().map(|(_, shared)| shared).collect()
    }
}

/// What a recommender sees around an end of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// True if it stands around the user, else around the item.
    pub of_user: bool,
    /// The relation of the fact that joins it; none: an interaction.
    pub relation: Option<u32>,
    /// The entity.
    pub entity: u32,
    /// What it gets, of 1 in all around its end.
    pub share: f32,
}

/// The nodes of a problem, by which a recommender's subgraphs have their names.
#[derive(Debug)]
pub struct Subgraphs(Nodes);

impl Subgraphs {
    /// Those of a problem.
    pub fn of(mut problem: Problem) -> Self {
        Self(Nodes::of(&mut problem))
    }

    /// What counts most around a user and an item; nothing where a recommender does not look there.
    pub fn around(
        &self,
        (learned, problem): (&Learned, &Problem),
        [user, item]: [usize; 2],
        most: usize,
    ) -> Vec<Seen> {
        let Learned::Conditioned(learned) = learned else { return Vec::new() };
        let Self(nodes) = self;
        let pair = [user as u32, (nodes.n_users + item) as u32];
        let entity = |node: u32| {
            let (node, first) = (node as usize, nodes.n_users + nodes.n_items);
            match node {
                node if node < nodes.n_users => problem.users.get(node),
                node if node < first => problem.items.get(node - nodes.n_users),
                node => nodes.others.get(node - first),
            }
        };
        let mut found: Vec<Seen> = Vec::new();
        for (of_user, end) in [(true, pair[0]), (false, pair[1])] {
            // Other users are nobody's reason to read.
            let near = learned.reasons(end, pair).into_iter();
            let near = near.filter(|near| near.node as usize >= nodes.n_users);
            found.extend(near.filter_map(|near| {
                let relation = near.label as usize % nodes.n_relations();
                Some(Seen {
                    of_user,
                    relation: nodes.relations.get(relation).copied(),
                    entity: *entity(near.node)?,
                    share: near.given,
                })
            }));
        }
        found.sort_by(|one, other| other.share.total_cmp(&one.share));
        found.truncate(most);
        found
    }
}

/// The items of a user that speak most for another, with how much; none where a recommender knows
/// of no such reasons.
pub fn speaking(learned: &Learned, item: u32, own: &[u32], most: usize) -> Vec<(u32, f32)> {
    // Where items have rows of their own, and after how many others these begin.
    let rows = match learned {
        Learned::Factors { items, .. } => Some((items, 0)),
        Learned::Attended(attended) => Some((&attended.entities, 0)),
        Learned::Conditioned(conditioned) => Some((&conditioned.nodes, conditioned.n_users)),
        _ => None,
    };
    let weight = |own: &u32| match rows {
        Some((rows, first)) => {
            let [one, other] = [item, *own].map(|item| rows.row(first + item as usize));
            let lengths = vector::dot(one, one) * vector::dot(other, other);
            vector::dot(one, other) / lengths.sqrt().max(f32::MIN_POSITIVE)
        }
        None => learned.says(*own as usize, item as usize),
    };
    let mut reasons: Vec<(u32, f32)> = own.iter().map(|own| (*own, weight(own))).collect();
    reasons.retain(|(_, weight)| *weight > 0.0);
    reasons.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    reasons.truncate(most);
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use crate::recommend::scores::Matrix;

    #[test]
    fn what_is_shared_is_counted_and_the_rarer_comes_first() {
        let mut problem = two_tastes(4, 10);
        // Beside its taste, which five have, item 2 has what item 6 has alone.
        problem.facts.extend([[90, 1, 4 + 2], [90, 1, 4 + 6]]);
        problem.facts.sort_unstable();
        let facts = Facts::of(&problem);
        let taste = Shared { relation: 0, entity: 14, n: 2 };
        let rare = Shared { relation: 1, entity: 90, n: 1 };
        assert_eq!(facts.shared(2, &[0, 2, 3, 6], 5), [taste.clone(), rare.clone()]);
        assert_eq!(facts.shared(2, &[3, 6], 5), [rare, Shared { n: 1, ..taste }]);
        assert_eq!(facts.shared(3, &[0, 2], 5), []);
    }

    #[test]
    fn those_that_point_the_same_way_speak_for_an_item() {
        let rows = vec![1.0, 0.0, 2.0, 0.1, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        let items = Matrix { values: rows, width: 2 };
        let learned = Learned::Factors { users: items.clone(), items };
        let found = speaking(&learned, 0, &[1, 2, 3, 4], 9);
        assert_eq!(found.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [1, 4]);
        assert!((found[1].1 - 0.5f32.sqrt()).abs() < 1e-6);
        let weights = Matrix { values: vec![0.0, 0.5, 0.25, 0.0], width: 2 };
        assert_eq!(speaking(&Learned::Weights(weights), 0, &[1], 9), [(1, 0.25)]);
        assert_eq!(speaking(&Learned::Popularity(vec![1.0; 2]), 0, &[1], 9), []);
    }
}
