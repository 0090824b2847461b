//! The plans of learning, judging and asking, made before any interaction or fact is held.
//!
//! *Formula:* what stands while all else goes on, and the most of what comes one after the other.

use gossamer_machine::folder::BLOCK_BYTES;
use gossamer_machine::{Ledger, Machine};

use super::unseen::Unseen;
use super::{Settings, Shape, find, judge, needs};
use crate::error::Error;
use crate::plan::add_program;

/// The bytes of reading and learning, and of judging between steps.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn learning(shape: &Shape, settings: &Settings, machine: &Machine) -> Result<Ledger, Error> {
    within(machine, |shape| of_learning(shape, settings), shape)
}

/// The bytes of judging a run whose tables have so many, and nothing beside it.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn judging_alone(
    shape: &Shape,
    settings: &Settings,
    tables: u64,
    machine: &Machine,
) -> Result<Ledger, Error> {
    within(machine, |shape| of_judging(shape, settings, tables), shape)
}

/// The same, and of learning controls: what these are judged by stands beside what they learn from.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn judging(
    shape: &Shape,
    settings: &Settings,
    tables: u64,
    machine: &Machine,
) -> Result<Ledger, Error> {
    let of = |shape: &Shape| {
        let first = of_judging(shape, settings, tables)?;
        let mut then = of_learning(shape, settings)?;
        if needs::bytes_of_a_step(&then) == 0 {
            judge::plan(shape, &mut then);
        }
        let bytes = bytes_of_lists(shape);
        then.add("interactions to judge by", format!("{}", shape.n_all()), "u32", bytes);
        Ok(if first.total() > then.total() { first } else { then })
    };
    within(machine, of, shape)
}

/// The bytes of asking a run whose tables have so many; reasons pass over facts and hold few.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of an unknown model.
pub fn asking(
    shape: &Shape,
    settings: &Settings,
    tables: u64,
    machine: &Machine,
) -> Result<Ledger, Error> {
    let of = |shape: &Shape| {
        let mut ledger = begun(shape);
        add_tables(1, tables, &mut ledger);
        // Scores, the items that compete, in their order, those that are novel, and their facts.
        ledger.add("scores", format!("{}", shape.n_items), "f32", 24 * shape.n_items);
        find(&settings.model)?.plan_asking(shape, settings, &mut ledger);
        Ok(ledger)
    };
    within(machine, of, shape)
}

/// The program, and interactions as they are read, of which half stays.
fn begun(shape: &Shape) -> Ledger {
    let mut ledger = Ledger::default();
    add_program(&mut ledger, shape.n_threads);
    let bytes = 16 * shape.n_all() + 16 * (shape.n_users + shape.n_items);
    ledger.add("interactions", format!("{}", shape.n_all()), "u32", bytes);
    ledger
}

/// Interactions as they stand, and who users and items are.
fn bytes_of_lists(shape: &Shape) -> u64 {
    4 * shape.n_all() + 28 * shape.n_users + 4 * shape.n_items
}

/// Adds tables, so many times, and the block of their file that is being read.
fn add_tables(times: u64, bytes: u64, ledger: &mut Ledger) {
    let block = bytes.min(BLOCK_BYTES);
    let words = format!("{times} × {bytes} bytes + {block}");
    ledger.add("tables", words, "f32", times * bytes + block);
}

/// Adds facts by which items that nobody had get rows.
fn add_sharing(shape: &Shape, ledger: &mut Ledger) {
    let (n_items, n_facts) = (shape.n_items, shape.n_facts);
    let bytes = Unseen::bytes_for(n_items, shape.n_nodes(), shape.n_interactions, n_facts);
    ledger.add("facts that items share", format!("{n_facts}"), "u32", bytes);
}

fn of_learning(shape: &Shape, settings: &Settings) -> Result<Ledger, Error> {
    settings.check()?;
    let mut ledger = begun(shape);
    let standing = ledger.total();
    find(&settings.model)?.plan(shape, settings, &mut ledger);
    if settings.fills(shape)? {
        add_sharing(shape, &mut ledger);
    }
    add_validation(shape, &mut ledger);
    // Facts as they are read, and shuffled; a mark of each node while they are counted.
    let facts = if settings.reads_facts(shape)? { 16 * shape.n_facts } else { 0 };
    let read = facts.max(shape.n_nodes()).saturating_sub(ledger.total() - standing);
    if read > 0 {
        ledger.add("facts while they are read", "beyond all else".into(), "u32", read);
    }
    Ok(ledger)
}

fn of_judging(shape: &Shape, settings: &Settings, tables: u64) -> Result<Ledger, Error> {
    let mut ledger = begun(shape);
    let fills = settings.fills(shape)?;
    // With the rows of items that nobody had, without them, and with others.
    let times = if fills { 3 } else { 1 };
    add_tables(times, tables, &mut ledger);
    if fills {
        add_sharing(shape, &mut ledger);
    }
    find(&settings.model)?.plan_asking(shape, settings, &mut ledger);
    judge::plan(shape, &mut ledger);
    Ok(ledger)
}

/// Where learning goes by steps, it is judged between them: adds what that takes beyond a step's
/// arrays.
fn add_validation(shape: &Shape, ledger: &mut Ledger) {
    let of_a_step = needs::bytes_of_a_step(ledger);
    let more = judge::bytes(shape).saturating_sub(of_a_step);
    if of_a_step > 0 && more > 0 {
        ledger.add("judging", "beyond a step's".into(), "f32", more);
    }
}

/// The lines for a machine, if its budget has room for them.
fn within(
    machine: &Machine,
    of: impl FnOnce(&Shape) -> Result<Ledger, Error>,
    shape: &Shape,
) -> Result<Ledger, Error> {
    let n_threads = machine.workers.n_threads() as u64;
    let ledger = of(&Shape { n_threads, gives_back: machine.gives_back, ..*shape })?;
    let smallest = ledger.total();
    match machine.budget_bytes {
        Some(asked) if asked < smallest => {
            Err(Error::BudgetTooSmall { asked, smallest, ledger: Box::new(ledger) })
        }
        _ => Ok(ledger),
    }
}
