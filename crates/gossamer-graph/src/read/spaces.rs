//! Triples between spaces: names without any, or numbers.

use std::io::BufRead;

use super::lines::for_each_line;
use super::table_rows::TableRows;
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// Head, relation, tail, separated by white space.
#[derive(Debug)]
pub struct Spaces;

impl Reader for Spaces {
    fn name(&self) -> &'static str {
        "spaces"
    }
    fn summary(&self) -> &'static str {
        "head, relation and tail between spaces; names have none"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: KGAT (KDD 2019), its kg_final.txt"
    }
    fn example(&self) -> &'static str {
        "24915 0 24916\n24917 1 5117\n"
    }
    fn recognises(&self, start: &str) -> bool {
        // The last line may be cut off.
        let lines: Vec<&str> = start.lines().take(20).collect();
        let three = |line: &&str| line.split(' ').filter(|word| !word.is_empty()).count() == 3;
        let plain = |line: &&str| !line.contains(['\t', ',', '<', '"', '#', '@', ';']);
        lines.len() > 1 && lines.iter().all(|line| three(line) && plain(line))
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut rows = TableRows::new(options, sink);
        for_each_line(input, options, &mut rows, |number, text, rows| {
            rows.take(number, &text.split_whitespace().collect::<Vec<_>>())
        })?;
        Ok(rows.report)
    }
}
