//! What all training forms share: from the queries' gradient to changed rows.
//!
//! A form scores a batch and says (a) the gradient of each query, (b) what each candidate row gets.
//! Here the queries' gradient is folded back to known rows and relations, regularisers are added,
//! and the optimiser changes the rows.
//!
//! *Invariant:* sums run in the order of queries; the result does not depend on threads.

use gossamer_machine::parallel::Workers;
use gossamer_machine::{Address, Buffer, FileError, InstructionSet, Machine, Purpose};
use gossamer_tensor::optim::on_sphere::OnSphere;
use gossamer_tensor::optim::{self, Optimiser, Step};
use gossamer_tensor::schedule::{self, Schedule};

use crate::config::{Config, Precision};
use crate::error::Error;
use crate::loss::{self, Loss, Shape};
use crate::model::conditions::Conditions;
use crate::model::dropout::Dropout;
use crate::model::{Asked, Model, Rooms};
use crate::paging::Pages;
use crate::regulariser::{self, Looks, Regulariser};
use crate::sample::{self, Sampler};
use crate::score::Coordinates;
use crate::table::{GradientOf, Part, SparseRows, Table, Touched, rows};

use super::batch::{Batch, summed};
use super::encoder::Encoder;
use super::kept::Kept;
use super::penalty::Penalty;
use super::relation_prediction::{self, Found};

/// The parts of a configuration that a step needs, found in their registries.
#[derive(Clone, Copy)]
pub struct Method<'a> {
    /// The loss.
    pub loss: &'a dyn Loss,
    /// Its numbers.
    pub shape: Shape,
    /// The factors of products over entities, and over relations that are predicted.
    pub precision: Precision,
    /// The optimiser.
    pub optimiser: &'a dyn Optimiser,
    /// Its step size.
    pub learning_rate: f32,
    /// How that moves over the run.
    pub schedule: &'a dyn Schedule,
    /// Part of each label that is spread over all entities.
    pub label_smoothing: f32,
    /// The regulariser.
    pub regulariser: &'a dyn Regulariser,
    /// Its weight.
    pub regularisation: f32,
    /// Part of known rows and conditions that is dropped.
    pub dropout: f32,
    /// Weight of predicting each triple's relation.
    pub relation_prediction: f32,
    /// How much more, or less, a penalty on queries weighs than one on answers.
    pub query_regularisation: f32,
    /// Draws negatives.
    pub sampler: &'a dyn Sampler,
    /// How many.
    pub n_negatives: usize,
    /// One set for a block of queries.
    pub shared_negatives: bool,
    /// Queries of such a block.
    pub block: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Bytes for scores kept between the passes of a step.
    pub kept_bytes: u64,
}

impl Method<'_> {
    /// From a checked configuration.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn new(
        config: &Config,
        kept_bytes: u64,
        instruction_set: InstructionSet,
    ) -> Result<Self, Error> {
        let optimiser = optim::find(&config.optimiser)?;
        // With some partitions in memory a row meets its triples in fewer steps, more at a time.
        let held = config.in_memory.min(config.partitions) as f32;
        let learning_rate =
            config.learning_rate * optimiser.gathered(config.partitions as f32 / held);
        Ok(Self {
            loss: loss::find(&config.loss)?,
            shape: Shape {
                margin: config.margin,
                temperature: config.temperature,
                instruction_set,
            },
            precision: config.precision,
            optimiser,
            learning_rate,
            schedule: schedule::find(&config.schedule)?,
            label_smoothing: config.label_smoothing,
            regulariser: regulariser::find(&config.regulariser)?,
            regularisation: config.regularisation,
            dropout: config.dropout,
            relation_prediction: config.relation_prediction,
            query_regularisation: config.query_regularisation,
            sampler: sample::find(&config.negative_sampler)?,
            n_negatives: config.negatives,
            shared_negatives: config.shared_negatives,
            block: config.block,
            seed: config.seed,
            kept_bytes,
        })
    }

    /// What is dropped in the step after so many; nothing where nothing is.
    pub fn dropped(&self, steps: u64, machine: &Machine) -> Option<Dropout> {
        let address = Address::new(self.seed, Purpose::Dropout, steps);
        let (part, instruction_set) = (self.dropout, machine.instruction_set);
        (part > 0.0).then_some(Dropout { part, address, instruction_set, number: 0 })
    }

    /// The method when a part of the run (0 … 1) is done: the learning rate is the schedule's.
    pub fn at(&self, done: f32) -> Self {
        Self { learning_rate: self.learning_rate * self.schedule.factor(done), ..*self }
    }
}

