//! `gossamer synth`: a made-up graph whose best possible score is known.

use std::io::Write;

use clap::{ArgMatches, Command as Clap};
use gossamer::plan::import_plan;
use gossamer::{Error, ImportRequest, Observer, Progress, Snapshot};
use gossamer_graph::made_up::import_synth;
use gossamer_graph::split::Shares;
use gossamer_graph::synth::Synth as Planted;
use gossamer_machine::file::Whole;

use super::inspect::{inspection_json, inspection_text};
use super::{Command, flag, number, option, path, text};
use crate::exit::Failure;
use crate::terminal::Context;

/// `gossamer synth`.
pub struct Synth;

impl Command for Synth {
    fn name(&self) -> &'static str {
        "synth"
    }
    fn summary(&self) -> &'static str {
        "Make up a power-law graph from a planted low-rank model, its best possible MRR known"
    }
    fn example(&self) -> &'static str {
        "gossamer synth --entities 2000 --relations 20 --triples 20000 -o made-up/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(option("entities", "N", "Entities").required(true))
            .arg(option("relations", "N", "Relations").required(true))
            .arg(option("triples", "N", "Triples to draw; some repeat").required(true))
            .arg(option(
                "noise",
                "PART",
                "Part of tails drawn from all entities alike [default: 0.1]",
            ))
            .arg(option("classes", "N", "Give entities classes, and features that half tell them"))
            .arg(option("types", "N", "Let each relation lead from one of N types of entities"))
            .arg(option("seed", "N", "Seed [default: 0]"))
            .arg(option("output", "FOLDER", "The graph folder to write").short('o'))
            .arg(option("split", "PARTS", "Split of the folder [default: 90/5/5]"))
            .arg(option("ntriples", "FILE", "Write N-Triples instead; - for standard output"))
            .arg(flag("force", "Replace the graph folder if it is there"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let planted = Planted {
            n_entities: number(arguments, "entities")?.unwrap_or(0),
            n_relations: number(arguments, "relations")?.unwrap_or(0),
            n_triples: number(arguments, "triples")?.unwrap_or(0),
            noise: number(arguments, "noise")?.unwrap_or(0.1),
            n_classes: number(arguments, "classes")?.unwrap_or(0),
            n_types: number(arguments, "types")?.unwrap_or(0),
            seed: number(arguments, "seed")?.unwrap_or(0),
        };
        planted.check().map_err(Error::from)?;
        match (text(arguments, "ntriples"), text(arguments, "output")) {
            (Some(file), None) => write_ntriples(&planted, file, context),
            (None, Some(_)) => write_folder(&planted, arguments, context),
            _ => Err(Failure::input("give either -o FOLDER or --ntriples FILE", "see --help")),
        }
    }
}

fn write_folder(
    planted: &Planted,
    arguments: &ArgMatches,
    context: &Context,
) -> Result<(), Failure> {
    let target = path(arguments, "output");
    let shares = Shares::parse(text(arguments, "split").unwrap_or("90/5/5"));
    let request = ImportRequest {
        split: Some(shares.map_err(Error::from)?),
        seed: planted.seed,
        replace: arguments.get_flag("force"),
        room: import_plan(&context.machine)?.1,
        ..ImportRequest::default()
    };
    let (report, best) = import_synth(planted, &request, &target, context).map_err(Error::from)?;
    let graph = Snapshot::open(&target).map_err(Error::from)?;
    if context.json {
        let mut value = inspection_json(&graph, &report.inspection)?;
        value["best_mean_reciprocal_rank"] = best.mrr.into();
        value["best_half_width_95"] = best.half_width.into();
        value["duplicates"] = report.leftovers.duplicates.into();
        context.print(&value.to_string());
    } else {
        let text = inspection_text(&graph, &report.inspection)?;
        let (mrr, half_width, n) = (best.mrr, best.half_width, best.n_sampled);
        context.print(&format!(
            "{text}best possible MRR {mrr:.4} ± {half_width:.4} (95 %, over {n} triples)"
        ));
    }
    Ok(())
}

/// Streams the triples; memory does not grow with their number.
fn write_ntriples(planted: &Planted, file: &str, context: &Context) -> Result<(), Failure> {
    if file == "-" {
        let mut out = std::io::BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
        return write_triples(planted, &mut out, file, context);
    }
    let mut out = Whole::create(std::path::Path::new(file)).map_err(Error::from)?;
    write_triples(planted, &mut out, file, context)?;
    Ok(out.finish().map_err(Error::from)?)
}

fn write_triples(
    planted: &Planted,
    out: &mut dyn Write,
    file: &str,
    context: &Context,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::system(format!("{file}: {error}"));
    for index in 0..planted.n_triples {
        let [head, relation, tail] = planted.triple(index);
        let (head, tail) = (planted.entity_name(head), planted.entity_name(tail));
        let relation = planted.relation_name(relation);
        let root = "http://example.org";
        writeln!(out, "<{root}/{head}> <{root}/{relation}> <{root}/{tail}> .").map_err(failed)?;
        if index % (1 << 16) == 0 {
            let (stage, total) = ("writing", planted.n_triples);
            context.progress(&Progress { stage, done: index, total, unit: "triples", detail: "" });
            if context.cancelled() {
                return Err(Error::Stopped.into());
            }
        }
    }
    out.flush().map_err(failed)
}
