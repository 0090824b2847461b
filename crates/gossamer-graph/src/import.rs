//! Import: sources become a graph folder, with a report on what was in them.
//!
//! *Invariant:* nothing stands under the target's name until everything was read, sorted, written
//! and read back.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use gossamer_machine::folder::Draft;
use gossamer_machine::parallel::pipeline;
use gossamer_machine::{Observer, Progress};

use crate::build::{Anew, Builder, Leftovers};
use crate::dangling::dangling;
use crate::error::{GraphError, Mistake};
use crate::id::Split;
use crate::inspect::{Inspection, inspect};
use crate::read::beside::Beside;
use crate::read::labels::read_labels;
use crate::read::links::is_links;
use crate::read::source::{self, Source};
use crate::read::{self, ReadOptions, ReadReport, TripleSink};
use crate::relay::{Batch, Relay};
use crate::room::Room;
use crate::snapshot::{KIND, Snapshot};
use crate::split::Shares;
use crate::split_users::Way;

/// What to import, and how.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Files, folders, or `-`.
    pub sources: Vec<PathBuf>,
    /// Order of columns, where it is not the usual one.
    pub columns: Option<String>,
    /// Which column of a table holds what.
    pub map: Option<String>,
    /// The format of all sources, where it is not to be recognised.
    pub format: Option<String>,
    /// The IRI against which a source's relative ones are read.
    pub base: Option<String>,
    /// Files with name, label and perhaps a language.
    pub labels: Vec<PathBuf>,
    /// Files with name and type.
    pub types: Vec<PathBuf>,
    /// Import the other rows of a source with mistakes.
    pub skip_bad_rows: bool,
    /// Tables of users and items; where there are some, `map` is of these.
    pub interactions: Vec<PathBuf>,
    /// Split the triples anew.
    pub split: Option<Shares>,
    /// Split the interactions anew.
    pub split_users: Option<Way>,
    /// Seed of the split.
    pub seed: u64,
    /// Replace what is there.
    pub replace: bool,
    /// Memory for what grows with the graph; only what is held out by `split` takes more.
    pub room: Room,
}

/// What was read from a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReport {
    /// Its path.
    pub path: String,
    /// The format it was read as.
    pub format: &'static str,
    /// What was in it.
    pub read: ReadReport,
}

/// What an import found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// What was read from each source.
    pub sources: Vec<SourceReport>,
    /// What was left over.
    pub leftovers: Leftovers,
    /// Items that no fact is about, where there are interactions and facts.
    pub dangling: Vec<String>,
    /// The graph as it is.
    pub inspection: Inspection,
}

/// Reads the sources and writes the graph folder.
///
/// # Errors
/// [`GraphError::Mistakes`] when rows were not understood and `skip_bad_rows` is false, and those
/// of reading and writing. Nothing stands under `target` then, or what stood there before.
pub fn import(
    request: &ImportRequest,
    target: &Path,
    observer: &dyn Observer,
) -> Result<ImportReport, GraphError> {
    let draft = Draft::create(KIND, target, request.replace)?;
    let mut builder = Builder::new(&draft, request.room, observer);
    let mut sources = Vec::new();
    let mut found = source::find_sources(&request.sources)?;
    found.extend(interactions(request)?);
    // Of several sources each is remembered; the parts of a split are one source.
    let several = found.iter().filter(|source| source.split.is_none()).count() > 1;
    for source in found {
        let stage = format!("reading {}", source.path.display());
        // Triples that are split anew come from one split, so that none stands in two.
        let anew = request.split.is_some() || request.split_users.is_some();
        let split = source.split.filter(|_| !anew);
        let name = source.path.display().to_string();
        let graph = (several && source.split.is_none()).then_some(name.as_str());
        builder.begin(split.unwrap_or(Split::Train), stage, graph);
        let (format, read) = read_source(&source, sources.len(), request, &mut builder)?;
        sources.push(SourceReport { path: source.path.display().to_string(), format, read });
    }
    refuse_mistakes(&sources, request)?;
    if builder.is_empty() {
        return Err(GraphError::Request {
            what: "the sources hold no triples".into(),
            hint: "a row is head, relation and tail, separated by tabs or commas".into(),
        });
    }
    let report = finish(builder, request, draft, BTreeMap::new(), observer)?;
    let links = sources.iter().map(|source| Path::new(&source.path));
    let links: Vec<&Path> = links.filter(|path| is_links(path)).collect();
    let dangling = dangling(&Snapshot::open(target)?, &links)?;
    Ok(ImportReport { sources, dangling, ..report })
}

