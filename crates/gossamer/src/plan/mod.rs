//! The plan: what will be in memory, added up before any of it is allocated.
//!
//! A plan is a [`Ledger`] of everything that is in memory at the same time at the peak of a command.
//! Where the user names a budget, blocks shrink until the sum fits, or the command is refused with the
//! sum.
//!
//! *Invariant:* the size of blocks never changes a result, only its time.

use gossamer_graph::{Adjacency, Room, Snapshot, Split};
use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Ledger, Machine};

use self::queries::Queries;
use crate::config::Config;
use crate::error::Error;
use crate::form;
use crate::score::Widths;
use crate::table::{self, Table};

pub mod queries;
pub mod ranking;
mod training;
mod reading;

pub use reading::{bits_plan, evaluate_plan, export_plan, facts_plan, predict_plan};
pub(crate) use training::rows_held;
pub use training::{piece_triples, train_plan};

/// Resident bytes of the program itself: text, the runtime and what a thread touches of its stack
/// and of the allocator's arenas; measured on Linux, rounded up. Text not optimised is longer, and
/// more of it is mapped the more of it the system has at hand.
const PROGRAM_BYTES: u64 = if cfg!(debug_assertions) { 11 << 20 } else { 9 << 20 };
/// The same, for each thread.
const THREAD_BYTES: u64 = 1 << 19;
/// Buffers of reading and writing files.
const FILE_BYTES: u64 = 2 << 20;

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
    /// True if training triples are in memory, all of them; else they are read from disk.
    pub triples_held: bool,
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
    /// What the training triples ask, both sides; none if nobody counted.
    pub queries: Option<Queries>,
}

impl GraphShape {
    /// The most queries there may be, where they were counted.
    fn most_queries(&self) -> Option<u64> {
        // Of large graphs some are counted: the count is within some hundredths.
        self.queries.map(|queries| queries.n + queries.n / 16)
    }

    /// Of a graph, from its headers.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn of(graph: &Snapshot) -> Result<Self, Error> {
        Ok(Self {
            queries: None,
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
        let form = form::of(config)?;
        if !form.over_all() {
            return Ok(self);
        }
        let mut failed = None;
        let most = form.portion(config);
        let queries = Queries::count(2 * self.n_triples[0], most, |see| {
            let both = |[head, relation, tail]: [u32; 3]| {
                see(u64::from(head) << 32 | u64::from(relation));
                see(u64::from(tail) << 32 | 1 << 31 | u64::from(relation));
            };
            failed = graph.for_each_triple(Split::Train, both).err();
        });
        match failed {
            None => Ok(Self { queries: Some(queries), ..self }),
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

/// Adds known answers: while they are built, the sorted rows stand beside one side.
fn add_answers(shape: &GraphShape, ledger: &mut Ledger) {
    let n = shape.n_triples[0];
    let bytes = Adjacency::bytes_for(shape.n_entities, n, shape.most_queries(), shape.weighted);
    let words = format!("2 × {} triples", count_in_words(n));
    ledger.add("training queries", words, "u32", bytes);
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

fn within(machine: &Machine, ledger: Ledger) -> Result<Plan, Error> {
    match machine.budget_bytes {
        Some(budget) if budget < ledger.total() => Err(too_small(budget, ledger)),
        _ => Ok(Plan { ledger, kept_bytes: 0, kept: None, partitions_held: 1, triples_held: true }),
    }
}
