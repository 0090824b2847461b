//! Networks: layers one after the other, learned to say the class of every entity.
//!
//! Every step sees the whole graph: forward, the cross-entropy of the entities to learn from, and
//! back. The parameters of the epoch that is best by the entities to choose by are kept.
//!
//! *Invariant:* the result is a function of graph and settings; threads change no bit.
//! *Not here:* layers ([`layer`]); what is kept between the ways (the tape).

use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Address, Ledger, Machine, Observer, Progress, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::codec::{self, Codec};
use gossamer_tensor::optim::{self, Step};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use crate::error::Error;
use crate::layer::{self, Input, Layer, Shape};
use crate::plan::add_program;

pub mod problem;
pub mod judge;

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
            activations: "f32".into(),
        }
    }

    /// Checks names and numbers.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        layer::find(&self.layer)?;
        codec::find(&self.activations)?;
        let counts = [("layers", self.n_layers), ("dim", self.width), ("epochs", self.epochs)];
        for (key, value) in counts {
            if value == 0 || value > 1 << 16 {
                let what = format!("{value} is none that a network can have");
                let hint = "2 layers of dim 16 for 200 epochs are usual".into();
                return Err(Error::Setting { key: key.into(), what, hint });
            }
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

/// Parameters, and the optimiser's state for them.
struct Network {
    layer: &'static dyn Layer,
    parameters: Vec<Array>,
    states: Vec<Array>,
    /// How many belong to each layer.
    each: usize,
    n_layers: usize,
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
    let codec = codec::find(&settings.activations)?;
    let (n, layer) = (problem.class_of.len() as u64, layer::find(&settings.layer)?);
    let mut ledger = Ledger::default();
    add_program(&mut ledger, machine.workers.n_threads() as u64);
    let entries = |matrix: &Sparse| 8 * matrix.columns.len() as u64 + 4 * n;
    let [by_entity, by_feature] = problem.features.each_ref().map(entries);
    let words = count_in_words(problem.features[0].columns.len() as u64);
    ledger.add("features", format!("2 × {words}"), "f32", by_entity + by_feature);
    let words = count_in_words(problem.near.columns.len() as u64);
    ledger.add("neighbours", words, "f32", entries(&problem.near));
    let shapes = shapes(problem, settings, layer);
    let floats = shapes.iter().map(|shape| (shape.rows * shape.width) as u64).sum::<u64>();
    // Adam's two moments, and the gradients.
    let words = format!("4 × {}", count_in_words(floats));
    ledger.add("parameters", words, "f32", 16 * floats);
    let widest = settings.width.max(problem.classes.len()) as u64;
    let words = format!("6 × {} × {widest}", count_in_words(n));
    ledger.add("rows of a layer", words, "f32", 24 * n * widest);
    // What a step keeps is known exactly by doing one, where all else has its place.
    within(machine, &ledger)?;
    let network = Network::new(problem, settings, machine)?;
    let codecs = |_: &str| codec;
    let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Dropout, 0));
    network.forward(&mut tape, problem, settings.dropout);
    let kept = tape.kept();
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

