//! k-vs-all: every query once, with all its answers, against all entities.
//!
//! With sigmoids an answer's weight is its label, at most 1; with softmax the labels of a query are
//! its answers' weights over their sum. Every query weighs 1.
//! *Paper:* Dettmers et al. (2018).

use gossamer_machine::{Ledger, Machine};

use super::over_all;
use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, StepLoss};
use crate::loss::OverAll;

/// k-vs-all.
#[derive(Debug)]
pub struct KVsAll;

impl TrainingForm for KVsAll {
    fn name(&self) -> &'static str {
        "k-vs-all"
    }
    fn summary(&self) -> &'static str {
        "every query once with all its answers; with binary-cross-entropy for probabilities"
    }
    fn formula(&self) -> &'static str {
        "Σ loss(scores over all entities, labels), over the number of queries"
    }
    fn paper(&self) -> &'static str {
        "Dettmers et al.: Convolutional 2D Knowledge Graph Embeddings (AAAI 2018)"
    }
    fn over_all(&self) -> bool {
        true
    }
    fn portion(&self, _: &Config) -> usize {
        usize::MAX
    }
    fn n_items(&self, examples: Examples<'_>) -> u64 {
        examples.adjacency.n_queries() as u64
    }
    fn batch(&self, examples: Examples<'_>, items: &[u64], method: &Method<'_>) -> Batch {
        let competing = method.loss.over_all() == Some(OverAll::Softmax);
        Batch::of_queries(examples, items, competing)
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
