//! `gossamer ls`: everything that can be named.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use clap::{ArgMatches, Command as Clap};
use gossamer::config::recipe::{self, Recipe};
use gossamer::config::{ALIASES, SETTINGS};
use gossamer::sample::Source;
use gossamer::{evaluate, form, loss, recommend, regulariser, sample, score};
use gossamer_graph::read;
use serde_json::{Value, json};

use super::{Command, option, text};
use crate::exit::Failure;
use crate::output;
use crate::terminal::Context;

/// `gossamer ls`.
pub struct Ls;

/// A registered thing: its family, name, summary, formula and source.
pub struct Entry {
    /// "score function", "loss" …
    pub family: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: Cow<'static, str>,
    /// Its formula; empty for formats and commands.
    pub formula: &'static str,
    /// Its source; empty for commands.
    pub paper: &'static str,
    /// A command line, or a text, that shows it.
    pub example: String,
}

macro_rules! entries {
    ($family:literal, $all:expr, $example:expr) => {
        $all.iter().map(|entry| Entry {
            family: $family,
            name: entry.name(),
            summary: entry.summary().into(),
            formula: entry.formula(),
            paper: entry.paper(),
            example: $example(entry.name()),
        })
    };
}

fn of_recipe(recipe: &'static Recipe) -> Entry {
    Entry {
        family: "recipe",
        name: &recipe.name,
        summary: format!("MRR {:.4} on {}: {}", recipe.mrr, recipe.data, recipe.flags).into(),
        formula: "",
        paper: "Measured by bench/quality; docs/benchmarks.md has the whole row.",
        example: format!("gossamer train graph/ --recipe {} -o run/", recipe.name),
    }
}

/// Trains with a negative sampler.
fn sampler(name: &str) -> String {
    let near = sample::find(name).is_ok_and(|found| found.source() == Source::Neighbourhood);
    let vectors = if near { " --neighbours descriptions/entity.npy" } else { "" };
    let form = "--form negative-sampling --shared-negatives false";
    format!("gossamer train graph/ {form} --negative-sampler {name}{vectors} -o run/")
}

/// Learns classes with a layer.
fn layer(name: &str) -> String {
    format!("gossamer train classes/ --model {name} -o run/")
}

/// Learns classes with activations kept through a codec.
fn codec(name: &str) -> String {
    format!("gossamer train classes/ --model gcn --activations {name} -o run/")
}

/// Every entry of every registry, in order.
pub fn entries() -> Vec<Entry> {
    let setting = |key: &'static str| {
        move |name: &str| format!("gossamer train graph/ --{key} {name} -o run/")
    };
    let with_sampling = |name: &str| {
        format!("gossamer train graph/ --form negative-sampling --loss {name} -o run/")
    };
    let judged = |_: &str| "gossamer evaluate run/".to_string();
    let mut all = Vec::new();
    all.extend(super::ALL.iter().map(|command| Entry {
        family: "command",
        name: command.name(),
        summary: command.summary().into(),
        formula: "",
        paper: "",
        example: command.example().to_string(),
    }));
    all.extend(read::ALL.iter().map(|reader| Entry {
        family: "format",
        name: reader.name(),
        summary: reader.summary().into(),
        formula: "",
        paper: reader.paper(),
        example: reader.example().to_string(),
    }));
    all.extend(read::layout::ALL.iter().map(|layout| Entry {
        family: "layout",
        name: layout.name(),
        summary: layout.summary().into(),
        formula: "",
        paper: layout.paper(),
        example: layout.example().to_string(),
    }));
    all.extend(entries!("score function", score::ALL, setting("model")));
    let recommender = |name: &str| format!("gossamer train shop/ --model {name} -o run/");
    all.extend(entries!("recommender", recommend::ALL, recommender));
    all.extend(entries!("training form", form::ALL, setting("form")));
    all.extend(entries!("loss", loss::ALL, with_sampling));
    all.extend(entries!("regulariser", regulariser::ALL, setting("regulariser")));
    all.extend(entries!("negative sampler", sample::ALL, sampler));
    all.extend(entries!("optimiser", gossamer::optim::ALL, setting("optimiser")));
    all.extend(entries!("schedule", gossamer::schedule::ALL, setting("schedule")));
    all.extend(recipe::all().iter().map(of_recipe));
    let classified = |_: &str| {
        "gossamer classify run/ --valid-negatives valid_negatives.txt --test-negatives test_negatives.txt"
            .to_string()
    };
    all.extend(gossamer::export::ALL.iter().map(|format| Entry {
        family: "vector format",
        name: format.name(),
        summary: format.summary().into(),
        formula: "",
        paper: format.paper(),
        example: format.example().to_string(),
    }));
    all.extend(gossamer_graph::write::ALL.iter().map(|format| Entry {
        family: "output format",
        name: format.name(),
        summary: format.summary().into(),
        formula: "",
        paper: format.paper(),
        example: format!("gossamer export graph/ --format {} -o facts/", format.name()),
    }));
    all.extend(entries!("layer", gossamer::layer::ALL, layer));
    all.extend(entries!("codec", gossamer::codec::ALL, codec));
    all.extend(entries!("row code", gossamer::row_code::ALL, setting("rows")));
    all.extend(entries!("calibration", evaluate::calibration::ALL, classified));
    all.extend(entries!("metric", evaluate::metric::ALL, judged));
    all
}

