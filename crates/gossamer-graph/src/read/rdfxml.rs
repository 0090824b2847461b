//! RDF/XML: RDF in angle brackets, as ontologies are often published.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use oxrdfxml::{RdfXmlParseError, RdfXmlParser};

use super::rdf::{Place, RdfRows, Trouble, with_base};
use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// RDF/XML.
#[derive(Debug)]
pub struct RdfXml;

impl Reader for RdfXml {
    fn name(&self) -> &'static str {
        "rdf-xml"
    }
    fn summary(&self) -> &'static str {
        "RDF written as XML"
    }
    fn paper(&self) -> &'static str {
        "W3C: RDF 1.1 XML Syntax (2014)"
    }
    fn example(&self) -> &'static str {
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:a=\"http://a.org/\">\n\
         <rdf:Description rdf:about=\"http://a.org/France\">\n\
         <a:borders rdf:resource=\"http://a.org/Spain\"/>\n\
         <a:speaks rdf:resource=\"http://a.org/French\"/>\n\
         </rdf:Description>\n</rdf:RDF>\n"
    }
    fn recognises(&self, start: &str) -> bool {
        let start = start.trim_start_matches('\u{feff}').trim_start();
        start.starts_with("<?xml")
            || start.starts_with("<rdf:RDF")
            || start.starts_with("<!DOCTYPE")
    }
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let parser = with_base(RdfXmlParser::new(), options, RdfXmlParser::with_base_iri)?;
        let lines = Rc::new(RefCell::new(Lines::default()));
        let mut parser = parser.for_reader(Counted { input, lines: Rc::clone(&lines) });
        let statements = std::iter::from_fn(|| {
            let item = parser.next()?;
            Some(item.map_err(|error| match error {
                RdfXmlParseError::Io(error) => Trouble::Io(error),
                RdfXmlParseError::Syntax(error) => {
                    let (line, column) = lines.borrow().place(parser.buffer_position());
                    Trouble::Syntax(Place { line, column, what: error.to_string() })
                }
            }))
        });
        RdfRows::new(options, sink).take_all(statements)
    }
}

/// Where lines end in what was read lately: the parser tells bytes only.
#[derive(Default)]
struct Lines {
    read: u64,
    /// Newlines before those that are kept.
    forgotten: u64,
    ends: VecDeque<u64>,
}

impl Lines {
    /// The parser reads at most this far ahead.
    const KEPT: usize = 1 << 16;

    fn add(&mut self, bytes: &[u8]) {
        for (place, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            self.ends.push_back(self.read + place as u64);
        }
        self.read += bytes.len() as u64;
        while self.ends.len() > Self::KEPT {
            self.ends.pop_front();
            self.forgotten += 1;
        }
    }

    /// Line and column, from 1, of a byte.
    fn place(&self, byte: u64) -> (u64, u64) {
        let before = self.ends.partition_point(|end| *end < byte);
        let start =
            before.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| end + 1);
        (self.forgotten + before as u64 + 1, byte - start + 1)
    }
}

struct Counted<'a> {
    input: &'a mut dyn BufRead,
    lines: Rc<RefCell<Lines>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.lines.borrow_mut().add(&out[..n]);
        Ok(n)
    }
}
