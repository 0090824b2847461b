//! Readers: one file per format, pushing names into a sink.
//!
//! *Invariant:* a reader holds one row at a time; a row it cannot understand becomes a
//! [`Mistake`] with its place, never a panic.
//! *Not here:* ids; a reader knows only names. Finding and unpacking sources: [`source`].

use std::io::BufRead;
use std::sync::Arc;

use numbers::Numbers;

use crate::error::{GraphError, Mistake};

pub mod date;
pub mod fields;
pub mod table_rows;
pub mod source;
pub mod beside;
pub mod lines;
pub mod numbers;
pub mod links;
pub mod layout;
pub mod labels;
pub mod rdf;

gossamer_machine::registry!("format", Reader:
    tsv::Tsv,
    csv::Csv,
    turtle::Turtle,
    trig::TriG,
    ntriples::NTriples,
    nquads::NQuads,
    rdfxml::RdfXml,
    openke::OpenKe,
    kgtk::Kgtk,
    hin::Hin,
    neo4j::Neo4j,
    parquet::Parquet,
    recbole::RecBole,
    spaces::Spaces,
    lists::Lists,
);

/// The relation of interactions between users and items.
pub const INTERACTS: &str = "interacts";
/// The type of users, and what their names begin with: other things may be called the same.
pub const USER: &str = "user";
/// The type of items.
pub const ITEM: &str = "item";

/// A line longer than this is no row of a graph; the bound keeps memory bounded.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Mistakes kept to be shown; the rest is counted.
pub const MAX_MISTAKES: usize = 10;

/// A row as the source has it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Row<'a> {
    /// Head.
    pub head: &'a str,
    /// Relation.
    pub relation: &'a str,
    /// Tail.
    pub tail: &'a str,
    /// Weight or confidence.
    pub weight: Option<f32>,
    /// Start of validity, seconds since 1970.
    pub from: Option<i64>,
    /// End of validity, seconds since 1970.
    pub until: Option<i64>,
    /// The named graph, file or document it stands in.
    pub graph: Option<&'a str>,
    /// Type of the head.
    pub head_type: Option<&'a str>,
    /// Type of the tail.
    pub tail_type: Option<&'a str>,
    /// Label of the head.
    pub head_label: Option<&'a str>,
    /// Label of the tail.
    pub tail_label: Option<&'a str>,
}

/// A value of something: a text, number or date as the source writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attribute<'a> {
    /// Whose it is.
    pub subject: &'a str,
    /// Which.
    pub property: &'a str,
    /// The value.
    pub text: &'a str,
    /// The IRI of its datatype, or `@` and a language.
    pub kind: &'a str,
    /// True if the property is one that says what the subject is called.
    pub is_label: bool,
}

/// What an ontology says of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// The type of its heads.
    Domain,
    /// The type of its tails.
    Range,
    /// The relation that says the same the other way round.
    Inverse,
}

/// A statement of an ontology.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SchemaFact<'a> {
    /// What it says.
    pub kind: SchemaKind,
    /// Of which relation.
    pub relation: &'a str,
    /// A type, or the other relation.
    pub object: &'a str,
}

/// What a source held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadReport {
    /// Rows understood.
    pub rows: u64,
    /// Rows that ended with a carriage return.
    pub carriage_returns: u64,
    /// Blank lines.
    pub blank: u64,
    /// Attributes.
    pub literals: u64,
    /// Statements about relations.
    pub schema: u64,
    /// Values beside facts that have no place in a graph.
    pub unread: u64,
    /// Rows about what a list of names leaves out.
    pub left_out: u64,
    /// Rows that were not understood.
    pub mistakes: u64,
    /// The first of them.
    pub shown: Vec<Mistake>,
}

impl ReadReport {
    /// Counts a mistake and keeps it if it is among the first.
    pub fn mistake(&mut self, mistake: Mistake) {
        self.mistakes += 1;
        if self.shown.len() < MAX_MISTAKES {
            self.shown.push(mistake);
        }
    }
}

/// Takes rows, attributes and schema.
pub trait TripleSink {
    /// One row; an error ends the reading.
    ///
    /// # Errors
    /// The sink's own.
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError>;
    /// One attribute.
    ///
    /// # Errors
    /// The sink's own.
    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError>;
    /// A type of a thing.
    ///
    /// # Errors
    /// The sink's own.
    fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError>;
    /// What a thing is called; may be said again and again.
    ///
    /// # Errors
    /// The sink's own.
    fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError>;
    /// One statement about a relation.
    ///
    /// # Errors
    /// The sink's own.
    fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError>;
}

