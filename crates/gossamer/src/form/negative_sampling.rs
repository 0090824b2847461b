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
        let queries = learner.model.folded(&machine.workers, &batch.asked);
        let address = Address::new(recipe.seed, Purpose::Negative, learner.steps);
        let work =
            Work { learner, recipe, machine, batch: &batch, queries: &queries, columns, address };
        if recipe.shared_negatives {
            let (loss, query_gradient, rows) = work.shared();
            let isa = machine.instruction_set;
            let gradient =
                |(): &mut (), part: &Part<'_>, out: &mut [f32]| rows.add_to(isa, part.ids, out);
            let (candidates, scratch, gradient) = (Some(rows.ids.clone()), &|| (), &gradient);
            let queries = &queries;
            let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
            finish(learner, recipe, machine, &batch, scored)
        } else {
            let (loss, query_gradient, pairs) = work.own();
            let (similarity, queries) = (learner.model.function.similarity(), &queries);
            let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
                let rows = part.rows.chunks_exact(width).zip(out.chunks_exact_mut(width));
                for (id, (rows, out)) in part.ids.iter().zip(rows) {
                    for pair in pairs.of(*id) {
                        let queries = &queries[pair.query as usize * width..][..width];
                        let (scores, coefficients) = (&[pair.score], &[pair.coefficient]);
                        let block = Block { queries, rows, columns, scores, coefficients };
                        similarity.add_row_gradient_of_pair(machine.instruction_set, &block, out);
                    }
                }
            };
            let (candidates, scratch, gradient) = (Some(pairs.ids.clone()), &|| (), &gradient);
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

struct Work<'a> {
    learner: &'a Learner,
    recipe: &'a Recipe<'a>,
    machine: &'a Machine,
    batch: &'a Batch,
    queries: &'a [f32],
    columns: Columns,
    address: Address,
}

/// Where a block with shared negatives puts what it finds: answers first, then negatives.
struct Shared<'a> {
    query_gradient: &'a mut [f32],
    ids: &'a mut [u32],
    rows: &'a mut [f32],
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

    /// The loss, the queries' gradient, and what answers and shared negatives get.
    fn shared(&self) -> (f64, Vec<f32>, SparseRows) {
        let (n, width, n_negatives) =
            (self.batch.len(), self.columns.width, self.recipe.n_negatives);
        let blocks = n.div_ceil(QUERIES);
        let n_rows = n + blocks * n_negatives;
        let (mut ids, mut rows) = (vec![0; n_rows], vec![0.0; n_rows * width]);
        let (mut query_gradient, mut losses) = (vec![0.0; n * width], vec![0.0; blocks]);
        let of_block = QUERIES + n_negatives;
        let tasks = ids.chunks_mut(of_block).zip(rows.chunks_mut(of_block * width));
        let tasks = tasks.zip(query_gradient.chunks_mut(QUERIES * width)).zip(&mut losses);
        let tasks = tasks.enumerate().map(|(block, (((ids, rows), query_gradient), loss))| {
            (block, loss, Shared { ids, rows, query_gradient })
        });
        self.machine.workers.each(tasks.collect(), |(block, loss, out)| {
            *loss = self.shared_block(block, out);
        });
        (losses.iter().sum(), query_gradient, SparseRows::new(&ids, rows, width))
    }

    /// The loss, the queries' gradient, and every pair of a query and a candidate.
    fn own(&self) -> (f64, Vec<f32>, PairsByRow) {
        let blocks = self.batch.len().div_ceil(QUERIES);
        let (mut loss, mut query_gradient, mut pairs) = (0.0, Vec::new(), Vec::new());
        for block in self.machine.workers.map(blocks, |block| self.own_block(block)) {
            loss += block.loss;
            query_gradient.extend(block.query_gradient);
            pairs.extend(block.pairs);
        }
        (loss, query_gradient, PairsByRow::new(pairs))
    }

    /// Fills `out` and returns the loss.
    fn shared_block(&self, block: usize, out: Shared<'_>) -> f64 {
        let first = block * QUERIES;
        let n = out.query_gradient.len() / self.columns.width;
        let (isa, columns, width) =
            (self.machine.instruction_set, self.columns, self.columns.width);
        let similarity = self.learner.model.function.similarity();
        let queries = &self.queries[first * width..][..n * width];
        let (answers, negatives) = out.ids.split_at_mut(n);
        answers.iter_mut().zip(first..).for_each(|(id, query)| *id = self.answer(query));
        negatives.copy_from_slice(&self.negatives(block));
        let mut rows = vec![0.0; out.rows.len()];
        self.learner.model.entities.gather(out.ids, &mut rows);
        let (answer_rows, negative_rows) = rows.split_at(n * width);
        let (answer_out, negative_out) = out.rows.split_at_mut(n * width);
        let mut positives = vec![0.0; n];
        similarity.scores_of_pairs(isa, queries, answer_rows, columns, &mut positives);
        let scores = self.scores(queries, negative_rows);
        let mut coefficients = scores.clone();
        let mut loss = 0.0;
        let n_negatives = self.recipe.n_negatives;
        for (query, coefficients) in coefficients.chunks_exact_mut(n_negatives).enumerate() {
            let (part, slope) = self.judge(first + query, positives[query], coefficients);
            loss += part;
            let own = query * width..(query + 1) * width;
            let block = Block {
                queries: &queries[own.clone()],
                rows: &answer_rows[own.clone()],
                columns,
                scores: &positives[query..=query],
                coefficients: &[slope],
            };
            let gradient = &mut out.query_gradient[own.clone()];
            similarity.add_query_gradient_of_pair(isa, &block, gradient);
            similarity.add_row_gradient_of_pair(isa, &block, &mut answer_out[own]);
        }
        let (scores, coefficients) = (&scores, &coefficients);
        let whole = Block { queries, rows: negative_rows, columns, scores, coefficients };
        similarity.add_gradients(isa, &whole, out.query_gradient, negative_out);
        loss
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
