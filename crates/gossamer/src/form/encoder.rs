//! Encoders: the rows that a score function works with are made by a network.
//!
//! A step makes the rows of all entities and relations, lets the training form learn on them as if
//! they were tables, collects the gradients that the tables would have got, and leads these back
//! through the network. So every form, loss and score function works with every layer, and what a run
//! leaves are tables like any other's.
//!
//! *Invariant:* the form sees rows of this step; validation and the finished run see rows without
//! dropout.
//! *Not here:* layers ([`layer`]), how they follow each other ([`network`](crate::network)).

use gossamer_machine::{Address, Ledger, Machine, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::optim::{Optimiser, Step};
use gossamer_tensor::tape::{Gradients, Tape, Var};

use crate::config::{Config, NO_LAYER};
use crate::error::Error;
use crate::form::TrainingForm;
use crate::form::batch::Examples;
use crate::form::step::{Learner, Method, StepLoss};
use crate::layer;
use crate::layer::around::Around;
use crate::model::Model;
use crate::network::activations::Activations;
use crate::network::rehearsal::Rehearsal;
use crate::network::{Design, Network};
use crate::table::Table;

/// A network whose rows a model's tables are.
pub struct Encoder {
    /// The network: the entities' table, the relations' table, layers.
    pub network: Network,
    around: Around,
    activations: Activations,
    layer_rate: f32,
    /// What the last step chose to keep otherwise than the one before, in words.
    pub said: Option<String>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.network.design.n_layers, self.network.design.layer.name())
    }
}

/// What a configuration's network is made of; none where rows are their own.
///
/// # Errors
/// [`Error::Unknown`]; [`Error::Setting`] where layers and score function do not suit.
pub fn design(
    config: &Config,
    n_entities: usize,
    n_relations: usize,
) -> Result<Option<Design>, Error> {
    if config.layer == NO_LAYER {
        return Ok(None);
    }
    let layer = layer::find(&config.layer)?;
    let function = config.score_function()?;
    let widths = function.widths(config.dim);
    let unsuited = |what: &str, hint: &str| Error::Setting {
        key: "layer".into(),
        what: format!("{} {what}", config.model),
        hint: hint.into(),
    };
    if function.unit_entities() || function.condition_width(config.dim) != widths.relation {
        let what = "asks more of its rows than layers give";
        return Err(unsuited(what, "use one such as complex, distmult or transe"));
    }
    if layer.composes() && widths.relation != widths.entity {
        let what = format!("has rows of {} and {} floats", widths.entity, widths.relation);
        let what = format!("{what}, and {} composes rows of one width", config.layer);
        return Err(unsuited(&what, "use one such as complex, distmult or transe"));
    }
    if layer.composes() && widths.entity % 2 == 1 {
        return Err(unsuited("has rows of an odd width", "choose an even --dim"));
    }
    if config.edge_dropout > 0.0 && !layer.drops_edges() {
        return Err(Error::Setting {
            key: "edge_dropout".into(),
            what: format!("{} sees all edges in every step", config.layer),
            hint: "leave it out, or use a layer such as gcn, rgcn or compgcn".into(),
        });
    }
    let n_labels = 2 * n_relations + 1;
    let decoded = if config.reciprocal { 2 * n_relations } else { n_relations };
    let rows = if layer.composes() { n_labels } else { decoded };
    let design = Design {
        layer,
        n_layers: config.layers,
        table: Some([n_entities, widths.entity]),
        relations: Some([rows, widths.relation]),
        n_labels,
        widths: [widths.entity; 3],
        dropout: config.layer_dropout,
        edge_dropout: config.edge_dropout,
        residual: config.residual,
        reversible: config.reversible,
    };
    design.check()?;
    Ok(Some(design))
}

/// Adds the bytes of a configuration's network to a plan; returns what is kept between the ways.
///
/// # Errors
/// Those of [`design`].
pub fn plan(
    config: &Config,
    [n_entities, n_relations, n_triples]: [u64; 3],
    optimiser: &dyn Optimiser,
    ledger: &mut Ledger,
) -> Result<Option<Ledger>, Error> {
    let Some(design) = design(config, n_entities as usize, n_relations as usize)? else {
        return Ok(None);
    };
    let activations = Activations::parse(&config.activations)?;
    let bytes = Around::bytes_for(design.layer.view(), n_entities, n_triples);
    ledger.add("neighbours", format!("2 × {n_triples} triples"), "f32", bytes + 24 * n_triples);
    let state = |width: usize| (width + optimiser.state_width(width)) as u64;
    let bytes = |rows: usize, width: usize| 4 * rows as u64 * state(width);
    let floats = design.shapes().iter().map(|shape| bytes(shape.rows, shape.width)).sum();
    ledger.add("network", "parameters, state".to_string(), "f32", floats);
    let width = design.widths[0] as u64;
    let Rehearsal { kept, rows } = design.rehearse(&activations, (n_entities as usize, false));
    ledger.add("rows of layers", "and their gradients".into(), "f32", rows);
    // What the form collects, before it is the gradient of rows.
    ledger.add(
        "gradient of rows",
        format!("{n_entities} × {width}"),
        "f32",
        4 * n_entities * width,
    );
    let bytes = kept.total();
    ledger.add("kept between the ways", String::new(), config.activations.clone(), bytes);
    Ok(Some(kept))
}

