//! `gossamer bench`: what this machine can do, and how much of it the kernels take.

use clap::{ArgMatches, Command as Clap};
use gossamer::Machine;
use serde_json::json;

use super::ceilings::{Figure, Measuring, Shape};
use super::{Command, number, option, passes, text};
use crate::exit::Failure;
use crate::output::{count, render, table};
use crate::terminal::Context;

/// `gossamer bench`.
pub struct Bench;

impl Command for Bench {
    fn name(&self) -> &'static str {
        "bench"
    }
    fn summary(&self) -> &'static str {
        "Measure this machine's ceilings and each kernel's share of them, on a made-up graph"
    }
    fn example(&self) -> &'static str {
        "gossamer bench --entities 500 --triples 2000 --seconds 0.01"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(option("entities", "N", "Entities [default: 14541]"))
            .arg(option("relations", "N", "Relations [default: 237]"))
            .arg(option("triples", "N", "Training triples [default: 272115]"))
            .arg(option("dim", "N", "Size of an embedding [default: 100]"))
            .arg(option("network", "LAYER", "Measure a network of such layers on --graph instead"))
            .arg(option("graph", "FOLDER", "The graph folder for --network"))
            .arg(option("layers", "N", "With --network: how many layers [default: 2]"))
            .arg(option("activations", "CODEC", "With --network: how rows are kept [exact]"))
            .arg(option("seconds", "S", "Time for each figure [default: 2]"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        if let Some(layer) = text(arguments, "network") {
            return passes::run(layer, arguments, context);
        }
        let shape = Shape {
            n_entities: number(arguments, "entities")?.unwrap_or(14_541),
            n_relations: number(arguments, "relations")?.unwrap_or(237),
            n_triples: number(arguments, "triples")?.unwrap_or(272_115),
            dim: number(arguments, "dim")?.unwrap_or(100),
        };
        if shape.n_entities < 2 || shape.n_relations == 0 || shape.n_triples == 0 || shape.dim == 0
        {
            return Err(Failure::input("there is nothing to measure", "all sizes are at least 1"));
        }
        let seconds: f64 = number(arguments, "seconds")?.unwrap_or(2.0);
        if !seconds.is_finite() {
            return Err(Failure::input("--seconds never ends", "write a number such as 2"));
        }
        let figures = Measuring::new(shape, seconds, context).all()?;
        if context.json {
            let line = |figure: &Figure| {
                json!({
                    "name": figure.name, "value": figure.value, "unit": figure.unit,
                    "gflops": figure.gflops, "ceiling": figure.ceiling, "share": figure.share(),
                })
            };
            let lines: Vec<_> = figures.iter().map(line).collect();
            let set = context.machine.instruction_set.name();
            let threads = context.machine.workers.n_threads();
            let value = json!({"instruction_set": set, "threads": threads, "figures": lines});
            context.print(&value.to_string());
        } else {
            context.print(&in_words(&figures, &context.machine));
        }
        Ok(())
    }
}

fn in_words(figures: &[Figure], machine: &Machine) -> String {
    let mut rows = table(&["figure", "value", "unit", "GFLOP/s", "of ceiling"]);
    for figure in figures {
        let value = if figure.value < 1000.0 {
            format!("{:.1}", figure.value)
        } else {
            count(figure.value as usize)
        };
        let gflops = figure.gflops.map_or(String::new(), |gflops| format!("{gflops:.0}"));
        let share = figure.share().map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        rows.add_row([figure.name.clone(), value, figure.unit.into(), gflops, share]);
    }
    let (set, threads) = (machine.instruction_set.name(), machine.workers.n_threads());
    format!("{set}, {threads} threads\n{}\n", render(rows))
}
