//! Filtered ranks, by counting: how many candidates score above the answer, and how many as high.
//!
//! *Invariant:* a rank equals its definition on the very scores that the model gives; ties count
//! half (the "realistic" rank). Known answers other than the one asked for do not compete.
//! *Paper:* Bordes et al. (2013) for the filter; Berrendorf et al. (2020) for ties and AMRI.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gossamer_graph::{Adjacency, Side};
use gossamer_machine::{Machine, Observer, Progress};
use gossamer_tensor::kernel::counting::count_columns;

use crate::error::Error;
use crate::model::{Asked, Model};
use crate::plan::RANKED_QUERIES as QUERIES;
use crate::table::{PANEL_ROWS, Panel};

/// Who competes with the answer. The answer itself always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Candidates {
    /// Every entity.
    #[default]
    All,
    /// These entities, sorted, each once.
    Some(Arc<[u32]>),
}

impl Candidates {
    /// From ids in any order.
    pub fn some(mut ids: Vec<u32>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self::Some(ids.into())
    }

    /// Those that are among both.
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, some) | (some, Self::All) => some.clone(),
            (Self::Some(ids), Self::Some(_)) => {
                Self::Some(ids.iter().copied().filter(|id| other.contains(*id)).collect())
            }
        }
    }

    /// How many of `n_entities` they are.
    pub fn len(&self, n_entities: usize) -> usize {
        match self {
            Self::All => n_entities,
            Self::Some(ids) => ids.len(),
        }
    }

    /// True if the entity is one of them.
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// Those in a panel, as places in it; none stands for all of them.
    pub fn within(
        &self,
        panel: Panel<'_>,
        width: usize,
    ) -> Option<impl Iterator<Item = usize> + '_> {
        let Self::Some(ids) = self else { return None };
        let first = panel.first;
        let n = panel.rows.len() / width;
        let start = ids.partition_point(|id| *id < first);
        let end = ids.partition_point(|id| (*id as usize) < first as usize + n);
        Some(ids[start..end].iter().map(move |id| (id - first) as usize))
    }
}

/// The place of an answer among its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Which triple, as a place in the list judged.
    pub triple: u32,
    /// The side asked for.
    pub side: Side,
    /// Candidates that score higher.
    pub greater: u32,
    /// Other candidates that score the same.
    pub equal: u32,
    /// Candidates, the answer included.
    pub n_candidates: u32,
}

impl Rank {
    /// Ties in favour of the answer.
    pub fn optimistic(&self) -> f64 {
        f64::from(self.greater) + 1.0
    }

    /// Ties against the answer.
    pub fn pessimistic(&self) -> f64 {
        f64::from(self.greater) + f64::from(self.equal) + 1.0
    }

    /// The mean of the two.
    pub fn realistic(&self) -> f64 {
        f64::from(self.greater) + f64::from(self.equal) / 2.0 + 1.0
    }

    /// The entity that was ranked.
    pub fn answer(&self, triples: &[[u32; 3]]) -> u32 {
        let [head, _, tail] = triples[self.triple as usize];
        if self.side == Side::Tail { tail } else { head }
    }
}

/// Everything that ranking needs.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The model.
    pub model: &'a Model,
    /// Known answers, which do not compete.
    pub known: &'a Adjacency,
    /// Who competes.
    pub candidates: &'a Candidates,
    /// What may be used.
    pub machine: &'a Machine,
}

/// A query and the answer whose place is wanted.
#[derive(Debug, Clone, Copy)]
struct Question {
    triple: u32,
    asked: Asked,
    answer: u32,
}

