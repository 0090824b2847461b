//! OpenKE's triples: a count, then head, tail and relation as numbers.

use std::io::BufRead;

use super::lines::for_each_line;
use super::table_rows::TableRows;
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// Count line, then head tail relation.
#[derive(Debug)]
pub struct OpenKe;

impl Reader for OpenKe {
    fn name(&self) -> &'static str {
        "openke"
    }
    fn summary(&self) -> &'static str {
        "a count line, then head, tail, relation as numbers of entity2id.txt and relation2id.txt"
    }
    fn paper(&self) -> &'static str {
        "Han et al.: OpenKE (EMNLP 2018), its benchmark folders"
    }
    fn example(&self) -> &'static str {
        "2\n0 1 0\n1 2 1\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let mut lines = start.lines();
        let numbers = |line: Option<&str>, n: usize| {
            let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
            words.len() == n && words.iter().all(|word| word.parse::<u64>().is_ok())
        };
        numbers(lines.next(), 1) && numbers(lines.next(), 3)
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let columns = Some("head,tail,relation".to_string());
        let options = ReadOptions { columns, ..options.clone() };
        let mut rows = TableRows::new(&options, sink);
        let mut promised = None;
        for_each_line(input, &options, &mut rows, |number, text, rows| {
            let cells: Vec<&str> = text.split_whitespace().collect();
            if number == 1 && cells.len() == 1 {
                promised = cells[0].parse::<u64>().ok();
                return Ok(());
            }
            rows.take(number, &cells)
        })?;
        let found = rows.report.rows + rows.report.mistakes;
        if promised.is_some_and(|promised| promised != found) {
            let what = format!("expected {} rows, found {found}", promised.unwrap_or_default());
            let hint = "the first line is the number of rows; is the file cut off?";
            rows.mistake(1, super::fields::mistake(1, what, hint));
        }
        Ok(rows.report)
    }
}
