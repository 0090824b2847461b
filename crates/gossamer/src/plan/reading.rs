//! The plans of commands that change no row: judging, asking, counting bits.
//!
//! What does not fit of training triples and entity rows is read from disk.

use gossamer_graph::sampling::Sampling;
use gossamer_graph::{Snapshot, Triples};
use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Ledger, Machine};

use super::ranking::{TRIPLES_READ, add_ranking};
use super::{GraphShape, Plan, add_answers, add_program, common, within};
use crate::config::Config;
use crate::error::Error;
use crate::table::PANEL_ROWS;

/// Bytes that small arrays leave behind as they come and go.
const LEFT_BEHIND: u64 = 1 << 20;

/// The plan of an evaluation of so many triples at most; none: of all in the larger held-out
/// split. What does not fit is read from disk.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn evaluate_plan(
    config: &Config,
    graph: &Snapshot,
    n_judged: Option<u64>,
    machine: &Machine,
) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let n_threads = machine.workers.n_threads() as u64;
    let rest = |ledger: &mut Ledger| {
        // Pairs of a sample and the entities of its tails, beside counts by entity; what the rules
        // make of these later, a side at a time, is less.
        let sampled = Sampling::of(shape.n_triples[0]).chosen(shape.n_triples[0]);
        let judged = n_judged.unwrap_or(shape.n_triples[1].max(shape.n_triples[2]));
        // Beside the model's ranks those of rules.
        let counted = 20 * sampled + sampled.min(LEFT_BEHIND) + 4 * shape.n_entities;
        let passing = add_ranking(config, ledger, (n_threads, judged))?;
        // What ranking gave back is there for counting.
        let bytes = 80 * judged + counted.saturating_sub(passing);
        ledger.add("baselines", count_in_words(sampled), "u32", bytes);
        Ok(())
    };
    reading_plan(config, &shape, machine, &rest)
}

/// The plan of counting the bits about training triples that tables store.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn bits_plan(config: &Config, graph: &Snapshot, machine: &Machine) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let rest = |ledger: &mut Ledger| {
        add_answers(&shape, ledger);
        // What was judged before stands beside.
        let held_out = shape.n_triples[1].max(shape.n_triples[2]);
        ledger.add("ranks before", count_in_words(held_out), "u32", 64 * held_out);
        add_ranking(config, ledger, (machine.workers.n_threads() as u64, 0)).map(|_| ())
    };
    let plan = reading_plan_holding([true, true], config, &shape, machine, &rest);
    match plan {
        Err(Error::BudgetTooSmall { .. }) => {
            reading_plan_holding([false, true], config, &shape, machine, &rest)
        }
        plan => plan,
    }
}

/// The plan of a prediction. What does not fit is read from disk.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn predict_plan(config: &Config, graph: &Snapshot, machine: &Machine) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let n_threads = machine.workers.n_threads() as u64;
    let rest = |ledger: &mut Ledger| add_ranking(config, ledger, (n_threads, 0)).map(|_| ());
    reading_plan(config, &shape, machine, &rest)
}

/// The plan of taking rows out, a panel at a time; `beside` says what a format holds beside rows of
/// some floats.
///
/// # Errors
/// [`Error::BudgetTooSmall`].
pub fn export_plan(
    config: &Config,
    graph: &Snapshot,
    beside: impl Fn(u64) -> u64,
    machine: &Machine,
) -> Result<Plan, Error> {
    let shape = GraphShape::of(graph)?;
    let rows = (2 * PANEL_ROWS as u64).min(shape.n_entities);
    let (mut ledger, widths) = common(config, &shape, machine, rows)?;
    let width = widths.entity as u64;
    let n_panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
    ledger.add("places of panels", count_in_words(n_panels), "u64", 32 * n_panels);
    // Floats of a panel, where it stands as codes.
    ledger.add("a panel's floats", format!("{PANEL_ROWS} × {width}"), "f32", 4 * rows * width);
    let beside = beside(width);
    if beside > 0 {
        ledger.add("a group of rows", format!("{width} floats"), "parquet", beside);
    }
    within(machine, ledger)
}

/// The plan of taking facts out under their names.
///
/// # Errors
/// [`Error::BudgetTooSmall`], those of files of names.
pub fn facts_plan(graph: &Snapshot, machine: &Machine) -> Result<Plan, Error> {
    let mut ledger = Ledger::default();
    add_program(&mut ledger, machine.workers.n_threads() as u64);
    let words = count_in_words(graph.entities().len() as u64);
    ledger.add("names", words, "text", gossamer_graph::write::bytes_for(graph)?);
    within(machine, ledger)
}

/// The plan of a command that changes no row: with as much in memory as there is room for.
fn reading_plan(
    config: &Config,
    shape: &GraphShape,
    machine: &Machine,
    rest: &dyn Fn(&mut Ledger) -> Result<(), Error>,
) -> Result<Plan, Error> {
    let mut plan = reading_plan_holding([true, true], config, shape, machine, rest);
    // Triples are passed over once for thousands of queries, rows once for each block of them.
    for held in [[true, false], [false, true], [false, false]] {
        if !matches!(plan, Err(Error::BudgetTooSmall { .. })) {
            break;
        }
        plan = reading_plan_holding(held, config, shape, machine, rest);
    }
    plan
}

/// The same with entity rows, and with training triples, in memory or on disk.
fn reading_plan_holding(
    [rows_held, triples_held]: [bool; 2],
    config: &Config,
    shape: &GraphShape,
    machine: &Machine,
    rest: &dyn Fn(&mut Ledger) -> Result<(), Error>,
) -> Result<Plan, Error> {
    let n_threads = machine.workers.n_threads() as u64;
    // A panel as it stands and decoded, for each thread, and where panels stand.
    let panels = (n_threads * 2 * PANEL_ROWS as u64).min(shape.n_entities);
    let rows = if rows_held { shape.n_entities } else { panels };
    let (mut ledger, _) = common(config, shape, machine, rows)?;
    if !rows_held {
        let n_panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
        ledger.add("places of panels", count_in_words(n_panels), "u64", 32 * n_panels);
    }
    let [n_train, n_valid, n_test] = shape.n_triples;
    // As they stand on disk, and as triples.
    let read = (n_threads * 2 * TRIPLES_READ as u64).min(n_train);
    let n = n_valid + n_test + if triples_held { n_train } else { read };
    ledger.add("triples", count_in_words(n), "u32", Triples::bytes_for(n, shape.weighted));
    rest(&mut ledger)?;
    let plan = within(machine, ledger)?;
    Ok(Plan { partitions_held: usize::from(rows_held), triples_held, ..plan })
}
