//! Classes: a network is learned to say the class of every entity.
//!
//! Every step sees the whole graph: forward, the cross-entropy of the entities to learn from, and
//! back. The parameters of the epoch that is best by the entities to choose by are kept.
//!
//! *Invariant:* the result is a function of graph and settings; threads change no bit.
//! *Not here:* how layers follow each other ([`network`](crate::network)).

use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Address, Ledger, Machine, Observer, Progress, Purpose};
use gossamer_tensor::codec::Codec;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::optim::{self, Step};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::Tape;

use crate::error::Error;
use crate::layer;
use crate::layer::around::Around;
use crate::network::activations::Activations;
use crate::network::rehearsal::Rehearsal;
use crate::network::{Design, Network};
use crate::plan::add_program;

pub mod problem;
pub mod judge;
pub mod baseline;
pub mod layerwise;

use problem::Problem;

/// What decides a network's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its layers.
    pub layer: String,
    /// How many.
    pub n_layers: usize,
    /// Floats of a row between layers.
    pub width: usize,
    /// Part of what a layer is given that is left out in a step.
    pub dropout: f32,
    /// Adam's step size.
    pub learning_rate: f32,
    /// Weight of the first layer's squares.
    pub decay: f32,
    /// Passes over the graph.
    pub epochs: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// True if a layer's rows are added to those it was given.
    pub residual: bool,
    /// True if layers between the first and the last are reversible.
    pub reversible: bool,
    /// True if layers are learned one after the other.
    pub layerwise: bool,
    /// The codec of what is kept between the ways.
    pub activations: String,
}

impl Settings {
    /// Kipf and Welling's, for a layer.
    pub fn of(layer: &str) -> Self {
        Self {
            layer: layer.into(),
            n_layers: 2,
            width: 16,
            dropout: 0.5,
            learning_rate: 0.01,
            decay: 5e-4,
            epochs: 200,
            seed: 0,
            residual: false,
            reversible: false,
            layerwise: false,
            activations: "exact".into(),
        }
    }

    /// Checks names and numbers.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        layer::find(&self.layer)?;
        Activations::parse(&self.activations)?;
        let counts = [("layers", self.n_layers), ("dim", self.width), ("epochs", self.epochs)];
        for (key, value) in counts {
            if value == 0 || value > 1 << 16 {
                let what = format!("{value} is none that a network can have");
                let hint = "2 layers of dim 16 for 200 epochs are usual".into();
                return Err(Error::Setting { key: key.into(), what, hint });
            }
        }
        if self.layerwise && (self.layer != "gcn" || self.residual || self.reversible) {
            let what = format!("{} is not learned layer by layer", self.layer);
            let hint = "use --model gcn without --residual, or leave out --layerwise".into();
            return Err(Error::Setting { key: "layerwise".into(), what, hint });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let what = format!("{} is no part that can be left out", self.dropout);
            let hint = "write a number from 0 to below 1, such as 0.5".into();
            return Err(Error::Setting { key: "dropout".into(), what, hint });
        }
        Ok(())
    }
}

/// A learned network's answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The class of each entity, and its probability.
    pub classes: Vec<(u32, f32)>,
    /// The part of each split that is right: to learn from, to choose by, to judge.
    pub accuracy: [f64; 3],
    /// F1 of each class among the judged, averaged.
    pub macro_f1: f64,
    /// The epoch whose parameters were kept.
    pub best_epoch: usize,
    /// What a step kept between the ways.
    pub kept: Ledger,
    /// A line for each epoch: loss, and accuracy on those to choose by.
    pub metrics: Vec<(f64, f64)>,
}

