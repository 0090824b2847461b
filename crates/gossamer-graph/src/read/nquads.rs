//! N-Quads: RDF, a triple and its named graph a line.

use std::io::BufRead;

use oxttl::NQuadsParser;

use super::rdf::{RdfRows, is_lines};
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// N-Quads: RDF, a triple and its named graph a line.
#[derive(Debug)]
pub struct NQuads;

impl Reader for NQuads {
    fn name(&self) -> &'static str {
        "n-quads"
    }
    fn summary(&self) -> &'static str {
        "RDF, one triple and its named graph a line"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 N-Quads (2014)"
    }
    fn example(&self) -> &'static str {
        "<http://a.org/Paris> <http://a.org/in> <http://a.org/France> <http://a.org/g1> .\n\
         <http://a.org/France> <http://a.org/borders> <http://a.org/Spain> <http://a.org/g1> .\n"
    }
    fn recognises(&self, start: &str) -> bool {
        is_lines(start, 4)
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        RdfRows::new(options, sink).take_all(NQuadsParser::new().for_reader(input))
    }
}
