//! Negative sampling: an answer against some drawn entities.
//!
//! Queries are taken in blocks of 128. *Shared*: a block's queries stand against the same negatives,
//! so scores and gradients are matrix products. *Own*: each query has its own; their coefficients
//! are kept, eight bytes a pair, and every row touched gathers its gradient from them.
//!
//! *Invariant:* negatives come from their address and are never stored between steps.
//! *Paper:* Bordes et al. (2013); shared negatives after Lerer et al. (2019).

use gossamer_machine::{Address, Ledger, Machine, Purpose};
use gossamer_tensor::kernel::similarity::{Block, Columns};

use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Recipe, Scored, StepLoss, finish};
use crate::table::{Part, SparseRows};

/// Queries that share negatives, and the unit of work.
const QUERIES: usize = 128;

/// Negative sampling.
#[derive(Debug)]
pub struct NegativeSampling;

impl TrainingForm for NegativeSampling {
    fn name(&self) -> &'static str {
        "negative-sampling"
    }
    fn summary(&self) -> &'static str {
        "every answer against drawn entities; cost independent of the number of entities"
    }
    fn formula(&self) -> &'static str {
        "Σ w·loss(score of the answer, scores of its negatives), over Σ w"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al. (NeurIPS 2013); Lerer et al.: PyTorch-BigGraph (SysML 2019)"
    }
    fn over_all(&self) -> bool {
        false
    }
    fn n_items(&self, examples: Examples<'_>) -> u64 {
        2 * examples.triples.len() as u64
    }

    fn step(
        &self,
        learner: &mut Learner,
        examples: Examples<'_>,
        items: &[u64],
        recipe: &Recipe<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let batch = Batch::of_pairs(examples, items);
        let columns = learner.model.columns();
        let width = columns.width;
        let mut queries = vec![0.0; batch.len() * width];
        learner.model.fold(&batch.asked, &mut queries);
        let address = Address::new(recipe.seed, Purpose::Negative, learner.steps);
        let work =
            Work { learner, recipe, machine, batch: &batch, queries: &queries, columns, address };
        let blocks = batch.len().div_ceil(QUERIES);
        if recipe.shared_negatives {
            let done = machine.workers.map(blocks, |block| work.shared_block(block));
            let mut ids = Vec::new();
            let mut rows = Vec::new();
            let (loss, query_gradient) = collect(done, |one: Shared| {
                ids.extend(one.ids);
                rows.extend(one.rows);
                (one.loss, one.query_gradient)
            });
            let candidates = SparseRows::sum(&ids, &rows, width);
            drop((ids, rows));
            let gradient =
                |(): &mut (), part: &Part<'_>, out: &mut [f32]| candidates.add_to(part.ids, out);
            let (ids, scratch, gradient) = (Some(candidates.ids.clone()), &|| (), &gradient);
            let (queries, candidates) = (&queries, ids);
            let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
            finish(learner, recipe, machine, &batch, scored)
        } else {
            let done = machine.workers.map(blocks, |block| work.own_block(block));
            let mut pairs = Vec::new();
            let (loss, query_gradient) = collect(done, |one: Own| {
                pairs.extend(one.pairs);
                (one.loss, one.query_gradient)
            });
            let similarity = learner.model.function.similarity();
            let pairs = PairsByRow::new(pairs);
            let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
                for ((id, row), out) in part
                    .ids
                    .iter()
                    .zip(part.rows.chunks_exact(width))
                    .zip(out.chunks_exact_mut(width))
                {
                    for pair in pairs.of(*id) {
                        let query = &queries[pair.query as usize * width..][..width];
                        let block = Block {
                            queries: query,
                            rows: row,
                            columns,
                            scores: &[pair.score],
                            coefficients: &[pair.coefficient],
                        };
                        similarity.add_row_gradient_of_pair(machine.instruction_set, &block, out);
                    }
                }
            };
            let (ids, scratch, gradient) = (Some(pairs.ids.clone()), &|| (), &gradient);
            let (queries, candidates) = (&queries, ids);
            let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
            finish(learner, recipe, machine, &batch, scored)
        }
    }

    fn plan(&self, config: &Config, shape: &StepShape, _: u64, ledger: &mut Ledger) {
        let (batch, width) = (config.batch as u64, shape.widths.query as u64);
        let words = format!("{} × {}", config.batch, shape.widths.query);
        let rows = 3 * width + 2 * (shape.widths.entity + shape.widths.relation) as u64;
        ledger.add("queries", words, "f32", 4 * batch * rows + 24 * batch);
        let negatives = config.negatives as u64;
        let words = format!("{} × {}", config.batch, config.negatives);
        let gathered = 4 * width * (negatives + QUERIES as u64);
        let scores = 8 * (negatives + 1) * QUERIES as u64;
        if config.shared_negatives {
            let rows = batch + batch.div_ceil(QUERIES as u64) * negatives;
            ledger.add("candidate gradients", words, "f32", 12 * width * rows);
        } else {
            // A pair while it is made, sorted, and kept.
            ledger.add("pairs", words, "f32", 3 * 16 * batch * (negatives + 1));
        }
        let scratch = gathered + scores;
        let words = format!("{} × {} × {}", shape.n_threads, config.negatives, shape.widths.query);
        ledger.add("negatives", words, "f32", shape.n_threads * 2 * scratch);
    }

    fn most_kept_bytes(&self, _: &Config, _: &StepShape) -> u64 {
        0
    }
}

