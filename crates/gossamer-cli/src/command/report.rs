//! `gossamer report`: the page of a run or of a graph.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::{EvaluateRequest, Evaluation, evaluate};
use gossamer::plan::{GraphShape, train_plan};
use gossamer::query::Answerer;
use gossamer::{Error, Machine, Run, Snapshot, Split};
use gossamer_graph::Room;
use gossamer_graph::inspect::inspect;
use serde_json::json;

use super::{Command, folder, option, path, text};
use crate::exit::Failure;
use crate::report::{self, FILE, RunPage, example};
use crate::terminal::Context;

/// `gossamer report`.
pub struct Report;

impl Command for Report {
    fn name(&self) -> &'static str {
        "report"
    }
    fn summary(&self) -> &'static str {
        "Write the page of a run (judged on test) or of a graph: one HTML file"
    }
    fn example(&self) -> &'static str {
        "gossamer report run/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("source", "A finished run, or a graph folder")).arg(
            option("output", "FILE", "The page [default: report.html in the folder]").short('o'),
        )
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let source = path(arguments, "source");
        let target = text(arguments, "output").map_or_else(|| source.join(FILE), PathBuf::from);
        if let Ok(graph) = Snapshot::open(&source) {
            let inspection = inspect(&graph, Room::default()).map_err(Error::from)?;
            write(&target, &report::graph_page(&source, &graph, &inspection)?)?;
        } else {
            let run = Run::open(&source)?;
            let judged = judge(&run, context)?;
            let judged = judged.as_ref().map(|(split, evaluation)| (*split, evaluation));
            write_run_page(run, judged, &target, context)?;
        }
        if context.json {
            context.print(&json!({ "page": target.display().to_string() }).to_string());
        } else {
            context.print(&target.display().to_string());
        }
        Ok(())
    }
}

/// Judges on test, or where there is none on valid.
fn judge(run: &Run, context: &Context) -> Result<Option<(&'static str, Evaluation)>, Failure> {
    for split in [Split::Test, Split::Valid] {
        if run.graph.n_triples(split).map_err(Error::from)? > 0 {
            let request = EvaluateRequest { split, ..EvaluateRequest::default() };
            let evaluation = evaluate(run, &request, &context.machine, context)?;
            return Ok(Some((split.name(), evaluation)));
        }
    }
    Ok(None)
}

/// Writes the page of a fresh run, judged on a sample of valid: test is not looked at unasked.
pub fn after_training(path: &Path, context: &Context) -> Result<(), Failure> {
    /// How well MRR must be known for a page nobody has asked for.
    const HALF_WIDTH: f64 = 0.01;
    let run = Run::open(path)?;
    let mut evaluation = None;
    if run.graph.n_triples(Split::Valid).map_err(Error::from)? > 0 {
        let (split, half_width) = (Split::Valid, Some(HALF_WIDTH));
        let request = EvaluateRequest { split, half_width, ..EvaluateRequest::default() };
        evaluation = Some(evaluate(&run, &request, &context.machine, context)?);
    }
    let judged = evaluation.as_ref().map(|evaluation| ("valid", evaluation));
    write_run_page(run, judged, &path.join(FILE), context)
}

/// Writes the page of a run.
pub fn write_run_page(
    run: Run,
    judged: Option<(&'static str, &Evaluation)>,
    target: &Path,
    context: &Context,
) -> Result<(), Failure> {
    let inspection = inspect(&run.graph, Room::default()).map_err(Error::from)?;
    let shape = GraphShape::of(&run.graph)?.with_queries(&run.graph, &run.config)?;
    let plan =
        train_plan(&run.config, &shape, &Machine::new(context.machine.workers.n_threads(), None))?;
    let answerer = Answerer::new(run, &context.machine)?;
    let examples = match judged {
        Some((_, evaluation)) => example::examples(&answerer, evaluation, &context.machine)?,
        None => Vec::new(),
    };
    let run = &answerer.run;
    let (inspection, plan) = (&inspection, &plan.ledger);
    let page = RunPage { run, inspection, judged, plan, examples: &examples }.html()?;
    write(target, &page)
}

fn write(target: &Path, page: &str) -> Result<(), Failure> {
    gossamer_machine::file::write_whole(target, page.as_bytes())
        .map_err(|error| Error::from(error).into())
}
