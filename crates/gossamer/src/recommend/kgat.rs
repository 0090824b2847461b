//! KGAT: rows of a graph network over users, items and what facts are about.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::softmax::shares;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::op::normalise::Direction;
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Parameter, Tape};

use super::body::{Asked, At, Between, Body, Made, Place, Side, State, of_nodes};
use super::nodes::{Both, Nodes, places};
use super::pairwise;
use super::problem::Problem;
use super::translate::{Shape as Facts, Translation, attention};
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Knowledge graph attention network.
#[derive(Debug)]
pub struct Kgat;

impl Recommender for Kgat {
    fn name(&self) -> &'static str {
        "kgat"
    }
    fn summary(&self) -> &'static str {
        "rows from neighbours by interactions and facts, weighed by attention; layers side by side"
    }
    fn formula(&self) -> &'static str {
        "e' = leaky((e + s)·W) + leaky((e ∘ s)·V), s = Σ softmax(⟨t·W_r, tanh(h·W_r + r)⟩)·t, \
         −r for the way back; rows e ‖ e'/‖e'‖ ‖ …"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: KGAT: Knowledge Graph Attention Network for Recommendation (KDD 2019)"
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
            layers: 3,
            epochs: 500,
            regularisation: 1e-3,
            learning_rate: 0.002,
            layer_dropout: 0.1,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (n, labels) = (sizes.n_nodes(), sizes.n_relations + 1);
        let (dim, widths) = (settings.dim as u64, widths(settings));
        let layers: u64 = widths.windows(2).map(|of| 2 * (of[0] + 1) as u64 * of[1] as u64).sum();
        let parameters = n * dim + labels * (dim + dim * dim) + layers;
        needs::parameters(parameters, ledger);
        let sum: u64 = widths[1..].iter().map(|width| *width as u64).sum();
        let n_layers = widths.len() as u64 - 1;
        let of_layers = sum - widths[widths.len() - 1] as u64;
        needs::kept(settings, (n, of_layers), (2 * sum, 0), ledger);
        let picked = n.min(settings.batch as u64 * (settings.negatives as u64 + 2));
        needs::kept(settings, (picked, sum), (0, n_layers), ledger);
        // A layer's way back, and the rows that are compared with their slopes.
        let step = n * of_way_back(settings, &widths) + 2 * picked * (dim + sum);
        let (rows, batch) = (sizes.n_users + sizes.n_items, settings.batch as u64);
        let relations = sizes.n_relations + 1;
        let facts = Facts { entities: n, relations, dim, matrix: dim * dim };
        let step = step.max(facts.of_a_step(batch));
        needs::arrays(settings, step, (n, rows, dim + sum), ledger);
        facts.plan(batch, sizes.n_threads, ledger);
        let triples = sizes.n_interactions + sizes.n_facts;
        needs::held(sizes, 4 * step + 36 * triples, ledger);
        ledger.add("triples", format!("{triples}"), "u32", 12 * triples);
        ledger.add("neighbours", format!("2 × {triples}"), "f32", 24 * triples + 4 * n);
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
        let mut body = Kgats::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Floats for each node that the way back of a layer has at once: slopes of what it made, of sums
/// and of what came in, and, where it is no parameter, a copy of what came in. Of the last layer
/// few rows are made.
fn of_way_back(settings: &Settings, widths: &[usize]) -> u64 {
    let last = widths.len().saturating_sub(2);
    let of_layer = |layer: usize| {
        let (k, m) = (widths[layer], widths[layer + 1]);
        let decoded = if layer == 0 { 0 } else { k };
        match layer == last {
            true => decoded + k,
            false => decoded + m + k + if k == m { 0 } else { k },
        }
    };
    let most = (0..=last).map(of_layer).max().unwrap_or_default();
    // Never more than three were found, by counting.
    most.min(3 * settings.dim) as u64
}

/// Floats of a row before and after each layer: the first keeps its width, those after halve it.
fn widths(settings: &Settings) -> Vec<usize> {
    let of = |layer: usize| (settings.dim >> layer.saturating_sub(1)).max(1);
    (0..=settings.layers).map(of).collect()
}

