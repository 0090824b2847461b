//! Matrix factorisation with a softmax over drawn items.

use gossamer_machine::{Ledger, Machine, Observer};

use super::body::Table;
use super::problem::Problem;
use super::{Outcome, Recommender, Settings, Shape, needs, pairwise};
use crate::error::Error;

/// Matrix factorisation with a softmax over drawn items.
#[derive(Debug)]
pub struct Mf;

impl Recommender for Mf {
    fn name(&self) -> &'static str {
        "mf"
    }
    fn summary(&self) -> &'static str {
        "factors, each item that a user has against many that it has not, or the hardest of them"
    }
    fn formula(&self) -> &'static str {
        "−log (e^s_ui / (e^s_ui + Σ over drawn j of e^s_uj)), s = ⟨p, q⟩"
    }
    fn paper(&self) -> &'static str {
        "Wu et al.: On the Effectiveness of Sampled Softmax Loss for Item Recommendation (TOIS 2024)"
    }
    fn own(&self) -> &'static [&'static str] {
        &[
            "dim",
            "learning_rate",
            "regularisation",
            "epochs",
            "batch",
            "negatives",
            "hardest",
            "facts",
        ]
    }
    fn fills_unseen(&self) -> bool {
        true
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            facts: 1.0,
            layers: 0,
            negatives: 64,
            epochs: 500,
            regularisation: 1e-2,
            learning_rate: 0.001,
            ..settings
        }
    }
    fn plan(&self, sizes: &Shape, settings: &Settings, ledger: &mut Ledger) {
        let (rows, dim) = (sizes.n_users + sizes.n_items, settings.dim as u64);
        needs::parameters(rows * dim, ledger);
        let step = needs::of_table(rows, needs::named(settings).iter().sum()) * dim;
        needs::arrays(settings, step, (0, rows, dim), ledger);
        needs::pairs(settings, ledger);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let n_users = problem.users.len();
        let (n, dim) = (n_users + problem.items.len(), settings.dim);
        let mut body = Table { n_users, n, dim };
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}