/// Sums losses and joins query gradients in the order of blocks.
fn collect<B>(done: Vec<B>, mut take: impl FnMut(B) -> (f64, Vec<f32>)) -> (f64, Vec<f32>) {
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for one in done {
        let (part, rows) = take(one);
        loss += part;
        gradient.extend(rows);
    }
    (loss, gradient)
}

struct Work<'a> {
    learner: &'a Learner,
    recipe: &'a Recipe<'a>,
    machine: &'a Machine,
    batch: &'a Batch,
    queries: &'a [f32],
    columns: Columns,
    address: Address,
}

/// What a block with shared negatives found.
struct Shared {
    loss: f64,
    query_gradient: Vec<f32>,
    /// Answers, then negatives.
    ids: Vec<u32>,
    rows: Vec<f32>,
}

/// What a block with own negatives found.
struct Own {
    loss: f64,
    query_gradient: Vec<f32>,
    pairs: Vec<Pair>,
}

/// A candidate of a query, and how its score should move.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair {
    row: u32,
    query: u32,
    score: f32,
    coefficient: f32,
}

impl Work<'_> {
    fn negatives(&self, row: usize) -> Vec<u32> {
        let n_entities = self.learner.model.entities.n_rows() as u32;
        let mut negatives = vec![0; self.recipe.n_negatives];
        self.recipe.sampler.draw(self.address, row as u32, n_entities, &mut negatives);
        negatives
    }

    fn answer(&self, query: usize) -> u32 {
        self.batch.answers(query).0[0]
    }

    fn scores(&self, queries: &[f32], rows: &[f32]) -> Vec<f32> {
        let mut out =
            vec![0.0; queries.len() / self.columns.width * (rows.len() / self.columns.width)];
        let similarity = self.learner.model.function.similarity();
        similarity.scores(self.machine.instruction_set, queries, rows, self.columns, &mut out);
        out
    }

    /// Turns scores into coefficients, weighted; returns the loss and the answer's coefficient.
    fn judge(&self, query: usize, positive: f32, negatives: &mut [f32]) -> (f64, f32) {
        let (loss, slope) = self.recipe.loss.sampled(&self.recipe.shape, positive, negatives);
        let weight = self.batch.masses[query];
        let scale = weight / self.batch.total;
        negatives.iter_mut().for_each(|coefficient| *coefficient *= scale);
        (f64::from(weight) * f64::from(loss), slope * scale)
    }

    fn shared_block(&self, block: usize) -> Shared {
        let first = block * QUERIES;
        let n = QUERIES.min(self.batch.len() - first);
        let (isa, width) = (self.machine.instruction_set, self.columns.width);
        let similarity = self.learner.model.function.similarity();
        let entities = &self.learner.model.entities;
        let queries = &self.queries[first * width..][..n * width];
        let mut ids: Vec<u32> = (first..first + n).map(|query| self.answer(query)).collect();
        let negatives = self.negatives(block);
        let mut negative_rows = vec![0.0; negatives.len() * width];
        entities.gather(&negatives, &mut negative_rows);
        let mut answer_rows = vec![0.0; n * width];
        entities.gather(&ids, &mut answer_rows);
        let scores = self.scores(queries, &negative_rows);
        let mut coefficients = scores.clone();
        let mut loss = 0.0;
        let mut query_gradient = vec![0.0; n * width];
        let mut rows = vec![0.0; (n + negatives.len()) * width];
        for (query, coefficients) in coefficients.chunks_exact_mut(negatives.len()).enumerate() {
            let own = &queries[query * width..][..width];
            let answer = &answer_rows[query * width..][..width];
            let positive = self.scores(own, answer);
            let (part, slope) = self.judge(first + query, positive[0], coefficients);
            loss += part;
            let block = Block {
                queries: own,
                rows: answer,
                columns: self.columns,
                scores: &positive,
                coefficients: &[slope],
            };
            similarity.add_query_gradient_of_pair(
                isa,
                &block,
                &mut query_gradient[query * width..][..width],
            );
            similarity.add_row_gradient_of_pair(isa, &block, &mut rows[query * width..][..width]);
        }
        let whole = Block {
            queries,
            rows: &negative_rows,
            columns: self.columns,
            scores: &scores,
            coefficients: &coefficients,
        };
        similarity.add_gradients(isa, &whole, &mut query_gradient, &mut rows[n * width..]);
        ids.extend(negatives);
        Shared { loss, query_gradient, ids, rows }
    }

    fn own_block(&self, block: usize) -> Own {
        let first = block * QUERIES;
        let n = QUERIES.min(self.batch.len() - first);
        let width = self.columns.width;
        let similarity = self.learner.model.function.similarity();
        let mut own = Own { loss: 0.0, query_gradient: vec![0.0; n * width], pairs: Vec::new() };
        let mut candidate_rows = Vec::new();
        for query in first..first + n {
            let mut candidates = vec![self.answer(query)];
            candidates.extend(self.negatives(query));
            candidate_rows.resize(candidates.len() * width, 0.0);
            self.learner.model.entities.gather(&candidates, &mut candidate_rows);
            let row = &self.queries[query * width..][..width];
            let scores = self.scores(row, &candidate_rows);
            let mut coefficients = scores.clone();
            let (answer, negatives) = coefficients.split_at_mut(1);
            let (loss, slope) = self.judge(query, scores[0], negatives);
            answer[0] = slope;
            own.loss += loss;
            let block = Block {
                queries: row,
                rows: &candidate_rows,
                columns: self.columns,
                scores: &scores,
                coefficients: &coefficients,
            };
            let out = &mut own.query_gradient[(query - first) * width..][..width];
            similarity.add_query_gradient(self.machine.instruction_set, &block, out);
            for ((row, score), coefficient) in candidates.into_iter().zip(scores).zip(coefficients)
            {
                own.pairs.push(Pair { row, query: query as u32, score, coefficient });
            }
        }
        own
    }
}

/// Pairs in the order of their rows; those of a row keep the order of queries.
struct PairsByRow {
    ids: Vec<u32>,
    starts: Vec<usize>,
    pairs: Vec<Pair>,
}

impl PairsByRow {
    fn new(mut pairs: Vec<Pair>) -> Self {
        pairs.sort_by_key(|pair| pair.row);
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for (place, pair) in pairs.iter().enumerate() {
            if ids.last() != Some(&pair.row) {
                ids.push(pair.row);
                starts.push(place);
            }
        }
        starts.push(pairs.len());
        Self { ids, starts, pairs }
    }

    fn of(&self, id: u32) -> &[Pair] {
        match self.ids.binary_search(&id) {
            Ok(place) => &self.pairs[self.starts[place]..self.starts[place + 1]],
            Err(_) => &[],
        }
    }
}
