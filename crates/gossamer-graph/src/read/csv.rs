//! Comma- or semicolon-separated rows with quoting.

use std::io::BufRead;

use super::fields::mistake;
use super::table_rows::TableRows;
use super::{MAX_LINE_BYTES, ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// Head, relation, tail and more, separated by commas or semicolons.
#[derive(Debug)]
pub struct Csv;

impl Reader for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }
    fn summary(&self) -> &'static str {
        "comma- or semicolon-separated, with quotes; header or --columns for another order"
    }
    fn paper(&self) -> &'static str {
        "RFC 4180"
    }
    fn example(&self) -> &'static str {
        "head,relation,tail,weight\n\"Paris, France\",capital of,France,1\nFrance,borders,Spain,0.5\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let first = start.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        !first.contains('\t') && first.contains([',', ';'])
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut rows = TableRows::new(options, sink);
        for_each_record(input, options, &mut rows, |line, cells, rows| rows.take(line, cells))?;
        Ok(rows.report)
    }
}

/// Calls `take` with the line and cells of every record; one that is too long or no UTF-8 becomes
/// a mistake.
///
/// # Errors
/// Those of `take`, and of the source.
pub fn for_each_record<'a>(
    input: &mut dyn BufRead,
    options: &ReadOptions,
    rows: &mut TableRows<'a>,
    mut take: impl FnMut(u64, &[&str], &mut TableRows<'a>) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
    let start = input.fill_buf().map_err(|error| super::source::unreadable(options, &error))?;
    let delimiter = delimiter_of(start);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(input);
    let mut record = csv::ByteRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                let error = std::io::Error::other(error.to_string());
                return Err(super::source::unreadable(options, &error));
            }
        }
        if record.as_slice().len() > MAX_LINE_BYTES {
            let what = format!("expected a row of at most {MAX_LINE_BYTES} bytes");
            rows.mistake(line, mistake(1, what, "is a closing quote missing?"));
            continue;
        }
        let cells: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        match cells {
            Ok(cells) => take(line, &cells, rows)?,
            Err(_) => {
                let hint = "convert the file with iconv -t UTF-8";
                rows.mistake(line, mistake(1, "expected UTF-8 text", hint));
            }
        }
    }
}

fn delimiter_of(start: &[u8]) -> u8 {
    let first = start.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or(&[]);
    let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
    if count(b'\t') > count(b',') {
        b'\t'
    } else if count(b';') > count(b',') {
        b';'
    } else {
        b','
    }
}
