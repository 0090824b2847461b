//! `gossamer train --model ease`: learn to recommend, and judge what was learned.
//!
//! Not a command of its own: `train` comes here when the model is a recommender, `evaluate` when the
//! run is one's.

use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use gossamer::config::SETTINGS;
use gossamer::evaluate::compare::Spread;
use gossamer::recommend::census::Census;
use gossamer::recommend::judge::{LEGACY_NDCG, METRICS, Mean};
use gossamer::recommend::report::{self, Among, Row, Subject};
use gossamer::recommend::run::{Run, refuse_existing, save};
use gossamer::recommend::settings::KEYS;
use gossamer::recommend::{self, Outcome, Settings, Shape, learn, pairs, plans};
use gossamer::{Observer, Snapshot, Split};
use gossamer_machine::Ledger;
use gossamer_machine::ledger::bytes_in_words;
use serde_json::{Value, json};

use super::compare::runs_in;
use super::{number, option, path, text, train};
use crate::exit::Failure;
use crate::output::{self, count, render};
use crate::terminal::Context;

/// Settings that only recommenders have.
pub fn options() -> [Arg; 8] {
    [
        option(
            "facts",
            "WEIGHT",
            "With a recommender: weight of facts beside interactions; 0: none",
        ),
        option(
            "hardest",
            "VALUE",
            "With mf: true if of --negatives the one with the highest score alone counts",
        ),
        option(
            "nearest",
            "K",
            "With itemknn: items near an item, which speak for it [default: 300]; with kgcn, kgnn-ls and kcan: \
             neighbours of a node [default: 8]; with diffkg: entities that stay of an item [default: 1]",
        ),
        option("listed", "N", "With kcan: items of a list that are scored anew [default: 100]"),
        option("absent", "WEIGHT", "With ials: weight of what a user does not have [default: 0.1]"),
        option(
            "smoothness",
            "WEIGHT",
            "With kgnn-ls: weight of guessing what a user has from what is around it [default: 0.1]",
        ),
        option(
            "contrast",
            "WEIGHT",
            "With diffkg: weight of telling nodes of one view by the other; 0: none [default: 0.03]",
        ),
        option("denoiser", "N", "With diffkg: floats between the denoiser's layers [default: 64]"),
    ]
}

/// True if the model is a recommender.
pub fn is_meant(arguments: &ArgMatches) -> bool {
    text(arguments, "model").is_some_and(|model| recommend::find(model).is_ok())
}

/// Refuses what only recommenders have, where none is meant.
///
/// # Errors
/// The setting's name.
pub fn refuse_own(arguments: &ArgMatches) -> Result<(), Failure> {
    let given = options().into_iter().find(|own| text(arguments, own.get_id().as_str()).is_some());
    match given {
        None => Ok(()),
        Some(own) => {
            let what = format!("--{} is nothing that this model has", own.get_id());
            Err(Failure::input(what, "leave it out, or name a recommender; gossamer ls has them"))
        }
    }
}

/// The settings that were given, on those that suit the recommender.
fn settings(arguments: &ArgMatches) -> Result<Settings, Failure> {
    let others = SETTINGS.iter().map(|setting| setting.key);
    let others = others.filter(|key| !KEYS.contains(key));
    for key in others.chain(["recipe", "config", "init", "init-relations", "neighbours"]) {
        if text(arguments, key).is_some() {
            let what = format!("--{} is nothing that a recommender has", key.replace('_', "-"));
            return Err(Failure::input(what, "leave it out; gossamer ls has the recommenders"));
        }
    }
    let mut settings = Settings::of(text(arguments, "model").unwrap_or_default())?;
    for key in KEYS.iter().filter(|key| **key != "model") {
        if let Some(value) = text(arguments, key) {
            settings.set(key, value)?;
        }
    }
    settings.check()?;
    Ok(settings)
}

/// Learns, and writes a run folder for each seed.
pub fn run(arguments: &ArgMatches, graph: &Snapshot, context: &Context) -> Result<(), Failure> {
    let mut settings = settings(arguments)?;
    let census = Census::of(graph)?;
    let sizes = census.shape();
    let ledger = plans::learning(&sizes, &settings, &context.machine)?;
    if train::show_plan(arguments, &ledger, None, context) {
        return Ok(());
    }
    let (out, replace) = (path(arguments, "output"), arguments.get_flag("force"));
    let (first, seeds) = (settings.seed, number::<u64>(arguments, "seeds")?);
    for seed in first..first + seeds.unwrap_or(1) {
        settings.seed = seed;
        let folder = match seeds {
            Some(_) => out.join(format!("seed-{seed}")),
            None => out.clone(),
        };
        // A kill while it learns leaves nothing.
        refuse_existing(&folder, replace)?;
        let begun = context.now();
        // Each takes what it learns from apart.
        let problem = census.read(graph, settings.reads_facts(&sizes)?)?;
        let outcome = learn(problem, &settings, &context.machine, context)?;
        let seconds = context.now().saturating_sub(begun).as_secs_f64();
        save(graph, (&folder, replace), &settings, &outcome.learned)?;
        let of = (&folder, seconds);
        context.print(&learned_in_words(&sizes, &settings, of, &outcome, context.json));
    }
    context.say(&format!("next: gossamer evaluate {}", out.display()));
    Ok(())
}