/// The bytes of learning, and those of them that are kept between the ways.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn plan(
    problem: &Problem,
    settings: &Settings,
    machine: &Machine,
) -> Result<(Ledger, Ledger), Error> {
    settings.check()?;
    let activations = Activations::parse(&settings.activations)?;
    let n = problem.class_of.len() as u64;
    let mut ledger = Ledger::default();
    add_program(&mut ledger, machine.workers.n_threads() as u64);
    let entries = |matrix: &Sparse| 8 * matrix.columns.len() as u64 + 4 * n;
    let [by_entity, by_feature] = problem.features.each_ref().map(entries);
    let words = count_in_words(problem.features[0].columns.len() as u64);
    ledger.add("features", format!("2 × {words}"), "f32", by_entity + by_feature);
    let design = design(problem, settings)?;
    let n_triples = problem.triples.len() as u64;
    let words = format!("2 × {} triples", count_in_words(n_triples));
    let bytes = Around::bytes_for(design.layer.view(), n, n_triples) + 12 * n_triples;
    ledger.add("neighbours", words, "f32", bytes);
    let shapes = design.shapes();
    let floats = shapes.iter().map(|shape| (shape.rows * shape.width) as u64).sum::<u64>();
    // Adam's two moments, and the gradients.
    let words = format!("4 × {}", count_in_words(floats));
    ledger.add("parameters", words, "f32", 16 * floats);
    let Rehearsal { kept, rows } = design.rehearse(&activations, (n as usize, true));
    ledger.add("rows of layers", "and their gradients".into(), "f32", rows);
    // Of this epoch and of the best, and what is true.
    ledger.add("answers", format!("3 × {}", count_in_words(n)), "u32, f32", 24 * n);
    if settings.layerwise {
        let bytes = layerwise::bytes_for(problem, settings);
        ledger.add("summed features", "2 rows of an entity".into(), "f32", bytes);
    }
    ledger.add("kept between the ways", String::new(), settings.activations.clone(), kept.total());
    within(machine, &ledger)?;
    Ok((ledger, kept))
}

/// Refuses what is more than the budget.
fn within(machine: &Machine, ledger: &Ledger) -> Result<(), Error> {
    let smallest = ledger.total();
    match machine.budget_bytes {
        Some(asked) if asked < smallest => {
            Err(Error::BudgetTooSmall { asked, smallest, ledger: Box::new(ledger.clone()) })
        }
        _ => Ok(()),
    }
}

/// What the network is made of.
fn design(problem: &Problem, settings: &Settings) -> Result<Design, Error> {
    let layer = layer::find(&settings.layer)?;
    let (n_features, width) = (problem.features[0].n_columns, settings.width);
    let n_labels = 2 * problem.n_relations + 1;
    let table = (!layer.begins_with_product()).then_some([n_features, width]);
    let from = if table.is_some() { width } else { n_features };
    let design = Design {
        layer,
        n_layers: settings.n_layers,
        table,
        relations: layer.composes().then_some([n_labels, width]),
        n_labels,
        widths: [from, width, problem.classes.len()],
        dropout: settings.dropout,
        edge_dropout: 0.0,
        residual: settings.residual,
        reversible: settings.reversible,
    };
    design.check()?;
    Ok(design)
}

/// A network on its way.
struct Learner {
    network: Network,
    around: Around,
    /// What the last step chose to keep otherwise than the one before, in words.
    said: Option<String>,
}

