//! Turtle, grouped by head.

use std::io;

use oxttl::TurtleSerializer;

use super::rdf::{attribute_quad, quad};
use super::{Out, Sink, Started, Writer};
use crate::read::{Attribute, Row};

/// Turtle, grouped by head.
#[derive(Debug)]
pub struct TurtleWriter;

impl Writer for TurtleWriter {
    fn name(&self) -> &'static str {
        "turtle"
    }
    fn summary(&self) -> &'static str {
        "facts and attributes, grouped by head; named graphs are dropped"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 (turtle)"
    }
    fn ending(&self) -> &'static str {
        "ttl"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Statements(TurtleSerializer::new().for_writer(out))))
    }
}

struct Statements<'a>(oxttl::turtle::WriterTurtleSerializer<Out<'a>>);

impl Sink for Statements<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.0.serialize_triple(oxrdf::Triple::from(quad(row)).as_ref())
    }
    fn attribute(&mut self, attribute: &Attribute<'_>) -> io::Result<()> {
        self.0.serialize_triple(oxrdf::Triple::from(attribute_quad(attribute)).as_ref())
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()?.flush()
    }
}
