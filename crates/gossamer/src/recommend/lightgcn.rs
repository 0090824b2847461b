//! LightGCN: factors that are means over the graph of users and items.

use gossamer_machine::{Ledger, Machine, Observer};

use super::problem::Problem;
use super::scores::Learned;
use super::{Recommender, Settings, Shape, pairwise};
use crate::error::Error;

/// LightGCN: factors that are means over the graph of users and items.
#[derive(Debug)]
pub struct LightGcn;

impl Recommender for LightGcn {
    fn name(&self) -> &'static str {
        "lightgcn"
    }
    fn summary(&self) -> &'static str {
        "factors that are means over the neighbours of 0 to L hops, pair by pair"
    }
    fn formula(&self) -> &'static str {
        "E = Σ over l ≤ L of (D^−½ A D^−½)^l E_0 / (L + 1); −log σ(s_ui − s_uj)"
    }
    fn paper(&self) -> &'static str {
        "He et al.: LightGCN (SIGIR 2020)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["dim", "learning_rate", "regularisation", "epochs", "batch", "negatives", "layers"]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { layers: 3, negatives: 1, epochs: 500, regularisation: 1e-4, ..settings }
    }
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger) {
        pairwise::plan(shape, settings, ledger);
    }
    fn learn(
        &self,
        problem: &Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Learned, Error> {
        pairwise::learn(problem, settings, machine, observer)
    }
}
