//! Writers: one file per format, taking a graph's facts out again under their names.
//!
//! *Invariant:* what a writer writes, the reader of its format reads back to the same facts, as far
//! as the format can say them.

use std::io::{self, Write};
use std::path::Path;

use gossamer_machine::{FileError, Observer, Progress};

use crate::error::GraphError;
use crate::id::Split;
use crate::read::{Attribute, Row};
use crate::snapshot::{NO_TIME, Snapshot, StoredRow};

pub mod rdf;
pub mod predicted;

gossamer_machine::registry!("output format", Writer:
    tsv::TsvWriter,
    csv::CsvWriter,
    ntriples::NTriplesWriter,
    nquads::NQuadsWriter,
    turtle::TurtleWriter,
    trig::TriGWriter,
    parquet::ParquetWriter,
);

/// Where a file is written.
pub type Out<'a> = &'a mut (dyn Write + Send);
/// A file begun.
pub type Started<'a> = Result<Box<dyn Sink + 'a>, GraphError>;

/// A format that facts can be written in.
pub trait Writer: Sync {
    /// Its name in help, which is also its reader's.
    fn name(&self) -> &'static str;
    /// What it keeps, in a line.
    fn summary(&self) -> &'static str;
    /// Where the format is described.
    fn paper(&self) -> &'static str;
    /// The ending of its files.
    fn ending(&self) -> &'static str;
    /// Starts a file.
    ///
    /// # Errors
    /// What this build lacks for it.
    fn start<'a>(&self, out: Out<'a>) -> Started<'a>;
}