/// What was learned from.
fn learned_in_words(
    sizes: &Shape,
    settings: &Settings,
    (folder, seconds): (&PathBuf, f64),
    outcome: &Outcome,
    as_json: bool,
) -> String {
    let Shape { n_users, n_items, n_interactions: n, n_facts, .. } = *sizes;
    if as_json {
        return json!({
            "run": folder.display().to_string(),
            "users": n_users,
            "items": n_items,
            "interactions": n,
            "facts": n_facts,
            "seconds": seconds,
            "steps": outcome.steps,
            "step_seconds": outcome.of_steps,
            "epochs": outcome.epochs,
            "cut_off": outcome.cut_off,
            "kept_bytes": outcome.kept.as_ref().map(Ledger::total),
            "peak_bytes": crate::terminal::peak_bytes(),
        })
        .to_string();
    }
    let mut words = format!(
        "{} learned from {} interactions of {} users with {} items, {} facts, in {seconds:.1} s",
        settings.model,
        count(n as usize),
        count(n_users as usize),
        count(n_items as usize),
        count(n_facts as usize),
    );
    if outcome.cut_off {
        words += &format!(
            "\nall {} epochs were learned, and validation was not through: more --epochs may help",
            outcome.epochs
        );
    }
    if let Some(kept) = outcome.kept.as_ref().filter(|kept| kept.total() > 0) {
        words += &format!("\nkept between the ways: {}", bytes_in_words(kept.total()));
    }
    words
}

/// Judges a run, or those of several seeds, beside controls and baselines.
pub fn judge(arguments: &ArgMatches, split: Split, context: &Context) -> Result<(), Failure> {
    let folder = path(arguments, "run");
    let k = number(arguments, "at")?.unwrap_or(20);
    if k == 0 || split == Split::Train {
        let what = "a recommender is judged by lists of 1 or more, on valid or test";
        return Err(Failure::input(what, "--at 20 --split test"));
    }
    let (mut of_seeds, mut plan): (Vec<Vec<Row>>, Option<Ledger>) = (Vec::new(), None);
    for path in runs_in(&folder)? {
        let alone = arguments.get_flag("alone") || arguments.get_flag("kgcn");
        let among = if alone { Among::None } else { Among::All };
        let mut alone_fits = false;
        let judging = |shape: &Shape, settings: &Settings, tables| {
            let of = |among| report::plan((shape, settings), tables, among, &context.machine);
            let plan = of(among);
            alone_fits = plan.is_err() && of(Among::None).is_ok();
            plan
        };
        let opened = Run::open_within(&path, judging).map_err(Failure::from);
        let (run, ledger) = opened.map_err(|failure| match alone_fits {
            true => failure.hinting("or --alone, without controls and baselines: it fits"),
            false => failure,
        })?;
        if arguments.get_flag("kgcn") {
            let seed = number(arguments, "seed")?.unwrap_or(0);
            by_pairs(&run, split, seed, context);
            continue;
        }
        let of = Subject {
            problem: &run.problem,
            shape: run.census.shape(),
            settings: &run.settings,
            again: &|facts| run.census.read(&run.graph, facts),
        };
        of_seeds.push(report::report(
            &of,
            run.learned,
            (split, k, among),
            &context.machine,
            context,
        )?);
        plan = Some(ledger);
    }
    if of_seeds.is_empty() {
        return Ok(());
    }
    if context.json {
        let rows = |rows: &Vec<Row>| rows.iter().map(row_json).collect::<Value>();
        let mut value = json!({"split": split.name(), "k": k, "rows": rows(&of_seeds[0])});
        if of_seeds.len() > 1 {
            value["seeds"] = of_seeds.iter().map(rows).collect::<Value>();
        }
        value["plan"] = plan.as_ref().map(output::ledger_json).into();
        value["peak_bytes"] = crate::terminal::peak_bytes().into();
        context.print(&value.to_string());
    } else {
        context.print(&in_words(&of_seeds, (split, k)));
    }
    context.say(&format!("next: gossamer recommend {} --user NAME", folder.display()));
    Ok(())
}

