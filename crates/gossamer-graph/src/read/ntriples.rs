//! N-Triples: RDF, a triple a line.

use std::io::BufRead;

use oxttl::NTriplesParser;

use super::rdf::{RdfRows, is_lines};
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// N-Triples: RDF, a triple a line.
#[derive(Debug)]
pub struct NTriples;

impl Reader for NTriples {
    fn name(&self) -> &'static str {
        "n-triples"
    }
    fn summary(&self) -> &'static str {
        "RDF, one triple a line, full IRIs"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 N-Triples (2014)"
    }
    fn example(&self) -> &'static str {
        "<http://a.org/Paris> <http://a.org/capitalOf> <http://a.org/France> .\n\
         <http://a.org/France> <http://a.org/borders> <http://a.org/Spain> .\n"
    }
    fn recognises(&self, start: &str) -> bool {
        is_lines(start, 3)
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        RdfRows::new(options, sink).take_all(NTriplesParser::new().for_reader(input))
    }
}
