//! An epoch: its steps, stretch by stretch, and what is noted at its end.
//!
//! *Invariant:* batches are made beside the learning, in the order of their steps; they depend on
//! nothing that was learned.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use gossamer_machine::parallel::pipeline;
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{FileError, Progress};

use super::checkpoint::Standing;
use super::session::Session;
use super::stretch::Stretch;
use crate::error::Error;
use crate::form;
use crate::form::batch::{Batch, Examples};
use crate::form::step::Learner;

/// When the run was saved, and how long its steps waited in an epoch.
#[derive(Default)]
struct Clock {
    saved: Duration,
    sorting: Duration,
    partitions: Duration,
    batches: Duration,
    checkpoints: Duration,
}

impl Session<'_> {
    /// One pass over the training triples, or what is left of it.
    pub(super) fn epoch(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        best: &mut Option<PathBuf>,
        seconds: &dyn Fn() -> f64,
    ) -> Result<(), Error> {
        let begun = self.observer.now();
        let course = self.course(standing.epoch)?;
        let stretches = self.stretches(standing.epoch, course.as_ref());
        let total = stretches.iter().map(|stretch| stretch.n_items).sum();
        let saved = self.observer.now();
        let mut clock = Clock { saved, sorting: saved.saturating_sub(begun), ..Clock::default() };
        for stretch in stretches {
            let n_steps = stretch.n_items.div_ceil(self.config.batch as u64);
            if standing.step >= stretch.steps_before + n_steps {
                continue;
            }
            let begun = self.observer.now();
            let held = self.enter(learner, course.as_ref(), &stretch)?;
            clock.partitions += self.observer.now().saturating_sub(begun);
            let work = (self.within(held.as_ref()), &stretch, total);
            self.steps(learner, standing, best, work, (&mut clock, seconds))?;
        }
        self.say_waits(&clock, standing.epoch + 1);
        Ok(())
    }

    /// Tells what an epoch's steps waited for, where that is worth a line.
    fn say_waits(&self, clock: &Clock, epoch: u64) {
        let waits = [
            ("buckets", clock.sorting),
            ("partitions", clock.partitions),
            ("batches", clock.batches),
            ("checkpoints", clock.checkpoints),
        ];
        let all: Duration = waits.iter().map(|(_, waited)| *waited).sum();
        if self.paged.is_some() || all >= Duration::from_secs(1) {
            let each =
                waits.map(|(what, waited)| format!("{:.1} s for {what}", waited.as_secs_f64()));
            self.observer.log(&format!("epoch {epoch}  waited {}", each.join(", ")));
        }
    }

    /// The steps of a stretch that are still to be made. Batches are made beside the learning.
    fn steps(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        best: &mut Option<PathBuf>,
        (examples, stretch, total): (Examples<'_>, &Stretch, u64),
        (clock, seconds): (&mut Clock, &dyn Fn() -> f64),
    ) -> Result<(), Error> {
        let (batch, form, method) = (self.config.batch as u64, self.form, &self.method);
        let order = Address::new(self.config.seed, Purpose::Order, stretch.number);
        let order = Permutation::new(stretch.n_items, order);
        let steps = standing.step - stretch.steps_before..stretch.n_items.div_ceil(batch);
        let places = |step: u64| step * batch..((step + 1) * batch).min(stretch.n_items);
        let make = |step: u64| {
            let items: Vec<u64> = places(step).map(|place| order.get(place)).collect();
            (step, form.batch(examples, &items, method))
        };
        let mut ended = self.observer.now();
        let learn = |(step, batch): (u64, Batch)| {
            clock.batches += self.observer.now().saturating_sub(ended);
            let done = [places(step).start, places(step).end];
            let done = done.map(|place| stretch.items_before + place);
            self.learn(learner, standing, (examples, batch), (done, total))?;
            let stop = self.observer.cancelled();
            ended = self.observer.now();
            if stop || ended.saturating_sub(clock.saved) >= self.request.save_every {
                standing.seconds = seconds();
                self.save(learner, standing, best)?;
                clock.saved = std::mem::replace(&mut ended, self.observer.now());
                clock.checkpoints += ended.saturating_sub(clock.saved);
            }
            if stop { Err(Error::Stopped) } else { Ok(()) }
        };
        if self.machine.workers.n_threads() == 1 {
            return steps.map(make).try_for_each(learn);
        }
        pipeline(|send| steps.map(make).all(send), learn).map(|_| ())
    }

    /// One step; `done` are the items of the epoch before and after it.
    fn learn(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        work: (Examples<'_>, Batch),
        ([before, done], total): ([u64; 2], u64),
    ) -> Result<(), Error> {
        let epochs_done = standing.epoch as f64 + before as f64 / total as f64;
        let method = self.method.at((epochs_done / self.config.epochs as f64) as f32);
        let loss = form::learn(self.form, learner, work, &method, self.machine);
        standing.loss += loss.sum;
        standing.weight += loss.weight;
        standing.step += 1;
        if let Some(said) = learner.encoder.as_mut().and_then(|encoder| encoder.said.take()) {
            self.observer.log(&said);
        }
        if let Some(what) = self.machine.faults.take() {
            return Err(Error::Fault { what });
        }
        if !loss.sum.is_finite() {
            return Err(Error::Diverged { loss: loss.sum, epoch: standing.epoch + 1 });
        }
        let stage = format!("epoch {}/{}", standing.epoch + 1, self.config.epochs);
        let detail = self.detail(standing);
        let (stage, detail, unit) = (stage.as_str(), detail.as_str(), "queries");
        self.observer.progress(&Progress { stage, done, total, unit, detail });
        Ok(())
    }

    fn detail(&self, standing: &Standing) -> String {
        let mut words = format!("loss {:.4}", standing.loss / standing.weight);
        if standing.best_mrr >= 0.0 {
            words +=
                &format!("  best MRR {:.4} (epoch {})", standing.best_mrr, standing.best_epoch);
        }
        words
    }

    /// Judges where it is time, notes the epoch, and decides whether another one follows.
    pub(super) fn close_epoch(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        best: &mut Option<PathBuf>,
        seconds: &dyn Fn() -> f64,
    ) -> Result<(), Error> {
        let epoch = standing.epoch + 1;
        let last = epoch == self.config.epochs as u64;
        let due = epoch.is_multiple_of(self.config.validate_every as u64) || last;
        if due {
            learner.settle(self.machine);
            learner.reach_all(&self.machine.workers)?;
        }
        let scores = if due { self.validate(&learner.model)? } else { None };
        let loss = standing.loss / standing.weight;
        let mut line = serde_json::json!({
            "epoch": epoch,
            "loss": loss,
            "seconds": (seconds() * 1000.0).round() / 1000.0,
        });
        let mut said = format!("epoch {epoch}  loss {loss:.4}");
        let mut better = false;
        if let Some(scores) = scores {
            let mrr = scores.mrr();
            line["valid_mean_reciprocal_rank"] = mrr.into();
            better = mrr > standing.best_mrr;
            said += &format!("  valid MRR {mrr:.4}{}", if better { "  best so far" } else { "" });
            if better {
                (standing.best_mrr, standing.best_epoch, standing.stale) = (mrr, epoch, 0);
            } else {
                standing.stale += 1;
            }
        }
        if due {
            self.observer.log(&said);
        }
        standing.metrics += &format!("{line}\n");
        // For those who watch; resuming trusts the checkpoint's.
        let path = self.request.out.join("metrics.jsonl");
        fs::write(&path, &standing.metrics).map_err(FileError::io("write", &path))?;
        (standing.epoch, standing.step) = (epoch, 0);
        (standing.loss, standing.weight) = (0.0, 0.0);
        let patience = self.config.patience as u64;
        standing.done = last || (patience > 0 && standing.stale >= patience);
        standing.seconds = seconds();
        if better {
            // Under a name of its own until the checkpoint that shares it is whole.
            let path = self.request.out.join(format!(".best-{epoch}.safetensors"));
            self.write_tables(&path, &learner.model)?;
            let old = best.replace(path);
            self.save(learner, standing, best)?;
            if let Some(old) = old.filter(|old| old.starts_with(&self.request.out)) {
                // It may have gone with the checkpoint it belonged to.
                let _ = fs::remove_file(old);
            }
        }
        Ok(())
    }
}
