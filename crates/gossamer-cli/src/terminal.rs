//! What a command knows of the world: threads, budget, the clock, progress, Ctrl-C, memory used.
//!
//! *Invariant:* the only place of the project that reads the environment and the clock.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::ArgMatches;
use gossamer::{Machine, Observer, Progress};
use gossamer_machine::InstructionSet;
use gossamer_machine::faults::Faults;
use gossamer_machine::ledger::{bytes_in_words, parse_bytes};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::container;
use crate::exit::Failure;

/// Interrupts so far.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
/// Time between plain progress lines, where standard error is no terminal.
const PLAIN_LINES: Duration = Duration::from_secs(5);
/// A command that takes less says nothing about its time.
const WORTH_SAYING: Duration = Duration::from_millis(300);

/// What a command may use.
pub struct Context {
    /// Threads, instruction set, budget.
    pub machine: Machine,
    /// True if results are to be JSON.
    pub json: bool,
    started: Instant,
    bar: Option<ProgressBar>,
    plain: Mutex<Plain>,
}

/// The instruction set that `GOSSAMER_CPU` asks for, one that this processor has.
fn instruction_set(name: &str) -> Result<InstructionSet, Failure> {
    let known: Vec<&str> = InstructionSet::all().map(InstructionSet::name).collect();
    InstructionSet::all().find(|set| set.name() == name).ok_or_else(|| {
        Failure::input(
            format!("GOSSAMER_CPU={name} is nothing that this processor has"),
            &format!("it has {}", known.join(", ")),
        )
    })
}

#[derive(Default)]
struct Plain {
    stage: String,
    stage_started: Duration,
    /// What was done when it started: a run that goes on has some behind it.
    done_before: u64,
    said: Option<Duration>,
}

