//! Trivial rules, ranked like a model: what a score is worth is what it adds to these.
//!
//! - *degree*: an entity is as plausible as it has training triples.
//! - *relation frequency*: as often as it stands on that side of that relation.
//! - *inverse rule*: as surely as relations that mirror the one asked give it (share of mirrored
//!   pairs in train).
//!
//! *Invariant:* learned from train alone.

use std::collections::HashMap;

use gossamer_graph::inspect::train_degrees;
use gossamer_graph::mirror::{Mirror, find_mirrors};
use gossamer_graph::{Adjacency, Side, Triples};
use gossamer_machine::Machine;

use super::{Rank, Scores};

/// Mirrors below this share of their pairs are chance.
const LEAST_SHARE: f64 = 0.05;

/// What is asked, and what does not compete.
struct Question<'a> {
    side: Side,
    given: u32,
    relation: u32,
    answer: u32,
    known: &'a [u32],
    n_entities: usize,
}

/// Scores that are zero for most entities.
#[derive(Debug, Clone, Default)]
pub struct BaselineScores {
    /// (entity, score), by entity; scores above zero.
    by_id: Vec<(u32, f32)>,
    /// The same scores, ascending.
    sorted: Vec<f32>,
}

impl BaselineScores {
    /// From (entity, score) pairs; the best score of an entity counts.
    pub fn new(mut by_id: Vec<(u32, f32)>) -> Self {
        by_id.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        by_id.dedup_by_key(|(id, _)| *id);
        by_id.retain(|(_, score)| *score > 0.0);
        let mut sorted: Vec<f32> = by_id.iter().map(|(_, score)| *score).collect();
        sorted.sort_by(f32::total_cmp);
        Self { by_id, sorted }
    }

    fn score(&self, id: u32) -> f32 {
        self.by_id.binary_search_by_key(&id, |(id, _)| *id).map_or(0.0, |place| self.by_id[place].1)
    }

    /// Candidates above and as high as the answer, the known ones apart.
    fn rank(&self, question: &Question<'_>) -> (u32, u32) {
        let Question { answer, known, n_entities, .. } = *question;
        let own = self.score(answer);
        let above = self.sorted.partition_point(|score| *score <= own);
        let below = self.sorted.partition_point(|score| *score < own);
        let zeros = n_entities - self.sorted.len();
        let mut greater = self.sorted.len() - above;
        let mut equal = above - below + if own == 0.0 { zeros } else { 0 };
        for other in known.iter().filter(|other| **other != answer) {
            let score = self.score(*other);
            greater -= usize::from(score > own);
            equal -= usize::from(score == own);
        }
        (greater as u32, equal as u32 - 1)
    }
}

/// What each rule scores on the same questions as `ranks`, all entities competing.
pub fn scores(
    n_entities: usize,
    train: &Triples,
    known: &Adjacency,
    triples: &[[u32; 3]],
    ranks: &[Rank],
    machine: &Machine,
) -> Vec<(&'static str, Scores)> {
    let degrees = train_degrees(n_entities, train);
    let degree = BaselineScores::new((0..).zip(degrees.iter().map(|d| *d as f32)).collect());
    let frequencies = relation_frequencies(train);
    let answers = Adjacency::build(n_entities, &[train]);
    let mut mirrors: HashMap<u32, Vec<Mirror>> = HashMap::new();
    for mirror in find_mirrors(&[train], LEAST_SHARE, 2) {
        mirrors.entry(mirror.relation).or_default().push(mirror);
    }
    let none = BaselineScores::default();
    let judged = |rule: &(dyn Fn(&Question<'_>) -> (u32, u32) + Sync)| {
        let ranks = machine.workers.map(ranks.len(), |place| {
            let rank = &ranks[place];
            let [head, relation, tail] = triples[rank.triple as usize];
            let (given, answer) = if rank.side == Side::Tail { (head, tail) } else { (tail, head) };
            let known = known.side(rank.side).of(given, relation);
            let side = rank.side;
            let question = Question { side, given, relation, answer, known, n_entities };
            let (greater, equal) = rule(&question);
            Rank { greater, equal, ..*rank }
        });
        Scores::of(&ranks)
    };
    vec![
        ("degree", judged(&|question| degree.rank(question))),
        (
            "relation frequency",
            judged(&|question| {
                let key = (question.side, question.relation);
                frequencies.get(&key).unwrap_or(&none).rank(question)
            }),
        ),
        (
            "inverse rule",
            judged(&|question| {
                let mirrors = mirrors.get(&question.relation).map_or(&[][..], Vec::as_slice);
                by_mirrors(&answers, mirrors, question).rank(question)
            }),
        ),
    ]
}

fn relation_frequencies(train: &Triples) -> HashMap<(Side, u32), BaselineScores> {
    let mut counts: HashMap<(Side, u32), HashMap<u32, f32>> = HashMap::new();
    for [head, relation, tail] in train.iter() {
        for (side, entity) in [(Side::Tail, tail), (Side::Head, head)] {
            *counts.entry((side, relation)).or_default().entry(entity).or_default() += 1.0;
        }
    }
    counts
        .into_iter()
        .map(|(key, counts)| (key, BaselineScores::new(counts.into_iter().collect())))
        .collect()
}

fn by_mirrors(answers: &Adjacency, mirrors: &[Mirror], question: &Question<'_>) -> BaselineScores {
    let Question { side, given, .. } = *question;
    let mut scores = Vec::new();
    for mirror in mirrors {
        // (h, r, ?) is read off (?, r', h) when r' is inverse, off (h, r', ?) when it repeats r.
        let turned = if side == Side::Tail { Side::Head } else { Side::Tail };
        let from = if mirror.inverse { turned } else { side };
        let found = answers.side(from).of(given, mirror.other);
        scores.extend(found.iter().map(|entity| (*entity, mirror.share as f32)));
    }
    BaselineScores::new(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_sparse_scores_equal_their_definition() {
        let scores = BaselineScores::new(vec![(1, 3.0), (4, 3.0), (5, 1.0), (1, 2.0), (7, 0.0)]);
        let rank = |answer, known: &[u32]| {
            let (side, given, relation, n_entities) = (Side::Tail, 9, 0, 10);
            scores.rank(&Question { side, given, relation, answer, known, n_entities })
        };
        assert_eq!(rank(1, &[1]), (0, 1));
        assert_eq!(rank(1, &[1, 4]), (0, 0));
        assert_eq!(rank(5, &[5, 4, 0]), (1, 0));
        assert_eq!(rank(0, &[0, 1, 2]), (2, 5));
    }

    #[test]
    fn the_inverse_rule_reads_mirrors_off() {
        let rows: Vec<[u32; 3]> = (0..10).flat_map(|i| [[i, 0, i + 10], [i + 10, 1, i]]).collect();
        let held_out = [3, 0, 13];
        let train =
            Triples::from_rows(rows.iter().copied().filter(|row| *row != held_out).collect());
        let known = Adjacency::build(20, &[&Triples::from_rows(rows)]);
        let rank = |side| Rank { triple: 0, side, greater: 0, equal: 0, n_candidates: 20 };
        let ranks = [rank(Side::Tail), rank(Side::Head)];
        let found = scores(20, &train, &known, &[held_out], &ranks, &Machine::new(1, None));
        assert_eq!(found[2].0, "inverse rule");
        assert_eq!(found[2].1.mrr(), 1.0);
        assert!(found[0].1.mrr() < 0.2);
    }
}
