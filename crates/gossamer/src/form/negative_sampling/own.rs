//! Negatives that each query has of its own.

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::pairs::Pairs;

use super::{Asking, Meeting, Work};
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
    let gradient = |meeting: &mut Meeting<'a>, part: &Part<'_>, out: &mut [f32]| {
        let (isa, how) = (machine.instruction_set, (similarity, columns));
        meeting.add(isa, how, (&met, queries), part, out);
    };
    let candidates = Some(met.ids().to_vec());
    let (scratch, gradient) = (&Meeting::default, &gradient);
    let scored = Scored { loss, queries, query_gradient, candidates, scratch, gradient };
    finish(learner, method, machine, batch, scored)
}

/// What a thread needs for its queries.
#[derive(Default)]
struct Room {
    ids: Vec<u32>,
    scores: Vec<f32>,
    coefficients: Vec<f32>,
    /// Encoded rows of candidates, decoded.
    decoded: Vec<f32>,
}

impl<'a> Work<'a> {
    /// Draws the negatives of one query, from its pool where it has one.
    fn draw_own(&self, query: usize, negatives: &mut [u32]) {
        /// Rows of random numbers from here on are for what comes from all entities.
        const EVERYWHERE: usize = 1 << 31;
        let own = query..query + 1;
        let Some(pools) = self.pools else { return self.draw(query, own, negatives) };
        let Some(pool) = pools.of(self.batch.asked[query], self.answer(query)) else {
            return self.draw(query, own, negatives);
        };
        let (near, others) = negatives.split_at_mut(pools.share(negatives.len()));
        self.method.sampler.draw(self.address, query as u32, pool.len() as u32, near);
        near.iter_mut().for_each(|place| *place = pool[*place as usize]);
        self.draw(query | EVERYWHERE, own, others);
    }

    /// The loss, the queries' gradient, and which queries met which entities.
    fn own(&self) -> (f64, Buffer, MetByRow) {
        let width = self.columns.queries.width;
        let relations = self.method.sampler.n_relations();
        let of_query = self.method.n_negatives + 1 + relations;
        let mut query_gradient = self.machine.buffers.room(self.batch.len() * width);
        let (answered, unanswered) = query_gradient.split_at_mut(self.n * width);
        let mut losses = vec![0.0; self.n];
        let mut met = vec![Met::default(); self.n * of_query];
        let mut unanswered = unanswered.chunks_mut((TASK * relations * width).max(1));
        let tasks = met.chunks_mut(TASK * of_query).zip(answered.chunks_mut(TASK * width));
        let tasks = tasks.zip(losses.chunks_mut(TASK)).enumerate();
        let tasks = tasks.map(|(task, ((met, gradients), losses))| {
            (task, met, [gradients, unanswered.next().unwrap_or_default()], losses)
        });
        self.machine.workers.each_with(tasks.collect(), Room::default, |room, task| {
            let (task, met, [gradients, others], losses) = task;
            gradients.fill(0.0);
            others.fill(0.0);
            let others = &mut others.chunks_exact_mut((relations * width).max(1));
            let out = met.chunks_exact_mut(of_query).zip(gradients.chunks_exact_mut(width));
            for (query, ((met, gradient), loss)) in (task * TASK..).zip(out.zip(losses)) {
                *loss =
                    self.own_query(query, room, met, [gradient, others.next().unwrap_or_default()]);
            }
        });
        let n_entities = self.learner.model.entities.n_rows();
        (losses.iter().sum(), query_gradient, MetByRow::new(met, n_entities))
    }

