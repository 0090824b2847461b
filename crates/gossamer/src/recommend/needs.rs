//! What recommenders that go by pairs need: lines of their plans.

use gossamer_machine::Ledger;
use gossamer_tensor::codec::Codec;
use gossamer_tensor::tape::kept::ROWS;

use super::pairwise::VALIDATE_EVERY;
use super::{Settings, Shape as Sizes};
use crate::network::activations::Activations;

/// Parameters and two moments of each.
pub fn parameters(floats: u64, ledger: &mut Ledger) {
    ledger.add("parameters", format!("3 × {floats}"), "f32", 12 * floats);
}

/// The line of arrays that are given back before lists are judged.
pub const OF_A_STEP: &str = "arrays of a step";

/// The bytes of that line; none where nothing is learned by steps.
pub fn bytes_of_a_step(ledger: &Ledger) -> u64 {
    ledger.lines.iter().find(|line| line.name == OF_A_STEP).map_or(0, |line| line.bytes)
}

/// The arrays of a step, floats, or where that is more those of a validation: so many wide rows of
/// all nodes, from which those of users and items are made, and judged without them; a sixteenth
/// more may wait for their next use. Beside them what the best epoch so far has learned.
pub fn arrays(
    settings: &Settings,
    step: u64,
    (nodes, rows, width): (u64, u64, u64),
    ledger: &mut Ledger,
) {
    let learned = rows * width;
    let most = step.max(nodes * settings.dim as u64 + learned);
    let floats = most + most / 16 - learned;
    ledger.add("rows of users and items", format!("{rows} × {width}"), "f32", 4 * learned);
    ledger.add(OF_A_STEP, format!("{floats}"), "f32", 4 * floats);
    if settings.epochs > VALIDATE_EVERY {
        ledger.add("the best epoch's rows", format!("{rows} × {width}"), "f32", 4 * learned);
    }
}

/// Users that a batch names at most, and items.
pub fn named(settings: &Settings) -> [u64; 2] {
    let batch = settings.batch as u64;
    [batch, batch * (settings.negatives as u64 + 1)]
}

/// How many rows a step has at once of a table's rows, of which pairs name so many at most: what is
/// picked, its slopes and a gradient; of all where most are named.
pub fn of_table(rows: u64, named: u64) -> u64 {
    if 2 * named > rows { 2 * rows } else { 3 * named }
}

/// What the system's allocator does not give back of what was freed while a graph was read, as a
/// share of the arrays that come after: all of some megabytes, or only smaller ones.
pub fn held(sizes: &Sizes, bytes: u64, ledger: &mut Ledger) {
    let twentieths = if sizes.gives_back { 2 } else { 6 };
    let held = bytes * twentieths / 20;
    ledger.add("held by the allocator", format!("{twentieths}/20 of {bytes}"), "u8", held);
}

/// Facts.
pub fn facts(sizes: &Sizes, ledger: &mut Ledger) {
    ledger.add("facts", format!("{}", sizes.n_facts), "u32", 12 * sizes.n_facts);
}

/// What is kept between the ways: so many rows and floats of each through the codec, and exactly so
/// many bits and floats of each.
pub fn kept(
    settings: &Settings,
    (rows, floats): (u64, u64),
    (bits, exact): (u64, u64),
    ledger: &mut Ledger,
) {
    let Ok(activations) = Activations::parse(&settings.activations) else { return };
    let codec: &dyn Codec = activations.most();
    // Blocks of rows are whole groups; the last of each is counted whole.
    let blocks = rows.div_ceil(ROWS as u64);
    let through = blocks * codec.bytes_for(ROWS * floats as usize) as u64;
    let bytes = through + rows * (bits.div_ceil(8) + 4 * exact);
    let words = format!("{rows} × {floats}, {bits} bits");
    ledger.add("kept between the ways", words, codec.name(), bytes);
}

/// Pairs of a step.
pub fn pairs(settings: &Settings, ledger: &mut Ledger) {
    let pairs = settings.batch as u64 * (settings.negatives as u64 + 2);
    let words = format!("{} × {}", settings.batch, settings.negatives);
    ledger.add("pairs", words, "f32", 48 * pairs);
}
