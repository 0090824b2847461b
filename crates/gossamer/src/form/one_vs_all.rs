//! 1-vs-all: a query's answers against all entities, by softmax.
//!
//! Equal queries of a batch are scored once, with their answers' weights summed; the loss is
//! exactly that of one softmax per triple. Three passes over the panels of entities: (1) scores and
//! their log-sum-exp, (2) the queries' gradient, (3) each panel's rows get their gradient and are
//! changed. Scores of the first panels are kept between the passes as far as the plan allows; the
//! others are computed again, with the same bits.
//!
//! Cost: 6·N·width floating-point operations per query with kept scores, 10 without.
//! *Invariant:* no gradient of entities × width exists, and no scores of queries × entities beyond
//! the planned bytes.
//! *Paper:* Lacroix et al. (2018).

use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::kernel::similarity::Block;
use gossamer_tensor::kernel::softmax::{LogSumExp, exp_scaled, log_sum_exp};

use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Recipe, Scored, StepLoss, finish};
use crate::model::Model;
use crate::table::{PANEL_ROWS, Panel, Part, Table};

/// Ranges of panels whose sums are made one after the other; their number fixes the order of
/// addition, whatever the threads.
const GROUPS: usize = 16;

/// 1-vs-all.
#[derive(Debug)]
pub struct OneVsAll;

impl TrainingForm for OneVsAll {
    fn name(&self) -> &'static str {
        "1-vs-all"
    }
    fn summary(&self) -> &'static str {
        "every answer against all entities; best quality on graphs of up to a few 100,000 entities"
    }
    fn formula(&self) -> &'static str {
        "−Σ w·log softmax(scores over all entities)[answer], over Σ w"
    }
    fn paper(&self) -> &'static str {
        "Lacroix, Usunier, Obozinski (ICML 2018); Kadlec et al. (2017)"
    }
    fn over_all(&self) -> bool {
        true
    }
    fn n_items(&self, examples: Examples<'_>) -> u64 {
        examples.portions.len() as u64
    }

    fn step(
        &self,
        learner: &mut Learner,
        examples: Examples<'_>,
        items: &[u64],
        recipe: &Recipe<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let batch = Batch::of_portions(examples, items);
        let mut kept = std::mem::take(&mut learner.kept);
        let mut pass = Pass::new(&learner.model, machine, &batch);
        fit_panels(&mut kept, &learner.model.entities, batch.len(), recipe.kept_bytes);
        let loss = pass.forward(&learner.model.entities, &mut kept);
        let query_gradient = pass.query_gradient(&learner.model.entities, &kept);
        let gradient = |scratch: &mut Scratch, part: &Part<'_>, out: &mut [f32]| {
            let panel = Panel { first: part.ids[0], rows: part.rows };
            pass.with_coefficients(part.panel, panel, &kept, scratch, |similarity, block| {
                similarity.add_row_gradient(machine.instruction_set, block, out);
            });
        };
        let scratch = Scratch::default;
        let (candidates, scratch, gradient) = (None, &scratch, &gradient);
        let scored = Scored { loss, query_gradient, candidates, scratch, gradient };
        let loss = finish(learner, recipe, machine, &batch, scored);
        learner.kept = kept;
        loss
    }

    fn plan(&self, config: &Config, shape: &StepShape, kept_bytes: u64, ledger: &mut Ledger) {
        let batch = config.batch as u64;
        let width = shape.widths.query as u64;
        let words = format!("{} × {}", config.batch, shape.widths.query);
        // Queries, their gradient, the known rows' and the relations' gradients, and sums of these.
        let rows = 2 * width + 2 * (shape.widths.entity + shape.widths.relation) as u64;
        ledger.add("queries", words.clone(), "f32", 4 * batch * rows + 24 * shape.answers);
        let groups = GROUPS as u64 * batch * (width + 2) * 4;
        ledger.add("query sums", format!("{GROUPS} × {words}"), "f32", groups);
        ledger.add("kept scores", format!("{} × entities", config.batch), "f32", kept_bytes);
        let panel = 4 * PANEL_ROWS as u64;
        let scratch = panel * (2 * batch + 2 * shape.widths.entity as u64) + packing(width, batch);
        let words = format!("{} × {} × {PANEL_ROWS}", shape.n_threads, config.batch);
        ledger.add("panel of scores", words, "f32", shape.n_threads * scratch);
    }

    fn most_kept_bytes(&self, config: &Config, shape: &StepShape) -> u64 {
        4 * config.batch as u64 * shape.n_entities.next_multiple_of(PANEL_ROWS as u64)
    }
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

/// Makes room for the scores of the first panels, as many as fit into `bytes`.
fn fit_panels(kept: &mut Vec<Vec<f32>>, table: &Table, n_queries: usize, bytes: u64) {
    let panel_bytes = 4 * (n_queries * PANEL_ROWS).max(1) as u64;
    let n = (bytes / panel_bytes).min(table.n_panels() as u64) as usize;
    kept.resize_with(n, Vec::new);
    for (panel, scores) in kept.iter_mut().enumerate() {
        scores.resize(n_queries * table.panel(panel).rows.len() / table.width(), 0.0);
    }
}

