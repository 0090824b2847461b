//! `gossamer plan`: what fits, before anything is learned.

use clap::{ArgMatches, Command as Clap};
use gossamer::offer::{Offer, offers};
use gossamer::{Error, Snapshot};
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
        "List settings that fit a budget and a time, with the bytes and seconds they would take"
    }
    fn example(&self) -> &'static str {
        "gossamer plan graph/ --budget 64MiB --time 5m"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("graph", "A graph folder"))
            .arg(option("time", "TIME", "Most time for a run, such as 90s, 30m or 2h"))
            .arg(option("model", "NAME", "Score function [default: complex]"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let folder = path(arguments, "graph");
        let graph = Snapshot::open(&folder).map_err(Error::from)?;
        let time = text(arguments, "time").map(duration).transpose()?;
        let model = text(arguments, "model").unwrap_or("complex");
        let seconds = time.map(|time| time.as_secs_f64());
        let (found, chosen) = offers(&graph, model, seconds, &context.machine, context)?;
        let command = chosen.map(|place| {
            let settings = found[place].settings.iter();
            let words =
                settings.map(|(key, value)| format!(" --{} {value}", key.replace('_', "-")));
            let budget = text(arguments, "budget").map(|budget| format!(" --budget {budget}"));
            let (words, budget) = (words.collect::<String>(), budget.unwrap_or_default());
            format!("gossamer train {}{words}{budget} -o run/", folder.display())
        });
        if context.json {
            let lines = found.iter().map(line).collect::<Value>();
            let value = json!({"offers": lines, "chosen": chosen, "command": command});
            context.print(&value.to_string());
            return Ok(());
        }
        context.print(&in_words(&found, chosen));
        context.print(&match &command {
            Some(command) => format!("chosen: {command}"),
            None => "none of them ends in that time; --model transe or more time may help".into(),
        });
        Ok(())
    }
}

fn line(offer: &Offer) -> Value {
    json!({
        "settings": offer.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "train_bytes": offer.bytes[0],
        "evaluate_bytes": offer.bytes[1],
        "seconds_an_epoch": offer.pace.epoch,
        "seconds_a_validation": offer.pace.validation,
        "seconds": offer.seconds(),
    })
}

fn in_words(offers: &[Offer], chosen: Option<usize>) -> String {
    let headings =
        ["", "model", "dim", "rows", "form", "training", "evaluation", "an epoch", "a run"];
    let mut rows = output::table(&headings);
    for (place, offer) in offers.iter().enumerate() {
        let config = &offer.config;
        rows.add_row([
            if chosen == Some(place) { "*".to_string() } else { String::new() },
            config.model.clone(),
            config.dim.to_string(),
            config.rows.clone(),
            config.form.clone(),
            bytes_in_words(offer.bytes[0]),
            bytes_in_words(offer.bytes[1]),
            seconds_in_words(offer.pace.epoch),
            seconds_in_words(offer.seconds()),
        ]);
    }
    render(rows)
}

/// "1.5 s", "12 min", "3.4 h".
fn seconds_in_words(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 100.0 => format!("{seconds:.1} s"),
        seconds if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
