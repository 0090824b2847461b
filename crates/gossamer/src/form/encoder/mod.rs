//! Encoders: the rows that a score function works with are made by a network.
//!
//! A step makes the rows of all entities and relations, lets the training form learn on them as if
//! they were tables, collects the gradients that the tables would have got, and leads these back
//! through the network. So every form, loss and score function works with every layer, and what a run
//! leaves are tables like any other's. Several steps may share one pass (`span`).
//!
//! *Invariant:* the form sees rows of this step; validation and the finished run see rows without
//! dropout.
//! *Not here:* layers ([`layer`](crate::layer)), how they follow each other ([`network`](crate::network)).

use gossamer_machine::{Address, Machine, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::optim::{Optimiser, Step};
use gossamer_tensor::tape::{Gradients, Var};

use crate::config::Config;
use crate::error::Error;
use crate::form::TrainingForm;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, StepLoss};
use crate::layer::around::Around;
use crate::model::Model;
use crate::network::activations::Activations;
use crate::network::{Network, Passed};
use crate::table::Table;

pub mod design;
mod span;

use design::design;
use span::{Gather, Span, array, gathered, table};

/// A network whose rows a model's tables are.
pub struct Encoder {
    /// The network: the entities' table, the relations' table, layers.
    pub network: Network,
    around: Around,
    activations: Activations,
    layer_rate: f32,
    span: Span,
    /// What the last step chose to keep otherwise than the one before, in words.
    pub said: Option<String>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.network.design.n_layers, self.network.design.layer.name())
    }
}

impl Encoder {
    /// That of a configuration; none where rows are their own. Tables begin as the model's.
    ///
    /// # Errors
    /// Those of [`design()`].
    pub fn new(
        config: &Config,
        model: &Model,
        triples: &[[u32; 3]],
        optimiser: &dyn Optimiser,
        machine: &Machine,
    ) -> Result<Option<Self>, Error> {
        let (n_entities, n_relations) = (model.entities.n_rows(), model.n_relations);
        let Some(design) = design(config, n_entities, n_relations)? else { return Ok(None) };
        let activations = Activations::parse(&config.activations)?;
        let mut network = Network::new(design, machine, config.seed);
        for (parameter, table) in
            network.parameters.iter_mut().zip([&model.entities, &model.relations])
        {
            let rows = parameter.values.chunks_exact_mut(table.width());
            (0..table.n_rows() as u32).zip(rows).for_each(|(id, row)| table.copy(id, row));
        }
        let network = network.with_states(optimiser, machine);
        let around = Around::of(design.layer.view(), n_entities, n_relations, triples);
        let (layer_rate, span) = (config.layer_rate, Span::new(config.layer_every));
        Ok(Some(Self { network, around, activations, layer_rate, span, said: None }))
    }

    /// Makes a model's rows, without dropout.
    pub fn settle(&mut self, learner: &mut Learner, machine: &Machine) {
        self.span.follow(learner, &mut self.network);
        let made = self.network.rows((&self.around, None), None, machine);
        put(&mut learner.model, made.rows.value(), made.relations.as_ref().map(Var::value));
        if self.span.is_open() {
            self.span.cut(learner, machine);
        }
    }

