//! `gossamer bench --network rgcn --graph graph/`: the seconds and bytes of a network's step.
//!
//! Not a command of its own: `bench` comes here when a network is named. A step is a forward pass, the
//! way back from a gradient of ones, and the change of all parameters; no score function is in it.

use std::time::Instant;

use clap::ArgMatches;
use gossamer::layer;
use gossamer::layer::around::Around;
use gossamer::network::activations::Activations;
use gossamer::network::{Design, Network, Passed};
use gossamer::optim::{self, Step};
use gossamer::{Error, Snapshot, Split};
use gossamer_machine::ledger::bytes_in_words;
use gossamer_machine::{Address, Ledger, Machine, Purpose};
use gossamer_tensor::array::Array;
use serde_json::json;

use super::{number, path, text};
use crate::exit::Failure;
use crate::terminal::{Context, peak_bytes};

/// Measures a network, and prints what was found.
pub fn run(name: &str, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
    let graph = Snapshot::open(&path(arguments, "graph")).map_err(Error::from)?;
    let triples: Vec<[u32; 3]> = graph.triples(Split::Train).map_err(Error::from)?.iter().collect();
    let (n, n_relations) = (graph.entities().len(), graph.relations().len());
    let width: usize = number(arguments, "dim")?.unwrap_or(200);
    let layer = layer::find(name).map_err(Error::from)?;
    let n_labels = 2 * n_relations + 1;
    let design = Design {
        layer,
        n_layers: number(arguments, "layers")?.unwrap_or(2),
        table: Some([n, width]),
        relations: layer.composes().then_some([n_labels, width]),
        n_labels,
        widths: [width; 3],
        dropout: 0.1,
        edge_dropout: 0.0,
        residual: false,
        reversible: false,
    };
    let words = text(arguments, "activations").unwrap_or("exact");
    let mut activations = Activations::parse(words)?;
    let around = Around::of(layer.view(), n, n_relations, &triples);
    drop(triples);
    let machine = &context.machine;
    let adam = optim::find("adam").map_err(Error::from)?;
    let mut network = Network::new(design, machine, 0).with_states(adam, machine);
    let seconds: f64 = number(arguments, "seconds")?.unwrap_or(2.0);
    let (mut times, mut kept) = (Vec::new(), Ledger::default());
    let started = Instant::now();
    // The first step makes the room that others use.
    while times.len() < 4 || started.elapsed().as_secs_f64() < seconds {
        let began = Instant::now();
        kept = step(&mut network, &around, &mut activations, times.len() as u64, machine)?;
        times.push(began.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    if context.json {
        let value = json!({
            "network": name, "layers": design.n_layers, "width": width, "activations": words,
            "seconds_a_step": median, "fastest": times[0], "steps": times.len(),
            "kept_bytes": kept.total(), "peak_bytes": peak_bytes(),
        });
        context.print(&value.to_string());
    } else {
        let kept = bytes_in_words(kept.total());
        let of = format!("{name}, {} layers of {width}, {words}", design.n_layers);
        context.print(&format!("{of}: {median:.3} s a step, {kept} kept between the ways"));
    }
    Ok(())
}

/// One step; returns what was kept.
fn step(
    network: &mut Network,
    around: &Around,
    activations: &mut Activations,
    number: u64,
    machine: &Machine,
) -> Result<Ledger, Failure> {
    let at = (Address::new(0, Purpose::Layer, number), number);
    let found = network.pass((around, None), activations, at, machine, |rows, _| {
        let mut ones = Array::room(&machine.buffers, rows.rows, rows.width);
        ones.values.fill(1.0 / rows.rows as f32);
        [ones, Array::default()]
    });
    let diverged = || Error::Diverged { loss: f64::NAN, epoch: number };
    let Passed { ids, mut gradients, kept } = found.ok_or_else(diverged)?;
    activations.choose(&gradients.needs);
    let instruction_set = machine.instruction_set;
    let step = Step { learning_rate: 1e-4, number: number + 1, seed: 0, instruction_set };
    let adam = optim::find("adam").map_err(Error::from)?;
    network.change(&ids, &mut gradients, adam, (&step, &step), machine);
    Ok(kept)
}
