//! Checkpoints: everything that resuming needs, as a sealed folder inside the run's.
//!
//! `checkpoint-N/` holds the tables with their optimiser state, the best tables so far, the metrics
//! and the configuration; its manifest notes where training stood. A newer one is whole before an
//! older one goes.
//!
//! *Invariant:* a resumed run ends with the same bytes as an uninterrupted one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gossamer_machine::FileError;
use gossamer_machine::folder::{Draft, Folder, remove_folder, share};
use gossamer_machine::parallel::Workers;
use gossamer_tensor::optim;
use gossamer_tensor::row_code::RowCode;

use crate::config::Config;
use crate::error::Error;
use crate::model::{Model, file};
use crate::paging::{self, Pages};

use crate::form::encoder::Encoder;
use crate::form::kept::Kept;
use crate::form::step::Learner;
use crate::table::Table;

const KIND: &str = "checkpoint";
use crate::model::CHECKPOINT as PREFIX;

/// Where training stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// Epochs finished.
    pub epoch: u64,
    /// Steps done of the epoch that is under way.
    pub step: u64,
    /// Loss summed over those steps.
    pub loss: f64,
    /// Weight that the sum stands for.
    pub weight: f64,
    /// The best validation MRR; negative before the first.
    pub best_mrr: f64,
    /// The epoch that had it.
    pub best_epoch: u64,
    /// Validations since then.
    pub stale: u64,
    /// True once no more epochs will run.
    pub done: bool,
    /// Seconds of training before this process.
    pub seconds: f64,
    /// The lines of `metrics.jsonl`.
    pub metrics: String,
}

/// The newest complete checkpoint in a run folder.
pub fn latest(run: &Path) -> Option<PathBuf> {
    numbered(run).into_iter().next_back().map(|(_, path)| path)
}

