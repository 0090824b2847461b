//! Negatives that each query has of its own.

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::similarity::Span;

use super::{Asking, Work};
use crate::form::met::{Met, MetByRow};
use crate::form::step::{Learner, Method, Scored, StepLoss, finish};
use crate::table::Part;

/// Queries that are one task.
const TASK: usize = 32;

/// A step in which every query has negatives of its own.
pub fn step<'a>(
    learner: &mut Learner,
    method: &Method<'_>,
    machine: &Machine,
    asking: Asking<'a>,
) -> StepLoss {
    let Asking { batch, queries, .. } = asking;
    let work = Work::new(learner, method, machine, asking);
    let (columns, similarity) = (work.columns, work.similarity);
    let (loss, query_gradient, met) = work.own();
    let gradient = |room: &mut Room<'a>, part: &Part<'_>, out: &mut [f32]| {
        let rows = out.chunks_exact_mut(columns.rows.width).enumerate();
        for ((place, out), met) in rows.zip(met.of(part.ids)) {
            room.fill(met, queries, columns.queries);
            let pairs = room.pairs(columns.rows.slice(part.row(place)));
            similarity.add_to_row(machine.instruction_set, &pairs, columns.rows.slice_mut(out));
        }
    };
    let candidates = Some(met.ids().to_vec());
    let (scratch, gradient) = (&Room::default, &gradient);
    let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
    finish(learner, method, machine, batch, scored)
}

/// What one row meets.
#[derive(Default)]
struct Room<'a> {
    ids: Vec<u32>,
    rights: Vec<&'a [f32]>,
    scores: Vec<f32>,
    coefficients: Vec<f32>,
}

impl<'a> Room<'a> {
    /// The queries that met a row, with what they made of it.
    fn fill(&mut self, met: &[Met], queries: &'a [f32], span: Span) {
        let query = |met: &Met| span.slice(&queries[met.query as usize * span.width..]);
        self.rights.clear();
        self.rights.extend(met.iter().map(query));
        self.scores.clear();
        self.scores.extend(met.iter().map(|met| met.score));
        self.coefficients.clear();
        self.coefficients.extend(met.iter().map(|met| met.coefficient));
    }

    fn pairs<'b>(&'b self, left: &'b [f32]) -> Pairs<'b> {
        let Self { rights, scores, coefficients, .. } = self;
        Pairs { left, rights, from: 0, coefficients, scores, stride: 1 }
    }
}

impl<'a> Work<'a> {
    /// Draws the negatives of one query, from its relation's range where there are ranges.
    fn draw_own(&self, query: usize, negatives: &mut [u32]) {
        let asked = self.batch.asked[query];
        match self.ranges.map(|ranges| ranges.of(asked.relation, asked.side)) {
            // One that holds the answer alone has nothing to tell it from.
            Some(range) if range.len() > 1 => {
                let n = range.len() as u32;
                self.method.sampler.draw(self.address, query as u32, n, negatives);
                negatives.iter_mut().for_each(|place| *place = range[*place as usize]);
            }
            _ => self.draw(query, negatives),
        }
    }

    /// The loss, the queries' gradient, and which queries met which entities.
    fn own(&self) -> (f64, Buffer, MetByRow) {
        let (n, width, of_query) =
            (self.batch.len(), self.columns.queries.width, self.method.n_negatives + 1);
        let mut query_gradient = self.machine.buffers.room(n * width);
        let mut losses = vec![0.0; n];
        let mut met = vec![Met::default(); n * of_query];
        let tasks = met.chunks_mut(TASK * of_query).zip(query_gradient.chunks_mut(TASK * width));
        let tasks = tasks.zip(losses.chunks_mut(TASK)).enumerate().collect();
        self.machine.workers.each_with(tasks, Room::default, |room, (task, (out, losses))| {
            let (met, gradients) = out;
            gradients.fill(0.0);
            let out = met.chunks_exact_mut(of_query).zip(gradients.chunks_exact_mut(width));
            for (query, ((met, gradient), loss)) in (task * TASK..).zip(out.zip(losses)) {
                *loss = self.own_query(query, room, met, gradient);
            }
        });
        let n_entities = self.learner.model.entities.n_rows();
        (losses.iter().sum(), query_gradient, MetByRow::new(met, n_entities))
    }

    /// Scores a query's candidates; returns its loss.
    fn own_query(
        &self,
        query: usize,
        room: &mut Room<'a>,
        met: &mut [Met],
        gradient: &mut [f32],
    ) -> f64 {
        let isa = self.machine.instruction_set;
        room.ids.resize(met.len(), 0);
        room.ids[0] = self.answer(query);
        self.draw_own(query, &mut room.ids[1..]);
        room.rights.clear();
        room.rights.extend(room.ids.iter().map(|id| self.candidate(*id)));
        room.scores.resize(met.len(), 0.0);
        let span = self.columns.queries;
        let row = span.slice(&self.queries[query * span.width..]);
        self.similarity.scores(isa, row, &room.rights, &mut room.scores);
        room.coefficients.clear();
        room.coefficients.extend_from_slice(&room.scores);
        let (loss, slope) = self.judge(query, room.scores[0], &mut room.coefficients[1..]);
        room.coefficients[0] = slope;
        self.similarity.add_to_query(isa, &room.pairs(row), span.slice_mut(gradient));
        let found = room.ids.iter().zip(&room.scores).zip(&room.coefficients);
        for (met, ((row, score), coefficient)) in met.iter_mut().zip(found) {
            let (row, score, coefficient) = (*row, *score, *coefficient);
            *met = Met { row, query: query as u32, score, coefficient };
        }
        loss
    }
}
