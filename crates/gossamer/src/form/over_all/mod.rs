//! A batch against all entities, or drawn ones that stand for all (`field`): what 1-vs-all,
//! k-vs-all and sampled-softmax share.
//!
//! Three passes over the panels of entities: (1) scores, what the loss makes of them, and sums,
//! (2) the queries' gradient, (3) each panel's rows get their gradient and are changed; drawn ones
//! when all of theirs is made. What the
//! loss made of the first panels is kept between the passes as far as the plan allows; the others
//! are computed again, with the same bits. Scores stand entity by entity, so that sums over
//! entities run down the columns. With label smoothing ε an answer's label is 1 − ε of its weight,
//! and every entity's has ε/N of the query's weight more.
//!
//! Cost: 6·N·width floating-point operations per query with kept panels, 10 without.
//! *Invariant:* no gradient of entities × width exists, but of drawn ones, and no scores of queries × entities beyond
//! the planned bytes.

use std::ops::Range;

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::logistic::sigmoid_columns;
use gossamer_tensor::kernel::similarity::Similarity;
use gossamer_tensor::kernel::softmax::{LogSumExp, exp, exp_columns, raise_to_columns};
use gossamer_tensor::kernel::tile::Pair;
use gossamer_tensor::kernel::vector;

use self::blocks::{Blocks, Room, Values};
use self::distance::Distances;
use self::field::Field;
use self::product::Products;
use self::questions::Questions;

pub use self::field::Drawn;
pub use self::sizes::{Panels, folded_bytes, most_kept_bytes, plan, scratch_bytes, sums_bytes};
use crate::config::Precision;
use crate::form::batch::Batch;
use crate::form::kept::{Kept, KeptPanel, KeptPanelMut};
use crate::form::step::{Learner, Method, Scored, StepLoss, finish};
use crate::loss::OverAll;
use crate::table::{GradientOf, Panel, Part, SparseRows};

mod sizes;
mod field;
mod questions;
mod blocks;
mod distance;
mod product;

/// Learns from a batch, held against all entities or against some drawn ones that stand for them.
///
/// A loss that is not taken over all entities does nothing here; [`super::of`] refuses it before.
pub fn step(
    learner: &mut Learner,
    batch: &Batch,
    drawn: Option<&Drawn>,
    method: &Method<'_>,
    machine: &Machine,
) -> StepLoss {
    let Some(over_all) = method.loss.over_all() else { return StepLoss::default() };
    let questions = Questions::new(learner, machine, batch, drawn, method);
    match (questions.similarity, method.precision) {
        (Similarity::Dot, Precision::F32) => {
            let blocks = Products::<f32>::new(&questions);
            Pass { questions: &questions, over_all, blocks }.step(learner, batch, method)
        }
        (Similarity::Dot, Precision::Bf16) => {
            let blocks = Products::<Pair>::new(&questions);
            Pass { questions: &questions, over_all, blocks }.step(learner, batch, method)
        }
        _ => {
            let blocks = Distances::new(&questions);
            Pass { questions: &questions, over_all, blocks }.step(learner, batch, method)
        }
    }
}

/// What one group of panels found in the first pass.
struct Group<'a> {
    panels: Range<usize>,
    kept: Vec<KeptPanelMut<'a>>,
    /// Softmax: the sums of exponentials.
    sums: Vec<LogSumExp>,
    /// Sigmoids: the sums of ln(1 + eˢ).
    softplus: Vec<f64>,
    /// Weighted scores of the queries' answers.
    hits: Vec<f64>,
    /// With label smoothing, the sum of all scores.
    totals: Vec<f64>,
}

/// The three passes of a step over one batch.
struct Pass<'a, B> {
    questions: &'a Questions<'a>,
    over_all: OverAll,
    blocks: B,
}

