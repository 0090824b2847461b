//! EASE^R: the linear recommender with a closed form, with facts beside interactions.
//!
//! *Formula:* G = XᵀX + φ·TᵀT over items, X being users × items and T entities × items, 1 where a
//! fact joins them; P = (G + λI)⁻¹; the weight of item j for item i is −P_ji / P_ii, 0 for itself.
//! *Cost:* 2 · items³ operations and items² floats.

use gossamer_machine::{Ledger, Machine, Observer, Progress};
use gossamer_tensor::inverse::invert;

use super::problem::{Lists, Problem};
use super::scores::{Learned, Matrix};
use super::{Outcome, Recommender, Settings, Shape};
use crate::error::Error;

/// EASE^R, collective where facts count.
#[derive(Debug)]
pub struct Ease;

impl Recommender for Ease {
    fn name(&self) -> &'static str {
        "ease"
    }
    fn summary(&self) -> &'static str {
        "linear weights between items in closed form; --facts 0 without facts"
    }
    fn formula(&self) -> &'static str {
        "s(u, i) = Σ over items j of u of −P_ji / P_ii; P = (XᵀX + φ TᵀT + λI)⁻¹"
    }
    fn paper(&self) -> &'static str {
        "Steck: Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019); with facts: Jeunen, \
         Van Balen, Goethals: Closed-Form Models for Collaborative Filtering with Side-Information \
         (RecSys 2020)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["regularisation", "facts"]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { regularisation: 60.0, facts: 1.0, ..settings }
    }
    fn plan(&self, shape: &Shape, _: &Settings, ledger: &mut Ledger) {
        let n = shape.n_items;
        ledger.add("weights", format!("{n} × {n}"), "f32", 4 * n * n);
        let facts = shape.n_facts;
        ledger.add("facts, and what items share", format!("2 × {facts}"), "u32", 24 * facts);
        ledger.add("rows being eliminated", format!("3 × 64 × {n}"), "f32", 12 * 64 * n);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let n = problem.items.len();
        let (stage, unit, detail) = ("weights between items", "items", "");
        observer.progress(&Progress { stage, done: 0, total: n as u64, unit, detail });
        let users = problem.interactions[0].turned(n);
        let facts = if settings.facts > 0.0 { problem.neighbours() } else { Lists::default() };
        let mut values = vec![0.0; n * n];
        add_shared(machine, (&users, &problem.interactions[0]), 1.0, &mut values);
        if settings.facts > 0.0 {
            let items = facts.turned(problem.n_entities);
            add_shared(machine, (&facts, &items), settings.facts, &mut values);
        }
        // Without a penalty an item that nobody has would have no inverse.
        let penalty = settings.regularisation.max(1e-3);
        (0..n).for_each(|item| values[item * n + item] += penalty);
        if observer.cancelled() {
            return Err(Error::Stopped);
        }
        if !invert(machine, n, &mut values) {
            let what = "the weights between items have no solution in 32 bits".to_string();
            return Err(Error::Request { what, hint: "take a larger --regularisation".into() });
        }
        let diagonal: Vec<f32> = (0..n).map(|item| values[item * n + item]).collect();
        for (item, row) in values.chunks_exact_mut(n).enumerate() {
            row.iter_mut().zip(&diagonal).for_each(|(weight, pivot)| *weight /= -pivot);
            row[item] = 0.0;
        }
        Ok(Learned::Weights(Matrix { values, width: n }).into())
    }
}

/// Adds how much each two items share: `of_item` has what an item is joined to, `items` the items
/// that each of these is joined to.
fn add_shared(machine: &Machine, (of_item, items): (&Lists, &Lists), weight: f32, out: &mut [f32]) {
    let tasks = out.chunks_mut(of_item.n_rows().max(1)).enumerate().collect();
    machine.workers.each(tasks, |(item, row): (usize, &mut [f32])| {
        for shared in of_item.of(item) {
            items.of(*shared as usize).iter().for_each(|other| row[*other as usize] += weight);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::Silent;

    /// The same by its definition: the least squares of each item from the others.
    fn by_definition(problem: &Problem, settings: &Settings) -> Vec<f64> {
        let n = problem.items.len();
        let mut gram = vec![0.0f64; n * n];
        let mut add = |list: &[u32], weight: f64| {
            for one in list {
                for other in list {
                    gram[*one as usize * n + *other as usize] += weight;
                }
            }
        };
        (0..problem.users.len()).for_each(|user| add(problem.interactions[0].of(user), 1.0));
        let facts = problem.neighbours().turned(problem.n_entities);
        (0..problem.n_entities).for_each(|of| add(facts.of(of), f64::from(settings.facts)));
        let mut weights = vec![0.0; n * n];
        for item in 0..n {
            // Coordinate descent on (G + λI) w = G_item over the other items.
            let mut w = vec![0.0f64; n];
            for _ in 0..2000 {
                for j in (0..n).filter(|j| *j != item) {
                    let rest: f64 =
                        (0..n).filter(|k| *k != j).map(|k| gram[j * n + k] * w[k]).sum();
                    let lambda = f64::from(settings.regularisation);
                    w[j] = (gram[j * n + item] - rest) / (gram[j * n + j] + lambda);
                }
            }
            (0..n).for_each(|j| weights[j * n + item] = w[j]);
        }
        weights
    }

    #[test]
    fn the_closed_form_is_the_least_squares_of_its_definition() {
        let problem = two_tastes(30, 16);
        for facts in [0.0, 2.0] {
            let settings = Settings { regularisation: 5.0, facts, ..Settings::of("ease").unwrap() };
            let machine = Machine::new(2, None);
            let learned =
                Ease.learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
            let Learned::Weights(weights) = learned else { panic!("weights") };
            let wanted = by_definition(&problem, &settings);
            for (found, wanted) in weights.values.iter().zip(wanted) {
                assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} {wanted}");
            }
        }
    }
}
