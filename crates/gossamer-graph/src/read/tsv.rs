//! Tab-separated rows, one per line, without quoting: the folders of the literature.

use std::io::BufRead;

use super::lines::for_each_line;
use super::table_rows::TableRows;
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

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
        for_each_line(input, options, &mut rows, |number, text, rows| {
            rows.take(number, &text.split('\t').collect::<Vec<_>>())
        })?;
        Ok(rows.report)
    }
}
