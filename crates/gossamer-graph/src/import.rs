//! Import: sources become a graph folder, with a report on what was in them.
//!
//! *Invariant:* nothing stands under the target's name until everything was read, sorted, written
//! and read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gossamer_machine::column::{ColumnWriter, Kind};
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::error::{GraphError, Mistake};
use crate::id::Split;
use crate::inspect::{Inspection, inspect};
use crate::read::{self, ReadOptions, ReadReport, Row, TripleSink, source};
use crate::snapshot::{KIND, NO_TIME, Snapshot};
use crate::split::{Shares, assign};
use crate::synth::{Best, Synth};
use crate::triples::Triples;
use crate::vocab::{Vocab, write_texts};

/// What to import, and how.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Files, folders, or `-`.
    pub sources: Vec<PathBuf>,
    /// Order of columns, where it is not the usual one.
    pub columns: Option<String>,
    /// Files with name, label and perhaps a language.
    pub labels: Vec<PathBuf>,
    /// Import the other rows of a source with mistakes.
    pub skip_bad_rows: bool,
    /// Split the triples anew.
    pub split: Option<Shares>,
    /// Seed of the split.
    pub seed: u64,
    /// Replace what is there.
    pub replace: bool,
}

/// What an import found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// What was read from each source, by its name.
    pub sources: Vec<(String, ReadReport)>,
    /// Rows that repeat an earlier row of their split.
    pub duplicates: u64,
    /// Labels that belong to no entity or relation.
    pub labels_without_owner: u64,
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
    let mut builder = Builder::new(observer);
    let mut sources = Vec::new();
    for source in source::find_sources(&request.sources)? {
        builder.begin(&source);
        let report = read_source(&source.path, request, &mut builder)?;
        sources.push((source.path.display().to_string(), report));
    }
    refuse_mistakes(&sources, request)?;
    if builder.rows.is_empty() {
        return Err(GraphError::Request {
            what: "the sources hold no triples".into(),
            hint: "a row is head, relation and tail, separated by tabs or commas".into(),
        });
    }
    let report = builder.finish(request, draft, BTreeMap::new())?;
    Ok(ImportReport { sources, ..report })
}

/// Writes a planted graph as a folder, with the best possible score in its notes.
///
/// # Errors
/// Those of [`import`].
pub fn import_synth(
    synth: &Synth,
    request: &ImportRequest,
    target: &Path,
    observer: &dyn Observer,
) -> Result<(ImportReport, Best), GraphError> {
    synth.check()?;
    let draft = Draft::create(KIND, target, request.replace)?;
    let mut builder = Builder::new(observer);
    builder.stage = "drawing triples".into();
    for index in 0..synth.n_triples {
        let [head, relation, tail] = synth.triple(index);
        let (head, tail) = (synth.entity_name(head), synth.entity_name(tail));
        let relation = synth.relation_name(relation);
        let row = Row { head: &head, relation: &relation, tail: &tail, ..Row::default() };
        builder.row(&row)?;
    }
    let best = synth.best(SAMPLED);
    let notes = BTreeMap::from([
        ("best_mrr".to_string(), format!("{:.4}", best.mrr)),
        ("best_mrr_half_width".to_string(), format!("{:.4}", best.half_width)),
    ]);
    Ok((builder.finish(request, draft, notes)?, best))
}

/// Triples on which the best possible score of a planted graph is estimated.
const SAMPLED: usize = 5000;

fn read_source(
    path: &Path,
    request: &ImportRequest,
    builder: &mut Builder<'_>,
) -> Result<ReadReport, GraphError> {
    let mut input = source::open(path)?;
    let options =
        ReadOptions { file: path.display().to_string(), columns: request.columns.clone() };
    let start = input.fill_buf().map_err(|error| source::unreadable(&options, &error))?;
    let reader = read::recognise(&start[..start.len().min(1 << 16)]);
    reader.read(&mut *input, &options, builder)
}

