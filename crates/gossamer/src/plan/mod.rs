//! The plan: what will be in memory, added up before any of it is allocated.
//!
//! A plan is a [`Ledger`] of everything that is in memory at the same time at the peak of a command.
//! Where the user names a budget, blocks shrink until the sum fits, or the command is refused with the
//! sum.
//!
//! *Invariant:* the size of blocks never changes a result, only its time.

use gossamer_graph::Room;
use gossamer_graph::buckets::Buckets;
use gossamer_graph::sampling::{Sampling, WHOLE_TRIPLES};
use gossamer_graph::{Adjacency, Snapshot, Split, Triples};
use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::optim;

use crate::config::Config;
use crate::error::Error;
use crate::form::alternatives::Alternatives;
use crate::form::pools::Pools;
use crate::form::{self, StepShape, TrainingForm, encoder, relation_prediction};
use crate::model::conditions;
use crate::paging::order::Order;
use crate::sample;
use crate::sample::Source;
use crate::score::Widths;
use crate::table::{self, PANEL_ROWS, Table};

pub mod ranking;

use ranking::add_ranking;

/// Resident bytes of the program itself: text, the runtime and what a thread touches of its stack
/// and of the allocator's arenas; measured on Linux, rounded up.
const PROGRAM_BYTES: u64 = 9 << 20;
/// The same, for each thread.
const THREAD_BYTES: u64 = 1 << 19;
/// Most bytes for scores kept between the passes of a step, unless the budget is smaller.
const KEPT_BYTES: u64 = 32 << 20;
/// Buffers of reading and writing files.
const FILE_BYTES: u64 = 2 << 20;

/// Triples of a piece of a bucket, about.
pub const PIECE_TRIPLES: u64 = 1 << 21;
/// What a command will use, and the size of its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is in memory at the peak.
    pub ledger: Ledger,
    /// Bytes for scores kept between the passes of a step.
    pub kept_bytes: u64,
    /// What a network keeps between the ways, where there is one.
    pub kept: Option<Ledger>,
    /// Partitions of the entity rows that are in memory at a time; 0: rows are read from disk.
    pub partitions_held: usize,
}

/// The sizes of a graph that a plan needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphShape {
    /// Entities.
    pub n_entities: u64,
    /// Relations.
    pub n_relations: u64,
    /// Triples of train, valid, test.
    pub n_triples: [u64; 3],
    /// True if training triples have weights.
    pub weighted: bool,
    /// About how many different queries the training triples ask, both sides; none if nobody
    /// counted.
    pub n_queries: Option<u64>,
}

impl GraphShape {
    /// Of a graph, from its headers.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn of(graph: &Snapshot) -> Result<Self, Error> {
        Ok(Self {
            n_queries: None,
            n_entities: graph.entities().len() as u64,
            n_relations: graph.relations().len() as u64,
            n_triples: [
                graph.n_triples(Split::Train)?,
                graph.n_triples(Split::Valid)?,
                graph.n_triples(Split::Test)?,
            ],
            weighted: graph.weighted(Split::Train)?,
        })
    }

    /// The same with its queries counted, in a pass over the triples, where the form groups answers
    /// by them.
    ///
    /// # Errors
    /// [`Error::File`], those of the configuration.
    pub fn with_queries(self, graph: &Snapshot, config: &Config) -> Result<Self, Error> {
        if !form::of(config)?.over_all() {
            return Ok(self);
        }
        let mut failed = None;
        let n_queries = Sampling::different(2 * self.n_triples[0], |see| {
            let both = |[head, relation, tail]: [u32; 3]| {
                see(u64::from(head) << 32 | u64::from(relation));
                see(u64::from(tail) << 32 | 1 << 31 | u64::from(relation));
            };
            failed = graph.for_each_triple(Split::Train, both).err();
        });
        match failed {
            None => Ok(Self { n_queries: Some(n_queries), ..self }),
            Some(error) => Err(error.into()),
        }
    }
}

/// Adds the program itself.
pub(crate) fn add_program(ledger: &mut Ledger, n_threads: u64) {
    let bytes = PROGRAM_BYTES + n_threads * THREAD_BYTES + FILE_BYTES;
    ledger.add("program", format!("{n_threads} threads"), "measured", bytes);
}

