//! EASE^R: the linear recommender with a closed form, with facts beside interactions.
//!
//! *Formula:* G = XᵀX + φ·TᵀT over items, X being users × items and T entities × items, 1 where a
//! fact joins them; P = (G + λI)⁻¹; the weight of item j for item i is −P_ji / P_ii, 0 for itself.
//! A λ of 0 is to be found: from 120 on it doubles, or else halves, while the validation split's NDCG
//! grows. With more than 6,000 items, or nothing to validate by, it is 120.
//! *Cost:* 2 · items³ operations and items² floats; with a λ to be found some five times the operations.

use gossamer_graph::Split;
use gossamer_machine::{Ledger, Machine, Observer, Progress};
use gossamer_tensor::inverse::invert;

use super::problem::{Lists, Problem};
use super::scores::{Learned, Matrix};
use super::{Outcome, Recommender, Settings, Shape, judge};
use crate::error::Error;

/// The first λ that is tried.
const FIRST: f32 = 120.0;
/// Items up to which it is found.
const MOST_ITEMS: usize = 6_000;
/// Times that it is doubled, or halved, at most.
const MOST_STEPS: usize = 8;
/// Where lists end that λ is judged by.
const VALIDATED: usize = 20;

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
        Settings { facts: 1.0, ..settings }
    }
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger) {
        let n = shape.n_items;
        ledger.add("weights", format!("{n} × {n}"), "f32", 4 * n * n);
        let facts = shape.n_facts;
        ledger.add("facts, and what items share", format!("2 × {facts}"), "u32", 24 * facts);
        ledger.add("rows being eliminated", format!("3 × 64 × {n}"), "f32", 12 * 64 * n);
        if settings.regularisation == 0.0 {
            judge::plan(shape, ledger);
        }
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let n = problem.items.len();
        let mut weights = Learned::Weights(Matrix { values: vec![0.0; n * n], width: n });
        let gram = Gram::of(&problem, settings);
        let mut penalty = settings.regularisation;
        let validates = problem.interactions[Split::Valid as usize].n_values() > 0;
        if penalty == 0.0 && (n > MOST_ITEMS || !validates) {
            penalty = FIRST;
        } else if penalty == 0.0 {
            let judged = |penalty| {
                let solved = gram.solve(penalty, &mut weights, (machine, observer))?;
                let ndcg = || judge::ndcg(&problem, &weights, (Split::Valid, VALIDATED), machine);
                Ok(if solved { ndcg() } else { -1.0 })
            };
            let ndcg;
            (penalty, ndcg) = best_penalty(judged)?;
            let how = format!("the validation split's best (ndcg@{VALIDATED} {ndcg:.4})");
            observer.log(&format!("ease: --regularisation {penalty}, {how}"));
        }
        if !gram.solve(penalty, &mut weights, (machine, observer))? {
            let what = "the weights between items have no solution in 32 bits".to_string();
            return Err(Error::Request { what, hint: "take a larger --regularisation".into() });
        }
        Ok(weights.into())
    }
}

/// The best penalty, and how good it is: doubled while that is better, or else halved.
fn best_penalty(mut judged: impl FnMut(f32) -> Result<f64, Error>) -> Result<(f32, f64), Error> {
    let mut best = (FIRST, judged(FIRST)?);
    for factor in [2.0, 0.5] {
        for _ in 0..MOST_STEPS {
            let penalty = best.0 * factor;
            let ndcg = judged(penalty)?;
            if ndcg <= best.1 {
                break;
            }
            best = (penalty, ndcg);
        }
        if best.0 != FIRST {
            break;
        }
    }
    Ok(best)
}

/// What items share.
struct Gram<'a> {
    users: Lists,
    items: &'a Lists,
    /// What facts join items to, and the items of these, where they count.
    facts: Option<[Lists; 2]>,
    weight: f32,
}

impl<'a> Gram<'a> {
    fn of(problem: &'a Problem, settings: &Settings) -> Self {
        let items = &problem.interactions[0];
        let facts = (settings.facts > 0.0).then(|| {
            let facts = problem.neighbours();
            let turned = facts.turned(problem.n_entities);
            [facts, turned]
        });
        Self { users: items.turned(problem.items.len()), items, facts, weight: settings.facts }
    }

    /// Fills weights between items; false if with this penalty there is no solution in 32 bits.
    fn solve(
        &self,
        penalty: f32,
        weights: &mut Learned,
        (machine, observer): (&Machine, &dyn Observer),
    ) -> Result<bool, Error> {
        let Learned::Weights(Matrix { values, width: n }) = weights else { return Ok(false) };
        let (n, detail) = (*n, format!("regularisation {penalty}"));
        let (stage, unit, detail) = ("weights between items", "items", detail.as_str());
        observer.progress(&Progress { stage, done: 0, total: n as u64, unit, detail });
        if observer.cancelled() {
            return Err(Error::Stopped);
        }
        values.fill(0.0);
        add_shared(machine, (&self.users, self.items), 1.0, values);
        if let Some([facts, items]) = &self.facts {
            add_shared(machine, (facts, items), self.weight, values);
        }
        (0..n).for_each(|item| values[item * n + item] += penalty);
        if !invert(machine, n, values) {
            return Ok(false);
        }
        let diagonal: Vec<f32> = (0..n).map(|item| values[item * n + item]).collect();
        for (item, row) in values.chunks_exact_mut(n).enumerate() {
            row.iter_mut().zip(&diagonal).for_each(|(weight, pivot)| *weight /= -pivot);
            row[item] = 0.0;
        }
        Ok(true)
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
    fn the_best_penalty_is_found_by_doubling_or_halving() {
        for best in [FIRST, 8.0 * FIRST, FIRST / 16.0] {
            let mut asked = 0;
            let judged = |penalty: f32| {
                asked += 1;
                Ok(-f64::from((penalty / best).ln().abs()))
            };
            assert_eq!(best_penalty(judged).unwrap(), (best, -0.0));
            assert!(asked <= 7, "{asked}");
        }
        let (penalty, _) = best_penalty(|penalty| Ok(f64::from(penalty))).unwrap();
        assert_eq!(penalty, FIRST * 2f32.powi(MOST_STEPS as i32));
    }

    #[test]
    fn the_penalty_is_that_of_the_validation_split() {
        let (problem, machine) = (two_tastes(60, 30), Machine::new(2, None));
        let learned = |regularisation: f32| {
            let settings = Settings { regularisation, ..Settings::of("ease").unwrap() };
            Ease.learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned
        };
        let valid = (Split::Valid, VALIDATED);
        let judged = |penalty| Ok(judge::ndcg(&problem, &learned(penalty), valid, &machine));
        let (penalty, _) = best_penalty(judged).unwrap();
        assert_eq!(learned(0.0), learned(penalty), "{penalty}");
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
