//! Tuning: a search for settings, in the time that the user gives.
//!
//! Successive halving over fidelities: many trials learn a little (a core of the graph where the
//! graph is large, few epochs), the best third of them learn more, and of those, the best first, as
//! many learn in full as there is time for. Each rung has an equal share of the time. All that was tried is on disk; a search that is
//! stopped goes on where it was, and one that is given more time uses what is known.
//!
//! | file | what |
//! |---|---|
//! | `search` | the graph's fingerprint and the seed, so that no other search goes on here |
//! | `trials.jsonl` | a line per trial that ended: settings, rung, validation MRR, bytes, seconds |
//! | `core/` | the part of a large graph that the first rung learns |
//! | `trial-N/` | the run of a trial that learned in full |
//! | `best.toml` | the best of those, for `gossamer train --config` |
//!
//! *Invariant:* the space ([`space`]) and the rungs are the same for every graph; validation triples
//! alone decide, never the test split.
//! *Paper:* Jamieson, Talwalkar, "Non-stochastic best arm identification and hyperparameter
//! optimization" (2016); over parts of a graph: Kochsiek et al., "Start small, think big" (2022).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gossamer_graph::k_core::write_core;
use gossamer_graph::{Snapshot, Split};
use gossamer_machine::folder::remove_folder;
use gossamer_machine::{FileError, Machine, Observer};
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Error;
use crate::plan::GraphShape;
use crate::train::watch::Watch;
use crate::train::{TrainRequest, resume, train};

pub mod space;

/// Epochs of each rung.
pub const EPOCHS: [usize; 3] = [5, 15, 45];
/// A rung's best part goes on: one in so many.
const HALVING: usize = 3;
/// Most trials of the first rung.
const MOST_TRIALS: usize = 243;
/// Training triples above which the first rung learns a core of the graph.
const LARGE: u64 = 100_000;
/// The part of a large graph's training triples that its core keeps.
const CORE: f64 = 0.25;
/// Validation triples that judge a trial.
const JUDGES: usize = 2000;

/// What to search.
#[derive(Debug, Clone)]
pub struct TuneRequest {
    /// The folder that the search leaves.
    pub out: PathBuf,
    /// The time it may take, earlier calls included.
    pub time: Duration,
    /// Seed of the trials.
    pub seed: u64,
}

/// A trial that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number; its settings are a function of it.
    pub number: u32,
    /// How far it was let go.
    pub rung: usize,
    /// Its settings.
    pub config: Config,
    /// Validation MRR; 0 for one that diverged or did not fit into the budget.
    pub mrr: f64,
    /// Bytes of its tables.
    pub bytes: u64,
    /// What it took.
    pub seconds: f64,
}

impl Trial {
    fn line(&self) -> Value {
        json!({
            "trial": self.number, "rung": self.rung, "mrr": self.mrr, "bytes": self.bytes,
            "seconds": self.seconds, "config": self.config.to_toml(),
        })
    }

    fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let (settings, _) = Config::read_toml(value["config"].as_str()?).ok()?;
        Some(Self {
            number: u32::try_from(value["trial"].as_u64()?).ok()?,
            rung: usize::try_from(value["rung"].as_u64()?).ok()?,
            config: Config::from_settings(&settings, None).ok()?,
            mrr: value["mrr"].as_f64()?,
            bytes: value["bytes"].as_u64()?,
            seconds: value["seconds"].as_f64()?,
        })
    }

    /// True if it learned the whole graph for all epochs.
    pub fn in_full(&self) -> bool {
        self.rung + 1 == EPOCHS.len()
    }
}

/// The trials in full that no other one beats in MRR, bytes and seconds together, best MRR first.
pub fn front(trials: &[Trial]) -> Vec<&Trial> {
    let full: Vec<&Trial> =
        trials.iter().filter(|trial| trial.in_full() && trial.mrr > 0.0).collect();
    let beats = |one: &Trial, other: &Trial| {
        let better = one.mrr > other.mrr || one.bytes < other.bytes || one.seconds < other.seconds;
        one.mrr >= other.mrr && one.bytes <= other.bytes && one.seconds <= other.seconds && better
    };
    let mut front: Vec<&Trial> =
        full.iter().copied().filter(|one| !full.iter().any(|other| beats(other, one))).collect();
    front.sort_by(|one, other| other.mrr.total_cmp(&one.mrr));
    front
}

