//! Training forms: what a query's answer is held against.
//!
//! *Invariant:* a form's step is a function of the model, the items and the addresses of its random
//! numbers; threads and the budget change nothing in its result.

use gossamer_machine::{Ledger, Machine};
use gossamer_tensor::kernel::Similarity;

use crate::config::Config;
use crate::error::Error;
use crate::regulariser::{self, Looks};
use crate::score::Widths;
use crate::{loss, sample};

pub mod batch;
pub mod met;
pub mod neighbourhoods;
pub mod pools;
pub mod alternatives;
pub mod relation_prediction;
pub mod kept;
pub mod step;
pub mod encoder;
mod penalty;
pub mod over_all;

use batch::{Batch, Examples};
use step::{Learner, Method, StepLoss};

gossamer_machine::registry!("training form", TrainingForm:
    one_vs_all::OneVsAll,
    k_vs_all::KVsAll,
    sampled_softmax::SampledSoftmax,
    negative_sampling::NegativeSampling,
);

/// A way to train.
pub trait TrainingForm: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// True if it holds an answer against all entities, or drawn ones that stand for all, so that
    /// only some losses suit it.
    fn over_all(&self) -> bool;
    /// Says what of a configuration the form cannot work with.
    ///
    /// # Errors
    /// [`Error::Setting`].
    fn check(&self, _: &Config) -> Result<(), Error> {
        Ok(())
    }
    /// The most answers of a query that an item brings, where answers are grouped by query.
    fn portion(&self, config: &Config) -> usize {
        if config.answers == 0 { usize::MAX } else { config.answers }
    }
    /// How many items an epoch has.
    fn n_items(&self, examples: Examples<'_>) -> u64;
    /// What some items of an epoch ask: a function of these, whatever was learned.
    fn batch(&self, examples: Examples<'_>, items: &[u64], method: &Method<'_>) -> Batch;
    /// Learns from a batch.
    fn learn(
        &self,
        learner: &mut Learner,
        work: (Examples<'_>, Batch),
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss;
    /// Learns from some items of an epoch.
    fn step(
        &self,
        learner: &mut Learner,
        examples: Examples<'_>,
        items: &[u64],
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let batch = self.batch(examples, items, method);
        self.learn(learner, (examples, batch), method, machine)
    }
    /// Adds the form's buffers to a plan. `kept_bytes` are those for scores kept between passes.
    fn plan(&self, config: &Config, shape: &StepShape, kept_bytes: u64, ledger: &mut Ledger);
    /// Bytes that are given back before relations are predicted: of those buffers, whose memory
    /// waits, and of panels of scores.
    fn passing_bytes(&self, _: &Config, _: &StepShape) -> [u64; 2] {
        [0, 0]
    }
    /// Bytes of all scores of a batch: more than these are never kept.
    fn most_kept_bytes(&self, config: &Config, shape: &StepShape) -> u64;
}

/// Learns from some items: on the model's tables, or through the network that makes them.
pub fn learn(
    form: &dyn TrainingForm,
    learner: &mut Learner,
    work: (Examples<'_>, Batch),
    method: &Method<'_>,
    machine: &Machine,
) -> StepLoss {
    let Some(mut encoder) = learner.encoder.take() else {
        return form.learn(learner, work, method, machine);
    };
    let loss = encoder.step(learner, (form, method), work, machine);
    learner.encoder = Some(encoder);
    loss
}

/// The sizes that decide a step's buffers.
#[derive(Debug, Clone, Copy)]
pub struct StepShape {
    /// Entities.
    pub n_entities: u64,
    /// Rows of the relation table.
    pub relation_rows: u64,
    /// Widths of rows.
    pub widths: Widths,
    /// Threads.
    pub n_threads: u64,
    /// The most answers that a batch brings, at a guess.
    pub answers: u64,
}

/// Checks that the form exists and suits its loss.
///
/// # Errors
/// [`Error::Unknown`], [`Error::Setting`].
pub fn of(config: &Config) -> Result<&'static dyn TrainingForm, Error> {
    let form = find(&config.form)?;
    form.check(config)?;
    if form.over_all() && loss::find(&config.loss)?.over_all().is_none() {
        return Err(Error::Setting {
            key: "loss".into(),
            what: format!("{} is not taken over all entities", config.loss),
            hint: "use softmax-cross-entropy, or form negative-sampling".into(),
        });
    }
    if form.over_all() && config.partitions > 1 {
        return Err(Error::Setting {
            key: "partitions".into(),
            what: format!("{} may ask any entity at any step", form.name()),
            hint: "add --form negative-sampling --loss softmax-cross-entropy".into(),
        });
    }
    let own = sample::find(&config.negative_sampler)?.own();
    if !form.over_all() && own && config.shared_negatives {
        return Err(Error::Setting {
            key: "negative_sampler".into(),
            what: format!("{} draws for each query apart", config.negative_sampler),
            hint: "use it with --shared-negatives false".into(),
        });
    }
    let function = config.score_function()?;
    let at_queries = regulariser::find(&config.regulariser)?.looks() == Looks::AtQueries;
    if at_queries && config.regularisation > 0.0 && function.similarity() != Similarity::Dot {
        return Err(Error::Setting {
            key: "regulariser".into(),
            what: format!("{} suits products, and {} is none", config.regulariser, config.model),
            hint: "use l2, or regularisation 0".into(),
        });
    }
    if config.relation_prediction > 0.0 && !function.linear_in_relation() {
        return Err(Error::Setting {
            key: "relation_prediction".into(),
            what: format!("{} is not linear in the relation's row", config.model),
            hint: "leave it out, or use a bilinear model such as complex".into(),
        });
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_its_loss_must_suit() {
        let mut config = Config::for_model("complex").unwrap();
        config.loss = "self-adversarial".into();
        assert!(of(&config).err().unwrap().to_string().contains("not taken over all"));
        config.form = "negative-sampling".into();
        assert!(of(&config).is_ok());
        config.relation_prediction = 0.5;
        assert!(of(&config).is_ok());
        config.negative_sampler = "type-constrained".into();
        assert!(of(&config).err().unwrap().to_string().contains("--shared-negatives false"));
        config.shared_negatives = false;
        assert!(of(&config).is_ok());
        config.model = "rotate".into();
        assert!(of(&config).err().unwrap().to_string().contains("not linear in the relation"));
        config.form = "one-vs-all".into();
        assert!(of(&config).err().unwrap().to_string().contains("did you mean '1-vs-all'"));
    }
}
