//! `gossamer train`: learn a graph into a run folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command as Clap};
use gossamer::config::SETTINGS;
use gossamer::offer::nearest::nearest;
use gossamer::plan::{GraphShape, train_plan};
use gossamer::train::checkpoint::latest;
use gossamer::train::vectors::{Vectors, names_beside};
use gossamer::train::{Outcome, TrainRequest, resume, train};
use gossamer::{Config, Error, Machine, Run, Snapshot, config::recipe, layer};
use gossamer_machine::Ledger;
use serde_json::json;

use super::{
    Command, classes, flag, folder, number, option, output, path, recommenders, report, text,
};
use crate::exit::Failure;
use crate::output;
use crate::tensorboard::events;
use crate::terminal::{Context, wall_time};

/// `gossamer train`.
pub struct Train;

impl Command for Train {
    fn name(&self) -> &'static str {
        "train"
    }
    fn summary(&self) -> &'static str {
        "Learn a graph into a run folder; Ctrl-C saves, gossamer resume goes on"
    }
    fn example(&self) -> &'static str {
        "gossamer train graph/ --model complex --dim 100 -o run/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        let settings = SETTINGS.iter().map(|setting| {
            Arg::new(setting.key)
                .long(setting.key.replace('_', "-"))
                .value_name("VALUE")
                .allow_negative_numbers(true)
                .help_heading("Settings (also in --config)")
                .help(format!("{} [{}]", setting.help, setting.unit))
        });
        clap.arg(folder("graph", "A graph folder"))
            .arg(
                output("The run folder to write")
                    .required(false)
                    .required_unless_present("dry-run"),
            )
            .arg(option(
                "recipe",
                "NAME",
                "Settings with a known result (gossamer ls); file and flags win over them",
            ))
            .arg(option("config", "FILE", "Settings from a TOML file; flags win over it"))
            .arg(option(
                "init",
                "FILE.npy",
                "Entity rows to start from; names, one per line, in FILE.txt",
            ))
            .arg(option(
                "init-relations",
                "FILE.npy",
                "Relation rows to start from, in the same way",
            ))
            .arg(option(
                "neighbours",
                "FILE.npy",
                "Vectors of entities, such as of their descriptions, for --negative-sampler near",
            ))
            .arg(option(
                "seeds",
                "N",
                "Train N runs, seed-0, seed-1 … in the folder; those that are finished stay",
            ))
            .arg(flag("dry-run", "Print the plan, with what a network keeps, and learn nothing"))
            .arg(flag("tensorboard", "Also write the metrics as a TensorBoard event file"))
            .arg(option(
                "class",
                "PROPERTY",
                "With a layer as the model: the attribute that says an entity's class [default: class]",
            ))
            .arg(flag(
                "verify",
                "Check products of a network's layers and rows of tables by their sums; stop at the first wrong one",
            ))
            .arg(flag(
                "layerwise",
                "With a layer as the model and classes: learn one layer after the other, gcn's way",
            ))
            .arg(option(
                "fanout",
                "N",
                "With a layer as the model and classes: draw N triples of an entity for each layer, around --batch entities a step",
            ))
            .args(recommenders::options())
            .arg(save_every())
            .arg(flag("force", "Replace the run folder if it is there"))
            .args(settings)
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        classes::refuse_unknown(arguments)?;
        let graph = Snapshot::open(&path(arguments, "graph")).map_err(Error::from)?;
        if classes::is_meant(arguments, &graph)? {
            return classes::run(arguments, &graph, context);
        }
        if recommenders::is_meant(arguments) {
            return recommenders::run(arguments, &graph, context);
        }
        recommenders::refuse_own(arguments)?;
        let shape = GraphShape::of(&graph)?;
        let settings = settings_of(arguments, context)?;
        let config =
            Config::from_settings(&settings, Some((shape.n_entities, shape.n_triples[0])))?;
        let shape = shape.with_queries(&graph, &config)?;
        let plan = train_plan(&config, &shape, &context.machine)
            .map_err(|error| refusal(error, &settings, &shape, context))?;
        let exact = Config { activations: "exact".into(), ..config.clone() };
        let exact = train_plan(&exact, &shape, &Machine::new(1, None))?.kept;
        let exact = exact.map_or(0, |exact| exact.total());
        let kept = plan.kept.as_ref().map(|kept| (kept, exact));
        if show_plan(arguments, &plan.ledger, kept, context) {
            return Ok(());
        }
        let out = path(arguments, "output");
        let vectors = |(name, relations)| {
            let array = PathBuf::from(text(arguments, name)?);
            Some(Vectors { names: names_beside(&array), array, relations })
        };
        let mut request = TrainRequest {
            config,
            out: out.clone(),
            replace: arguments.get_flag("force"),
            save_every: saving(arguments)?,
            vectors: [("init", false), ("init-relations", true)]
                .into_iter()
                .filter_map(vectors)
                .collect(),
            neighbours: vectors(("neighbours", false)),
        };
        let tensorboard = arguments.get_flag("tensorboard");
        let Some(seeds) = number::<u64>(arguments, "seeds")? else {
            let result = train(&graph, &request, &context.machine, context);
            conclude(result, &out, context)?;
            return if tensorboard { write_events(&out) } else { Ok(()) };
        };
        let first = request.config.seed;
        for seed in first..first + seeds {
            request.config.seed = seed;
            request.out = out.join(format!("seed-{seed}"));
            context.say(&format!("seed {seed}"));
            train_seed(&graph, &request, context)?;
            if tensorboard {
                write_events(&request.out)?;
            }
        }
        context.say(&format!("next: gossamer evaluate {}", out.display()));
        Ok(())
    }
}

