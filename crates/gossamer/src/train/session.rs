//! One process's share of a run: epochs, validations, checkpoints, the sealing at the end.
//!
//! *Invariant:* what decides the result is in [`Standing`] and in the learner, and both are in every
//! checkpoint; a session adds only time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gossamer_graph::stored::StoredTriples;
use gossamer_graph::{Adjacency, Snapshot, Split, Triples};
use gossamer_machine::folder::{seal, share};
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{FileError, Machine, Observer};

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
    pub(super) request: &'a TrainRequest,
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
    /// What epochs take their triples from, where entity rows are cut into partitions.
    pub(super) paged: Option<Paged<'a>>,
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
        graph: &'a Snapshot,
        config: &'a Config,
        plan: &Plan,
        request: &'a TrainRequest,
        machine: &'a Machine,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let sizes = [graph.entities().len(), graph.relations().len()];
        let paged = match config.partitions {
            1 => None,
            _ => Some(Paged::new(graph, config, &request.out)?),
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
            pages.hold(self.partitions_held, self.config);
        }
        // On one of the threads: what small steps hand out is done before another one has woken up.
        self.machine.workers.within(|| {
            while standing.epoch < self.config.epochs as u64 && !standing.done {
                self.epoch(&mut learner, &mut standing, &mut best, &seconds)?;
                self.close_epoch(&mut learner, &mut standing, &mut best, &seconds)?;
            }
            Ok::<(), Error>(())
        })?;
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

    pub(super) fn validate(&self, model: &Model) -> Result<Option<Scores>, Error> {
        let Some((triples, valid)) = &self.valid else { return Ok(None) };
        // What steps take anew is planned beside no ranks.
        self.machine.buffers.release();
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

    pub(super) fn save(
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

    pub(super) fn write_tables(&self, path: &Path, model: &Model) -> Result<(), FileError> {
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
        learner.reach_all(&self.machine.workers)?;
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