impl Judge<'_> {
    /// The ranks of both sides of some triples: tails of a block, then heads, block by block.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn ranks(
        &self,
        triples: &[[u32; 3]],
        stage: &str,
        observer: &dyn Observer,
    ) -> Result<Vec<Rank>, Error> {
        let questions: Vec<Question> = triples
            .iter()
            .enumerate()
            .flat_map(|(index, [head, relation, tail])| {
                let (triple, relation) = (index as u32, *relation);
                let asked = |side, known| Asked { side, known, relation };
                [
                    Question { triple, asked: asked(Side::Tail, *head), answer: *tail },
                    Question { triple, asked: asked(Side::Head, *tail), answer: *head },
                ]
            })
            .collect();
        let n_blocks = questions.len().div_ceil(QUERIES);
        let done = AtomicU64::new(0);
        let blocks = self.machine.workers.map(n_blocks, |block| {
            if observer.cancelled() {
                return Vec::new();
            }
            let part = &questions[block * QUERIES..((block + 1) * QUERIES).min(questions.len())];
            let ranks = self.block(part);
            let done = done.fetch_add(part.len() as u64, Ordering::Relaxed) + part.len() as u64;
            let total = questions.len() as u64;
            observer.progress(&Progress { stage, done, total, unit: "ranks", detail: "" });
            ranks
        });
        let ranks = blocks.concat();
        if ranks.len() < questions.len() {
            return Err(Error::Stopped);
        }
        Ok(ranks)
    }

    fn block(&self, questions: &[Question]) -> Vec<Rank> {
        let isa = self.machine.instruction_set;
        let similarity = self.model.function.similarity();
        let columns = self.model.columns();
        let (width, row_width) = (columns.queries.width, columns.rows.width);
        let asked: Vec<Asked> = questions.iter().map(|question| question.asked).collect();
        let mut queries = vec![0.0; questions.len() * width];
        self.model.fold(self.machine, &asked, &mut queries);
        let (m, packed) = (questions.len(), similarity.pack(&queries, columns));
        let mut room = Vec::new();
        let thresholds: Vec<f32> = questions
            .iter()
            .zip(queries.chunks_exact(width))
            .map(|(question, query)| {
                let row = self.model.entities.row(question.answer, &mut room);
                let (mut score, alone) = ([0.0], similarity.pack(query, columns));
                similarity.scores_by_row(isa, &alone, row, columns, &mut score);
                score[0]
            })
            .collect();
        let mut counts = vec![[0i64; 3]; m];
        let (mut above, mut equal) = (vec![0; m], vec![0; m]);
        let mut scores = vec![0.0; m * PANEL_ROWS];
        for index in 0..self.model.entities.n_panels() {
            let panel = self.model.entities.panel(index, &mut room);
            let scores = &mut scores[..m * (panel.rows.len() / row_width)];
            similarity.scores_by_row(isa, &packed, panel.rows, columns, scores);
            if *self.candidates == Candidates::All {
                count_columns(isa, scores, &thresholds, &mut above, &mut equal);
            }
            for (query, question) in questions.iter().enumerate() {
                let column = Column { scores, query, n_queries: m };
                self.count(panel, question, thresholds[query], column, &mut counts[query]);
            }
        }
        for (counts, (above, equal)) in counts.iter_mut().zip(above.into_iter().zip(equal)) {
            counts[0] += i64::from(above);
            counts[1] += i64::from(equal);
        }
        questions
            .iter()
            .zip(counts)
            .map(|(question, [greater, equal, n_candidates])| Rank {
                triple: question.triple,
                side: question.asked.side,
                greater: greater as u32,
                equal: equal as u32,
                n_candidates: n_candidates as u32,
            })
            .collect()
    }

    /// Adds a panel's greater, equal and competing candidates; of all of them only those are
    /// counted here that do not compete.
    fn count(
        &self,
        panel: Panel<'_>,
        question: &Question,
        threshold: f32,
        scores: Column<'_>,
        counts: &mut [i64; 3],
    ) {
        let Asked { side, known, relation } = question.asked;
        let width = self.model.entities.width();
        let mut add = |score: f32, sign: i64| {
            counts[0] += sign * i64::from(score > threshold);
            counts[1] += sign * i64::from(score == threshold);
            counts[2] += sign;
        };
        if let Some(places) = self.candidates.within(panel, width) {
            places.for_each(|place| add(scores.at(place), 1));
        }
        let answers = self.known.side(side).of(known, relation);
        let end = panel.first as usize + scores.len();
        let first = answers.partition_point(|answer| *answer < panel.first);
        let last = answers.partition_point(|answer| (*answer as usize) < end);
        for answer in &answers[first..last] {
            if *answer != question.answer && self.candidates.contains(*answer) {
                add(scores.at((answer - panel.first) as usize), -1);
            }
        }
        // The answer competes as a candidate, but is not as high as itself.
        let own = question.answer;
        if own >= panel.first && (own as usize) < end {
            counts[1] -= 1;
            if !self.candidates.contains(own) {
                counts[1] += 1;
                counts[2] += 1;
            }
        }
        if *self.candidates == Candidates::All {
            counts[2] += scores.len() as i64;
        }
    }
}

