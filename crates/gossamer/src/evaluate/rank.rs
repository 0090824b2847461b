//! Filtered ranks, by counting: how many candidates score above the answer, and how many as high.
//!
//! *Invariant:* a rank equals its definition on the very scores that the model gives; ties count
//! half (the "realistic" rank). Known answers other than the one asked for do not compete.
//! *Paper:* Bordes et al. (2013) for the filter; Berrendorf et al. (2020) for ties and AMRI.

use std::sync::atomic::{AtomicU64, Ordering};

use gossamer_graph::Side;
use gossamer_machine::{Machine, Observer, Progress};
use gossamer_tensor::kernel::counting::count_columns;

use crate::error::Error;
use crate::model::{Asked, Model};
use crate::plan::ranking::{FILTERED_QUERIES, RANKED_QUERIES, screened_queries};
use crate::table::{PANEL_ROWS, Panel};

use super::candidates::Candidates;
use super::known::{Known, Wanted};
use super::strips::{Room, Strips};
use super::taken_out::TakenOut;

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
    pub known: Known<'a>,
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
        let at_once = match self.screens() {
            true => screened_queries(self.model.query_width()),
            false => RANKED_QUERIES,
        };
        let n_blocks = questions.len().div_ceil(at_once);
        let done = AtomicU64::new(0);
        let blocks = self.machine.workers.map(n_blocks, |block| {
            if observer.cancelled() {
                return Vec::new();
            }
            let part = &questions[block * at_once..((block + 1) * at_once).min(questions.len())];
            let ranks = self.block(part);
            let done = done.fetch_add(part.len() as u64, Ordering::Relaxed) + part.len() as u64;
            let total = questions.len() as u64;
            observer.progress(&Progress { stage, done, total, unit: "ranks", detail: "" });
            ranks
        });
        let mut ranks = blocks.concat();
        if ranks.len() < questions.len() {
            return Err(Error::Stopped);
        }
        let parts = questions.chunks(FILTERED_QUERIES).zip(ranks.chunks_mut(FILTERED_QUERIES));
        for (questions, ranks) in parts {
            self.filter(questions, ranks);
        }
        Ok(ranks)
    }

    /// Takes known answers, other than the one asked for, out of the ranks of some questions.
    fn filter(&self, questions: &[Question], ranks: &mut [Rank]) {
        let mut wanted = Wanted::default();
        let mut asked_by: Vec<Vec<usize>> = Vec::new();
        for (place, question) in questions.iter().enumerate() {
            let query = wanted.push(question.asked);
            asked_by.resize_with(wanted.len(), Vec::new);
            asked_by[query].push(place);
        }
        let asked: Vec<Asked> = asked_by.iter().map(|places| questions[places[0]].asked).collect();
        let mut queries = self.machine.buffers.room(asked.len() * self.model.query_width());
        self.model.fold(self.machine, &asked, &mut queries);
        let strips = Strips::new(self.model, self.machine.instruction_set, &queries);
        let (mut thresholds, mut pairs) = (vec![0.0; questions.len()], Vec::new());
        for (query, places) in asked_by.iter().enumerate() {
            pairs.extend(places.iter().map(|place| [query as u32, questions[*place].answer]));
        }
        pairs.sort_unstable();
        pairs.dedup();
        strips.score(&mut pairs, None, &mut Room::default(), |query, answer, score| {
            let places = asked_by[query].iter();
            for place in places.filter(|place| questions[**place].answer == answer) {
                thresholds[*place] = score;
            }
        });
        let taken_out = TakenOut::new(&asked_by, |place| thresholds[place]);
        self.known.visit(&wanted, self.machine, |room: &mut Room, met| {
            strips.score(met, None, room, |query, entity, score| {
                if self.candidates.contains(entity) {
                    taken_out.meet(query, score, |place| questions[place].answer == entity);
                }
            });
        });
        taken_out.for_each(|place, counts| {
            ranks[place].greater -= counts.greater;
            ranks[place].equal -= counts.equal;
            ranks[place].n_candidates -= counts.all;
        });
    }

    fn block(&self, questions: &[Question]) -> Vec<Rank> {
        let asked: Vec<Asked> = questions.iter().map(|question| question.asked).collect();
        let width = self.model.query_width();
        let mut queries = vec![0.0; questions.len() * width];
        // Few at a time: each may bring a condition of its own.
        let parts = asked.chunks(RANKED_QUERIES).zip(queries.chunks_mut(RANKED_QUERIES * width));
        parts.for_each(|(asked, queries)| self.model.fold(self.machine, asked, queries));
        let strips = Strips::new(self.model, self.machine.instruction_set, &queries);
        let mut thresholds = vec![0.0; questions.len()];
        let mut own: Vec<[u32; 2]> =
            (0..).zip(questions).map(|(query, question)| [query, question.answer]).collect();
        strips.score(&mut own, None, &mut Room::default(), |query, _, score| {
            thresholds[query] = score
        });
        let sifted = || self.sifted((&queries, &strips), &thresholds);
        let scored = || {
            let queries = queries.chunks(RANKED_QUERIES * width);
            let parts = queries.zip(thresholds.chunks(RANKED_QUERIES));
            parts.flat_map(|(queries, thresholds)| self.scored(queries, thresholds)).collect()
        };
        let mut counts: Vec<[i64; 3]> =
            self.screens().then(sifted).flatten().unwrap_or_else(scored);
        for (counts, question) in counts.iter_mut().zip(questions) {
            // The answer always competes; as a candidate it was found as high as itself.
            let [_, equal, n] = counts;
            if self.candidates.contains(question.answer) {
                *equal -= 1;
            } else {
                *n += 1;
            }
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

    /// How many candidates score above each query's threshold, as high, and in all.
    pub(super) fn scored(&self, queries: &[f32], thresholds: &[f32]) -> Vec<[i64; 3]> {
        let isa = self.machine.instruction_set;
        let (similarity, columns) = (self.model.function.similarity(), self.model.columns());
        let (m, packed) = (thresholds.len(), similarity.pack(isa, queries, columns));
        let mut counts = vec![[0i64; 3]; m];
        let (mut above, mut equal) = (vec![0; m], vec![0; m]);
        let (mut room, mut scores) = (Vec::new(), vec![0.0; m * PANEL_ROWS]);
        let whole = *self.candidates == Candidates::All;
        for index in 0..self.model.entities.n_panels() {
            if !self.candidates.any_in(index) {
                continue;
            }
            let panel = self.model.entities.panel(index, &mut room);
            let scores = &mut scores[..m * (panel.rows.len() / columns.rows.width)];
            similarity.scores_by_row(isa, &packed, panel.rows, columns, scores);
            if whole {
                count_columns(isa, scores, thresholds, &mut above, &mut equal);
            }
            for (query, counts) in counts.iter_mut().enumerate() {
                let scores = Column { scores, query, n_queries: m };
                self.count(panel, thresholds[query], scores, counts);
            }
        }
        for (counts, (above, equal)) in counts.iter_mut().zip(above.into_iter().zip(equal)) {
            counts[0] += i64::from(above);
            counts[1] += i64::from(equal);
        }
        counts
    }

    /// Adds a panel's competing candidates, known answers among them; of a set of candidates, also
    /// those that are greater and equal.
    fn count(&self, panel: Panel<'_>, threshold: f32, scores: Column<'_>, counts: &mut [i64; 3]) {
        let width = self.model.entities.width();
        let Some(places) = self.candidates.within(panel, width) else {
            counts[2] += scores.len() as i64;
            return;
        };
        for place in places {
            counts[0] += i64::from(scores.at(place) > threshold);
            counts[1] += i64::from(scores.at(place) == threshold);
            counts[2] += 1;
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
        (triple, side): ([u32; 3], Side),
        machine: &Machine,
    ) -> (u32, u32, u32) {
        let [head, relation, tail] = triple;
        let score = |h: u32, t: u32| {
            let (given, asked_for) = if side == Side::Tail { (h, t) } else { (t, h) };
            let mut query = vec![0.0; model.query_width()];
            model.fold(machine, &[Asked { side, known: given, relation }], &mut query);
            let mut room = Vec::new();
            let row = model.entities.row(asked_for, &mut room);
            let mut out = [0.0];
            let isa = machine.instruction_set;
            let (similarity, columns) = (model.function.similarity(), model.columns());
            let packed = similarity.pack(isa, &query, columns);
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
        let mut machine = Machine::new(2, None);
        for (model, candidates) in crate::score::ALL.iter().flat_map(|function| {
            let (first, last) = (vec![1, 2, 3, 5, 8], vec![600, 601]);
            let both = Candidates::some([&first[..], &last].concat());
            let sets = [Candidates::All, both, Candidates::some(first), Candidates::some(last)];
            sets.map(|set| (function.name(), set))
        }) {
            let mut config = Config::for_model(model).unwrap();
            (config.dim, config.reciprocal) = (2, candidates == Candidates::All);
            let n_entities = 700;
            let mut model = Model::initial(&config, [n_entities, 3], &machine.workers).unwrap();
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
            let triples: Vec<[u32; 3]> = known.iter().take(25).collect();
            let parts = [&known];
            for isa in gossamer_machine::InstructionSet::all() {
                machine.instruction_set = isa;
                let judge = Judge {
                    model: &model,
                    known: Known::new(&parts),
                    candidates: &candidates,
                    machine: &machine,
                };
                let ranks = judge.ranks(&triples, "test", &Silent).unwrap();
                assert_eq!(ranks.len(), 50);
                let mut ties = 0;
                for rank in ranks {
                    let asked = (triples[rank.triple as usize], rank.side);
                    let expected = plain(&model, &known, &candidates, asked, &machine);
                    let found = (rank.greater, rank.equal, rank.n_candidates);
                    assert_eq!(found, expected, "{} {asked:?} {isa:?}", config.model);
                    ties += rank.equal;
                }
                // Among a few candidates there may be none.
                assert!(ties > 0 || candidates.len(n_entities) < 7);
            }
        }
    }

    #[test]
    fn the_three_ranks_differ_by_ties() {
        let rank = Rank { triple: 0, side: Side::Tail, greater: 4, equal: 3, n_candidates: 20 };
        assert_eq!((rank.optimistic(), rank.realistic(), rank.pessimistic()), (5.0, 6.5, 8.0));
    }
}