/// Judges by KGCN's protocol.
fn by_pairs(run: &Run, split: Split, seed: u64, context: &Context) {
    let found = pairs::by_pairs(&run.problem, &run.learned, (split, seed), &context.machine);
    let pairs::ByPairs { auc, f1, n } = found;
    if context.json {
        let value =
            json!({"split": split.name(), "kgcn_auc": auc, "kgcn_f1": f1, "interactions": n});
        context.print(&value.to_string());
    } else {
        context.print(&format!(
            "kgcn's protocol: AUC {auc:.4}, F1 {f1:.4} (scores above 0) over {} interactions of the {} split, each against one item \
             that its user never had; no measure of lists",
            count(n),
            split.name()
        ));
    }
}

fn row_json(row: &Row) -> Value {
    let judged = &row.judged;
    let mut value = json!({
        "name": row.name,
        "users": judged.n_users,
        "coverage": judged.coverage,
        "popularity": judged.popularity,
        "seconds": row.seconds,
        "parts": judged.parts.iter().map(|part| {
            json!({"of": part.name, "n": part.n, "recall": part.recall})
        }).collect::<Vec<_>>(),
    });
    for (metric, mean) in METRICS.iter().zip(&judged.means) {
        value[*metric] = mean_json(mean);
    }
    value["ndcg_behind"] = row.behind.as_ref().map(mean_json).into();
    value
}

fn mean_json(mean: &Mean) -> Value {
    json!({"mean": mean.value, "half_width_95": mean.half_width})
}

/// How far a run is ahead of what stands beside it, by the same users: of several seeds the mean.
fn ahead_in_words(of_seeds: &[Vec<Row>], k: usize) -> String {
    let rows = of_seeds.first().map_or(&[][..], Vec::as_slice);
    let mut words = String::new();
    for (place, row) in rows.iter().enumerate().skip(1) {
        let of = |rows: &Vec<Row>| rows[place].behind.unwrap_or_default();
        let of_seeds: Vec<Mean> = of_seeds.iter().map(of).collect();
        let mean = |of: &dyn Fn(&Mean) -> f64| {
            of_seeds.iter().map(of).sum::<f64>() / of_seeds.len() as f64
        };
        let (value, half) = (mean(&|mean| mean.value), mean(&|mean| mean.half_width));
        let verdict = match value {
            value if value.abs() <= half => "no difference to be seen",
            value if value > 0.0 => "better",
            _ => "worse",
        };
        let (name, own) = (&row.name, &rows[0].name);
        words += &format!(
            "\n{own} less {name}, ndcg@{k} of the same users: {value:+.4} ± {half:.4}, {verdict}"
        );
    }
    words
}

/// The table for people: of several seeds the means, with their deviations.
fn in_words(of_seeds: &[Vec<Row>], (split, k): (Split, usize)) -> String {
    let with_k = |metric: &&str| match *metric {
        "auc" => "AUC".to_string(),
        metric => format!("{metric}@{k}"),
    };
    let mut headings = vec![String::new()];
    let shown = METRICS.iter().filter(|metric| **metric != LEGACY_NDCG);
    headings.extend(shown.clone().map(with_k));
    headings.extend(["of all items".to_string(), "users of an item".to_string()]);
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = output::table(&headings);
    let rows = of_seeds.first().map_or(&[][..], Vec::as_slice);
    for (place, Row { name, judged, .. }) in rows.iter().enumerate() {
        let mut cells = vec![name.clone()];
        cells.extend((0..shown.clone().count()).map(|metric| {
            let of = |rows: &Vec<Row>| rows[place].judged.means[metric].value;
            let values: Vec<f64> = of_seeds.iter().map(of).collect();
            match Spread::of(&values) {
                Some(Spread { mean, deviation, .. }) => format!("{mean:.4} ± {deviation:.4}"),
                None => format!("{:.4}", values[0]),
            }
        }));
        cells.push(format!("{:.1} %", 100.0 * judged.coverage));
        cells.push(format!("{:.0}", judged.popularity));
        table.add_row(cells);
    }
    let mut words = render(table);
    let Some(Row { judged, name, .. }) = rows.first() else { return words };
    let [recall, ndcg, ..] = judged.means;
    words += &format!(
        "\n\n{} users of the {} split, all items ranked but those a user had before, ties by mean; \
         95 % of users drawn anew: recall ± {:.4}, ndcg ± {:.4}",
        count(judged.n_users),
        split.name(),
        recall.half_width,
        ndcg.half_width
    );
    if of_seeds.len() > 1 {
        words += &format!("; in the table, deviations over {} seeds", of_seeds.len());
    }
    words += &ahead_in_words(of_seeds, k);
    for part in &judged.parts {
        words +=
            &format!("\n{name}, recall of {} {}: {:.4}", count(part.n), part.name, part.recall);
    }
    words
}
