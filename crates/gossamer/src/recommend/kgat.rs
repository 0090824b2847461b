//! KGAT: rows of a graph network over users, items and what facts are about.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::sparse::{Labelled, Sparse};
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::op::normalise::Direction;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::body::{At, Between, Body, Place, Side, State, of_nodes};
use super::nodes::Nodes;
use super::pairwise::{self, Pair};
use super::problem::Problem;
use super::translate::{Translation, attention};
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
        "e' = leaky((e + s)·W) + leaky((e ∘ s)·V), s = Σ softmax(⟨t·W_r, tanh(h·W_r + r)⟩)·t; \
         rows e ‖ e'/‖e'‖ ‖ …"
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
            epochs: 200,
            regularisation: 1e-4,
            layer_dropout: 0.1,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (n, labels) = (sizes.n_nodes(), 2 * (sizes.n_relations + 1));
        let (dim, widths) = (settings.dim as u64, widths(settings));
        let layers: u64 = widths.windows(2).map(|of| 2 * (of[0] + 1) as u64 * of[1] as u64).sum();
        let parameters = n * dim + labels * (dim + dim * dim) + layers;
        needs::parameters(parameters, ledger);
        let sum: u64 = widths[1..].iter().map(|width| *width as u64).sum();
        needs::kept(settings, (n, sum), (2 * sum, widths.len() as u64 - 1), ledger);
        // Rows of all layers and their slopes, and what a layer's way back works with.
        let rows = 2 * (dim + sum) + 3 * dim;
        ledger.add("rows of layers", format!("{n} × {rows}"), "f32", 4 * n * rows);
        let entries = 2 * (sizes.n_interactions + sizes.n_facts);
        needs::neighbours(n, entries, ledger);
        needs::pairs(settings, 64 * dim, ledger);
    }
    fn learn(
        &self,
        problem: &Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let problem = problem.with_weight(settings.facts);
        let mut body = Kgats::of(&problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Floats of a row before and after each layer: the first keeps its width, those after halve it.
fn widths(settings: &Settings) -> Vec<usize> {
    let of = |layer: usize| (settings.dim >> layer.saturating_sub(1)).max(1);
    (0..=settings.layers).map(of).collect()
}

/// Parameters of a layer: W, b, V, c.
const OF_LAYER: usize = 4;

struct Kgats {
    nodes: Nodes,
    widths: Vec<usize>,
    dropout: f32,
    /// Neighbours of nodes, by labels, and as the transpose has them.
    around: Labelled,
    back: Sparse,
    /// Where each entry of the transpose stands.
    order: Vec<u32>,
    /// Entries (row, column, label) by label, and where each stands.
    by_label: (Vec<[u32; 3]>, Vec<u32>),
    translation: Translation,
}

impl Kgats {
    fn of(problem: &Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let around = nodes.around(problem);
        let (mut back, order) = around.matrix.turned();
        back.weights = order.iter().map(|place| around.matrix.weights[*place as usize]).collect();
        let mut places: Vec<u32> = (0..around.labels.len() as u32).collect();
        places.sort_by_key(|place| around.labels[*place as usize]);
        let entry = |place: &u32| {
            let row = around.matrix.starts.partition_point(|start| start <= place) - 1;
            let place = *place as usize;
            [row as u32, around.matrix.columns[place], around.labels[place]]
        };
        let by_label = (places.iter().map(entry).collect(), places);
        let translation = Translation {
            triples: nodes.triples(problem),
            drawn: (nodes.n_users, nodes.n() - nodes.n_users),
            entities: 0,
            relations: 1,
            projections: Some(2),
        };
        let (widths, dropout) = (widths(settings), settings.layer_dropout);
        Self { nodes, widths, dropout, around, back, order, by_label, translation }
    }

    /// Weighs neighbours by attention: the softmax of a row's entries.
    fn attend(&mut self, parameters: &[Array], machine: &Machine) {
        let (entries, places) = &self.by_label;
        let tables = [&parameters[0], &parameters[1], &parameters[2]];
        let found = attention(entries, tables, machine);
        let matrix = &mut self.around.matrix;
        for (place, worth) in places.iter().zip(found) {
            matrix.weights[*place as usize] = worth;
        }
        for row in 0..matrix.starts.len() - 1 {
            let own = matrix.starts[row] as usize..matrix.starts[row + 1] as usize;
            let own = &mut matrix.weights[own];
            let most = own.iter().copied().fold(f32::MIN, f32::max);
            own.iter_mut().for_each(|x| *x = (*x - most).exp());
            let sum: f32 = own.iter().sum();
            own.iter_mut().for_each(|x| *x /= sum);
        }
        for (weight, place) in self.back.weights.iter_mut().zip(&self.order) {
            *weight = matrix.weights[*place as usize];
        }
    }
}

impl Body for Kgats {
    fn shapes(&self) -> Vec<Shape> {
        let (dim, labels) = (self.widths[0], 2 * self.nodes.n_relations());
        let tables = [(self.nodes.n(), dim), (labels, dim), (labels, dim * dim)];
        let tables = tables.map(|(rows, width)| Shape::matrix(rows, width));
        let layer = |of: &[usize]| [Shape::matrix(of[0], of[1]), Shape::bias(of[1])];
        let layers = self.widths.windows(2).flat_map(|of| [layer(of), layer(of)].concat());
        tables.into_iter().chain(layers).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(0, Place::From(0)), (0, Place::From(self.nodes.n_users))]
    }
    fn sides(&self) -> Vec<Side> {
        of_nodes(self.widths.len(), self.nodes.n_users)
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        _pairs: &[Pair],
        training: bool,
    ) -> Vec<Var<'a>> {
        /// What is kept of each layer's rows; those beyond share the last name.
        const NAMES: [&str; 5] = ["input", "rows 1", "rows 2", "rows 3", "rows 4 and on"];
        let name = |layer: usize| NAMES[layer.min(NAMES.len() - 1)];
        let matrix = BothWays { forward: &self.around.matrix, backward: &self.back };
        let dropout = if training { self.dropout } else { 0.0 };
        let (mut made, mut rows) = (vec![parameters[0].var()], parameters[0].var());
        for (layer, own) in parameters[3..].chunks_exact(OF_LAYER).enumerate() {
            let own = [own[0], own[1], own[2], own[3]];
            let out = tape.interact(name(layer), &mut rows, matrix, own);
            rows = tape.leave_out(out, dropout);
            made.push(tape.normalise(name(layer + 1), &mut rows, Direction::Input));
        }
        made
    }
    fn between(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        // Before the first epoch there is nothing to attend by.
        if with.epoch > 0 {
            self.translation.epoch(state, with)?;
            self.attend(&state.parameters, with.machine);
        }
        Ok(())
    }
}
