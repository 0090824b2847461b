//! From RDF terms to rows: what the readers of RDF share.
//!
//! An IRI's name is the IRI; a blank node's is `_:` and its label. `rdf:type` says a type and is a
//! triple too; `rdfs:domain`, `rdfs:range` and `owl:inverseOf` speak of relations and go to the
//! schema; a literal is an attribute of its subject, and a label where its property is one.
//!
//! *Invariant:* the same file gives the same names: nodes that the file leaves unnamed are numbered
//! in the order in which they come.

use std::collections::HashMap;

use oxrdf::{GraphName, Literal, NamedOrBlankNode, Term, TermRef};

use oxttl::TurtleParseError;

use super::{Attribute, ReadOptions, ReadReport, Row, SchemaFact, SchemaKind, TripleSink};
use super::{fields::mistake, source};
use crate::error::GraphError;
use crate::iri::name_of;

/// `rdf:type`.
pub const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
/// `xsd:string`, the type of a literal that says none.
pub const STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

const SCHEMA: &[(&str, SchemaKind)] = &[
    ("http://www.w3.org/2000/01/rdf-schema#domain", SchemaKind::Domain),
    ("http://www.w3.org/2000/01/rdf-schema#range", SchemaKind::Range),
    ("http://www.w3.org/2002/07/owl#inverseOf", SchemaKind::Inverse),
];

const LABELS: &[&str] = &[
    "http://www.w3.org/2000/01/rdf-schema#label",
    "http://www.w3.org/2004/02/skos/core#prefLabel",
    "http://schema.org/name",
    "https://schema.org/name",
];

/// Where a mistake stands: line and column from 1.
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
    /// What the parser says.
    pub what: String,
}

/// Why a parser could not give its next triple.
pub enum Trouble {
    /// The text is not understood here; what follows may be.
    Syntax(Place),
    /// The source cannot be read on.
    Io(std::io::Error),
}

impl From<TurtleParseError> for Trouble {
    fn from(error: TurtleParseError) -> Self {
        match error {
            TurtleParseError::Io(error) => Self::Io(error),
            TurtleParseError::Syntax(error) => {
                let start = error.location().start;
                let what = error.message().to_string();
                Self::Syntax(Place { line: start.line + 1, column: start.column + 1, what })
            }
        }
    }
}

/// The next step after what a parser says.
fn hint_for(what: &str) -> &'static str {
    const HINTS: &[(&str, &str)] = &[
        ("prefix", "declare it first: @prefix name: <http://…> ."),
        ("dot", "the statement before this place wants a full stop"),
        ("No scheme", "an IRI begins with its scheme; --base IRI completes relative ones"),
        ("expected `</", "an XML element was not closed"),
    ];
    let known = HINTS.iter().find(|(part, _)| what.contains(part));
    known.map_or("check the file with a validator, or choose another --format", |(_, hint)| hint)
}

/// The triples of one RDF source on their way to a sink.
pub struct RdfRows<'a> {
    options: &'a ReadOptions,
    sink: &'a mut dyn TripleSink,
    /// Labels of nodes that have none in the file.
    unnamed: HashMap<String, usize>,
    report: ReadReport,
    names: [String; 4],
}

impl<'a> RdfRows<'a> {
    /// Mistakes in a row after which a source is no RDF of its format.
    const HOPELESS: u64 = 1000;

    /// Of a source not begun.
    pub fn new(options: &'a ReadOptions, sink: &'a mut dyn TripleSink) -> Self {
        let (unnamed, report) = (HashMap::new(), ReadReport::default());
        Self { options, sink, unnamed, report, names: Default::default() }
    }

    /// Takes everything that a parser gives.
    ///
    /// # Errors
    /// Those of the sink, and of the source.
    pub fn take_all<T: Statement, E: Into<Trouble>>(
        mut self,
        parser: impl Iterator<Item = Result<T, E>>,
    ) -> Result<ReadReport, GraphError> {
        for item in parser {
            match item.map_err(Into::into) {
                Ok(statement) => self.take(&statement)?,
                Err(Trouble::Io(error)) => return Err(source::unreadable(self.options, &error)),
                Err(Trouble::Syntax(place)) => {
                    let hint = hint_for(&place.what);
                    let mut mistake = mistake(place.column, place.what, hint);
                    (mistake.file, mistake.line) = (self.options.file.clone(), place.line);
                    self.report.mistake(mistake);
                    if self.report.mistakes > Self::HOPELESS && self.report.rows == 0 {
                        break;
                    }
                }
            }
        }
        Ok(self.report)
    }

    fn take(&mut self, statement: &impl Statement) -> Result<(), GraphError> {
        let (subject, predicate, object, graph) = statement.parts();
        let predicate = &*name_of(predicate);
        let mut names = std::mem::take(&mut self.names);
        let [subject_name, object_name, graph_name, language] = &mut names;
        self.name(subject.into(), subject_name);
        let graph = match graph {
            GraphName::DefaultGraph => None,
            GraphName::NamedNode(node) => {
                graph_name.clear();
                graph_name.push_str(&name_of(node.as_str()));
                Some(graph_name.as_str())
            }
            GraphName::BlankNode(node) => {
                self.name(node.as_ref().into(), graph_name);
                Some(graph_name.as_str())
            }
        };
        let done = match object {
            Term::Literal(literal) => {
                self.report.literals += 1;
                self.literal(subject_name, predicate, literal, language)
            }
            _ => {
                self.name(object.as_ref(), object_name);
                self.fact([subject_name, predicate, object_name], graph)
            }
        };
        self.names = names;
        done
    }

