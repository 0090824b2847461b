//! `gossamer train --model gcn`: learn the classes of entities with a network of layers.
//!
//! Not a command of its own: `train` comes here when the model is a layer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clap::ArgMatches;
use gossamer::classes::baseline::{Baseline, baselines};
use gossamer::classes::problem::{Asked, Problem};
use gossamer::classes::{Learned, Settings, learn, plan};
use gossamer::config::SETTINGS;
use gossamer::{Error, Machine, Snapshot, layer, recommend, score};
use gossamer_machine::Unknown;
use gossamer_machine::folder::Draft;
use gossamer_machine::ledger::bytes_in_words;
use serde_json::json;

use super::{number, path, text, train};
use crate::exit::Failure;
use crate::terminal::Context;

/// What a run of this kind is sealed as.
pub const KIND: &str = "classification";

/// Settings of `train` that a network has.
const OWN: [&str; 12] = [
    "batch",
    "model",
    "layers",
    "dim",
    "dropout",
    "residual",
    "reversible",
    "activations",
    "learning_rate",
    "regularisation",
    "epochs",
    "seed",
];

/// True if the model is a layer, and entities have the classes that are asked for.
pub fn is_meant(arguments: &ArgMatches, graph: &Snapshot) -> Result<bool, Failure> {
    if text(arguments, "model").is_none_or(|model| layer::find(model).is_err()) {
        return Ok(false);
    }
    if text(arguments, "class").is_some() {
        return Ok(true);
    }
    let mut found = false;
    if let Some(names) = graph.names_of("properties.gcol").map_err(Error::from)? {
        names.for_each_text("name", |_, name| found |= name == "class").map_err(Error::from)?;
    }
    Ok(found)
}

/// Refuses a model that is no layer, score function or recommender, with the nearest of all.
pub fn refuse_unknown(arguments: &ArgMatches) -> Result<(), Failure> {
    let Some(model) = text(arguments, "model") else { return Ok(()) };
    if layer::find(model).is_ok() || score::find(model).is_ok() || recommend::find(model).is_ok() {
        return Ok(());
    }
    let functions = score::ALL.iter().map(|function| function.name());
    let layers = layer::ALL.iter().map(|layer| layer.name());
    let recommenders = recommend::ALL.iter().map(|recommender| recommender.name());
    let known = functions.chain(layers).chain(recommenders).collect();
    Err(Error::from(Unknown { kind: "model", name: model.into(), known }).into())
}

/// Learns, and writes a folder for each seed.
pub fn run(arguments: &ArgMatches, graph: &Snapshot, context: &Context) -> Result<(), Failure> {
    let mut settings = settings(arguments)?;
    settings.check()?;
    let property = text(arguments, "class").unwrap_or("class").to_string();
    let problem = Problem::of(graph, &Asked { property, seed: settings.seed })?;
    let (planned, kept) = plan(&problem, &settings, &context.machine)?;
    let exact = Settings { activations: "exact".into(), ..settings.clone() };
    // What exactness would cost is told, whatever the budget.
    let (_, exact) = plan(&problem, &exact, &Machine::new(1, None))?;
    if train::show_plan(arguments, &planned, Some((&kept, exact.total())), context) {
        return Ok(());
    }
    let out = path(arguments, "output");
    let replace = arguments.get_flag("force");
    let first = settings.seed;
    let seeds = number::<u64>(arguments, "seeds")?;
    // Before learning, which then has the room.
    let rules = baselines(&problem, &context.machine, context);
    let mut found = Vec::new();
    for seed in first..first + seeds.unwrap_or(1) {
        settings.seed = seed;
        let learned = learn(&problem, &settings, &context.machine, context).map_err(|error| {
            let failure = Failure::from(error);
            let words = "stopped; a network is learned in one go, and this seed left nothing";
            if failure.stopped() { failure.saying(words) } else { failure }
        })?;
        let folder = match seeds {
            Some(_) => out.join(format!("seed-{seed}")),
            None => out.clone(),
        };
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|error| Failure::system(format!("{}: {error}", parent.display())))?;
        }
        save(graph, &problem, &settings, &learned, &folder, replace)?;
        found.push(learned);
    }
    context.print(&in_words(&found, &rules, &out, context.json));
    Ok(())
}

/// The settings that were given, on those that suit the layer.
fn settings(arguments: &ArgMatches) -> Result<Settings, Failure> {
    let others = SETTINGS.iter().map(|setting| setting.key).filter(|key| !OWN.contains(key));
    for key in others.chain(["recipe", "config", "init", "init-relations", "neighbours"]) {
        if text(arguments, key).is_some() {
            let what =
                format!("--{} is nothing that a network of layers has", key.replace('_', "-"));
            return Err(Failure::input(what, "leave it out; gossamer ls has the layers"));
        }
    }
    let mut settings = Settings::of(text(arguments, "model").unwrap_or("gcn"));
    let own = &mut settings;
    set(arguments, "dim", &mut own.width)?;
    set(arguments, "layers", &mut own.n_layers)?;
    set(arguments, "dropout", &mut own.dropout)?;
    set(arguments, "residual", &mut own.residual)?;
    set(arguments, "reversible", &mut own.reversible)?;
    own.layerwise = arguments.get_flag("layerwise");
    set(arguments, "fanout", &mut own.fanout)?;
    set(arguments, "batch", &mut own.batch)?;
    set(arguments, "learning_rate", &mut own.learning_rate)?;
    set(arguments, "regularisation", &mut own.decay)?;
    set(arguments, "epochs", &mut own.epochs)?;
    set(arguments, "seed", &mut own.seed)?;
    if let Some(codec) = text(arguments, "activations") {
        own.activations = codec.into();
    }
    Ok(settings)
}

