//! What a recommender learns from: who interacted with what, and facts.
//!
//! *Invariant:* what is held out is in no list that a model learns from; facts come from the
//! training split, and none of them is an interaction.

use gossamer_graph::Split;
use gossamer_machine::random::{Address, Permutation, Purpose};

/// A list of numbers for each of some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    ends: Vec<usize>,
    values: Vec<u32>,
}

impl Lists {
    /// Of pairs of row and value, in any order, repeated or not.
    pub fn of_pairs(n_rows: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut ends = vec![0; n_rows];
        pairs.iter().for_each(|(row, _)| ends[*row as usize] += 1);
        let mut sum = 0;
        ends.iter_mut().for_each(|end| {
            sum += *end;
            *end = sum;
        });
        let mut values: Vec<u32> = pairs.into_iter().map(|(_, value)| value).collect();
        // They may stand where the pairs did.
        values.shrink_to_fit();
        Self { ends, values }
    }

    /// Bytes of so many.
    pub fn bytes_for(n_rows: u64, n_values: u64) -> u64 {
        8 * n_rows + 4 * n_values
    }

    /// How many rows.
    pub fn n_rows(&self) -> usize {
        self.ends.len()
    }

    /// How many values in all.
    pub fn n_values(&self) -> usize {
        self.values.len()
    }

    /// The values of a row, ascending.
    pub fn of(&self, row: usize) -> &[u32] {
        let first = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.values[first..self.ends[row]]
    }

    /// The rows of each value.
    pub fn turned(&self, n_values: usize) -> Self {
        let of_row = |row: usize| self.of(row).iter().map(move |value| (*value, row as u32));
        Self::of_pairs(n_values, (0..self.n_rows()).flat_map(of_row).collect())
    }
}

/// Users, items, interactions and facts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problem {
    /// The entities that are users, ascending.
    pub users: Vec<u32>,
    /// The entities that are items, ascending.
    pub items: Vec<u32>,
    /// Of each split the items of each user.
    pub interactions: [Lists; 3],
    /// The facts: training triples of other relations.
    pub facts: Vec<[u32; 3]>,
    /// How many entities there are.
    pub n_entities: usize,
}

