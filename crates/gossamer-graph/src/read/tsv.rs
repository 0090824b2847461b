//! Tab-separated rows, one per line, without quoting: the folders of the literature.

use std::io::{BufRead, Read};

use super::fields::{TableRows, mistake};
use super::{MAX_LINE_BYTES, ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::{GraphError, Mistake};

/// Head, relation, tail and more, separated by tabs.
#[derive(Debug)]
pub struct Tsv;

impl Reader for Tsv {
    fn name(&self) -> &'static str {
        "tsv"
    }
    fn summary(&self) -> &'static str {
        "tab-separated head, relation, tail [, weight]; header or --columns for another order"
    }
    fn paper(&self) -> &'static str {
        "IANA text/tab-separated-values"
    }
    fn example(&self) -> &'static str {
        "Paris\tcapital of\tFrance\nFrance\tborders\tSpain\n"
    }
    fn recognises(&self, start: &str) -> bool {
        start.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.contains('\t'))
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut rows = TableRows::new(options, sink);
        let (mut line, mut number) = (Vec::new(), 0);
        while next_line(input, &mut line, options)? {
            number += 1;
            let text = match text_of(&line) {
                Ok(text) => text,
                Err(mistake) => {
                    rows.mistake(number, mistake);
                    continue;
                }
            };
            rows.report.carriage_returns += u64::from(text.ends_with('\r'));
            let text = text.trim_end_matches('\r');
            if text.trim().is_empty() {
                rows.report.blank += 1;
                continue;
            }
            rows.take(number, &text.split('\t').collect::<Vec<_>>())?;
        }
        Ok(rows.report)
    }
}

/// Reads the next line without its newline, at most one byte more than a line may have, and
/// passes over the rest of a longer one.
fn next_line(
    input: &mut dyn BufRead,
    line: &mut Vec<u8>,
    options: &ReadOptions,
) -> Result<bool, GraphError> {
    line.clear();
    let failed = |error: std::io::Error| super::source::unreadable(options, &error);
    let n =
        (&mut *input).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line).map_err(failed)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE_BYTES {
        input.skip_until(b'\n').map_err(failed)?;
    }
    Ok(n > 0)
}

fn text_of(line: &[u8]) -> Result<&str, Mistake> {
    if line.len() > MAX_LINE_BYTES {
        let what = format!("expected a line of at most {MAX_LINE_BYTES} bytes");
        return Err(mistake(1, what, "is this a text file?"));
    }
    std::str::from_utf8(line).map_err(|error| {
        let column = error.valid_up_to() as u64 + 1;
        mistake(column, "expected UTF-8 text", "convert the file with iconv -t UTF-8")
    })
}