/// Adds what every command has: the program and the model's tables.
fn common(
    config: &Config,
    shape: &GraphShape,
    machine: &Machine,
    rows: u64,
) -> Result<(Ledger, Widths), Error> {
    let mut ledger = Ledger::default();
    let n_threads = machine.workers.n_threads() as u64;
    add_program(&mut ledger, n_threads);
    let widths = config.score_function()?.widths(config.dim);
    let relations = relation_rows(config, shape);
    let words = |rows: u64, width: usize| format!("{} × {width}", count_in_words(rows));
    let bytes = table::bytes_for(config.row_code()?, rows, widths.entity as u64);
    ledger.add("entity rows", words(rows, widths.entity), config.rows.clone(), bytes);
    let bytes = Table::bytes_for(relations, widths.relation as u64);
    ledger.add("relation rows", words(relations, widths.relation), "f32", bytes);
    if let Some([rows, width]) = core(config)? {
        ledger.add("core", words(rows, width as usize), "f32", Table::bytes_for(rows, width));
    }
    Ok((ledger, widths))
}

/// Rows and width of the core, where the score function has one.
fn core(config: &Config) -> Result<Option<[u64; 2]>, Error> {
    let function = config.score_function()?;
    let (rows, width) =
        (function.widths(config.dim).relation, function.condition_width(config.dim));
    Ok((rows != width).then_some([rows as u64, width as u64]))
}

fn relation_rows(config: &Config, shape: &GraphShape) -> u64 {
    if config.reciprocal { 2 * shape.n_relations } else { shape.n_relations }
}

/// The most entity rows that so many partitions have.
pub(crate) fn rows_held(held: usize, config: &Config, shape: &GraphShape) -> u64 {
    let n_panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
    let panels = n_panels.div_ceil(config.partitions as u64) * held as u64;
    (panels * PANEL_ROWS as u64).min(shape.n_entities)
}

/// Adds the triples that training has in memory: all, or a piece of a bucket.
fn add_triples(config: &Config, shape: &GraphShape, ledger: &mut Ledger) {
    let [n_train, n_valid, _] = shape.n_triples;
    let valid = Triples::bytes_for(n_valid, false);
    if config.partitions > 1 {
        let n_buckets = Order::new(config.partitions, config.in_memory).len() as u64;
        let bytes = valid + Buckets::bytes_for(n_buckets, n_train, PIECE_TRIPLES);
        let words = format!("{} at a time", count_in_words(n_train.min(PIECE_TRIPLES)));
        ledger.add("triples", words, "u32", bytes);
        let n_panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
        ledger.add("places of panels", count_in_words(n_panels), "u64", 64 * n_panels);
    } else {
        let bytes = valid + Triples::bytes_for(n_train, shape.weighted);
        ledger.add("triples", count_in_words(n_train + n_valid), "u32", bytes);
    }
}

/// Adds the queries of a form that groups answers by query; returns the bytes of sorting them.
fn add_queries(form: &dyn TrainingForm, shape: &GraphShape, ledger: &mut Ledger) -> u64 {
    let n = shape.n_triples[0];
    if !form.over_all() {
        return 0;
    }
    add_answers(ledger, "training queries", shape.n_entities, n, shape.weighted);
    let portions = count_in_words(2 * n);
    ledger.add("portions of answers", portions, "u32", 24 * n);
    16 * n
}

/// Adds what negatives come from.
fn add_sources(config: &Config, shape: &GraphShape, ledger: &mut Ledger) -> Result<(), Error> {
    let (sampler, n_train) = (sample::find(&config.negative_sampler)?, shape.n_triples[0]);
    match sampler.source() {
        Source::Everywhere => {}
        Source::Range => {
            let bytes = Pools::bytes_of_relations(shape.n_relations, n_train);
            ledger.add("ranges of relations", count_in_words(2 * n_train), "u32", bytes);
        }
        Source::Neighbourhood => {
            let bytes = Pools::bytes_of_neighbourhoods(shape.n_entities);
            ledger.add("neighbourhoods", count_in_words(shape.n_entities), "u32", bytes);
        }
    }
    if sampler.n_relations() > 0 {
        let bytes = Alternatives::bytes_for(shape.n_relations, n_train);
        ledger.add("like relations", count_in_words(shape.n_relations), "f64", bytes);
    }
    Ok(())
}

