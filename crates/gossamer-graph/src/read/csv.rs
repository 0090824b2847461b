//! Comma- or semicolon-separated rows with quoting.

use std::io::BufRead;

use super::fields::Fields;
use super::{MAX_LINE_BYTES, ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::{GraphError, Mistake};

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
        let start = input.fill_buf().map_err(|error| super::source::unreadable(options, &error))?;
        let delimiter = delimiter_of(start);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(input);
        let mut report = ReadReport::default();
        let mut fields = None;
        let mut record = csv::ByteRecord::new();
        loop {
            let line = reader.position().line();
            let mistake = |column: u64, what: String, hint: &str| Mistake {
                file: options.file.clone(),
                line,
                column,
                what,
                hint: hint.into(),
            };
            match reader.read_byte_record(&mut record) {
                Ok(false) => return Ok(report),
                Ok(true) => {}
                Err(error) => {
                    let error = std::io::Error::other(error.to_string());
                    return Err(super::source::unreadable(options, &error));
                }
            }
            if record.as_slice().len() > MAX_LINE_BYTES {
                let what = format!("expected a row of at most {MAX_LINE_BYTES} bytes");
                report.mistake(mistake(1, what, "is a closing quote missing?"));
                continue;
            }
            let cells: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
            let Ok(cells) = cells else {
                let hint = "convert the file with iconv -t UTF-8";
                report.mistake(mistake(1, "expected UTF-8 text".into(), hint));
                continue;
            };
            let mut column = 1;
            let columns: Vec<u64> = cells
                .iter()
                .map(|cell| {
                    let start = column;
                    column += cell.len() as u64 + 1;
                    start
                })
                .collect();
            if fields.is_none() {
                let (chosen, header) = Fields::choose(options, &cells)?;
                fields = Some(chosen);
                if header {
                    continue;
                }
            }
            let Some(fields) = &fields else { continue };
            match fields.row(&cells, &columns) {
                Ok(row) => {
                    report.rows += 1;
                    sink.row(&row)?;
                }
                Err(found) => report.mistake(mistake(found.column, found.what, &found.hint)),
            }
        }
    }
}

fn delimiter_of(start: &[u8]) -> u8 {
    let first = start.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or(&[]);
    let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
    if count(b';') > count(b',') { b';' } else { b',' }
}
