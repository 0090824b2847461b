//! Relation prediction: which relation holds between a query's entity and its answer, beside the
//! question that a form asks.
//!
//! The loss is λ·Σ w·(log Σ over all relation rows of e^score − score of the own one), over Σ w.
//! A score that is linear in the relation's row is its product with another query, so everything
//! here is made of the score function's fold: that query is what the fold gives back to a condition
//! when its gradient is the answer's row; and the gradient of the known row is what the fold gives
//! back to it with the query's gradient as condition.
//!
//! *Paper:* Chen, Minervini, Riedel, Stenetorp, "Relation prediction as an auxiliary training
//! objective for improving multi-relational graph representations" (AKBC 2021).

use gossamer_machine::{Buffer, Ledger, Machine};
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, add_product, multiply};
use gossamer_tensor::kernel::softmax::exp_row;
use gossamer_tensor::kernel::vector;

use super::StepShape;
use super::batch::Batch;
use crate::config::Config;
use crate::model::{Asked, Model};
use crate::score::Folded;
use crate::table::SparseRows;

/// Pairs of a query and an answer that a thread takes at once.
const PAIRS: usize = 128;

/// What relation prediction found out about a batch.
#[derive(Default)]
pub struct Found {
    /// Sum over the pairs, weighted.
    pub loss: f64,
    /// Gradients of known rows and answers' rows.
    pub entities: SparseRows,
    /// Gradients of all relation rows.
    pub relations: SparseRows,
}

/// A query and one of its answers.
#[derive(Clone, Copy)]
struct Pair {
    asked: Asked,
    answer: u32,
    weight: f32,
}

/// What a block of pairs found.
struct Block {
    loss: f64,
    /// Known rows' gradients, then the answers'.
    rows: Buffer,
    relations: Buffer,
}

/// The gradients for a weight λ; none for 0.
pub fn learn(model: &Model, machine: &Machine, batch: &Batch, weight: f32) -> Found {
    if weight == 0.0 {
        return Found::default();
    }
    let pairs = (0..batch.len()).flat_map(|query| {
        let (answers, weights) = batch.answers(query);
        let asked = batch.asked[query];
        let pair = move |(answer, weight): (&u32, &f32)| {
            let (answer, weight) = (*answer, *weight);
            Pair { asked, answer, weight }
        };
        answers.iter().zip(weights).map(pair)
    });
    let pairs: Vec<Pair> = pairs.collect();
    let width = model.relations.width();
    let mut relations = machine.buffers.room(model.relations.n_rows() * width);
    let all: Vec<u32> = (0..model.relations.n_rows() as u32).collect();
    model.relations.gather(&all, &mut relations);
    let (n, isa) = (model.relations.n_rows(), machine.instruction_set);
    let matrix = Matrix { values: &relations, stride: width };
    let (mut across, mut along) = (Right::default(), Right::default());
    across.pack_transposed(width, n, matrix);
    along.pack(isa, n, width, matrix, None);
    let work = Work { model, machine, across, along, scale: weight / batch.total };
    let blocks: Vec<&[Pair]> = pairs.chunks(PAIRS).collect();
    let done = machine.workers.map(blocks.len(), |block| work.block(blocks[block]));
    let mut rows = machine.buffers.room(2 * pairs.len() * model.entities.width());
    let (mut loss, mut ids, mut rest) = (0.0, Vec::new(), &mut rows[..]);
    let mut gradient = machine.buffers.zeroed(relations.len());
    for (pairs, found) in blocks.iter().zip(done) {
        loss += found.loss;
        ids.extend(pairs.iter().map(|pair| pair.asked.known));
        ids.extend(pairs.iter().map(|pair| pair.answer));
        let (own, later) = rest.split_at_mut(found.rows.len());
        own.copy_from_slice(&found.rows);
        rest = later;
        vector::add_scaled(machine.instruction_set, &mut gradient, 1.0, &found.relations);
    }
    let entities = SparseRows::new(&ids, rows, model.entities.width());
    let relations = SparseRows::new(&all, gradient, width);
    Found { loss: loss * f64::from(weight), entities, relations }
}

