//! `gossamer tune`: search for settings, in the time that is given.

use clap::{ArgMatches, Command as Clap};
use gossamer::tune::{EPOCHS, Trial, TuneRequest, front, tune};
use gossamer::{Error, Snapshot};
use gossamer_machine::ledger::bytes_in_words;
use serde_json::{Value, json};

use super::{Command, duration, folder, number, option, output, path, text};
use crate::exit::Failure;
use crate::output::{self, render};
use crate::report;
use crate::report::tuned::settings_in_words;
use crate::terminal::Context;

/// `gossamer tune`.
pub struct Tune;

impl Command for Tune {
    fn name(&self) -> &'static str {
        "tune"
    }
    fn summary(&self) -> &'static str {
        "Search for settings that suit a graph, in the time given; Ctrl-C, then the same call goes on"
    }
    fn example(&self) -> &'static str {
        "gossamer tune graph/ --time 1s -o tuned/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("graph", "A graph folder"))
            .arg(output("The folder of the search"))
            .arg(option("time", "TIME", "Time in all, such as 90s, 30m or 2h").required(true))
            .arg(option("seed", "N", "Seed of the trials [default: 0]"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let graph = Snapshot::open(&path(arguments, "graph")).map_err(Error::from)?;
        let request = TuneRequest {
            out: path(arguments, "output"),
            time: duration(text(arguments, "time").unwrap_or_default())?,
            seed: number(arguments, "seed")?.unwrap_or(0),
        };
        let trials = tune(&graph, &request, &context.machine, context)?;
        let best = front(&trials);
        let page = request.out.join(report::FILE);
        gossamer_machine::file::write_whole(&page, report::tuned::html(&trials).as_bytes())
            .map_err(Error::from)?;
        if context.json {
            let lines = |trials: &[&Trial]| trials.iter().map(|one| line(one)).collect::<Value>();
            let all: Vec<&Trial> = trials.iter().collect();
            let value = json!({"front": lines(&best), "trials": lines(&all)});
            context.print(&value.to_string());
        } else {
            context.print(&in_words(&trials, &best));
        }
        if let Some(best) = best.first() {
            let run = request.out.join(format!("trial-{}", best.number));
            context.say(&format!("next: gossamer evaluate {}", run.display()));
        }
        Ok(())
    }
}

fn line(trial: &Trial) -> Value {
    json!({
        "trial": trial.number,
        "rung": trial.rung + 1,
        "valid_mean_reciprocal_rank": trial.mrr,
        "bytes": trial.bytes,
        "seconds": trial.seconds,
        "config": trial.config.to_toml(),
    })
}

fn in_words(trials: &[Trial], best: &[&Trial]) -> String {
    let mut rows = output::table(&["trial", "valid MRR", "tables", "seconds", "settings"]);
    for trial in best {
        rows.add_row([
            trial.number.to_string(),
            format!("{:.4}", trial.mrr),
            bytes_in_words(trial.bytes),
            format!("{:.0}", trial.seconds),
            settings_in_words(trial),
        ]);
    }
    let of_rung = |rung: usize| trials.iter().filter(|trial| trial.rung == rung).count();
    let counts: Vec<String> = EPOCHS
        .iter()
        .enumerate()
        .map(|(rung, n)| format!("{} of {n} epochs", of_rung(rung)))
        .collect();
    format!(
        "{}\ntrials: {}; above are those in full that no other beats in MRR, bytes and seconds\n",
        render(rows),
        counts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_refused() {
        for (text, seconds) in [("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("0s", 0.0)] {
            assert_eq!(duration(text).unwrap().as_secs_f64(), seconds);
        }
        for text in ["", "s", "90", "-1s", "1e9h", "2 h", "1.2.3s", "NaNs", "5 µ"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
