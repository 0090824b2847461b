//! Comma-separated facts under a header, quoted where they must be.

use std::io;

use super::tsv::{HEADER, cells};
use super::{Out, Sink, Started, Writer};
use crate::read::Row;

/// Head, relation, tail, weight, from, until, graph.
#[derive(Debug)]
pub struct CsvWriter;

impl Writer for CsvWriter {
    fn name(&self) -> &'static str {
        "csv"
    }
    fn summary(&self) -> &'static str {
        "a header, then a fact a line with weight, validity and named graph"
    }
    fn paper(&self) -> &'static str {
        "RFC 4180"
    }
    fn ending(&self) -> &'static str {
        "csv"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Table { out: csv::Writer::from_writer(out), begun: false }))
    }
}

struct Table<'a> {
    out: csv::Writer<Out<'a>>,
    begun: bool,
}

impl Sink for Table<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        if !self.begun {
            self.out.write_record(HEADER)?;
            self.begun = true;
        }
        Ok(self.out.write_record(cells(row, &[])?)?)
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}