/// How a source is to be read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The file, as mistakes name it.
    pub file: String,
    /// Order of the columns, such as "head,relation,tail,weight"; none: from the header, or that.
    pub columns: Option<String>,
    /// Which column holds what, such as "head=from,relation=:knows,tail=to".
    pub map: Option<String>,
    /// The names behind numbers.
    pub numbers: Option<Arc<Numbers>>,
    /// The IRI against which relative ones are read.
    pub base: Option<String>,
    /// Number of the file in its import: blank nodes of two files are never the same.
    pub scope: usize,
}

/// A format.
pub trait Reader: Sync {
    /// Its name in help.
    fn name(&self) -> &'static str;
    /// What it reads, in a line.
    fn summary(&self) -> &'static str;
    /// Where the format is described.
    fn paper(&self) -> &'static str;
    /// An example, a few lines.
    fn example(&self) -> &'static str;
    /// True if its sources are texts, as the example is.
    fn is_text(&self) -> bool {
        true
    }
    /// True if a source that starts like this is probably of this format.
    fn recognises(&self, start: &str) -> bool;
    /// Reads everything.
    ///
    /// # Errors
    /// Those of the sink, and of the source while it is read. Mistakes in rows are no errors: they
    /// are in the report.
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError>;
}

/// The format of a source, by its beginning.
pub fn recognise(start: &[u8]) -> &'static dyn Reader {
    let text = String::from_utf8_lossy(start);
    // Later formats are the more particular ones; the first takes what nobody knows.
    ALL.iter().rev().copied().find(|reader| reader.recognises(&text)).unwrap_or(ALL[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Collect(Vec<[String; 3]>);

    impl TripleSink for Collect {
        fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
            self.0.push([row.head, row.relation, row.tail].map(String::from));
            Ok(())
        }
        fn attribute(&mut self, _: &Attribute<'_>) -> Result<(), GraphError> {
            Ok(())
        }
        fn kind(&mut self, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn label(&mut self, _: &str, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn schema(&mut self, _: &SchemaFact<'_>) -> Result<(), GraphError> {
            Ok(())
        }
    }

    fn read(reader: &dyn Reader, bytes: &[u8]) -> (Vec<[String; 3]>, ReadReport) {
        let mut sink = Collect::default();
        let options = ReadOptions { file: "f".into(), ..ReadOptions::default() };
        let report = reader.read(&mut &*bytes, &options, &mut sink).unwrap();
        (sink.0, report)
    }

    #[test]
    fn the_example_of_each_format_is_recognised_and_read() {
        for reader in ALL {
            assert_eq!(recognise(reader.example().as_bytes()).name(), reader.name());
            if !reader.is_text() {
                continue;
            }
            let (rows, report) = read(*reader, reader.example().as_bytes());
            assert!(rows.len() >= 2 && report.mistakes == 0, "{}", reader.name());
        }
    }

    #[test]
    fn cut_or_damaged_anywhere_nothing_panics() {
        for reader in ALL.iter().filter(|reader| reader.is_text()) {
            let whole = reader.example().as_bytes();
            for place in 0..=whole.len() {
                read(*reader, &whole[..place]);
                for byte in [0x00, 0xFF, b'"', b'\n'] {
                    let mut damaged = whole.to_vec();
                    if let Some(slot) = damaged.get_mut(place) {
                        *slot = byte;
                    }
                    read(*reader, &damaged);
                }
            }
        }
    }

    #[test]
    fn a_mistake_names_line_and_column() {
        let (rows, report) = read(ALL[0], b"a\tr\tb\na r b\n\nc\tr\td\te\tf\n\tr\tb\r\n");
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (report.rows, report.mistakes, report.blank, report.carriage_returns),
            (1, 3, 1, 1)
        );
        let places: Vec<(u64, u64)> = report.shown.iter().map(|m| (m.line, m.column)).collect();
        assert_eq!(places, [(2, 1), (4, 9), (5, 1)]);
        let (_, report) = read(ALL[1], b"a,r,b\n\"x\",r\n");
        assert_eq!((report.shown[0].line, report.mistakes), (2, 1));
    }
}
