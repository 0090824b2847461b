//! LightGCN: factors that are means over the graph of users and items.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape};

use super::body::{Asked, At, Body, Made, Side, Table};
use super::nodes::joined;
use super::pairwise;
use super::problem::Problem;
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

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
        &[
            "dim",
            "learning_rate",
            "regularisation",
            "epochs",
            "batch",
            "negatives",
            "layers",
            "facts",
        ]
    }
    fn fills_unseen(&self) -> bool {
        true
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            facts: 1.0,
            layers: 3,
            negatives: 1,
            epochs: 500,
            regularisation: 1e-4,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (rows, dim) = (sizes.n_users + sizes.n_items, settings.dim as u64);
        needs::parameters(rows * dim, ledger);
        needs::arrays(settings, 4 * rows * dim, (rows, rows, dim), ledger);
        let bytes = 40 * sizes.n_interactions + 8 * rows;
        ledger.add("neighbours", format!("2 × {}", sizes.n_interactions), "f32", bytes);
        needs::pairs(settings, ledger);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let mut body = Means::of(&problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Means of a table over hops.
pub struct Means {
    table: Table,
    joined: Sparse,
    hops: usize,
}

impl Means {
    /// Of a problem's interactions.
    pub fn of(problem: &Problem, settings: &Settings) -> Self {
        let (n_users, joined) = (problem.users.len(), joined(problem));
        let table = Table { n_users, n: joined.n_rows(), dim: settings.dim };
        Self { table, joined, hops: settings.layers }
    }
}

impl Body for Means {
    fn shapes(&self) -> Vec<Shape> {
        self.table.shapes()
    }
    fn tables(&self) -> [At; 2] {
        self.table.tables()
    }
    fn sides(&self) -> Vec<Side> {
        self.table.sides()
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        _asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        let joined = BothWays { forward: &self.joined, backward: &self.joined };
        let (mut sum, mut hop) = (parameters[0].var(), parameters[0].var());
        for _ in 0..self.hops {
            hop = tape.sum_neighbours(&hop, joined, 0.0);
            sum = tape.add(sum, &hop, 1.0);
        }
        vec![tape.scale(sum, 1.0 / (self.hops + 1) as f32).into()]
    }
}
