//! Commands: one file each.
//!
//! *Invariant:* a registered command is in `gossamer --help`, in the completions and in the
//! reference.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command as Clap};

use crate::exit::Failure;
use crate::terminal::Context;

gossamer_machine::registry!("command", Command:
    demo::Demo,
    import::Import,
    inspect::Inspect,
    synth::Synth,
    plan::Plan,
    train::Train,
    resume::Resume,
    tune::Tune,
    evaluate::Evaluate,
    compare::Compare,
    classify::Classify,
    predict::Predict,
    recommend::Recommend,
    similar::Similar,
    relations::Relations,
    export::Export,
    report::Report,
    check::Check,
    bench::Bench,
    ls::Ls,
    completions::Completions,
);

mod classes;
mod ceilings;
mod passes;
mod recommenders;

/// Something the program does.
pub trait Command: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn summary(&self) -> &'static str;
    /// A command line that shows it.
    fn example(&self) -> &'static str;
    /// Adds its own arguments.
    fn arguments(&self, clap: Clap) -> Clap;
    /// Does it.
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure>;
    /// True if it keeps `--budget`; the others do not take the flag.
    fn keeps_budget(&self) -> bool {
        false
    }
    /// True if time and memory are worth saying at the end.
    fn reports_cost(&self) -> bool {
        true
    }
}

/// The program with all its commands.
pub fn program() -> Clap {
    let threads = option("threads", "N", "Threads [default: all cores]");
    let budget = "Memory the process may take at its peak, such as 512MiB or 4GiB";
    let budget = option("budget", "BYTES", budget);
    let json = flag("json", "Results as JSON on standard output");
    let commands = ALL.iter().map(|command| {
        let clap = Clap::new(command.name())
            .about(command.summary())
            .after_help(format!("Example: {}", command.example()));
        let clap = command.arguments(clap).args([&threads, &json]);
        if command.keeps_budget() { clap.arg(&budget) } else { clap }
    });
    Clap::new("gossamer")
        .about("Knowledge-graph learning that fits the machine you have")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(commands)
        .after_help("Start with: gossamer demo")
}

/// A switch.
pub fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// An option with a value.
pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// A required path in first place.
pub fn folder(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).required(true).value_name(name.to_uppercase()).help(help)
}

/// The folder to write.
pub fn output(help: &'static str) -> Arg {
    Arg::new("output").short('o').long("output").value_name("FOLDER").required(true).help(help)
}

/// A time such as 90s, 30m or 2h.
pub fn duration(text: &str) -> Result<Duration, Failure> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let factor = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let number: f64 = text[..text.len() - unit.len()].parse().unwrap_or(f64::NAN);
    let seconds = number * factor;
    // A thousand days; also none of what is no number.
    if !(0.0..=86_400_000.0).contains(&seconds) {
        return Err(Failure::input(format!("{text} is no time"), "write 90s, 30m or 2h"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The text of an argument.
pub fn text<'a>(arguments: &'a ArgMatches, name: &str) -> Option<&'a str> {
    arguments.get_one::<String>(name).map(String::as_str)
}

/// The path in an argument that is required.
pub fn path(arguments: &ArgMatches, name: &str) -> PathBuf {
    PathBuf::from(text(arguments, name).unwrap_or_default())
}

/// A number in an option.
pub fn number<T: std::str::FromStr>(
    arguments: &ArgMatches,
    name: &str,
) -> Result<Option<T>, Failure> {
    text(arguments, name)
        .map(|text| {
            text.parse().map_err(|_| {
                Failure::input(format!("--{name} {text} is no number it can take"), "see --help")
            })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::program().debug_assert();
    }
}
