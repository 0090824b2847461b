//! A batch against all entities: what 1-vs-all and k-vs-all share.
//!
//! Three passes over the panels of entities: (1) scores, what the loss makes of them, and sums,
//! (2) the queries' gradient, (3) each panel's rows get their gradient and are changed. The first
//! panels' values are kept between the passes as far as the plan allows; the others are computed
//! again, with the same bits. With label smoothing ε an answer's label is 1 − ε of its weight, and
//! every entity's has ε/N of the query's weight more.
//!
//! Cost: 6·N·width floating-point operations per query with kept scores, 10 without.
//! *Invariant:* no gradient of entities × width exists, and no scores of queries × entities beyond
//! the planned bytes.

use std::ops::Range;

use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::kernel::logistic::sigmoid_row;
use gossamer_tensor::kernel::similarity::{Block, Columns, Similarity};
use gossamer_tensor::kernel::softmax::{LogSumExp, exp, exp_row};
use gossamer_tensor::kernel::vector;

use super::StepShape;
use crate::config::Config;
use crate::form::batch::Batch;
use crate::form::step::{Kept, Learner, Recipe, Scored, StepLoss, finish};
use crate::loss::OverAll;
use crate::model::Model;
use crate::table::{PANEL_ROWS, Panel, Part, Table};

/// Ranges of panels whose sums are made one after the other; their number fixes the order of
/// addition, whatever the threads.
const GROUPS: usize = 16;

/// Learns from a batch.
///
/// A loss that is not taken over all entities does nothing here; [`super::of`] refuses it before.
pub fn step(
    learner: &mut Learner,
    batch: &Batch,
    recipe: &Recipe<'_>,
    machine: &Machine,
) -> StepLoss {
    let Some(over_all) = recipe.loss.over_all() else { return StepLoss::default() };
    let mut kept = std::mem::take(&mut learner.kept);
    let mut pass = Pass::new(&learner.model, machine, batch, (over_all, recipe.label_smoothing));
    pass.fit(&mut kept, &learner.model.entities, recipe.kept_bytes);
    let loss = pass.forward(&learner.model.entities, &mut kept);
    let query_gradient = pass.query_gradient(&learner.model.entities, &mut kept);
    let gradient = |scratch: &mut Scratch, part: &Part<'_>, out: &mut [f32]| {
        let panel = Panel { first: part.ids[0], rows: part.rows };
        let block = match kept.get(part.panel) {
            Some(kept) => pass.block(panel, &[], &kept.values),
            None => pass.recompute(panel, scratch),
        };
        pass.similarity.add_row_gradient(machine.instruction_set, &block, out);
    };
    let queries = &pass.queries;
    let (candidates, scratch, gradient) = (None, &Scratch::default, &gradient);
    let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
    let loss = finish(learner, recipe, machine, batch, scored);
    learner.kept = kept;
    loss
}

/// Adds the buffers of a step to a plan.
pub fn plan(config: &Config, shape: &StepShape, kept_bytes: u64, ledger: &mut Ledger) {
    let batch = config.batch as u64;
    let width = shape.widths.query as u64;
    let words = format!("{} × {}", config.batch, shape.widths.query);
    // Queries, their gradient, the known rows' and the relations' gradients, and sums of these.
    let rows = 2 * width + 2 * (shape.widths.entity + shape.widths.relation) as u64;
    ledger.add("queries", words.clone(), "f32", 4 * batch * rows + 24 * shape.answers);
    let groups = GROUPS as u64 * batch * (width + 8) * 4;
    ledger.add("query sums", format!("{GROUPS} × {words}"), "f32", groups);
    ledger.add("kept scores", format!("{} × entities", config.batch), "f32", kept_bytes);
    let panel = 4 * PANEL_ROWS as u64;
    let scratch = panel * (2 * batch + 2 * shape.widths.entity as u64) + packing(width, batch);
    let words = format!("{} × {} × {PANEL_ROWS}", shape.n_threads, config.batch);
    ledger.add("panel of scores", words, "f32", shape.n_threads * scratch);
}

/// Bytes of all scores of a batch.
pub fn most_kept_bytes(config: &Config, shape: &StepShape) -> u64 {
    let panels = shape.n_entities.div_ceil(PANEL_ROWS as u64);
    4 * config.batch as u64 * panels * (PANEL_ROWS as u64 + 1)
}

/// What the matrix product packs of its operands, per call.
fn packing(width: u64, batch: u64) -> u64 {
    4 * (PANEL_ROWS as u64 + batch) * width.max(PANEL_ROWS as u64)
}

/// A thread's scores and coefficients of one panel.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    coefficients: Vec<f32>,
}

/// The three passes of a step over one batch.
struct Pass<'a> {
    machine: &'a Machine,
    batch: &'a Batch,
    similarity: Similarity,
    columns: Columns,
    queries: Vec<f32>,
    over_all: OverAll,
    /// Part of each label that is spread over all entities, and over how many.
    smoothing: f32,
    n_entities: f32,
    /// Softmax: the log of each query's sum of exponentials.
    log_z: Vec<f32>,
}