    /// Scores a query's candidates and its other relations; returns its loss.
    fn own_query(
        &self,
        query: usize,
        room: &mut Room,
        met: &mut [Met],
        [gradient, others]: [&mut [f32]; 2],
    ) -> f64 {
        let (isa, similarity) = (self.machine.instruction_set, self.similarity);
        let n = self.method.n_negatives + 1;
        room.ids.resize(n, 0);
        room.ids[0] = self.answer(query);
        self.draw_own(query, &mut room.ids[1..]);
        let mut rights = self.learner.model.entities.rows(&room.ids, &mut room.decoded);
        rights.iter_mut().for_each(|row| *row = self.columns.rows.slice(row));
        room.scores.resize(met.len(), 0.0);
        let row = self.query(query);
        let (scores, other_scores) = room.scores.split_at_mut(n);
        similarity.scores(isa, row, &rights, scores);
        let answer = [rights[0]];
        let first_other = self.n + query * other_scores.len();
        for (other, score) in (first_other..).zip(other_scores.chunks_mut(1)) {
            similarity.scores(isa, self.query(other), &answer, score);
        }
        room.coefficients.clear();
        room.coefficients.extend_from_slice(&room.scores);
        let (loss, slope) = self.judge(query, room.scores[0], &mut room.coefficients[1..]);
        room.coefficients[0] = slope;
        let span = self.columns.queries;
        let found = [&room.coefficients[..n], &room.scores[..n]];
        let pairs = Pairs::new(row, &rights, found, 0, [1, 1]);
        similarity.add_to_query(isa, &pairs, span.slice_mut(gradient));
        for (place, gradient) in others.chunks_exact_mut(span.width).enumerate() {
            let found = [&room.coefficients[n + place..], &room.scores[n + place..]];
            let pairs = Pairs::new(self.query(first_other + place), &answer, found, 0, [1, 1]);
            similarity.add_to_query(isa, &pairs, span.slice_mut(gradient));
        }
        let found = room.scores.iter().zip(&room.coefficients);
        for (place, (met, (score, coefficient))) in met.iter_mut().zip(found).enumerate() {
            let other = place.checked_sub(n).map(|other| (room.ids[0], first_other + other));
            let (row, query) = other.unwrap_or_else(|| (room.ids[place], query));
            let (score, coefficient) = (*score, *coefficient);
            *met = Met { row, query: query as u32, score, coefficient };
        }
        loss
    }

    /// What of a query is compared.
    fn query(&self, query: usize) -> &'a [f32] {
        let span = self.columns.queries;
        span.slice(&self.queries[query * span.width..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::form::batch::{Batch, Examples};
    use crate::form::neighbourhoods::Neighbourhoods;
    use crate::form::pools::Pools;
    use crate::model::Model;
    use gossamer_graph::{Adjacency, Triples};

    #[test]
    fn half_of_near_negatives_are_around_the_answer_and_half_anywhere() {
        const N: usize = 1000;
        let mut config = Config::for_model("distmult").unwrap();
        config.set("negative_sampler", "near").unwrap();
        let machine = Machine::new(1, None);
        let method = Method::new(&config, 0, machine.instruction_set).unwrap();
        let learner = Learner::new(
            Model::initial(&config, [N, 1], &machine.workers).unwrap(),
            method.optimiser,
        );
        let triples = Triples::from_rows(vec![[500, 0, 3]]);
        let adjacency = Adjacency::build(N, &[&triples]);
        let of = (0..N as u32).map(|id| Some(u32::from(id >= 10))).collect();
        let pools = Pools::of_neighbourhoods(Neighbourhoods { of });
        let examples = Examples {
            triples: &triples,
            adjacency: &adjacency,
            portions: &[],
            side_weights: None,
            pools: Some(&pools),
            residents: None,
            alternatives: None,
        };
        let batch = Batch::of_pairs(examples, &[0]);
        let queries = learner.model.folded(&machine, &batch.asked, None);
        let pools = Some(&pools);
        let asking = Asking { batch: &batch, n: 1, queries: &queries, pools, residents: None };
        let work = Work::new(&learner, &method, &machine, asking);
        let mut negatives = [0; 2000];
        work.draw_own(0, &mut negatives);
        // The answer, 3, has nine neighbours below 10; from all, ten in a thousand are there.
        assert!(negatives[..1000].iter().all(|id| *id < 10));
        let there = negatives[1000..].iter().filter(|id| **id < 10).count();
        assert!(there < 30, "{there}");
        assert!(negatives[1000..].iter().any(|id| *id > 900));
    }
}