/// Shows what a run will hold in memory, and of it what a network keeps beside the bytes of keeping
/// the same exactly; true if that is all that was asked for.
pub fn show_plan(
    arguments: &ArgMatches,
    ledger: &Ledger,
    kept: Option<(&Ledger, u64)>,
    context: &Context,
) -> bool {
    let dry = arguments.get_flag("dry-run");
    if dry && context.json {
        let kept = kept.map(|(kept, _)| output::ledger_json(kept));
        context.print(&json!({"plan": output::ledger_json(ledger), "kept": kept}).to_string());
        return dry;
    }
    let say = |words: &str| if dry { context.print(words) } else { context.say(words) };
    say(&output::ledger(ledger));
    if let Some((kept, exact)) = kept {
        let times = exact as f64 / kept.total().max(1) as f64;
        let words = format!("{times:.1} × smaller than exactly\n");
        say(&format!("kept between the ways:\n{}\n{words}", output::ledger(kept)));
    }
    dry
}

/// Writes a finished run's metrics where TensorBoard looks for them.
fn write_events(run: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::system(format!("{}: {error}", run.display()));
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).map_err(failed)?;
    let now = wall_time();
    let path = run.join(format!("events.out.tfevents.{:.0}.gossamer", now));
    gossamer_machine::file::write_whole(&path, &events(&metrics, now))
        .map_err(|error| Error::from(error).into())
}

/// Trains one of several seeds; what an earlier call has finished stays, what it has begun goes on.
fn train_seed(graph: &Snapshot, request: &TrainRequest, context: &Context) -> Result<(), Failure> {
    let machine = &context.machine;
    let result = match Run::open(&request.out) {
        _ if request.replace || !request.out.exists() => train(graph, request, machine, context),
        Ok(run) if run.config == request.config => return Ok(()),
        Ok(_) => {
            let what = format!("{} was trained with other settings", request.out.display());
            return Err(Failure::input(what, "name another folder, or replace it with --force"));
        }
        Err(_) => resume(&request.out, request.save_every, machine, context),
    };
    conclude(result, &request.out, context)
}

