//! BPR: factors of users and items, pair by pair.

use gossamer_machine::{Ledger, Machine, Observer};

use super::body::Table;
use super::problem::Problem;
use super::{Outcome, Recommender, Settings, Shape, needs, pairwise};
use crate::error::Error;

/// BPR: factors of users and items, pair by pair.
#[derive(Debug)]
pub struct Bpr;

impl Recommender for Bpr {
    fn name(&self) -> &'static str {
        "bpr"
    }
    fn summary(&self) -> &'static str {
        "factors, each item that a user has against one that it has not"
    }
    fn formula(&self) -> &'static str {
        "−log σ(⟨p_u, q_i⟩ − ⟨p_u, q_j⟩), j drawn from what u does not have"
    }
    fn paper(&self) -> &'static str {
        "Rendle et al.: BPR (UAI 2009)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["dim", "learning_rate", "regularisation", "epochs", "batch", "negatives", "facts"]
    }
    fn fills_unseen(&self) -> bool {
        true
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            facts: 1.0,
            layers: 0,
            negatives: 1,
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
