//! Neo4j's CSV: files of nodes and of relationships for its importer, and what APOC exports.
//!
//! A node's name is its `:ID`, with the ID group before a colon where the header names one; its
//! labels are types, its properties attributes, and `name`, `title` or `label` what it is called.

use std::io::BufRead;

use super::fields::{mistake, starts, weight};
use super::table_rows::TableRows;
use super::{Attribute, ReadOptions, ReadReport, Reader, Row, TripleSink, csv};
use crate::error::GraphError;

/// Neo4j.
#[derive(Debug)]
pub struct Neo4j;

/// What a column holds.
enum Column {
    /// The node's id, and its group.
    Id(String),
    Labels,
    Start(String),
    End(String),
    Type,
    Property(String, &'static str),
    Ignored,
}

impl Reader for Neo4j {
    fn name(&self) -> &'static str {
        "neo4j"
    }
    fn summary(&self) -> &'static str {
        "nodes (:ID, :LABEL, properties) and relationships (:START_ID, :END_ID, :TYPE), or APOC's"
    }
    fn paper(&self) -> &'static str {
        "Neo4j operations manual, import, CSV header format"
    }
    fn example(&self) -> &'static str {
        ":START_ID,:END_ID,:TYPE,weight:float\np1,m1,ACTED_IN,1\np2,m1,DIRECTED,0.5\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let header = start.lines().next().unwrap_or_default();
        let cells: Vec<&str> =
            header.split([',', ';', '\t']).map(|c| c.trim_matches('"')).collect();
        let has = |ending: &str| cells.iter().any(|cell| cell.split('(').next() == Some(ending));
        let node =
            cells.iter().any(|cell| cell.split('(').next().is_some_and(|c| c.ends_with(":ID")));
        node || (has(":START_ID") && has(":END_ID")) || (has("_id") && has("_labels"))
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let mut columns: Option<Vec<Column>> = None;
        let mut rows = TableRows::new(options, sink);
        csv::for_each_record(input, options, &mut rows, |line, cells, rows| {
            let Some(columns) = &columns else {
                columns = Some(cells.iter().map(|cell| column(cell)).collect());
                return Ok(());
            };
            if cells.len() != columns.len() {
                let what = format!("expected {} columns, found {}", columns.len(), cells.len());
                rows.mistake(line, mistake(1, what, "the header says what a row has"));
                return Ok(());
            }
            match Record::of(columns, cells) {
                Ok(record) => record.put(rows),
                Err((place, what)) => {
                    let hint = "a node has :ID; a relationship :START_ID, :END_ID and :TYPE";
                    rows.mistake(line, mistake(starts(cells)[place], what, hint));
                    Ok(())
                }
            }
        })?;
        Ok(rows.report)
    }
}

fn column(header: &str) -> Column {
    const XSD: [(&str, &str); 12] = [
        ("int", "http://www.w3.org/2001/XMLSchema#integer"),
        ("long", "http://www.w3.org/2001/XMLSchema#integer"),
        ("short", "http://www.w3.org/2001/XMLSchema#integer"),
        ("byte", "http://www.w3.org/2001/XMLSchema#integer"),
        ("float", "http://www.w3.org/2001/XMLSchema#double"),
        ("double", "http://www.w3.org/2001/XMLSchema#double"),
        ("boolean", "http://www.w3.org/2001/XMLSchema#boolean"),
        ("date", "http://www.w3.org/2001/XMLSchema#date"),
        ("datetime", "http://www.w3.org/2001/XMLSchema#dateTime"),
        ("localdatetime", "http://www.w3.org/2001/XMLSchema#dateTime"),
        ("time", "http://www.w3.org/2001/XMLSchema#time"),
        ("duration", "http://www.w3.org/2001/XMLSchema#duration"),
    ];
    let header = header.trim();
    let (plain, group) = header
        .split_once('(')
        .map_or((header, ""), |(plain, group)| (plain, group.trim_end_matches(')')));
    let group = group.to_string();
    match plain {
        ":LABEL" | "_labels" => return Column::Labels,
        ":START_ID" | "_start" => return Column::Start(group),
        ":END_ID" | "_end" => return Column::End(group),
        ":TYPE" | "_type" => return Column::Type,
        ":IGNORE" => return Column::Ignored,
        "_id" => return Column::Id(group),
        _ => {}
    }
    let (name, kind) = plain.rsplit_once(':').unwrap_or((plain, "string"));
    if kind == "ID" {
        return Column::Id(group);
    }
    if kind == "IGNORE" {
        return Column::Ignored;
    }
    let kind = kind.trim_end_matches("[]").to_ascii_lowercase();
    let kind =
        XSD.iter().find(|(word, _)| *word == kind).map_or(super::rdf::STRING, |(_, iri)| iri);
    Column::Property(name.to_string(), kind)
}

/// A row's parts.
#[derive(Default)]
struct Record<'a> {
    id: Option<String>,
    start: Option<String>,
    end: Option<String>,
    kind: Option<&'a str>,
    labels: Vec<&'a str>,
    weight: Option<f32>,
    properties: Vec<(&'a str, &'a str, &'static str)>,
}

impl<'a> Record<'a> {
    /// Or the place of the cell that is wrong, and what is.
    fn of(columns: &'a [Column], cells: &[&'a str]) -> Result<Self, (usize, String)> {
        let mut record = Self::default();
        let named = |group: &str, cell: &str| match (cell.is_empty(), group.is_empty()) {
            (true, _) => None,
            (false, true) => Some(cell.to_string()),
            (false, false) => Some(format!("{group}:{cell}")),
        };
        for (place, (column, cell)) in columns.iter().zip(cells).enumerate() {
            let cell: &'a str = cell.trim();
            match column {
                Column::Id(group) => record.id = named(group, cell),
                Column::Start(group) => record.start = named(group, cell),
                Column::End(group) => record.end = named(group, cell),
                Column::Type => record.kind = Some(cell).filter(|cell| !cell.is_empty()),
                Column::Labels => {
                    let labels = cell.split([';', ':']).map(str::trim);
                    record.labels.extend(labels.filter(|label| !label.is_empty()));
                }
                Column::Property(name, kind) if !cell.is_empty() => {
                    if ["weight", "confidence", "score"].contains(&name.as_str()) {
                        record.weight = Some(weight(cell).map_err(|(what, _)| (place, what))?);
                    }
                    record.properties.push((name, cell, *kind));
                }
                Column::Property(..) | Column::Ignored => {}
            }
        }
        let relationship = record.start.is_some() && record.end.is_some();
        if relationship && record.kind.is_none() {
            return Err((0, "expected a :TYPE".into()));
        }
        if !relationship && record.id.is_none() {
            return Err((0, "expected an :ID, or a :START_ID and an :END_ID".into()));
        }
        Ok(record)
    }

    fn put(&self, rows: &mut TableRows<'_>) -> Result<(), GraphError> {
        if let (Some(head), Some(tail), Some(relation)) = (&self.start, &self.end, self.kind) {
            // What a relationship says beside its weight has no place yet; it is counted.
            let unread = self.properties.len() - usize::from(self.weight.is_some());
            rows.report.unread += unread as u64;
            return rows.put(&Row { head, relation, tail, weight: self.weight, ..Row::default() });
        }
        let subject = self.id.as_deref().unwrap_or_default();
        for label in &self.labels {
            rows.kind(subject, label)?;
        }
        for (property, text, kind) in &self.properties {
            let is_label = ["name", "title", "label"].contains(property);
            rows.attribute(&Attribute { subject, property, text, kind, is_label })?;
        }
        Ok(())
    }
}