/// Searches until the time is up; returns every trial that ended, those of earlier calls included.
///
/// # Errors
/// [`Error`]; after [`Error::Stopped`] the same call goes on.
pub fn tune(
    graph: &Snapshot,
    request: &TuneRequest,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Vec<Trial>, Error> {
    if graph.n_triples(Split::Valid)? == 0 {
        return Err(Error::Request {
            what: "the graph has no validation triples to judge by".into(),
            hint: "import it with --split 80/10/10".into(),
        });
    }
    let shape = GraphShape::of(graph)?;
    let mut search = Search::open(graph, &shape, request, machine, observer)?;
    search.run()?;
    Ok(search.trials)
}

/// A search under way.
struct Search<'a> {
    graph: &'a Snapshot,
    /// What the first rung learns, where that is not the graph.
    core: Option<Snapshot>,
    size: (u64, u64),
    request: &'a TuneRequest,
    machine: &'a Machine,
    observer: &'a dyn Observer,
    started: Duration,
    /// Seconds of earlier calls.
    before: f64,
    trials: Vec<Trial>,
}

impl<'a> Search<'a> {
    fn open(
        graph: &'a Snapshot,
        shape: &GraphShape,
        request: &'a TuneRequest,
        machine: &'a Machine,
        observer: &'a dyn Observer,
    ) -> Result<Self, Error> {
        let started = observer.now();
        let out = &request.out;
        fs::create_dir_all(out).map_err(FileError::io("create", out))?;
        let about = format!("{:016x} {}\n", graph.folder().fingerprint(), request.seed);
        let path = out.join("search");
        match fs::read_to_string(&path) {
            Ok(found) if found == about => {}
            Ok(_) => {
                return Err(Error::Request {
                    what: format!("{} holds a search of another graph, or seed", out.display()),
                    hint: "name another folder".into(),
                });
            }
            Err(_) => gossamer_machine::file::write_whole(&path, about.as_bytes())?,
        }
        let text = fs::read_to_string(out.join("trials.jsonl")).unwrap_or_default();
        // A line that a kill cut short is done again.
        let trials: Vec<Trial> = text.lines().filter_map(Trial::read).collect();
        let before = trials.iter().map(|trial| trial.seconds).sum();
        let size = (shape.n_entities, shape.n_triples[0]);
        let core = if size.1 > LARGE { Some(core(graph, out, observer)?) } else { None };
        Ok(Self { graph, core, size, request, machine, observer, started, before, trials })
    }

    fn seconds(&self) -> f64 {
        self.before + self.observer.now().saturating_sub(self.started).as_secs_f64()
    }

