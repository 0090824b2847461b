//! `gossamer relations`: what can be said of a graph's relations.

use clap::{Arg, ArgMatches, Command as Clap};
use gossamer::{Error, Snapshot, Split};
use gossamer_graph::likeness::likenesses;
use serde_json::{Value, json};

use super::{Command, folder, number, option, path, text};
use crate::exit::Failure;
use crate::output::{self, count, render};
use crate::terminal::Context;

/// `gossamer relations`.
pub struct Relations;

/// Likeness from which two relations are said to be one.
const REDUNDANT: f64 = 0.5;

impl Command for Relations {
    fn name(&self) -> &'static str {
        "relations"
    }
    fn summary(&self) -> &'static str {
        "Which relations are alike, by the pairs of entities that they join"
    }
    fn example(&self) -> &'static str {
        "gossamer relations similar graph/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        let action = Arg::new("action").required(true).value_name("WHAT").value_parser(["similar"]);
        clap.arg(action.help("similar: pairs of relations, the most alike first"))
            .arg(folder("graph", "A graph folder"))
            .arg(option("relation", "NAME", "Only pairs with this relation"))
            .arg(option("top", "N", "How many pairs [default: 20]"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let graph = Snapshot::open(&path(arguments, "graph")).map_err(Error::from)?;
        let names = graph.relations();
        let wanted = match text(arguments, "relation") {
            Some(name) => Some(gossamer::query::id_of(names, "relation", name)?),
            None => None,
        };
        let triples = graph.triples(Split::Train).map_err(Error::from)?;
        let mut found = likenesses(graph.entities().len(), names.len(), &triples);
        found.retain(|both| wanted.is_none_or(|wanted| [both.one, both.other].contains(&wanted)));
        let redundant = found.iter().filter(|both| both.likeness >= REDUNDANT).count();
        found.truncate(number(arguments, "top")?.unwrap_or(20));
        let shown = |id: u32| names.shown(id).map_err(Error::from);
        if context.json {
            let mut lines = Vec::new();
            for both in &found {
                lines.push(json!({
                    "relations": [shown(both.one)?, shown(both.other)?],
                    "likeness": both.likeness,
                    "shared_pairs": both.shared,
                    "pairs": both.triples,
                }));
            }
            let value = json!({"redundant": redundant, "pairs": Value::from(lines)});
            context.print(&value.to_string());
            return Ok(());
        }
        let mut rows =
            output::table(&["likeness", "relation", "and", "shared pairs", "of its", "and its"]);
        for both in &found {
            rows.add_row([
                format!("{:.3}", both.likeness),
                shown(both.one)?,
                shown(both.other)?,
                count(both.shared as usize),
                count(both.triples[0] as usize),
                count(both.triples[1] as usize),
            ]);
        }
        context.print(&format!(
            "{}\n{redundant} pairs are alike to {REDUNDANT} or more: nearly one relation under two names",
            render(rows)
        ));
        Ok(())
    }
}
