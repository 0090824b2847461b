//! The run folder of a recommender: its graph, its settings and what it has learned.
//!
//! | file | what |
//! |---|---|
//! | `graph/` | the graph, shared |
//! | `config.toml` | settings |
//! | `tables.safetensors` | what was learned |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gossamer_graph::{Snapshot, Split};
use gossamer_machine::file::write_whole;
use gossamer_machine::folder::{Folder, seal};
use gossamer_machine::{FileError, Ledger};

use super::census::Census;
use super::judge::top;
use super::problem::Problem;
use super::scores::{Floats, Learned, Matrix};
use super::{Settings, Shape};
use crate::error::Error;
use crate::model::file;
use crate::train::begin_folder;

/// What a run of this kind is sealed as.
pub const KIND: &str = "recommender";

/// The file of what was learned.
const TABLES: &str = "tables.safetensors";

/// A finished run.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub path: PathBuf,
    /// Its graph.
    pub graph: Snapshot,
    /// Its settings.
    pub settings: Settings,
    /// What its graph has.
    pub census: Census,
    /// Who interacted with what; facts are not read.
    pub problem: Problem,
    /// What was learned.
    pub learned: Learned,
}

/// Refuses a place where something is that is not to be replaced, before anything is learned.
///
/// # Errors
/// [`FileError::Exists`].
pub fn refuse_existing(out: &Path, replace: bool) -> Result<(), Error> {
    let empty = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    match out.exists() && !empty && !replace {
        true => Err(FileError::Exists { path: out.to_path_buf() }.into()),
        false => Ok(()),
    }
}

/// Writes a run folder: the graph, what was learned, and a seal.
///
/// # Errors
/// [`Error::File`] also where something is there that is not to be replaced.
pub fn save(
    graph: &Snapshot,
    (out, replace): (&Path, bool),
    settings: &Settings,
    learned: &Learned,
) -> Result<(), Error> {
    begin_folder(graph, out, replace)?;
    let about = BTreeMap::from([("model".to_string(), settings.model.clone())]);
    let tables = learned.tables();
    let tables: Vec<(&str, &Floats<'_>)> =
        tables.iter().map(|(name, table)| (*name, table)).collect();
    file::write(&out.join(TABLES), &tables, &about)?;
    write_whole(&out.join("config.toml"), settings.to_toml().as_bytes())?;
    seal(KIND, out, &BTreeMap::new())?;
    Ok(())
}

impl Run {
    /// True if a folder is a run of this kind.
    pub fn is_one(path: &Path) -> bool {
        Folder::open(KIND, path).is_ok()
    }

    /// Opens a finished run and verifies it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::open_within(path, |_, _, _| Ok(Ledger::default()))?.0)
    }

    /// The same, after a plan was made of what there is, the settings, and the bytes of the tables.
    ///
    /// # Errors
    /// [`Error::File`], and those of the plan; no interaction or row is held then.
    pub fn open_within(
        path: &Path,
        plan: impl FnOnce(&Shape, &Settings, u64) -> Result<Ledger, Error>,
    ) -> Result<(Self, Ledger), Error> {
        let folder = Folder::open(KIND, path)?;
        let text = String::from_utf8_lossy(&folder.read("config.toml")?).into_owned();
        let graph = Snapshot::open(&path.join("graph"))?;
        let (settings, census) = (of_toml(&text)?, Census::of(&graph)?);
        let tables = path.join(TABLES);
        let bytes = std::fs::metadata(&tables).map_err(FileError::io("read", &tables))?.len();
        let plan = plan(&census.shape(), &settings, bytes)?;
        let problem = census.read(&graph, false)?;
        let tables = file::read_whole(&folder, TABLES)?.into_iter();
        let tables = tables.map(|(name, values, width)| (name, Matrix { values, width })).collect();
        let sizes = [problem.users.len(), problem.items.len()];
        let learned = Learned::of_tables(tables, sizes).ok_or_else(|| {
            FileError::corrupt(path, 0, "the tables do not fit the users and items")
        })?;
        let path = path.to_path_buf();
        Ok((Self { path, graph, settings, census, problem, learned }, plan))
    }

    /// Verifies every byte of the run and of its graph.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the first damaged place.
    pub fn check(&self) -> Result<(), Error> {
        Folder::open(KIND, &self.path)?.check()?;
        Ok(self.graph.folder().check()?)
    }

    /// The items that a user will want most and does not have, with scores, of all or of those that
    /// are marked; places in [`Problem::users`] and [`Problem::items`].
    pub fn recommend(
        &self,
        user: usize,
        k: usize,
        marked: Option<&[bool]>,
        machine: &gossamer_machine::Machine,
    ) -> Vec<(u32, f32)> {
        let n_items = self.problem.items.len();
        let seen = self.problem.seen(user, &Split::ALL);
        let mut scores = vec![0.0; n_items];
        self.learned.scores(machine, &[(user, seen.clone())], n_items, &mut scores);
        let is_marked = |item: &u32| marked.is_none_or(|marked| marked[*item as usize]);
        let candidates = (0..n_items as u32).filter(is_marked);
        let candidates = candidates.filter(|item| seen.binary_search(item).is_err());
        let found = top(&mut candidates.collect(), k, |item| scores[item as usize]);
        found.into_iter().map(|item| (item, scores[item as usize])).collect()
    }
}

/// The settings of a file.
fn of_toml(text: &str) -> Result<Settings, Error> {
    let wrong = |what: String| Error::Setting {
        key: "config.toml".into(),
        what,
        hint: "the run's settings were changed; train again".into(),
    };
    let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let model = table.get("model").and_then(toml::Value::as_str);
    let mut settings = Settings::of(model.ok_or_else(|| wrong("it names no model".into()))?)?;
    for (key, value) in table.iter().filter(|(key, _)| *key != "model") {
        settings.set(key, &value.to_string())?;
    }
    settings.check()?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back() {
        let settings = Settings { regularisation: 12.5, seed: 3, ..Settings::of("ease").unwrap() };
        assert_eq!(of_toml(&settings.to_toml()).unwrap(), settings);
        for wrong in ["", "model = 3", "model = \"ease\"\ndim = x", "model = \"ease\"\nsize = 3"] {
            assert!(of_toml(wrong).is_err(), "{wrong}");
        }
    }
}