/// A model with its optimiser's state.
#[derive(Debug)]
pub struct Learner {
    /// The model.
    pub model: Model,
    /// State of the entity rows.
    pub entity_state: Table,
    /// State of the relation rows.
    pub relation_state: Table,
    /// State of the core.
    pub core_state: Table,
    /// The network that makes the model's rows, if one does.
    pub encoder: Option<Encoder>,
    /// Where partitions of the entities are, if there are several.
    pub pages: Option<Pages>,
    /// Steps done.
    pub steps: u64,
    /// What a step keeps between its passes.
    pub kept: Kept,
}

impl Learner {
    /// A model with fresh state.
    pub fn new(model: Model, optimiser: &dyn Optimiser) -> Self {
        let entity_state = model.entities.state(optimiser);
        let relation_state = model.relations.state(optimiser);
        let core_state = model.core.state(optimiser);
        let (encoder, pages, steps, kept) = (None, None, 0, Kept::default());
        Self { model, entity_state, relation_state, core_state, encoder, pages, steps, kept }
    }

    /// Lets every row be read, from memory or from files.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn reach_all(&mut self, workers: &Workers) -> Result<(), FileError> {
        let Self { model, entity_state, pages, .. } = self;
        let tables = [&mut model.entities, entity_state];
        pages.as_mut().map_or(Ok(()), |pages| pages.settle(tables, workers))
    }

    /// Makes the model's rows what its network makes of them without dropout.
    pub fn settle(&mut self, machine: &Machine) {
        if let Some(mut encoder) = self.encoder.take() {
            encoder.settle(self, machine);
            self.encoder = Some(encoder);
        }
    }
}

/// What a form found out about a batch.
pub struct Scored<'a, S> {
    /// Sum of the queries' losses, weighted.
    pub loss: f64,
    /// The queries (queries × width).
    pub queries: &'a [f32],
    /// ∂loss/∂query (queries × width), already divided by the batch's total weight.
    pub query_gradient: Buffer,
    /// Candidate rows that get a gradient; all, or sorted ids.
    pub candidates: Option<Vec<u32>>,
    /// Scratch of a thread for `gradient`.
    pub scratch: &'a (dyn Fn() -> S + Sync),
    /// Adds what candidate rows get.
    pub gradient: &'a GradientOf<'a, S>,
}

/// The loss of a step and the weight it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepLoss {
    /// Sum over the pairs, penalty included.
    pub sum: f64,
    /// Sum of their weights.
    pub weight: f64,
}

