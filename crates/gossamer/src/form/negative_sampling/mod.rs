//! Negative sampling: an answer against some drawn entities.
//!
//! Queries are taken in blocks. *Shared*: a block's queries stand against the same negatives,
//! so scores and gradients are blocks (`shared`). *Own*: each query has its own; the pairs are kept,
//! sixteen bytes each, sorted by entity, so that every row touched is read and written once (`own`).
//!
//! *Invariant:* negatives come from their address and are never stored between steps.
//! *Paper:* Bordes et al. (2013); shared negatives after Lerer et al. (2019).

use std::ops::Range;

use gossamer_machine::{Address, InstructionSet, Ledger, Machine, Purpose};
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::pairs::Pairs;
use gossamer_tensor::kernel::similarity::Columns;

use super::met::{Met, MetByRow};
use super::pools::Pools;
use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, StepLoss};
use crate::model::Asked;
use crate::paging::negatives::{NUMBERS, Residents};
use crate::sample;
use crate::table::{Part, Table};

mod shared;
mod own;

use shared::Arrays;

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

    fn batch(&self, examples: Examples<'_>, items: &[u64], _: &Method<'_>) -> Batch {
        let Some(residents) = examples.residents else {
            return Batch::of_pairs(examples, items);
        };
        // Those with known entities in one partition share negatives.
        let mut items = items.to_vec();
        let (triples, n) = (examples.triples, examples.triples.len());
        items.sort_by_key(|item| {
            let [head, _, tail] = triples.get(*item as usize % n);
            residents.partition(if (*item as usize) < n { head } else { tail })
        });
        Batch::of_pairs(examples, &items)
    }

    fn learn(
        &self,
        learner: &mut Learner,
        (examples, mut batch): (Examples<'_>, Batch),
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let n = batch.len();
        let n_relations = method.sampler.n_relations();
        if let Some(alternatives) = examples.alternatives {
            // Each positive's entities once more, joined by other relations.
            let address = Address::new(method.seed, Purpose::Alternative, learner.steps);
            let asked = batch.asked.clone();
            batch.push_unanswered((0u32..).zip(asked).flat_map(|(query, asked)| {
                (0..n_relations as u32).map(move |place| {
                    let relation = alternatives.draw(asked.relation, address, query, place);
                    Asked { relation, ..asked }
                })
            }));
        }
        let queries =
            learner.model.folded(machine, &batch.asked, method.dropped(learner.steps, machine));
        let step = if method.shared_negatives { shared::step } else { own::step };
        step(
            learner,
            method,
            machine,
            Asking {
                batch: &batch,
                n,
                pools: examples.pools,
                residents: examples.residents,
                queries: &queries,
            },
        )
    }

    fn plan(&self, config: &Config, shape: &StepShape, _: u64, ledger: &mut Ledger) {
        let n_relations = sample::find(&config.negative_sampler).map_or(0, |s| s.n_relations());
        let n = config.batch * (1 + n_relations);
        let widths = shape.widths;
        let (negatives, block) = (config.negatives, config.block.min(n));
        let n_threads = shape.n_threads as usize;
        let sizes = [n, block, if config.shared_negatives { negatives } else { 0 }, n_threads];
        let arrays = Arrays::new(sizes, shape.relation_rows as usize, widths);
        // Beside the arrays lists of ids, sorted; twelve words a query, eight a negative.
        let queries = 4 * (arrays.queries + 12 * n) as u64;
        ledger.add("queries", format!("{n} × {}", widths.query), "f32", queries);
        let words = format!("{} × {negatives}", config.batch);
        if config.shared_negatives {
            let rows = n.div_ceil(block) * negatives;
            let bytes = 4 * (arrays.negatives + 8 * rows) as u64;
            ledger.add("candidate gradients", words, "f32", bytes);
        } else {
            // A pair while it is made, sorted, and kept.
            let pairs = config.batch * (negatives + 1 + n_relations);
            ledger.add("pairs", words, "f32", 48 * pairs as u64);
        }
        // Rows and queries once more, as factors of products want them.
        let factors = n_threads * (negatives + block) * widths.query;
        let blocks = match config.shared_negatives {
            true => arrays.blocks + arrays.changes + n_threads * block * widths.query,
            false => {
                let touched = n * (negatives + 2);
                2 * factors + n_threads * Table::gradient_floats(touched, widths.entity)
            }
        };
        let words = format!("{n_threads} × {negatives} × {}", widths.query);
        ledger.add("negatives", words, "f32", 4 * blocks as u64);
    }

    fn most_kept_bytes(&self, _: &Config, _: &StepShape) -> u64 {
        0
    }
}

