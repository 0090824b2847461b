//! Negatives that a block of queries shares.
//!
//! What negatives get are blocks; what an answer gets is made of its query when its row changes.

use gossamer_machine::{Buffer, Buffers, Machine};
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Number, Right};
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::product;
use gossamer_tensor::kernel::similarity::{Block, Similarity};
use gossamer_tensor::kernel::tile::Pair as Bf16Pair;

use super::{Asking, Meeting, Work};
use crate::config::Precision;
use crate::form::met::{Met, MetByRow};
use crate::form::step::{Learner, Method, Scored, StepLoss, condition_parts, finish};
use crate::score::Widths;
use crate::table::{Part, SparseRows, Table, rows};

/// A step in which blocks of queries share their negatives.
pub fn step<'a>(
    learner: &mut Learner,
    method: &Method<'_>,
    machine: &Machine,
    asking: Asking<'a>,
) -> StepLoss {
    let Asking { batch, queries, .. } = asking;
    let work = Work::new(learner, method, machine, asking);
    let (columns, similarity) = (work.columns, work.similarity);
    // No moment has all of them, but a plan counts each, so they may wait for the next step.
    machine.buffers.allow(work.arrays().all());
    let Found { loss, query_gradient, answers, negatives } = work.shared();
    let isa = machine.instruction_set;
    let gradient = |meeting: &mut Meeting<'a>, part: &Part<'_>, out: &mut [f32]| {
        meeting.add(isa, (similarity, columns), (&answers, queries), part, out);
        negatives.add_to(isa, part.ids, out);
    };
    let candidates = Some(rows::union(&[answers.ids(), &negatives.ids]));
    let (scratch, gradient) = (&Meeting::default, &gradient);
    let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
    finish(learner, method, machine, batch, scored)
}

/// What a batch found out.
struct Found {
    loss: f64,
    query_gradient: Buffer,
    answers: MetByRow,
    negatives: SparseRows,
}

/// Where a block with shared negatives puts what it finds.
struct Shared<'a> {
    query_gradient: &'a mut [f32],
    answers: &'a mut [Met],
    ids: &'a mut [u32],
    rows: &'a mut [f32],
}

/// Floats of the arrays of a step in which blocks of queries share their negatives.
pub struct Arrays {
    /// Of queries: they, their gradients, and what these are of known rows and relations' rows;
    /// conditions that are other rows are counted apart.
    pub queries: usize,
    /// Of the gradients of negatives.
    pub negatives: usize,
    /// Of the blocks at work: rows of negatives, plain and packed, scores and coefficients.
    pub blocks: usize,
    /// Of the threads: gradients of a panel's rows while they change.
    pub changes: usize,
}

impl Arrays {
    /// Of so many queries, those of a block and its negatives, with so many threads; and so many
    /// relation rows, whose gradients are parts of several queries.
    pub fn new(
        [n, block, negatives, n_threads]: [usize; 4],
        relation_rows: usize,
        widths: Widths,
    ) -> Self {
        let Widths { entity, relation, query } = widths;
        let (block, rows) = (block.min(n), negatives * entity);
        let blocks = n.div_ceil(block.max(1));
        let parts = condition_parts(relation_rows as u64, n as u64) as usize;
        let of_queries = [n * query, n * query, n * entity, parts * relation];
        let of_block = [rows, rows, block * negatives, block * negatives].map(Buffers::roomy);
        let touched = 2 * n + blocks * negatives;
        Self {
            queries: of_queries.map(Buffers::roomy).iter().sum(),
            negatives: Buffers::roomy(blocks * rows),
            blocks: blocks.min(n_threads) * of_block.iter().sum::<usize>(),
            changes: n_threads * Table::gradient_floats(touched, entity),
        }
    }

    /// All of them.
    pub fn all(&self) -> usize {
        self.queries + self.negatives + self.blocks + self.changes
    }
}