/// The parameters of all layers.
fn shapes(problem: &Problem, settings: &Settings, layer: &dyn Layer) -> Vec<Shape> {
    let (mut from, mut shapes) = (problem.features[0].n_columns, Vec::new());
    for number in 0..settings.n_layers {
        let last = number + 1 == settings.n_layers;
        let to = if last { problem.classes.len() } else { settings.width };
        shapes.extend(layer.parameters(from, to));
        from = to;
    }
    shapes
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
    let mut network = Network::new(problem, settings, machine)?;
    let codec = codec::find(&settings.activations)?;
    let (mut best, mut metrics) = (None, Vec::new());
    let mut kept = Ledger::default();
    for epoch in 0..settings.epochs {
        let (loss, list) = network.step(problem, settings, machine, codec, epoch as u64)?;
        kept = list;
        let found = network.classes(problem, machine, codec);
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

impl Network {
    fn new(problem: &Problem, settings: &Settings, machine: &Machine) -> Result<Self, Error> {
        let layer = layer::find(&settings.layer)?;
        let adam = optim::find("adam")?;
        let mut parameters = Vec::new();
        for shape in shapes(problem, settings, layer) {
            let address = Address::new(settings.seed, Purpose::Initial, parameters.len() as u64);
            let mut array = Array::zeroed(&machine.buffers, shape.rows, shape.width);
            let bound = (6.0 / (shape.rows + shape.width) as f32).sqrt();
            let bound = if shape.zero { 0.0 } else { bound };
            for (row, values) in array.values.chunks_exact_mut(shape.width).enumerate() {
                for (column, four) in values.chunks_mut(4).enumerate() {
                    let random = address.symmetric(row as u32, column as u32);
                    four.iter_mut().zip(random).for_each(|(x, random)| *x = bound * random);
                }
            }
            parameters.push(array);
        }
        let state =
            |of: &Array| Array::zeroed(&machine.buffers, of.rows, adam.state_width(of.width));
        let states = parameters.iter().map(state).collect();
        let (each, n_layers) = (parameters.len() / settings.n_layers, settings.n_layers);
        Ok(Self { layer, parameters, states, each, n_layers })
    }

    /// The scores of every entity's classes.
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        problem: &'a Problem,
        dropout: f32,
    ) -> (Var<'a>, Vec<Parameter<'a>>) {
        /// What is kept before each layer; those beyond share the last name.
        const NAMES: [&str; 5] = ["input", "rows 1", "rows 2", "rows 3", "rows 4 and on"];
        let parameters: Vec<Parameter<'a>> =
            self.parameters.iter().map(|array| tape.parameter(array)).collect();
        let near = BothWays { forward: &problem.near, backward: &problem.near };
        let [forward, backward] = &problem.features;
        let mut input = Input::Features(BothWays { forward, backward }, dropout);
        for (number, own) in parameters.chunks(self.each).enumerate() {
            let name = NAMES[number.min(NAMES.len() - 1)];
            let rows = self.layer.forward(tape, name, near, input, own);
            if number + 1 == self.n_layers {
                return (rows, parameters);
            }
            let name = NAMES[(number + 1).min(NAMES.len() - 1)];
            input = Input::Rows(tape.rectify(name, rows, dropout));
        }
        unreachable!("a network has a layer")
    }

    /// One pass over the graph; returns the loss and what was kept.
    fn step(
        &mut self,
        problem: &Problem,
        settings: &Settings,
        machine: &Machine,
        codec: &'static dyn Codec,
        epoch: u64,
    ) -> Result<(f64, Ledger), Error> {
        let codecs = |_: &str| codec;
        let mut tape =
            Tape::new(machine, &codecs, Address::new(settings.seed, Purpose::Dropout, epoch));
        let (out, parameters) = self.forward(&mut tape, problem, settings.dropout);
        let (loss, gradient) = problem.loss(machine, out.value());
        let kept = tape.kept();
        let ids: Vec<usize> = parameters.iter().map(|parameter| parameter.id()).collect();
        let Some(mut gradients) = tape.backward(&out, gradient).filter(|_| loss.is_finite()) else {
            return Err(Error::Diverged { loss, epoch: epoch + 1 });
        };
        drop((out, parameters));
        let adam = optim::find("adam")?;
        let (learning_rate, instruction_set) = (settings.learning_rate, machine.instruction_set);
        let step = Step { learning_rate, number: epoch + 1, instruction_set };
        for (place, id) in ids.into_iter().enumerate() {
            let Some(mut gradient) = gradients.take(id) else { continue };
            let (parameter, state) = (&mut self.parameters[place], &mut self.states[place]);
            if place == 0 {
                let pairs = gradient.values.iter_mut().zip(parameter.values.iter());
                pairs.for_each(|(gradient, x)| *gradient += settings.decay * x);
            }
            let (width, state_width) = (parameter.width, state.width);
            let rows = parameter.values.chunks_exact_mut(width);
            let rows = rows.zip(state.values.chunks_exact_mut(state_width));
            for ((row, state), gradient) in rows.zip(gradient.values.chunks_exact(width)) {
                adam.update(&step, row, state, gradient);
            }
        }
        Ok((loss, kept))
    }

    /// The likeliest class of every entity, and its probability.
    fn classes(
        &self,
        problem: &Problem,
        machine: &Machine,
        codec: &'static dyn Codec,
    ) -> Vec<(u32, f32)> {
        let codecs = |_: &str| codec;
        let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Dropout, 0));
        let (out, _) = self.forward(&mut tape, problem, 0.0);
        let scores = out.value();
        (0..scores.rows).map(|row| likeliest(scores.row(row))).collect()
    }
}

/// The place of the largest score, the first of equals, and its part of the softmax.
fn likeliest(scores: &[f32]) -> (u32, f32) {
    let best = (0..scores.len()).fold(0, |a, b| if scores[b] > scores[a] { b } else { a });
    let sum: f32 = scores.iter().map(|score| (score - scores[best]).exp()).sum();
    (best as u32, 1.0 / sum)
}