/// The option that both training commands have.
pub fn save_every() -> Arg {
    option("save-every", "SECONDS", "Time between checkpoints [default: 300]; 0: every step")
}

/// Its value.
pub fn saving(arguments: &ArgMatches) -> Result<Duration, Failure> {
    Ok(Duration::from_secs(number(arguments, "save-every")?.unwrap_or(300)))
}

/// Says how training ended.
pub fn conclude(
    result: Result<Outcome, Error>,
    out: &Path,
    context: &Context,
) -> Result<(), Failure> {
    let outcome = result.map_err(|error| {
        let failure = Failure::from(error);
        let saved = latest(out).is_some();
        let goes_on = saved && (failure.stopped() || failure.of_system());
        let resume = format!("gossamer resume {}", out.display());
        if goes_on { failure.hinting(&resume) } else { failure }
    })?;
    // A budget is kept to the end; the page is made when asked for.
    let page = context.machine.budget_bytes.is_none();
    if page {
        report::after_training(out, context)?;
    }
    let words = match outcome.best_mrr {
        Some(mrr) => format!("validation MRR {mrr:.4} in epoch {}", outcome.best_epoch),
        None => "no validation split: the last epoch's tables are kept".into(),
    };
    if context.json {
        let value = json!({
            "run": out.display().to_string(),
            "epochs": outcome.epochs,
            "best_epoch": outcome.best_epoch,
            "valid_mean_reciprocal_rank": outcome.best_mrr,
            "seconds": outcome.seconds,
            "peak_bytes": crate::terminal::peak_bytes(),
        });
        context.print(&value.to_string());
    } else {
        context.print(&format!("{} epochs in {:.1} s; {words}", outcome.epochs, outcome.seconds));
    }
    context.say(&format!("next: gossamer evaluate {}", out.display()));
    if !page {
        let out = out.display();
        context.say(&format!("no page is made within a budget; gossamer report {out} makes it"));
    }
    Ok(())
}

/// A refusal, with the settings near those asked for that would fit.
fn refusal(
    error: Error,
    settings: &[(String, String)],
    shape: &GraphShape,
    context: &Context,
) -> Failure {
    let too_small = matches!(error, Error::BudgetTooSmall { .. });
    let found = too_small.then(|| nearest(settings, shape, &context.machine));
    let word = |(key, value): &(String, String)| format!("--{} {value}", key.replace('_', "-"));
    let words = |changes: &Vec<_>| changes.iter().map(word).collect::<Vec<_>>().join(" ");
    match found {
        Some(Ok(found)) if !found.is_empty() => {
            let words: Vec<String> = found.iter().map(words).collect();
            Failure::from(error).hinting(&format!("or with {}", words.join(", or with ")))
        }
        _ => error.into(),
    }
}

/// The settings that are said: the recipe's, then the file's, then those of flags.
fn settings_of(
    arguments: &ArgMatches,
    context: &Context,
) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = Vec::new();
    if let Some(name) = text(arguments, "recipe") {
        let recipe = recipe::find(name).map_err(Error::from)?;
        let (flags, data, mrr) = (&recipe.flags, &recipe.data, recipe.mrr);
        context.say(&format!("recipe {name}: {flags}; test MRR {mrr:.4} on {data}"));
        settings = recipe.settings();
    }
    if let Some(file) = text(arguments, "config") {
        let words = std::fs::read_to_string(file).map_err(|error| {
            Failure::input(format!("{file}: cannot be read: {error}"), "check the path")
        })?;
        let (found, notes) = Config::read_toml(&words)?;
        notes.iter().for_each(|note| context.say(note));
        settings.extend(found);
    }
    for setting in SETTINGS {
        if let Some(value) = text(arguments, setting.key) {
            // A layer's name says which network makes the rows that score functions work with.
            let is_layer = setting.key == "model" && layer::find(value).is_ok();
            let key = if is_layer { "layer" } else { setting.key };
            settings.push((key.to_string(), value.to_string()));
        }
    }
    Ok(settings)
}
