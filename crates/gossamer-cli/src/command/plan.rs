//! `gossamer plan`: what fits, before anything is learned.

use std::time::Duration;

use clap::{ArgMatches, Command as Clap};
use gossamer::offer::worth::Worth;
use gossamer::offer::{Offer, Wanted, front, offers};
use gossamer::{Error, Snapshot};
use gossamer_machine::FileError;
use gossamer_machine::ledger::bytes_in_words;
use serde_json::{Value, json};

use super::{Command, duration, folder, option, path, text};
use crate::exit::Failure;
use crate::output::{self, render};
use crate::terminal::Context;

/// `gossamer plan`.
pub struct Plan;

impl Command for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }
    fn summary(&self) -> &'static str {
        "List settings that fit a budget and a time, with their bytes, seconds and the MRR to expect"
    }
    fn example(&self) -> &'static str {
        "gossamer plan graph/ --budget 64MiB --time 5m"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("graph", "A graph folder"))
            .arg(option("time", "TIME", "Most time for a run, such as 90s, 30m or 2h"))
            .arg(option("model", "NAME", "Score function [default: complex]"))
            .arg(option(
                "estimate",
                "TIME",
                "Time for learning small models, which tell what MRR to expect; 0s: none [default: \
                 a tenth of --time, else 2m]",
            ))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let folder = path(arguments, "graph");
        let graph = Snapshot::open(&folder).map_err(Error::from)?;
        let time = text(arguments, "time").map(duration).transpose()?;
        let learning = match text(arguments, "estimate") {
            Some(text) => duration(text)?,
            None => time.map_or(Duration::from_secs(120), |time| time / 10),
        };
        let scratch = tempfile::Builder::new().prefix("gossamer-plan-").tempdir();
        let scratch = scratch.map_err(FileError::io("create a folder in", &std::env::temp_dir()));
        let scratch = scratch.map_err(Error::from)?;
        let wanted = Wanted {
            model: text(arguments, "model").unwrap_or("complex"),
            seconds: time.map(|time| time.as_secs_f64()),
            scratch: scratch.path(),
            learning,
        };
        let (found, chosen) = offers(&graph, &wanted, &context.machine, context)?;
        let shown = front(&found);
        let command = chosen.map(|place| {
            let settings = found[place].settings.iter();
            let words =
                settings.map(|(key, value)| format!(" --{} {value}", key.replace('_', "-")));
            let budget = text(arguments, "budget").map(|budget| format!(" --budget {budget}"));
            let (words, budget) = (words.collect::<String>(), budget.unwrap_or_default());
            format!("gossamer train {}{words}{budget} -o run/", folder.display())
        });
        if context.json {
            let lines = found.iter().enumerate();
            let lines = lines.map(|(place, offer)| line(offer, shown.contains(&place)));
            let lines = lines.collect::<Value>();
            let value = json!({"offers": lines, "chosen": chosen, "command": command});
            context.print(&value.to_string());
            return Ok(());
        }
        context.print(&in_words(&found, &shown, chosen));
        context.print(&match &command {
            Some(command) => format!("chosen: {command}"),
            None => "none of them ends in that time; --model transe or more time may help".into(),
        });
        Ok(())
    }
}

fn line(offer: &Offer, best: bool) -> Value {
    json!({
        "settings": offer.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "optimiser": offer.config.optimiser,
        "form": offer.config.form,
        "batch": offer.config.batch,
        "train_bytes": offer.bytes[0],
        "evaluate_bytes": offer.bytes[1],
        "seconds_an_epoch": offer.pace.epoch,
        "seconds_a_validation": offer.pace.validation,
        "seconds": offer.seconds(),
        "valid_mean_reciprocal_rank": offer.worth.map(|worth| worth.mrr),
        "learned": offer.worth.is_some_and(|worth| worth.learned),
        "best_of_its_size": best,
    })
}

fn in_words(offers: &[Offer], shown: &[usize], chosen: Option<usize>) -> String {
    let headings = [
        "",
        "model",
        "dim",
        "rows",
        "optimiser",
        "form",
        "batch",
        "training",
        "evaluation",
        "an epoch",
        "a run",
        "MRR",
    ];
    let mut rows = output::table(&headings);
    for place in shown {
        let offer = &offers[*place];
        let config = &offer.config;
        let rows_in_words = match config.partitions {
            1 => config.rows.clone(),
            n => format!("{}, {} of {n} parts", config.rows, config.in_memory),
        };
        rows.add_row([
            if chosen == Some(*place) { "*".to_string() } else { String::new() },
            config.model.clone(),
            config.dim.to_string(),
            rows_in_words,
            config.optimiser.clone(),
            config.form.clone(),
            config.batch.to_string(),
            bytes_in_words(offer.bytes[0]),
            bytes_in_words(offer.bytes[1]),
            seconds_in_words(offer.pace.epoch),
            seconds_in_words(offer.seconds()),
            match offer.worth {
                Some(Worth { mrr, learned: true }) => format!("{mrr:.3}"),
                Some(Worth { mrr, learned: false }) => format!("~ {mrr:.3}"),
                None => "unknown".to_string(),
            },
        ]);
    }
    let mut words = render(rows);
    if offers.iter().any(|offer| offer.worth.is_some()) {
        words += "\nMRR: of the validation triples, as training says it; ~ estimated from the small models learned here";
    }
    let beaten = offers.len() - shown.len();
    if beaten > 0 {
        words += &format!("\nnot shown: {beaten} that are beaten in bytes, seconds and MRR alike");
    }
    words
}

/// "1.5 s", "12 min", "3.4 h".
fn seconds_in_words(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 100.0 => format!("{seconds:.1} s"),
        seconds if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