/// Labels, sorts, splits, writes and inspects.
fn finish(
    mut builder: Builder<'_>,
    request: &ImportRequest,
    draft: Draft,
    mut notes: BTreeMap<String, String>,
    observer: &dyn Observer,
) -> Result<ImportReport, GraphError> {
    for path in &request.labels {
        read_labels(path, &mut |name, label, language| builder.label(name, label, language))?;
    }
    for path in &request.types {
        read_labels(path, &mut |name, kind, _| builder.kind(name, kind))?;
    }
    let stage = "writing";
    observer.progress(&Progress { stage, done: 0, total: 0, unit: "", detail: "" });
    let anew = match (request.split_users, request.split) {
        (Some(way), _) => Some(Anew::Interactions(way)),
        (None, shares) => shares.map(Anew::All),
    };
    let anew = anew.map(|anew| (anew, request.seed));
    let (leftovers, [n_entities, n_relations]) = builder.write(&draft, anew)?;
    notes.insert("n_entities".to_string(), n_entities.to_string());
    notes.insert("n_relations".to_string(), n_relations.to_string());
    if observer.cancelled() {
        return Err(GraphError::Cancelled);
    }
    let folder = draft.finish(&notes)?;
    let inspection = inspect(&Snapshot::of(folder)?, request.room)?;
    Ok(ImportReport { sources: Vec::new(), leftovers, dangling: Vec::new(), inspection })
}

fn read_source(
    source: &Source,
    scope: usize,
    request: &ImportRequest,
    builder: &mut Builder<'_>,
) -> Result<(&'static str, ReadReport), GraphError> {
    let mut input = source::open(&source.path)?;
    if let Some(beside) = &source.beside {
        input = Box::new(BufReader::new(Beside::new(input, source::open(beside)?)));
    }
    // A map is of the interactions, where there are some.
    let map = request.map.as_ref().filter(|_| request.interactions.is_empty());
    let options = ReadOptions {
        file: source.path.display().to_string(),
        columns: request.columns.clone(),
        map: map.cloned().or_else(|| source.map.clone()),
        numbers: source.numbers.clone(),
        base: request.base.clone(),
        scope,
    };
    let start = input.fill_buf().map_err(|error| source::unreadable(&options, &error))?;
    let reader = match request.format.as_deref().or(source.format) {
        Some(name) => read::find(name)?,
        None => read::recognise(&start[..start.len().min(1 << 16)]),
    };
    let read = |send: &dyn Fn(Batch) -> bool| {
        let mut relay = Relay::new(send);
        let report = reader.read(&mut *input, &options, &mut relay)?;
        relay.flush()?;
        Ok::<ReadReport, GraphError>(report)
    };
    let report = pipeline(read, |batch| batch.deliver(builder))??;
    Ok((reader.name(), report))
}

/// The tables of interactions, with what their columns are.
fn interactions(request: &ImportRequest) -> Result<Vec<Source>, GraphError> {
    let usual = "user=user,item=item".to_string();
    let map = request.map.clone().unwrap_or(usual);
    let found = source::find_sources(&request.interactions)?.into_iter();
    let found = found.map(|source| match source.format {
        None => Source { map: Some(map.clone()), ..source },
        Some(_) => source,
    });
    Ok(found.collect())
}

