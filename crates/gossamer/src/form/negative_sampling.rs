//! Negative sampling: an answer against some drawn entities.
//!
//! Queries are taken in blocks of 128. *Shared*: a block's queries stand against the same negatives,
//! so scores and gradients are blocks. *Own*: each query has its own; the pairs are kept, sixteen
//! bytes each, sorted by entity, so that every row touched is read and written once.
//!
//! *Invariant:* negatives come from their address and are never stored between steps.
//! *Paper:* Bordes et al. (2013); shared negatives after Lerer et al. (2019).

use gossamer_machine::{Address, Buffer, Ledger, Machine, Purpose};
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::similarity::{Block, Columns};

use super::met::{Met, MetByRow};
use super::ranges::Ranges;
use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, Scored, StepLoss, finish};
use crate::table::{Part, SparseRows};

/// Queries that share negatives.
const QUERIES: usize = 128;
/// Queries with negatives of their own that are one task.
const TASK: usize = 32;

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
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let batch = Batch::of_pairs(examples, items);
        let queries = learner.model.folded(machine, &batch.asked);
        let step = if method.shared_negatives { with_shared } else { with_own };
        step(
            learner,
            method,
            machine,
            Asking { batch: &batch, ranges: examples.ranges, queries: &queries },
        )
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

/// The queries of a step, and what their negatives are drawn from.
#[derive(Clone, Copy)]
struct Asking<'a> {
    batch: &'a Batch,
    queries: &'a [f32],
    ranges: Option<&'a Ranges>,
}

/// A step in which blocks of queries share their negatives.
fn with_shared(
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

/// A step in which every query has negatives of its own.
fn with_own<'a>(
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
        let rows = out.chunks_exact_mut(columns.width).enumerate();
        for ((place, out), met) in rows.zip(met.of(part.ids)) {
            room.fill(met, queries, columns);
            let pairs = room.pairs(columns.slice(part.row(place)));
            similarity.add_gradient(machine.instruction_set, &pairs, columns.slice_mut(out));
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
    fn fill(&mut self, met: &[Met], queries: &'a [f32], columns: Columns) {
        let query = |met: &Met| columns.slice(&queries[met.query as usize * columns.width..]);
        self.rights.clear();
        self.rights.extend(met.iter().map(query));
        self.scores.clear();
        self.scores.extend(met.iter().map(|met| met.score));
        self.coefficients.clear();
        self.coefficients.extend(met.iter().map(|met| met.coefficient));
    }

    fn pairs<'b>(&'b self, left: &'b [f32]) -> Pairs<'b> {
        let Self { rights, scores, coefficients, .. } = self;
        Pairs { left, rights, coefficients, scores, stride: 1 }
    }
}

struct Work<'a> {
    learner: &'a Learner,
    method: &'a Method<'a>,
    machine: &'a Machine,
    batch: &'a Batch,
    queries: &'a [f32],
    ranges: Option<&'a Ranges>,
    columns: Columns,
    similarity: Similarity,
    address: Address,
}

/// Where a block with shared negatives puts what it finds: answers first, then negatives.
struct Shared<'a> {
    query_gradient: &'a mut [f32],
    ids: &'a mut [u32],
    rows: &'a mut [f32],
}

impl<'a> Work<'a> {
    fn new(
        learner: &'a Learner,
        method: &'a Method<'a>,
        machine: &'a Machine,
        Asking { batch, queries, ranges }: Asking<'a>,
    ) -> Self {
        let (columns, similarity) = (learner.model.columns(), learner.model.function.similarity());
        let address = Address::new(method.seed, Purpose::Negative, learner.steps);
        Self { learner, method, machine, batch, queries, ranges, columns, similarity, address }
    }

    /// Draws the negatives of a query, or of the queries that share them.
    fn draw(&self, row: usize, negatives: &mut [u32]) {
        let n_entities = self.learner.model.entities.n_rows() as u32;
        self.method.sampler.draw(self.address, row as u32, n_entities, negatives);
    }

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

