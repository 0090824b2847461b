//! Counting by a [`Screen`]: bf16 factors decide what they can, f32 scores the rest.
//!
//! *Invariant:* the counts are those of f32 scores, bit for bit; a screen saves time alone.
//! *Not here:* what a rank is, and the filter ([`rank`](super::rank)).

use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::screen::{Screen, ScreenedRows};

use crate::table::PANEL_ROWS;

use super::candidates::Candidates;
use super::rank::Judge;
use super::strips::Strips;

/// A screen saves time as long as at most one pair of so many is left unsure.
const MOST_UNSURE: usize = 100;

impl Judge<'_> {
    /// True if a screen saves time: where scores are products of rows, bf16 products are twice as
    /// fast as others, and all entities compete.
    pub(super) fn screens(&self) -> bool {
        self.machine.instruction_set >= InstructionSet::Avx512Bf16
            && self.model.function.similarity() == Similarity::Dot
            && *self.candidates == Candidates::All
    }

    /// How many entities score above each query's threshold, as high, and in all; none where the
    /// first panel shows that too little can be decided, as while nothing has been learned.
    pub(super) fn sifted(
        &self,
        (queries, strips): (&[f32], &Strips<'_>),
        thresholds: &[f32],
    ) -> Option<Vec<[i64; 3]>> {
        let (isa, columns) = (self.machine.instruction_set, self.model.columns());
        let (entities, width) = (&self.model.entities, columns.queries.n);
        let screen = Screen::new(isa, width, columns.queries.of(queries), thresholds.to_vec());
        let (mut rows, mut decoded, mut room) = Default::default();
        let (mut above, mut unsure) = (vec![0; thresholds.len()], Vec::new());
        let mut counts = vec![[0; 3]; thresholds.len()];
        for index in 0..entities.n_panels() {
            let panel = entities.panel(index, &mut decoded);
            let n = entities.panel_rows(index);
            ScreenedRows::take(&mut rows, isa, [n, width], columns.rows.of(panel.rows));
            unsure.clear();
            screen.sift(isa, &rows, &mut above, &mut unsure);
            if index == 0 && unsure.len() > n * thresholds.len() / MOST_UNSURE {
                return None;
            }
            unsure.iter_mut().for_each(|[_, row]| *row += (index * PANEL_ROWS) as u32);
            strips.score(&mut unsure, Some(panel), &mut room, |query, _, score| {
                counts[query][0] += i64::from(score > thresholds[query]);
                counts[query][1] += i64::from(score == thresholds[query]);
            });
        }
        for ([greater, _, all], above) in counts.iter_mut().zip(above) {
            *greater += i64::from(above);
            *all = entities.n_rows() as i64;
        }
        Some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::Known;
    use super::super::strips::Room;
    use super::*;
    use crate::Config;
    use crate::model::{Asked, Model};
    use gossamer_graph::Side;
    use gossamer_machine::Machine;

    #[test]
    fn a_screen_counts_as_scores_do_and_says_when_it_is_of_no_use() {
        const N: usize = 1300;
        let mut config = Config::for_model("complex").unwrap();
        (config.dim, config.initial) = (20, 0.5);
        let mut machine = Machine::new(2, None);
        let model = Model::initial(&config, [N, 3], &machine.workers).unwrap();
        let asked = |i: u32| Asked { side: Side::Tail, known: 7 * i, relation: i % 3 };
        let asked: Vec<Asked> = (0..90).map(asked).collect();
        for isa in InstructionSet::all() {
            machine.instruction_set = isa;
            let mut queries = vec![0.0; asked.len() * model.query_width()];
            model.fold(&machine, &asked, &mut queries);
            let strips = Strips::new(&model, isa, &queries);
            let mut scores = vec![vec![0.0; N]; asked.len()];
            let mut pairs: Vec<[u32; 2]> = (0..asked.len() as u32)
                .flat_map(|query| (0..N as u32).map(move |entity| [query, entity]))
                .collect();
            strips.score(&mut pairs, None, &mut Room::default(), |query, entity, score| {
                scores[query][entity as usize] = score;
            });
            let at = |rank: usize| -> Vec<f32> {
                let nth = |scores: &Vec<f32>| {
                    let mut scores = scores.clone();
                    scores.sort_by(|one, other| other.total_cmp(one));
                    scores[rank]
                };
                scores.iter().map(nth).collect()
            };
            let (known, candidates) = (Known::new(&[]), &Candidates::All);
            let judge = Judge { model: &model, known, candidates, machine: &machine };
            let high = at(4);
            let found = judge.sifted((&queries, &strips), &high).unwrap();
            assert_eq!(found, judge.scored(&queries, &high), "{isa:?}");
            assert!(found.iter().all(|counts| *counts == [4, 1, N as i64]));
            // In the middle of all scores more is left than is decided.
            assert!(judge.sifted((&queries, &strips), &at(N / 2)).is_none());
        }
    }
}
