//! Layer by layer: neighbours are summed once for each layer, and then its matrix is learned from
//! batches of rows, with a classifier on top; what comes before it stays as it is.
//!
//! For l = 1 … L: F = Â·H once; W and C from batches of rows of F by the cross-entropy of
//! rectify(F·W + b)·C + c; H = rectify(F·W + b). The last layer's classifier is the network's.
//! Memory is that of one layer's rows and a batch: neither depth nor edges add to it.
//!
//! *Paper:* You et al., "L2-GCN: layer-wise and learned efficient training of graph convolutional
//! networks" (2020).

use gossamer_machine::random::{Address, Permutation};
use gossamer_machine::{Ledger, Machine, Observer, Progress, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::codec::Codec;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::dropout::Dropout;
use gossamer_tensor::optim::{self, Step};
use gossamer_tensor::tape::op::neighbours::sums;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::problem::Problem;
use super::{Learned, Settings, likeliest};
use crate::error::Error;
use crate::layer::Shape;
use crate::layer::around::{Around, View};
use crate::network::activations::Activations;
use crate::network::{first_values, update};

/// Rows of a batch.
const BATCH: usize = 256;
/// What is kept.
const ROWS: &str = "rows";

/// One layer with its classifier: W, b, C, c.
struct Stage {
    parameters: Vec<Array>,
    states: Vec<Array>,
    steps: u64,
}

/// Learns the classes, layer by layer.
///
/// # Errors
/// Those of [`learn`](super::learn); [`Error::Request`] without features.
pub fn learn(
    problem: &Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Learned, Error> {
    settings.check()?;
    if problem.features[0].columns.len() == problem.class_of.len() {
        return Err(Error::Request {
            what: "these entities have no features, and there is nothing to sum at first".into(),
            hint: "leave out --layerwise: the first layer then learns a row for each".into(),
        });
    }
    let n = problem.class_of.len();
    let around = Around::of(View::Near, n, problem.n_relations, &problem.triples);
    let near = around.pairs().forward;
    let mut rows = sums(machine, near, &dense(problem, machine));
    let (mut metrics, mut kept, mut best) = (Vec::new(), Ledger::default(), None);
    for number in 0..settings.n_layers {
        let mut stage = Stage::new(problem, settings, rows.width, (number, machine));
        let mut chosen: Option<(f64, usize, Stage)> = None;
        for epoch in 0..settings.epochs {
            let (loss, list) = stage.epoch(problem, settings, &rows, (number, epoch), machine)?;
            kept.raise_to(list);
            let accuracy = problem.accuracy(&stage.result(&rows, machine).1, 1);
            metrics.push((loss, accuracy));
            let done = (number * settings.epochs + epoch + 1) as u64;
            let total = (settings.n_layers * settings.epochs) as u64;
            let detail = format!("layer {}  loss {loss:.4}", number + 1);
            let (stage_name, unit, detail) = ("learning classes", "epochs", detail.as_str());
            observer.progress(&Progress { stage: stage_name, done, total, unit, detail });
            if observer.cancelled() {
                return Err(Error::Stopped);
            }
            if chosen.as_ref().is_none_or(|(before, ..)| accuracy >= *before) {
                chosen = Some((accuracy, metrics.len(), stage.copy(machine)));
            }
        }
        let Some((_, epoch, stage)) = chosen else { return Err(Error::Stopped) };
        let (hidden, classes) = stage.result(&rows, machine);
        best = Some((epoch, classes));
        if number + 1 < settings.n_layers {
            rows = sums(machine, near, &hidden);
        }
    }
    let Some((best_epoch, classes)) = best else { return Err(Error::Stopped) };
    let accuracy = [0, 1, 2].map(|split| problem.accuracy(&classes, split));
    let macro_f1 = problem.macro_f1(&classes);
    Ok(Learned { classes, accuracy, macro_f1, best_epoch, kept, metrics })
}

/// Bytes of an entity's rows and of the sums over neighbours, of the widest layer.
pub fn bytes_for(problem: &Problem, settings: &Settings) -> u64 {
    let width = problem.features[0].n_columns.max(settings.width);
    8 * (problem.class_of.len() * width) as u64
}

/// Features as rows.
fn dense(problem: &Problem, machine: &Machine) -> Array {
    let features = &problem.features[0];
    let mut out = Array::zeroed(&machine.buffers, features.n_rows(), features.n_columns);
    for (row, out) in out.values.chunks_exact_mut(features.n_columns).enumerate() {
        let (columns, weights) = features.row(row);
        columns.iter().zip(weights).for_each(|(column, weight)| out[*column as usize] = *weight);
    }
    out
}

impl Stage {
    fn new(
        problem: &Problem,
        settings: &Settings,
        from: usize,
        (number, machine): (usize, &Machine),
    ) -> Self {
        let (width, n_classes) = (settings.width, problem.classes.len());
        let shapes = [
            Shape::matrix(from, width),
            Shape::bias(width),
            Shape::matrix(width, n_classes),
            Shape::bias(n_classes),
        ];
        let first = (0..).zip(shapes).map(|(place, shape)| {
            let address =
                Address::new(settings.seed, Purpose::Initial, 100 * number as u64 + place);
            first_values(shape, address, &machine.buffers)
        });
        let parameters: Vec<Array> = first.collect();
        let state = |of: &Array| Array::zeroed(&machine.buffers, of.rows, 2 * of.width);
        let states = parameters.iter().map(state).collect();
        Self { parameters, states, steps: 0 }
    }

    fn copy(&self, machine: &Machine) -> Self {
        let copy = |array: &Array| Array::of(&machine.buffers, &array.values, array.width);
        let parameters = self.parameters.iter().map(copy).collect();
        Self { parameters, states: Vec::new(), steps: self.steps }
    }

    fn forward<'a>(
        tape: &mut Tape<'a>,
        rows: Parameter<'a>,
        own: &[Parameter<'a>],
        dropout: f32,
    ) -> (Var<'a>, Var<'a>) {
        let hidden = tape.linear(ROWS, &mut rows.var(), own[0]);
        let hidden = tape.add_bias(hidden, own[1]);
        let mut hidden = tape.rectify(ROWS, hidden, dropout);
        let scores = tape.linear(ROWS, &mut hidden, own[2]);
        let scores = tape.add_bias(scores, own[3]);
        (hidden, scores)
    }

    /// One pass over the entities to learn from; returns the loss and what a batch kept at
    /// most.
    fn epoch(
        &mut self,
        problem: &Problem,
        settings: &Settings,
        rows: &Array,
        (number, epoch): (usize, usize),
        machine: &Machine,
    ) -> Result<(f64, Ledger), Error> {
        let learned: Vec<(u32, u32)> = problem.learned().collect();
        let place = (number * settings.epochs + epoch) as u64;
        let order = Address::new(settings.seed, Purpose::Order, place);
        let order = Permutation::new(learned.len() as u64, order);
        let places: Vec<u64> = (0..learned.len() as u64).map(|place| order.get(place)).collect();
        let (mut sum, mut kept) = (0.0, Ledger::default());
        for batch in places.chunks(BATCH) {
            let batch: Vec<(u32, u32)> = batch.iter().map(|at| learned[*at as usize]).collect();
            let step = (number as u64) << 32 | self.steps;
            let address = Address::new(settings.seed, Purpose::Dropout, step);
            let instruction_set = machine.instruction_set;
            let mut given = Array::room(&machine.buffers, batch.len(), rows.width);
            let dropout = Dropout { part: settings.dropout, address, instruction_set, number: 0 };
            let out = given.values.chunks_exact_mut(rows.width).zip(&batch).enumerate();
            out.for_each(|(row, (out, (entity, _)))| {
                out.copy_from_slice(rows.row(*entity as usize));
                dropout.apply(row as u32, out);
            });
            let activations = Activations::parse(&settings.activations)?;
            let codecs = |place: usize| activations.codec(place);
            let mut tape = Tape::new(machine, &codecs, address);
            let own: Vec<Parameter<'_>> =
                self.parameters.iter().map(|array| tape.parameter(array)).collect();
            let input = tape.parameter(&given);
            let (_, scores) = Self::forward(&mut tape, input, &own, settings.dropout);
            let classes: Vec<(u32, u32)> =
                (0..).zip(&batch).map(|(row, (_, class))| (row, *class)).collect();
            let (loss, gradient) = super::judge::cross_entropy(machine, scores.value(), &classes);
            kept.raise_to(tape.kept());
            let ids: Vec<usize> = own.iter().map(|parameter| parameter.id()).collect();
            let found = tape.backward([(scores, gradient)]).filter(|_| loss.is_finite());
            let Some(mut gradients) = found else {
                return Err(Error::Diverged { loss, epoch: epoch as u64 + 1 });
            };
            self.steps += 1;
            if let Some(what) = machine.faults.take() {
                return Err(Error::Fault { what });
            }
            sum += loss * batch.len() as f64 / learned.len() as f64;
            let learning_rate = settings.learning_rate;
            let (number, seed) = (self.steps, settings.seed);
            let step = Step { learning_rate, number, seed, instruction_set };
            gradients.decay(ids[0], settings.decay, &self.parameters[0]);
            let adam = optim::find("adam")?;
            let own = self.parameters.iter_mut().zip(&mut self.states);
            for ((parameter, state), id) in own.zip(&ids) {
                let Some(gradient) = gradients.take(*id) else { continue };
                update(parameter, state, &gradient, (adam, &step), machine);
            }
        }
        Ok((sum, kept))
    }

    /// The rows that the next layer sums, and every entity's likeliest class with its probability.
    fn result(&self, rows: &Array, machine: &Machine) -> (Array, Vec<(u32, f32)>) {
        let codecs = |_: usize| -> &'static dyn Codec { &Float32 };
        let mut tape = Tape::new(machine, &codecs, Address::new(0, Purpose::Dropout, 0));
        tape.forget();
        let own: Vec<Parameter<'_>> =
            self.parameters.iter().map(|array| tape.parameter(array)).collect();
        let input = tape.parameter(rows);
        let (hidden, scores) = Self::forward(&mut tape, input, &own, 0.0);
        let (hidden, scores) = (hidden.value(), scores.value());
        let classes = (0..scores.rows).map(|row| likeliest(scores.row(row))).collect();
        (Array::of(&machine.buffers, &hidden.values, hidden.width), classes)
    }
}
