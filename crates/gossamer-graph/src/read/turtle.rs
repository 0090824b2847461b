//! Turtle: RDF with prefixes and abbreviations.

use std::io::BufRead;

use oxttl::TurtleParser;

use super::rdf::{RdfRows, is_terse};
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// Turtle: RDF with prefixes and abbreviations.
#[derive(Debug)]
pub struct Turtle;

impl Reader for Turtle {
    fn name(&self) -> &'static str {
        "turtle"
    }
    fn summary(&self) -> &'static str {
        "RDF with prefixes and abbreviations"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 Turtle (2014)"
    }
    fn example(&self) -> &'static str {
        "@prefix a: <http://a.org/> .\na:Paris a:capitalOf a:France .\n\
         a:France a:borders a:Spain ; a:speaks a:French .\n"
    }
    fn recognises(&self, start: &str) -> bool {
        is_terse(start, false)
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let parser =
            super::rdf::with_base(TurtleParser::new(), options, TurtleParser::with_base_iri)?;
        RdfRows::new(options, sink).take_all(parser.for_reader(input))
    }
}
