//! The builder of a graph: rows of names in any order become sorted, joined columns.
//!
//! *Invariant:* ids are given in the order in which names arrive; of rows that repeat a triple of
//! their split, the first one's weight and times count, and all their named graphs.
//! *Not here:* sources and their mistakes (`import`).

use std::collections::BTreeMap;
use std::path::Path;

use gossamer_machine::column::{ColumnWriter, Kind};
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::error::GraphError;
use crate::id::Split;
use crate::read::{Row, TripleSink};
use crate::snapshot::NO_TIME;
use crate::split::{Shares, assign};
use crate::triples::Triples;
use crate::vocab::{Vocab, write_texts};

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

/// A graph being built.
pub struct Builder<'a> {
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
    /// Of nothing yet.
    pub fn new(observer: &'a dyn Observer) -> Self {
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

    /// Says where the next rows come from.
    pub fn begin(&mut self, split: Split, stage: String) {
        (self.split, self.stage) = (split, stage);
    }

    /// True before the first row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many entities and relations there are.
    pub fn n_names(&self) -> [usize; 2] {
        [self.entities.len(), self.relations.len()]
    }

    /// Gives a label to what carries this name; false if nothing does.
    pub fn label(&mut self, name: &str, label: &str, language: &str) -> bool {
        let mut owned = false;
        for (owner, labels) in [
            (self.entities.find(name), &mut self.entity_labels),
            (self.relations.find(name), &mut self.relation_labels),
        ] {
            if let Some(id) = owner {
                owned = true;
                labels.entry(language.to_string()).or_default().insert(id, label.to_string());
                if !language.is_empty() {
                    let plain = labels.entry(String::new()).or_default();
                    plain.entry(id).or_insert_with(|| label.to_string());
                }
            }
        }
        owned
    }

    /// Sorts and joins rows that repeat a triple of their split; returns how many those were.
    pub fn sort(&mut self) -> u64 {
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

    /// Holds triples out anew.
    pub fn split(&mut self, shares: Shares, seed: u64) {
        self.rows.sort_by_key(|fact| fact.triple);
        self.rows.dedup_by_key(|fact| fact.triple);
        let triples = Triples::from_rows(self.rows.iter().map(|fact| fact.triple).collect());
        let splits = assign(&triples, self.relations.len(), shares, seed);
        for (fact, split) in self.rows.iter_mut().zip(splits) {
            fact.split = split;
        }
        self.rows.sort_by_key(|fact| (fact.split, fact.triple));
    }

    /// Writes the columns of a sorted graph.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&mut self, draft: &Draft) -> Result<(), FileError> {
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