/// The scores of one query in a panel of scores that stand entity by entity.
#[derive(Clone, Copy)]
struct Column<'a> {
    scores: &'a [f32],
    query: usize,
    n_queries: usize,
}

impl Column<'_> {
    fn len(self) -> usize {
        self.scores.len() / self.n_queries
    }

    fn at(self, place: usize) -> f32 {
        self.scores[place * self.n_queries + self.query]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use gossamer_graph::Triples;
    use gossamer_machine::{Address, Purpose, Silent};

    /// The definition: sort nothing, filter nothing cleverly, compare one score at a time.
    fn plain(
        model: &Model,
        known: &Triples,
        candidates: &Candidates,
        triple: [u32; 3],
        side: Side,
    ) -> (u32, u32, u32) {
        let [head, relation, tail] = triple;
        let score = |h: u32, t: u32| {
            let (given, asked_for) = if side == Side::Tail { (h, t) } else { (t, h) };
            let mut query = vec![0.0; model.query_width()];
            model.fold(
                &Machine::new(1, None),
                &[Asked { side, known: given, relation }],
                &mut query,
            );
            let mut room = Vec::new();
            let row = model.entities.row(asked_for, &mut room);
            let mut out = [0.0];
            let isa = gossamer_machine::InstructionSet::detect();
            let (similarity, columns) = (model.function.similarity(), model.columns());
            let packed = similarity.pack(&query, columns);
            similarity.scores_by_row(isa, &packed, row, columns, &mut out);
            out[0]
        };
        let own = score(head, tail);
        let (mut greater, mut equal, mut n) = (0, 0, 1);
        for entity in 0..model.entities.n_rows() as u32 {
            let other = if side == Side::Tail {
                [head, relation, entity]
            } else {
                [entity, relation, tail]
            };
            if other == triple || known.contains(other) || !candidates.contains(entity) {
                continue;
            }
            let value = score(other[0], other[2]);
            n += 1;
            greater += u32::from(value > own);
            equal += u32::from(value == own);
        }
        (greater, equal, n)
    }

    #[test]
    fn ranks_equal_their_definition_ties_and_sets_included() {
        let machine = Machine::new(2, None);
        for (model, candidates) in crate::score::ALL.iter().flat_map(|function| {
            let sets = [Candidates::All, Candidates::some(vec![1, 2, 3, 5, 8, 600, 601])];
            sets.map(|set| (function.name(), set))
        }) {
            let mut config = Config::for_model(model).unwrap();
            (config.dim, config.reciprocal) = (2, candidates == Candidates::All);
            let n_entities = 700;
            let mut model = Model::initial(&config, n_entities, 3).unwrap();
            // Coarse values make ties.
            let address = Address::new(5, Purpose::Synthetic, 0);
            let coarse = |id: u32, row: &mut [f32]| {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(i, x)| *x = address.below(3, id, i as u32) as f32 - 1.0);
            };
            model.entities =
                crate::table::Table::filled(n_entities, model.entities.width(), coarse);
            let rows: Vec<[u32; 3]> = (0..60)
                .map(|i| {
                    [
                        address.below(9, i, 90) as u32,
                        address.below(3, i, 91) as u32,
                        address.below(n_entities as u64, i, 92) as u32,
                    ]
                })
                .collect();
            let known = Triples::from_rows(rows);
            let adjacency = Adjacency::build(n_entities, &[&known]);
            let triples: Vec<[u32; 3]> = known.iter().take(25).collect();
            let judge = Judge {
                model: &model,
                known: &adjacency,
                candidates: &candidates,
                machine: &machine,
            };
            let ranks = judge.ranks(&triples, "test", &Silent).unwrap();
            assert_eq!(ranks.len(), 50);
            let mut ties = 0;
            for rank in ranks {
                let triple = triples[rank.triple as usize];
                let expected = plain(&model, &known, &candidates, triple, rank.side);
                assert_eq!(
                    (rank.greater, rank.equal, rank.n_candidates),
                    expected,
                    "{} {triple:?} {:?}",
                    config.model,
                    rank.side
                );
                ties += rank.equal;
            }
            assert!(ties > 0);
        }
    }

    #[test]
    fn the_three_ranks_differ_by_ties() {
        let rank = Rank { triple: 0, side: Side::Tail, greater: 4, equal: 3, n_candidates: 20 };
        assert_eq!((rank.optimistic(), rank.realistic(), rank.pessimistic()), (5.0, 6.5, 8.0));
    }
}
