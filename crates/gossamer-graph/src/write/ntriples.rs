//! N-Triples, a fact a line.

use std::io;

use oxttl::NTriplesSerializer;

use super::rdf::{attribute_quad, quad};
use super::{Out, Sink, Started, Writer};
use crate::read::{Attribute, Row};

/// N-Triples, a fact a line.
#[derive(Debug)]
pub struct NTriplesWriter;

impl Writer for NTriplesWriter {
    fn name(&self) -> &'static str {
        "n-triples"
    }
    fn summary(&self) -> &'static str {
        "facts and attributes, a line each; named graphs are dropped"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 (n-triples)"
    }
    fn ending(&self) -> &'static str {
        "nt"
    }
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(Statements(NTriplesSerializer::new().for_writer(out))))
    }
}

struct Statements<'a>(oxttl::ntriples::WriterNTriplesSerializer<Out<'a>>);

impl Sink for Statements<'_> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.0.serialize_triple(oxrdf::Triple::from(quad(row)).as_ref())
    }
    fn attribute(&mut self, attribute: &Attribute<'_>) -> io::Result<()> {
        self.0.serialize_triple(oxrdf::Triple::from(attribute_quad(attribute)).as_ref())
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().flush()
    }
}
