//! TriG, grouped by named graph and head.

use std::io;

use oxttl::TriGSerializer;

use super::rdf::{attribute_quad, quad};
use super::{Out, Sink, Started, Writer};
use crate::read::{Attribute, Row};

/// TriG, grouped by named graph and head.
#[derive(Debug)]
pub struct TriGWriter;

impl Writer for TriGWriter {
    fn name(&self) -> &'static str {
        "trig"
    }
    fn summary(&self) -> &'static str {
        "facts grouped by named graph and head, and attributes"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 (trig)"
    }
    fn ending(&self) -> &'static str {
        "trig"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Statements(TriGSerializer::new().for_writer(out))))
    }
}

struct Statements<'a>(oxttl::trig::WriterTriGSerializer<Out<'a>>);

impl Sink for Statements<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.0.serialize_quad(&quad(row))
    }
    fn attribute(&mut self, attribute: &Attribute<'_>) -> io::Result<()> {
        self.0.serialize_quad(&attribute_quad(attribute))
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()?.flush()
    }
}
