//! Models: tables and score function as one value, and the folder a run leaves.
//!
//! | file of a run | what |
//! |---|---|
//! | `manifest` | the files and their checksums |
//! | `config.toml` | the configuration, complete |
//! | `tables.safetensors` | tensors `entity` and `relation`, with some models `core`; f32, or `entity` in a row code; rows in the order of ids |
//! | `metrics.jsonl` | a line per epoch |
//! | `graph/` | the graph it was learned from: names, labels, known answers |
//! | `neighbourhoods.txt` | with near negatives: each entity's neighbourhood, a number per line |
//! | `checkpoint-N/` | only while training: what resuming needs |
//!
//! *Invariant:* a run folder is complete in itself; a model in memory has finite rows.

use std::path::{Path, PathBuf};

use gossamer_graph::{Side, Snapshot};
use gossamer_machine::folder::Folder;
use gossamer_machine::parallel::Workers;
use gossamer_machine::{Address, Buffer, FileError, Machine, Purpose};
use gossamer_tensor::kernel::similarity::{Columns, Span};
use gossamer_tensor::optim::on_sphere::to_unit;
use gossamer_tensor::row_code::RowCode;

use crate::config::Config;
use crate::error::Error;
use crate::score::{Folded, Initial, ScoreFunction};
use crate::table::Table;

pub mod conditions;
pub mod dropout;
pub mod file;

use conditions::Conditions;
use dropout::{Dropout, Left};

/// The kind of folder that a finished run is.
pub const RUN: &str = "run";

/// How the folders of its checkpoints begin while it is none yet.
pub const CHECKPOINT: &str = "checkpoint-";

/// A query: what is given, and the side that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asked {
    /// The side asked for.
    pub side: Side,
    /// The entity given.
    pub known: u32,
    /// The relation given.
    pub relation: u32,
}

/// Everything that scores a triple.
#[derive(Debug, Clone)]
pub struct Model {
    /// The score function.
    pub function: &'static dyn ScoreFunction,
    /// Its dim.
    pub dim: usize,
    /// True if each relation has a second row for predicting heads.
    pub reciprocal: bool,
    /// Relations of the graph; the relation table has twice as many rows if reciprocal.
    pub n_relations: usize,
    /// Entity rows, of floats or in a row code.
    pub entities: Table,
    /// Relation rows.
    pub relations: Table,
    /// What relation rows are multiplied with before a fold: a row for each float of theirs; empty
    /// where a relation's row is its own condition.
    pub core: Table,
}