/// The queries of a step, and what their negatives are drawn from.
#[derive(Clone, Copy)]
struct Asking<'a> {
    batch: &'a Batch,
    /// Queries that have an answer; the others bring a relation that stands against theirs.
    n: usize,
    queries: &'a [f32],
    pools: Option<&'a Pools>,
    residents: Option<&'a Residents>,
}

/// A thread's room for the queries that one row met.
#[derive(Default)]
struct Meeting<'a> {
    queries: Vec<&'a [f32]>,
    scores: Vec<f32>,
    coefficients: Vec<f32>,
}

impl<'a> Meeting<'a> {
    /// Adds what the queries that met some rows say of them.
    fn add(
        &mut self,
        isa: InstructionSet,
        (similarity, columns): (Similarity, Columns),
        (met, queries): (&MetByRow, &'a [f32]),
        part: &Part<'_>,
        out: &mut [f32],
    ) {
        let span = columns.queries;
        let query = |met: &Met| span.slice(&queries[met.query as usize * span.width..]);
        let rows = out.chunks_exact_mut(columns.rows.width).enumerate();
        for ((place, out), met) in rows.zip(met.of(part.ids)) {
            if met.is_empty() {
                continue;
            }
            self.queries.clear();
            self.queries.extend(met.iter().map(query));
            self.scores.clear();
            self.scores.extend(met.iter().map(|met| met.score));
            self.coefficients.clear();
            self.coefficients.extend(met.iter().map(|met| met.coefficient));
            let row = columns.rows.slice(part.row(place));
            let found = [&self.coefficients[..], &self.scores[..]];
            let pairs = Pairs::new(row, &self.queries, found, 0, [1, 1]);
            similarity.add_to_row(isa, &pairs, columns.rows.slice_mut(out));
        }
    }
}

/// What both ways to sample look at.
struct Work<'a> {
    learner: &'a Learner,
    method: &'a Method<'a>,
    machine: &'a Machine,
    batch: &'a Batch,
    n: usize,
    queries: &'a [f32],
    pools: Option<&'a Pools>,
    residents: Option<&'a Residents>,
    columns: Columns,
    similarity: Similarity,
    address: Address,
}

impl<'a> Work<'a> {
    fn new(
        learner: &'a Learner,
        method: &'a Method<'a>,
        machine: &'a Machine,
        Asking { batch, n, queries, pools, residents }: Asking<'a>,
    ) -> Self {
        let (columns, similarity) = (learner.model.columns(), learner.model.function.similarity());
        let address = Address::new(method.seed, Purpose::Negative, learner.steps);
        Self {
            learner,
            method,
            machine,
            batch,
            n,
            queries,
            pools,
            residents,
            columns,
            similarity,
            address,
        }
    }

    /// Draws the negatives of a query, or of the queries that share them: with some entities in
    /// memory, as those of the queries' known entities come, each query's as often as another's.
    fn draw(&self, row: usize, queries: Range<usize>, negatives: &mut [u32]) {
        let Some(residents) = self.residents else {
            let n_entities = self.learner.model.entities.n_rows() as u32;
            return self.method.sampler.draw(self.address, row as u32, n_entities, negatives);
        };
        self.method.sampler.draw(self.address, row as u32, NUMBERS, negatives);
        let n = negatives.len();
        for (place, number) in negatives.iter_mut().enumerate() {
            let query = queries.start + place * queries.len() / n;
            let known = residents.partition(self.batch.asked[query].known);
            *number = residents.entity(known, *number);
        }
    }

    fn answer(&self, query: usize) -> u32 {
        self.batch.answers(query).0[0]
    }

    /// What of an entity's row is compared; `room` is where an encoded one is decoded.
    fn candidate<'b>(&'b self, id: u32, room: &'b mut Vec<f32>) -> &'b [f32] {
        self.columns.rows.slice(self.learner.model.entities.row(id, room))
    }