/// Adds the buffers to a plan.
pub fn plan(config: &Config, shape: &StepShape, n_relations: u64, ledger: &mut Ledger) {
    if config.relation_prediction == 0.0 {
        return;
    }
    let (entity, relation) = (shape.widths.entity as u64, shape.widths.relation as u64);
    let blocks = shape.answers.div_ceil(PAIRS as u64);
    let rows = 4 * shape.answers * entity + (blocks + 4) * n_relations * relation;
    let scratch = PAIRS as u64 * (2 * relation + 2 * n_relations);
    let words = format!("{} answers", shape.answers);
    ledger.add("relation prediction", words, "f32", 4 * (rows + shape.n_threads * scratch));
}

struct Work<'a> {
    model: &'a Model,
    machine: &'a Machine,
    /// All relation rows, as columns.
    across: Right<f32>,
    /// And as rows.
    along: Right<f32>,
    scale: f32,
}

impl Work<'_> {
    fn block(&self, pairs: &[Pair]) -> Block {
        let (model, isa) = (self.model, self.machine.instruction_set);
        let width = model.relations.width();
        let (m, n) = (pairs.len(), model.relations.n_rows());
        let queries = self.queries(pairs);
        let left = Matrix { values: &queries, stride: width };
        let buffers = &self.machine.buffers;
        let mut scores = buffers.room(m * n);
        let out = MatrixMut { values: &mut scores, stride: n };
        multiply(isa, m, left.into(), &self.across, Put::Set, out);
        let mut loss = 0.0;
        for (pair, scores) in pairs.iter().zip(scores.chunks_exact_mut(n)) {
            let own = model.condition(pair.asked).1 as usize;
            let score = scores[own];
            let sum = exp_row(isa, scores);
            loss += f64::from(pair.weight) * f64::from(sum.value() - score);
            let factor = self.scale * pair.weight;
            vector::scale(isa, scores, factor / sum.sum);
            scores[own] -= factor;
        }
        let coefficients = Matrix { values: &scores, stride: n };
        let mut gradient = buffers.room(m * width);
        let out = MatrixMut { values: &mut gradient, stride: width };
        multiply(isa, m, coefficients.into(), &self.along, Put::Set, out);
        let mut of_relations = buffers.zeroed(n * width);
        let out = MatrixMut { values: &mut of_relations, stride: width };
        add_product(isa, [n, m, width], coefficients.transposed(), left, out);
        Block { loss, rows: self.rows(pairs, &gradient), relations: of_relations }
    }

    /// The queries whose products with relation rows are scores.
    fn queries(&self, pairs: &[Pair]) -> Buffer {
        let (model, width) = (self.model, self.model.relations.width());
        let mut queries = self.machine.buffers.zeroed(pairs.len() * width);
        let (mut unused, condition) = (vec![0.0; model.entities.width()], vec![0.0; width]);
        let mut rooms = [Vec::new(), Vec::new()];
        for (pair, query) in pairs.iter().zip(queries.chunks_exact_mut(width)) {
            let [known, answer] = self.both(pair, &mut rooms);
            let folded = Folded { known, condition: &condition, gradient: answer };
            let side = model.condition(pair.asked).0;
            model.function.fold_backward(side, folded, &mut unused, query);
        }
        queries
    }

    /// The rows of a pair's entities.
    fn both<'b>(&'b self, pair: &Pair, [one, other]: &'b mut [Vec<f32>; 2]) -> [&'b [f32]; 2] {
        let entities = &self.model.entities;
        [entities.row(pair.asked.known, one), entities.row(pair.answer, other)]
    }

    /// The gradients of known rows, then those of the answers' rows.
    fn rows(&self, pairs: &[Pair], gradient: &[f32]) -> Buffer {
        let (model, width) = (self.model, self.model.relations.width());
        let entity = model.entities.width();
        let mut out = self.machine.buffers.zeroed(2 * pairs.len() * entity);
        let (of_known, of_answers) = out.split_at_mut(pairs.len() * entity);
        let (mut unused, mut rooms) = (vec![0.0; width], [Vec::new(), Vec::new()]);
        let both = of_known.chunks_exact_mut(entity).zip(of_answers.chunks_exact_mut(entity));
        for ((pair, gradient), (of_known, of_answer)) in
            pairs.iter().zip(gradient.chunks_exact(width)).zip(both)
        {
            let [known, answer] = self.both(pair, &mut rooms);
            let side = model.condition(pair.asked).0;
            model.function.fold(side, known, gradient, of_answer);
            let folded = Folded { known, condition: gradient, gradient: answer };
            model.function.fold_backward(side, folded, of_known, &mut unused);
        }
        out
    }
}