/// A file being written.
pub trait Sink {
    /// Writes a fact.
    ///
    /// # Errors
    /// Those of writing.
    fn row(&mut self, row: &Row<'_>) -> io::Result<()>;
    /// Writes an attribute; formats of triples alone pass over it.
    ///
    /// # Errors
    /// Those of writing.
    fn attribute(&mut self, _: &Attribute<'_>) -> io::Result<()> {
        Ok(())
    }
    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Bytes that [`write()`] has in memory: all names.
///
/// # Errors
/// Those of opening files of names.
pub fn bytes_for(graph: &Snapshot) -> Result<u64, FileError> {
    let mut bytes = graph.entities().bytes_of_all() + graph.relations().bytes_of_all();
    for file in ["graphs.gcol", "properties.gcol", "kinds.gcol"] {
        bytes += graph.names_of(file)?.map_or(0, |names| names.bytes_of_all());
    }
    Ok(bytes)
}

/// Writes the facts of a split, and with `attributes` what is said of entities beside them. Returns
/// how many facts. Cost: all names in memory. `path` is where they go, for what may be wrong there.
///
/// # Errors
/// Those of reading the graph and of writing.
pub fn write(
    graph: &Snapshot,
    split: Split,
    attributes: bool,
    writer: &dyn Writer,
    (out, path): (Out<'_>, &Path),
    observer: &dyn Observer,
) -> Result<u64, GraphError> {
    let failed = |error: io::Error| GraphError::from(FileError::io("write", path)(error));
    let entities = graph.entities().load()?;
    let relations = graph.relations().load()?;
    let graphs = graph.names_of("graphs.gcol")?.map(|names| names.load()).transpose()?;
    let total = graph.n_triples(split)?;
    let (mut sink, mut n) = (writer.start(out)?, 0u64);
    graph.for_each_row(split, |stored| {
        let StoredRow { triple: [head, relation, tail], weight, validity, graphs: of } = *stored;
        let time = |time: i64| Some(time).filter(|time| *time != NO_TIME);
        let mut row = Row {
            head: entities.get(head),
            relation: relations.get(relation),
            tail: entities.get(tail),
            weight: weight.filter(|weight| *weight != 1.0),
            from: time(validity[0]),
            until: time(validity[1]),
            ..Row::default()
        };
        n += 1;
        if n.is_multiple_of(1 << 16) {
            let (stage, detail) = ("writing", "");
            observer.progress(&Progress { stage, done: n, total, unit: "facts", detail });
            if observer.cancelled() {
                return Err(GraphError::Cancelled);
            }
        }
        if of.is_empty() {
            return sink.row(&row).map_err(failed);
        }
        for id in of {
            row.graph = graphs.as_ref().map(|graphs| graphs.get(*id));
            sink.row(&row).map_err(failed)?;
        }
        Ok(())
    })?;
    if attributes && graph.folder().has("attributes.gcol") {
        write_attributes(graph, &entities, &mut *sink, &failed)?;
    }
    sink.finish().map_err(failed)?;
    Ok(n)
}

fn write_attributes(
    graph: &Snapshot,
    entities: &crate::names::Loaded,
    sink: &mut dyn Sink,
    failed: &dyn Fn(io::Error) -> GraphError,
) -> Result<(), GraphError> {
    let missing = |name: &str| FileError::Missing {
        path: graph.folder().path().join(name),
        what: "is not there, but attributes are".into(),
        hint: "import the graph again".into(),
    };
    let names = |name: &str| -> Result<_, GraphError> {
        Ok(graph.names_of(name)?.ok_or_else(|| missing(name))?.load()?)
    };
    let (properties, kinds) = (names("properties.gcol")?, names("kinds.gcol")?);
    graph.for_each_attribute(|[entity, property, kind], text| {
        let attribute = Attribute {
            subject: entities.get(entity),
            property: properties.get(property),
            text,
            kind: kinds.get(kind),
            is_label: false,
        };
        sink.attribute(&attribute).map_err(failed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Builder;
    use crate::read::parquet::PARQUET;
    use crate::read::{self, ReadOptions, TripleSink};
    use crate::room::Room;
    use crate::snapshot::KIND;
    use gossamer_machine::Silent;
    use gossamer_machine::folder::Draft;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Everything a graph says, under its names.
    type Facts = BTreeSet<(String, String, String, String, String)>;

    fn graph_of(fill: impl FnOnce(&mut Builder<'_>)) -> (tempfile::TempDir, Snapshot) {
        let root = tempfile::tempdir().unwrap();
        let draft = Draft::create(KIND, &root.path().join("g"), false).unwrap();
        let mut builder = Builder::new(&draft, Room::LEAST, &Silent);
        fill(&mut builder);
        builder.write(&draft, None).unwrap();
        let folder = draft.finish(&std::collections::BTreeMap::new()).unwrap();
        (root, Snapshot::of(folder).unwrap())
    }

    fn facts(graph: &Snapshot, graphs: bool, values: bool, attributes: bool) -> Facts {
        #[derive(Default)]
        struct All(Facts, [bool; 3]);
        impl Sink for All {
            fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
                let graph = row.graph.filter(|_| self.1[0]).unwrap_or_default().to_string();
                let said = format!("{:?} {:?} {:?}", row.weight, row.from, row.until);
                let said = if self.1[1] { said } else { String::new() };
                let [head, relation, tail] = [row.head, row.relation, row.tail].map(String::from);
                self.0.insert((head, relation, tail, graph, said));
                Ok(())
            }
            fn attribute(&mut self, a: &Attribute<'_>) -> io::Result<()> {
                if self.1[2] {
                    let [subject, property, text] =
                        [a.subject, a.property, a.text].map(String::from);
                    self.0.insert((subject, property, text, "literal".into(), a.kind.into()));
                }
                Ok(())
            }
            fn finish(self: Box<Self>) -> io::Result<()> {
                Ok(())
            }
        }
        // A writer that only remembers.
        let mut all = All(Facts::new(), [graphs, values, attributes]);
        let names = graph.entities().load().unwrap();
        let relations = graph.relations().load().unwrap();
        let graphs = graph.names_of("graphs.gcol").unwrap().map(|names| names.load().unwrap());
        graph
            .for_each_row(Split::Train, |row| {
                let time = |time: i64| Some(time).filter(|time| *time != NO_TIME);
                let [head, relation, tail] = row.triple;
                let mut of = Row {
                    head: names.get(head),
                    relation: relations.get(relation),
                    tail: names.get(tail),
                    weight: row.weight.filter(|weight| *weight != 1.0),
                    from: time(row.validity[0]),
                    until: time(row.validity[1]),
                    ..Row::default()
                };
                if row.graphs.is_empty() {
                    all.row(&of).unwrap();
                }
                for id in row.graphs {
                    of.graph = graphs.as_ref().map(|graphs| graphs.get(*id));
                    all.row(&of).unwrap();
                }
                Ok::<(), FileError>(())
            })
            .unwrap();
        if attributes && graph.folder().has("attributes.gcol") {
            let failed = |error: io::Error| panic!("{error}");
            write_attributes(graph, &names, &mut all, &failed).unwrap();
        }
        all.0
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,3}",
            "http://a\\.org/[a-zA-Z0-9%#/]{0,5}",
            "_:[a-z]{1,3}",
            "gossamer:[a-z]",
            "[\\PC]{1,6}".prop_filter("white space", |name| name.trim() == name),
        ]
    }

    type Stated = (String, String, String, Option<String>, Option<u8>, Option<i32>);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn what_is_written_reads_back_the_same(
            rows in prop::collection::vec(
                (name(), name(), name(), prop::option::of(name()), prop::option::of(2u8..9),
                 prop::option::of(any::<i32>())),
                1..12,
            ),
            values in prop::collection::vec((0usize..12, name(), any::<String>(), 0usize..3), 0..5),
        ) {
            let fill = |builder: &mut Builder<'_>| {
                for (head, relation, tail, graph, weight, from) in &rows as &[Stated] {
                    let row = Row {
                        head,
                        relation,
                        tail,
                        graph: graph.as_deref(),
                        weight: weight.map(f32::from),
                        from: from.map(i64::from),
                        ..Row::default()
                    };
                    builder.row(&row).unwrap();
                }
                for (of, property, text, kind) in &values {
                    let kind = ["@en", read::rdf::STRING, "http://a.org/type"][*kind];
                    let (subject, is_label) = (rows[of % rows.len()].0.as_str(), false);
                    let attribute = Attribute { subject, property, text, kind, is_label };
                    builder.attribute(&attribute).unwrap();
                }
            };
            let (_root, graph) = graph_of(fill);
            let built = |writer: &&&dyn Writer| PARQUET || writer.name() != "parquet";
            for writer in ALL.iter().filter(built) {
                let mut bytes = Vec::new();
                write(&graph, Split::Train, true, *writer, (&mut bytes, Path::new("facts")), &Silent).unwrap();
                let reader = read::find(writer.name()).unwrap();
                let (_root, back) = graph_of(|builder| {
                    let report =
                        reader.read(&mut &*bytes, &ReadOptions::default(), builder).unwrap();
                    assert_eq!(report.mistakes, 0, "{} {:?}", writer.name(), report.shown);
                });
                let tables = ["tsv", "csv", "parquet"].contains(&writer.name());
                let graphs = tables || ["n-quads", "trig"].contains(&writer.name());
                let compared = |graph: &Snapshot| facts(graph, graphs, tables, !tables);
                prop_assert_eq!(compared(&graph), compared(&back), "{}", writer.name());
            }
        }
    }
}
