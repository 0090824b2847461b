//! Training: from a graph and a configuration to a run folder, and on from a checkpoint.
//!
//! *Invariant:* no branch on the kind of model; only `session` knows epochs. A run that was
//! killed and resumed ends with the bytes of one that was not; any number of threads gives the same
//! bytes (on one instruction set).
//! *Not here:* steps (`form`), the loop (`session`), what resuming needs (`checkpoint`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gossamer_graph::{Snapshot, Split};
use gossamer_machine::file::write_whole;
use gossamer_machine::folder::{Draft, remove_folder, set_aside, share};
use gossamer_machine::{FileError, Machine, Observer};
use gossamer_tensor::optim;

use crate::config::{Config, NO_LAYER};
use crate::error::Error;
use crate::form::encoder::Encoder;
use crate::form::neighbourhoods::Neighbourhoods;
use crate::form::step::Learner;
use crate::model::{Model, first_values};
use crate::paging::Pages;
use crate::plan::{GraphShape, train_plan};
use crate::sample::{self, Source};

pub mod checkpoint;
pub mod vectors;
pub mod watch;
pub mod stretch;
pub mod session;
mod epoch;
pub mod pace;

use checkpoint::Standing;
use session::{NEIGHBOURHOODS, Session};
use vectors::Placed;

/// What to train, and where to keep it.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// The configuration, checked.
    pub config: Config,
    /// The run folder.
    pub out: PathBuf,
    /// Replace what is there.
    pub replace: bool,
    /// Time between checkpoints; zero: after every step.
    pub save_every: Duration,
    /// Rows to start from instead of random ones.
    pub vectors: Vec<vectors::Vectors>,
    /// Vectors of entities, around which the sampler `near` finds negatives.
    pub neighbours: Option<vectors::Vectors>,
}

