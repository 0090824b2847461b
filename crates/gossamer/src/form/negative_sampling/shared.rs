//! Negatives that a block of queries shares.

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::similarity::Block;

use super::{Asking, QUERIES, Work};
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
        let (n, width, n_negatives) =
            (self.batch.len(), self.columns.width, self.method.n_negatives);
        let blocks = n.div_ceil(QUERIES);
        let n_rows = n + blocks * n_negatives;
        let buffers = &self.machine.buffers;
        let (mut ids, mut rows) = (vec![0; n_rows], buffers.room(n_rows * width));
        let (mut query_gradient, mut losses) = (buffers.room(n * width), vec![0.0; blocks]);
        let of_block = QUERIES + n_negatives;
        let tasks = ids.chunks_mut(of_block).zip(rows.chunks_mut(of_block * width));
        let tasks = tasks.zip(query_gradient.chunks_mut(QUERIES * width)).zip(&mut losses);
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
        let (isa, width, n_negatives) =
            (self.machine.instruction_set, columns.width, self.method.n_negatives);
        let first = block * QUERIES;
        let n = out.query_gradient.len() / width;
        let queries = &self.queries[first * width..][..n * width];
        let (answers, negatives) = out.ids.split_at_mut(n);
        answers.iter_mut().zip(first..).for_each(|(id, query)| *id = self.answer(query));
        self.draw(block, negatives);
        let buffers = &self.machine.buffers;
        let mut rows = buffers.room(n_negatives * width);
        self.learner.model.entities.gather(negatives, &mut rows);
        let mut scores = buffers.room(n * n_negatives);
        let packed = (n_negatives, &similarity.pack(&rows, columns));
        similarity.scores_by_row(isa, packed, queries, columns, &mut scores);
        let mut coefficients = buffers.room(scores.len());
        coefficients.copy_from_slice(&scores);
        let (answer_out, negative_out) = out.rows.split_at_mut(n * width);
        let of_queries = coefficients.chunks_exact_mut(n_negatives).zip(queries.chunks(width));
        let mut loss = 0.0;
        for (query, (coefficients, row)) in of_queries.enumerate() {
            let (row, answer) = (columns.slice(row), self.candidate(answers[query]));
            let mut positive = [0.0];
            similarity.scores(isa, row, &[answer], &mut positive);
            let (part, slope) = self.judge(first + query, positive[0], coefficients);
            loss += part;
            let outs = [&mut *out.query_gradient, &mut *answer_out];
            for ((left, right), out) in [(row, answer), (answer, row)].into_iter().zip(outs) {
                let (rights, scores, coefficients) = (&[right][..], &positive[..], &[slope][..]);
                let pairs = Pairs { left, rights, coefficients, scores, stride: 1 };
                let out = columns.slice_mut(&mut out[query * width..][..width]);
                similarity.add_gradient(isa, &pairs, out);
            }
        }
        let (scores, coefficients) = (&scores[..], &coefficients[..]);
        let whole = Block { queries, rows: &rows, columns, scores, coefficients };
        similarity.add_gradients(isa, &whole, out.query_gradient, negative_out);
        loss
    }
}