    fn answer(&self, query: usize) -> u32 {
        self.batch.answers(query).0[0]
    }

    /// What of an entity's row is compared.
    fn candidate(&self, id: u32) -> &'a [f32] {
        self.columns.slice(self.learner.model.entities.row(id))
    }

    /// Turns scores into coefficients, weighted; returns the loss and the answer's coefficient.
    fn judge(&self, query: usize, positive: f32, negatives: &mut [f32]) -> (f64, f32) {
        let (loss, slope) = self.method.loss.sampled(&self.method.shape, positive, negatives);
        let weight = self.batch.masses[query];
        let scale = weight / self.batch.total;
        negatives.iter_mut().for_each(|coefficient| *coefficient *= scale);
        (f64::from(weight) * f64::from(loss), slope * scale)
    }

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

    /// The loss, the queries' gradient, and which queries met which entities.
    fn own(&self) -> (f64, Buffer, MetByRow) {
        let (n, width, of_query) =
            (self.batch.len(), self.columns.width, self.method.n_negatives + 1);
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
        let row = self.columns.slice(&self.queries[query * self.columns.width..]);
        self.similarity.scores(isa, row, &room.rights, &mut room.scores);
        room.coefficients.clear();
        room.coefficients.extend_from_slice(&room.scores);
        let (loss, slope) = self.judge(query, room.scores[0], &mut room.coefficients[1..]);
        room.coefficients[0] = slope;
        self.similarity.add_gradient(isa, &room.pairs(row), self.columns.slice_mut(gradient));
        let found = room.ids.iter().zip(&room.scores).zip(&room.coefficients);
        for (met, ((row, score), coefficient)) in met.iter_mut().zip(found) {
            let (row, score, coefficient) = (*row, *score, *coefficient);
            *met = Met { row, query: query as u32, score, coefficient };
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_graph::{Adjacency, Triples};

    /// The entities whose rows a step changed.
    fn changed(sampler: &str, triples: &Triples) -> Vec<u32> {
        const N_ENTITIES: usize = 40;
        let mut config = Config::for_model("distmult").unwrap();
        for (key, value) in [
            ("dim", "4"),
            ("form", "negative-sampling"),
            ("negative_sampler", sampler),
            ("shared_negatives", "false"),
            ("negatives", "64"),
            ("optimiser", "sgd"),
            ("initial", "0.5"),
        ] {
            config.set(key, value).unwrap();
        }
        let machine = Machine::new(2, None);
        let method = Method::new(&config, 0, machine.instruction_set).unwrap();
        let model = crate::Model::initial(&config, N_ENTITIES, 2).unwrap();
        let before = model.entities.clone();
        let mut learner = Learner::new(model, method.optimiser);
        let adjacency = Adjacency::build(N_ENTITIES, &[triples]);
        let ranges = Ranges::new(2, triples);
        let examples = Examples {
            triples,
            adjacency: &adjacency,
            portions: &[],
            side_weights: None,
            ranges: method.sampler.constrains().then_some(&ranges),
        };
        let items: Vec<u64> = (0..2 * triples.len() as u64).collect();
        NegativeSampling.step(&mut learner, examples, &items, &method, &machine);
        let entities = 0..N_ENTITIES as u32;
        entities.filter(|id| learner.model.entities.row(*id) != before.row(*id)).collect()
    }

    #[test]
    fn constrained_negatives_stay_among_those_of_the_relation_and_side() {
        // Relation 0 leads from below 10 to 10 … 19; entities from 20 on stand nowhere.
        let triples = Triples::from_rows((0..10).map(|i| [i, 0, 10 + i]).collect());
        assert_eq!(changed("type-constrained", &triples), (0..20).collect::<Vec<u32>>());
        assert!(changed("uniform", &triples).iter().any(|id| *id >= 20));
        // A range of one entity: negatives come from all.
        let triples = Triples::from_rows(vec![[0, 0, 1]]);
        assert!(changed("type-constrained", &triples).len() > 2);
    }
}
