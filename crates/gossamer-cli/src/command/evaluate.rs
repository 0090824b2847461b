//! `gossamer evaluate`: judge a run on its test split.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::bits::{Stored, stored};
use gossamer::evaluate::compare::Spread;
use gossamer::evaluate::{Candidates, EvaluateRequest, Evaluation, Scores, evaluate, metric};
use gossamer::plan::{bits_plan, evaluate_plan};
use gossamer::{Error, Run, Side, Split, recommend};
use gossamer_machine::ledger::bytes_in_words;
use serde_json::{Value, json};

use super::compare::runs_in;
use super::report::write_run_page;
use super::{Command, flag, folder, number, option, path, recommenders, text};
use crate::exit::Failure;
use crate::output::{self, count, score_cells, score_headings, scores_json};
use crate::terminal::Context;

/// `gossamer evaluate`.
pub struct Evaluate;

impl Command for Evaluate {
    fn name(&self) -> &'static str {
        "evaluate"
    }
    fn summary(&self) -> &'static str {
        "Judge a run: filtered ranks, both sides, ties by mean, beside trivial baselines"
    }
    fn example(&self) -> &'static str {
        "gossamer evaluate run/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A finished run"))
            .arg(option("split", "NAME", "test, valid or train [default: test]"))
            .arg(
                option(
                    "sample",
                    "HALF-WIDTH",
                    "Stop when MRR is known to ± this [if no value: 0.003]",
                )
                .num_args(0..=1)
                .default_missing_value("0.003"),
            )
            .arg(option("triples", "N", "Judge at most N triples, drawn at random"))
            .arg(option("seed", "N", "Seed of what is drawn [default: 0]"))
            .arg(option("type", "NAME", "Only entities of this type compete"))
            .arg(option(
                "candidates",
                "FILE",
                "Only the entities named in this file compete, one per line",
            ))
            .arg(option("negatives", "N", "Of those that compete, only N, drawn once, do"))
            .arg(option("ranks", "FILE", "Write every rank to a tab-separated file"))
            .arg(option("at", "K", "With a recommender: where lists end [default: 20]"))
            .arg(flag(
                "alone",
                "With a recommender: the run alone, where its controls are known already",
            ))
            .arg(flag(
                "kgcn",
                "With a recommender: KGCN's AUC, each interaction against one drawn item",
            ))
            .arg(flag(
                "bits",
                "Also count the bits about the training triples that the tables store",
            ))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let split = text(arguments, "split").unwrap_or("test");
        let split =
            Split::ALL.into_iter().find(|known| known.name() == split).ok_or_else(|| {
                Failure::input(format!("there is no split '{split}'"), "train, valid or test")
            })?;
        let runs = runs_in(&path(arguments, "run"))?;
        if recommend::run::Run::is_one(&runs[0]) {
            return recommenders::judge(arguments, split, context);
        }
        if let [several @ .., last] = runs.as_slice()
            && !several.is_empty()
        {
            let mut values = Vec::with_capacity(runs.len());
            for run in several.iter().chain([last]) {
                let request = EvaluateRequest { split, ..EvaluateRequest::default() };
                let evaluation = evaluate(&Run::open(run)?, &request, &context.machine, context)?;
                values.push((run.clone(), evaluation.both));
            }
            context.print(&seeds_in_words(&values, context.json));
            return Ok(());
        }
        let run = Run::open(&runs[0])?;
        let seed = number(arguments, "seed")?.unwrap_or(0);
        let mut candidates = candidates(&run, arguments)?;
        if let Some(n) = number(arguments, "negatives")? {
            candidates = candidates.drawn(n, run.graph.entities().len(), seed);
        }
        let request = EvaluateRequest {
            split,
            half_width: number(arguments, "sample")?,
            most_triples: number(arguments, "triples")?,
            seed,
            candidates,
        };
        let (n_judged, machine) = (request.n_judged(&run.graph)?, &context.machine);
        let mut plan = evaluate_plan(&run.config, &run.graph, Some(n_judged), machine)?;
        let bits = arguments.get_flag("bits");
        if bits {
            // Refused before anything is judged.
            let other = bits_plan(&run.config, &run.graph, machine)?;
            plan = if other.ledger.total() > plan.ledger.total() { other } else { plan };
        }
        let evaluation = evaluate(&run, &request, &context.machine, context)?;
        if let Some(file) = text(arguments, "ranks") {
            write_ranks(&run, &evaluation, file)?;
        }
        let test = EvaluateRequest { split: Split::Test, ..EvaluateRequest::default() };
        let whole = request == (EvaluateRequest { seed, ..test });
        if whole && context.machine.budget_bytes.is_none() {
            let page = run.path.join(crate::report::FILE);
            write_run_page(Run::open(&run.path)?, Some(("test", &evaluation)), &page, context)?;
        }
        let stored = bits.then(|| stored(&run, &context.machine, context)).transpose()?;
        if context.json {
            let mut value = evaluation_json(&run, &evaluation)?;
            value["plan"] = output::ledger_json(&plan.ledger);
            value["peak_bytes"] = crate::terminal::peak_bytes().into();
            if let Some(of) = stored {
                let (bits, bytes, per_byte) = (of.bits, of.table_bytes, of.per_byte());
                value["stored"] =
                    json!({"bits": bits, "table_bytes": bytes, "bits_per_byte": per_byte});
            }
            context.print(&value.to_string());
        } else {
            context.print(&evaluation_text(&run, &evaluation)?);
            stored.iter().for_each(|stored| context.print(&stored_in_words(stored)));
        }
        Ok(())
    }
}

