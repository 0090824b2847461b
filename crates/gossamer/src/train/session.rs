//! One process's share of a run: epochs, validations, checkpoints, the sealing at the end.
//!
//! *Invariant:* what decides the result is in [`Standing`] and in the learner, and both are in every
//! checkpoint; a session adds only time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gossamer_graph::snapshot::StoredTriples;
use gossamer_graph::{Adjacency, Snapshot, Split, Triples};
use gossamer_machine::folder::{seal, share};
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{FileError, Machine, Observer, Progress};

use super::checkpoint::{self, Standing};
use super::stretch::Paged;
use super::{Outcome, TrainRequest};
use crate::config::Config;
use crate::error::Error;
use crate::evaluate::{Candidates, Judge, Known, Scores};
use crate::form::alternatives::Alternatives;
use crate::form::batch::{Examples, Portion, portions, side_weights};
use crate::form::neighbourhoods::Neighbourhoods;
use crate::form::pools::Pools;
use crate::form::step::{Learner, Method};
use crate::form::{self, TrainingForm};
use crate::model::{Model, RUN, file};
use crate::paging::Pages;
use crate::plan::Plan;
use crate::sample::Source;

/// The file of a run that has a line for each entity: the number of its neighbourhood.
pub const NEIGHBOURHOODS: &str = "neighbourhoods.txt";

/// What a session learns from and judges by.
pub(super) struct Facts {
    /// How many entities and relations there are.
    pub sizes: [usize; 2],
    /// Training triples.
    pub train: Triples,
    /// Validation triples.
    pub valid: Triples,
}

/// A run under way.
pub struct Session<'a> {
    pub(super) config: &'a Config,
    request: &'a TrainRequest,
    pub(super) machine: &'a Machine,
    pub(super) observer: &'a dyn Observer,
    pub(super) method: Method<'a>,
    pub(super) form: &'static dyn TrainingForm,
    pub(super) train: Triples,
    adjacency: Adjacency,
    portions: Vec<Portion>,
    side_weights: Option<Vec<[f32; 2]>>,
    pools: Option<Pools>,
    alternatives: Option<Alternatives>,
    /// The training triples by bucket, where entity rows are cut into partitions.
    pub(super) paged: Option<Paged>,
    /// How many partitions there is memory for.
    partitions_held: usize,
    /// The validation triples that are judged, and all of them, which the filter knows.
    pub(super) valid: Option<(Vec<[u32; 3]>, Triples)>,
}

