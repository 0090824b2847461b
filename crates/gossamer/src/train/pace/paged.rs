//! The pace of a run with partitions, of which no bucket is written yet.
//!
//! Steps are taken over as many rows as are learned from at a time, and some triples whose ends are
//! folded onto them: the same work on memory of the same size. What is moved between memory and
//! disk is timed with one partition, or a part of it, and multiplied. Where there is memory for one
//! partition more, moving goes on beside the steps, and the longer of both counts.

use std::path::Path;

use gossamer_graph::{Snapshot, Split, Triples};
use gossamer_machine::{FileError, Machine, Observer};
use gossamer_tensor::optim;

use super::Pace;
use crate::config::Config;
use crate::error::Error;
use crate::form::step::Learner;
use crate::model::Model;
use crate::paging::{Pages, order::Order};
use crate::plan::{GraphShape, Plan, rows_held};
use crate::table::PANEL_ROWS;
use crate::train::TrainRequest;
use crate::train::session::{Facts, Session};

/// Training triples that steps are taken over.
const SOME: usize = 1 << 20;
/// Stretches of the sorted triples that these come from.
const WINDOWS: usize = 64;
/// Bytes that are moved to see how fast that goes.
const MOVED_BYTES: u64 = 64 << 20;

pub fn pace(
    graph: &Snapshot,
    shape: &GraphShape,
    (config, plan): (&Config, &Plan),
    scratch: &Path,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Pace, Error> {
    let n_rows = rows_held(config.in_memory, config, shape);
    let id = |id: u32| (u64::from(id) % n_rows) as u32;
    let some = |split| -> Result<Triples, FileError> {
        let mut folded = Vec::new();
        let mut fold = |triples: &Triples| {
            folded.extend(
                triples.iter().map(|[head, relation, tail]| [id(head), relation, id(tail)]),
            );
        };
        match graph.stored(split)? {
            None => fold(&graph.triples(split)?),
            Some(stored) => {
                let (n, window) = (stored.len(), SOME / WINDOWS);
                let places = (0..WINDOWS).map(|k| n * k / WINDOWS..n * (k + 1) / WINDOWS);
                places.for_each(|all| {
                    fold(&stored.window(all.start..all.end.min(all.start + window)));
                });
                stored.failure()?;
            }
        }
        Ok(Triples::from_rows(folded))
    };
    let sizes = [n_rows as usize, graph.relations().len()];
    let facts = Facts { sizes, train: some(Split::Train)?, valid: some(Split::Valid)? };
    let resident = Config { partitions: 1, decoded: false, ..config.clone() };
    let n_folded = facts.train.len().max(1) as f64;
    let request = TrainRequest::default();
    let session = Session::over(facts, &resident, plan, &request, machine, observer)?;
    let model = Model::initial(&resident, sizes, &machine.workers)?;
    let mut learner = Learner::new(model, optim::find(&config.optimiser)?);
    if config.decoded {
        let panels: Vec<u32> = (0..learner.model.entities.n_panels() as u32).collect();
        learner.model.entities.open(&panels, &machine.workers);
    }
    let Pace { epoch, validation } = session.pace(&mut learner)?;
    let steps = epoch * shape.n_triples[0] as f64 / n_folded;
    let validation = validation * shape.n_entities as f64 / n_rows as f64;
    if plan.partitions_held >= config.partitions {
        return Ok(Pace { epoch: steps, validation });
    }
    let begun = observer.now();
    let panels = rows_held(1, config, shape).div_ceil(PANEL_ROWS as u64);
    let tables = [&mut learner.model.entities, &mut learner.entity_state];
    let part = Pages::there_and_back(tables, scratch, (panels, MOVED_BYTES), &machine.workers)?;
    let seconds = observer.now().saturating_sub(begun).as_secs_f64();
    let turns = Order::new(config.partitions, config.in_memory).len();
    let moving = seconds / part * turns as f64;
    let beside = plan.partitions_held > config.in_memory;
    let epoch = if beside { steps.max(moving) } else { steps + moving };
    // A validation reads all of them once.
    let validation = validation + seconds / part * config.partitions as f64 / 2.0;
    Ok(Pace { epoch, validation })
}
