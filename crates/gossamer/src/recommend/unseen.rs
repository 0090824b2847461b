//! Items that nobody had: rows from the facts that they share with others.
//!
//! *Formula:* v_i = Σ w_e·m_e / (Σ w_e + ¼) over the entities e that a fact joins i to, m_e being the mean row of
//! the items that somebody had and a fact joins to e, w_e = 1/√(how many these are).
//! *Not here:* recommenders that learn from facts, whose rows know them already.

use super::problem::{Lists, Problem};
use super::scores::Learned;

/// What is added to the weights: an item of few and common facts is more like nobody's.
const SHRINK: f32 = 0.25;

/// What such items share with others.
#[derive(Debug)]
pub struct Unseen {
    /// The items, ascending.
    pub items: Vec<u32>,
    /// Of each item, had or not, the entities that a fact joins it to.
    entities: Lists,
    /// Of each entity the items that somebody had.
    had: Lists,
}

impl Unseen {
    /// Those of a problem: none where everything was had, or no fact joins anything.
    pub fn of(problem: &Problem) -> Self {
        let (n_items, items) = (problem.items.len(), problem.unseen());
        if items.is_empty() || problem.facts.is_empty() {
            return Self { items, entities: Lists::default(), had: Lists::default() };
        }
        let had = problem.interactions[0].turned(n_items);
        let entities = problem.neighbours();
        let pairs = |item: u32| entities.of(item as usize).iter().map(move |e| (*e, item));
        let seen = (0..n_items as u32).filter(|item| !had.of(*item as usize).is_empty());
        let had = Lists::of_pairs(problem.n_entities, seen.flat_map(pairs).collect());
        Self { items, entities, had }
    }

    /// Bytes while they are found.
    pub fn bytes_for(n_items: u64, n_entities: u64, n_interactions: u64, n_facts: u64) -> u64 {
        let of_interactions = Lists::bytes_for(n_items, n_interactions) + 8 * n_interactions;
        let of_facts = 2 * (Lists::bytes_for(n_items + n_entities, 2 * n_facts) + 16 * n_facts);
        of_interactions + of_facts
    }

    /// Gives them rows, where items have any; those that share nothing keep theirs.
    pub fn fill(&self, learned: &mut Learned) {
        let Learned::Factors { items: rows, .. } = learned else { return };
        if self.entities.n_rows() == 0 {
            return;
        }
        let width = rows.width;
        for item in &self.items {
            let (mut sum, mut of_all) = (vec![0.0; width], 0.0);
            for entity in self.entities.of(*item as usize) {
                let others = self.had.of(*entity as usize);
                if others.is_empty() {
                    continue;
                }
                let n = others.len() as f32;
                let weight = 1.0 / n.sqrt();
                of_all += weight;
                for other in others {
                    let row = rows.row(*other as usize);
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight / n * x);
                }
            }
            if of_all > 0.0 {
                let own = &mut rows.values[*item as usize * width..][..width];
                own.iter_mut().zip(sum).for_each(|(own, sum)| *own = sum / (of_all + SHRINK));
            }
        }
    }

    /// Gives them rows of nothing: the control.
    pub fn empty(&self, learned: &mut Learned) {
        let Learned::Factors { items: rows, .. } = learned else { return };
        for item in &self.items {
            rows.values[*item as usize * rows.width..][..rows.width].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use crate::recommend::scores::Matrix;

    #[test]
    fn an_item_that_nobody_had_is_the_mean_of_those_of_its_taste() {
        let mut problem = two_tastes(12, 10);
        // Nobody has item 4 any more; 6 has no fact, and nobody has it either.
        let mut pairs = Vec::new();
        for user in 0..12u32 {
            let all = problem.interactions[0].of(user as usize).iter();
            pairs.extend(all.filter(|item| ![4, 6].contains(*item)).map(|item| (user, *item)));
        }
        problem.interactions[0] = Lists::of_pairs(12, pairs);
        problem.facts.retain(|fact| fact[0] != 12 + 6);
        let rows = Matrix { values: (0..30).map(|x| (x * x % 17) as f32).collect(), width: 3 };
        let users = Matrix { values: vec![1.0; 36], width: 3 };
        let mut learned = Learned::Factors { users, items: rows.clone() };
        let unseen = Unseen::of(&problem);
        assert_eq!(unseen.items, [4, 6]);
        unseen.fill(&mut learned);
        let Learned::Factors { items, .. } = &learned else { panic!() };
        for place in 0..3 {
            let mean = [0, 2, 8].map(|item| rows.row(item)[place]).iter().sum::<f32>() / 3.0;
            let weight = 1.0 / 3f32.sqrt();
            let wanted = weight / (weight + SHRINK) * mean;
            assert!((items.row(4)[place] - wanted).abs() < 1e-5);
        }
        assert_eq!((items.row(6), items.row(5)), (rows.row(6), rows.row(5)));
        unseen.empty(&mut learned);
        let Learned::Factors { items, .. } = &learned else { panic!() };
        assert_eq!((items.row(4), items.row(6)), (&[0.0; 3][..], &[0.0; 3][..]));
        let mut learned = Learned::Factors { users: items.clone(), items: rows.clone() };
        let before = learned.clone();
        Unseen::of(&problem.clone().without_facts()).fill(&mut learned);
        assert_eq!(learned, before);
    }
}
