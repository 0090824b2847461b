//! `gossamer import`: sources become a graph folder.

use clap::{Arg, ArgMatches, Command as Clap};
use gossamer::{ImportReport, ImportRequest, Snapshot};
use gossamer_graph::split::Shares;
use serde_json::{Value, json};

use super::inspect::{inspection_json, inspection_text};
use super::{Command, flag, number, option, output, path, text};
use crate::exit::Failure;
use crate::output::count;
use crate::terminal::Context;

/// `gossamer import`.
pub struct Import;

impl Command for Import {
    fn name(&self) -> &'static str {
        "import"
    }
    fn summary(&self) -> &'static str {
        "Read triples into a graph folder and report what is in them"
    }
    fn example(&self) -> &'static str {
        "gossamer import facts.tsv --split 90/5/5 -o graph/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(Arg::new("sources").required(true).num_args(1..).value_name("SOURCE").help(
            "Files (TSV, CSV, also .gz and .zst), folders with train.txt, or - for standard input",
        ))
        .arg(output("The graph folder to write"))
        .arg(option("columns", "NAMES", "Order of columns, such as tail,-,relation,head,weight"))
        .arg(
            option("labels", "FILE", "Labels: name, tab, label [, tab, language]; may be repeated")
                .action(clap::ArgAction::Append),
        )
        .arg(option(
            "split",
            "PARTS",
            "Split all triples anew, such as 90/5/5; mirrored pairs stay together",
        ))
        .arg(option("seed", "N", "Seed of the split [default: 0]"))
        .arg(flag("skip-bad-rows", "Import the other rows of a source with mistakes"))
        .arg(flag("force", "Replace the graph folder if it is there"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let many = |name: &str| {
            let values = arguments.get_many::<String>(name).into_iter().flatten();
            values.map(Into::into).collect::<Vec<std::path::PathBuf>>()
        };
        let split = text(arguments, "split").map(Shares::parse).transpose();
        let request = ImportRequest {
            sources: many("sources"),
            columns: text(arguments, "columns").map(String::from),
            labels: many("labels"),
            skip_bad_rows: arguments.get_flag("skip-bad-rows"),
            split: split.map_err(gossamer::Error::from)?,
            seed: number(arguments, "seed")?.unwrap_or(0),
            replace: arguments.get_flag("force"),
        };
        let target = path(arguments, "output");
        let report = gossamer::import(&request, &target, context).map_err(gossamer::Error::from)?;
        let graph = Snapshot::open(&target).map_err(gossamer::Error::from)?;
        if context.json {
            let mut value = inspection_json(&graph, &report.inspection)?;
            value["sources"] = sources_json(&report);
            value["duplicates"] = report.duplicates.into();
            value["labels_without_owner"] = report.labels_without_owner.into();
            context.print(&value.to_string());
        } else {
            context.print(&(sources_text(&report) + &inspection_text(&graph, &report.inspection)?));
        }
        context.say(&format!("next: gossamer train {} -o run/", target.display()));
        Ok(())
    }
}

/// What was read, for people.
pub fn sources_text(report: &ImportReport) -> String {
    let mut text = String::new();
    for (name, source) in &report.sources {
        text += &format!("{name}: {} rows", count(source.rows as usize));
        for (n, what) in [
            (source.mistakes, "not understood and skipped"),
            (source.carriage_returns, "ending with a carriage return (CRLF)"),
            (source.blank, "blank"),
        ] {
            if n > 0 {
                text += &format!(", {} {what}", count(n as usize));
            }
        }
        text.push('\n');
        for mistake in &source.shown {
            text += &format!("  {mistake}\n").replace("\nhint", "\n  hint");
        }
    }
    if report.duplicates > 0 {
        text += &format!("! {} rows repeat an earlier one\n", count(report.duplicates as usize));
    }
    if report.labels_without_owner > 0 {
        let n = count(report.labels_without_owner as usize);
        text += &format!("! {n} labels belong to no entity or relation\n");
    }
    text
}

fn sources_json(report: &ImportReport) -> Value {
    let source = |(name, source): &(String, gossamer_graph::read::ReadReport)| {
        json!({
            "source": name,
            "rows": source.rows,
            "carriage_returns": source.carriage_returns,
            "blank": source.blank,
            "mistakes": source.mistakes,
        })
    };
    report.sources.iter().map(source).collect()
}
