//! 1-vs-all: every answer of a query against all entities.
//!
//! Equal queries of a batch are scored once, with their answers' weights summed; the loss is
//! exactly that of one softmax, or one row of sigmoids, per triple.
//! *Paper:* Lacroix et al. (2018).

use gossamer_machine::{Ledger, Machine};

use super::over_all;
use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, StepLoss};

/// 1-vs-all.
#[derive(Debug)]
pub struct OneVsAll;

impl TrainingForm for OneVsAll {
    fn name(&self) -> &'static str {
        "1-vs-all"
    }
    fn summary(&self) -> &'static str {
        "every answer against all entities; best quality on graphs of up to a few 100,000 entities"
    }
    fn formula(&self) -> &'static str {
        "Σ w·loss(scores over all entities, answer), over Σ w"
    }
    fn paper(&self) -> &'static str {
        "Lacroix, Usunier, Obozinski (ICML 2018); Kadlec et al. (2017)"
    }
    fn over_all(&self) -> bool {
        true
    }
    fn n_items(&self, examples: Examples<'_>) -> u64 {
        examples.portions.len() as u64
    }
    fn batch(&self, examples: Examples<'_>, items: &[u64], _: &Method<'_>) -> Batch {
        Batch::of_portions(examples, items)
    }
    fn learn(
        &self,
        learner: &mut Learner,
        (_, batch): (Examples<'_>, Batch),
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss {
        over_all::step(learner, &batch, None, method, machine)
    }
    fn plan(&self, config: &Config, shape: &StepShape, kept_bytes: u64, ledger: &mut Ledger) {
        over_all::plan(config, shape, over_all::Panels::of_all(shape), kept_bytes, ledger);
    }
    fn passing_bytes(&self, config: &Config, shape: &StepShape) -> [u64; 2] {
        // Rows are changed with panels of scores.
        [over_all::sums_bytes(config, shape, over_all::Panels::of_all(shape)), 0]
    }
    fn most_kept_bytes(&self, config: &Config, shape: &StepShape) -> u64 {
        over_all::most_kept_bytes(config, shape)
    }
}