fn set<T: std::str::FromStr>(
    arguments: &ArgMatches,
    key: &str,
    place: &mut T,
) -> Result<(), Failure> {
    if let Some(value) = number(arguments, key)? {
        *place = value;
    }
    Ok(())
}

/// Writes what was learned, with names.
fn save(
    graph: &Snapshot,
    problem: &Problem,
    settings: &Settings,
    learned: &Learned,
    folder: &Path,
    replace: bool,
) -> Result<(), Failure> {
    let mut split_of = vec![""; learned.classes.len()];
    for (split, ids) in ["train", "valid", "test"].into_iter().zip(&problem.splits) {
        ids.iter().for_each(|id| split_of[*id as usize] = split);
    }
    let mut text = String::from("entity\tclass\tprobability\tsplit\ttrue class\n");
    let mut entity = 0;
    graph
        .entities()
        .for_each_text("name", |_, name| {
            let (class, probability) = learned.classes[entity];
            let class = &problem.classes[class as usize];
            let truly = problem.class_of[entity].map(|class| &problem.classes[class as usize]);
            let (split, truly) = (split_of[entity], truly.map_or("", String::as_str));
            let _ = writeln!(text, "{name}\t{class}\t{probability:.4}\t{split}\t{truly}");
            entity += 1;
        })
        .map_err(Error::from)?;
    let lines = learned.metrics.iter().enumerate().map(|(epoch, (loss, accuracy))| {
        json!({"epoch": epoch + 1, "loss": loss, "valid_accuracy": accuracy}).to_string() + "\n"
    });
    let draft = Draft::create(KIND, folder, replace).map_err(Error::from)?;
    let files = [
        ("classes.tsv", text),
        ("metrics.jsonl", lines.collect()),
        ("config.toml", toml(settings)),
    ];
    for (name, text) in files {
        let path = draft.path(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::system(format!("{}: {error}", path.display())))?;
    }
    let notes = [("test_accuracy", learned.accuracy[2]), ("test_macro_f1", learned.macro_f1)];
    let notes: BTreeMap<String, String> =
        notes.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    draft.finish(&notes).map_err(Error::from)?;
    Ok(())
}

/// The settings as a file.
fn toml(settings: &Settings) -> String {
    let Settings { layer, activations, n_layers, width, epochs, seed, .. } = settings;
    let Settings { residual, reversible, layerwise, fanout, batch, .. } = settings;
    let (dropout, rate, decay) = (settings.dropout, settings.learning_rate, settings.decay);
    format!(
        "# A network of layers.\nmodel = \"{layer}\"\nlayers = {n_layers}\ndim = {width}\n\
         dropout = {dropout}\nlearning_rate = {rate}\nregularisation = {decay}\nepochs = {epochs}\n\
         seed = {seed}\nresidual = {residual}\nreversible = {reversible}\nlayerwise = {layerwise}\n\
         fanout = {fanout}\nbatch = {batch}\nactivations = \"{activations}\"\n"
    )
}

/// How it went.
fn in_words(found: &[Learned], rules: &[Baseline], out: &Path, as_json: bool) -> String {
    let of = |value: fn(&Learned) -> f64| -> (f64, f64) {
        let n = found.len() as f64;
        let mean = found.iter().map(value).sum::<f64>() / n;
        let square = found.iter().map(|one| (value(one) - mean).powi(2)).sum::<f64>();
        (mean, (square / (n - 1.0).max(1.0)).sqrt())
    };
    let (test, spread) = of(|learned| learned.accuracy[2]);
    let (valid, _) = of(|learned| learned.accuracy[1]);
    let (f1, _) = of(|learned| learned.macro_f1);
    let kept = found.first().map_or(0, |learned| learned.kept.total());
    if as_json {
        let each: Vec<f64> = found.iter().map(|learned| learned.accuracy[2]).collect();
        return json!({
            "run": out.display().to_string(),
            "test_accuracy": test,
            "test_accuracy_deviation": spread,
            "test_accuracy_of_seeds": each,
            "test_macro_f1": f1,
            "valid_accuracy": valid,
            "baselines": rules.iter().map(|rule| json!({
                "rule": rule.name,
                "test_accuracy": rule.accuracy,
                "test_macro_f1": rule.macro_f1,
            })).collect::<Vec<_>>(),
            "kept_bytes": kept,
            "peak_bytes": crate::terminal::peak_bytes(),
        })
        .to_string();
    }
    let several = match found {
        [one] => format!("; parameters of epoch {}", one.best_epoch),
        _ => format!(", deviation {:.2} % over {} seeds", 100.0 * spread, found.len()),
    };
    let in_words = |rule: &Baseline| {
        let (accuracy, f1) = (100.0 * rule.accuracy, rule.macro_f1);
        format!("{}: accuracy {accuracy:.2} %, macro F1 {f1:.4}", rule.name)
    };
    let beside: Vec<String> = rules.iter().map(in_words).collect();
    let place = if found.len() > 1 { "seed-*/classes.tsv" } else { "classes.tsv" };
    format!(
        "test accuracy {:.2} %{several}; macro F1 {f1:.4}; valid accuracy {:.2} %\n\
         {}\n{} kept between the ways; the class of every entity: {}",
        100.0 * test,
        100.0 * valid,
        beside.join("; "),
        bytes_in_words(kept),
        out.join(place).display()
    )
}