impl<'a> Session<'a> {
    /// Reads the graph.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        graph: &Snapshot,
        config: &'a Config,
        plan: &Plan,
        request: &'a TrainRequest,
        machine: &'a Machine,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let sizes = [graph.entities().len(), graph.relations().len()];
        let paged = match config.partitions {
            1 => None,
            _ => Some(Paged::new(graph, config, &request.out, observer)?),
        };
        let train = match paged {
            None => graph.triples(Split::Train)?,
            Some(_) => Triples::default(),
        };
        let facts = Facts { sizes, train, valid: graph.triples(Split::Valid)? };
        let session = Self::over(facts, config, plan, request, machine, observer)?;
        Ok(Self { paged, ..session })
    }

    /// A session over triples that are in memory.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn over(
        Facts { sizes: [n_entities, n_relations], train, valid }: Facts,
        config: &'a Config,
        plan: &Plan,
        request: &'a TrainRequest,
        machine: &'a Machine,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let form = form::of(config)?;
        // What is not asked over all entities is asked triple by triple.
        let adjacency = match form.over_all() {
            true => Adjacency::build(n_entities, &[&train]),
            false => Adjacency::build(0, &[]),
        };
        let valid = (!valid.is_empty()).then(|| {
            let order = Address::new(config.seed, Purpose::Sample, 1);
            let order = Permutation::new(valid.len() as u64, order);
            let n = valid.len().min(config.validation_limit);
            let judged = (0..n as u64).map(|i| valid.get(order.get(i) as usize)).collect();
            (judged, valid)
        });
        let method = Method::new(config, plan.kept_bytes, machine.instruction_set)?;
        let sampler = method.sampler;
        let alike = || Alternatives::new(n_entities, n_relations, &train);
        let pools = match sampler.source() {
            Source::Everywhere => None,
            Source::Range => Some(Pools::of_relations(n_relations, &train)),
            Source::Neighbourhood => {
                let found = neighbourhoods(&request.out, n_entities)?;
                Some(Pools::of_neighbourhoods(found))
            }
        };
        Ok(Self {
            config,
            request,
            machine,
            observer,
            method,
            form,
            side_weights: sampler.weighs_sides().then(|| side_weights(n_relations, &train)),
            pools,
            alternatives: (sampler.n_relations() > 0).then(alike),
            train,
            paged: None,
            partitions_held: plan.partitions_held,
            portions: portions(&adjacency, config.answers),
            adjacency,
            valid,
        })
    }

    pub(super) fn examples(&self) -> Examples<'_> {
        Examples {
            triples: &self.train,
            adjacency: &self.adjacency,
            portions: &self.portions,
            side_weights: self.side_weights.as_deref(),
            pools: self.pools.as_ref(),
            residents: None,
            alternatives: self.alternatives.as_ref(),
        }
    }

    /// The loop, from wherever the run stands to its end.
    ///
    /// # Errors
    /// [`Error`]; the last checkpoint is whole.
    pub fn go_on(
        &self,
        mut learner: Learner,
        mut standing: Standing,
        mut best: Option<PathBuf>,
    ) -> Result<Outcome, Error> {
        let started = self.observer.now();
        let before = standing.seconds;
        let seconds = || before + self.observer.now().saturating_sub(started).as_secs_f64();
        if let Some(pages) = &mut learner.pages {
            pages.hold(self.partitions_held);
        }
        while standing.epoch < self.config.epochs as u64 && !standing.done {
            self.epoch(&mut learner, &mut standing, &mut best, &seconds)?;
            self.close_epoch(&mut learner, &mut standing, &mut best, &seconds)?;
        }
        standing.done = true;
        standing.seconds = seconds();
        self.finish(&mut learner, &standing, best.as_deref())?;
        Ok(Outcome {
            epochs: standing.epoch,
            best_mrr: self.valid.is_some().then_some(standing.best_mrr.max(0.0)),
            best_epoch: standing.best_epoch,
            seconds: standing.seconds,
        })
    }

    /// One pass over the training triples, or what is left of it.
    fn epoch(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        best: &mut Option<PathBuf>,
        seconds: &dyn Fn() -> f64,
    ) -> Result<(), Error> {
        let stretches = self.stretches(standing.epoch);
        let total = stretches.iter().map(|stretch| stretch.n_items).sum();
        let batch = self.config.batch as u64;
        let (mut saved, mut waited) = (self.observer.now(), Duration::ZERO);
        for stretch in stretches {
            let n_steps = stretch.n_items.div_ceil(batch);
            if standing.step >= stretch.steps_before + n_steps {
                continue;
            }
            let begun = self.observer.now();
            let held = self.enter(learner, &stretch)?;
            waited += self.observer.now().saturating_sub(begun);
            let examples = self.within(held.as_ref());
            let order = Address::new(self.config.seed, Purpose::Order, stretch.number);
            let order = Permutation::new(stretch.n_items, order);
            for step in standing.step - stretch.steps_before..n_steps {
                let (first, last) = (step * batch, ((step + 1) * batch).min(stretch.n_items));
                let items: Vec<u64> = (first..last).map(|place| order.get(place)).collect();
                let done = [first, last].map(|place| stretch.items_before + place);
                self.learn(learner, standing, (examples, &items), (done, total))?;
                let stop = self.observer.cancelled();
                let now = self.observer.now();
                if stop || now.saturating_sub(saved) >= self.request.save_every {
                    standing.seconds = seconds();
                    self.save(learner, standing, best)?;
                    saved = now;
                }
                if stop {
                    return Err(Error::Stopped);
                }
            }
        }
        if self.paged.is_some() {
            let waited = waited.as_secs_f64();
            let epoch = standing.epoch + 1;
            self.observer.log(&format!("epoch {epoch}  waited {waited:.1} s for partitions"));
        }
        Ok(())
    }

    /// One step; `done` are the items of the epoch before and after it.
    fn learn(
        &self,
        learner: &mut Learner,
        standing: &mut Standing,
        work: (Examples<'_>, &[u64]),
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
    fn close_epoch(
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
            learner.reach_all()?;
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

    fn validate(&self, model: &Model) -> Result<Option<Scores>, Error> {
        let Some((triples, valid)) = &self.valid else { return Ok(None) };
        let (candidates, parts) = (Candidates::All, [&self.train, valid]);
        // The filter knows train and valid while it chooses.
        let stored = self.paged.as_ref().and_then(|paged| paged.stored.as_ref());
        let known = Known::new(&parts).with(stored);
        let judge = Judge { model, known, candidates: &candidates, machine: self.machine };
        let ranks = judge.ranks(triples, "validating", self.observer)?;
        model.entities.failure()?;
        stored.map_or(Ok(()), StoredTriples::failure)?;
        Ok(Some(Scores::of(&ranks)))
    }

    fn save(
        &self,
        learner: &mut Learner,
        standing: &Standing,
        best: &mut Option<PathBuf>,
    ) -> Result<(), FileError> {
        let out = &self.request.out;
        checkpoint::save(out, self.config, learner, standing, best.as_deref())?;
        if best.is_some() {
            *best = checkpoint::latest(out).map(|path| path.join("best.safetensors"));
        }
        Ok(())
    }

    fn write_tables(&self, path: &Path, model: &Model) -> Result<(), FileError> {
        let about = BTreeMap::from([
            ("model".to_string(), self.config.model.clone()),
            ("dim".to_string(), self.config.dim.to_string()),
            ("reciprocal".to_string(), self.config.reciprocal.to_string()),
            ("made_by".to_string(), concat!("gossamer ", env!("CARGO_PKG_VERSION")).to_string()),
        ]);
        file::write(path, &model.tables(), &about)
    }

    /// Seals the run folder: from here on it is a finished run.
    fn finish(
        &self,
        learner: &mut Learner,
        standing: &Standing,
        best: Option<&Path>,
    ) -> Result<(), FileError> {
        learner.reach_all()?;
        let out = &self.request.out;
        // What this writes anew after a kill must not change what a checkpoint shares.
        let tables = out.join("tables.safetensors");
        let partial = gossamer_machine::file::partial_path(&tables);
        if partial.exists() {
            fs::remove_file(&partial).map_err(FileError::io("remove", &partial))?;
        }
        match best {
            Some(best) => share(best, &partial)?,
            None => self.write_tables(&partial, &learner.model)?,
        }
        fs::rename(&partial, &tables).map_err(FileError::io("rename", &tables))?;
        let write = |name: &str, text: &str| {
            gossamer_machine::file::write_whole(&out.join(name), text.as_bytes())
        };
        write("config.toml", &self.config.to_toml())?;
        write("metrics.jsonl", &standing.metrics)?;
        let mut notes = BTreeMap::new();
        notes.insert("epochs".to_string(), standing.epoch.to_string());
        notes.insert("best_epoch".to_string(), standing.best_epoch.to_string());
        if standing.best_mrr >= 0.0 {
            notes.insert("best_valid_mrr".to_string(), standing.best_mrr.to_string());
        }
        seal(RUN, out, &notes)?;
        checkpoint::remove_all(out)?;
        Pages::remove(out)?;
        let leftovers = fs::read_dir(out).into_iter().flatten().filter_map(Result::ok);
        for entry in leftovers.filter(|e| e.file_name().to_string_lossy().starts_with(".best-")) {
            let _ = fs::remove_file(entry.path());
        }
        Ok(())
    }
}

/// The neighbourhoods that were found when the run began.
fn neighbourhoods(run: &Path, n_entities: usize) -> Result<Neighbourhoods, Error> {
    let path = run.join(NEIGHBOURHOODS);
    let text = fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
    Neighbourhoods::read(&text, n_entities).ok_or_else(|| {
        FileError::corrupt(&path, 0, format!("no number for each of {n_entities} entities")).into()
    })
}
