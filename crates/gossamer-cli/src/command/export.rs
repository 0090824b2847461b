//! `gossamer export`: take vectors or facts out.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command as Clap};
use gossamer::export::{self, write_file};
use gossamer::plan::{Plan, facts_plan};
use gossamer::{Error, Run, Snapshot, Split};
use gossamer_graph::write::{self, Writer};
use gossamer_machine::FileError;
use gossamer_machine::registry::Unknown;
use serde_json::json;

use super::{Command, flag, folder, option, output, path, text};
use crate::exit::Failure;
use crate::output::ledger_json;
use crate::terminal::{Context, peak_bytes};

/// `gossamer export`.
pub struct Export;

impl Command for Export {
    fn name(&self) -> &'static str {
        "export"
    }
    fn summary(&self) -> &'static str {
        "Take the vectors of a run, or the facts of a run or graph, to other tools"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format numpy -o vectors/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("source", "A finished run, or a graph folder"))
            .arg(
                option("format", "NAME", "A vector format or an output format of gossamer ls")
                    .required(true),
            )
            .arg(output("The folder to write"))
            .arg(flag("force", "Write into a folder that is there"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let (source, target) = (path(arguments, "source"), path(arguments, "output"));
        if target.exists() && !arguments.get_flag("force") {
            return Err(Error::from(FileError::Exists { path: target }).into());
        }
        let format = text(arguments, "format").unwrap_or_default();
        // Of a graph only facts can be had; of a run facts, where no vectors go by the format.
        let is_graph = Snapshot::open(&source).is_ok();
        let (files, plan) = match (export::find(format), write::find(format)) {
            (vectors, Ok(format)) if is_graph || vectors.is_err() => {
                write_facts(&source, format, &target, context)?
            }
            (Ok(format), _) => {
                export::export(&Run::open(&source)?, format, &target, &context.machine)?
            }
            (Err(vectors), _) => {
                let facts = write::ALL.iter().map(|format| format.name());
                let known = vectors.known.into_iter().chain(facts).collect();
                return Err(Error::from(Unknown { kind: "format", known, ..vectors }).into());
            }
        };
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        if context.json {
            let plan = ledger_json(&plan.ledger);
            let value = json!({"files": names, "plan": plan, "peak_bytes": peak_bytes()});
            context.print(&value.to_string());
        } else {
            context.print(&(names.join("\n") + "\n"));
        }
        Ok(())
    }
}

/// A file for each split that has facts; attributes go with train.
fn write_facts(
    source: &Path,
    format: &dyn Writer,
    target: &Path,
    context: &Context,
) -> Result<(Vec<PathBuf>, Plan), Failure> {
    let graph = match Snapshot::open(source) {
        Ok(graph) => graph,
        // A run holds its graph.
        Err(error) => match Run::open(source) {
            Ok(run) => run.graph,
            Err(_) => return Err(Error::from(error).into()),
        },
    };
    let plan = facts_plan(&graph, &context.machine)?;
    std::fs::create_dir_all(target)
        .map_err(|error| Error::from(FileError::io("create", target)(error)))?;
    let mut files = Vec::new();
    for split in Split::ALL {
        if graph.n_triples(split).map_err(Error::from)? == 0 {
            continue;
        }
        let path = target.join(format!("{}.{}", split.name(), format.ending()));
        write_file(&path, |out| {
            let attributes = split == Split::Train;
            write::write(&graph, split, attributes, format, (out, &path), context)?;
            Ok(())
        })?;
        files.push(path);
    }
    Ok((files, plan))
}