impl Context {
    /// From the flags that every command has, and whether the allocator gives back what is freed.
    pub fn new(arguments: &ArgMatches, gives_back: bool) -> Result<Self, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let flag = |name: &str| arguments.try_get_one::<String>(name).ok().flatten();
        let threads = match flag("threads") {
            None => cores,
            Some(text) => {
                text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| {
                    Failure::input(format!("--threads {text} is no number of threads"), "1 to 1024")
                })?
            }
        };
        let budget = flag("budget").map(|text| parse_bytes(text)).transpose();
        let named =
            budget.map_err(|what| Failure::input(what, "--budget covers the whole process"))?;
        let (budget, above) = container::budget(named, container::memory_limit());
        let json = arguments.try_get_one::<bool>("json").ok().flatten() == Some(&true);
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(style(true));
            bar
        });
        // A second handler in one process would fail; there is one command per process.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTS.fetch_add(1, Ordering::SeqCst) > 0 {
                std::process::exit(130);
            }
            let _ = writeln!(
                std::io::stderr(),
                "\nstopping at the next step; once more to leave at once"
            );
        });
        let mut machine = Machine { gives_back, ..Machine::new(threads, budget) };
        if let Ok(name) = std::env::var("GOSSAMER_CPU") {
            machine.instruction_set = instruction_set(&name)?;
        }
        if arguments.try_get_one::<bool>("verify").ok().flatten() == Some(&true) {
            machine.faults = Faults::looking();
        }
        let context = Self { machine, json, started: Instant::now(), bar, plain: Mutex::default() };
        if let Some(limit) = budget.filter(|_| above) {
            let limit = bytes_in_words(limit);
            context
                .say(&format!("the memory limit of this control group makes the budget {limit}"));
        }
        Ok(context)
    }

    /// One line to standard error.
    pub fn say(&self, line: &str) {
        self.beside_bar(|| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }

    /// Text to standard output. A closed pipe is no failure.
    pub fn print(&self, text: &str) {
        self.beside_bar(|| {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
            let _ = out.flush();
        });
    }

    /// Takes the bar away while something is written.
    fn beside_bar(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the progress away and says what there is to say at the end.
    pub fn close(&self, ended_well: bool, says_cost: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        for line in self.last_lines(ended_well, says_cost) {
            self.say(&line);
        }
    }

    /// Of a command that ended well: what it cost, if wanted, and whether that was more than it
    /// might.
    fn last_lines(&self, ended_well: bool, says_cost: bool) -> Vec<String> {
        if !ended_well {
            return Vec::new();
        }
        let (elapsed, peak) = (self.started.elapsed(), peak_bytes());
        let cost = (says_cost && elapsed >= WORTH_SAYING).then(|| {
            let peak = peak.map(|bytes| format!(", peak memory {}", bytes_in_words(bytes)));
            format!("{:.1} s{}", elapsed.as_secs_f64(), peak.unwrap_or_default())
        });
        let broken = peak.zip(self.machine.budget_bytes).and_then(|(had, may)| above(had, may));
        cost.into_iter().chain(broken).collect()
    }
}

/// What to say of a peak above the budget: a promise that was broken is not kept quiet.
fn above(peak: u64, budget: u64) -> Option<String> {
    let [had, named] = [peak, budget].map(bytes_in_words);
    (peak > budget).then(|| {
        format!(
            "warning: peak memory {had} is above the budget of {named}\n\
             hint: the plan counted too little, which is a fault of gossamer; please report it"
        )
    })
}

fn style(known: bool) -> ProgressStyle {
    let template = if known {
        "{msg:24} {bar:24} {human_pos}/{human_len} {prefix}"
    } else {
        "{msg:24} {spinner} {human_pos} {prefix}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Context {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn progress(&self, progress: &Progress<'_>) {
        let Ok(mut plain) = self.plain.lock() else { return };
        // Read once the lock is held: another thread may have waited longer and said it later.
        let now = self.now();
        if plain.stage != progress.stage {
            progress.stage.clone_into(&mut plain.stage);
            (plain.stage_started, plain.done_before) = (now, progress.done);
            if let Some(bar) = &self.bar {
                bar.set_style(style(progress.total > 0));
                bar.set_message(progress.stage.to_string());
            }
        }
        let due = plain.said.is_none_or(|said| now.saturating_sub(said) >= PLAIN_LINES);
        let redraw =
            plain.said.is_none_or(|said| now.saturating_sub(said) >= Duration::from_millis(100));
        if if self.bar.is_some() { !redraw } else { !due } {
            return;
        }
        plain.said = Some(now);
        let done = progress.done.saturating_sub(plain.done_before);
        let words = rate_in_words(progress, done, now.saturating_sub(plain.stage_started));
        match &self.bar {
            Some(bar) => {
                if progress.total > 0 {
                    bar.set_length(progress.total);
                }
                bar.set_position(progress.done);
                bar.set_prefix(words);
            }
            None if progress.done > 0 => {
                let total =
                    if progress.total > 0 { format!("/{}", progress.total) } else { String::new() };
                drop(plain);
                self.say(&format!("{}  {}{total}  {words}", progress.stage, progress.done));
            }
            None => {}
        }
    }

    fn cancelled(&self) -> bool {
        INTERRUPTS.load(Ordering::Relaxed) > 0
    }

    fn log(&self, line: &str) {
        self.say(line);
    }
}

/// Rate, time left and figures.
fn rate_in_words(progress: &Progress<'_>, done: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if done == 0 || seconds < 0.05 {
        return format!("{} {}", progress.unit, progress.detail);
    }
    let rate = done as f64 / seconds;
    let mut words = format!("{rate:.0} {}/s", progress.unit);
    if progress.total > progress.done {
        words += &format!("  eta {:.0} s", (progress.total - progress.done) as f64 / rate);
    }
    if !progress.detail.is_empty() {
        words += &format!("  {}", progress.detail);
    }
    words
}

/// Seconds since 1970.
pub fn wall_time() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The process's largest resident set so far, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_instruction_set_can_be_asked_for_and_no_other() {
        assert_eq!(instruction_set("portable").unwrap(), InstructionSet::Portable);
        assert!(instruction_set("abacus").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_broken_budget_is_said() {
        let command = clap::Command::new("test").arg(clap::arg!(--budget <SIZE>));
        let within = |budget: &str| {
            let words = ["test", "--budget", budget];
            let arguments = command.clone().try_get_matches_from(words).unwrap();
            Context::new(&arguments, true).unwrap()
        };
        let said = within("1KiB").last_lines(true, false);
        assert!(said[0].starts_with("warning: peak memory "), "{said:?}");
        assert!(said[0].contains(" is above the budget of 1.0 KiB\nhint: "), "{said:?}");
        assert!(within("1TiB").last_lines(true, false).is_empty());
        // A command that was refused or stopped has said why already.
        assert!(within("1KiB").last_lines(false, true).is_empty());
    }
}
