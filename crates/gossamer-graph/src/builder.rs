//! The builder of a graph: rows of names in any order become sorted, joined columns.
//!
//! *Invariant:* ids are given in the order in which names arrive.
//! *Not here:* sources and their mistakes (`import`); sorting ([`facts`](crate::facts)).

use gossamer_machine::column::ColumnWriter;
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::error::GraphError;
use crate::facts::{Extra, Facts};
use crate::id::Split;
use crate::labels::Labels;
use crate::read::{Row, TripleSink};
use crate::snapshot::NO_TIME;
use crate::split::{Shares, assign};
use crate::triple_files::{TripleFiles, write_lists};
use crate::triples::Triples;
use crate::vocab::Vocab;

/// A graph being built.
pub struct Builder<'a> {
    observer: &'a dyn Observer,
    stage: String,
    split: Split,
    entities: Vocab,
    relations: Vocab,
    types: Vocab,
    graphs: Vocab,
    facts: Facts,
    entity_types: Vec<(u32, u32)>,
    entity_labels: Labels,
    relation_labels: Labels,
}

impl TripleSink for Builder<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        const ROWS_PER_REPORT: u64 = 1 << 16;
        let triple = [
            self.entities.intern(row.head),
            self.relations.intern(row.relation),
            self.entities.intern(row.tail),
        ];
        let times = row.from.is_some() || row.until.is_some();
        let extra = (row.weight.is_some() || times || row.graph.is_some()).then(|| Extra {
            weight: row.weight.unwrap_or(1.0),
            from: row.from.unwrap_or(NO_TIME),
            until: row.until.unwrap_or(NO_TIME),
            graph: row.graph.map(|graph| self.graphs.intern(graph)),
        });
        self.facts.push(self.split, triple, extra)?;
        for (entity, kind, label) in
            [(triple[0], row.head_type, row.head_label), (triple[2], row.tail_type, row.tail_label)]
        {
            if let Some(kind) = kind {
                self.entity_types.push((entity, self.types.intern(kind)));
            }
            if let Some(label) = label {
                self.entity_labels.push(entity, label, "");
            }
        }
        let done = self.facts.len();
        if done.is_multiple_of(ROWS_PER_REPORT) {
            let stage = self.stage.as_str();
            self.observer.progress(&Progress { stage, done, total: 0, unit: "rows", detail: "" });
            if self.observer.cancelled() {
                return Err(GraphError::Cancelled);
            }
        }
        Ok(())
    }
}

impl<'a> Builder<'a> {
    /// Of nothing yet; facts that outgrow their buffer wait in the draft's folder.
    pub fn new(draft: &Draft, observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            stage: String::new(),
            split: Split::Train,
            entities: Vocab::new(),
            relations: Vocab::new(),
            types: Vocab::new(),
            graphs: Vocab::new(),
            facts: Facts::new(draft.folder()),
            entity_types: Vec::new(),
            entity_labels: Labels::new(),
            relation_labels: Labels::new(),
        }
    }

    /// Says where the next rows come from.
    pub fn begin(&mut self, split: Split, stage: String) {
        (self.split, self.stage) = (split, stage);
    }

    /// True before the first row.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
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
                labels.push(id, label, language);
            }
        }
        owned
    }

    /// Writes the columns; with shares and a seed, split anew. Returns how many rows repeated
    /// one of their split.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&mut self, draft: &Draft, split: Option<(Shares, u64)>) -> Result<u64, FileError> {
        self.write_names(draft)?;
        let mut splits = match split {
            None => Vec::new(),
            Some((shares, seed)) => self.assign(shares, seed)?,
        };
        let mut said = Split::ALL.map(|split| self.facts.said(split));
        if !splits.is_empty() {
            said = [said[Split::Train as usize]; 3];
        }
        let mut files = TripleFiles::new(draft, said, !self.graphs.is_empty());
        let mut splits = splits.drain(..);
        let repeated =
            self.facts.for_each(|fact| files.push(splits.next().unwrap_or(fact.split), fact))?;
        files.finish()?;
        Ok(repeated)
    }

    /// The split of each fact, in order, held out anew; all must be training facts so far. Cost:
    /// all triples in memory, twice.
    fn assign(&mut self, shares: Shares, seed: u64) -> Result<Vec<Split>, FileError> {
        let mut rows = Vec::new();
        self.facts.for_each(|fact| {
            rows.push(fact.triple);
            Ok::<(), FileError>(())
        })?;
        Ok(assign(&Triples::from_rows(rows), self.relations.len(), shares, seed))
    }

    fn write_names(&mut self, draft: &Draft) -> Result<(), FileError> {
        let mut writer = ColumnWriter::create(&draft.path("entities.gcol"))?;
        self.entities.write(&mut writer)?;
        self.entity_labels.write(&mut writer, self.entities.len())?;
        if !self.types.is_empty() {
            self.entity_types.sort_unstable();
            self.entity_types.dedup();
            write_lists(&mut writer, "type", &self.entity_types, self.entities.len())?;
        }
        writer.finish()?;
        let mut writer = ColumnWriter::create(&draft.path("relations.gcol"))?;
        self.relations.write(&mut writer)?;
        self.relation_labels.write(&mut writer, self.relations.len())?;
        writer.finish()?;
        for (vocab, name) in [(&self.types, "types.gcol"), (&self.graphs, "graphs.gcol")] {
            if !vocab.is_empty() {
                let mut writer = ColumnWriter::create(&draft.path(name))?;
                vocab.write(&mut writer)?;
                writer.finish()?;
            }
        }
        Ok(())
    }
}
