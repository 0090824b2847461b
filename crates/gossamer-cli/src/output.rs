//! Tables for people, and the words of numbers.

use comfy_table::{CellAlignment, Table, presets};
use gossamer::evaluate::{Scores, metric};
use gossamer_machine::Ledger;
use gossamer_machine::ledger::{bytes_in_words, count_in_words};
use serde_json::{Map, Value, json};

/// A table with these headings; all columns but the first stand to the right.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.to_vec());
    table
}

/// Rows of text to a table, numbers to the right.
pub fn render(mut table: Table) -> String {
    for (place, column) in table.column_iter_mut().enumerate() {
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A ledger as a table, its sum at the end.
pub fn ledger(ledger: &Ledger) -> String {
    let mut rows = table(&["what", "shape", "kept", "bytes"]);
    for line in &ledger.lines {
        let bytes = bytes_in_words(line.bytes);
        rows.add_row([line.name, line.shape.as_str(), line.kept.as_str(), bytes.as_str()]);
    }
    rows.add_row(["sum", "", "", bytes_in_words(ledger.total()).as_str()]);
    render(rows)
}

/// A ledger for machines.
pub fn ledger_json(ledger: &Ledger) -> Value {
    let line = |line: &gossamer_machine::Line| json!({"name": line.name, "shape": line.shape, "kept": line.kept, "bytes": line.bytes});
    json!({
        "lines": ledger.lines.iter().map(line).collect::<Vec<_>>(),
        "total_bytes": ledger.total(),
    })
}

/// The headings of a table of scores, after those given.
pub fn score_headings(first: &[&'static str]) -> Vec<&'static str> {
    let mut headings = first.to_vec();
    headings.extend(metric::ALL.iter().map(|metric| metric.name()));
    headings
}

/// The metrics as cells.
pub fn score_cells(scores: &Scores) -> Vec<String> {
    let cell = |(metric, value): (&&dyn metric::Metric, &f64)| {
        if metric.name() == "MR" { format!("{value:.1}") } else { format!("{value:.4}") }
    };
    metric::ALL.iter().zip(&scores.values).map(cell).collect()
}

/// The metrics under their names for machines.
pub fn scores_json(scores: &Scores) -> Value {
    let mut map = Map::new();
    map.insert("count".into(), scores.n_ranks.into());
    for (metric, value) in metric::ALL.iter().zip(&scores.values) {
        map.insert(metric.key().into(), (*value).into());
    }
    Value::Object(map)
}

/// A count, with separators.
pub fn count(n: usize) -> String {
    count_in_words(n as u64)
}