/// Learns the classes.
///
/// # Errors
/// [`Error::Setting`], [`Error::Unknown`], [`Error::Diverged`], [`Error::Stopped`].
pub fn learn(
    problem: &Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Learned, Error> {
    settings.check()?;
    if settings.layerwise {
        return layerwise::learn(problem, settings, machine, observer);
    }
    let mut learner = Learner::new(problem, settings, machine)?;
    let mut activations = Activations::parse(&settings.activations)?;
    let (mut best, mut metrics) = (None, Vec::new());
    let mut kept = Ledger::default();
    for epoch in 0..settings.epochs {
        let (loss, list) =
            learner.step(problem, settings, machine, &mut activations, epoch as u64)?;
        kept = list;
        if let Some(said) = learner.said.take() {
            observer.log(&said);
        }
        if let Some(what) = machine.faults.take() {
            return Err(Error::Fault { what });
        }
        let found = learner.classes(problem, machine);
        let accuracy = problem.accuracy(&found, 1);
        metrics.push((loss, accuracy));
        let detail = format!("loss {loss:.4}  accuracy {:.1} %", 100.0 * accuracy);
        let (done, total) = (epoch as u64 + 1, settings.epochs as u64);
        let (stage, unit, detail) = ("learning classes", "epochs", detail.as_str());
        observer.progress(&Progress { stage, done, total, unit, detail });
        if observer.cancelled() {
            return Err(Error::Stopped);
        }
        // Where nothing is there to choose by, the last epoch's are kept.
        let better = |(before, ..): &(f64, usize, _)| accuracy >= *before;
        if best.as_ref().is_none_or(better) {
            best = Some((accuracy, epoch, found));
        }
    }
    let Some((_, best_epoch, classes)) = best else { return Err(Error::Stopped) };
    let accuracy = [0, 1, 2].map(|split| problem.accuracy(&classes, split));
    let macro_f1 = problem.macro_f1(&classes);
    Ok(Learned { classes, accuracy, macro_f1, best_epoch: best_epoch + 1, kept, metrics })
}

impl Learner {
    fn new(problem: &Problem, settings: &Settings, machine: &Machine) -> Result<Self, Error> {
        let design = design(problem, settings)?;
        let network = Network::new(design, machine, settings.seed);
        let network = network.with_states(optim::find("adam")?, machine);
        let n = problem.class_of.len();
        let around = Around::of(design.layer.view(), n, problem.n_relations, &problem.triples);
        Ok(Self { network, around, said: None })
    }

    /// One pass over the graph; returns the loss and what was kept.
    fn step(
        &mut self,
        problem: &Problem,
        settings: &Settings,
        machine: &Machine,
        activations: &mut Activations,
        epoch: u64,
    ) -> Result<(f64, Ledger), Error> {
        let now = activations.clone();
        let codecs = |place: usize| now.codec(place);
        let mut tape =
            Tape::new(machine, &codecs, Address::new(settings.seed, Purpose::Dropout, epoch));
        if activations.is_due(epoch) {
            tape.weigh();
        }
        let features = Some(problem.features());
        let (made, parameters) = self.network.forward(&mut tape, &self.around, features, true);
        let (loss, gradient) = problem.loss(machine, made.rows.value());
        let kept = tape.kept();
        let ids: Vec<usize> = parameters.iter().map(|parameter| parameter.id()).collect();
        let found = tape.backward([(made.rows, gradient)]);
        let Some(mut gradients) = found.filter(|_| loss.is_finite()) else {
            return Err(Error::Diverged { loss, epoch: epoch + 1 });
        };
        self.said = activations.choose(&gradients.needs);
        let adam = optim::find("adam")?;
        let (learning_rate, instruction_set) = (settings.learning_rate, machine.instruction_set);
        let step = Step { learning_rate, number: epoch + 1, instruction_set };
        gradients.decay(ids[0], settings.decay, &self.network.parameters[0]);
        self.network.change(&ids, &mut gradients, adam, (&step, &step), machine);
        Ok((loss, kept))
    }

    /// The likeliest class of every entity, and its probability.
    fn classes(&self, problem: &Problem, machine: &Machine) -> Vec<(u32, f32)> {
        let codecs = |_: usize| -> &'static dyn Codec { &Float32 };
        let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Dropout, 0));
        tape.forget();
        let features = Some(problem.features());
        let (made, _) = self.network.forward(&mut tape, &self.around, features, false);
        let scores = made.rows.value();
        (0..scores.rows).map(|row| likeliest(scores.row(row))).collect()
    }
}

/// The place of the largest score, the first of equals, and its part of the softmax.
fn likeliest(scores: &[f32]) -> (u32, f32) {
    let best = (0..scores.len()).fold(0, |a, b| if scores[b] > scores[a] { b } else { a });
    let sum: f32 = scores.iter().map(|score| (score - scores[best]).exp()).sum();
    (best as u32, 1.0 / sum)
}