impl Work<'_> {
    fn arrays(&self) -> Arrays {
        let (model, method) = (&self.learner.model, self.method);
        let widths = model.function.widths(model.dim);
        let n_threads = self.machine.workers.n_threads();
        let sizes = [self.batch.len(), method.block, method.n_negatives, n_threads];
        Arrays::new(sizes, model.relations.n_rows(), widths)
    }

    fn shared(&self) -> Found {
        let (n, n_negatives) = (self.batch.len(), self.method.n_negatives);
        let (of_query, width) = (self.columns.queries.width, self.columns.rows.width);
        let of_block = self.method.block;
        let blocks = n.div_ceil(of_block);
        let n_rows = blocks * n_negatives;
        let buffers = &self.machine.buffers;
        let (mut ids, mut rows) = (vec![0; n_rows], buffers.room(n_rows * width));
        let (mut query_gradient, mut losses) = (buffers.room(n * of_query), vec![0.0; blocks]);
        let mut answers = vec![Met::default(); n];
        let tasks = ids.chunks_mut(n_negatives).zip(rows.chunks_mut(n_negatives * width));
        let tasks = tasks.zip(query_gradient.chunks_mut(of_block * of_query));
        let tasks = tasks.zip(answers.chunks_mut(of_block)).zip(&mut losses).enumerate();
        let tasks = tasks.map(|(block, ((((ids, rows), query_gradient), answers), loss))| {
            (block, loss, Shared { query_gradient, answers, ids, rows })
        });
        self.machine.workers.each(tasks.collect(), |(block, loss, out)| {
            out.rows.fill(0.0);
            *loss = self.shared_block(block, out);
        });
        let answers = MetByRow::new(answers, self.learner.model.entities.n_rows());
        let negatives = SparseRows::new(&ids, rows, width);
        Found { loss: losses.iter().sum(), query_gradient, answers, negatives }
    }

    /// Fills `out` and returns the loss.
    fn shared_block(&self, block: usize, out: Shared<'_>) -> f64 {
        let Self { columns, similarity, .. } = *self;
        let (isa, n_negatives) = (self.machine.instruction_set, self.method.n_negatives);
        let (of_query, width) = (columns.queries.width, columns.rows.width);
        let (first, n) = (block * self.method.block, out.answers.len());
        let queries = &self.queries[first * of_query..][..n * of_query];
        // They are on their way while negatives are gathered.
        let answers = first..first + n;
        answers.clone().for_each(|query| self.learner.model.entities.prefetch(self.answer(query)));
        self.draw(block, answers, out.ids);
        let buffers = &self.machine.buffers;
        let mut rows = buffers.room(n_negatives * width);
        self.learner.model.entities.gather(out.ids, &mut rows);
        let mut scores = buffers.room(n * n_negatives);
        self.scores((queries, &rows), &mut scores);
        let mut coefficients = buffers.room(scores.len());
        coefficients.copy_from_slice(&scores);
        let of_queries = coefficients.chunks_exact_mut(n_negatives).zip(queries.chunks(of_query));
        let (mut loss, mut room) = (0.0, Vec::new());
        for (place, (coefficients, row)) in of_queries.enumerate() {
            let (query, row) = (first + place, columns.queries.slice(row));
            let id = self.answer(query);
            let answer = self.candidate(id, &mut room);
            let mut score = [0.0];
            similarity.scores(isa, row, &[answer], &mut score);
            let (part, coefficient) = self.judge(query, score[0], coefficients);
            loss += part;
            let [score] = score;
            out.answers[place] = Met { row: id, query: query as u32, score, coefficient };
            let (answers, found) = ([answer], [&[coefficient][..], &[score][..]]);
            let pairs = Pairs::new(row, &answers, found, 0, [1, 1]);
            let out = &mut out.query_gradient[place * of_query..][..of_query];
            out.fill(0.0);
            similarity.add_to_query(isa, &pairs, columns.queries.slice_mut(out));
        }
        let (scores, coefficients) = (&scores[..], &coefficients[..]);
        let strides = [n_negatives, 1];
        let whole = Block { queries, rows: &rows, columns, scores, coefficients, strides };
        self.add_gradients(&whole, [out.query_gradient, out.rows]);
        loss
    }

    /// Whether scores are products of bf16 factors.
    fn of_bf16(&self) -> bool {
        self.similarity == Similarity::Dot && self.method.precision == Precision::Bf16
    }

    /// Fills `out` (queries × rows).
    fn scores(&self, (queries, rows): (&[f32], &[f32]), out: &mut [f32]) {
        let (isa, columns) = (self.machine.instruction_set, self.columns);
        let buffers = &self.machine.buffers;
        if !self.of_bf16() {
            let (both, room) = ((queries, rows), &mut Right::within(buffers));
            return self.similarity.scores_by_query(isa, both, columns, room, out);
        }
        let (m, n) = (queries.len() / columns.queries.width, rows.len() / columns.rows.width);
        let (a, b) = (columns.queries.of(queries), columns.rows.of(rows));
        let out = MatrixMut { values: out, stride: n };
        let room = &mut Right::<Bf16Pair>::within(buffers);
        product::rows_by_rows(isa, [m, columns.rows.n, n], [a, b], room, out);
    }

    /// Adds what a block says of its queries, and of its rows.
    fn add_gradients(&self, block: &Block<'_>, [of_queries, of_rows]: [&mut [f32]; 2]) {
        let (isa, similarity) = (self.machine.instruction_set, self.similarity);
        if !self.of_bf16() {
            similarity.add_query_gradient(isa, block, of_queries);
            return similarity.add_row_gradient(isa, block, of_rows);
        }
        let Block { queries, rows, columns, coefficients, strides: [n, _], .. } = *block;
        let (m, k) = (queries.len() / columns.queries.width, columns.rows.n);
        let (factors, mut room) = (Matrix { values: coefficients, stride: n }, Vec::new());
        let left = Bf16Pair::left(isa, [m, n], factors, &mut room);
        let (b, out) = (columns.rows.of(rows), columns.queries.of_mut(of_queries));
        product::add_product(isa, [m, n, k], left, b, out);
        let left = Bf16Pair::left_transposed(isa, n, coefficients, &mut room);
        let (b, out) = (columns.queries.of(queries), columns.rows.of_mut(of_rows));
        product::add_product(isa, [n, m, k], left, b, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::NegativeSampling;
    use super::*;
    use crate::config::Config;
    use crate::form::TrainingForm;
    use crate::form::batch::Examples;
    use crate::model::Model;
    use gossamer_graph::{Adjacency, Triples};

    const N_ENTITIES: usize = 40;

    /// A step over some triples, from rows of which one float is moved by this much: its loss, and
    /// all rows before and after it.
    fn stepped(
        (model, precision): (&str, &str),
        (row, place, more): (u32, usize, f32),
    ) -> (f64, [Vec<f32>; 2]) {
        let mut config = Config::for_model(model).unwrap();
        for (key, value) in [
            ("dim", "11"),
            ("form", "negative-sampling"),
            ("loss", "softmax-cross-entropy"),
            ("block", "5"),
            ("negatives", "7"),
            ("optimiser", "sgd"),
            ("learning_rate", "1"),
            ("regularisation", "0"),
            ("relation_prediction", "0"),
            ("initial", "0.5"),
            ("precision", precision),
        ] {
            config.set(key, value).unwrap();
        }
        let triples =
            Triples::from_rows((0..9).flat_map(|i| [[i, 0, i + 1], [3, 1, i + 2]]).collect());
        let machine = Machine::new(2, None);
        let method = Method::new(&config, 0, machine.instruction_set).unwrap();
        let sizes = [N_ENTITIES, 2];
        let mut model = Model::initial(&config, sizes, &machine.workers).unwrap();
        let first = model.entities.clone();
        model.entities = Table::filled(N_ENTITIES, first.width(), |id, out| {
            first.copy(id, out);
            out[place] += if id == row { more } else { 0.0 };
        });
        let all = |table: &Table| {
            let mut rows = Vec::new();
            table.for_each_panel(|panel| rows.extend_from_slice(panel.rows));
            rows
        };
        let before = all(&model.entities);
        let mut learner = Learner::new(model, method.optimiser);
        let adjacency = Adjacency::build(N_ENTITIES, &[&triples]);
        let examples = Examples {
            triples: &triples,
            adjacency: &adjacency,
            portions: &[],
            side_weights: None,
            residents: None,
            pools: None,
            alternatives: None,
        };
        let items: Vec<u64> = (0..2 * triples.len() as u64).collect();
        let loss = NegativeSampling.step(&mut learner, examples, &items, &method, &machine);
        (loss.sum / loss.weight, [before, all(&learner.model.entities)])
    }

    #[test]
    fn answers_known_entities_and_negatives_have_the_gradient_of_the_loss() {
        for model in ["distmult", "complex", "transe-l2"] {
            let of = |moved| stepped((model, "f32"), moved);
            let (_, [before, after]) = of((0, 0, 0.0));
            let width = before.len() / N_ENTITIES;
            // Every entity is a negative of some block; few are asked about or answers too.
            for (row, place) in [(0, 1), (3, 2), (5, 0), (9, 7), (20, 4), (33, 10)] {
                let [up, down] = [4e-3, -4e-3].map(|more| of((row, place, more)).0);
                let slope = (up - down) / 8e-3;
                let at = row as usize * width + place;
                let gradient = f64::from(before[at] - after[at]);
                assert!(
                    (slope - gradient).abs() < 2e-3 * (1.0 + slope.abs()),
                    "{model} {row}: {slope} {gradient}"
                );
            }
        }
    }

    #[test]
    fn bf16_factors_change_products_a_little_and_distances_not_at_all() {
        for (model, are_products) in [("distmult", true), ("complex", true), ("transe-l2", false)] {
            let [(loss, [before, exact]), (near_loss, [_, near])] =
                ["f32", "bf16"].map(|precision| stepped((model, precision), (0, 0, 0.0)));
            let step = before.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let off = exact.iter().zip(&near).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!((loss - near_loss).abs() < 5e-3 * loss, "{model}: {loss} {near_loss}");
            assert!(off < 0.01 * step, "{model}: {off} of {step}");
            assert_eq!(off > 0.0, are_products, "{model}");
        }
    }
}