/// What the tables store, for people.
fn stored_in_words(stored: &Stored) -> String {
    let (bytes, of_triple) = (stored.table_bytes, stored.bits / stored.n_triples.max(1) as f64);
    format!(
        "stored: {:.2} bits in a byte of {} of tables; {of_triple:.2} bits per training triple",
        stored.per_byte(),
        bytes_in_words(bytes)
    )
}

/// Every seed's metrics, and their mean with its 95 % interval.
fn seeds_in_words(values: &[(PathBuf, Scores)], as_json: bool) -> String {
    let spreads: Vec<Option<Spread>> = (0..metric::ALL.len())
        .map(|at| Spread::of(&values.iter().map(|(_, s)| s.values[at]).collect::<Vec<_>>()))
        .collect();
    if as_json {
        let spread = |(metric, spread): (&&dyn metric::Metric, &Option<Spread>)| {
            let spread = spread.as_ref().map(|of| {
                json!({"mean": of.mean, "deviation": of.deviation, "half_width_95": of.half_width})
            });
            (metric.key().to_string(), spread.into())
        };
        let over: serde_json::Map<String, Value> =
            metric::ALL.iter().zip(&spreads).map(spread).collect();
        let seeds: Vec<Value> = values.iter().map(|(_, scores)| scores_json(scores)).collect();
        return json!({ "seeds": seeds, "over_seeds": over }).to_string();
    }
    let mut rows = output::table(&score_headings(&[""]));
    for (path, scores) in values {
        let mut cells = vec![path.file_name().unwrap_or_default().to_string_lossy().into_owned()];
        cells.extend(score_cells(scores));
        rows.add_row(cells);
    }
    for (name, of) in [
        ("mean", (|spread: &Spread| spread.mean) as fn(&Spread) -> f64),
        ("deviation", |spread| spread.deviation),
        ("± (95 %)", |spread| spread.half_width),
    ] {
        let values = spreads.iter().map(|spread| spread.as_ref().map_or(0.0, of)).collect();
        let mut cells = vec![name.to_string()];
        cells.extend(score_cells(&Scores { n_ranks: 0, values }));
        rows.add_row(cells);
    }
    output::render(rows)
}

/// Who competes, by `--type` or `--candidates`.
pub fn candidates(run: &Run, arguments: &ArgMatches) -> Result<Candidates, Failure> {
    if let Some(name) = text(arguments, "type") {
        let Some(types) = run.graph.types().map_err(Error::from)? else {
            return Err(Failure::input(
                "the graph has no types",
                "import a table with head_type and tail_type columns",
            ));
        };
        let Some(wanted) = types.names.find(name).map_err(Error::from)? else {
            let nearest = types.names.nearest(name, 3).map_err(Error::from)?;
            return Err(Error::UnknownName { kind: "type", name: name.into(), nearest }.into());
        };
        let entities = 0..run.graph.entities().len() as u32;
        let ids = entities.filter(|entity| types.of(*entity).contains(&wanted));
        return Ok(Candidates::some(ids.collect()));
    }
    let Some(file) = text(arguments, "candidates") else { return Ok(Candidates::All) };
    let words = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("{file}: cannot be read: {error}"), "check the path")
    })?;
    let mut ids = Vec::new();
    for (line, name) in
        words.lines().map(str::trim).enumerate().filter(|(_, name)| !name.is_empty())
    {
        match run.graph.entities().find(name).map_err(Error::from)? {
            Some(id) => ids.push(id),
            None => {
                let what = format!("{file}:{}:1: the graph has no entity '{name}'", line + 1);
                return Err(Failure::input(what, "one name per line, as in the graph's source"));
            }
        }
    }
    Ok(Candidates::some(ids))
}

/// Relations listed for people; machines get all.
const MAX_RELATIONS: usize = 12;