fn refuse_mistakes(
    sources: &[(String, ReadReport)],
    request: &ImportRequest,
) -> Result<(), GraphError> {
    let total: u64 = sources.iter().map(|(_, report)| report.mistakes).sum();
    if total == 0 || request.skip_bad_rows {
        return Ok(());
    }
    let shown = sources.iter().flat_map(|(_, report)| report.shown.iter().cloned());
    let mistakes: Vec<Mistake> = shown.take(read::MAX_MISTAKES).collect();
    Err(GraphError::Mistakes { mistakes, total })
}

#[derive(Debug, Clone, Copy)]
struct Fact {
    split: Split,
    triple: [u32; 3],
    /// Place in `extras`, or none.
    extra: u32,
}

const NO_EXTRA: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Extra {
    weight: f32,
    from: i64,
    until: i64,
    graphs: Vec<u32>,
}

struct Builder<'a> {
    observer: &'a dyn Observer,
    stage: String,
    split: Split,
    entities: Vocab,
    relations: Vocab,
    types: Vocab,
    graphs: Vocab,
    rows: Vec<Fact>,
    extras: Vec<Extra>,
    entity_types: Vec<(u32, u32)>,
    entity_labels: BTreeMap<String, BTreeMap<u32, String>>,
    relation_labels: BTreeMap<String, BTreeMap<u32, String>>,
}

impl TripleSink for Builder<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        const ROWS_PER_REPORT: usize = 1 << 16;
        let triple = [
            self.entities.intern(row.head),
            self.relations.intern(row.relation),
            self.entities.intern(row.tail),
        ];
        let mut extra = NO_EXTRA;
        let times = row.from.is_some() || row.until.is_some();
        if row.weight.is_some() || times || row.graph.is_some() {
            extra = self.extras.len() as u32;
            self.extras.push(Extra {
                weight: row.weight.unwrap_or(1.0),
                from: row.from.unwrap_or(NO_TIME),
                until: row.until.unwrap_or(NO_TIME),
                graphs: row.graph.map(|graph| self.graphs.intern(graph)).into_iter().collect(),
            });
        }
        self.rows.push(Fact { split: self.split, triple, extra });
        for (entity, kind, label) in
            [(triple[0], row.head_type, row.head_label), (triple[2], row.tail_type, row.tail_label)]
        {
            if let Some(kind) = kind {
                self.entity_types.push((entity, self.types.intern(kind)));
            }
            if let Some(label) = label {
                let labels = self.entity_labels.entry(String::new()).or_default();
                labels.entry(entity).or_insert_with(|| label.to_string());
            }
        }
        if self.rows.len().is_multiple_of(ROWS_PER_REPORT) {
            let (stage, done) = (self.stage.as_str(), self.rows.len() as u64);
            self.observer.progress(&Progress { stage, done, total: 0, unit: "rows", detail: "" });
            if self.observer.cancelled() {
                return Err(GraphError::Cancelled);
            }
        }
        Ok(())
    }
}

