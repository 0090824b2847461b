//! Popularity: what many have is recommended to all.

use gossamer_machine::{Ledger, Machine, Observer};

use super::problem::Problem;
use super::scores::Learned;
use super::{Outcome, Recommender, Settings, Shape};
use crate::error::Error;

/// Popularity.
#[derive(Debug)]
pub struct Pop;

impl Recommender for Pop {
    fn name(&self) -> &'static str {
        "pop"
    }
    fn summary(&self) -> &'static str {
        "how many users an item has; the rule that every other one must beat"
    }
    fn formula(&self) -> &'static str {
        "s(u, i) = |users of i|"
    }
    fn paper(&self) -> &'static str {
        "folklore"
    }
    fn own(&self) -> &'static [&'static str] {
        &[]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        settings
    }
    fn plan(&self, shape: &Shape, _: &Settings, ledger: &mut Ledger) {
        ledger.add("popularity", shape.n_items.to_string(), "f32", 4 * shape.n_items);
    }
    fn learn(
        &self,
        problem: Problem,
        _: &Settings,
        _: &Machine,
        _: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let users = problem.interactions[0].turned(problem.items.len());
        let count = |item: usize| users.of(item).len() as f32;
        Ok(Learned::Popularity((0..problem.items.len()).map(count).collect()).into())
    }
}
