//! Negatives that a block of queries shares.

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::similarity::Block;

use super::{Asking, Work};
use crate::form::step::{Learner, Method, Scored, StepLoss, finish};
use crate::table::{Part, SparseRows};

/// A step in which blocks of queries share their negatives.
pub fn step(
    learner: &mut Learner,
    method: &Method<'_>,
    machine: &Machine,
    asking: Asking<'_>,
) -> StepLoss {
    let Asking { batch, queries, .. } = asking;
    let work = Work::new(learner, method, machine, asking);
    let (loss, query_gradient, rows) = work.shared();
    let gradient = |(): &mut (), part: &Part<'_>, out: &mut [f32]| {
        rows.add_to(machine.instruction_set, part.ids, out);
    };
    let (candidates, scratch, gradient) = (Some(rows.ids.clone()), &|| (), &gradient);
    let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
    finish(learner, method, machine, batch, scored)
}

/// Where a block with shared negatives puts what it finds: answers first, then negatives.
struct Shared<'a> {
    query_gradient: &'a mut [f32],
    ids: &'a mut [u32],
    rows: &'a mut [f32],
}

impl Work<'_> {
    /// The loss, the queries' gradient, and what answers and shared negatives get.
    fn shared(&self) -> (f64, Buffer, SparseRows) {
        let (n, n_negatives) = (self.batch.len(), self.method.n_negatives);
        let (of_query, width) = (self.columns.queries.width, self.columns.rows.width);
        let of_block = self.method.block;
        let blocks = n.div_ceil(of_block);
        let n_rows = n + blocks * n_negatives;
        let buffers = &self.machine.buffers;
        let (mut ids, mut rows) = (vec![0; n_rows], buffers.room(n_rows * width));
        let (mut query_gradient, mut losses) = (buffers.room(n * of_query), vec![0.0; blocks]);
        let n_found = of_block + n_negatives;
        let tasks = ids.chunks_mut(n_found).zip(rows.chunks_mut(n_found * width));
        let tasks = tasks.zip(query_gradient.chunks_mut(of_block * of_query)).zip(&mut losses);
        let tasks = tasks.enumerate().map(|(block, (((ids, rows), query_gradient), loss))| {
            (block, loss, Shared { ids, rows, query_gradient })
        });
        self.machine.workers.each(tasks.collect(), |(block, loss, out)| {
            out.rows.fill(0.0);
            out.query_gradient.fill(0.0);
            *loss = self.shared_block(block, out);
        });
        (losses.iter().sum(), query_gradient, SparseRows::new(&ids, rows, width))
    }

    /// Fills `out` and returns the loss.
    fn shared_block(&self, block: usize, out: Shared<'_>) -> f64 {
        let Self { columns, similarity, .. } = *self;
        let (isa, n_negatives) = (self.machine.instruction_set, self.method.n_negatives);
        let (of_query, width) = (columns.queries.width, columns.rows.width);
        let first = block * self.method.block;
        let n = out.query_gradient.len() / of_query;
        let queries = &self.queries[first * of_query..][..n * of_query];
        let (answers, negatives) = out.ids.split_at_mut(n);
        answers.iter_mut().zip(first..).for_each(|(id, query)| *id = self.answer(query));
        // They are on their way while negatives are gathered.
        answers.iter().for_each(|id| self.learner.model.entities.prefetch(*id));
        self.draw(block, first..first + n, negatives);
        let buffers = &self.machine.buffers;
        let mut rows = buffers.room(n_negatives * width);
        self.learner.model.entities.gather(negatives, &mut rows);
        let mut scores = buffers.room(n * n_negatives);
        similarity.scores_by_query(isa, (queries, &rows), columns, &mut scores);
        let mut coefficients = buffers.room(scores.len());
        coefficients.copy_from_slice(&scores);
        let (answer_out, negative_out) = out.rows.split_at_mut(n * width);
        let of_queries = coefficients.chunks_exact_mut(n_negatives).zip(queries.chunks(of_query));
        let (mut loss, mut room) = (0.0, Vec::new());
        for (query, (coefficients, row)) in of_queries.enumerate() {
            let row = columns.queries.slice(row);
            let answer = self.candidate(answers[query], &mut room);
            let mut positive = [0.0];
            similarity.scores(isa, row, &[answer], &mut positive);
            let (part, slope) = self.judge(first + query, positive[0], coefficients);
            loss += part;
            let found = [&[slope][..], &positive[..]];
            let out = &mut out.query_gradient[query * of_query..][..of_query];
            let (answers, rows) = ([answer], [row]);
            let pairs = Pairs::new(row, &answers, found, 0, [1, 1]);
            similarity.add_to_query(isa, &pairs, columns.queries.slice_mut(out));
            let out = &mut answer_out[query * width..][..width];
            let pairs = Pairs::new(answer, &rows, found, 0, [1, 1]);
            similarity.add_to_row(isa, &pairs, columns.rows.slice_mut(out));
        }
        let (scores, coefficients) = (&scores[..], &coefficients[..]);
        let strides = [n_negatives, 1];
        let whole = Block { queries, rows: &rows, columns, scores, coefficients, strides };
        similarity.add_query_gradient(isa, &whole, out.query_gradient);
        similarity.add_row_gradient(isa, &whole, negative_out);
        loss
    }
}