/// The evaluation for people.
pub fn evaluation_text(run: &Run, evaluation: &Evaluation) -> Result<String, Error> {
    let mut rows = output::table(&score_headings(&["", "ranks"]));
    let mut add = |name: &str, scores: &gossamer::evaluate::Scores| {
        let mut cells = vec![name.to_string(), count(scores.n_ranks)];
        cells.extend(score_cells(scores));
        rows.add_row(cells);
    };
    add("both sides", &evaluation.both);
    add("  tails", &evaluation.sides[0]);
    add("  heads", &evaluation.sides[1]);
    for (name, scores) in &evaluation.baselines {
        add(&format!("baseline: {name}"), scores);
    }
    for (cardinality, scores) in &evaluation.by_cardinality {
        add(&format!("{} relations", cardinality.name()), scores);
    }
    for ([least, most], scores) in &evaluation.by_degree {
        add(&format!("answers of degree {least}–{most}"), scores);
    }
    let mut by_size = evaluation.by_relation.clone();
    by_size.sort_by_key(|(relation, scores)| (std::cmp::Reverse(scores.n_ranks), *relation));
    for (relation, scores) in by_size.iter().take(MAX_RELATIONS) {
        let name = run.graph.relations().shown(*relation)?;
        let short: String =
            name.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
        add(&format!("relation {short}"), scores);
    }
    let mut text = output::render(rows);
    let [judged, all] = evaluation.n_triples;
    let _ = write!(
        text,
        "\n\nfiltered, realistic ties; MRR ± {:.4} (95 %, over {} of {} triples)",
        evaluation.half_width,
        count(judged),
        count(all)
    );
    if evaluation.n_candidates < run.graph.entities().len() {
        let _ = write!(text, "; against {} candidates", count(evaluation.n_candidates));
    }
    if by_size.len() > MAX_RELATIONS {
        let _ = write!(text, "; {} more relations with --json", by_size.len() - MAX_RELATIONS);
    }
    Ok(text)
}

fn evaluation_json(run: &Run, evaluation: &Evaluation) -> Result<Value, Error> {
    let mut relations = serde_json::Map::new();
    for (relation, scores) in &evaluation.by_relation {
        relations.insert(run.graph.relations().name(*relation)?, scores_json(scores));
    }
    let degrees = evaluation.by_degree.iter().map(|([least, most], scores)| {
        let mut value = scores_json(scores);
        value["degree"] = json!([least, most]);
        value
    });
    let named = |(name, scores): (&str, &gossamer::evaluate::Scores)| {
        (name.to_string(), scores_json(scores))
    };
    Ok(json!({
        "both": scores_json(&evaluation.both),
        "tail": scores_json(&evaluation.sides[0]),
        "head": scores_json(&evaluation.sides[1]),
        "baselines": evaluation.baselines.iter().map(|(name, scores)| named((name, scores))).collect::<serde_json::Map<_, _>>(),
        "by_cardinality": evaluation.by_cardinality.iter().map(|(kind, scores)| named((kind.name(), scores))).collect::<serde_json::Map<_, _>>(),
        "by_degree": degrees.collect::<Vec<_>>(),
        "by_relation": relations,
        "half_width_95": evaluation.half_width,
        "triples_judged": evaluation.n_triples[0],
        "triples": evaluation.n_triples[1],
        "candidates": evaluation.n_candidates,
        "filtered": true,
        "ties": "realistic",
    }))
}

fn write_ranks(run: &Run, evaluation: &Evaluation, file: &str) -> Result<(), Failure> {
    let (entities, relations) = (run.graph.entities(), run.graph.relations());
    let mut names = Vec::with_capacity(entities.len());
    entities.for_each_text("name", |_, name| names.push(name.to_string())).map_err(Error::from)?;
    let mut relation_names = Vec::with_capacity(relations.len());
    relations
        .for_each_text("name", |_, name| relation_names.push(name.to_string()))
        .map_err(Error::from)?;
    let mut text =
        String::from("head\trelation\ttail\tside\trank_optimistic\trank_pessimistic\trank\n");
    for rank in &evaluation.ranks {
        let [head, relation, tail] = evaluation.triples[rank.triple as usize];
        let (head, tail) = (&names[head as usize], &names[tail as usize]);
        let side = if rank.side == Side::Tail { "tail" } else { "head" };
        let relation = &relation_names[relation as usize];
        let (best, worst, mean) = (rank.optimistic(), rank.pessimistic(), rank.realistic());
        let _ = writeln!(text, "{head}\t{relation}\t{tail}\t{side}\t{best}\t{worst}\t{mean}");
    }
    gossamer_machine::file::write_whole(std::path::Path::new(file), text.as_bytes())
        .map_err(|error| Error::from(error).into())
}