impl<'a> Builder<'a> {
    fn new(observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            stage: String::new(),
            split: Split::Train,
            entities: Vocab::new(),
            relations: Vocab::new(),
            types: Vocab::new(),
            graphs: Vocab::new(),
            rows: Vec::new(),
            extras: Vec::new(),
            entity_types: Vec::new(),
            entity_labels: BTreeMap::new(),
            relation_labels: BTreeMap::new(),
        }
    }

    /// Sorts, splits, writes and inspects.
    fn finish(
        mut self,
        request: &ImportRequest,
        draft: Draft,
        mut notes: BTreeMap<String, String>,
    ) -> Result<ImportReport, GraphError> {
        let mut labels_without_owner = 0;
        for path in &request.labels {
            labels_without_owner += self.read_labels(path)?;
        }
        let duplicates = self.sort();
        if let Some(shares) = request.split {
            self.split(shares, request.seed);
        }
        let stage = "writing";
        self.observer.progress(&Progress { stage, done: 0, total: 0, unit: "", detail: "" });
        self.write(&draft)?;
        notes.insert("n_entities".to_string(), self.entities.len().to_string());
        notes.insert("n_relations".to_string(), self.relations.len().to_string());
        if self.observer.cancelled() {
            return Err(GraphError::Cancelled);
        }
        let folder = draft.finish(&notes)?;
        let inspection = inspect(&Snapshot::of(folder)?)?;
        Ok(ImportReport { sources: Vec::new(), duplicates, labels_without_owner, inspection })
    }

    fn begin(&mut self, source: &source::Source) {
        self.split = source.split.unwrap_or(Split::Train);
        self.stage = format!("reading {}", source.path.display());
    }

    /// Reads `name<TAB>label[<TAB>language]`; what is no language tag in the third column is passed
    /// over. Returns how many labels belong to nothing.
    fn read_labels(&mut self, path: &Path) -> Result<u64, GraphError> {
        let mut input = source::open(path)?;
        let options = ReadOptions { file: path.display().to_string(), columns: None };
        let (mut line, mut number, mut without_owner) = (Vec::new(), 0u64, 0);
        loop {
            line.clear();
            let n = input
                .read_until(b'\n', &mut line)
                .map_err(|error| source::unreadable(&options, &error))?;
            if n == 0 {
                return Ok(without_owner);
            }
            number += 1;
            let mistake = |what: &str, hint: &str| GraphError::Mistakes {
                mistakes: vec![Mistake {
                    file: options.file.clone(),
                    line: number,
                    column: 1,
                    what: what.into(),
                    hint: hint.into(),
                }],
                total: 1,
            };
            let text = std::str::from_utf8(&line)
                .map_err(|_| {
                    mistake("expected UTF-8 text", "convert the file with iconv -t UTF-8")
                })?
                .trim_end_matches(['\r', '\n']);
            if text.trim().is_empty() {
                continue;
            }
            let cells: Vec<&str> = text.split('\t').map(str::trim).collect();
            let &[name, label, ref rest @ ..] = cells.as_slice() else {
                return Err(mistake(
                    "expected a name, a tab and a label",
                    "columns are separated by tabs",
                ));
            };
            let language = rest.first().filter(|tag| is_language(tag)).copied().unwrap_or("");
            let owners = [
                (self.entities.find(name), &mut self.entity_labels),
                (self.relations.find(name), &mut self.relation_labels),
            ];
            let mut owned = false;
            for (owner, labels) in owners {
                if let Some(id) = owner {
                    owned = true;
                    labels.entry(language.to_string()).or_default().insert(id, label.to_string());
                    if !language.is_empty() {
                        let plain = labels.entry(String::new()).or_default();
                        plain.entry(id).or_insert_with(|| label.to_string());
                    }
                }
            }
            without_owner += u64::from(!owned);
        }
    }

    /// Sorts and joins rows that repeat a triple of their split; returns how many those were.
    fn sort(&mut self) -> u64 {
        let before = self.rows.len();
        // The place of a row among equal triples decides whose weight counts: the first one's.
        self.rows.sort_by_key(|fact| (fact.split, fact.triple));
        let extras = &mut self.extras;
        self.rows.dedup_by(|later, kept| {
            if (later.split, later.triple) != (kept.split, kept.triple) {
                return false;
            }
            if kept.extra == NO_EXTRA {
                kept.extra = later.extra;
            } else if later.extra != NO_EXTRA {
                let more = std::mem::take(&mut extras[later.extra as usize].graphs);
                extras[kept.extra as usize].graphs.extend(more);
            }
            true
        });
        (before - self.rows.len()) as u64
    }

    fn split(&mut self, shares: Shares, seed: u64) {
        self.rows.sort_by_key(|fact| fact.triple);
        self.rows.dedup_by_key(|fact| fact.triple);
        let triples = Triples::from_rows(self.rows.iter().map(|fact| fact.triple).collect());
        let splits = assign(&triples, self.relations.len(), shares, seed);
        for (fact, split) in self.rows.iter_mut().zip(splits) {
            fact.split = split;
        }
        self.rows.sort_by_key(|fact| (fact.split, fact.triple));
    }

    fn write(&mut self, draft: &Draft) -> Result<(), FileError> {
        let mut writer = ColumnWriter::create(&draft.path("entities.gcol"))?;
        self.entities.write(&mut writer)?;
        write_labels(&mut writer, &self.entity_labels, self.entities.len())?;
        if !self.types.is_empty() {
            self.entity_types.sort_unstable();
            self.entity_types.dedup();
            write_lists(&mut writer, "type", &self.entity_types, self.entities.len())?;
        }
        writer.finish()?;
        let mut writer = ColumnWriter::create(&draft.path("relations.gcol"))?;
        self.relations.write(&mut writer)?;
        write_labels(&mut writer, &self.relation_labels, self.relations.len())?;
        writer.finish()?;
        for (vocab, name) in [(&self.types, "types.gcol"), (&self.graphs, "graphs.gcol")] {
            if !vocab.is_empty() {
                let mut writer = ColumnWriter::create(&draft.path(name))?;
                vocab.write(&mut writer)?;
                writer.finish()?;
            }
        }
        for split in Split::ALL {
            let facts: Vec<Fact> =
                self.rows.iter().filter(|fact| fact.split == split).copied().collect();
            if !facts.is_empty() {
                self.write_triples(&draft.path(&format!("{}.gcol", split.name())), &facts)?;
            }
        }
        Ok(())
    }

    fn write_triples(&self, path: &Path, facts: &[Fact]) -> Result<(), FileError> {
        let mut writer = ColumnWriter::create(path)?;
        for (place, name) in ["head", "relation", "tail"].into_iter().enumerate() {
            let column = writer.declare(name, Kind::U32, 1);
            for part in facts.chunks(1 << 16) {
                let ids: Vec<u32> = part.iter().map(|fact| fact.triple[place]).collect();
                writer.push(column, &ids)?;
            }
        }
        let extra = |fact: &Fact| self.extras.get(fact.extra as usize);
        if facts.iter().filter_map(extra).any(|extra| extra.weight != 1.0) {
            let weights: Vec<f32> =
                facts.iter().map(|fact| extra(fact).map_or(1.0, |extra| extra.weight)).collect();
            writer.column("weight", &weights)?;
        }
        for name in ["from", "until"] {
            let time = |extra: &Extra| if name == "from" { extra.from } else { extra.until };
            let times: Vec<i64> =
                facts.iter().map(|fact| extra(fact).map_or(NO_TIME, time)).collect();
            if times.iter().any(|time| *time != NO_TIME) {
                writer.column(name, &times)?;
            }
        }
        if !self.graphs.is_empty() {
            let mut pairs: Vec<(u32, u32)> = Vec::new();
            for (row, fact) in facts.iter().enumerate() {
                let graphs = extra(fact).map_or(&[][..], |extra| &extra.graphs);
                pairs.extend(graphs.iter().map(|graph| (row as u32, *graph)));
            }
            pairs.sort_unstable();
            pairs.dedup();
            write_lists(&mut writer, "graph", &pairs, facts.len())?;
        }
        writer.finish()
    }
}