impl std::fmt::Debug for dyn ScoreFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Model {
    /// A model with first values, before any training.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn initial(
        config: &Config,
        [n_entities, n_relations]: [usize; 2],
        workers: &Workers,
    ) -> Result<Self, Error> {
        let function = config.score_function()?;
        let widths = function.widths(config.dim);
        let relation = config.initial_values()?.1;
        let rows = if config.reciprocal { 2 * n_relations } else { n_relations };
        let width = function.condition_width(config.dim);
        let entity = first_values(config)?;
        let table = |n_rows, width, values, number| {
            let address = Address::new(config.seed, Purpose::Initial, number);
            Table::made(None, [n_rows, width], workers, &|id, row| fill(values, address, id, row))
        };
        Ok(Self {
            function,
            dim: config.dim,
            reciprocal: config.reciprocal,
            n_relations,
            entities: Table::made(
                config.row_code()?,
                [n_entities, widths.entity],
                workers,
                &entity,
            ),
            relations: table(rows, widths.relation, relation, 1 + ENTITIES),
            core: table(
                core_rows(function, config.dim),
                width,
                function.initial_core(),
                2 + ENTITIES,
            ),
        })
    }

    /// Its tables, by the names they have in files.
    pub fn tables(&self) -> Vec<(&'static str, &Table)> {
        let mut tables = vec![("entity", &self.entities), ("relation", &self.relations)];
        if self.core.n_rows() > 0 {
            tables.push(("core", &self.core));
        }
        tables
    }

    /// The side to fold towards and the relation row to fold with.
    pub fn condition(&self, asked: Asked) -> (Side, u32) {
        if self.reciprocal && asked.side == Side::Head {
            (Side::Tail, asked.relation + self.n_relations as u32)
        } else {
            (asked.side, asked.relation)
        }
    }

    /// Floats of a query.
    pub fn query_width(&self) -> usize {
        self.function.widths(self.dim).query
    }

    /// The floats in which queries and rows are compared. With reciprocal relations all questions
    /// are for tails.
    pub fn columns(&self) -> Columns {
        let (queries, rows) = (self.query_width().into(), self.entities.width().into());
        let answering = self.function.answering(self.dim);
        if !self.reciprocal || answering.len() == self.query_width() {
            return Columns { queries, rows };
        }
        let part = |all: Span| Span { first: answering.start, n: answering.len(), ..all };
        Columns { queries: part(queries), rows: part(rows) }
    }

    /// Folds queries into `out` (queries × width), on the caller's thread.
    pub fn fold(&self, machine: &Machine, asked: &[Asked], out: &mut [f32]) {
        let conditions = Conditions::here(self, machine, self.relation_rows(asked));
        self.fold_with(conditions.as_ref(), asked, out);
    }

    fn fold_with(&self, conditions: Option<&Conditions>, asked: &[Asked], out: &mut [f32]) {
        let (mut room, ahead) = (Rooms::default(), |place: usize| Some(asked.get(place)?.known));
        let rows = asked.iter().zip(out.chunks_exact_mut(self.query_width()));
        for (place, (asked, query)) in rows.enumerate() {
            self.entities.prefetch_after(place, ahead);
            let (side, known, condition) = self.rows(*asked, conditions, &mut room);
            self.function.fold(side, known, condition, query);
        }
    }

    /// The relation row of each query.
    pub fn relation_rows(&self, asked: &[Asked]) -> Vec<u32> {
        asked.iter().map(|asked| self.condition(*asked).1).collect()
    }

    /// Queries (queries × width), folded by all threads from what dropout leaves.
    pub fn folded(&self, machine: &Machine, asked: &[Asked], dropout: Option<Dropout>) -> Buffer {
        /// Queries of a task: enough to be worth a hand-over.
        const QUERIES: usize = 64;
        let width = self.query_width();
        let mut queries = machine.buffers.room(asked.len() * width);
        let tasks = asked.chunks(QUERIES).zip(queries.chunks_mut(QUERIES * width));
        let conditions = Conditions::of(self, machine, self.relation_rows(asked));
        let conditions = conditions.as_ref();
        let tasks = tasks.enumerate().collect();
        machine.workers.each(tasks, |(task, (asked, queries))| {
            let Some(dropout) = dropout else {
                return self.fold_with(conditions, asked, queries);
            };
            let rows = asked.iter().zip(queries.chunks_exact_mut(width));
            let mut room = Rooms::default();
            for (number, (asked, query)) in (task * QUERIES..).zip(rows) {
                let (side, known, condition) = self.rows(*asked, conditions, &mut room);
                let left = Left::of(dropout, number as u32, known, condition);
                self.function.fold(side, &left.known, &left.condition, query);
            }
        });
        queries
    }

    /// The side to fold towards, and what a query is folded from.
    fn rows<'a>(
        &'a self,
        asked: Asked,
        conditions: Option<&'a Conditions>,
        room: &'a mut Rooms,
    ) -> (Side, &'a [f32], &'a [f32]) {
        let (side, relation) = self.condition(asked);
        let Rooms { known, condition } = room;
        let condition = match conditions {
            Some(conditions) => conditions.row(relation),
            None => self.relations.row(relation, condition),
        };
        (side, self.entities.row(asked.known, known), condition)
    }

    /// Turns the gradient of one query into those of its known row and its condition (added);
    /// dropout comes with the query's number in its step.
    pub fn fold_backward(
        &self,
        asked: Asked,
        gradient: &[f32],
        conditions: Option<&Conditions>,
        dropout: Option<(Dropout, u32)>,
        room: &mut Rooms,
        [known_gradient, condition_gradient]: [&mut [f32]; 2],
    ) {
        let (side, known, condition) = self.rows(asked, conditions, room);
        let Some((dropout, number)) = dropout else {
            let rows = Folded { known, condition, gradient };
            return self.function.fold_backward(side, rows, known_gradient, condition_gradient);
        };
        let left = Left::of(dropout, number, known, condition);
        let (mut of_known, mut of_condition) = (vec![0.0; known.len()], vec![0.0; condition.len()]);
        let rows = Folded { known: &left.known, condition: &left.condition, gradient };
        self.function.fold_backward(side, rows, &mut of_known, &mut of_condition);
        left.add_back([&of_known, &of_condition], [known_gradient, condition_gradient]);
    }
}

/// Where encoded rows of a query are decoded.
#[derive(Debug, Default)]
pub struct Rooms {
    known: Vec<f32>,
    condition: Vec<f32>,
}

/// The number under which first values of entities are drawn.
const ENTITIES: u64 = 0;