    /// The rungs one after the other, each within its share of the time; what is left goes to
    /// trials in full.
    fn run(&mut self) -> Result<(), Error> {
        let share = self.request.time.as_secs_f64() / EPOCHS.len() as f64;
        for rung in 0..EPOCHS.len() {
            let until = share * (rung + 1) as f64;
            let last = rung + 1 == EPOCHS.len();
            let ranked = self.ranked(rung);
            let most = match rung {
                0 => MOST_TRIALS,
                _ if last => ranked.len(),
                _ => ranked.len().div_ceil(HALVING),
            };
            for number in ranked.into_iter().take(most) {
                let known = self.trials.iter().any(|one| (one.number, one.rung) == (number, rung));
                // Whatever the time, each rung has one trial, so that there is something to keep.
                let first = !self.trials.iter().any(|trial| trial.rung == rung);
                if known || (self.seconds() >= until && !first) {
                    continue;
                }
                let limit = if first { f64::INFINITY } else { self.request.time.as_secs_f64() };
                if !self.attempt(number, rung, limit)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The candidates of a rung: the numbers of all trials, then the best of the rung below.
    fn ranked(&self, rung: usize) -> Vec<u32> {
        if rung == 0 {
            return (0..MOST_TRIALS as u32).collect();
        }
        let mut below: Vec<&Trial> =
            self.trials.iter().filter(|trial| trial.rung + 1 == rung).collect();
        below.sort_by(|one, other| {
            other.mrr.total_cmp(&one.mrr).then(one.number.cmp(&other.number))
        });
        below.iter().map(|trial| trial.number).collect()
    }

    /// Trains a trial and notes it; false if the time was up before it ended.
    fn attempt(&mut self, number: u32, rung: usize, limit: f64) -> Result<bool, Error> {
        let mut config = space::trial(self.request.seed, number, self.size)?;
        (config.epochs, config.validate_every) = (EPOCHS[rung], EPOCHS[rung]);
        (config.patience, config.validation_limit) = (0, JUDGES);
        let out = self.request.out.join(if rung + 1 == EPOCHS.len() {
            format!("trial-{number}")
        } else {
            format!("trial-{number}-rung-{rung}")
        });
        let graph = if rung == 0 { self.core.as_ref().unwrap_or(self.graph) } else { self.graph };
        let deadline =
            self.started + Duration::from_secs_f64((limit - self.before).clamp(0.0, 1e9));
        let stage = format!("trial {number}, rung {}/{}", rung + 1, EPOCHS.len());
        let watch = Watch { observer: self.observer, deadline, stage: &stage };
        let save_every = Duration::from_secs(300);
        let begun = out.exists();
        let request = TrainRequest {
            config: config.clone(),
            out: out.clone(),
            replace: true,
            save_every,
            ..TrainRequest::default()
        };
        let start = self.observer.now();
        let result = match begun {
            true => resume(&out, save_every, self.machine, &watch)
                .or_else(|_| train(graph, &request, self.machine, &watch)),
            false => train(graph, &request, self.machine, &watch),
        };
        let mrr = match result {
            Ok(outcome) => outcome.best_mrr.unwrap_or(0.0),
            Err(Error::Diverged { .. } | Error::BudgetTooSmall { .. }) => 0.0,
            Err(Error::Stopped) if !self.observer.cancelled() => return Ok(false),
            Err(error) => return Err(error),
        };
        let seconds = self.observer.now().saturating_sub(start).as_secs_f64();
        let bytes = table_bytes(&config, self.graph)?;
        let trial = Trial { number, rung, config, mrr, bytes, seconds };
        let (model, dim) = (&trial.config.model, trial.config.dim);
        let said =
            if mrr > 0.0 { format!("MRR {mrr:.4}") } else { "did not fit, or diverged".into() };
        self.observer.log(&format!("{stage}: {said}, {model} dim {dim}, {seconds:.0} s"));
        self.note(&trial)?;
        if !trial.in_full() || mrr == 0.0 {
            remove_folder(&out)?;
        }
        self.trials.push(trial);
        self.keep_best()?;
        Ok(true)
    }

    fn note(&self, trial: &Trial) -> Result<(), FileError> {
        let path = self.request.out.join("trials.jsonl");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(FileError::io("open", &path))?;
        file.write_all(format!("{}\n", trial.line()).as_bytes())
            .map_err(FileError::io("write", &path))
    }

    fn keep_best(&self) -> Result<(), FileError> {
        let Some(best) = front(&self.trials).first().copied() else { return Ok(()) };
        let path = self.request.out.join("best.toml");
        gossamer_machine::file::write_whole(&path, best.config.to_toml().as_bytes())
    }
}

/// The core of a large graph, made once.
fn core(graph: &Snapshot, out: &Path, observer: &dyn Observer) -> Result<Snapshot, Error> {
    let path = out.join("core");
    if let Ok(core) = Snapshot::open(&path) {
        return Ok(core);
    }
    let k = write_core(graph, CORE, &path, observer)?;
    let core = Snapshot::open(&path)?;
    let [entities, triples] = [core.entities().len() as u64, core.n_triples(Split::Train)?];
    observer.log(&format!(
        "the first rung learns the {k}-core: {entities} entities, {triples} training triples"
    ));
    Ok(core)
}

fn table_bytes(config: &Config, graph: &Snapshot) -> Result<u64, Error> {
    let widths = config.score_function()?.widths(config.dim);
    let relations = graph.relations().len() * if config.reciprocal { 2 } else { 1 };
    let floats = graph.entities().len() * widths.entity + relations * widths.relation;
    Ok(4 * floats as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u32, rung: usize, mrr: f64, bytes: u64, seconds: f64) -> Trial {
        Trial { number, rung, config: Config::default(), mrr, bytes, seconds }
    }

    #[test]
    fn the_front_holds_what_nothing_beats() {
        let trials = [
            trial(0, 2, 0.5, 100, 10.0),
            trial(1, 2, 0.4, 50, 10.0),
            trial(2, 2, 0.4, 60, 11.0),
            trial(3, 2, 0.3, 200, 5.0),
            trial(4, 1, 0.9, 1, 1.0),
            trial(5, 2, 0.0, 1, 1.0),
        ];
        let numbers: Vec<u32> = front(&trials).iter().map(|trial| trial.number).collect();
        assert_eq!(numbers, [0, 1, 3]);
    }

    #[test]
    fn a_line_reads_back_and_half_a_line_is_none() {
        let one = trial(3, 1, 0.25, 4096, 1.5);
        let line = one.line().to_string();
        assert_eq!(Trial::read(&line).unwrap(), one);
        assert!(Trial::read(&line[..line.len() / 2]).is_none());
    }
}
