//! The pace of a run, from a few of its steps.

use std::path::Path;
use std::time::Duration;

use gossamer_graph::Snapshot;
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{Machine, Observer};
use gossamer_tensor::optim;

use super::session::Session;
use super::{TrainRequest, encoder};
use crate::config::Config;
use crate::error::Error;
use crate::evaluate::{Candidates, Judge, Known};
use crate::form;
use crate::form::step::Learner;
use crate::model::Model;
use crate::plan::{GraphShape, train_plan};

mod paged;

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
/// run's plan. A run with partitions on disk also moves one there and back, in a folder of its own.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the graph's files.
pub fn pace(
    graph: &Snapshot,
    config: &Config,
    scratch: &Path,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Pace, Error> {
    config.check()?;
    let shape = GraphShape::of(graph)?.with_queries(graph, config)?;
    let plan = train_plan(config, &shape, machine)?;
    machine.buffers.begin();
    if config.partitions > 1 {
        return paged::pace(graph, &shape, (config, &plan), scratch, machine, observer);
    }
    let request = TrainRequest::default();
    let session = Session::new(graph, config, &plan, &request, machine, observer)?;
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let model = Model::initial(config, [n_entities, n_relations], &machine.workers)?;
    let mut learner = Learner::new(model, optim::find(&config.optimiser)?);
    learner.encoder = encoder(graph, config, &learner.model, machine)?;
    session.pace(&mut learner)
}

impl Session<'_> {
    /// Seconds of an epoch and of a validation, from some steps and some ranks; the learner is of
    /// no use afterwards.
    ///
    /// # Errors
    /// [`Error::Diverged`], [`Error::Stopped`].
    fn pace(&self, learner: &mut Learner) -> Result<Pace, Error> {
        /// Triples that are ranked, at most.
        const MOST: usize = 64;
        let epoch = self.machine.workers.within(|| self.pace_of_epoch(learner))?;
        let Some((triples, valid)) = &self.valid else {
            return Ok(Pace { epoch, validation: 0.0 });
        };
        self.machine.buffers.release();
        let (candidates, begun) = (Candidates::All, self.observer.now());
        let (parts, model) = ([&self.train, valid], &learner.model);
        let known = Known::new(&parts);
        let judge = Judge { model, known, candidates: &candidates, machine: self.machine };
        let some = &triples[..triples.len().min(MOST)];
        judge.ranks(some, "validating", self.observer)?;
        let seconds = self.observer.now().saturating_sub(begun).as_secs_f64();
        let validation = seconds * triples.len() as f64 / some.len() as f64;
        Ok(Pace { epoch, validation })
    }

    /// Seconds of an epoch, from some of its steps; those of a short one are taken again.
    fn pace_of_epoch(&self, learner: &mut Learner) -> Result<f64, Error> {
        /// Time for steps, and their number at most, beside the first one, which makes the room
        /// that others use.
        const LONG_ENOUGH: Duration = Duration::from_millis(500);
        const MOST: u64 = 1024;
        let n_items = self.form.n_items(self.examples());
        let order = Permutation::new(n_items, Address::new(self.config.seed, Purpose::Order, 0));
        let size = (self.config.batch as u64).min(n_items).max(1);
        let n_steps = n_items.div_ceil(size).max(1);
        // Of several threads one makes batches while the others learn.
        let beside = self.machine.workers.n_threads() > 1;
        let (mut learning, mut done) = (Duration::ZERO, 0);
        for step in 0..=MOST {
            let first = step % n_steps * size;
            let places = first..(first + size).min(n_items);
            let items: Vec<u64> = places.map(|place| order.get(place)).collect();
            let mut begun = self.observer.now();
            let batch = self.form.batch(self.examples(), &items, &self.method);
            if beside {
                begun = self.observer.now();
            }
            form::learn(self.form, learner, (self.examples(), batch), &self.method, self.machine);
            if self.observer.cancelled() {
                return Err(Error::Stopped);
            }
            if step == 0 {
                continue;
            }
            learning += self.observer.now().saturating_sub(begun);
            done += items.len() as u64;
            if learning > LONG_ENOUGH {
                break;
            }
        }
        Ok(learning.as_secs_f64() * n_items as f64 / done.max(1) as f64)
    }
}