/// Adds known answers: while they are built, the sorted rows stand beside one side.
fn add_answers(ledger: &mut Ledger, name: &'static str, n_entities: u64, n: u64, weighted: bool) {
    let bytes = Adjacency::bytes_for(n_entities, n, weighted);
    ledger.add(name, format!("2 × {} triples", count_in_words(n)), "u32", bytes);
}

/// The plan of a training run.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn train_plan(config: &Config, shape: &GraphShape, machine: &Machine) -> Result<Plan, Error> {
    // All partitions in memory, or one beside those that are learned from, or these alone.
    let (all, here) = (config.partitions, config.in_memory);
    let mut fewer = [here + 1, here].into_iter().filter(|held| *held < all);
    let mut plan = train_plan_holding(all, config, shape, machine);
    while let Err(Error::BudgetTooSmall { .. }) = plan {
        let Some(held) = fewer.next() else { break };
        plan = train_plan_holding(held, config, shape, machine);
    }
    plan
}

/// The plan of a training run with so many partitions of the entity rows in memory.
fn train_plan_holding(
    held: usize,
    config: &Config,
    shape: &GraphShape,
    machine: &Machine,
) -> Result<Plan, Error> {
    let form = form::of(config)?;
    let rows_held = rows_held(held, config, shape);
    let (mut ledger, widths) = common(config, shape, machine, rows_held)?;
    let optimiser = optim::find(&config.optimiser)?;
    let state =
        |rows: u64, width: usize| Table::bytes_for(rows, optimiser.state_width(width) as u64);
    let rows = relation_rows(config, shape);
    let bytes = state(rows_held, widths.entity) + state(rows, widths.relation);
    ledger.add("optimiser state", config.optimiser.clone(), "f32", bytes);
    if let Some([floats, width]) = core(config)? {
        let bytes = Table::bytes_for(floats, optimiser.state_width(width as usize) as u64);
        ledger.add("core's state", config.optimiser.clone(), "f32", bytes);
        let n = rows.min(config.batch as u64);
        let bytes = 4 * conditions::floats_for(n, floats, width);
        ledger.add("conditions", format!("{} × {width}", count_in_words(n)), "f32", bytes);
    }
    let [n_train, n_valid, _] = shape.n_triples;
    add_triples(config, shape, &mut ledger);
    add_sources(config, shape, &mut ledger)?;
    let sorting = add_queries(form, shape, &mut ledger);
    let sizes = [shape.n_entities, shape.n_relations, n_train];
    let kept = encoder::design::plan(config, sizes, optimiser, &mut ledger)?;
    let n_threads = machine.workers.n_threads() as u64;
    let answers = answers(form, config, shape);
    let step = StepShape { n_entities: shape.n_entities, widths, n_threads, answers };
    // Sorting happens before the first step, ranking between steps: the larger of each counts.
    let mut ranking = Ledger::default();
    add_ranking(config, &mut ranking, (n_threads, n_valid.min(config.validation_limit as u64)))?;
    let wanted = form.most_kept_bytes(config, &step).min(KEPT_BYTES);
    let with_kept = |kept_bytes: u64| {
        let mut whole = ledger.clone();
        let mut stepping = Ledger::default();
        form.plan(config, &step, kept_bytes, &mut stepping);
        relation_prediction::plan(config, &step, rows, &mut stepping);
        let beside = ranking.total().max(sorting);
        if beside > stepping.total() {
            let more = beside - stepping.total();
            stepping.add("validation", "beyond a step's".into(), "f32", more);
        }
        whole.lines.extend(stepping.lines);
        Plan { ledger: whole, kept_bytes, kept: kept.clone(), partitions_held: held }
    };
    let plan = with_kept(wanted);
    let Some(budget) = machine.budget_bytes else { return Ok(plan) };
    if plan.ledger.total() <= budget {
        return Ok(plan);
    }
    let least = with_kept(0);
    let smallest = least.ledger.total();
    if smallest > budget {
        return Err(too_small(budget, least.ledger));
    }
    Ok(with_kept(wanted.min(budget - smallest)))
}