impl Default for TrainRequest {
    /// The first score function into the folder `run`, a checkpoint every five minutes.
    fn default() -> Self {
        Self {
            config: Config::default(),
            out: PathBuf::from("run"),
            replace: false,
            save_every: Duration::from_secs(300),
            vectors: Vec::new(),
            neighbours: None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Epochs done.
    pub epochs: u64,
    /// The best validation MRR, where there is a validation split.
    pub best_mrr: Option<f64>,
    /// The epoch whose tables are kept.
    pub best_epoch: u64,
    /// Seconds of training, earlier processes included.
    pub seconds: f64,
}

/// Learns a graph and leaves a run folder.
///
/// # Errors
/// [`Error`]. After [`Error::Stopped`], and after any failure of the system, the last checkpoint
/// is whole and [`resume`] goes on from it.
pub fn train(
    graph: &Snapshot,
    request: &TrainRequest,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    let config = &request.config;
    config.check()?;
    let shape = GraphShape::of(graph)?.with_queries(graph, config)?;
    if shape.n_triples[0] == 0 {
        return Err(Error::Request {
            what: "the graph has no training triples".into(),
            hint: "import one with a train file".into(),
        });
    }
    let plan = train_plan(config, &shape, machine)?;
    if config.partitions > 1 && request.vectors.iter().any(|vectors| !vectors.relations) {
        return Err(Error::Request {
            what: "rows to start from cannot be put into partitions".into(),
            hint: "leave out --init or --partitions".into(),
        });
    }
    machine.buffers.begin();
    let neighbourhoods = find_neighbourhoods(graph, request, machine)?;
    begin_folder(graph, &request.out, request.replace)?;
    let begun = begin(graph, request, neighbourhoods, machine, observer);
    let (learner, standing) = begun.inspect_err(|_| {
        // Without a checkpoint there is nothing to go on from.
        let _ = remove_folder(&request.out);
    })?;
    let session = Session::new(graph, config, &plan, request, machine, observer)?;
    session.go_on(learner, standing, None)
}

/// What is learned, with first values, and its first checkpoint.
fn begin(
    graph: &Snapshot,
    request: &TrainRequest,
    neighbourhoods: Option<Neighbourhoods>,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<(Learner, Standing), Error> {
    let config = &request.config;
    if let Some(found) = neighbourhoods {
        write_whole(&request.out.join(NEIGHBOURHOODS), found.to_text().as_bytes())?;
    }
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let optimiser = optim::find(&config.optimiser)?;
    let paged = config.partitions > 1;
    let here = if paged { 0 } else { n_entities };
    let mut model = Model::initial(config, [here, n_relations], &machine.workers)?;
    for vectors in &request.vectors {
        vectors.put(graph, &mut model)?;
    }
    let mut learner = Learner::new(model, optimiser);
    if paged {
        let tables = [&mut learner.model.entities, &mut learner.entity_state];
        let (cut, fill) = (Pages::cut(config, n_entities), first_values(config)?);
        let with = (&machine.workers, observer);
        let pages = Pages::begin(&request.out, tables, (cut, n_entities), &fill, with)?;
        learner.pages = Some(pages);
    }
    learner.encoder = encoder(graph, config, &learner.model, machine)?;
    let standing = Standing { best_mrr: -1.0, ..Standing::default() };
    checkpoint::save(&request.out, config, &mut learner, &standing, None)?;
    Ok((learner, standing))
}

/// Goes on with a run from its last checkpoint.
///
/// # Errors
/// [`Error`]; see [`train`].
pub fn resume(
    run: &Path,
    save_every: Duration,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    if run.join("manifest").is_file() {
        checkpoint::remove_all(run)?;
        return Err(Error::Request {
            what: format!("{}: this run is finished", run.display()),
            hint: format!("gossamer evaluate {}", run.display()),
        });
    }
    let Some(path) = checkpoint::latest(run) else {
        return Err(Error::Request {
            what: format!("{}: there is nothing to resume here", run.display()),
            hint: "name a run folder that training was stopped in".into(),
        });
    };
    let graph = Snapshot::open(&run.join("graph"))?;
    let (n_entities, n_relations) = (graph.entities().len(), graph.relations().len());
    let resumed = checkpoint::load(run, &path, [n_entities, n_relations])?;
    let config = resumed.config;
    let plan =
        train_plan(&config, &GraphShape::of(&graph)?.with_queries(&graph, &config)?, machine)?;
    let request = TrainRequest {
        config: config.clone(),
        out: run.to_path_buf(),
        replace: false,
        save_every,
        vectors: Vec::new(),
        neighbours: None,
    };
    observer.log(&format!(
        "resuming in epoch {} at step {}",
        resumed.standing.epoch + 1,
        resumed.standing.step
    ));
    let mut learner = resumed.learner;
    learner.encoder = encoder(&graph, &config, &learner.model, machine)?;
    if let Some(encoder) = &mut learner.encoder {
        let mut tables = resumed.tables;
        if !encoder.restore(&mut |name| tables.remove(name), machine) {
            return Err(FileError::corrupt(&path, 0, "no network of this shape").into());
        }
    }
    let session = Session::new(&graph, &config, &plan, &request, machine, observer)?;
    session.go_on(learner, resumed.standing, resumed.best)
}

/// The network that makes a model's rows, where one does: it sees the training triples alone.
fn encoder(
    graph: &Snapshot,
    config: &Config,
    model: &Model,
    machine: &Machine,
) -> Result<Option<Encoder>, Error> {
    if config.layer == NO_LAYER {
        return Ok(None);
    }
    let triples: Vec<[u32; 3]> = graph.triples(Split::Train)?.iter().collect();
    Encoder::new(config, model, &triples, optim::find(&config.optimiser)?, machine)
}

/// The neighbourhoods that the sampler draws from, where it does.
fn find_neighbourhoods(
    graph: &Snapshot,
    request: &TrainRequest,
    machine: &Machine,
) -> Result<Option<Neighbourhoods>, Error> {
    let sampler = sample::find(&request.config.negative_sampler)?;
    match (sampler.source() == Source::Neighbourhood, &request.neighbours) {
        (false, None) => Ok(None),
        (true, Some(vectors)) => {
            let Placed { rows, width, place_of } = vectors.of_entities(graph, machine)?;
            Ok(Some(Neighbourhoods::find(rows, width, &place_of, machine)))
        }
        (true, None) => Err(Error::Request {
            what: format!("{} negatives need vectors of the entities", sampler.name()),
            hint: "--neighbours FILE.npy, with names in FILE.txt".into(),
        }),
        (false, Some(_)) => Err(Error::Request {
            what: format!("{} negatives use no vectors", sampler.name()),
            hint: "--negative-sampler near uses those of --neighbours".into(),
        }),
    }
}

/// Makes the run folder and shares the graph's files with it.
pub(crate) fn begin_folder(graph: &Snapshot, out: &Path, replace: bool) -> Result<(), Error> {
    let empty = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.exists() && !empty {
        if !replace {
            return Err(FileError::Exists { path: out.to_path_buf() }.into());
        }
        // Set aside first: a kill must not leave half of a finished run under its name.
        if let Some(old) = set_aside(out)? {
            remove_folder(&old)?;
        }
    }
    share_graph(graph, &out.join("graph")).inspect_err(|_| {
        let _ = remove_folder(out);
    })
}

/// A graph folder with the files of another.
fn share_graph(graph: &Snapshot, target: &Path) -> Result<(), Error> {
    let draft = Draft::create(gossamer_graph::snapshot::KIND, target, false)?;
    for name in graph.files() {
        share(&graph.folder().path().join(&name), &draft.path(&name))?;
    }
    draft.finish(&graph.folder().notes)?;
    Ok(())
}
