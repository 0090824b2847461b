//! The pace of a run, from a few of its steps.

use std::path::PathBuf;

use gossamer_graph::Snapshot;
use gossamer_machine::{Machine, Observer};
use gossamer_tensor::optim;

use super::session::Session;
use super::{TrainRequest, encoder};
use crate::config::Config;
use crate::error::Error;
use crate::form::step::Learner;
use crate::model::Model;
use crate::plan::{GraphShape, train_plan};

/// Seconds that parts of a run take on this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// A pass over the training triples.
    pub epoch: f64,
    /// A validation.
    pub validation: f64,
}

impl Pace {
    /// Seconds of a run that goes through all epochs.
    pub fn whole(&self, config: &Config) -> f64 {
        let validations = config.epochs.div_ceil(config.validate_every);
        config.epochs as f64 * self.epoch + validations as f64 * self.validation
    }
}

/// Takes some steps of a run that is then forgotten, and ranks some triples. It stays within the
/// run's plan.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the graph's files.
pub fn pace(
    graph: &Snapshot,
    config: &Config,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Pace, Error> {
    config.check()?;
    let plan = train_plan(config, &GraphShape::of(graph)?, machine)?;
    let request = TrainRequest { out: PathBuf::new(), ..TrainRequest::default() };
    let session = Session::new(graph, config, &plan, &request, machine, observer)?;
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let model = Model::initial(config, [n_entities, n_relations], &machine.workers)?;
    let mut learner = Learner::new(model, optim::find(&config.optimiser)?);
    learner.encoder = encoder(graph, config, &learner.model, machine)?;
    session.pace(&mut learner)
}