    fn fact(
        &mut self,
        [head, relation, tail]: [&str; 3],
        graph: Option<&str>,
    ) -> Result<(), GraphError> {
        if let Some((_, kind)) = SCHEMA.iter().find(|(iri, _)| *iri == relation) {
            self.report.schema += 1;
            return self.sink.schema(&SchemaFact { kind: *kind, relation: head, object: tail });
        }
        self.report.rows += 1;
        let head_type = (relation == TYPE).then_some(tail);
        self.sink.row(&Row { head, relation, tail, graph, head_type, ..Row::default() })
    }

    fn literal(
        &mut self,
        subject: &str,
        property: &str,
        literal: &Literal,
        kind: &mut String,
    ) -> Result<(), GraphError> {
        kind.clear();
        if let Some(language) = literal.language() {
            kind.push('@');
            kind.push_str(language);
        } else {
            kind.push_str(&name_of(literal.datatype().as_str()));
        }
        let (text, is_label) = (literal.value(), LABELS.contains(&property));
        self.sink.attribute(&Attribute { subject, property, text, kind, is_label })
    }

    /// Writes the name of a node to `out`.
    fn name(&mut self, term: TermRef<'_>, out: &mut String) {
        out.clear();
        match term {
            TermRef::NamedNode(node) => out.push_str(&name_of(node.as_str())),
            TermRef::BlankNode(node) => {
                out.push_str("_:");
                if self.options.scope > 0 {
                    out.push_str(&format!("file{}.", self.options.scope));
                }
                let label = node.as_str();
                // The parser's own labels are random: a repeated import must not see them.
                let random = label.len() > 24 && label.bytes().all(|b| b.is_ascii_hexdigit());
                if random {
                    let next = self.unnamed.len();
                    let number = *self.unnamed.entry(label.to_string()).or_insert(next);
                    out.push_str(&format!("node.{number}"));
                } else {
                    out.push_str(label);
                }
            }
            TermRef::Literal(literal) => out.push_str(literal.value()),
        }
    }
}

/// A triple or a quad.
pub trait Statement {
    /// Subject, predicate, object, graph.
    fn parts(&self) -> (&NamedOrBlankNode, &str, &Term, &GraphName);
}

impl Statement for oxrdf::Triple {
    fn parts(&self) -> (&NamedOrBlankNode, &str, &Term, &GraphName) {
        (&self.subject, self.predicate.as_str(), &self.object, &GraphName::DefaultGraph)
    }
}

impl Statement for oxrdf::Quad {
    fn parts(&self) -> (&NamedOrBlankNode, &str, &Term, &GraphName) {
        (&self.subject, self.predicate.as_str(), &self.object, &self.graph_name)
    }
}

/// True if the first lines are statements of `terms` terms and a full stop each, or of three: a
/// quad may leave its graph out.
pub fn is_lines(start: &str, terms: usize) -> bool {
    const LINES: usize = 50;
    let mut lines: Vec<&str> = start.lines().collect();
    if lines.len() > 1 && !start.ends_with('\n') {
        // The last one may be cut off.
        lines.pop();
    }
    let statement = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let found = lines.iter().map(|line| line.trim()).filter(statement).take(LINES);
    let counts: Vec<usize> = found.map(|line| n_terms(line).unwrap_or(0)).collect();
    !counts.is_empty() && counts.iter().all(|n| (3..=terms).contains(n)) && counts.contains(&terms)
}

/// How many IRIs, blank nodes and literals stand in a line before its full stop.
fn n_terms(line: &str) -> Option<usize> {
    let (mut rest, mut n) = (line, 0);
    loop {
        rest = rest.trim_start();
        let end = match rest.chars().next()? {
            '.' => return Some(n),
            '<' => rest.find('>')? + 1,
            '_' if rest.starts_with("_:") => rest.find([' ', '\t', '<', '"'])?,
            '"' => {
                let mut escaped = false;
                let close = rest[1..].find(|letter: char| {
                    let ends = letter == '"' && !escaped;
                    escaped = letter == '\\' && !escaped;
                    ends
                })? + 2;
                let tail = &rest[close..];
                let suffix = if tail.starts_with("^^<") { tail.find('>')? + 1 } else { 0 };
                let tag = if tail.starts_with('@') { tail.find([' ', '\t', '.'])? } else { suffix };
                close + tag
            }
            _ => return None,
        };
        rest = &rest[end..];
        n += 1;
    }
}

/// True for a text with Turtle's directives or abbreviations; with `graphs` only if a brace opens a
/// named graph.
pub fn is_terse(start: &str, graphs: bool) -> bool {
    let lines = || start.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let directive = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        ["@prefix", "@base", "prefix", "base"].contains(&word.as_str()) && line.contains('<')
    };
    let brace = lines().any(|line| !line.starts_with('<') && line.contains('{'))
        || lines().any(|line| line.ends_with('{'));
    let iri = |line: &str| line.starts_with('<') && line.contains('>') && !line.starts_with("<?");
    let first = lines().find(|line| !line.is_empty()).unwrap_or_default();
    let terse = directive(first) || (iri(first) && !first.contains(['\t', ',']));
    terse && (brace || !graphs)
}

/// A parser with the base of `--base`, against which relative IRIs are read.
///
/// # Errors
/// [`GraphError::Request`] if that is no IRI.
pub fn with_base<P, E: std::fmt::Display>(
    parser: P,
    options: &ReadOptions,
    set: impl FnOnce(P, String) -> Result<P, E>,
) -> Result<P, GraphError> {
    let Some(base) = &options.base else { return Ok(parser) };
    set(parser, base.clone()).map_err(|error| GraphError::Request {
        what: format!("--base {base} is no IRI: {error}"),
        hint: "write for example --base http://example.org/".into(),
    })
}
