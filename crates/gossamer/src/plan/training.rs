//! The plan of learning: tables with their state, triples, what a step and a judgement take.
//!
//! *Not here:* what forms, networks and samplers take themselves; they are asked.

use gossamer_graph::Triples;
use gossamer_graph::buckets::Buckets;
use gossamer_machine::ledger::count_in_words;
use gossamer_machine::parallel::WAITING;
use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::optim;

use super::ranking::add_ranking;
use super::{GraphShape, Plan, THREAD_BYTES, add_answers, common, core, relation_rows, too_small};
use crate::config::Config;
use crate::error::Error;
use crate::form::alternatives::Alternatives;
use crate::form::pools::Pools;
use crate::form::step::condition_parts;
use crate::form::{self, StepShape, TrainingForm, encoder, relation_prediction};
use crate::model::conditions;
use crate::paging::deal::most_panels;
use crate::paging::order::Order;
use crate::sample;
use crate::sample::Source;
use crate::score::Widths;
use crate::table::{PANEL_ROWS, Table};

/// Most bytes for scores kept between the passes of a step, unless the budget is smaller.
const KEPT_BYTES: u64 = 32 << 20;

/// Triples of a piece of a bucket, about: a quarter more than a bucket has on average, within
/// bounds. Larger pieces would be planned and seldom filled.
pub fn piece_triples(n_triples: u64, n_buckets: u64) -> u64 {
    (5 * n_triples / (4 * n_buckets.max(1))).clamp(1 << 16, 1 << 21)
}

/// The most entity rows that so many partitions have.
pub(crate) fn rows_held(held: usize, config: &Config, shape: &GraphShape) -> u64 {
    let panels = most_panels(held, config.partitions, shape.n_entities as usize) as u64;
    (panels * PANEL_ROWS as u64).min(shape.n_entities)
}

/// Adds the triples that training has in memory: all, or a piece of a bucket.
fn add_triples(config: &Config, shape: &GraphShape, ledger: &mut Ledger) {
    let [n_train, n_valid, _] = shape.n_triples;
    let valid = Triples::bytes_for(n_valid, false);
    if config.partitions > 1 {
        let n_buckets = Order::new(config.partitions, config.in_memory).len() as u64;
        let piece = piece_triples(n_train, n_buckets);
        let bytes = valid + Buckets::bytes_for(n_buckets, n_train, piece);
        let words = format!("{} at a time", count_in_words(n_train.min(piece)));
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
    add_answers(shape, ledger);
    let counted = shape.queries.map(|queries| queries.n_portions + queries.n_portions / 16);
    let n_portions = counted.map_or(2 * n, |counted| counted.min(2 * n));
    let words = count_in_words(n_portions);
    ledger.add("portions of answers", words, "u32", 12 * n_portions);
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

/// Adds what learning has beside the tables: rows that are open, the optimiser's state, and where
/// there is a core its state and the conditions that are made of it.
fn add_learning(
    config: &Config,
    shape: &GraphShape,
    (rows_held, widths): (u64, Widths),
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let optimiser = optim::find(&config.optimiser)?;
    let state =
        |rows: u64, width: usize| Table::bytes_for(rows, optimiser.state_width(width) as u64);
    let rows = relation_rows(config, shape);
    let bytes = state(rows_held, widths.entity) + state(rows, widths.relation);
    if config.decoded {
        let rows = self::rows_held(config.in_memory, config, shape);
        let words = format!("{} × {}", count_in_words(rows), widths.entity);
        ledger.add("open rows", words, "f32", Table::bytes_for(rows, widths.entity as u64));
    }
    ledger.add("optimiser state", config.optimiser.clone(), "f32", bytes);
    if let Some([floats, width]) = core(config)? {
        let bytes = Table::bytes_for(floats, optimiser.state_width(width as usize) as u64);
        ledger.add("core's state", config.optimiser.clone(), "f32", bytes);
        let n = rows.min(config.batch as u64);
        let n_parts = condition_parts(n, config.batch as u64);
        let bytes = 4 * conditions::floats_for(n, n_parts, floats, width);
        ledger.add("conditions", format!("{} × {width}", count_in_words(n)), "f32", bytes);
    }
    Ok(())
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
    add_learning(config, shape, (rows_held, widths), &mut ledger)?;
    let [n_train, n_valid, _] = shape.n_triples;
    add_triples(config, shape, &mut ledger);
    add_sources(config, shape, &mut ledger)?;
    let sorting = add_queries(form, shape, &mut ledger);
    let sizes = [shape.n_entities, shape.n_relations, n_train];
    let optimiser = optim::find(&config.optimiser)?;
    let kept = encoder::design::plan(config, sizes, optimiser, &mut ledger)?;
    let n_threads = machine.workers.n_threads() as u64;
    let answers = answers(form, config, shape);
    let (n_entities, relation_rows) = (shape.n_entities, relation_rows(config, shape));
    let step = StepShape { n_entities, relation_rows, widths, n_threads, answers };
    if n_threads > 1 {
        add_batches(config, answers, &mut ledger);
    }
    // Sorting happens before the first step, ranking between steps: the larger of each counts.
    let mut ranking = Ledger::default();
    add_ranking(config, &mut ranking, (n_threads, n_valid.min(config.validation_limit as u64)))?;
    let wanted = form.most_kept_bytes(config, &step).min(KEPT_BYTES);
    let with_kept = |kept_bytes: u64| {
        let mut whole = ledger.clone();
        let mut stepping = Ledger::default();
        form.plan(config, &step, kept_bytes, &mut stepping);
        let given_back = form.passing_bytes(config, &step);
        relation_prediction::plan(config, &step, (relation_rows, given_back), &mut stepping);
        let beside = ranking.total().max(sorting);
        if beside > stepping.total() {
            let more = beside - stepping.total();
            stepping.add("validation", "beyond a step's".into(), "f32", more);
        }
        whole.lines.extend(stepping.lines);
        let (kept, triples_held) = (kept.clone(), config.partitions == 1);
        Plan { ledger: whole, kept_bytes, kept, partitions_held: held, triples_held }
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

/// Adds the batches that wait for their step, the one that is made, and the thread that makes them.
fn add_batches(config: &Config, answers: u64, ledger: &mut Ledger) {
    let n = 1 + WAITING as u64;
    let of_batch = 2 * (20 * config.batch as u64 + 8 * answers);
    let words = format!("{n} × {}", count_in_words(config.batch as u64));
    ledger.add("batches ahead", words, "u32", n * of_batch + THREAD_BYTES);
}

/// The most answers that a batch brings: one for each query, or where they are grouped as the
/// graph's queries have them.
fn answers(form: &dyn TrainingForm, config: &Config, shape: &GraphShape) -> u64 {
    /// Answers of a query that nobody counted.
    const GUESS: u64 = 16;
    if !form.over_all() {
        return config.batch as u64;
    }
    let batch = config.batch as u64;
    let most = match &shape.queries {
        Some(queries) => queries.most_answers(batch),
        None => batch * GUESS.min(form.portion(config) as u64),
    };
    most.min(2 * shape.n_triples[0])
}
