//! `gossamer check`: verify every byte of a graph or a run.

use clap::{ArgMatches, Command as Clap};
use gossamer::{Error, Run, Snapshot};
use gossamer_machine::folder::Folder;

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
        clap.arg(folder("path", "A graph or run folder"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let path = path(arguments, "path");
        let kind = match () {
            () if path.join("classes.tsv").is_file() => classes::KIND,
            () if path.join("graph").is_dir() => "run",
            () => "graph",
        };
        if kind == classes::KIND {
            let folder = Folder::open(kind, &path).map_err(Error::from)?;
            folder.check().map_err(Error::from)?;
        } else if kind == "run" {
            let run = Run::open(&path)?;
            run.check()?;
            run.model()?;
        } else {
            let graph = Snapshot::open(&path).map_err(Error::from)?;
            graph.folder().check().map_err(Error::from)?;
            gossamer_graph::inspect::inspect(&graph, gossamer_graph::Room::default())
                .map_err(Error::from)?;
        }
        if context.json {
            context.print(&serde_json::json!({"path": path.display().to_string(), "kind": kind, "whole": true}).to_string());
        } else {
            context.print(&format!("{}: this {kind} is whole", path.display()));
        }
        Ok(())
    }
}