/// What a loss says of one query's scores in a panel.
enum Outcome {
    Softmax(LogSumExp),
    Softplus(f32),
}

/// What one group of panels found in the first pass.
struct Group<'a> {
    panels: Range<usize>,
    kept: &'a mut [Kept],
    /// Softmax: the sums of exponentials.
    sums: Vec<LogSumExp>,
    /// Sigmoids: the sums of ln(1 + eˢ).
    softplus: Vec<f64>,
    /// Weighted scores of the queries' answers.
    hits: Vec<f64>,
    /// With label smoothing, the sum of all scores.
    totals: Vec<f64>,
}

impl<'a> Pass<'a> {
    fn new(
        model: &Model,
        machine: &'a Machine,
        batch: &'a Batch,
        (over_all, smoothing): (OverAll, f32),
    ) -> Self {
        let columns = model.columns();
        let width = columns.width;
        let mut queries = vec![0.0; batch.len() * width];
        model.fold(&batch.asked, &mut queries);
        let similarity = model.function.similarity();
        let (n_entities, log_z) = (model.entities.n_rows() as f32, Vec::new());
        Self {
            machine,
            batch,
            similarity,
            columns,
            queries,
            over_all,
            smoothing,
            n_entities,
            log_z,
        }
    }

    /// Makes room for the first panels, as many as fit into `bytes`.
    fn fit(&self, kept: &mut Vec<Kept>, table: &Table, bytes: u64) {
        let panel_bytes = 4 * (self.batch.len() * (PANEL_ROWS + 1)).max(1) as u64;
        let fitting = (bytes / panel_bytes).min(table.n_panels() as u64) as usize;
        // Where the backward pass reads the scores themselves, exponentials are no use.
        kept.resize_with(if self.similarity.needs_scores() { 0 } else { fitting }, Kept::default);
        for (panel, kept) in kept.iter_mut().enumerate() {
            kept.values
                .resize(self.batch.len() * table.panel(panel).rows.len() / self.columns.width, 0.0);
            kept.maxima.resize(self.batch.len(), 0.0);
        }
    }

    /// The panels of each group, with the kept ones among them.
    fn groups(table: &Table, mut kept: &'a mut [Kept]) -> Vec<(Range<usize>, &'a mut [Kept])> {
        let n_panels = table.n_panels();
        let mut groups = Vec::with_capacity(GROUPS);
        for group in 0..GROUPS {
            let panels = n_panels * group / GROUPS..n_panels * (group + 1) / GROUPS;
            let (own, later) = kept.split_at_mut(panels.len().min(kept.len()));
            kept = later;
            groups.push((panels, own));
        }
        groups
    }

    /// Scores everything once: keeps what the loss makes of the scores, and returns the loss.
    fn forward(&mut self, table: &Table, kept: &mut [Kept]) -> f64 {
        let n_queries = self.batch.len();
        let zeros = || vec![0.0; n_queries];
        let mut groups: Vec<Group<'_>> = Pass::groups(table, kept)
            .into_iter()
            .map(|(panels, kept)| {
                let sums = vec![LogSumExp::EMPTY; n_queries];
                Group { panels, kept, sums, softplus: zeros(), hits: zeros(), totals: zeros() }
            })
            .collect();
        let tasks = groups.iter_mut().collect();
        self.machine.workers.each_with(tasks, Kept::default, |scratch, group| {
            for (place, index) in group.panels.clone().enumerate() {
                let panel = table.panel(index);
                scratch.values.resize(n_queries * panel.rows.len() / self.columns.width, 0.0);
                scratch.maxima.resize(n_queries, 0.0);
                let Kept { values, maxima } = group.kept.get_mut(place).unwrap_or(scratch);
                self.score(panel, values, Some((&mut group.hits, &mut group.totals)));
                for (query, outcome) in self.transform(values, maxima).enumerate() {
                    match outcome {
                        Outcome::Softmax(sum) => {
                            group.sums[query] = group.sums[query].join(sum);
                        }
                        Outcome::Softplus(sum) => group.softplus[query] += f64::from(sum),
                    }
                }
            }
        });
        let (smoothing, mut loss) = (f64::from(self.smoothing), 0.0);
        for query in 0..n_queries {
            let sums = groups.iter().map(|group| group.sums[query]);
            let log_z = sums.fold(LogSumExp::EMPTY, LogSumExp::join).value();
            let sum = |of: fn(&Group<'_>, usize) -> f64| -> f64 {
                groups.iter().map(|group| of(group, query)).sum()
            };
            let against = match self.over_all {
                OverAll::Softmax => f64::from(log_z),
                OverAll::Sigmoids => sum(|group, query| group.softplus[query]),
            };
            self.log_z.push(log_z);
            let spread = sum(|group, query| group.totals[query]) / f64::from(self.n_entities);
            let mass = f64::from(self.batch.masses[query]);
            let hits = (1.0 - smoothing) * sum(|group, query| group.hits[query]);
            loss += mass * (against - smoothing * spread) - hits;
        }
        loss
    }