/// The three passes of a step over one batch.
struct Pass<'a> {
    machine: &'a Machine,
    batch: &'a Batch,
    similarity: gossamer_tensor::kernel::Similarity,
    width: usize,
    queries: Vec<f32>,
    log_z: Vec<f32>,
}

impl<'a> Pass<'a> {
    fn new(model: &Model, machine: &'a Machine, batch: &'a Batch) -> Self {
        let width = model.query_width();
        let mut queries = vec![0.0; batch.len() * width];
        model.fold(&batch.asked, &mut queries);
        let similarity = model.function.similarity();
        Self { machine, batch, similarity, width, queries, log_z: Vec::new() }
    }

    /// The panels of a group.
    fn group(n_panels: usize, group: usize) -> std::ops::Range<usize> {
        n_panels * group / GROUPS..n_panels * (group + 1) / GROUPS
    }

    /// Scores everything once: fills `kept` and the queries' log-sum-exp, returns the loss.
    fn forward(&mut self, table: &Table, kept: &mut [Vec<f32>]) -> f64 {
        let n_queries = self.batch.len();
        let mut rest = kept;
        let mut tasks = Vec::new();
        for group in 0..GROUPS {
            let panels = Self::group(table.n_panels(), group);
            let (own, later) = rest.split_at_mut(panels.len().min(rest.len()));
            rest = later;
            tasks.push((panels, own, vec![LogSumExp::EMPTY; n_queries], vec![0.0f64; n_queries]));
        }
        let isa = self.machine.instruction_set;
        self.machine.workers.each_with(
            tasks.iter_mut().collect(),
            Vec::new,
            |scratch: &mut Vec<f32>, (panels, kept, sums, hits)| {
                for (place, index) in panels.clone().enumerate() {
                    let panel = table.panel(index);
                    let n = panel.rows.len() / self.width;
                    scratch.resize(n_queries * n, 0.0);
                    let scores = kept.get_mut(place).map_or(&mut scratch[..], |kept| &mut kept[..]);
                    self.similarity.scores(isa, &self.queries, panel.rows, self.width, scores);
                    for (query, row) in scores.chunks_exact(n).enumerate() {
                        sums[query] = sums[query].join(log_sum_exp(isa, row));
                        for (answer, weight) in self.batch.answers_in(query, panel.first, n) {
                            let score = row[(answer - panel.first) as usize];
                            hits[query] += f64::from(weight) * f64::from(score);
                        }
                    }
                }
            },
        );
        let mut loss = 0.0;
        for query in 0..n_queries {
            let sum = tasks.iter().fold(LogSumExp::EMPTY, |sum, task| sum.join(task.2[query]));
            let hit: f64 = tasks.iter().map(|task| task.3[query]).sum();
            self.log_z.push(sum.value());
            loss += f64::from(self.batch.masses[query]) * f64::from(sum.value()) - hit;
        }
        loss
    }

    /// Hands the block of a panel, with its coefficients, to `then`.
    fn with_coefficients(
        &self,
        index: usize,
        panel: Panel<'_>,
        kept: &[Vec<f32>],
        scratch: &mut Scratch,
        then: impl FnOnce(gossamer_tensor::kernel::Similarity, &Block<'_>),
    ) {
        let isa = self.machine.instruction_set;
        let n = panel.rows.len() / self.width;
        let Scratch { scores, coefficients } = scratch;
        let scores = match kept.get(index) {
            Some(kept) => &kept[..],
            None => {
                scores.resize(self.batch.len() * n, 0.0);
                self.similarity.scores(isa, &self.queries, panel.rows, self.width, scores);
                &scores[..]
            }
        };
        coefficients.clear();
        coefficients.extend_from_slice(scores);
        for (query, row) in coefficients.chunks_exact_mut(n).enumerate() {
            let scale = 1.0 / self.batch.total;
            exp_scaled(isa, row, self.log_z[query], self.batch.masses[query] * scale);
            for (answer, weight) in self.batch.answers_in(query, panel.first, n) {
                row[(answer - panel.first) as usize] -= weight * scale;
            }
        }
        let (queries, rows, width) = (&self.queries, panel.rows, self.width);
        then(self.similarity, &Block { queries, rows, width, scores, coefficients });
    }

    /// ∂loss/∂queries: groups of panels in parallel, summed in the order of groups.
    fn query_gradient(&self, table: &Table, kept: &[Vec<f32>]) -> Vec<f32> {
        let n_floats = self.queries.len();
        let mut parts: Vec<Vec<f32>> = vec![Vec::new(); GROUPS];
        let tasks = parts.iter_mut().enumerate().collect();
        self.machine.workers.each_with(tasks, Scratch::default, |scratch, (group, sum)| {
            sum.resize(n_floats, 0.0);
            for index in Self::group(table.n_panels(), group) {
                let panel = table.panel(index);
                self.with_coefficients(index, panel, kept, scratch, |similarity, block| {
                    similarity.add_query_gradient(self.machine.instruction_set, block, sum);
                });
            }
        });
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_default();
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    }
}
