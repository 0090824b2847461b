//! Lines of a text source: bounded, decoded, counted.

use std::io::{BufRead, Read};

use super::fields::mistake;
use super::table_rows::TableRows;
use super::{MAX_LINE_BYTES, ReadOptions, source};
use crate::error::{GraphError, Mistake};

/// Calls `take` with the number and text of every line that is not blank; a line that is too long
/// or no UTF-8 becomes a mistake.
///
/// # Errors
/// Those of `take`, and of the source.
pub fn for_each_line<'a>(
    input: &mut dyn BufRead,
    options: &ReadOptions,
    rows: &mut TableRows<'a>,
    mut take: impl FnMut(u64, &str, &mut TableRows<'a>) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
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
        take(number, text, rows)?;
    }
    Ok(())
}

/// Reads the next line without its newline, at most one byte more than a line may have, and
/// passes over the rest of a longer one.
fn next_line(
    input: &mut dyn BufRead,
    line: &mut Vec<u8>,
    options: &ReadOptions,
) -> Result<bool, GraphError> {
    line.clear();
    let failed = |error: std::io::Error| source::unreadable(options, &error);
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
