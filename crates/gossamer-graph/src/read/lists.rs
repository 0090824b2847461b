//! Lists of items by user, as numbers: KGAT's and LightGCN's train.txt.

use std::io::BufRead;

use super::fields::mistake;
use super::lines::for_each_line;
use super::numbers::Behind;
use super::table_rows::TableRows;
use super::{INTERACTS, ITEM, ReadOptions, ReadReport, Reader, Row, TripleSink, USER};
use crate::error::GraphError;

/// A user, then its items.
#[derive(Debug)]
pub struct Lists;

/// What a number is called: by its list, or by its type.
fn called(
    list: Option<&dyn Behind>,
    kind: &str,
    number: &str,
) -> Result<String, (String, &'static str)> {
    if number.parse::<u32>().is_err() {
        let what = format!("expected the number of a {kind}, found '{number}'");
        return Err((what, "a line is a user and its items, as numbers"));
    }
    match list {
        None => Ok(format!("{kind}/{number}")),
        Some(list) => {
            let named = list.name(number).map(str::to_string);
            named.map_err(|what| (what, "the list and the interactions must be of one version"))
        }
    }
}

impl Reader for Lists {
    fn name(&self) -> &'static str {
        "lists"
    }
    fn summary(&self) -> &'static str {
        "a user and all its items in a line, as numbers"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: KGAT (KDD 2019), its data sets"
    }
    fn example(&self) -> &'static str {
        "0 0 1 2\n1 0 3\n2 4\n"
    }
    fn recognises(&self, start: &str) -> bool {
        // The last line may be cut off.
        let lines: Vec<&str> = start.lines().take(20).collect();
        let all_numbers = |line: &&str| line.split(' ').all(|word| word.parse::<u32>().is_ok());
        let size = |line: &&str| line.split(' ').count();
        lines.len() > 1
            && size(&lines[0]) > 1
            && lines.iter().all(all_numbers)
            && lines.iter().any(|line| size(line) != size(&lines[0]))
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut rows = TableRows::new(options, sink);
        let numbers = options.numbers.as_deref();
        let users = numbers.and_then(|numbers| numbers.heads.as_deref());
        let items = numbers.and_then(|numbers| numbers.tails.as_deref());
        for_each_line(input, options, &mut rows, |line, text, rows| {
            let mut words = text.split_whitespace();
            let Some(first) = words.next() else { return Ok(()) };
            let mut column = 1;
            let user = match called(users, USER, first) {
                Ok(user) => user,
                Err((what, hint)) => {
                    rows.mistake(line, mistake(column, what, hint));
                    return Ok(());
                }
            };
            column += first.len() as u64 + 1;
            for word in words {
                match called(items, ITEM, word) {
                    Ok(item) => rows.put(&Row {
                        head: &user,
                        relation: INTERACTS,
                        tail: &item,
                        head_type: Some(USER),
                        tail_type: Some(ITEM),
                        ..Row::default()
                    })?,
                    Err((what, hint)) => rows.mistake(line, mistake(column, what, hint)),
                }
                column += word.len() as u64 + 1;
            }
            Ok(())
        })?;
        Ok(rows.report)
    }
}
