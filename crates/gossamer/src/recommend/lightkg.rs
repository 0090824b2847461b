//! LightKG: factors that are means over users, items and what facts are about, a number for each
//! relation.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::sparse::Labelled;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::body::{Asked, At, Body, Made, Side, Table};
use super::nodes::Nodes;
use super::pairwise;
use super::problem::Problem;
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::{Shape, Start};

/// LightKG: means over a graph with facts, weighed by relation.
#[derive(Debug)]
pub struct LightKg;

impl Recommender for LightKg {
    fn name(&self) -> &'static str {
        "lightkg"
    }
    fn summary(&self) -> &'static str {
        "means over the neighbours of 0 to L hops by interactions and facts, a number for each relation"
    }
    fn formula(&self) -> &'static str {
        "E = Σ over l ≤ L of A^l E_0 / (L + 1), A_uv = w_r / √(degree · degree); −log softmax(s_ui)"
    }
    fn paper(&self) -> &'static str {
        "Li et al.: LightKG: Efficient Knowledge-Aware Recommendations with Simplified GNN \
         Architecture (KDD 2025), without its contrast of rows"
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
            "layer_dropout",
            "activations",
            "facts",
        ]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            layers: 2,
            epochs: 500,
            negatives: 10,
            regularisation: 1e-2,
            learning_rate: 0.001,
            layer_dropout: 0.1,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (n, dim) = (sizes.n_nodes(), settings.dim as u64);
        needs::parameters(n * dim + 2 * (sizes.n_relations + 1), ledger);
        let hops = settings.layers as u64;
        needs::kept(settings, (n, hops * dim), (dim, 0), ledger);
        let rows = sizes.n_users + sizes.n_items;
        // Found by counting: of all nodes what a hop made, its slopes and the sum's.
        needs::arrays(settings, 3 * n * dim, (n, rows, dim), ledger);
        let triples = sizes.n_interactions + sizes.n_facts;
        needs::held(sizes, 16 * n * dim, ledger);
        ledger.add("triples", format!("{triples}"), "u32", 12 * triples);
        // Both ways with labels; and what a step makes of weights.
        ledger.add("neighbours", format!("2 × {triples}"), "f32", 48 * triples + 4 * n);
        needs::pairs(settings, ledger);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let mut problem = problem.with_weight(settings.facts);
        let mut body = Weighed::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Means of a table over hops, by relation.
pub struct Weighed {
    table: Table,
    /// Neighbours, and the transpose.
    around: [Labelled; 2],
    hops: usize,
    dropout: f32,
}

impl Weighed {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let table = Table { n_users: nodes.n_users, n: nodes.n(), dim: settings.dim };
        let n_relations = nodes.n_relations() as u32;
        let mut both = nodes.into_both(problem);
        both.share_roots();
        let (around, hops) = (both.into_labelled(n_relations), settings.layers);
        Self { table, around, hops, dropout: settings.layer_dropout }
    }
}

impl Body for Weighed {
    fn shapes(&self) -> Vec<Shape> {
        let worths = Shape { rows: self.around[0].n_labels, width: 1, start: Start::Zero };
        self.table.shapes().into_iter().chain([worths]).collect()
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
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        /// What is kept of each hop's rows; those beyond share the last name.
        const NAMES: [&str; 4] = ["input", "hop 1", "hop 2", "hop 3 and on"];
        let around = BothWays { forward: &self.around[0], backward: &self.around[1] };
        let mut sum = tape.leave_out(parameters[0].var(), asked.dropout(self.dropout));
        let mut last: Option<Var<'a>> = None;
        for number in 0..self.hops {
            let name = NAMES[number.min(NAMES.len() - 1)];
            let rows = last.as_mut().unwrap_or(&mut sum);
            let next = tape.weigh_neighbours(name, rows, around, parameters[1]);
            sum = tape.add(sum, &next, 1.0);
            last = Some(next);
        }
        vec![tape.scale(sum, 1.0 / (self.hops + 1) as f32).into()]
    }
}
