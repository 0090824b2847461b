//! OpenHINE's edges: numbers that begin anew for each type of node, the types being said by the edge.

use std::io::BufRead;

use super::fields::mistake;
use super::lines::for_each_line;
use super::table_rows::TableRows;
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// Number, number, `x-y`, weight.
#[derive(Debug)]
pub struct Hin;

/// The types of an edge's ends.
fn ends(edge: &str) -> Option<(&str, &str)> {
    let (from, to) = edge.split_once('-')?;
    let is_type = |word: &str| !word.is_empty() && word.chars().all(char::is_alphabetic);
    (is_type(from) && is_type(to)).then_some((from, to))
}

impl Reader for Hin {
    fn name(&self) -> &'static str {
        "hin"
    }
    fn summary(&self) -> &'static str {
        "two numbers and an edge such as p-a, which says the types that the numbers count"
    }
    fn paper(&self) -> &'static str {
        "OpenHINE, its data sets (BUPT-GAMMA/OpenHINE)"
    }
    fn example(&self) -> &'static str {
        "0\t2036\tp-a\t1\n2036\t0\ta-p\t1\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let cells: Vec<&str> = start.lines().next().unwrap_or_default().split('\t').collect();
        let number =
            |place: usize| cells.get(place).is_some_and(|cell| cell.parse::<u64>().is_ok());
        number(0) && number(1) && cells.get(2).is_some_and(|cell| ends(cell).is_some())
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let columns = Some("head,tail,relation,head_type,tail_type,weight".to_string());
        let options = ReadOptions { columns, ..options.clone() };
        let mut rows = TableRows::new(&options, sink);
        for_each_line(input, &options, &mut rows, |number, text, rows| {
            let cells: Vec<&str> = text.split('\t').collect();
            let [from, to, edge, rest @ ..] = &cells[..] else {
                return rows.take(number, &cells);
            };
            let Some((of_from, of_to)) = ends(edge) else {
                let what = format!("'{edge}' names no types");
                let hint = "the third column is an edge such as p-a, from a type to a type";
                rows.mistake(
                    number,
                    mistake(1 + from.len() as u64 + to.len() as u64 + 2, what, hint),
                );
                return Ok(());
            };
            let names = [format!("{of_from}{from}"), format!("{of_to}{to}")];
            let mut cells = vec![names[0].as_str(), names[1].as_str(), edge, of_from, of_to];
            cells.extend(rest);
            rows.take(number, &cells)
        })?;
        Ok(rows.report)
    }
}
