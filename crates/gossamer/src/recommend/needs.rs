//! What recommenders that go by pairs need: lines of their plans.

use gossamer_machine::Ledger;
use gossamer_tensor::codec::Codec;
use gossamer_tensor::tape::kept::ROWS;

use super::Settings;
use crate::network::activations::Activations;

/// Parameters, two moments of each, gradients, and the best epoch's.
pub fn parameters(floats: u64, ledger: &mut Ledger) {
    ledger.add("parameters", format!("4 × {floats}"), "f32", 16 * floats);
}

/// What is learned, now and at the best epoch: rows of users and items.
pub fn learned(rows: u64, width: u64, ledger: &mut Ledger) {
    ledger.add("what is learned", format!("2 × {rows} × {width}"), "f32", 8 * rows * width);
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

/// Neighbours both ways, with labels, and what they are made of.
pub fn neighbours(rows: u64, entries: u64, ledger: &mut Ledger) {
    ledger.add("neighbours", format!("2 × {entries}"), "f32", 64 * entries + 16 * rows);
}

/// Pairs of a step, and so many floats for each task of triples beside.
pub fn pairs(settings: &Settings, beside: u64, ledger: &mut Ledger) {
    let pairs = settings.batch as u64 * (settings.negatives as u64 + 2);
    let bytes = 48 * pairs + 4 * beside * settings.batch as u64 / 64;
    ledger.add("pairs", format!("{} × {}", settings.batch, settings.negatives), "f32", bytes);
}
