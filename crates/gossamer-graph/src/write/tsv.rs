//! Tab-separated facts under a header.

use std::io;

use super::{Out, Sink, Started, Writer};
use crate::read::Row;

/// Head, relation, tail, weight, from, until, graph.
#[derive(Debug)]
pub struct TsvWriter;

/// The columns, as the readers of tables know them.
pub const HEADER: [&str; 7] = ["head", "relation", "tail", "weight", "from", "until", "graph"];

impl Writer for TsvWriter {
    fn name(&self) -> &'static str {
        "tsv"
    }
    fn summary(&self) -> &'static str {
        "a header, then a fact a line with weight, validity and named graph"
    }
    fn paper(&self) -> &'static str {
        "IANA text/tab-separated-values"
    }
    fn ending(&self) -> &'static str {
        "tsv"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Table { out, begun: false }))
    }
}

struct Table<'a> {
    out: Out<'a>,
    begun: bool,
}

/// The cells of a fact, in the order of [`HEADER`].
///
/// # Errors
/// For a name with white space at its ends, which readers of tables do not see, or with a
/// character that stands between cells.
pub fn cells(row: &Row<'_>, between: &[char]) -> io::Result<[String; 7]> {
    let time = |time: Option<i64>| time.map_or(String::new(), crate::read::date::time_in_words);
    let cells = [
        row.head.into(),
        row.relation.into(),
        row.tail.into(),
        row.weight.map_or(String::new(), |weight| weight.to_string()),
        time(row.from),
        time(row.until),
        row.graph.unwrap_or_default().into(),
    ];
    let lost = |cell: &&String| cell.trim() != cell.as_str() || cell.contains(between);
    if let Some(name) = cells.iter().find(lost) {
        let what = format!("a table cannot hold '{}': choose n-quads", name.escape_debug());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(cells)
}

impl Sink for Table<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        if !self.begun {
            writeln!(self.out, "{}", HEADER.join("\t"))?;
            self.begun = true;
        }
        let cells = cells(row, &['\t', '\n', '\r'])?;
        writeln!(self.out, "{}", cells.join("\t"))
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}