/// Parameters of a layer: W, b, V, c.
const OF_LAYER: usize = 4;

/// Its rows.
pub struct Kgats {
    n_users: usize,
    n_items: usize,
    n_relations: usize,
    widths: Vec<usize>,
    dropout: f32,
    both: Both,
    translation: Translation,
}

impl Kgats {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let (n_users, n_items, n_relations) = (nodes.n_users, nodes.n_items, nodes.n_relations());
        let both = nodes.into_both(problem);
        let translation = Translation {
            drawn: (n_users, both.forward.n_rows() - n_users),
            entities: 0,
            relations: 1,
            projections: Some(2),
        };
        let (widths, dropout) = (widths(settings), settings.layer_dropout);
        Self { n_users, n_items, n_relations, widths, dropout, both, translation }
    }
}

/// Weighs neighbours by attention: the softmax of a node's. The tables are of nodes, relations and
/// their matrices.
pub(super) fn attend(both: &mut Both, tables: [&Array; 3], machine: &Machine) {
    for (way, back) in [false, true].into_iter().enumerate() {
        let found = attention(&both.triples, back, tables, machine);
        let Both { triples, forward, .. } = &mut *both;
        for (places, worth) in places(&forward.starts, triples).zip(found) {
            forward.weights[places[way]] = worth;
        }
    }
    for node in 0..both.forward.n_rows() {
        let own = both.own(node);
        shares(&mut both.forward.weights[own]);
    }
    both.turn();
}

impl Body for Kgats {
    fn shapes(&self) -> Vec<Shape> {
        let (dim, labels) = (self.widths[0], self.n_relations);
        let tables = [(self.both.forward.n_rows(), dim), (labels, dim), (labels, dim * dim)];
        let tables = tables.map(|(rows, width)| Shape::matrix(rows, width));
        let layer = |of: &[usize]| [Shape::matrix(of[0], of[1]), Shape::bias(of[1])];
        let layers = self.widths.windows(2).flat_map(|of| [layer(of), layer(of)].concat());
        tables.into_iter().chain(layers).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(0, Place::From(0)), (0, Place::From(self.n_users))]
    }
    fn sides(&self) -> Vec<Side> {
        of_nodes(self.widths.len(), self.n_users)
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        /// What is kept of each layer's rows; those beyond share the last name.
        const NAMES: [&str; 5] = ["input", "rows 1", "rows 2", "rows 3", "rows 4 and on"];
        let name = |layer: usize| NAMES[layer.min(NAMES.len() - 1)];
        let matrix = BothWays { forward: &self.both.forward, backward: &self.both.backward };
        let which = asked.nodes(self.n_users, self.n_users + self.n_items);
        let these = Rows::these(which, self.both.forward.n_rows());
        let mut rows = parameters[0].var();
        let mut made = vec![tape.pick_rows(&rows, &these)];
        for (layer, own) in parameters[3..].chunks_exact(OF_LAYER).enumerate() {
            let own = [own[0], own[1], own[2], own[3]];
            // Of the last layer those alone are made that are compared.
            let is_last = layer + 2 == self.widths.len();
            let wanted = match is_last {
                true => these.clone(),
                false => Rows::All,
            };
            let out = tape.interact(name(layer), &mut rows, (matrix, wanted), own);
            let mut some = tape.leave_out(out, asked.dropout(self.dropout));
            if !is_last {
                rows = some;
                some = tape.pick_rows(&rows, &these);
            }
            made.push(tape.normalise("lengths", &mut some, Direction::Output));
        }
        made.into_iter().map(|rows| Made { rows, which: these.clone() }).collect()
    }
    fn after_epoch(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        self.translation.epoch(&self.both.triples, state, with)?;
        let tables = [0, 1, 2].map(|place| &state.parameters[place]);
        attend(&mut self.both, tables, with.machine);
        Ok(())
    }
}