/// Folds back, regularises and changes the rows.
pub fn finish<S>(
    learner: &mut Learner,
    method: &Method<'_>,
    machine: &Machine,
    batch: &Batch,
    scored: Scored<'_, S>,
) -> StepLoss {
    let dropout = method.dropped(learner.steps, machine);
    learner.steps += 1;
    let (isa, number) = (machine.instruction_set, learner.steps);
    let (learning_rate, seed) = (method.learning_rate, method.seed);
    let step = optim::Step { learning_rate, number, seed, instruction_set: isa };
    let (entity_kind, relation_kind) = learner.model.function.coordinates();
    let at_queries = method.regulariser.looks() == Looks::AtQueries;
    let mut query_gradient = scored.query_gradient;
    let mut query_penalty = 0.0;
    if at_queries {
        query_penalty = regularise_queries(method, batch, scored.queries, &mut query_gradient);
    }
    let (known, condition) =
        fold_backward(&learner.model, machine, batch, &query_gradient, dropout);
    // Used rows have a gradient in any case; how much they are used is asked by a penalty alone.
    let charges = method.regularisation > 0.0;
    let entity_uses = if charges { batch.entity_uses(!at_queries) } else { Vec::new() };
    let charges = charges && !at_queries;
    let relation_uses = if charges { relation_uses(&learner.model, batch) } else { Vec::new() };
    let entity = Penalty::new(method, batch.total, entity_kind, &entity_uses);
    let relation = Penalty::new(method, batch.total, relation_kind, &relation_uses);
    let penalty = query_penalty
        + entity.value(&machine.workers, &learner.model.entities)
        + relation.value(&machine.workers, &learner.model.relations);

    let beside = relation_prediction::learn(
        &learner.model,
        machine,
        batch,
        (method.relation_prediction, method.precision),
    );
    let used: Vec<u32> = entity_uses.iter().map(|(id, _)| *id).collect();
    let touched =
        scored.candidates.map(|ids| rows::union(&[&ids, &used, &known.ids, &beside.entities.ids]));
    let touched = touched.as_deref().map_or(Touched::All, Touched::Some);
    let gradient = |scratch: &mut S, part: &Part<'_>, out: &mut [f32]| {
        (scored.gradient)(scratch, part, out);
        known.add_to(isa, part.ids, out);
        beside.entities.add_to(isa, part.ids, out);
        entity.add_gradient(part, out);
    };
    let onto_sphere = OnSphere(method.optimiser);
    let unit = learner.model.function.unit_entities();
    let of_entities: &dyn Optimiser = if unit { &onto_sphere } else { method.optimiser };
    let Learner { model, entity_state, .. } = &mut *learner;
    model.entities.apply(
        entity_state,
        machine,
        (of_entities, &step),
        touched,
        scored.scratch,
        &gradient,
    );
    change_relations(learner, machine, (method.optimiser, &step), condition, (&beside, &relation));
    let sum = scored.loss + beside.loss + penalty * f64::from(batch.total);
    StepLoss { sum, weight: f64::from(batch.total) }
}

/// Changes relation rows, and the core where there is one, by the gradients of conditions.
fn change_relations(
    learner: &mut Learner,
    machine: &Machine,
    optimiser: (&dyn Optimiser, &Step),
    condition: SparseRows,
    (beside, penalty): (&Found, &Penalty<'_>),
) {
    let isa = machine.instruction_set;
    let Learner { model, relation_state, core_state, .. } = learner;
    let (rows, of_core) = match model.core.n_rows() {
        0 => (condition, None),
        _ => {
            let (rows, of_core) = Conditions::backward(model, machine, &condition);
            (rows, Some(of_core))
        }
    };
    let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
        rows.add_to(isa, part.ids, out);
        beside.relations.add_to(isa, part.ids, out);
        penalty.add_gradient(part, out);
    };
    let ids = rows::union(&[&rows.ids, &beside.relations.ids]);
    let touched = Touched::Some(&ids);
    model.relations.apply(relation_state, machine, optimiser, touched, || (), &gradient);
    if let Some(of_core) = of_core {
        let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
            out.copy_from_slice(
                &of_core[part.ids[0] as usize * model.function.condition_width(model.dim)..]
                    [..out.len()],
            );
        };
        model.core.apply(core_state, machine, optimiser, Touched::All, || (), &gradient);
    }
}

/// How much each relation row is used, by id.
fn relation_uses(model: &Model, batch: &Batch) -> Vec<(u32, f32)> {
    let conditions = batch.asked.iter().map(|asked| model.condition(*asked).1);
    summed(conditions.zip(batch.masses.iter().copied()).collect())
}

