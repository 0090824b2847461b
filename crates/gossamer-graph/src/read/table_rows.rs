//! The rows of one table on their way to a sink, shared by the readers of tables.
//!
//! *Not here:* what columns mean ([`fields`](super::fields)).

use super::fields::{Fields, starts};
use super::{Attribute, ReadOptions, ReadReport, Row, TripleSink, USER};
use crate::error::{GraphError, Mistake};

/// The rows of one table: the first decides what columns mean.
pub struct TableRows<'a> {
    options: &'a ReadOptions,
    sink: &'a mut dyn TripleSink,
    fields: Option<Fields>,
    /// What was read so far.
    pub report: ReadReport,
}

impl<'a> TableRows<'a> {
    /// Of a table not begun.
    pub fn new(options: &'a ReadOptions, sink: &'a mut dyn TripleSink) -> Self {
        Self { options, sink, fields: None, report: ReadReport::default() }
    }

    /// Counts a mistake at a line.
    pub fn mistake(&mut self, line: u64, mistake: Mistake) {
        let file = self.options.file.clone();
        self.report.mistake(Mistake { file, line, ..mistake });
    }

    /// Takes a row that a reader has understood itself.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn put(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        self.report.rows += 1;
        self.sink.row(row)
    }

    /// Takes an attribute.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError> {
        self.report.literals += 1;
        self.sink.attribute(attribute)
    }

    /// Takes what a row calls something.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError> {
        self.sink.label(subject, text, language)
    }

    /// Takes a type.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError> {
        self.sink.kind(subject, kind)
    }

    /// Takes the names of columns, where they stand apart from the rows.
    ///
    /// # Errors
    /// Those of `--columns` and `--map`.
    pub fn header(&mut self, names: &[&str]) -> Result<(), GraphError> {
        self.fields = Some(Fields::choose(self.options, names)?.0);
        Ok(())
    }

    /// Takes the cells of a line.
    ///
    /// # Errors
    /// Those of the sink, and of `--columns`; a row that is not understood is counted.
    pub fn take(&mut self, line: u64, cells: &[&str]) -> Result<(), GraphError> {
        if self.fields.is_none() {
            let chosen = Fields::choose(self.options, cells).map_err(|error| match error {
                GraphError::Request { what, hint } => {
                    let what = format!("{}:{line}:1: {what}", self.options.file);
                    GraphError::Request { what, hint }
                }
                other => other,
            });
            let (fields, header) = chosen?;
            self.fields = Some(fields);
            if header {
                return Ok(());
            }
        }
        let Some(fields) = &self.fields else { return Ok(()) };
        match fields.row(cells, &starts(cells), self.options.numbers.as_deref()) {
            Ok(row) if fields.are_attributes() => {
                self.report.literals += 1;
                let (subject, property, text) = (row.head, row.relation, row.tail);
                let attribute = Attribute { subject, property, text, kind: "", is_label: false };
                self.sink.attribute(&attribute)
            }
            Ok(row) if row.head.is_empty() || row.tail.is_empty() => {
                self.report.left_out += 1;
                Ok(())
            }
            Ok(row) if fields.are_interactions() => {
                self.report.rows += 1;
                // A user may be called as an item is.
                let user = format!("{USER}/{}", row.head);
                self.sink.row(&Row { head: &user, ..row })
            }
            Ok(row) => {
                self.report.rows += 1;
                self.sink.row(&row)
            }
            Err(mistake) => {
                self.mistake(line, mistake);
                Ok(())
            }
        }
    }
}
