//! TriG: Turtle with named graphs.

use std::io::BufRead;

use oxttl::TriGParser;

use super::rdf::{RdfRows, is_terse};
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// TriG: Turtle with named graphs.
#[derive(Debug)]
pub struct TriG;

impl Reader for TriG {
    fn name(&self) -> &'static str {
        "trig"
    }
    fn summary(&self) -> &'static str {
        "Turtle with named graphs in braces"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 TriG (2014)"
    }
    fn example(&self) -> &'static str {
        "@prefix a: <http://a.org/> .\na:g1 { a:Paris a:capitalOf a:France .\n\
         a:France a:borders a:Spain . }\n"
    }
    fn recognises(&self, start: &str) -> bool {
        is_terse(start, true)
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let parser = super::rdf::with_base(TriGParser::new(), options, TriGParser::with_base_iri)?;
        RdfRows::new(options, sink).take_all(parser.for_reader(input))
    }
}
