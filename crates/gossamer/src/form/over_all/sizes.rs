//! Bytes of a step over all entities, or over drawn ones.

use gossamer_machine::{Buffers, Ledger};
use gossamer_tensor::kernel::Similarity;

use super::field::GROUPS;
use crate::config::{Config, Precision};
use crate::form::StepShape;
use crate::form::step::condition_parts;
use crate::score::{self, Widths};
use crate::table::PANEL_ROWS;

/// The panels that are held against a batch: at most so many, of at most so many rows.
#[derive(Clone, Copy)]
pub struct Panels {
    /// Panels.
    pub n: u64,
    /// Rows of one.
    pub rows: u64,
}

impl Panels {
    /// Those of all entities.
    pub fn of_all(shape: &StepShape) -> Self {
        Self { n: shape.n_entities.div_ceil(PANEL_ROWS as u64), rows: PANEL_ROWS as u64 }
    }
}

/// Adds a step's buffers to a plan.
pub fn plan(
    config: &Config,
    shape: &StepShape,
    panels: Panels,
    kept_bytes: u64,
    ledger: &mut Ledger,
) {
    let batch = config.batch as u64;
    let width = shape.widths.query as u64;
    let words = format!("{} × {}", config.batch, shape.widths.query);
    // Queries, packed and plain, and their gradient; beside them lists of ids, sorted.
    ledger.add("queries", words.clone(), "f32", 4 * batch * (3 * width + 16) + 24 * shape.answers);
    let groups = panels.n.min(GROUPS as u64);
    let bytes = sums_bytes(config, shape, panels);
    ledger.add("query sums", format!("{groups} × {words}"), "f32", bytes);
    ledger.add("kept scores", format!("{} × entities", config.batch), "f32", kept_bytes);
    let words = format!("{} × {} × {}", shape.n_threads, config.batch, panels.rows);
    ledger.add("panel of scores", words, "f32", scratch_bytes(config, shape, panels));
}

/// Bytes of the sums of queries' gradients, which pass before relations are predicted; gradients of
/// known entities and of relations come after them, in their memory.
pub fn sums_bytes(config: &Config, shape: &StepShape, panels: Panels) -> u64 {
    let (batch, groups) = (config.batch as u64, panels.n.min(GROUPS as u64));
    let query = Buffers::roomy(config.batch * shape.widths.query) as u64;
    let sums = groups * query + 8 * groups * batch;
    (4 * sums).max(folded_bytes(config, shape))
}

/// Bytes of the gradients of known entities and of relations, which a batch's are folded back to.
pub fn folded_bytes(config: &Config, shape: &StepShape) -> u64 {
    let Widths { entity, relation, .. } = shape.widths;
    let parts = condition_parts(shape.relation_rows, config.batch as u64) as usize;
    let roomy = |floats: usize| Buffers::roomy(floats) as u64;
    4 * (roomy(config.batch * entity) + roomy(parts * relation))
}

/// Bytes of the threads' scratch.
pub fn scratch_bytes(config: &Config, shape: &StepShape, panels: Panels) -> u64 {
    let (batch, panel) = (config.batch as u64, 4 * panels.rows);
    let is_product = score::find(&config.model).is_ok_and(|f| f.similarity() == Similarity::Dot);
    // Scores, what the loss makes of them, and for distances scores as they were and derivatives.
    let blocks = if is_product { 2 } else { 4 };
    // Rows, decoded, packed and changed; queries, packed. What is packed and changed by waits for
    // the next step.
    let Widths { entity, query, .. } = shape.widths;
    let waiting = |rows: usize, width: usize| 4 * Buffers::roomy(rows * width) as u64;
    let packed = 2 * waiting(panels.rows as usize, entity) + waiting(config.batch, query);
    shape.n_threads * (panel * (blocks * batch + entity as u64) + packed)
}

/// Bytes of all that a loss makes of a batch's scores.
pub fn most_kept_bytes(config: &Config, shape: &StepShape) -> u64 {
    4 * config.batch as u64
        * Panels::of_all(shape).n
        * (words_of(config.precision, PANEL_ROWS) as u64 + 1)
}

/// Words of 32 bits that a query's values of so many rows take.
fn words_of(precision: Precision, rows: usize) -> usize {
    match precision {
        Precision::F32 => rows,
        Precision::Bf16 => rows.div_ceil(2),
    }
}