fn numbered(run: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(run).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name.strip_prefix(PREFIX)?.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Writes a checkpoint and removes the ones before it. `best`, where the tables just became the
/// best, is true; otherwise the best ones of the last checkpoint are taken over.
///
/// # Errors
/// [`FileError`]; the checkpoint before stays.
pub fn save(
    run: &Path,
    config: &Config,
    learner: &mut Learner,
    standing: &Standing,
    best: Option<&Path>,
) -> Result<(), FileError> {
    let before = numbered(run);
    let number = before.last().map_or(1, |(number, _)| number + 1);
    let target = run.join(format!("{PREFIX}{number}"));
    let draft = Draft::create(KIND, &target, true)?;
    let mut sums = BTreeMap::new();
    if let Some(pages) = &mut learner.pages {
        let tables = [&mut learner.model.entities, &mut learner.entity_state];
        sums = pages.save(tables, &draft)?;
    }
    let model = &learner.model;
    let mut tables = model.tables();
    tables.push(("entity.state", &learner.entity_state));
    // Partitions stand in files of their own.
    tables.retain(|(name, _)| learner.pages.is_none() || !name.starts_with("entity"));
    tables.push(("relation.state", &learner.relation_state));
    if model.core.n_rows() > 0 {
        tables.push(("core.state", &learner.core_state));
    }
    let of_network = learner.encoder.as_ref().map(Encoder::tables).unwrap_or_default();
    tables.extend(of_network.iter().map(|(name, table)| (name.as_str(), table)));
    file::write(&draft.path("tables.safetensors"), &tables, &BTreeMap::new())?;
    if let Some(best) = best {
        share(best, &draft.path("best.safetensors"))?;
    }
    let write = |name: &str, text: &str| {
        let path = draft.path(name);
        fs::write(&path, text).map_err(FileError::io("write", &path))
    };
    write("config.toml", &config.to_toml())?;
    write("metrics.jsonl", &standing.metrics)?;
    let float = |value: f64| format!("{:016x}", value.to_bits());
    let notes = [
        ("epoch", standing.epoch.to_string()),
        ("step", standing.step.to_string()),
        ("steps", learner.steps.to_string()),
        ("loss", float(standing.loss)),
        ("weight", float(standing.weight)),
        ("best_mrr", float(standing.best_mrr)),
        ("best_epoch", standing.best_epoch.to_string()),
        ("stale", standing.stale.to_string()),
        ("done", u8::from(standing.done).to_string()),
        ("seconds", float(standing.seconds)),
    ];
    let notes = notes.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    draft.finish_summed(&notes, &sums)?;
    for (_, old) in before {
        remove_folder(&old)?;
    }
    Ok(())
}

/// A checkpoint that was read back.
#[derive(Debug)]
pub struct Resumed {
    /// The configuration of the run.
    pub config: Config,
    /// Model and optimiser state.
    pub learner: Learner,
    /// Tables of the network that makes the model's rows, if one does.
    pub tables: BTreeMap<String, Table>,
    /// Where training stood.
    pub standing: Standing,
    /// The file with the best tables, if there were any.
    pub best: Option<PathBuf>,
}

/// Reads a checkpoint and verifies every byte of it.
///
/// # Errors
/// [`Error::File`].
pub fn load(
    run: &Path,
    path: &Path,
    [n_entities, n_relations]: [usize; 2],
) -> Result<Resumed, Error> {
    let folder = Folder::open(KIND, path)?;
    folder.check()?;
    let text = |name: &str| -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&folder.read(name)?).into_owned())
    };
    let (settings, _) = Config::read_toml(&text("config.toml")?)?;
    let config = Config::from_settings(&settings, None)?;
    let mut tables = file::read(&folder, "tables.safetensors", None)?;
    let mut take = |name: &str| {
        tables
            .remove(name)
            .ok_or_else(|| FileError::corrupt(path, 0, format!("no tensor '{name}'")))
    };
    let mut model = Model::initial(&config, [0, 0], &Workers::new(1))?;
    let optimiser = optim::find(&config.optimiser)?;
    let mut entity_state = model.entities.state(optimiser);
    let mut pages = None;
    if config.partitions > 1 {
        let none = || FileError::corrupt(path, 0, "a part of the rows is missing");
        let cut = Pages::cut(&config, n_entities);
        let names = (0..cut.len()).map(paging::name);
        let sums: Option<Vec<_>> = names.map(|name| folder.sums(&name)).collect();
        let tables = [&mut model.entities, &mut entity_state];
        let from = (path, sums.ok_or_else(none)?);
        pages = Some(Pages::resume(run, tables, (cut, n_entities), from)?);
    } else {
        (model.entities, entity_state) = (take("entity")?, take("entity.state")?);
    }
    model.relations = take("relation")?;
    let mut core_state = model.core.clone();
    if model.core.n_rows() > 0 {
        (model.core, core_state) = (take("core")?, take("core.state")?);
    }
    model.n_relations = n_relations;
    let rows = if config.reciprocal { 2 * n_relations } else { n_relations };
    let code = [config.row_code()?, model.entities.code()].map(|code| code.map(RowCode::name));
    let fits = (model.entities.n_rows(), model.relations.n_rows()) == (n_entities, rows);
    if !fits || code[0] != code[1] {
        return Err(FileError::corrupt(path, 0, "the tables do not fit the graph").into());
    }
    let number = |key: &str| folder.number(key).unwrap_or(0);
    let float = |key: &str| {
        let bits = folder.notes.get(key).and_then(|text| u64::from_str_radix(text, 16).ok());
        f64::from_bits(bits.unwrap_or(0))
    };
    let relation_state = take("relation.state")?;
    let steps = number("steps");
    let (encoder, kept) = (None, Kept::default());
    let learner =
        Learner { model, entity_state, relation_state, core_state, encoder, pages, steps, kept };
    let standing = Standing {
        epoch: number("epoch"),
        step: number("step"),
        loss: float("loss"),
        weight: float("weight"),
        best_mrr: float("best_mrr"),
        best_epoch: number("best_epoch"),
        stale: number("stale"),
        done: number("done") == 1,
        seconds: float("seconds"),
        metrics: text("metrics.jsonl")?,
    };
    let best = folder.has("best.safetensors").then(|| path.join("best.safetensors"));
    Ok(Resumed { config, learner, tables, standing, best })
}

/// Removes every checkpoint: the run is finished.
///
/// # Errors
/// [`FileError`].
pub fn remove_all(run: &Path) -> Result<(), FileError> {
    numbered(run).into_iter().try_for_each(|(_, path)| remove_folder(&path))
}
