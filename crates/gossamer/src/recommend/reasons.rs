//! Reasons: which of a user's items speak for another, and which facts they share with it.
//!
//! *Formula:* of `ease` and `itemknn` an item's part of the score; of recommenders with rows the cosine of
//! the two items' rows, which tells how alike they are and is no part of a score. Shared facts stand by
//! n / √N, n of the user's items and N of all items having the fact. Where a recommender looks at what is
//! around the two, that is a reason too, with what each gets.

use gossamer_tensor::kernel::vector;

use super::problem::Lists;
use super::run::Run;
use super::scores::Learned;
use crate::error::Error;

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

/// An entity, a relation, and whether the item is the fact's tail.
type Kind = (u32, u32, bool);

/// A fact as each of its ends has it.
fn ends([head, relation, tail]: [u32; 3]) -> [(u32, Kind); 2] {
    [(head, (tail, relation, false)), (tail, (head, relation, true))]
}

/// The facts of some items.
#[derive(Debug)]
pub struct Facts {
    kinds: Vec<Kind>,
    /// Of each item, places in `kinds`.
    of_items: Lists,
    /// How many items have each kind.
    n_items: Vec<u32>,
}

impl Facts {
    /// Those of some items; `pass` goes over all facts, and is asked to twice.
    ///
    /// # Errors
    /// Those of a pass.
    pub fn of(
        items: &[u32],
        wanted: &[u32],
        pass: impl Fn(&mut dyn FnMut([u32; 3])) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut is_wanted = vec![false; items.len()];
        wanted.iter().for_each(|item| is_wanted[*item as usize] = true);
        let item = |id: u32| items.binary_search(&id).ok();
        let mut found: Vec<(u32, Kind)> = Vec::new();
        pass(&mut |fact| {
            for (id, kind) in ends(fact) {
                if let Some(item) = item(id).filter(|item| is_wanted[*item]) {
                    found.push((item as u32, kind));
                }
            }
        })?;
        let mut kinds: Vec<Kind> = found.iter().map(|(_, kind)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let place = |kind: &Kind| kinds.binary_search(kind).ok();
        let of_found = |(item, kind): (u32, Kind)| Some((item, place(&kind)? as u32));
        let pairs = found.into_iter().filter_map(of_found).collect();
        let of_items = Lists::of_pairs(items.len(), pairs);
        let mut n_items = vec![0; kinds.len()];
        pass(&mut |fact| {
            for (id, kind) in ends(fact) {
                if let (Some(place), Some(_)) = (place(&kind), item(id)) {
                    n_items[place] += 1;
                }
            }
        })?;
        Ok(Self { kinds, of_items, n_items })
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

/// What counts most around a user and an item; nothing where a recommender does not look there.
pub fn around(run: &Run, [user, item]: [usize; 2], most: usize) -> Vec<Seen> {
    let (Learned::Conditioned(learned), census) = (&run.learned, &run.census) else {
        return Vec::new();
    };
    // Nodes and labels as it has learned by.
    let relations = if run.settings.facts > 0.0 { &census.relations[..] } else { &[] };
    let n_users = census.users.len();
    let pair = [user as u32, (n_users + item) as u32];
    let mut found: Vec<Seen> = Vec::new();
    for (of_user, end) in [(true, pair[0]), (false, pair[1])] {
        // Other users are nobody's reason to read.
        let near = learned.reasons(end, pair).into_iter();
        let near = near.filter(|near| near.node as usize >= n_users);
        found.extend(near.filter_map(|near| {
            let relation = near.label as usize % (relations.len() + 1);
            Some(Seen {
                of_user,
                relation: relations.get(relation).copied(),
                entity: census.entity(near.node as usize)?,
                share: near.given,
            })
        }));
    }
    found.sort_by(|one, other| other.share.total_cmp(&one.share));
    found.truncate(most);
    found
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
        let facts = |wanted: &[u32]| {
            let pass = |visit: &mut dyn FnMut([u32; 3])| {
                problem.facts.iter().copied().for_each(visit);
                Ok(())
            };
            Facts::of(&problem.items, wanted, pass).unwrap()
        };
        let all: Vec<u32> = (0..10).collect();
        // How many have a fact is counted over all items, asked for or not.
        for facts in [facts(&all), facts(&[0, 2, 3, 6])] {
            shared_as_wanted(&facts);
        }
    }

    fn shared_as_wanted(facts: &Facts) {
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