impl Problem {
    /// The items that a user has, over some splits, ascending.
    pub fn seen(&self, user: usize, splits: &[Split]) -> Vec<u32> {
        let of = |split: &Split| self.interactions[*split as usize].of(user);
        let mut seen: Vec<u32> = splits.iter().flat_map(of).copied().collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// The same without its facts.
    pub fn without_facts(self) -> Self {
        Self { facts: Vec::new(), ..self }
    }

    /// The same, without its facts where they weigh nothing.
    pub fn with_weight(self, facts: f32) -> Self {
        if facts > 0.0 { self } else { self.without_facts() }
    }

    /// The same with facts that say nothing: the tails of each relation's facts change places at
    /// random.
    pub fn with_shuffled_facts(mut self, seed: u64) -> Self {
        self.facts.sort_unstable_by_key(|[head, relation, tail]| (*relation, *head, *tail));
        let mut tails = Vec::new();
        for of_relation in self.facts.chunk_by_mut(|one, other| one[1] == other[1]) {
            let address = Address::new(seed, Purpose::Split, 1 + u64::from(of_relation[0][1]));
            let order = Permutation::new(of_relation.len() as u64, address);
            tails.clear();
            tails.extend(of_relation.iter().map(|fact| fact[2]));
            for (place, fact) in (0..).zip(of_relation) {
                fact[2] = tails[order.get(place) as usize];
            }
        }
        self
    }

    /// The items that nobody has in training, ascending.
    pub fn unseen(&self) -> Vec<u32> {
        let mut had = vec![false; self.items.len()];
        let lists = &self.interactions[0];
        let all = (0..lists.n_rows()).flat_map(|user| lists.of(user));
        all.for_each(|item| had[*item as usize] = true);
        (0..).zip(had).filter(|(_, had)| !had).map(|(item, _)| item).collect()
    }

    /// Marks the items that are not among the most taken ones, which have half of all interactions
    /// in training; there those that nobody had are marked too.
    pub fn novel(&self) -> Vec<bool> {
        let had = self.interactions[0].turned(self.items.len());
        let n_of = |item: u32| had.of(item as usize).len();
        let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
        order.sort_by_key(|item| (std::cmp::Reverse(n_of(*item)), *item));
        let (mut novel, mut before) = (vec![true; order.len()], 0);
        for item in order {
            novel[item as usize] = 2 * before >= had.n_values();
            before += n_of(item);
        }
        novel
    }

    /// The relations that facts have, and the entities that they are about and that are neither
    /// users nor items; both ascending.
    pub fn of_facts(&self) -> [Vec<u32>; 2] {
        let n_relations = self.facts.iter().map(|fact| fact[1] + 1).max().unwrap_or(0);
        let mut relations = vec![false; n_relations as usize];
        let mut others = vec![false; self.n_entities];
        for [head, relation, tail] in &self.facts {
            relations[*relation as usize] = true;
            (others[*head as usize], others[*tail as usize]) = (true, true);
        }
        self.users.iter().chain(&self.items).for_each(|id| others[*id as usize] = false);
        [relations, others].map(|marks| (0..).zip(marks).filter(|of| of.1).map(|of| of.0).collect())
    }

    /// Of each item the entities that a fact joins it to.
    pub fn neighbours(&self) -> Lists {
        let ends = |[head, _, tail]: &[u32; 3]| [(*head, *tail), (*tail, *head)];
        let item = |(one, other): (u32, u32)| Some((place(&self.items, one)? as u32, other));
        let pairs = self.facts.iter().flat_map(ends).filter_map(item).collect();
        Lists::of_pairs(self.items.len(), pairs)
    }
}

/// The place of an entity among some.
fn place(ids: &[u32], id: u32) -> Option<usize> {
    ids.binary_search(&id).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two tastes: users of either like the items of it, and a fact says which it is.
    pub fn two_tastes(n_users: u32, n_items: u32) -> Problem {
        let mut splits = [Vec::new(), Vec::new(), Vec::new()];
        for user in 0..n_users {
            for item in (0..n_items).filter(|item| item % 2 == user % 2) {
                let draw = (user * 7919 + item * 104_729) % 97;
                let split = match draw {
                    0..10 => 2,
                    10..20 => 1,
                    20..60 => 0,
                    _ => continue,
                };
                splits[split].push((user, item));
            }
        }
        let (first_item, taste) = (n_users, n_users + n_items);
        Problem {
            users: (0..n_users).collect(),
            items: (first_item..taste).collect(),
            interactions: splits.map(|pairs| Lists::of_pairs(n_users as usize, pairs)),
            facts: (0..n_items).map(|item| [first_item + item, 0, taste + item % 2]).collect(),
            n_entities: taste as usize + 2,
        }
    }

    #[test]
    fn lists_turn_and_shuffled_facts_keep_their_ends() {
        let lists = Lists::of_pairs(3, vec![(2, 5), (0, 1), (2, 1), (0, 1)]);
        assert_eq!((lists.of(0), lists.of(1), lists.of(2)), (&[1][..], &[][..], &[1, 5][..]));
        let turned = lists.turned(6);
        assert_eq!((turned.of(1), turned.of(5), turned.n_values()), (&[0, 2][..], &[2][..], 3));
        assert_eq!(turned.turned(3), lists);
        let problem = two_tastes(20, 30);
        let shuffled = problem.clone().with_shuffled_facts(3);
        let ends = |facts: &[[u32; 3]], place: usize| {
            let mut ends: Vec<u32> = facts.iter().map(|fact| fact[place]).collect();
            ends.sort_unstable();
            ends
        };
        for place in [0, 2] {
            assert_eq!(ends(&problem.facts, place), ends(&shuffled.facts, place));
        }
        assert_ne!(problem.facts, shuffled.facts);
        let few = Problem {
            items: (7..11).collect(),
            interactions: [0, 1, 2].map(|_| {
                Lists::of_pairs(4, vec![(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2), (2, 0)])
            }),
            ..problem.clone()
        };
        assert_eq!(few.novel(), [true, false, true, true]);
        assert_eq!(problem.neighbours().of(3), [51]);
        assert_eq!(problem.of_facts().map(|ids| ids.len()), [1, 2]);
    }
}