    /// Learns from a batch; returns its loss.
    pub fn step(
        &mut self,
        learner: &mut Learner,
        (form, method): (&dyn TrainingForm, &Method<'_>),
        work: (Examples<'_>, Batch),
        machine: &Machine,
    ) -> StepLoss {
        if self.span.n_steps > 1 {
            return self.step_within(learner, (form, method), work, machine);
        }
        let number = learner.steps;
        let mut loss = StepLoss::default();
        let found = self.pass((method.seed, number), machine, |rows, more| {
            put(&mut learner.model, rows, more);
            let state = |table: &Table| Table::zeroed(table.n_rows(), table.width());
            learner.entity_state = state(&learner.model.entities);
            learner.relation_state = state(&learner.model.relations);
            let collecting = Method { optimiser: &Collect, ..*method };
            loss = form.learn(learner, work, &collecting, machine);
            let none = || Table::zeroed(0, 0);
            let of_rows = std::mem::replace(&mut learner.entity_state, none());
            let of_relations = std::mem::replace(&mut learner.relation_state, none());
            let more = more.map_or(0, |more| more.rows);
            [array(&of_rows, rows.rows, machine), array(&of_relations, more, machine)]
        });
        let finite = |_: &Passed| loss.sum.is_finite();
        let Some(Passed { ids, mut gradients, .. }) = found.filter(finite) else {
            return StepLoss { sum: f64::NAN, ..loss };
        };
        self.said = self.activations.choose(&gradients.needs);
        self.change(&ids, &mut gradients, method, (learner.steps, machine));
        loss
    }

    /// Passes through the network and back again, with the random numbers of a step; `ends` finds
    /// the gradients of the rows of entities and relations.
    fn pass(
        &self,
        (seed, number): (u64, u64),
        machine: &Machine,
        ends: impl FnOnce(&Array, Option<&Array>) -> [Array; 2],
    ) -> Option<Passed> {
        let at = (Address::new(seed, Purpose::Layer, number), number);
        self.network.pass((&self.around, None), &self.activations, at, machine, ends)
    }

    /// Learns from a batch within a span.
    fn step_within(
        &mut self,
        learner: &mut Learner,
        (form, method): (&dyn TrainingForm, &Method<'_>),
        work: (Examples<'_>, Batch),
        machine: &Machine,
    ) -> StepLoss {
        let optimiser = &Gather { optimiser: method.optimiser, gathers: true };
        if self.span.is_over() {
            if self.span.is_open() && !self.close(learner, method, machine) {
                return StepLoss { sum: f64::NAN, weight: 1.0 };
            }
            self.open(learner, method.seed, machine);
            if learner.entity_state.width() != optimiser.state_width(learner.model.entities.width())
            {
                learner.entity_state = learner.model.entities.state(optimiser);
                learner.relation_state = learner.model.relations.state(optimiser);
            }
        }
        self.span.count();
        form.learn(learner, work, &Method { optimiser, ..*method }, machine)
    }

    /// Makes the rows that a span begins with.
    fn open(&mut self, learner: &mut Learner, seed: u64, machine: &Machine) {
        let address = Address::new(seed, Purpose::Layer, learner.steps);
        let made = self.network.rows((&self.around, None), Some(address), machine);
        put(&mut learner.model, made.rows.value(), made.relations.as_ref().map(Var::value));
        self.span.begin(learner, machine);
    }

    /// Leads a span's gradients back through the network; false if something is no finite number.
    fn close(&mut self, learner: &mut Learner, method: &Method<'_>, machine: &Machine) -> bool {
        let number = self.span.began;
        let found = self.pass((method.seed, number), machine, |rows, more| {
            let more = more.map_or([0, 0], |more| [more.rows, more.width]);
            [
                gathered(&learner.entity_state, [rows.rows, rows.width], machine),
                gathered(&learner.relation_state, more, machine),
            ]
        });
        let Some(Passed { ids, mut gradients, .. }) = found else { return false };
        self.said = self.activations.choose(&gradients.needs);
        let step = Step {
            learning_rate: method.learning_rate,
            number: learner.steps,
            seed: method.seed,
            instruction_set: machine.instruction_set,
        };
        let Learner { model, entity_state, relation_state, .. } = &mut *learner;
        let tables = [(&mut model.entities, entity_state), (&mut model.relations, relation_state)];
        for (id, (rows, state)) in ids.iter().zip(tables) {
            let Some(mut through) = gradients.take(*id) else { continue };
            // What rows had of their own moved them in the span.
            let own = gathered(state, [through.rows, through.width], machine);
            vector::add_scaled(step.instruction_set, &mut through.values, -1.0, &own.values);
            span::change(rows, state, &through, (method.optimiser, &step), machine);
        }
        self.span.follow(learner, &mut self.network);
        self.change(&ids, &mut gradients, method, (learner.steps, machine));
        true
    }

    fn change(
        &mut self,
        ids: &[usize],
        gradients: &mut Gradients,
        method: &Method<'_>,
        (number, machine): (u64, &Machine),
    ) {
        let (learning_rate, instruction_set) = (method.learning_rate, machine.instruction_set);
        let step = Step { learning_rate, number, seed: method.seed, instruction_set };
        let of_layers = Step { learning_rate: self.layer_rate * learning_rate, ..step };
        self.network.change(ids, gradients, method.optimiser, (&step, &of_layers), machine);
    }

    /// Its tables by the names they have in checkpoints, state included.
    pub fn tables(&self) -> Vec<(String, Table)> {
        let named = |kind: &str, arrays: &[Array]| -> Vec<(String, Table)> {
            let arrays = arrays.iter().enumerate();
            arrays.map(|(place, array)| (format!("{kind}.{place}"), table(array))).collect()
        };
        let mut tables = named("parameter", &self.network.parameters);
        tables.extend(named("state", &self.network.states));
        let numbers = self.activations.numbers();
        let fill = |_, row: &mut [f32]| row.copy_from_slice(&numbers);
        tables.push(("activations".into(), Table::filled(1, numbers.len(), fill)));
        tables.extend(self.span.tables());
        tables
    }

    /// Takes over tables that [`tables`](Self::tables) gave; false if one is missing or misshapen.
    pub fn restore(
        &mut self,
        take: &mut dyn FnMut(&str) -> Option<Table>,
        machine: &Machine,
    ) -> bool {
        self.span.restore(take, machine);
        if let Some(numbers) = take("activations") {
            self.activations.restore(numbers.row(0, &mut Vec::new()));
        }
        let mut put = |kind: &str, arrays: &mut [Array]| {
            arrays.iter_mut().enumerate().all(|(place, array)| {
                let found = take(&format!("{kind}.{place}"));
                let fits =
                    |table: &Table| (table.n_rows(), table.width()) == (array.rows, array.width);
                let Some(table) = found.filter(fits) else { return false };
                for id in 0..array.rows {
                    let row = &mut array.values[id * array.width..][..array.width];
                    table.copy(id as u32, row);
                }
                true
            })
        };
        put("parameter", &mut self.network.parameters) && put("state", &mut self.network.states)
    }
}

/// Sets a model's tables to rows that were made.
fn put(model: &mut Model, rows: &Array, relations: Option<&Array>) {
    let of = |array: &Array, table: &Table| {
        let fill = |id: u32, row: &mut [f32]| row.copy_from_slice(array.row(id as usize));
        Table::filled(table.n_rows(), table.width(), fill)
    };
    model.entities = of(rows, &model.entities);
    if let Some(relations) = relations {
        model.relations = of(relations, &model.relations);
    }
}

/// Keeps a row's gradient in place of changing the row.
struct Collect;

impl Optimiser for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }
    fn summary(&self) -> &'static str {
        "keeps gradients"
    }
    fn formula(&self) -> &'static str {
        "state = gradient"
    }
    fn paper(&self) -> &'static str {
        ""
    }
    fn state_width(&self, width: usize) -> usize {
        width
    }
    fn update(&self, _step: &Step, _row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        state.copy_from_slice(gradient);
    }
}