    /// Fills `values` with the scores of a panel, and adds those of answers to the first of
    /// `sums`, with label smoothing those of all to the second.
    fn score(
        &self,
        panel: Panel<'_>,
        values: &mut [f32],
        sums: Option<(&mut Vec<f64>, &mut Vec<f64>)>,
    ) {
        let isa = self.machine.instruction_set;
        self.similarity.scores(isa, &self.queries, panel.rows, self.columns, values);
        let n = panel.rows.len() / self.columns.width;
        let Some((hits, totals)) = sums else { return };
        for (query, (hit, total)) in hits.iter_mut().zip(totals).enumerate() {
            let scores = &values[query * n..][..n];
            for (answer, weight) in self.batch.answers_in(query, panel.first, n) {
                *hit += f64::from(weight) * f64::from(scores[(answer - panel.first) as usize]);
            }
            if self.smoothing > 0.0 {
                *total += scores.iter().map(|score| f64::from(*score)).sum::<f64>();
            }
        }
    }

    /// Turns each query's scores into what the loss makes of them: e^(score − their largest), or
    /// sigmoids. Yields their sums, in order.
    fn transform<'v>(
        &self,
        values: &'v mut [f32],
        maxima: &'v mut [f32],
    ) -> impl Iterator<Item = Outcome> + 'v {
        let (isa, over_all) = (self.machine.instruction_set, self.over_all);
        let n = values.len() / self.batch.len();
        values.chunks_exact_mut(n).zip(maxima).map(move |(row, max)| match over_all {
            OverAll::Softmax => {
                let sum = exp_row(isa, row);
                *max = sum.max;
                Outcome::Softmax(sum)
            }
            OverAll::Sigmoids => Outcome::Softplus(sigmoid_row(isa, row)),
        })
    }

    /// Turns what [`transform`](Self::transform) left into the derivatives of the loss by the
    /// scores.
    fn coefficients(&self, first: u32, values: &mut [f32], maxima: &[f32]) {
        let n = values.len() / self.batch.len();
        let scale = 1.0 / self.batch.total;
        for (query, row) in values.chunks_exact_mut(n).enumerate() {
            let mass = self.batch.masses[query] * scale;
            let factor = match self.over_all {
                OverAll::Softmax => mass * exp(maxima[query] - self.log_z[query]),
                OverAll::Sigmoids => mass,
            };
            vector::scale(self.machine.instruction_set, row, factor);
            if self.smoothing > 0.0 {
                let spread = mass * self.smoothing / self.n_entities;
                row.iter_mut().for_each(|coefficient| *coefficient -= spread);
            }
            for (answer, weight) in self.batch.answers_in(query, first, n) {
                row[(answer - first) as usize] -= (1.0 - self.smoothing) * weight * scale;
            }
        }
    }

    fn block<'b>(
        &'b self,
        panel: Panel<'b>,
        scores: &'b [f32],
        coefficients: &'b [f32],
    ) -> Block<'b> {
        let (queries, columns) = (&self.queries[..], self.columns);
        Block { queries, rows: panel.rows, columns, scores, coefficients }
    }

    /// The block of a panel that was not kept: the same steps again, the same bits.
    fn recompute<'b>(&'b self, panel: Panel<'b>, scratch: &'b mut Scratch) -> Block<'b> {
        let n_scores = self.batch.len() * panel.rows.len() / self.columns.width;
        let Scratch { scores, coefficients } = scratch;
        coefficients.resize(n_scores, 0.0);
        self.score(panel, coefficients, None);
        scores.clear();
        if self.similarity.needs_scores() {
            scores.extend_from_slice(coefficients);
        }
        let mut maxima = vec![0.0; self.batch.len()];
        self.transform(coefficients, &mut maxima).for_each(drop);
        self.coefficients(panel.first, coefficients, &maxima);
        self.block(panel, scores, coefficients)
    }

    /// ∂loss/∂queries: groups of panels in parallel, summed in the order of groups. Kept
    /// exponentials become coefficients.
    fn query_gradient(&self, table: &Table, kept: &mut [Kept]) -> Vec<f32> {
        let isa = self.machine.instruction_set;
        let mut parts: Vec<Vec<f32>> = vec![Vec::new(); GROUPS];
        let tasks = Pass::groups(table, kept).into_iter().zip(&mut parts).collect();
        self.machine.workers.each_with(
            tasks,
            Scratch::default,
            |scratch, ((panels, kept), sum)| {
                sum.resize(self.queries.len(), 0.0);
                for (place, index) in panels.enumerate() {
                    let panel = table.panel(index);
                    let block = match kept.get_mut(place) {
                        Some(Kept { values, maxima }) => {
                            self.coefficients(panel.first, values, maxima);
                            self.block(panel, &[], values)
                        }
                        None => self.recompute(panel, scratch),
                    };
                    self.similarity.add_query_gradient(isa, &block, sum);
                }
            },
        );
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_default();
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    }
}
