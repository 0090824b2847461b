//! Asking: the most plausible answers to a query, and the entities most like one.
//!
//! *Invariant:* answers come best first, equal scores in the order of ids; scores are those that
//! ranks are made of.

use std::collections::BTreeSet;

use gossamer_graph::stored::SplitTriples;
use gossamer_graph::{Names, Side, Split, Triples};
use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::vector::dot;

use crate::error::Error;
use crate::evaluate::Candidates;
use crate::evaluate::calibration::{self, Curve};
use crate::evaluate::classify::triple_scores;
use crate::evaluate::known::{Known, Wanted};
use crate::model::{Asked, Model, Run};

pub mod allowed;

/// An entity with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The entity.
    pub entity: u32,
    /// Its score: higher is more plausible.
    pub score: f32,
    /// True if the graph already holds it.
    pub known: bool,
}

/// A run with its model in memory, ready to be asked.
#[derive(Debug)]
pub struct Answerer {
    /// The run.
    pub run: Run,
    /// What is in memory at the peak, line by line.
    pub planned: Ledger,
    model: Model,
    train: SplitTriples,
    held_out: [Triples; 2],
    /// Relations that some triple has from an entity to itself.
    reflexive: BTreeSet<u32>,
    /// From scores to probabilities, where the run has a calibration.
    curve: Option<Curve>,
}

impl Answerer {
    /// Loads a run.
    ///
    /// # Errors
    /// [`Error`]; [`Error::BudgetTooSmall`].
    pub fn new(run: Run, machine: &Machine) -> Result<Self, Error> {
        let plan = crate::plan::predict_plan(&run.config, &run.graph, machine)?;
        let model = run.model_with(plan.partitions_held > 0)?;
        let train = run.graph.held(Split::Train, plan.triples_held)?;
        let [valid, test] = [Split::Valid, Split::Test].map(|split| run.graph.triples(split));
        let held_out = [valid?, test?];
        let curve = calibration::load(&run.path)?;
        let mut reflexive = BTreeSet::new();
        let mut look = |[head, relation, tail]: [u32; 3]| {
            if head == tail {
                reflexive.insert(relation);
            }
        };
        train.for_each(&mut look);
        held_out.iter().flat_map(Triples::iter).for_each(look);
        train.failure()?;
        Ok(Self { run, planned: plan.ledger, model, train, held_out, reflexive, curve })
    }

    /// The id of an entity by name or label.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest names, [`Error::Ambiguous`].
    pub fn entity(&self, name: &str) -> Result<u32, Error> {
        id_of(self.run.graph.entities(), "entity", name)
    }

    /// The id of a relation by name or label.
    ///
    /// # Errors
    /// As [`entity`](Self::entity).
    pub fn relation(&self, name: &str) -> Result<u32, Error> {
        id_of(self.run.graph.relations(), "relation", name)
    }

    /// The `k` most plausible answers. An entity is no answer to a question about itself, unless
    /// the graph has such a triple of that relation; ranks follow the literature, where it is.
    ///
    /// # Errors
    /// [`Error::File`] where rows are read from disk.
    pub fn predict(
        &self,
        asked: Asked,
        candidates: &Candidates,
        novel: bool,
        k: usize,
        machine: &Machine,
    ) -> Result<Vec<Answer>, Error> {
        let known = self.known(&[asked], machine)?.remove(0);
        self.predict_knowing((asked, &known), candidates, novel, k, machine)
    }

    /// The same, of a query whose [`known`](Self::known) answers were found.
    ///
    /// # Errors
    /// [`Error::File`] where rows are read from disk.
    pub fn predict_knowing(
        &self,
        (asked, known): (Asked, &[u32]),
        candidates: &Candidates,
        novel: bool,
        k: usize,
        machine: &Machine,
    ) -> Result<Vec<Answer>, Error> {
        let mut query = vec![0.0; self.model.query_width()];
        self.model.fold(machine, &[asked], &mut query);
        let is_known = |entity: u32| known.binary_search(&entity).is_ok();
        let itself = self.reflexive.contains(&asked.relation);
        let allowed =
            |entity: u32| !(novel && is_known(entity)) && (itself || entity != asked.known);
        let scored = self.score_all(&query, candidates, &allowed, k, machine);
        let answer = |(entity, score)| Answer { entity, score, known: is_known(entity) };
        self.model.entities.failure()?;
        Ok(scored.into_iter().map(answer).collect())
    }

    /// The answers that the graph holds of each query, sorted. Cost: a pass over its triples.
    ///
    /// # Errors
    /// [`Error::File`] where triples are read from disk.
    pub fn known(&self, asked: &[Asked], machine: &Machine) -> Result<Vec<Vec<u32>>, Error> {
        let mut wanted = Wanted::default();
        let places: Vec<usize> = asked.iter().map(|asked| wanted.push(*asked)).collect();
        let parts: Vec<&Triples> = self.train.here().into_iter().chain(&self.held_out).collect();
        let known = Known::new(&parts).with(self.train.stored());
        let answers = known.answers(&wanted, &|_| true, machine);
        self.train.failure()?;
        Ok(places.into_iter().map(|place| answers[place].clone()).collect())
    }

