//! Defaults that suit a graph: what its size and density change in those of a score function.
//!
//! *Invariant:* only the number of entities and triples decides, and what was said wins.

use gossamer_tensor::row_code::RowCode;

use super::Config;

/// Ends of triples per entity below which a graph counts as sparse.
const SPARSE: u64 = 10;

/// The form that holds answers against drawn entities in place of all.
pub const DRAWING: &str = "sampled-softmax";

/// The optimiser with one accumulator for a row, and the one whose place it takes.
const BY_ROWS: [&str; 2] = ["rowwise-adagrad", "adagrad"];

impl Config {
    /// Defaults that suit a graph of this size in the habitual form, found on five graphs (WN18RR,
    /// FB15k-237, CoDEx-S, UMLS, Kinship) and the demo's: few facts per entity want a stronger
    /// penalty; where there are enough, few entities want a weaker one, and predicting relations
    /// helps; a tiny dense graph wants small batches and many epochs, and has nothing to gain from
    /// predicting relations. [`from_settings`](Self::from_settings) puts
    /// `suited_to_drawing` on it.
    pub fn suited_to(mut self, n_entities: u64, n_triples: u64) -> Self {
        /// Entities below which a graph counts as small.
        const SMALL: u64 = 5000;
        /// Entities below which it counts as tiny.
        const TINY: u64 = 1000;
        /// Scores of a validation, about: it is not to take as long as what it judges.
        const SCORES: u64 = 10_000_000_000;
        /// Triples that it judges at least.
        const LEAST_JUDGED: u64 = 1000;
        /// Ends of triples per entity above which a tiny graph is worth many epochs.
        const DENSE: u64 = 40;
        let sparse = 2 * n_triples < SPARSE * n_entities;
        if sparse {
            self.regularisation *= 2.0;
        } else if n_entities < SMALL {
            self.regularisation /= 5.0;
        }
        let mut batches = 64;
        if n_entities < TINY && 2 * n_triples > DENSE * n_entities {
            // An epoch takes a moment, and a judgement by few triples misleads.
            (self.epochs, self.validate_every, self.patience) = (200, 100, 0);
            batches = 320;
        }
        if sparse || !(TINY..SMALL).contains(&n_entities) {
            self.relation_prediction = 0.0;
        }
        let judged = (SCORES / n_entities.max(1)).max(LEAST_JUDGED) as usize;
        self.validation_limit = self.validation_limit.min(judged);
        self.batch = self.batch.min((n_triples / batches).max(16) as usize);
        self
    }

    /// True if what was said leaves the choice of a softmax over drawn entities: by name, or where
    /// there are many entities and nothing else was said of how to learn.
    pub(super) fn draws(&self, n_entities: u64, form_said: bool) -> bool {
        /// Entities from which drawing some is worth it.
        const MANY: u64 = 8192;
        if form_said {
            return self.form == DRAWING;
        }
        let usual = Self::for_model(&self.model).unwrap_or_default();
        let same = |key: &str| self.get(key) == usual.get(key);
        let unchanged = ["loss", "layer", "partitions", "label_smoothing", "negative_sampler"];
        // Longer rows of relations, as RESCAL's, were not measured.
        let widths = self.score_function().map(|function| function.widths(self.dim));
        let short = widths.is_ok_and(|widths| widths.relation <= widths.entity);
        let known = same("optimiser") || self.learns_by_rows();
        let habitual = known && unchanged.into_iter().all(same);
        n_entities >= MANY && usual.form == "1-vs-all" && short && habitual
    }

    /// What suits encoded rows: an optimiser whose state does not outweigh them; and where there
    /// are partitions, coarse ones are floats while they are learned from.
    pub(super) fn suited_to_codes(mut self, chosen: &Self) -> Self {
        let coarse = chosen.row_code().is_ok_and(|code| code.is_some_and(RowCode::coarse));
        self.decoded = chosen.partitions > 1 && coarse;
        if self.optimiser == BY_ROWS[1] {
            self.optimiser = BY_ROWS[0].into();
        }
        self
    }

    /// True if each row has one accumulator where each of its floats would have its own.
    pub(super) fn learns_by_rows(&self) -> bool {
        let habit = || self.score_function().map(|function| function.habits().optimiser);
        self.optimiser == BY_ROWS[0] && habit().is_ok_and(|habit| habit == BY_ROWS[1])
    }

    /// What suits one accumulator a row. There a step follows the gradient itself, not its signs:
    /// of rows that begin near zero the first steps are alike, and what tells them apart is lost.
    /// So they begin apart, around a mean that all share; then a larger rate learns as well.
    /// Found on FB15k-237, CoDEx-S and UMLS, ComplEx at dims from 50 to 300.
    pub(super) fn suited_to_rows(mut self) -> Self {
        (self.initial, self.initial_mean) = (0.1, 0.2);
        self.learning_rate *= if self.form == DRAWING { 0.8 } else { 2.0 };
        self
    }

    /// What suits a softmax over drawn entities: fewer and larger steps. Found on FB15k-237 and
    /// WN18RR, at dims from 25 to 1000; a score sums up `dim` products of three floats, so the step
    /// shrinks with the cube root of `dim`.
    pub(super) fn suited_to_drawing(mut self, n_entities: u64, n_triples: u64, dim: usize) -> Self {
        self.form = DRAWING.into();
        (self.negatives, self.batch, self.epochs) = (1024, 512, 20);
        let rate = 0.5 * (100.0 / dim as f32).cbrt();
        self.learning_rate = format!("{rate:.2e}").parse().unwrap_or(rate);
        let predicts = self.score_function().is_ok_and(|function| function.linear_in_relation());
        let sparse = 2 * n_triples < SPARSE * n_entities;
        // Where facts are few, as in WN18RR, rows that jump at once end better.
        self.schedule = if sparse { "linear" } else { "warm" }.into();
        self.relation_prediction = if predicts && !sparse { 0.5 } else { 0.0 };
        self
    }
}
