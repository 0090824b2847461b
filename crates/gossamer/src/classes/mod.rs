//! Classes: a network is learned to say the class of every entity.
//!
//! A step sees the whole graph, or what is drawn around a batch: forward, the cross-entropy of the
//! entities to learn from, and back. The parameters of the epoch that is best by the entities to choose
//! by are kept.
//!
//! *Invariant:* the result is a function of graph and settings; threads change no bit.
//! *Not here:* how layers follow each other ([`network`](crate::network)).

use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Ledger, Machine, Observer, Progress};
use gossamer_tensor::sparse::Sparse;

use crate::error::Error;
use crate::layer;
use crate::layer::around::Around;
use crate::network::Design;
use crate::network::activations::Activations;
use crate::network::rehearsal::Rehearsal;
use crate::plan::add_program;

pub mod problem;
pub mod judge;
pub mod baseline;
pub mod neighbourhood;
mod learner;
pub mod layerwise;

use learner::Learner;
use neighbourhood::{Incidence, Neighbourhood};
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
    /// Triples of an entity that a step draws, layer by layer; 0: a step sees the whole graph.
    pub fanout: usize,
    /// Entities to learn from in a step that draws.
    pub batch: usize,
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
            fanout: 0,
            batch: 512,
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
        for (key, value) in counts.into_iter().chain([("batch", self.batch)]) {
            if value == 0 || value > 1 << 16 {
                let what = format!("{value} is none that a network can have");
                let hint = "2 layers of dim 16 for 200 epochs are usual".into();
                return Err(Error::Setting { key: key.into(), what, hint });
            }
        }
        let whole = !self.residual && !self.reversible && self.fanout == 0;
        if self.layerwise && (self.layer != "gcn" || !whole) {
            let what = format!("{} is not learned layer by layer", self.layer);
            let hint = "use --model gcn without --residual and --fanout, or no --layerwise".into();
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
    /// What a step kept between the ways at most.
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
    let kept = plan_steps(problem, settings, &design, &mut ledger)?;
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

/// Adds what a step takes, and what it takes to say all classes; returns what is kept.
fn plan_steps(
    problem: &Problem,
    settings: &Settings,
    design: &Design,
    ledger: &mut Ledger,
) -> Result<Ledger, Error> {
    let activations = Activations::parse(&settings.activations)?;
    let (n, n_triples) = (problem.class_of.len(), problem.triples.len() as u64);
    if settings.fanout == 0 {
        let Rehearsal { kept, rows } = design.rehearse(&activations, (n, true));
        ledger.add("rows of layers", "and their gradients".into(), "f32", rows);
        return Ok(kept);
    }
    let size = (settings.fanout, settings.n_layers);
    let drawn = Neighbourhood::most_entities(settings.batch, size, n);
    let Rehearsal { kept, rows } = design.rehearse(&activations, (drawn, true));
    let all = design.rehearse_forward((n, true));
    ledger.add(
        "triples of entities",
        String::new(),
        "u32",
        Incidence::bytes_for(n as u64, n_triples),
    );
    let words = format!("of {} entities", count_in_words(drawn as u64));
    // Each draw is a triple, though entities are met again and again.
    let draws = Neighbourhood::most_entities(settings.batch, size, usize::MAX) as u64;
    let around = Around::bytes_for(design.layer.view(), drawn as u64, draws.min(n_triples));
    ledger.add("drawn", words, "f32", around);
    // A step's, or those of all entities when classes are said: the larger.
    ledger.add("rows of layers", "and their gradients".into(), "f32", rows.max(all));
    Ok(kept)
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
    let (mut best, mut metrics) = (None, Vec::new());
    for epoch in 0..settings.epochs {
        let loss = learner.epoch(problem, settings, epoch as u64, machine, observer)?;
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
    let (macro_f1, kept) = (problem.macro_f1(&classes), learner.kept);
    Ok(Learned { classes, accuracy, macro_f1, best_epoch: best_epoch + 1, kept, metrics })
}

/// The place of the largest score, the first of equals, and its part of the softmax.
fn likeliest(scores: &[f32]) -> (u32, f32) {
    let best = (0..scores.len()).fold(0, |a, b| if scores[b] > scores[a] { b } else { a });
    let sum: f32 = scores.iter().map(|score| (score - scores[best]).exp()).sum();
    (best as u32, 1.0 / sum)
}