    /// How probable each answer is, by the run's calibration; none where it has none.
    pub fn probabilities(
        &self,
        asked: Asked,
        answers: &[Answer],
        machine: &Machine,
    ) -> Option<Vec<f64>> {
        let curve = self.curve.as_ref()?;
        let triple = |answer: &Answer| {
            let triple = match asked.side {
                Side::Tail => [asked.known, asked.relation, answer.entity],
                Side::Head => [answer.entity, asked.relation, asked.known],
            };
            (triple, true)
        };
        let triples: Vec<([u32; 3], bool)> = answers.iter().map(triple).collect();
        let scores = triple_scores(&self.model, &triples, machine);
        Some(scores.into_iter().map(|score| curve.probability(score)).collect())
    }

    /// The best `k` of the allowed candidates for a query of any origin, with their scores.
    pub fn score_all(
        &self,
        query: &[f32],
        candidates: &Candidates,
        allowed: &(dyn Fn(u32) -> bool + Sync),
        k: usize,
        machine: &Machine,
    ) -> Vec<(u32, f32)> {
        let (similarity, columns) = (self.model.function.similarity(), self.model.columns());
        let isa = machine.instruction_set;
        let packed = similarity.pack(isa, query, columns);
        let scores = |rows: &[f32], out: &mut [f32]| {
            similarity.scores_by_row(isa, &packed, rows, columns, out);
        };
        self.best(&scores, candidates, allowed, k, machine)
    }

    /// The `k` entities most like one: by cosine where scores are products, by the score's own
    /// distance elsewhere.
    ///
    /// # Errors
    /// [`Error::File`] where rows are read from disk.
    pub fn similar(
        &self,
        entity: u32,
        k: usize,
        machine: &Machine,
    ) -> Result<Vec<(u32, f32)>, Error> {
        let width = self.model.entities.width();
        let mut room = Vec::new();
        let row = self.model.entities.row(entity, &mut room);
        let similarity = self.model.function.similarity().between_rows();
        let size = dot(row, row).sqrt();
        let isa = machine.instruction_set;
        let packed = similarity.pack(isa, row, width.into());
        let scores = |rows: &[f32], out: &mut [f32]| {
            similarity.scores_by_row(isa, &packed, rows, width.into(), out);
            if similarity == Similarity::Dot {
                for (score, other) in out.iter_mut().zip(rows.chunks_exact(width)) {
                    let sizes = size * dot(other, other).sqrt();
                    *score = if sizes > 0.0 { *score / sizes } else { 0.0 };
                }
            }
        };
        let found = self.best(&scores, &Candidates::All, &|other| other != entity, k, machine);
        self.model.entities.failure()?;
        Ok(found)
    }

    fn best(
        &self,
        scores: &(dyn Fn(&[f32], &mut [f32]) + Sync),
        candidates: &Candidates,
        allowed: &(dyn Fn(u32) -> bool + Sync),
        k: usize,
        machine: &Machine,
    ) -> Vec<(u32, f32)> {
        let entities = &self.model.entities;
        let panels = machine.workers.map(entities.n_panels(), |index| {
            let mut room = Vec::new();
            let panel = entities.panel(index, &mut room);
            let mut out = vec![0.0; panel.rows.len() / entities.width()];
            scores(panel.rows, &mut out);
            let mut found: Vec<(u32, f32)> = (panel.first..).zip(out).collect();
            found.retain(|(id, _)| candidates.contains(*id) && allowed(*id));
            keep_best(found, k)
        });
        keep_best(panels.concat(), k)
    }
}

fn keep_best(mut scored: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k == 0 {
        return Vec::new();
    }
    if k < scored.len() {
        scored.select_nth_unstable_by(k - 1, order);
        scored.truncate(k);
    }
    scored.sort_by(order);
    // One of many panels': what was left out must not stay in memory.
    scored.shrink_to_fit();
    scored
}

/// The id of what carries a name or a label.
///
/// # Errors
/// [`Error::UnknownName`] with the nearest names, [`Error::Ambiguous`].
pub fn id_of(names: &Names, kind: &'static str, name: &str) -> Result<u32, Error> {
    if let Some(id) = names.find(name)? {
        return Ok(id);
    }
    match names.find_label(name)?.as_slice() {
        [id] => Ok(*id),
        [] => Err(Error::UnknownName { kind, name: name.into(), nearest: names.nearest(name, 3)? }),
        several => {
            let owners: Result<Vec<String>, _> =
                several.iter().take(10).map(|id| names.shown(*id)).collect();
            Err(Error::Ambiguous { label: name.into(), owners: owners? })
        }
    }
}

/// The other side's word, for sentences such as "tails of (France, borders)".
pub fn asked_in_words(run: &Run, asked: Asked) -> Result<String, Error> {
    let known = run.graph.entities().shown(asked.known)?;
    let relation = run.graph.relations().shown(asked.relation)?;
    Ok(match asked.side {
        Side::Tail => format!("{known} —{relation}→ ?"),
        Side::Head => format!("? —{relation}→ {known}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_ties_by_id() {
        let scored = vec![(3, 1.0), (1, 2.0), (2, 1.0), (9, -1.0)];
        assert_eq!(keep_best(scored.clone(), 3), [(1, 2.0), (2, 1.0), (3, 1.0)]);
        assert_eq!(keep_best(scored.clone(), 10).len(), 4);
        assert!(keep_best(scored, 0).is_empty());
    }
}
