//! `gossamer check`: verify every byte of a graph, of a run or of the runs of several seeds.

use std::path::Path;

use clap::{ArgMatches, Command as Clap};
use gossamer::{Error, Run, Snapshot, recommend};
use gossamer_graph::Room;
use gossamer_graph::inspect::inspect;
use gossamer_machine::folder::Folder;

use super::compare::runs_in;
use super::{Command, classes, folder, path};
use crate::exit::Failure;
use crate::terminal::Context;

/// `gossamer check`.
pub struct Check;

impl Command for Check {
    fn name(&self) -> &'static str {
        "check"
    }
    fn summary(&self) -> &'static str {
        "Verify every byte of a graph or run folder against its checksums"
    }
    fn example(&self) -> &'static str {
        "gossamer check run/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("path", "A graph or run folder, or one of several seeds"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        for path in runs_in(&path(arguments, "path"))? {
            let kind = check(&path)?;
            if context.json {
                context.print(&serde_json::json!({"path": path.display().to_string(), "kind": kind, "whole": true}).to_string());
            } else {
                context.print(&format!("{}: this {kind} is whole", path.display()));
            }
        }
        Ok(())
    }
}

/// Reads all of a folder; returns what it is.
fn check(path: &Path) -> Result<&'static str, Failure> {
    if path.join("classes.tsv").is_file() {
        let folder = Folder::open(classes::KIND, path).map_err(Error::from)?;
        folder.check().map_err(Error::from)?;
        return Ok(classes::KIND);
    }
    if recommend::run::Run::is_one(path) {
        recommend::run::Run::open(path)?.check()?;
        return Ok(recommend::run::KIND);
    }
    if path.join("graph").is_dir() {
        let run = Run::open(path)?;
        run.check()?;
        run.model()?;
        return Ok("run");
    }
    let graph = Snapshot::open(path).map_err(Error::from)?;
    graph.folder().check().map_err(Error::from)?;
    inspect(&graph, Room::default()).map_err(Error::from)?;
    Ok("graph")
}
