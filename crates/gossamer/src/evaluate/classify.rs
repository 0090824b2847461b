//! Triple classification: is this a fact? A threshold per relation, and probabilities.
//!
//! A triple's score is the mean of its two queries' scores. Thresholds are those that judge the most
//! validation triples rightly, the lowest among equals; a relation without any takes the one over
//! all. Calibrations learn from the same triples.
//! *Paper:* Socher et al. (2013); protocol of Safavi, Koutra, "CoDEx" (2020).

use std::collections::BTreeMap;

use gossamer_graph::Side;
use gossamer_machine::Machine;

use super::calibration::{self, Curve, expected_error};
use crate::model::{Asked, Model};

/// Triples, each with whether it is a fact.
pub type Labelled = [([u32; 3], bool)];

/// How well triples are told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// Over all triples.
    pub all: Verdicts,
    /// By relation: its threshold and its triples.
    pub by_relation: Vec<(u32, f32, Verdicts)>,
    /// The threshold of relations without validation triples.
    pub threshold: f32,
    /// Each calibration with its expected calibration error on the judged triples.
    pub calibrations: Vec<(&'static str, Curve, f64)>,
}

/// Counts of a yes-or-no judgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Facts taken for facts.
    pub true_positive: u64,
    /// Others taken for facts.
    pub false_positive: u64,
    /// Others taken for others.
    pub true_negative: u64,
    /// Facts taken for others.
    pub false_negative: u64,
}

impl Verdicts {
    fn add(&mut self, said: bool, fact: bool) {
        let slot = match (said, fact) {
            (true, true) => &mut self.true_positive,
            (true, false) => &mut self.false_positive,
            (false, false) => &mut self.true_negative,
            (false, true) => &mut self.false_negative,
        };
        *slot += 1;
    }

    /// How many triples.
    pub fn count(&self) -> u64 {
        self.true_positive + self.false_positive + self.true_negative + self.false_negative
    }

    /// Part of the triples judged rightly.
    pub fn accuracy(&self) -> f64 {
        (self.true_positive + self.true_negative) as f64 / self.count().max(1) as f64
    }

    /// 2·TP / (2·TP + FP + FN).
    pub fn f1(&self) -> f64 {
        let twice = 2 * self.true_positive;
        twice as f64 / (twice + self.false_positive + self.false_negative).max(1) as f64
    }
}

/// Learns thresholds and calibrations from `valid` and judges `test`.
pub fn classify(
    model: &Model,
    valid: &Labelled,
    test: &Labelled,
    machine: &Machine,
) -> Classification {
    let scores = triple_scores(model, valid, machine);
    let mut of_relation: BTreeMap<u32, Vec<(f32, bool)>> = BTreeMap::new();
    let mut examples = Vec::with_capacity(valid.len());
    for (([_, relation, _], fact), score) in valid.iter().zip(scores) {
        of_relation.entry(*relation).or_default().push((score, *fact));
        examples.push((score, *fact));
    }
    let threshold = best_threshold(examples.clone());
    let thresholds: BTreeMap<u32, f32> = of_relation
        .into_iter()
        .map(|(relation, examples)| (relation, best_threshold(examples)))
        .collect();
    let (mut all, mut by_relation) = (Verdicts::default(), BTreeMap::new());
    let scores = triple_scores(model, test, machine);
    for (([_, relation, _], fact), score) in test.iter().zip(&scores) {
        let limit = thresholds.get(relation).copied().unwrap_or(threshold);
        all.add(*score >= limit, *fact);
        let (_, verdicts) = by_relation.entry(*relation).or_insert((limit, Verdicts::default()));
        verdicts.add(*score >= limit, *fact);
    }
    let judged = |curve: &Curve| -> Vec<(f64, bool)> {
        let facts = test.iter().map(|(_, fact)| *fact);
        scores.iter().map(|score| curve.probability(*score)).zip(facts).collect()
    };
    let calibrations = calibration::ALL
        .iter()
        .map(|calibration| {
            let curve = calibration.fit(&examples);
            let error = expected_error(&judged(&curve));
            (calibration.name(), curve, error)
        })
        .collect();
    let by_relation = by_relation.into_iter().map(|(id, (limit, of))| (id, limit, of)).collect();
    Classification { all, by_relation, threshold, calibrations }
}

/// The mean of both queries' scores for each triple.
pub fn triple_scores(model: &Model, triples: &Labelled, machine: &Machine) -> Vec<f32> {
    /// Triples of a task.
    const TRIPLES: usize = 256;
    let (similarity, columns) = (model.function.similarity(), model.columns());
    let parts: Vec<&Labelled> = triples.chunks(TRIPLES).collect();
    let scores = machine.workers.map(parts.len(), |part| {
        let (mut query, mut room) = (vec![0.0; model.query_width()], Vec::new());
        let mut score = |asked: Asked, answer: u32| {
            model.fold(machine, &[asked], &mut query);
            let row = model.entities.row(answer, &mut room);
            let isa = machine.instruction_set;
            let (packed, mut out) = (similarity.pack(isa, &query, columns), [0.0]);
            similarity.scores_by_row(isa, &packed, row, columns, &mut out);
            out[0]
        };
        let one = |([head, relation, tail], _): &([u32; 3], bool)| {
            let tails = Asked { side: Side::Tail, known: *head, relation: *relation };
            let heads = Asked { side: Side::Head, known: *tail, relation: *relation };
            0.5 * (score(tails, *tail) + score(heads, *head))
        };
        parts[part].iter().map(one).collect::<Vec<f32>>()
    });
    scores.concat()
}

/// The threshold at or above which a score means yes, so that the most examples are judged
/// rightly; the lowest among equals.
fn best_threshold(mut examples: Vec<(f32, bool)>) -> f32 {
    examples.sort_by(|a, b| a.0.total_cmp(&b.0));
    // At the lowest score all are taken for facts; each group passed turns its verdicts round.
    let mut right = examples.iter().filter(|(_, fact)| *fact).count() as i64;
    let (mut best, mut limit) = (i64::MIN, f32::INFINITY);
    for equal in examples.chunk_by(|a, b| a.0 == b.0) {
        if right > best {
            (best, limit) = (right, equal[0].0);
        }
        right += equal.iter().map(|(_, fact)| if *fact { -1 } else { 1 }).sum::<i64>();
    }
    if right > best { f32::INFINITY } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_the_lowest_of_the_best() {
        assert_eq!(best_threshold(vec![(1.0, false), (2.0, true), (3.0, true)]), 2.0);
        // Two are right at 1 as well as at 3.
        assert_eq!(best_threshold(vec![(1.0, true), (2.0, false), (3.0, true)]), 1.0);
        assert_eq!(best_threshold(vec![(1.0, false), (2.0, false)]), f32::INFINITY);
        assert_eq!(best_threshold(vec![(1.0, true), (1.0, false), (1.0, true)]), 1.0);
    }

    #[test]
    fn verdicts_give_accuracy_and_f1() {
        let mut verdicts = Verdicts::default();
        for (said, fact) in [(true, true), (true, true), (true, false), (false, true)] {
            verdicts.add(said, fact);
        }
        assert_eq!((verdicts.accuracy(), verdicts.f1()), (0.5, 2.0 / 3.0));
    }
}
