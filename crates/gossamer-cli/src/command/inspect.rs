//! `gossamer inspect`: what a graph is like.

use clap::{ArgMatches, Command as Clap};
use gossamer::{Error, Snapshot};
use gossamer_graph::inspect::{Inspection, inspect};
use gossamer_graph::mirror::Mirror;
use serde_json::{Value, json};

use super::{Command, folder, path};
use crate::exit::Failure;
use crate::output::count;
use crate::terminal::Context;

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
        let inspection = inspect(&graph).map_err(Error::from)?;
        if context.json {
            context.print(&inspection_json(&graph, &inspection)?.to_string());
        } else {
            context.print(&inspection_text(&graph, &inspection)?);
        }
        Ok(())
    }
}

/// A triple by names: "France borders Spain".
pub fn triple_in_words(graph: &Snapshot, triple: [u32; 3]) -> Result<String, Error> {
    let [head, relation, tail] = triple;
    let entities = graph.entities();
    let relation = graph.relations().shown(relation)?;
    Ok(format!("({}, {relation}, {})", entities.shown(head)?, entities.shown(tail)?))
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
    let [least, median, mean, most] = found.degrees;
    text += &format!(
        "degree: least {least}, median {median}, mean {mean:.1}, most {most}; \
         the busiest 1 % of entities take {:.0} % of all ends\n",
        100.0 * found.top_percent_share
    );
    let [one, one_n, n_one, n] = found.cardinalities;
    text += &format!("relations: {one} 1-1, {one_n} 1-n, {n_one} n-1, {n} n-n\n");
    let warts = [
        (found.self_loops, "triples whose head is their tail"),
        (found.overlaps, "held-out triples that also stand in an earlier split"),
        (found.unseen_entities[0], "entities of valid without a training triple"),
        (found.unseen_triples[0], "valid triples with such an entity"),
        (found.unseen_entities[1], "entities of test without a training triple"),
        (found.unseen_triples[1], "test triples with such an entity"),
        (found.leaks[0], "valid triples that a mirrored one in train gives away"),
        (found.leaks[1], "test triples that a mirrored one in train gives away"),
    ];
    for (n, what) in warts {
        if n > 0 {
            text += &format!("! {} {what}\n", count(n));
        }
    }
    for leak in &found.leak_examples {
        let held_out = triple_in_words(graph, leak.held_out)?;
        text += &format!("  {held_out} from {}\n", triple_in_words(graph, leak.given_away_by)?);
    }
    for mirror in found.mirrors.iter().take(MAX_MIRRORS) {
        text += &format!("  {}\n", mirror_in_words(graph, mirror)?);
    }
    if found.mirrors.len() > MAX_MIRRORS {
        text += &format!("  … and {} more mirrored relations\n", found.mirrors.len() - MAX_MIRRORS);
    }
    Ok(text)
}

fn mirror_in_words(graph: &Snapshot, mirror: &Mirror) -> Result<String, Error> {
    let relation = graph.relations().shown(mirror.relation)?;
    let share = 100.0 * mirror.share;
    Ok(match (mirror.relation == mirror.other, mirror.inverse) {
        (true, _) => format!("{relation} is symmetric for {share:.0} % of its pairs"),
        (false, inverse) => {
            let other = graph.relations().shown(mirror.other)?;
            let how = if inverse { "the inverse of" } else { "the same as" };
            format!("{relation} is {how} {other} for {share:.0} % of its pairs")
        }
    })
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