fn refuse_mistakes(sources: &[SourceReport], request: &ImportRequest) -> Result<(), GraphError> {
    let total: u64 = sources.iter().map(|source| source.read.mistakes).sum();
    if total == 0 || request.skip_bad_rows {
        return Ok(());
    }
    let shown = sources.iter().flat_map(|source| source.read.shown.iter().cloned());
    let mistakes: Vec<Mistake> = shown.take(read::MAX_MISTAKES).collect();
    Err(GraphError::Mistakes { mistakes, total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::NO_TIME;
    use gossamer_machine::Silent;
    use std::fs;

    fn import_text(
        files: &[(&str, &str)],
        change: impl FnOnce(&mut ImportRequest),
    ) -> (tempfile::TempDir, Result<ImportReport, GraphError>) {
        let root = tempfile::tempdir().unwrap();
        let mut request = ImportRequest::default();
        for (name, text) in files {
            fs::write(root.path().join(name), text).unwrap();
            request.sources.push(root.path().join(name));
        }
        change(&mut request);
        let report = import(&request, &root.path().join("graph"), &Silent);
        (root, report)
    }

    #[test]
    fn a_folder_of_splits_keeps_them_and_the_report_names_warts() {
        let (root, report) = import_text(
            &[
                ("train.txt", "a\tr\tb\r\nb\tr\tc\r\na\tr\tb\r\n"),
                ("valid.txt", "a\tr\ta\n"),
                ("test.txt", "a\tr\tnew\nb\tr\tc\n"),
            ],
            |_| {},
        );
        let report = report.unwrap();
        assert_eq!((report.leftovers.duplicates, report.sources[0].read.carriage_returns), (1, 3));
        let inspection = &report.inspection;
        assert_eq!(inspection.n_triples, [2, 1, 2]);
        assert_eq!((inspection.n_entities, inspection.n_relations), (4, 1));
        assert_eq!(inspection.self_loops, 1);
        assert_eq!(inspection.overlaps, 1);
        assert_eq!(inspection.unseen_entities, [0, 1]);
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        assert_eq!(graph.entities().name(3).unwrap(), "new");
        assert_eq!(graph.triples(Split::Valid).unwrap().get(0), [0, 0, 0]);
    }

    #[test]
    fn mistakes_leave_nothing_behind_unless_skipped() {
        let rows = "a\tr\tb\nnonsense\nb\tr\tc\n";
        let (root, report) = import_text(&[("x.tsv", rows)], |_| {});
        let said = report.unwrap_err().to_string();
        assert!(said.contains("x.tsv:2:1") && said.contains("expected 3 columns"), "{said}");
        assert!(said.contains("--skip-bad-rows"));
        assert!(!root.path().join("graph").exists());
        let (_root, report) =
            import_text(&[("x.tsv", rows)], |request| request.skip_bad_rows = true);
        assert_eq!(report.unwrap().inspection.n_triples[0], 2);
    }

    #[test]
    fn every_column_of_a_table_is_kept() {
        let table = "head,relation,tail,weight,from,until,graph,head_type,tail_label\n\
                     a,r,b,0.5,2001,,g1,Person,Bee\na,r,b,0.7,,,g2,,\nb,r,a,,,2002-01-01,g1,City,\n";
        let labels = "a\tAlpha\ten\nr\tknows\na\tAlfa\tes\nzzz\tnobody\n";
        let (root, report) = import_text(&[("x.csv", table)], |request| {
            let path = request.sources[0].with_file_name("labels.tsv");
            fs::write(&path, labels).unwrap();
            request.labels.push(path);
        });
        let report = report.unwrap();
        assert_eq!((report.leftovers.duplicates, report.leftovers.labels), (1, 1));
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let triples = graph.triples(Split::Train).unwrap();
        assert_eq!(triples.weights, Some(vec![0.5, 1.0]));
        let file = graph.folder().columns("train.gcol").unwrap();
        assert_eq!(file.read_all::<i64>("from").unwrap(), [978_307_200, NO_TIME]);
        assert_eq!(file.read_all::<u64>("graph.offsets").unwrap(), [0, 2, 3]);
        assert_eq!(file.read_all::<u32>("graph.values").unwrap(), [0, 1, 0]);
        assert_eq!(graph.entities().shown(0).unwrap(), "Alpha (a)");
        assert_eq!(graph.entities().shown(1).unwrap(), "Bee (b)");
        assert_eq!(graph.relations().shown(0).unwrap(), "knows (r)");
        let types = graph.types().unwrap().unwrap();
        assert_eq!(types.names.name(types.of(0)[0]).unwrap(), "Person");
        assert_eq!(types.of(1).len(), 1);
    }

    #[test]
    fn rdf_keeps_types_labels_attributes_schema_and_blank_nodes() {
        let turtle = "@prefix a: <http://a.org/> .\n\
            @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n\
            @prefix owl: <http://www.w3.org/2002/07/owl#> .\n\
            a:Paris a a:City ; rdfs:label \"Paris\"@fr , \"Parijs\"@nl ; a:people 2100000 ;\n\
              a:in a:France .\n\
            a:in rdfs:label \"lies in\" ; rdfs:domain a:City ; rdfs:range a:Country ;\n\
              owl:inverseOf a:has .\n\
            a:France a:has a:Paris ; a:near [ a:in a:France ] , _:x .\n\
            a:Nobody a:people 3 . a:gone rdfs:range a:City .\n";
        let nquads = "_:x <http://a.org/near> <http://a.org/Paris> <http://a.org/g> .\n";
        let (root, report) = import_text(&[("a.ttl", turtle), ("b.nq", nquads)], |_| {});
        let report = report.unwrap();
        let formats: Vec<&str> = report.sources.iter().map(|source| source.format).collect();
        assert_eq!(formats, ["turtle", "n-quads"]);
        let read = &report.sources[0].read;
        assert_eq!((read.rows, read.literals, read.schema), (6, 5, 4));
        let left = report.leftovers;
        assert_eq!((left.labels, left.attributes, left.schema), (0, 2, 1));
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let id = |name: &str| graph.entities().find(name).unwrap().unwrap();
        assert_eq!(
            graph.entities().shown(id("http://a.org/Paris")).unwrap(),
            "Paris (http://a.org/Paris)"
        );
        for blank in ["_:x", "_:node.0", "_:file1.x"] {
            id(blank);
        }
        // Each file is a named graph, unless it names its own.
        let graphs = graph.names_of("graphs.gcol").unwrap().unwrap();
        assert!(graphs.name(0).unwrap().ends_with("a.ttl"));
        assert_eq!(graphs.find("http://a.org/g").unwrap(), Some(2));
        assert!(graph.entities().find("http://a.org/Nobody").unwrap().is_none());
        let relation = graph.relations().find("http://a.org/in").unwrap().unwrap();
        assert_eq!(graph.relations().label(relation).unwrap().unwrap(), "lies in");
        let types = graph.types().unwrap().unwrap();
        let paris = types.of(id("http://a.org/Paris"));
        assert_eq!(types.names.name(paris[0]).unwrap(), "http://a.org/City");
        let file = graph.relations().file();
        assert_eq!(file.n_values("range.values"), 1);
        assert_eq!(file.n_values("inverse.values"), 2);
        let attributes = graph.folder().columns("attributes.gcol").unwrap();
        assert_eq!(attributes.read_all::<u8>("value.bytes").unwrap(), b"ParisParijs2100000");
        assert_eq!(attributes.read_all::<u32>("kind").unwrap(), [0, 1, 2]);
    }

    #[test]
    fn neo4j_nodes_and_relationships_become_one_graph() {
        let people = "personId:ID(Person),name,born:int,:LABEL\n\
                      keanu,Keanu Reeves,1964,Person;Actor\nlana,Lana,1965,Person\n";
        let films = "id:ID(Film),title,:LABEL\nm1,The Matrix,Film\n";
        let acted = ":START_ID(Person),role,:END_ID(Film),:TYPE,weight:float\n\
                     keanu,Neo,m1,ACTED_IN,0.5\nlana,,m1,DIRECTED,\n";
        let (root, report) = import_text(
            &[("people.csv", people), ("films.csv", films), ("acted.csv", acted)],
            |_| {},
        );
        let report = report.unwrap();
        assert!(report.sources.iter().all(|source| source.format == "neo4j"));
        assert_eq!((report.sources[0].read.literals, report.sources[2].read.unread), (4, 1));
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let keanu = graph.entities().find("Person:keanu").unwrap().unwrap();
        assert_eq!(graph.entities().shown(keanu).unwrap(), "Keanu Reeves (Person:keanu)");
        let types = graph.types().unwrap().unwrap();
        assert_eq!(types.of(keanu).len(), 2);
        let triples = graph.triples(Split::Train).unwrap();
        assert_eq!(triples.weights, Some(vec![0.5, 1.0]));
        let (_root, report) = import_text(&[("r.csv", ":START_ID,:END_ID,:TYPE\na,b,\n")], |_| {});
        assert!(report.unwrap_err().to_string().contains("r.csv:2:1: expected a :TYPE"));
        let apoc = "_id,_labels,name,_start,_end,_type\n\
                    0,:Person,Ann,,,\n1,:City,Oslo,,,\n,,,0,1,LIVES_IN\n";
        let (root, report) = import_text(&[("all.csv", apoc)], |_| {});
        assert_eq!(report.unwrap().inspection.n_triples[0], 1);
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        assert_eq!(graph.entities().shown(0).unwrap(), "Ann (0)");
    }

    #[test]
    fn kgtk_edges_give_triples_labels_and_attributes() {
        let edges = "id\tnode1\tlabel\tnode2\tnode2;label\n\
                     e1\tQ90\tP17\tQ142\t'France'@en\ne2\tQ90\tP1082\t+2102650\t\n\
                     e3\tQ90\tlabel\t'Paris'@fr\t\n";
        let (root, report) = import_text(&[("edges.tsv", edges)], |_| {});
        let report = report.unwrap();
        assert_eq!(report.sources[0].format, "kgtk");
        assert_eq!((report.sources[0].read.rows, report.sources[0].read.literals), (1, 2));
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let shown = [0, 1].map(|id| graph.entities().shown(id).unwrap());
        // A label may name a thing before the row that puts it in a triple.
        assert_eq!(shown, ["France (Q142)", "Paris (Q90)"]);
    }

    #[test]
    fn any_room_for_names_gives_the_same_bytes() {
        let table = "head,relation,tail,weight,from,until,graph,head_type,tail_label\n\
                     a,r,b,,2001,,g1,Person,Bee\nb,r,a,1,,2002-01-01,g1,City,\n\
                     a,r,b,0.7,,,g2,Person,Bee\nc,s,a,,,,,City,Ay\nb,r,a,0.5,,,g2,City,Ay\n";
        let turtle = "@prefix : <http://a.org/> .\n\
            @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n\
            :Paris a :City ; rdfs:label \"Paris\"@fr , \"Parijs\"@nl ; :people 2100000 .\n\
            :Rome :near :Paris ; rdfs:label \"Rome\" . :in rdfs:label \"lies in\" .\n\
            :Paris :in :France . :Nobody :people 3 . :Rome rdfs:label \"Roma\"@it .\n\
            :Rome :near :Paris . :France rdfs:label \"France\"@fr ; :has :Paris .\n\
            :Paris rdfs:label \"Lutetia\"@fr .\n";
        for (name, text) in [("x.csv", table), ("x.ttl", turtle)] {
            let manifest = |room| {
                let (root, report) = import_text(&[(name, text)], |request| request.room = room);
                let report = report.unwrap();
                let manifest = fs::read_to_string(root.path().join("graph/manifest")).unwrap();
                (manifest, report.leftovers, report.inspection)
            };
            let usual = manifest(Room::default());
            for bytes in [1, 300, 1500, 3000] {
                let (manifest, leftovers, _) = manifest(Room::tiny(bytes));
                assert_eq!((&manifest, leftovers), (&usual.0, usual.1), "{name} in {bytes} bytes");
            }
        }
    }

    #[test]
    fn compressed_sources_are_known_by_content() {
        use std::io::Write;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("mislabelled.tsv");
        let mut encoder = flate2::write::GzEncoder::new(
            fs::File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        encoder.write_all(b"a\tr\tb\n").unwrap();
        encoder.finish().unwrap();
        let request = ImportRequest { sources: vec![path], ..ImportRequest::default() };
        let report = import(&request, &root.path().join("g"), &Silent).unwrap();
        assert_eq!(report.inspection.n_triples[0], 1);
        let zst = root.path().join("x.tsv");
        let packed = ruzstd::encoding::compress_to_vec(
            &b"a\tr\tb\nb\tr\tc\n"[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        fs::write(&zst, packed).unwrap();
        let request = ImportRequest { sources: vec![zst], ..ImportRequest::default() };
        let report = import(&request, &root.path().join("h"), &Silent).unwrap();
        assert_eq!(report.inspection.n_triples[0], 2);
    }

    #[test]
    fn any_flipped_byte_of_a_graph_is_refused() {
        let (root, report) = import_text(&[("train.txt", "a\tr\tb\nb\tr\tc\n")], |_| {});
        report.unwrap();
        let target = root.path().join("graph");
        let names: Vec<PathBuf> =
            fs::read_dir(&target).unwrap().map(|e| e.unwrap().path()).collect();
        for path in names {
            let whole = fs::read(&path).unwrap();
            for place in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[place] ^= 0x80;
                fs::write(&path, &damaged).unwrap();
                let result = Snapshot::open(&target).and_then(|graph| graph.folder().check());
                assert!(result.is_err(), "{} byte {place}", path.display());
            }
            fs::write(&path, &whole).unwrap();
        }
    }

    /// The facts of a folder with these files, in words.
    fn facts_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Snapshot, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        for (name, text) in files {
            fs::create_dir_all(data.join(name).parent().unwrap()).unwrap();
            fs::write(data.join(name), text).unwrap();
        }
        let request = ImportRequest { sources: vec![data], ..ImportRequest::default() };
        import(&request, &root.path().join("graph"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("graph")).unwrap();
        let triples = graph.triples(Split::Train).unwrap();
        let name = |id: u32| graph.entities().name(id).unwrap();
        let fact = |[head, relation, tail]: [u32; 3]| {
            format!("{} {} {}", name(head), graph.relations().name(relation).unwrap(), name(tail))
        };
        let mut facts: Vec<String> = (0..triples.len()).map(|i| fact(triples.get(i))).collect();
        facts.sort();
        (root, graph, facts)
    }

    #[test]
    fn a_users_map_wins_over_a_layouts_and_is_of_interactions_where_there_are_some() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.path().join("data")).unwrap();
            fs::write(root.path().join(name), text).unwrap();
            root.path().join(name)
        };
        write("data/edges.tsv", "a\tb\n");
        write("data/labels.tsv", "a\tc\n");
        let map = Some("head=2,relation=:of,tail=1".to_string());
        let sources = vec![root.path().join("data")];
        let request = ImportRequest { sources, map, ..ImportRequest::default() };
        import(&request, &root.path().join("one"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("one")).unwrap();
        let id = |graph: &Snapshot, name: &str| graph.entities().find(name).unwrap().unwrap();
        let triples: Vec<_> = graph.triples(Split::Train).unwrap().iter().collect();
        assert!(triples.contains(&[id(&graph, "b"), 0, id(&graph, "a")]), "{triples:?}");
        let facts = write("facts.tsv", "i\tin\tx\n");
        let interactions = vec![write("clicks.csv", "what,who\ni,u\n")];
        let map = Some("user=who,item=what".to_string());
        let sources = vec![facts];
        let request = ImportRequest { sources, interactions, map, ..ImportRequest::default() };
        import(&request, &root.path().join("two"), &Silent).unwrap();
        let graph = Snapshot::open(&root.path().join("two")).unwrap();
        assert_eq!(graph.n_triples(Split::Train).unwrap(), 2);
        let triples: Vec<_> = graph.triples(Split::Train).unwrap().iter().collect();
        let interacts = graph.relations().find("interacts").unwrap().unwrap();
        let wanted = [id(&graph, "user/u"), interacts, id(&graph, "i")];
        assert!(triples.contains(&wanted), "{triples:?}");
    }

    #[test]
    fn benchmark_edges_of_one_kind_have_their_relations_beside_them() {
        let (_root, _, facts) = facts_of(&[
            ("raw/edge.csv", "0,1\n1,2\n"),
            ("raw/edge_reltype.csv", "1\n0\n"),
            ("raw/num-edge-list.csv", "2\n"),
            ("mapping/nodeidx2entityid.csv", "node idx,entity id\n0,Q5\n1,\"Q6, old\"\n2,Q7\n"),
            ("mapping/reltype2relid.csv", "reltype,rel id\n0,P1\n1,P2\n"),
        ]);
        assert_eq!(facts, ["Q5 P2 Q6, old", "Q6, old P1 Q7"]);
    }

    #[test]
    fn benchmark_numbers_of_many_kinds_restart_with_every_type() {
        let (_root, graph, facts) = facts_of(&[
            ("raw/relations/author___writes___paper/edge.csv", "0,0\n1,0\n"),
            ("raw/relations/paper___cites___paper/edge.csv", "0,1\n"),
            ("raw/num-node-dict.csv", "author,paper\n2,2\n"),
            ("mapping/author_entidx2name.csv", "ent idx,ent name\n0,ann\n1,bob\n"),
        ]);
        let all =
            ["author/ann writes paper/0", "author/bob writes paper/0", "paper/0 cites paper/1"];
        assert_eq!(facts, all);
        let types = graph.types().unwrap().unwrap();
        let ann = graph.entities().find("author/ann").unwrap().unwrap();
        assert_eq!(types.names.name(types.of(ann)[0]).unwrap(), "author");
    }
}