/// A tag such as "en" or "pt-br".
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(letters)
}

fn write_labels(
    writer: &mut ColumnWriter,
    labels: &BTreeMap<String, BTreeMap<u32, String>>,
    n_rows: usize,
) -> Result<(), FileError> {
    for (language, of_id) in labels {
        let name = if language.is_empty() { "label".into() } else { format!("label@{language}") };
        let text = |id: u32| of_id.get(&id).map_or("", String::as_str);
        write_texts(writer, &name, (0..n_rows as u32).map(text))?;
    }
    Ok(())
}

/// Writes a list per row from sorted (row, value) pairs.
fn write_lists(
    writer: &mut ColumnWriter,
    name: &str,
    pairs: &[(u32, u32)],
    n_rows: usize,
) -> Result<(), FileError> {
    let mut offsets = vec![0u64; n_rows + 1];
    for (row, _) in pairs {
        offsets[*row as usize + 1] += 1;
    }
    for row in 0..n_rows {
        offsets[row + 1] += offsets[row];
    }
    writer.column(&format!("{name}.offsets"), &offsets)?;
    let values: Vec<u32> = pairs.iter().map(|pair| pair.1).collect();
    writer.column(&format!("{name}.values"), &values)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!((report.duplicates, report.sources[0].1.carriage_returns), (1, 3));
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
        assert_eq!((report.duplicates, report.labels_without_owner), (1, 1));
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
}
