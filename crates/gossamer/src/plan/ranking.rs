//! Ranking's blocks: how many queries at a time, and what they take.
//!
//! *Not here:* ranking itself (`evaluate`), which asks here how large its blocks may be.

use gossamer_machine::Ledger;
use gossamer_machine::ledger::count_in_words;
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::screen::{Screen, ScreenedRows};

use super::core;
use crate::config::Config;
use crate::error::Error;
use crate::table::PANEL_ROWS;

/// Queries whose scores a thread holds at a time while it ranks.
pub const RANKED_QUERIES: usize = 64;
/// Queries whose known answers are taken out in one pass over the triples.
pub const FILTERED_QUERIES: usize = 4096;
/// Triples that a thread looks at for known answers at a time.
pub const TRIPLES_READ: usize = 1 << 16;
/// Known answers that are handed on at a time, about.
pub const KNOWN_ANSWERS: usize = 1 << 13;
/// Queries that are packed together where single pairs are scored: half a strip of a product.
pub const PACKED_QUERIES: usize = 16;
/// Rows that are scored together there: a few of the kernel's tiles.
pub const SCORED_ROWS: usize = 48;

/// Queries that a thread asks of a panel through a screen. The more there are, the less it costs to
/// make bf16 factors of the panel's rows; together they stay in the second-level cache.
pub fn screened_queries(width: usize) -> usize {
    ((1 << 18) / width.max(1)).clamp(64, 512) / 64 * 64
}

/// Bytes of a thread that ranks by scores alone: queries as they are and packed, a panel decoded,
/// and its scores.
fn scored_bytes(width: usize) -> u64 {
    4 * ((2 * RANKED_QUERIES + PANEL_ROWS) * width + RANKED_QUERIES * PANEL_ROWS) as u64
}

/// Bytes of a thread that ranks through a screen: besides, all rows may be unsure for all queries.
fn screened_bytes(width: usize) -> u64 {
    let n = screened_queries(width);
    let floats = (2 * n + PANEL_ROWS) * width + 2 * PANEL_ROWS * n;
    let rows = ScreenedRows::bytes_for(PANEL_ROWS, width);
    4 * floats as u64 + Screen::bytes_for(n, width) + rows
}

/// Adds ranking: a block of queries and a panel of scores per thread, the ranks, and a pass that
/// takes known answers out of them. Returns the bytes of what is given back with the last rank.
pub(super) fn add_ranking(
    config: &Config,
    ledger: &mut Ledger,
    (n_threads, n_triples): (u64, u64),
) -> Result<u64, Error> {
    let (before, ranks) = (ledger.total(), 2 * 72 * n_triples);
    let function = config.score_function()?;
    let width = function.widths(config.dim).query;
    let (mut queries, mut bytes) = (RANKED_QUERIES, scored_bytes(width));
    if function.similarity() == Similarity::Dot {
        (queries, bytes) = (screened_queries(width), bytes.max(screened_bytes(width)));
    }
    // A few pairs, their rows and scores.
    let pairs = 8 * KNOWN_ANSWERS + 4 * ((SCORED_ROWS + 1) * width + SCORED_ROWS * PACKED_QUERIES);
    let words = format!("{n_threads} × {queries} × {PANEL_ROWS}");
    ledger.add("panel of scores", words, "f32", n_threads * (bytes + pairs as u64));
    ledger.add("ranks", format!("2 × {}", count_in_words(n_triples)), "u32", ranks);
    // Queries twice with what they lead to; or what they meet by each of three rules.
    let n = (2 * n_triples).min(FILTERED_QUERIES as u64);
    let bytes = n * (8 * width as u64 + 140).max(3 * 36 + 140);
    ledger.add("known answers", format!("{n} queries at a time"), "f32", bytes);
    if let Some([_, width]) = core(config)? {
        let words = format!("{n_threads} × {RANKED_QUERIES} × {width}");
        let bytes = 4 * n_threads * RANKED_QUERIES as u64 * width;
        ledger.add("ranked conditions", words, "f32", bytes);
    }
    Ok(ledger.total() - before - ranks)
}
