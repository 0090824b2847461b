//! N-Quads, a fact and its named graph a line.

use std::io;

use oxttl::NQuadsSerializer;

use super::rdf::{attribute_quad, quad};
use super::{Out, Sink, Started, Writer};
use crate::read::{Attribute, Row};

/// N-Quads, a fact and its named graph a line.
#[derive(Debug)]
pub struct NQuadsWriter;

impl Writer for NQuadsWriter {
    fn name(&self) -> &'static str {
        "n-quads"
    }
    fn summary(&self) -> &'static str {
        "facts with their named graphs, and attributes, a line each"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 (n-quads)"
    }
    fn ending(&self) -> &'static str {
        "nq"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Statements(NQuadsSerializer::new().for_writer(out))))
    }
}

struct Statements<'a>(oxttl::nquads::WriterNQuadsSerializer<Out<'a>>);

impl Sink for Statements<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.0.serialize_quad(&quad(row))
    }
    fn attribute(&mut self, attribute: &Attribute<'_>) -> io::Result<()> {
        self.0.serialize_quad(&attribute_quad(attribute))
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().flush()
    }
}
