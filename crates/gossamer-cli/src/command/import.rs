//! `gossamer import`: sources become a graph folder.

use std::path::Path;

use clap::{Arg, ArgMatches, Command as Clap};
use gossamer::plan::import_plan;
use gossamer::{Error, ImportReport, ImportRequest, Snapshot};
use gossamer_graph::build::Leftovers;
use gossamer_graph::import::SourceReport;
use gossamer_graph::split::Shares;
use gossamer_graph::split_users::Way;
use gossamer_machine::folder::remove_folder;
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
        clap.arg(Arg::new("sources").required_unless_present("interactions").num_args(1..).value_name("SOURCE").help(
            "Files (any format of gossamer ls, also .gz and .zst), folders, or - for standard input",
        ))
        .arg(option("format", "NAME", "The format of all sources [default: from their content]"))
        .arg(option("base", "IRI", "Read relative IRIs of RDF against this one"))
        .arg(output("The graph folder to write"))
        .arg(option("columns", "NAMES", "Order of columns, such as tail,-,relation,head,weight"))
        .arg(option("map", "ROLES", "Columns by header or number: head=from,relation=:knows,tail=2"))
        .arg(
            option("labels", "FILE", "Labels: name, tab, label [, tab, language]; may be repeated")
                .action(clap::ArgAction::Append),
        )
        .arg(
            option(
                "interactions",
                "FILE",
                "A table of users and items; --map user=customer,item=product,time=3 is of it; may be repeated",
            )
            .action(clap::ArgAction::Append),
        )
        .arg(option(
            "split",
            "PARTS",
            "Split all triples anew, such as 90/5/5, mirrored pairs together; or only interactions: \
             per-user:80/10/10, leave-last or by-time:80/10/10",
        ))
        .arg(option("seed", "N", "Seed of the split [default: 0]"))
        .arg(flag("skip-bad-rows", "Import the other rows of a source with mistakes"))
        .arg(
            option("types", "FILE", "Types of entities: name, tab, type; may be repeated")
                .action(clap::ArgAction::Append),
        )
        .arg(flag("dry-run", "Report what would be imported, and write nothing"))
        .arg(flag("force", "Replace the graph folder if it is there"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let many = |name: &str| {
            let values = arguments.get_many::<String>(name).into_iter().flatten();
            values.map(Into::into).collect::<Vec<std::path::PathBuf>>()
        };
        let way = text(arguments, "split").map(Way::parse).transpose();
        let split_users = way.map_err(Error::from)?.flatten();
        let split = text(arguments, "split").filter(|_| split_users.is_none());
        let split = split.map(Shares::parse).transpose();
        let request = ImportRequest {
            sources: many("sources"),
            columns: text(arguments, "columns").map(String::from),
            map: text(arguments, "map").map(String::from),
            format: text(arguments, "format").map(String::from),
            base: text(arguments, "base").map(String::from),
            labels: many("labels"),
            types: many("types"),
            skip_bad_rows: arguments.get_flag("skip-bad-rows"),
            interactions: many("interactions"),
            split: split.map_err(Error::from)?,
            split_users,
            seed: number(arguments, "seed")?.unwrap_or(0),
            replace: arguments.get_flag("force"),
            room: import_plan(&context.machine)?.1,
        };
        let target = path(arguments, "output");
        if arguments.get_flag("dry-run") {
            return dry_run(request, &target, context);
        }
        show(&request, &target, context)?;
        context.say(&format!("next: gossamer train {} -o run/", target.display()));
        Ok(())
    }
}

/// Imports beside the target, reports, and takes it away again.
fn dry_run(request: ImportRequest, target: &Path, context: &Context) -> Result<(), Failure> {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = target.with_file_name(format!(".{name}.dry-run"));
    let request = ImportRequest { replace: true, ..request };
    let shown = show(&request, &beside, context);
    remove_folder(&beside).map_err(Error::from)?;
    shown?;
    context.say("nothing was written");
    Ok(())
}

/// Imports and says what was found.
fn show(request: &ImportRequest, target: &Path, context: &Context) -> Result<(), Failure> {
    let report = gossamer::import(request, target, context).map_err(Error::from)?;
    let graph = Snapshot::open(target).map_err(Error::from)?;
    if context.json {
        let mut value = inspection_json(&graph, &report.inspection)?;
        value["sources"] = sources_json(&report);
        let Leftovers { duplicates, labels, attributes, schema } = report.leftovers;
        value["duplicates"] = duplicates.into();
        value["items_without_facts"] = report.dangling.clone().into();
        value["labels_without_owner"] = labels.into();
        value["attributes_without_owner"] = attributes.into();
        value["schema_without_owner"] = schema.into();
        value["peak_bytes"] = crate::terminal::peak_bytes().into();
        context.print(&value.to_string());
    } else {
        context.print(&(sources_text(&report) + &inspection_text(&graph, &report.inspection)?));
    }
    Ok(())
}

/// What was read, for people.
pub fn sources_text(report: &ImportReport) -> String {
    let mut text = String::new();
    for SourceReport { path, format, read } in &report.sources {
        text += &format!("{path} ({format}): {} rows", count(read.rows as usize));
        for (n, what) in [
            (read.literals, "attributes"),
            (read.schema, "statements about relations"),
            (read.unread, "values of relationships that have no place here"),
            (read.left_out, "about items that no link names, left out"),
            (read.mistakes, "not understood and skipped"),
            (read.carriage_returns, "ending with a carriage return (CRLF)"),
            (read.blank, "blank"),
        ] {
            if n > 0 {
                text += &format!(", {} {what}", count(n as usize));
            }
        }
        text.push('\n');
        for mistake in &read.shown {
            text += &format!("  {mistake}\n").replace("\nhint", "\n  hint");
        }
    }
    let left = &report.leftovers;
    for (n, what) in [
        (left.duplicates, "rows repeat an earlier one"),
        (left.labels, "labels belong to no entity or relation"),
        (left.attributes, "attributes belong to no entity and are left out"),
        (left.schema, "statements are about relations that no triple has"),
    ] {
        if n > 0 {
            text += &format!("! {} {what}\n", count(n as usize));
        }
    }
    if let Some((shown, rest)) =
        report.dangling.split_at_checked(SHOWN_ITEMS.min(report.dangling.len()))
        && !shown.is_empty()
    {
        let (n, names) = (count(report.dangling.len()), shown.join(", "));
        let more = if rest.is_empty() { "" } else { ", … (all with --json)" };
        text += &format!("! {n} items have no fact about them: {names}{more}\n");
    }
    text
}

/// Items without facts that are named for people.
const SHOWN_ITEMS: usize = 10;

fn sources_json(report: &ImportReport) -> Value {
    let source = |SourceReport { path, format, read }: &SourceReport| {
        json!({
            "source": path,
            "format": format,
            "rows": read.rows,
            "attributes": read.literals,
            "schema": read.schema,
            "unread": read.unread,
            "left_out": read.left_out,
            "carriage_returns": read.carriage_returns,
            "blank": read.blank,
            "mistakes": read.mistakes,
        })
    };
    report.sources.iter().map(source).collect()
}
