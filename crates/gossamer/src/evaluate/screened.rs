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

impl Judge<'_> {
    /// True if a screen saves time: where scores are products of rows, bf16 products are twice as
    /// fast as others, and all entities compete.
    pub(super) fn screens(&self) -> bool {
        self.machine.instruction_set >= InstructionSet::Avx512Bf16
            && self.model.function.similarity() == Similarity::Dot
            && *self.candidates == Candidates::All
    }

    /// How many entities score above each query's threshold, as high, and in all.
    pub(super) fn sifted(
        &self,
        (queries, strips): (&[f32], &Strips<'_>),
        thresholds: &[f32],
    ) -> Vec<[i64; 3]> {
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
        counts
    }
}