    /// Turns scores into coefficients, weighted; returns the loss and the answer's coefficient.
    fn judge(&self, query: usize, positive: f32, negatives: &mut [f32]) -> (f64, f32) {
        let (loss, slope) = self.method.loss.sampled(&self.method.shape, positive, negatives);
        let weight = self.batch.masses[query];
        let scale = weight / self.batch.total;
        negatives.iter_mut().for_each(|coefficient| *coefficient *= scale);
        (f64::from(weight) * f64::from(loss), slope * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::alternatives::Alternatives;
    use crate::sample::Source;
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
        let model = crate::Model::initial(&config, [N_ENTITIES, 2], &machine.workers).unwrap();
        let before = model.entities.clone();
        let mut learner = Learner::new(model, method.optimiser);
        let adjacency = Adjacency::build(N_ENTITIES, &[triples]);
        let (pools, sampler) = (Pools::of_relations(2, triples), method.sampler);
        let alternatives = Alternatives::new(N_ENTITIES, 2, triples);
        let examples = Examples {
            triples,
            adjacency: &adjacency,
            portions: &[],
            side_weights: None,
            residents: None,
            pools: (sampler.source() == Source::Range).then_some(&pools),
            alternatives: (sampler.n_relations() > 0).then_some(&alternatives),
        };
        let items: Vec<u64> = (0..2 * triples.len() as u64).collect();
        NegativeSampling.step(&mut learner, examples, &items, &method, &machine);
        let entities = 0..N_ENTITIES as u32;
        let row = |table: &crate::table::Table, id: u32| table.row(id, &mut Vec::new()).to_vec();
        entities.filter(|id| row(&learner.model.entities, *id) != row(&before, *id)).collect()
    }

    /// A step with like relations, from rows of which one float is moved by this much; the loss
    /// and the model after it.
    fn step_with_relations(
        model: &str,
        (table, id, place): (usize, u32, usize),
        more: f32,
    ) -> (f64, [crate::table::Table; 2]) {
        let mut config = Config::for_model(model).unwrap();
        for (key, value) in [
            ("dim", "4"),
            ("form", "negative-sampling"),
            ("loss", "softmax-cross-entropy"),
            ("negative_sampler", "relation-similar"),
            ("shared_negatives", "false"),
            ("regularisation", "0"),
            ("negatives", "3"),
            ("dropout", "0.25"),
            ("optimiser", "sgd"),
            ("learning_rate", "1"),
            ("initial", "0.5"),
        ] {
            config.set(key, value).unwrap();
        }
        let triples = Triples::from_rows((0..6).flat_map(|i| [[i, 0, i + 1], [i, 1, 9]]).collect());
        let (machine, adjacency) = (Machine::new(2, None), Adjacency::build(10, &[&triples]));
        let method = Method::new(&config, 0, machine.instruction_set).unwrap();
        let mut model = crate::Model::initial(&config, [10, 3], &machine.workers).unwrap();
        let moved = [&mut model.entities, &mut model.relations][table].clone();
        let moved = crate::table::Table::filled(moved.n_rows(), moved.width(), |row, out| {
            moved.copy(row, out);
            out[place] += if row == id { more } else { 0.0 };
        });
        *[&mut model.entities, &mut model.relations][table] = moved;
        let mut learner = Learner::new(model, method.optimiser);
        let examples = Examples {
            triples: &triples,
            adjacency: &adjacency,
            portions: &[],
            side_weights: None,
            pools: None,
            residents: None,
            alternatives: Some(&Alternatives::new(10, 3, &triples)),
        };
        let loss = NegativeSampling.step(&mut learner, examples, &[0, 2, 16], &method, &machine);
        (loss.sum / loss.weight, [learner.model.entities, learner.model.relations])
    }

    #[test]
    fn like_relations_and_dropout_have_the_gradients_of_their_loss() {
        for model in ["distmult", "transe-l2", "mure"] {
            let mut others = 0;
            for spot in [(0, 1, 2), (0, 9, 0), (1, 0, 1), (1, 1, 3)] {
                let (table, id, place) = spot;
                let before = {
                    let config =
                        Config { dim: 4, initial: 0.5, ..Config::for_model(model).unwrap() };
                    let model =
                        crate::Model::initial(&config, [10, 3], &Machine::new(1, None).workers)
                            .unwrap();
                    [model.entities, model.relations][table].row(id, &mut Vec::new())[place]
                };
                let gradient = before
                    - step_with_relations(model, spot, 0.0).1[table].row(id, &mut Vec::new())
                        [place];
                let [up, down] = [1e-2, -1e-2].map(|more| step_with_relations(model, spot, more).0);
                let slope = (up - down) / 2e-2;
                let error = (slope - f64::from(gradient)).abs();
                assert!(error < 1e-3, "{model} {spot:?}: {slope} {gradient}");
                others += usize::from(spot == (1, 1, 3) && gradient != 0.0);
            }
            assert_eq!(others, 1, "{model}: a relation that no query asks for is met");
        }
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
