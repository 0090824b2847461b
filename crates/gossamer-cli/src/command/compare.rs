//! `gossamer compare`: do two runs differ?

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::compare::{Difference, compare, reciprocals};
use gossamer::evaluate::{EvaluateRequest, evaluate};
use gossamer::{Run, Split};
use serde_json::json;

use super::{Command, folder, number, option, path, text};
use crate::exit::Failure;
use crate::output::count;
use crate::terminal::Context;

/// `gossamer compare`.
pub struct Compare;

impl Command for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }
    fn summary(&self) -> &'static str {
        "Say whether two runs differ, by a paired bootstrap over the judged triples"
    }
    fn example(&self) -> &'static str {
        "gossamer compare run/ other/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("first", "A finished run, or a folder of seeds"))
            .arg(folder("second", "Another one, of the same graph"))
            .arg(option("split", "NAME", "test, valid or train [default: test]"))
            .arg(option("seed", "N", "Seed of the bootstrap [default: 0]"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let split = text(arguments, "split").unwrap_or("test");
        let split = Split::ALL.into_iter().find(|known| known.name() == split);
        let split = split
            .ok_or_else(|| Failure::input("there is no such split", "train, valid or test"))?;
        let (first, second) = (path(arguments, "first"), path(arguments, "second"));
        let (graph, ours) = judged(&first, split, context)?;
        let (other, theirs) = judged(&second, split, context)?;
        if graph != other {
            return Err(Failure::input(
                "the two were not learned from the same graph",
                "only ranks of the same triples among the same candidates can be compared",
            ));
        }
        let found = compare(&ours, &theirs, number(arguments, "seed")?.unwrap_or(0));
        if context.json {
            let value = json!({
                "first": {"run": first.display().to_string(), "mean_reciprocal_rank": found.mrr[0]},
                "second": {"run": second.display().to_string(), "mean_reciprocal_rank": found.mrr[1]},
                "difference": found.difference,
                "interval_95": found.interval,
                "share_not_above": found.share_not_above,
                "differs": found.differs(),
                "triples": found.n_triples,
            });
            context.print(&value.to_string());
        } else {
            context.print(&in_words(&first, &second, &found));
        }
        Ok(())
    }
}

/// The runs in a folder: itself, or one for each seed.
pub fn runs_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if folder.join("manifest").exists() || !folder.is_dir() {
        return Ok(vec![folder.to_path_buf()]);
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut seeds: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name.strip_prefix("seed-")?.parse().ok()?, entry.path()))
        })
        .collect();
    seeds.sort();
    if seeds.is_empty() {
        return Ok(vec![folder.to_path_buf()]);
    }
    Ok(seeds.into_iter().map(|(_, path)| path).collect())
}

/// The graph's fingerprint and each triple's mean reciprocal rank, over all seeds.
fn judged(folder: &Path, split: Split, context: &Context) -> Result<(u64, Vec<f64>), Failure> {
    let runs = runs_in(folder)?;
    let mut sum: Vec<f64> = Vec::new();
    let mut graph = 0;
    for path in &runs {
        let run = Run::open(path)?;
        graph = run.graph.folder().fingerprint();
        let request = EvaluateRequest { split, ..EvaluateRequest::default() };
        let evaluation = evaluate(&run, &request, &context.machine, context)?;
        let values = reciprocals(&evaluation.ranks, evaluation.triples.len());
        sum.resize(values.len(), 0.0);
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / runs.len() as f64);
    }
    Ok((graph, sum))
}

fn in_words(first: &Path, second: &Path, found: &Difference) -> String {
    let [low, high] = found.interval;
    let verdict = if found.differs() {
        let better = if found.difference > 0.0 { first } else { second };
        format!("{} is better", better.display())
    } else {
        "no difference was found".into()
    };
    format!(
        "MRR {:.4}  {}\nMRR {:.4}  {}\ndifference {:+.4}, 95 % interval {low:+.4} to {high:+.4}, \
         over {} triples\n{verdict}",
        found.mrr[0],
        first.display(),
        found.mrr[1],
        second.display(),
        found.difference,
        count(found.n_triples),
    )
}