impl<B: Blocks> Pass<'_, B> {
    fn step(&self, learner: &mut Learner, batch: &Batch, method: &Method<'_>) -> StepLoss {
        let mut kept = std::mem::take(&mut learner.kept);
        let field = match self.questions.drawn {
            Some(drawn) => Field::Drawn(drawn),
            None => Field::All(&learner.model.entities),
        };
        self.fit(&mut kept, field, method.kept_bytes);
        let (loss, log_z) = self.forward(field, &mut kept);
        let query_gradient = self.query_gradient(field, &kept, &log_z);
        let found = (loss, query_gradient);
        let loss = match self.questions.drawn {
            Some(drawn) => {
                let rows = self.row_gradients(drawn, &kept, &log_z);
                let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
                    rows.add_to(self.questions.machine.instruction_set, part.ids, out);
                };
                let candidates = Some(rows.ids.clone());
                self.finish(learner, (batch, method), found, candidates, (&|| (), &gradient))
            }
            None => {
                let gradient = |room: &mut Room<B>, part: &Part<'_>, out: &mut [f32]| {
                    let panel = Panel { first: part.ids[0], rows: part.rows };
                    self.use_values(panel, kept.panel(part.panel), &log_z, room, |values, room| {
                        self.blocks.add_row_gradient(values, room, out);
                    });
                };
                self.finish(
                    learner,
                    (batch, method),
                    found,
                    None,
                    (&|| Room::new(&self.blocks), &gradient),
                )
            }
        };
        learner.kept = kept;
        loss
    }

    /// Hands over what was found.
    fn finish<S>(
        &self,
        learner: &mut Learner,
        (batch, method): (&Batch, &Method<'_>),
        (loss, query_gradient): (f64, Buffer),
        candidates: Option<Vec<u32>>,
        (scratch, gradient): (&(dyn Fn() -> S + Sync), &GradientOf<'_, S>),
    ) -> StepLoss {
        let Questions { machine, queries, .. } = self.questions;
        let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
        finish(learner, method, machine, batch, scored)
    }

    /// Makes room for the first panels, as many as fit into `bytes`.
    fn fit(&self, kept: &mut Kept, field: Field<'_>, bytes: u64) {
        let n_queries = self.questions.len();
        let words = n_queries * self.blocks.words(field.most_rows());
        let panel_bytes = 4 * (words + n_queries).max(1) as u64;
        let fitting = (bytes / panel_bytes).min(field.n_panels() as u64) as usize;
        // Where the backward pass reads the scores themselves, what is made of them is no use.
        let needed = !self.questions.similarity.needs_scores();
        let fitting = if needed { fitting } else { 0 };
        let last = fitting.checked_sub(1).map_or(0, |index| field.panel_rows(index));
        kept.fit(fitting, [words, n_queries], n_queries * self.blocks.words(last));
    }

    /// Scores everything once: keeps what the loss makes of the scores, and returns the loss and,
    /// for a softmax, the log of each query's sum of exponentials.
    fn forward(&self, field: Field<'_>, kept: &mut Kept) -> (f64, Vec<f32>) {
        let n_queries = self.questions.len();
        let zeros = || vec![0.0; n_queries];
        let mut kept = kept.panels_mut();
        let mut groups: Vec<Group<'_>> = field
            .groups()
            .map(|panels| {
                let sums = vec![LogSumExp::EMPTY; n_queries];
                let kept = kept.by_ref().take(panels.len()).collect();
                Group { panels, kept, sums, softplus: zeros(), hits: zeros(), totals: zeros() }
            })
            .collect();
        let tasks = groups.iter_mut().collect();
        self.questions.machine.workers.each_with(
            tasks,
            || Room::new(&self.blocks),
            |room, group| {
                for (place, index) in group.panels.clone().enumerate() {
                    let mut decoded = std::mem::take(&mut room.decoded);
                    let panel = field.panel(index, &mut decoded);
                    self.score(panel, room);
                    self.count(panel, &room.scores, group);
                    self.weigh(panel, &mut room.scores);
                    room.decoded = decoded;
                    let sums = self.transform(&mut room.scores, &mut room.maxima);
                    match self.over_all {
                        OverAll::Softmax => {
                            let found = room.maxima.iter().zip(sums);
                            for (sum, (max, more)) in group.sums.iter_mut().zip(found) {
                                *sum = sum.join(LogSumExp { max: *max, sum: more });
                            }
                        }
                        OverAll::Sigmoids => {
                            let softplus = group.softplus.iter_mut().zip(sums);
                            softplus.for_each(|(sum, more)| *sum += f64::from(more));
                        }
                    }
                    if let Some(kept) = group.kept.get_mut(place) {
                        self.blocks.store(&room.scores, kept.values);
                        kept.maxima.copy_from_slice(&room.maxima);
                    }
                }
            },
        );
        self.loss(&groups)
    }

    /// The loss, and the log of each query's sum of exponentials.
    fn loss(&self, groups: &[Group<'_>]) -> (f64, Vec<f32>) {
        let Questions { batch, smoothing, n_entities, .. } = self.questions;
        let (smoothing, n_entities) = (f64::from(*smoothing), f64::from(*n_entities));
        let (mut loss, mut all) = (0.0, Vec::with_capacity(batch.len()));
        for query in 0..batch.len() {
            let sums = groups.iter().map(|group| group.sums[query]);
            let log_z = sums.fold(LogSumExp::EMPTY, LogSumExp::join).value();
            let sum = |of: fn(&Group<'_>, usize) -> f64| -> f64 {
                groups.iter().map(|group| of(group, query)).sum()
            };
            let against = match self.over_all {
                OverAll::Softmax => f64::from(log_z),
                OverAll::Sigmoids => sum(|group, query| group.softplus[query]),
            };
            all.push(log_z);
            let spread = sum(|group, query| group.totals[query]) / n_entities;
            let mass = f64::from(batch.masses[query]);
            let hits = (1.0 - smoothing) * sum(|group, query| group.hits[query]);
            loss += mass * (against - smoothing * spread) - hits;
        }
        (loss, all)
    }

    /// Fills the room with the scores of a panel.
    fn score(&self, panel: Panel<'_>, room: &mut Room<B>) {
        room.scores.resize(self.questions.len() * self.questions.rows(panel), 0.0);
        self.blocks.scores(panel, &mut room.blocks, &mut room.scores);
    }

    /// Adds the scores of answers, and with label smoothing those of all.
    fn count(&self, panel: Panel<'_>, scores: &[f32], group: &mut Group<'_>) {
        let (batch, n_queries) = (self.questions.batch, self.questions.len());
        for query in 0..n_queries {
            for (answer, weight) in batch.answers_in(query, panel.first, scores.len() / n_queries) {
                let score = scores[(answer - panel.first) as usize * n_queries + query];
                group.hits[query] += f64::from(weight) * f64::from(score);
            }
        }
        if self.questions.smoothing > 0.0 {
            for row in scores.chunks_exact(n_queries) {
                let totals = group.totals.iter_mut().zip(row);
                totals.for_each(|(total, score)| *total += f64::from(*score));
            }
        }
    }

    /// Adds to the scores of drawn entities the logarithm of how many each stands for.
    fn weigh(&self, panel: Panel<'_>, scores: &mut [f32]) {
        let Some(drawn) = self.questions.drawn else { return };
        let rows = scores.chunks_exact_mut(self.questions.len());
        for (row, more) in rows.zip(&drawn.logarithms[panel.first as usize..]) {
            if *more != 0.0 {
                row.iter_mut().for_each(|score| *score += more);
            }
        }
    }

    /// Turns scores into what the loss makes of them: e^(score − their query's largest), or
    /// sigmoids. Returns each query's sum of what they add to the loss.
    fn transform(&self, values: &mut [f32], maxima: &mut Vec<f32>) -> Vec<f32> {
        let isa = self.questions.machine.instruction_set;
        let mut sums = vec![0.0; self.questions.len()];
        maxima.clear();
        maxima.resize(self.questions.len(), f32::NEG_INFINITY);
        match self.over_all {
            OverAll::Softmax => {
                raise_to_columns(isa, values, maxima);
                exp_columns(isa, values, maxima, &mut sums);
            }
            OverAll::Sigmoids => sigmoid_columns(isa, values, &mut sums),
        }
        sums
    }

    /// Calls `body` with what the loss made of a panel: as it was kept, or made again by the same
    /// steps, with the same bits.
    fn use_values(
        &self,
        panel: Panel<'_>,
        kept: Option<KeptPanel<'_>>,
        log_z: &[f32],
        room: &mut Room<B>,
        body: impl FnOnce(&Values<'_>, &mut B::Room),
    ) {
        let mut raw = Vec::new();
        if kept.is_none() {
            self.score(panel, room);
            if self.questions.similarity.needs_scores() {
                raw.clone_from(&room.scores);
            }
            self.weigh(panel, &mut room.scores);
            self.transform(&mut room.scores, &mut room.maxima);
            let words = self.questions.len() * self.blocks.words(self.questions.rows(panel));
            room.values.resize(words, 0);
            self.blocks.store(&room.scores, &mut room.values);
        }
        let made = KeptPanel { values: &room.values, maxima: &room.maxima };
        let KeptPanel { values, maxima } = kept.unwrap_or(made);
        let batch = self.questions.batch;
        let factor = |query: usize| {
            let mass = batch.masses[query] / batch.total;
            match self.over_all {
                OverAll::Softmax => mass * exp(maxima[query] - log_z[query]),
                OverAll::Sigmoids => mass,
            }
        };
        room.factors.clear();
        room.factors.extend((0..batch.len()).map(factor));
        let values = Values { panel, stored: values, factors: &room.factors, scores: &raw };
        body(&values, &mut room.blocks);
    }

    /// ∂loss/∂queries: groups of panels in parallel, summed in the order of groups.
    fn query_gradient(&self, field: Field<'_>, kept: &Kept, log_z: &[f32]) -> Buffer {
        let Questions { machine, queries, .. } = self.questions;
        let groups: Vec<Range<usize>> = field.groups().collect();
        let parts = groups.iter().map(|_| machine.buffers.zeroed(queries.len()));
        let mut parts: Vec<Buffer> = parts.collect();
        let tasks = groups.into_iter().zip(&mut parts).collect();
        machine.workers.each_with(
            tasks,
            || Room::new(&self.blocks),
            |room, (panels, sum)| {
                for index in panels {
                    let mut decoded = std::mem::take(&mut room.decoded);
                    let panel = field.panel(index, &mut decoded);
                    self.use_values(panel, kept.panel(index), log_z, room, |values, room| {
                        self.blocks.add_query_gradient(values, room, sum);
                    });
                    room.decoded = decoded;
                }
            },
        );
        let mut total = machine.buffers.zeroed(queries.len());
        let width = self.questions.columns.queries.width;
        machine.workers.each(total.chunks_mut(width).enumerate().collect(), |(query, total)| {
            for part in &parts {
                vector::add_scaled(
                    machine.instruction_set,
                    total,
                    1.0,
                    &part[query * width..][..width],
                );
            }
        });
        total
    }

    /// ∂loss/∂rows of all drawn entities.
    fn row_gradients(&self, drawn: &Drawn, kept: &Kept, log_z: &[f32]) -> SparseRows {
        let machine = self.questions.machine;
        let mut rows = machine.buffers.zeroed(drawn.ids.len() * drawn.width);
        let tasks = rows.chunks_mut(drawn.panel_rows * drawn.width).enumerate().collect();
        machine.workers.each_with(
            tasks,
            || Room::new(&self.blocks),
            |room, (index, out)| {
                let panel = drawn.panel(index);
                self.use_values(panel, kept.panel(index), log_z, room, |values, room| {
                    self.blocks.add_row_gradient(values, room, out);
                });
            },
        );
        SparseRows::new(&drawn.ids, rows, drawn.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::form::batch::{Examples, portions};
    use crate::model::Model;
    use gossamer_graph::{Adjacency, Triples};

    /// The loss and the entity rows after two steps.
    fn learned(model: &str, precision: Precision, smoothing: f32, kept: u64) -> (f64, Vec<f32>) {
        let n_entities = 1100u32;
        let rows = (0..400).map(|i| [i * 7 % n_entities, i % 3, i * 13 % n_entities]).collect();
        let triples = Triples::from_rows(rows);
        let mut config = Config::for_model(model).unwrap();
        (config.dim, config.initial, config.precision) = (9, 0.3, precision);
        (config.label_smoothing, config.form) = (smoothing, "1-vs-all".into());
        config.loss = "softmax-cross-entropy".into();
        let machine = Machine::new(2, None);
        let method = Method::new(&config, kept, machine.instruction_set).unwrap();
        let model = Model::initial(&config, [n_entities as usize, 3], &machine.workers).unwrap();
        let mut learner = Learner::new(model, method.optimiser);
        let adjacency = Adjacency::build(n_entities as usize, &[&triples]);
        let portions = portions(&adjacency, 4);
        let (adjacency, portions, side_weights) = (&adjacency, &portions[..], None);
        let (triples, pools, alternatives) = (&triples, None, None);
        let examples = Examples {
            triples,
            adjacency,
            portions,
            side_weights,
            pools,
            residents: None,
            alternatives,
        };
        let items: Vec<u64> = (0..37).collect();
        let batch = Batch::of_portions(examples, &items);
        let first = step(&mut learner, &batch, None, &method, &machine);
        let second = step(&mut learner, &batch, None, &method, &machine);
        let mut rows = Vec::new();
        learner.model.entities.for_each_panel(|block| rows.extend_from_slice(block.rows));
        (first.sum + second.sum, rows)
    }

    #[test]
    fn what_is_kept_changes_no_bit_and_bf16_changes_little() {
        for model in ["complex", "cp", "transe-l2"] {
            for smoothing in [0.0, 0.1] {
                let of = |precision, kept| learned(model, precision, smoothing, kept);
                let (loss, rows) = of(Precision::F32, 0);
                let (near_loss, near) = of(Precision::Bf16, 0);
                for kept in [4 * 40 * 513, 1 << 30] {
                    assert_eq!(of(Precision::F32, kept), (loss, rows.clone()), "{model}");
                    assert_eq!(of(Precision::Bf16, kept), (near_loss, near.clone()), "{model}");
                }
                assert!((loss - near_loss).abs() < 2e-3 * loss, "{model}: {loss} {near_loss}");
                let exact = model.starts_with("transe");
                let size: f32 = rows.iter().map(|x| x * x).sum();
                let gap: f32 = rows.iter().zip(&near).map(|(a, b)| (a - b) * (a - b)).sum();
                assert_eq!(gap == 0.0, exact, "{model}");
                assert!(gap < 1e-3 * size, "{model}: {gap} of {size}");
            }
        }
    }
}