/// Writes a page per family, and one for settings.
fn write_reference(folder: &Path) -> Result<(), Failure> {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for entry in entries() {
        let file = format!("{}.md", plural(entry.family).replace(' ', "-"));
        let page = pages.entry(file).or_insert_with(|| heading(entry.family));
        *page += &format!("\n## {}\n\n{}.\n", entry.name, entry.summary.trim_end_matches('.'));
        for (what, words) in [("Formula", entry.formula), ("Source", entry.paper)] {
            if !words.is_empty() {
                *page += &format!("\n*{what}:* {words}\n");
            }
        }
        *page += &format!("\n```text\n{}\n```\n", entry.example.trim_end());
    }
    pages.insert("settings.md".into(), settings_page());
    let failed = |error: std::io::Error| Failure::system(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, page) in pages {
        gossamer_machine::file::write_whole(&folder.join(name), page.as_bytes())
            .map_err(gossamer::Error::from)?;
    }
    Ok(())
}

fn plural(word: &str) -> String {
    if word.ends_with('s') { format!("{word}es") } else { format!("{word}s") }
}

fn heading(family: &str) -> String {
    let mut letters = family.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = plural(letters.as_str());
    format!("# {first}{rest}\n\nMade by `gossamer ls --reference`.\n")
}

fn settings_page() -> String {
    let mut page = heading("setting");
    page += "\nEach stands in a run's `config.toml`, in a file given with `--config`, and as a flag of \
             `gossamer train` (`learning_rate` is `--learning-rate`).\n\n\
             | setting | unit | what it does | known elsewhere as |\n|---|---|---|---|\n";
    for setting in SETTINGS {
        let aliases = ALIASES.iter().filter(|(_, name)| *name == setting.key);
        let aliases: Vec<String> = aliases.map(|(alias, _)| format!("`{alias}`")).collect();
        let (key, unit, help) = (setting.key, setting.unit, setting.help);
        page += &format!("| `{key}` | {unit} | {help} | {} |\n", aliases.join(", "));
    }
    page
}

impl Command for Ls {
    fn name(&self) -> &'static str {
        "ls"
    }
    fn summary(&self) -> &'static str {
        "List what can be named: score functions, losses, optimisers, formats, metrics …"
    }
    fn example(&self) -> &'static str {
        "gossamer ls"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(option("reference", "FOLDER", "Write the reference as Markdown pages"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        if let Some(folder) = text(arguments, "reference") {
            return write_reference(Path::new(folder));
        }
        if context.json {
            let value = |entry: Entry| {
                json!({
                    "family": entry.family,
                    "name": entry.name,
                    "summary": entry.summary,
                    "formula": entry.formula,
                    "paper": entry.paper,
                    "example": entry.example,
                })
            };
            context.print(&entries().into_iter().map(value).collect::<Value>().to_string());
            return Ok(());
        }
        let mut rows = output::table(&["family", "name", "what it is"]);
        for entry in entries() {
            rows.add_row([entry.family, entry.name, &*entry.summary]);
        }
        context.print(&rows.trim_fmt());
        Ok(())
    }
    fn reports_cost(&self) -> bool {
        false
    }
}
