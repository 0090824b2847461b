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

use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Number, Right};
use gossamer_tensor::kernel::product::{Put, multiply};
use gossamer_tensor::kernel::softmax::exp_row;
use gossamer_tensor::kernel::tile::Pair as Bf16Pair;
use gossamer_tensor::kernel::vector;

use super::StepShape;
use super::batch::Batch;
use crate::config::{Config, Precision};
use crate::model::{Asked, Model};
use crate::score::Folded;
use crate::table::SparseRows;

/// Pairs of a query and an answer that a thread takes at once.
const PAIRS: usize = 128;
/// Relations whose gradient a thread sums at once.
const RELATIONS: usize = 48;

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

/// Where a block of pairs puts what it finds.
struct Block<'a> {
    /// Products with relation rows are scores.
    queries: &'a mut [f32],
    /// Scores, then the derivatives of the loss by them (pairs × relations).
    coefficients: &'a mut [f32],
    /// Known rows' gradients, then the answers'.
    rows: &'a mut [f32],
    loss: &'a mut f64,
}

/// The gradients for a weight λ; none for 0.
pub fn learn(
    model: &Model,
    machine: &Machine,
    batch: &Batch,
    (weight, precision): (f32, Precision),
) -> Found {
    match precision {
        _ if weight == 0.0 => Found::default(),
        Precision::F32 => learn_with::<f32>(model, machine, batch, weight),
        Precision::Bf16 => learn_with::<Bf16Pair>(model, machine, batch, weight),
    }
}

/// The gradients, by products of such factors.
fn learn_with<T: Number + Send + Sync>(
    model: &Model,
    machine: &Machine,
    batch: &Batch,
    weight: f32,
) -> Found {
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
    let (isa, buffers) = (machine.instruction_set, &machine.buffers);
    let (n, width) = (model.relations.n_rows(), model.relations.width());
    let entity = model.entities.width();
    let mut relations = buffers.room(n * width);
    let all: Vec<u32> = (0..n as u32).collect();
    model.relations.gather(&all, &mut relations);
    let matrix = Matrix { values: &relations, stride: width };
    let (mut across, mut along) = (Right::default(), Right::default());
    across.pack_transposed(isa, width, n, matrix);
    along.pack(isa, n, width, matrix, None);
    let work = Work::<T> { model, machine, across, along, scale: weight / batch.total };
    let mut queries = buffers.room(pairs.len() * width);
    let mut coefficients = buffers.room(pairs.len() * n);
    let mut rows = buffers.room(2 * pairs.len() * entity);
    let mut losses = vec![0.0; pairs.len().div_ceil(PAIRS)];
    let tasks = pairs.chunks(PAIRS).zip(queries.chunks_mut(PAIRS * width));
    let tasks = tasks.zip(coefficients.chunks_mut(PAIRS * n));
    let tasks = tasks.zip(rows.chunks_mut(2 * PAIRS * entity)).zip(&mut losses);
    let tasks = tasks.map(|((((pairs, queries), coefficients), rows), loss)| {
        (pairs, Block { queries, coefficients, rows, loss })
    });
    machine.workers.each(tasks.collect(), |(pairs, block)| work.block(pairs, block));
    let mut ids = Vec::with_capacity(2 * pairs.len());
    for pairs in pairs.chunks(PAIRS) {
        ids.extend(pairs.iter().map(|pair| pair.asked.known));
        ids.extend(pairs.iter().map(|pair| pair.answer));
    }
    // What relation rows get: derivatives, relation by relation, times queries.
    let mut right = Right::<T>::default();
    right.pack(isa, pairs.len(), width, Matrix { values: &queries, stride: width }, None);
    let mut room = Vec::new();
    let left = T::left_transposed(isa, n, &coefficients, &mut room);
    let mut gradient = relations;
    let tasks = gradient.chunks_mut(RELATIONS * width).enumerate().collect();
    machine.workers.each(tasks, |(place, values)| {
        let (rows, left) = (values.len() / width, left.from_row(place * RELATIONS));
        multiply(isa, rows, left, &right, Put::Set, MatrixMut { values, stride: width });
    });
    let entities = SparseRows::new(&ids, rows, entity);
    let relations = SparseRows::new(&all, gradient, width);
    Found { loss: losses.iter().sum::<f64>() * f64::from(weight), entities, relations }
}