/// Adds what the penalty on queries says to their gradient; returns the penalty.
fn regularise_queries(
    method: &Method<'_>,
    batch: &Batch,
    queries: &[f32],
    gradient: &mut [f32],
) -> f64 {
    let (isa, width) = (method.shape.instruction_set, queries.len() / batch.len().max(1));
    let rows = queries.chunks_exact(width).zip(gradient.chunks_exact_mut(width));
    let mut sum = 0.0;
    for ((query, gradient), mass) in rows.zip(&batch.masses) {
        let weight = method.regularisation * method.query_regularisation;
        let factor = weight * mass / batch.total;
        // The squares of a complex query's parts add up as those of a real one's.
        method.regulariser.add_gradient(isa, Coordinates::Real, query, factor, gradient);
        sum += f64::from(factor * method.regulariser.penalty(isa, Coordinates::Real, query));
    }
    sum
}

/// Most queries whose shares of one condition's gradient are summed by one thread.
const QUERIES: usize = 64;

/// The most parts that the gradients of so many conditions come in, for a batch of queries.
pub fn condition_parts(n: u64, n_queries: u64) -> u64 {
    n_queries.min(n + n_queries / QUERIES as u64)
}

/// The gradients of known rows and of relation rows, summed by id.
///
/// Queries are taken by condition, so that a relation's gradient, dim² floats with some score
/// functions, is written once for many of them.
fn fold_backward(
    model: &Model,
    machine: &Machine,
    batch: &Batch,
    gradient: &[f32],
    dropout: Option<Dropout>,
) -> (SparseRows, SparseRows) {
    /// Sums of a task: enough to be worth a hand-over.
    const SUMS: usize = 8;
    let known_width = model.entities.width();
    let condition_width = model.function.condition_width(model.dim);
    let relations = model.relation_rows(&batch.asked);
    let made = Conditions::of(model, machine, relations);
    let query_width = model.query_width();
    let keyed = |(asked, query): (&Asked, u64)| u64::from(model.condition(*asked).1) << 32 | query;
    let mut order: Vec<u64> = batch.asked.iter().zip(0..).map(keyed).collect();
    order.sort_unstable();
    let (condition, query) = (|key: &u64| (key >> 32) as u32, |key: &u64| *key as u32 as usize);
    let sums: Vec<&[u64]> = order
        .chunk_by(|one, next| condition(one) == condition(next))
        .flat_map(|same| same.chunks(QUERIES))
        .collect();
    let rows = model.relations.n_rows() as u64;
    debug_assert!(sums.len() as u64 <= condition_parts(rows, batch.len() as u64));
    let mut known = machine.buffers.room(batch.len() * known_width);
    let mut conditions = machine.buffers.room(sums.len() * condition_width);
    let mut rest = &mut known[..];
    let tasks = sums.chunks(SUMS).zip(conditions.chunks_mut(SUMS * condition_width));
    let tasks = tasks.map(|(sums, conditions)| {
        let queries: usize = sums.iter().map(|queries| queries.len()).sum();
        let (own, later) = std::mem::take(&mut rest).split_at_mut(queries * known_width);
        rest = later;
        (sums, conditions, own)
    });
    let tasks = tasks.collect();
    machine.workers.each_with(tasks, Rooms::default, |room, (sums, conditions, known)| {
        let mut known = known.chunks_exact_mut(known_width);
        for (queries, condition) in sums.iter().zip(conditions.chunks_exact_mut(condition_width)) {
            condition.fill(0.0);
            for (query, known) in queries.iter().map(query).zip(&mut known) {
                known.fill(0.0);
                let gradient = &gradient[query * query_width..][..query_width];
                let dropout = dropout.map(|dropout| (dropout, query as u32));
                let (asked, out) = (batch.asked[query], [known, &mut *condition]);
                model.fold_backward(asked, gradient, made.as_ref(), dropout, room, out);
            }
        }
    });
    let knowns: Vec<u32> = order.iter().map(|key| batch.asked[query(key)].known).collect();
    let ids: Vec<u32> = sums.iter().map(|queries| condition(&queries[0])).collect();
    let known = SparseRows::new(&knowns, known, known_width);
    (known, SparseRows::new(&ids, conditions, condition_width))
}