/// The most answers that a batch brings: one for each query, or where they are grouped as many as
/// queries have on average, at most those of a portion, and what chance adds to that.
fn answers(form: &dyn TrainingForm, config: &Config, shape: &GraphShape) -> u64 {
    /// Answers of a query that nobody counted.
    const GUESS: f64 = 16.0;
    if !form.over_all() {
        return config.batch as u64;
    }
    let (batch, n) = (config.batch as f64, 2 * shape.n_triples[0]);
    let mean = shape.n_queries.map_or(GUESS, |n_queries| n as f64 / n_queries.max(1) as f64);
    let portion = if config.answers == 0 { GUESS * mean } else { config.answers as f64 };
    let mean = mean.min(portion);
    // Numbers of up to `portion` with this mean vary by no more; three deviations.
    let chance = 3.0 * (batch * mean * portion).sqrt();
    ((batch * mean + chance).min(batch * portion) as u64).min(n)
}

fn too_small(asked: u64, ledger: Ledger) -> Error {
    Error::BudgetTooSmall { asked, smallest: ledger.total(), ledger: Box::new(ledger) }
}

/// The plan of bringing a graph in, and its room: of the budget what the program leaves, else the
/// usual.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn import_plan(machine: &Machine) -> Result<(Ledger, Room), Error> {
    let mut ledger = Ledger::default();
    // Sources are read by one thread and named by another.
    add_program(&mut ledger, 2);
    let program = ledger.total();
    let room = match machine.budget_bytes {
        Some(budget) => Room::of(budget.saturating_sub(program)),
        None => Room::default(),
    };
    let words = "names, then sorting, then a report".to_string();
    ledger.add("room for the graph", words, "at most", room.bytes());
    match machine.budget_bytes {
        Some(budget) if budget < ledger.total() => Err(too_small(budget, ledger)),
        _ => Ok((ledger, room)),
    }
}

/// The plan of an evaluation. Where entity rows do not fit, they are read from disk.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn evaluate_plan(config: &Config, graph: &Snapshot, machine: &Machine) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let n_threads = machine.workers.n_threads() as u64;
    let rest = |ledger: &mut Ledger| {
        let n: u64 = shape.n_triples.iter().sum();
        ledger.add("triples", count_in_words(n), "u32", Triples::bytes_for(n, shape.weighted));
        // Counts by entity; and of a sample of pairs these with their mirrors, then counts by
        // relation, side and entity.
        let sampled = shape.n_triples[0].min(WHOLE_TRIPLES);
        let bytes = 20 * shape.n_entities + 32 * sampled;
        ledger.add("baselines", count_in_words(sampled), "u32", bytes);
        let judged = shape.n_triples[1].max(shape.n_triples[2]);
        add_ranking(config, ledger, (n_threads, judged))
    };
    reading_plan(config, &shape, machine, &rest)
}

/// The plan of a prediction. Where entity rows do not fit, they are read from disk.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn predict_plan(config: &Config, graph: &Snapshot, machine: &Machine) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let rest = |ledger: &mut Ledger| {
        let n: u64 = shape.n_triples.iter().sum();
        ledger.add("triples", count_in_words(n), "u32", Triples::bytes_for(n, shape.weighted));
        add_ranking(config, ledger, (machine.workers.n_threads() as u64, 0))
    };
    reading_plan(config, &shape, machine, &rest)
}

/// The plan of a command that changes no row: with entity rows in memory, or on disk.
fn reading_plan(
    config: &Config,
    shape: &GraphShape,
    machine: &Machine,
    rest: &dyn Fn(&mut Ledger) -> Result<(), Error>,
) -> Result<Plan, Error> {
    let (mut ledger, _) = common(config, shape, machine, shape.n_entities)?;
    rest(&mut ledger)?;
    let plan = within(machine, ledger);
    if !matches!(plan, Err(Error::BudgetTooSmall { .. })) {
        return plan;
    }
    // A panel as it stands and decoded, for each thread, and where panels stand.
    let held = machine.workers.n_threads() as u64 * 2 * PANEL_ROWS as u64;
    let (mut ledger, _) = common(config, shape, machine, held.min(shape.n_entities))?;
    let n_panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
    ledger.add("places of panels", count_in_words(n_panels), "u64", 32 * n_panels);
    rest(&mut ledger)?;
    Ok(Plan { partitions_held: 0, ..within(machine, ledger)? })
}

fn within(machine: &Machine, ledger: Ledger) -> Result<Plan, Error> {
    match machine.budget_bytes {
        Some(budget) if budget < ledger.total() => Err(too_small(budget, ledger)),
        _ => Ok(Plan { ledger, kept_bytes: 0, kept: None, partitions_held: 1 }),
    }
}