/// Adds the buffers to a plan, beyond those that the form has given back by then.
pub fn plan(
    config: &Config,
    shape: &StepShape,
    (n_relations, [buffers, scores]): (u64, [u64; 2]),
    ledger: &mut Ledger,
) {
    if config.relation_prediction == 0.0 {
        return;
    }
    let (entity, relation) = (shape.widths.entity as u64, shape.widths.relation as u64);
    // Rows, queries and derivatives of every pair, and relation rows; a sixteenth more may wait for
    // its next use.
    let rows = shape.answers * (2 * entity + relation + n_relations) + n_relations * relation;
    let rows = 4 * (rows + rows / 16);
    // Queries packed, in bf16 derivatives too; relation rows packed in two ways.
    let packed = match config.precision {
        Precision::F32 => relation,
        Precision::Bf16 => (relation + n_relations).div_ceil(2),
    };
    let scratch = PAIRS as u64 * (2 * relation + n_relations);
    let packed = shape.answers * packed + 2 * n_relations * relation + shape.n_threads * scratch;
    let bytes = rows.saturating_sub(buffers) + (4 * packed).saturating_sub(scores);
    let words = format!("{} answers", shape.answers);
    ledger.add("relation prediction", words, "f32", bytes);
}

struct Work<'a, T> {
    model: &'a Model,
    machine: &'a Machine,
    /// All relation rows, as columns.
    across: Right<T>,
    /// And as rows.
    along: Right<T>,
    scale: f32,
}

impl<T: Number> Work<'_, T> {
    fn block(&self, pairs: &[Pair], block: Block<'_>) {
        let Block { queries, coefficients, rows, loss } = block;
        let (model, isa) = (self.model, self.machine.instruction_set);
        let width = model.relations.width();
        let (m, n) = (pairs.len(), model.relations.n_rows());
        self.fill_queries(pairs, queries);
        let mut room = Vec::new();
        let left = T::left(isa, [m, width], Matrix { values: queries, stride: width }, &mut room);
        let out = MatrixMut { values: coefficients, stride: n };
        multiply(isa, m, left, &self.across, Put::Set, out);
        *loss = 0.0;
        for (pair, scores) in pairs.iter().zip(coefficients.chunks_exact_mut(n)) {
            let own = model.condition(pair.asked).1 as usize;
            let score = scores[own];
            let sum = exp_row(isa, scores);
            *loss += f64::from(pair.weight) * f64::from(sum.value() - score);
            let factor = self.scale * pair.weight;
            vector::scale(isa, scores, factor / sum.sum);
            scores[own] -= factor;
        }
        let matrix = Matrix { values: coefficients, stride: n };
        let left = T::left(isa, [m, n], matrix, &mut room);
        let mut gradient = self.machine.buffers.room(m * width);
        let out = MatrixMut { values: &mut gradient, stride: width };
        multiply(isa, m, left, &self.along, Put::Set, out);
        self.fill_rows(pairs, &gradient, rows);
    }

    /// Makes the queries whose products with relation rows are scores.
    fn fill_queries(&self, pairs: &[Pair], queries: &mut [f32]) {
        let (model, width) = (self.model, self.model.relations.width());
        queries.fill(0.0);
        let (mut unused, condition) = (vec![0.0; model.entities.width()], vec![0.0; width]);
        let mut rooms = [Vec::new(), Vec::new()];
        for (pair, query) in pairs.iter().zip(queries.chunks_exact_mut(width)) {
            let [known, answer] = self.both(pair, &mut rooms);
            let folded = Folded { known, condition: &condition, gradient: answer };
            let side = model.condition(pair.asked).0;
            model.function.fold_backward(side, folded, &mut unused, query);
        }
    }

    /// The rows of a pair's entities.
    fn both<'b>(&'b self, pair: &Pair, [one, other]: &'b mut [Vec<f32>; 2]) -> [&'b [f32]; 2] {
        let entities = &self.model.entities;
        [entities.row(pair.asked.known, one), entities.row(pair.answer, other)]
    }

    /// Makes the gradients of known rows, then those of the answers' rows.
    fn fill_rows(&self, pairs: &[Pair], gradient: &[f32], out: &mut [f32]) {
        let (model, width) = (self.model, self.model.relations.width());
        let entity = model.entities.width();
        out.fill(0.0);
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
    }
}