impl Encoder {
    /// That of a configuration; none where rows are their own. Tables begin as the model's.
    ///
    /// # Errors
    /// Those of [`design`].
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
            (0..table.n_rows() as u32)
                .zip(rows)
                .for_each(|(id, row)| row.copy_from_slice(table.row(id)));
        }
        let network = network.with_states(optimiser, machine);
        let around = Around::of(design.layer.view(), n_entities, n_relations, triples);
        let layer_rate = config.layer_rate;
        Ok(Some(Self { network, around, activations, layer_rate, said: None }))
    }

    /// Makes a model's rows, without dropout.
    pub fn encode(&self, model: &mut Model, machine: &Machine) {
        let codecs = |place: usize| self.activations.codec(place);
        let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Layer, 0));
        tape.forget();
        let (made, _) = self.network.forward(&mut tape, &self.around, None, false);
        put(model, made.rows.value(), made.relations.as_ref());
    }

    /// Learns from a batch; returns its loss.
    pub fn step(
        &mut self,
        learner: &mut Learner,
        (form, method): (&dyn TrainingForm, &Method<'_>),
        (examples, items): (Examples<'_>, &[u64]),
        machine: &Machine,
    ) -> StepLoss {
        let activations = self.activations.clone();
        let codecs = |place: usize| activations.codec(place);
        let address = Address::new(method.seed, Purpose::Layer, learner.steps);
        let mut tape = Tape::new(machine, &codecs, address);
        if activations.is_due(learner.steps) {
            tape.weigh();
        }
        let (made, parameters) = self.network.forward(&mut tape, &self.around, None, true);
        let ids: Vec<usize> = parameters.iter().map(|parameter| parameter.id()).collect();
        let (rows, relations) = (made.rows, made.relations);
        put(&mut learner.model, rows.value(), relations.as_ref());
        let of_entities = Table::zeroed(learner.model.entities.n_rows(), rows.value().width);
        let of_relations =
            Table::zeroed(learner.model.relations.n_rows(), learner.model.relations.width());
        (learner.entity_state, learner.relation_state) = (of_entities, of_relations);
        let collecting = Method { optimiser: &Collect, ..*method };
        let loss = form.step(learner, examples, items, &collecting, machine);
        let of_rows = array(&learner.entity_state, rows.value().rows, machine);
        learner.entity_state = Table::zeroed(0, 0);
        let of_relations = std::mem::replace(&mut learner.relation_state, Table::zeroed(0, 0));
        let found = match relations {
            Some(relations) => {
                let of_relations = array(&of_relations, relations.value().rows, machine);
                tape.backward([(rows, of_rows), (relations, of_relations)])
            }
            None => tape.backward([(rows, of_rows)]),
        };
        let Some(mut gradients) = found.filter(|_| loss.sum.is_finite()) else {
            return StepLoss { sum: f64::NAN, ..loss };
        };
        self.said = self.activations.choose(&gradients.needs);
        self.change(&ids, &mut gradients, method, (learner.steps, machine));
        loss
    }

    fn change(
        &mut self,
        ids: &[usize],
        gradients: &mut Gradients,
        method: &Method<'_>,
        (number, machine): (u64, &Machine),
    ) {
        let (learning_rate, instruction_set) = (method.learning_rate, machine.instruction_set);
        let step = Step { learning_rate, number, instruction_set };
        let of_layers = Step { learning_rate: self.layer_rate * learning_rate, ..step };
        self.network.change(ids, gradients, method.optimiser, (&step, &of_layers), machine);
    }

    /// Its tables by the names they have in checkpoints, state included.
    pub fn tables(&self) -> Vec<(String, Table)> {
        let named = |kind: &str, arrays: &[Array]| -> Vec<(String, Table)> {
            let table = |array: &Array| {
                let row = |id: u32, row: &mut [f32]| row.copy_from_slice(array.row(id as usize));
                Table::filled(array.rows, array.width, row)
            };
            let arrays = arrays.iter().enumerate();
            arrays.map(|(place, array)| (format!("{kind}.{place}"), table(array))).collect()
        };
        let mut tables = named("parameter", &self.network.parameters);
        tables.extend(named("state", &self.network.states));
        let numbers = self.activations.numbers();
        let fill = |_, row: &mut [f32]| row.copy_from_slice(&numbers);
        tables.push(("activations".into(), Table::filled(1, numbers.len(), fill)));
        tables
    }

    /// Takes over tables that [`tables`](Self::tables) gave; false if one is missing or misshapen.
    pub fn restore(&mut self, take: &mut dyn FnMut(&str) -> Option<Table>) -> bool {
        if let Some(numbers) = take("activations") {
            self.activations.restore(numbers.row(0));
        }
        let mut put = |kind: &str, arrays: &mut [Array]| {
            arrays.iter_mut().enumerate().all(|(place, array)| {
                let found = take(&format!("{kind}.{place}"));
                let fits =
                    |table: &Table| (table.n_rows(), table.width()) == (array.rows, array.width);
                let Some(table) = found.filter(fits) else { return false };
                for id in 0..array.rows {
                    let row = &mut array.values[id * array.width..][..array.width];
                    row.copy_from_slice(table.row(id as u32));
                }
                true
            })
        };
        put("parameter", &mut self.network.parameters) && put("state", &mut self.network.states)
    }
}

/// Sets a model's tables to rows that were made.
fn put(model: &mut Model, rows: &Array, relations: Option<&Var<'_>>) {
    let of = |array: &Array, table: &Table| {
        let fill = |id: u32, row: &mut [f32]| row.copy_from_slice(array.row(id as usize));
        Table::filled(table.n_rows(), table.width(), fill)
    };
    model.entities = of(rows, &model.entities);
    if let Some(relations) = relations {
        model.relations = of(relations.value(), &model.relations);
    }
}

/// A table's rows, and rows of zeros up to so many.
fn array(table: &Table, rows: usize, machine: &Machine) -> Array {
    let mut array = Array::zeroed(&machine.buffers, rows, table.width());
    let out = array.values.chunks_exact_mut(table.width());
    (0..table.n_rows() as u32).zip(out).for_each(|(id, row)| row.copy_from_slice(table.row(id)));
    array
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
