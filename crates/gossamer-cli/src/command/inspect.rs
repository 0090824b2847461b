//! `gossamer inspect`: what a graph is like.

use clap::{ArgMatches, Command as Clap};
use gossamer::{Error, Snapshot};
use gossamer_graph::Room;
use gossamer_graph::inspect::{Inspection, inspect};
use serde_json::{Value, json};

use super::{Command, folder, path};
use crate::exit::Failure;
use crate::output::count;
use crate::terminal::Context;
use crate::words::{degrees_in_words, mirrors_in_words, triple_in_words, warts};

/// `gossamer inspect`.
pub struct Inspect;

impl Command for Inspect {
    fn name(&self) -> &'static str {
        "inspect"
    }
    fn summary(&self) -> &'static str {
        "Report on a graph: size, degrees, mirrored relations, what leaks into the test"
    }
    fn example(&self) -> &'static str {
        "gossamer inspect graph/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("graph", "A graph folder"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let graph = Snapshot::open(&path(arguments, "graph")).map_err(Error::from)?;
        let inspection = inspect(&graph, Room::default()).map_err(Error::from)?;
        if context.json {
            context.print(&inspection_json(&graph, &inspection)?.to_string());
        } else {
            context.print(&inspection_text(&graph, &inspection)?);
        }
        Ok(())
    }
}

/// Mirrors that a report lists before it counts the rest.
const MAX_MIRRORS: usize = 12;

/// The report for people.
pub fn inspection_text(graph: &Snapshot, found: &Inspection) -> Result<String, Error> {
    let [train, valid, test] = found.n_triples.map(count);
    let mut text = format!(
        "{} entities, {} relations, {train} training triples, {valid} valid, {test} test\n",
        count(found.n_entities),
        count(found.n_relations)
    );
    text += &(degrees_in_words(found) + "\n");
    let [one, one_n, n_one, n] = found.cardinalities;
    text += &format!("relations: {one} 1-1, {one_n} 1-n, {n_one} n-1, {n} n-n\n");
    if found.looked_at_every > 1 {
        let n = found.looked_at_every;
        text += &format!("cardinalities and mirrors are estimates, from one in {n} of the pairs\n");
    }
    for (n, what) in warts(found) {
        if n > 0 {
            text += &format!("! {} {what}\n", count(n));
        }
    }
    for leak in &found.leak_examples {
        let held_out = triple_in_words(graph, leak.held_out)?;
        text += &format!("  {held_out} from {}\n", triple_in_words(graph, leak.given_away_by)?);
    }
    let mirrors = mirrors_in_words(graph, found)?;
    for mirror in mirrors.iter().take(MAX_MIRRORS) {
        text += &format!("  {mirror}\n");
    }
    if mirrors.len() > MAX_MIRRORS {
        text += &format!("  … and {} more mirrored relations\n", mirrors.len() - MAX_MIRRORS);
    }
    Ok(text)
}

/// The report for machines.
pub fn inspection_json(graph: &Snapshot, found: &Inspection) -> Result<Value, Error> {
    let mirrors: Result<Vec<Value>, Error> = found
        .mirrors
        .iter()
        .map(|mirror| {
            Ok(json!({
                "relation": graph.relations().name(mirror.relation)?,
                "other": graph.relations().name(mirror.other)?,
                "inverse": mirror.inverse,
                "count": mirror.count,
                "share": mirror.share,
            }))
        })
        .collect();
    let [least, median, mean, most] = found.degrees;
    Ok(json!({
        "n_entities": found.n_entities,
        "n_relations": found.n_relations,
        "n_triples": {"train": found.n_triples[0], "valid": found.n_triples[1], "test": found.n_triples[2]},
        "looked_at_every": found.looked_at_every,
        "self_loops": found.self_loops,
        "overlaps": found.overlaps,
        "unseen_entities": {"valid": found.unseen_entities[0], "test": found.unseen_entities[1]},
        "unseen_triples": {"valid": found.unseen_triples[0], "test": found.unseen_triples[1]},
        "leaks": {"valid": found.leaks[0], "test": found.leaks[1]},
        "degree": {"least": least, "median": median, "mean": mean, "most": most},
        "top_percent_share": found.top_percent_share,
        "cardinalities": {"1-1": found.cardinalities[0], "1-n": found.cardinalities[1], "n-1": found.cardinalities[2], "n-n": found.cardinalities[3]},
        "mirrors": mirrors?,
    }))
}
