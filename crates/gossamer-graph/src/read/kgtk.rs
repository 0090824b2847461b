//! KGTK's edge files: node1, label, node2 and more under a header, values marked by their first
//! character.

use std::io::BufRead;

use super::fields::{mistake, starts};
use super::lines::for_each_line;
use super::table_rows::TableRows;
use super::{Attribute, ReadOptions, ReadReport, Reader, Row, TripleSink};
use crate::error::GraphError;

/// KGTK.
#[derive(Debug)]
pub struct Kgtk;

impl Reader for Kgtk {
    fn name(&self) -> &'static str {
        "kgtk"
    }
    fn summary(&self) -> &'static str {
        "KGTK edges: node1, label, node2; strings, dates and quantities become attributes"
    }
    fn paper(&self) -> &'static str {
        "Ilievski et al.: KGTK (ISWC 2020), file format v2"
    }
    fn example(&self) -> &'static str {
        "node1\tlabel\tnode2\tid\nQ90\tP17\tQ142\te1\nQ142\tP47\tQ29\te2\nQ90\tlabel\t'Paris'@en\te3\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let cells: Vec<&str> = start.lines().next().unwrap_or_default().split('\t').collect();
        ["node1", "label", "node2"].iter().all(|name| cells.contains(name))
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut columns: Option<Columns> = None;
        let mut rows = TableRows::new(options, sink);
        for_each_line(input, options, &mut rows, |number, text, rows| {
            let cells: Vec<&str> = text.split('\t').collect();
            let Some(columns) = &columns else {
                columns = Columns::of(&cells);
                if columns.is_none() {
                    let what = "expected a header with node1, label and node2";
                    rows.mistake(number, mistake(1, what, "choose another --format"));
                }
                return Ok(());
            };
            let [head, relation, tail] = columns.triple.map(|at| cells.get(at).copied());
            let (Some(head), Some(relation), Some(tail)) = (head, relation, tail) else {
                let what = format!("expected {} columns, found {}", columns.n, cells.len());
                rows.mistake(number, mistake(1, what, "columns are separated by tabs"));
                return Ok(());
            };
            if let Some(empty) = [head, relation, tail].iter().position(|cell| cell.is_empty()) {
                let at = starts(&cells)[columns.triple[empty]];
                let hint = "every edge has node1, label and node2";
                rows.mistake(number, mistake(at, "this cell is empty", hint));
                return Ok(());
            }
            columns.labels(&cells, [head, relation, tail], rows)?;
            match value(tail) {
                None => rows.put(&Row { head, relation, tail, ..Row::default() }),
                Some((text, kind)) => {
                    let (text, kind) = (text.as_str(), kind.as_str());
                    let is_label = ["label", "rdfs:label"].contains(&relation);
                    let (subject, property) = (head, relation);
                    rows.attribute(&Attribute { subject, property, text, kind, is_label })
                }
            }
        })?;
        Ok(rows.report)
    }
}

/// Where the columns are.
struct Columns {
    n: usize,
    triple: [usize; 3],
    /// Columns with labels of node1, label and node2.
    labels: [Option<usize>; 3],
}

impl Columns {
    fn of(header: &[&str]) -> Option<Self> {
        let find = |name: &str| header.iter().position(|cell| cell.trim() == name);
        let labels = ["node1;label", "label;label", "node2;label"].map(find);
        Some(Self {
            n: header.len(),
            triple: [find("node1")?, find("label")?, find("node2")?],
            labels,
        })
    }

    /// Takes the labels that an edge gives its parts.
    fn labels(
        &self,
        cells: &[&str],
        names: [&str; 3],
        rows: &mut TableRows<'_>,
    ) -> Result<(), GraphError> {
        for (column, subject) in self.labels.into_iter().zip(names) {
            let label = column.and_then(|at| cells.get(at)).and_then(|cell| value(cell));
            if let Some((text, kind)) = label {
                rows.label(subject, &text, kind.strip_prefix('@').unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

/// The text and datatype of a value; none for the name of a thing.
fn value(cell: &str) -> Option<(String, String)> {
    let xsd = |name: &str| format!("http://www.w3.org/2001/XMLSchema#{name}");
    let mut letters = cell.chars();
    match letters.next()? {
        '"' => Some((unescaped(cell[1..].strip_suffix('"')?), xsd("string"))),
        '\'' => {
            let (text, language) = cell[1..].rsplit_once("'@")?;
            Some((unescaped(text), format!("@{language}")))
        }
        '^' => {
            // A date may carry its precision: ^2020-05-01T00:00:00Z/11.
            let date = cell[1..].split('/').next().unwrap_or_default();
            Some((date.to_string(), xsd("dateTime")))
        }
        '@' => Some((cell[1..].to_string(), "kgtk:location".into())),
        '!' => Some((cell[1..].to_string(), "kgtk:extension".into())),
        first if first.is_ascii_digit() || "+-.".contains(first) => {
            let number = cell.parse::<f64>().is_ok();
            Some((cell.to_string(), if number { xsd("decimal") } else { "kgtk:quantity".into() }))
        }
        _ => None,
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_known_by_their_first_character() {
        let of = |cell: &str| {
            value(cell).map(|(text, kind)| {
                (text, kind.rsplit(['#', ':']).next().unwrap_or_default().to_string())
            })
        };
        let pair = |a: &str, b: &str| Some((a.to_string(), b.to_string()));
        assert_eq!(of("Q42"), None);
        assert_eq!(of(r#""a \"b\" \| c""#), pair("a \"b\" | c", "string"));
        assert_eq!(of(r#""say \"hi\"""#), pair("say \"hi\"", "string"));
        assert_eq!(of("'it''s'@en"), pair("it''s", "@en"));
        assert_eq!(of("^2020-05-01T00:00:00Z/11"), pair("2020-05-01T00:00:00Z", "dateTime"));
        assert_eq!(of("+12.5"), pair("+12.5", "decimal"));
        assert_eq!(of("10m"), pair("10m", "quantity"));
        assert_eq!(of("'broken"), None);
    }
}