#[cfg(test)]
mod tests {
    use gossamer_graph::{Adjacency, Triples};
    use gossamer_tensor::optim;

    use super::*;
    use crate::form;
    use crate::form::batch::portions;

    const TRIPLES: [[u32; 3]; 6] =
        [[0, 0, 1], [1, 0, 2], [2, 1, 3], [3, 1, 0], [0, 1, 4], [4, 0, 2]];

    /// The network's parameters after three steps of sgd: ordinary ones, or spans of one step.
    fn parameters(layer: &str, spans: bool) -> Vec<Array> {
        let machine = Machine::new(1, None);
        let mut config = Config::for_model("distmult").unwrap();
        (config.dim, config.layer, config.layers) = (6, layer.into(), 2);
        config.layer_every = 7;
        (config.optimiser, config.learning_rate, config.edge_dropout) = ("sgd".into(), 0.5, 0.3);
        let triples = Triples::from_rows(TRIPLES.to_vec());
        let adjacency = Adjacency::build(5, &[&triples]);
        let portions = portions(&adjacency, config.answers);
        let (side_weights, pools, alternatives) = (None, None, None);
        let (triples, adjacency, portions) = (&triples, &adjacency, portions.as_slice());
        let examples = Examples {
            triples,
            adjacency,
            portions,
            side_weights,
            pools,
            residents: None,
            alternatives,
        };
        let model = Model::initial(&config, [5, 2], &machine.workers).unwrap();
        let sgd = optim::find("sgd").unwrap();
        let mut encoder = Encoder::new(&config, &model, &TRIPLES, sgd, &machine).unwrap().unwrap();
        assert_eq!(encoder.span.n_steps, 7);
        encoder.span = Span::new(1);
        let mut learner = Learner::new(model, sgd);
        let method = Method::new(&config, 1 << 20, machine.instruction_set).unwrap();
        let form = (form::of(&config).unwrap(), &method);
        for _ in 0..3 {
            let work = (examples, form.0.batch(examples, &[0, 3], &method));
            let loss = match spans {
                true => encoder.step_within(&mut learner, form, work, &machine),
                false => encoder.step(&mut learner, form, work, &machine),
            };
            assert!(loss.sum.is_finite());
        }
        if spans {
            assert!(encoder.close(&mut learner, &method, &machine));
        }
        encoder.network.parameters
    }

    #[test]
    fn without_state_a_span_of_one_step_is_a_step() {
        for layer in ["rgcn", "compgcn-mult"] {
            let both = parameters(layer, true).into_iter().zip(parameters(layer, false));
            for (place, (span, step)) in both.enumerate() {
                for (a, b) in span.values.iter().zip(step.values.iter()) {
                    assert!((a - b).abs() < 2e-6, "{layer} {place}: {a} {b}");
                }
            }
        }
    }
}