/// The first values of an entity row, before any training.
///
/// # Errors
/// [`Error::Unknown`].
pub fn first_values(config: &Config) -> Result<impl Fn(u32, &mut [f32]) + Sync + use<>, Error> {
    let (values, unit) = (config.initial_values()?.0, config.score_function()?.unit_entities());
    let (mean, address) =
        (config.initial_mean, Address::new(config.seed, Purpose::Initial, ENTITIES));
    Ok(move |id: u32, row: &mut [f32]| {
        fill(values, address, id, row);
        if mean != 0.0 {
            row.iter_mut().for_each(|value| *value += mean);
        }
        if unit {
            to_unit(row);
        }
    })
}

/// Rows of a core: none where a relation's row is its own condition.
fn core_rows(function: &dyn ScoreFunction, dim: usize) -> usize {
    let width = function.widths(dim).relation;
    if function.condition_width(dim) == width { 0 } else { width }
}

fn fill(values: Initial, address: Address, id: u32, row: &mut [f32]) {
    match values {
        Initial::Normal(deviation) => {
            for (column, value) in row.iter_mut().enumerate() {
                *value = deviation * address.normal(id, column as u32);
            }
        }
        Initial::Uniform(bound) => {
            for (column, four) in row.chunks_mut(4).enumerate() {
                let random = address.symmetric(id, column as u32);
                four.iter_mut().zip(random).for_each(|(value, random)| *value = bound * random);
            }
        }
    }
}

/// True for the folder of a run that was stopped.
fn unfinished(path: &Path) -> bool {
    let mut entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    !path.join("manifest").is_file()
        && entries.any(|entry| entry.file_name().to_string_lossy().starts_with(CHECKPOINT))
}

/// A finished run, open for judging and asking.
#[derive(Debug)]
pub struct Run {
    /// Where it is.
    pub path: PathBuf,
    /// How it was made.
    pub config: Config,
    /// What it was learned from.
    pub graph: Snapshot,
    folder: Folder,
}

impl Run {
    /// Opens a run folder without loading its tables.
    ///
    /// # Errors
    /// [`Error`]; for a run that was not finished, with the command that resumes it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if unfinished(path) {
            return Err(FileError::Missing {
                path: path.to_path_buf(),
                what: "this run is not finished".into(),
                hint: format!("gossamer resume {}", path.display()),
            }
            .into());
        }
        let folder = Folder::open(RUN, path)?;
        let text = String::from_utf8_lossy(&folder.read("config.toml")?).into_owned();
        let (settings, _) = Config::read_toml(&text)?;
        let config = Config::from_settings(&settings, None)?;
        let graph = Snapshot::open(&path.join("graph"))?;
        Ok(Self { path: path.to_path_buf(), config, graph, folder })
    }

    /// The folder with its manifest.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Loads the model.
    ///
    /// # Errors
    /// [`Error::File`] when the tables are damaged or do not fit the graph.
    pub fn model(&self) -> Result<Model, Error> {
        self.model_with(true)
    }

    /// Loads the model, its entity rows into memory or not; where they are not, whoever reads them
    /// asks for their [`failure`](Table::failure).
    ///
    /// # Errors
    /// As [`model`](Self::model).
    pub fn model_with(&self, rows_in_memory: bool) -> Result<Model, Error> {
        let on_disk = (!rows_in_memory).then_some("entity");
        let mut tensors = file::read(&self.folder, "tables.safetensors", on_disk)?;
        let path = self.path.join("tables.safetensors");
        let rows = self.config.row_code()?.map(RowCode::name);
        let mut take = |name: &str, n_rows: usize, width: usize| {
            let code = rows.filter(|_| name == "entity");
            let fits = |table: &Table| {
                let found = table.code().map(RowCode::name);
                (table.n_rows(), table.width(), found) == (n_rows, width, code)
            };
            let table = tensors.remove(name).filter(fits);
            table.ok_or_else(|| {
                let kind = code.unwrap_or("f32");
                let what = format!("no tensor '{name}' of {n_rows} × {width}, {kind}");
                FileError::corrupt(&path, 0, what)
            })
        };
        let function = self.config.score_function()?;
        let widths = function.widths(self.config.dim);
        let n_relations = self.graph.relations().len();
        let rows = if self.config.reciprocal { 2 * n_relations } else { n_relations };
        let entities = take("entity", self.graph.entities().len(), widths.entity)?;
        let relations = take("relation", rows, widths.relation)?;
        let (n, width) =
            (core_rows(function, self.config.dim), function.condition_width(self.config.dim));
        let core = if n == 0 { Table::zeroed(0, width) } else { take("core", n, width)? };
        Ok(Model {
            function,
            dim: self.config.dim,
            reciprocal: self.config.reciprocal,
            n_relations,
            entities,
            relations,
            core,
        })
    }

    /// Verifies every byte of the run and of its graph.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the first damaged place.
    pub fn check(&self) -> Result<(), Error> {
        self.folder.check()?;
        Ok(self.graph.folder().check()?)
    }
}
