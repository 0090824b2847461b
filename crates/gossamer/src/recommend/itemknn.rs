//! Nearest items: who has an item gets those that the same users have.

use gossamer_machine::{Ledger, Machine, Observer};

use super::nearest::Nearest;
use super::problem::Problem;
use super::scores::{Learned, Matrix, check_numbers};
use super::{Outcome, Recommender, Settings, Shape};
use crate::error::Error;

/// Nearest items by cosine.
#[derive(Debug)]
pub struct ItemKnn;

impl Recommender for ItemKnn {
    fn name(&self) -> &'static str {
        "itemknn"
    }
    fn summary(&self) -> &'static str {
        "items that the users of a user's items have, by cosine"
    }
    fn formula(&self) -> &'static str {
        "s(u, i) = Σ over items j of u, with j among the k nearest of i, of |U(i) ∩ U(j)| / √(|U(i)| |U(j)|)"
    }
    fn paper(&self) -> &'static str {
        "Sarwar et al.: Item-Based Collaborative Filtering Recommendation Algorithms (WWW 2001)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["nearest"]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        settings
    }
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger) {
        let (n, nearest) = (shape.n_items, (settings.nearest as u64).min(shape.n_items));
        ledger.add("nearest items", format!("{n} × {nearest}"), "f32", 8 * n * nearest);
        // Where each begins is there until all stand.
        let bytes = Nearest::bytes_for(n, nearest) + 8 * n;
        ledger.add("items that they speak for", format!("{n} × {nearest}"), "f32", bytes);
    }
    fn plan_asking(&self, shape: &Shape, _: &Settings, ledger: &mut Ledger) {
        ledger.add("where lists end", format!("{}", shape.n_items), "u64", 8 * shape.n_items);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        _: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let (items, n) = (&problem.interactions[0], problem.items.len());
        check_numbers(n, (self.name(), "ials"))?;
        let users = items.turned(n);
        let k = settings.nearest.min(n);
        let size = |item: usize| users.of(item).len() as f32;
        let mut values = vec![0.0; n * 2 * k];
        let tasks = values.chunks_mut(2 * k).enumerate().collect();
        machine.workers.each_with(
            tasks,
            || vec![0.0f32; n],
            |shared, (item, out): (usize, &mut [f32])| {
                shared.fill(0.0);
                for user in users.of(item) {
                    items
                        .of(*user as usize)
                        .iter()
                        .for_each(|other| shared[*other as usize] += 1.0);
                }
                shared[item] = 0.0;
                let cosine = |other: usize| shared[other] / (size(item) * size(other)).sqrt();
                let found = (0..n).filter(|other| shared[*other] > 0.0);
                let mut found: Vec<(f32, usize)> =
                    found.map(|other| (cosine(other), other)).collect();
                // The nearest, of equals those with the smaller number.
                found.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
                for (pair, (cosine, other)) in out.chunks_exact_mut(2).zip(found) {
                    pair.copy_from_slice(&[other as f32, cosine]);
                }
            },
        );
        Ok(Learned::Nearest(Nearest::turned(&Matrix { values, width: 2 * k })).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::Lists;
    use gossamer_machine::Silent;

    #[test]
    fn weights_are_cosines_of_the_nearest() {
        let pairs = vec![(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2)];
        let interactions =
            [Lists::of_pairs(3, pairs), Lists::of_pairs(3, vec![]), Lists::of_pairs(3, vec![])];
        let problem = Problem {
            users: vec![0, 1, 2],
            items: vec![3, 4, 5],
            interactions,
            facts: Vec::new(),
            n_entities: 6,
        };
        let settings = Settings { nearest: 1, ..Settings::of("itemknn").unwrap() };
        let machine = Machine::new(2, None);
        let learned = ItemKnn.learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
        let Learned::Nearest(nearest) = learned else { panic!("{learned:?}") };
        // 2 has 0 as its nearest, of two that are as near; it is nobody's.
        let of = |item: usize| nearest.of(item).collect::<Vec<_>>();
        assert_eq!([of(0), of(1), of(2)], [vec![(1, 1.0), (2, 0.5)], vec![(0, 1.0)], vec![]]);
    }
}
