//! The builder of a graph: rows of names in any order become sorted, joined columns.
//!
//! *Invariant:* ids are given in the order in which names arrive.
//! *Not here:* sources and their mistakes (`import`); sorting ([`facts`](crate::facts)).

use gossamer_machine::column::ColumnWriter;
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::attributes::Attributes;
use crate::error::GraphError;
use crate::facts::{Extra, Facts};
use crate::id::Split;
use crate::labels::Labels;
use crate::read::{Attribute, Row, SchemaFact, TripleSink};
use crate::schema::Schema;
use crate::snapshot::NO_TIME;
use crate::split::{Shares, assign};
use crate::things::Things;
use crate::triple_files::{TripleFiles, write_lists};
use crate::triples::Triples;
use crate::vocab::Vocab;

/// A graph being built.
pub struct Builder<'a> {
    observer: &'a dyn Observer,
    stage: String,
    split: Split,
    /// The named graph of rows that say none.
    graph: Option<u32>,
    things: Things,
    relations: Vocab,
    types: Vocab,
    graphs: Vocab,
    facts: Facts,
    /// (thing, type).
    kinds: Vec<(u32, u32)>,
    labels: Labels,
    attributes: Attributes,
    schema: Schema,
}

/// What was left over when a graph was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Rows that repeat an earlier row of their split.
    pub duplicates: u64,
    /// Labels of what no triple names.
    pub labels: u64,
    /// Attributes of what no triple names.
    pub attributes: u64,
    /// Statements about relations that no triple has.
    pub schema: u64,
}

impl TripleSink for Builder<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        const ROWS_PER_REPORT: u64 = 1 << 16;
        let triple = [
            self.things.entity(row.head),
            self.relations.intern(row.relation),
            self.things.entity(row.tail),
        ];
        let times = row.from.is_some() || row.until.is_some();
        let graph = row.graph.map(|graph| self.graphs.intern(graph)).or(self.graph);
        let extra = (row.weight.is_some() || times || graph.is_some()).then(|| Extra {
            weight: row.weight,
            from: row.from.unwrap_or(NO_TIME),
            until: row.until.unwrap_or(NO_TIME),
            graph,
        });
        self.facts.push(self.split, triple, extra)?;
        for (entity, kind, label) in
            [(triple[0], row.head_type, row.head_label), (triple[2], row.tail_type, row.tail_label)]
        {
            if let Some(kind) = kind {
                self.kinds.push((self.things.thing_of(entity), self.types.intern(kind)));
            }
            if let Some(label) = label {
                self.labels.push_once(self.things.thing_of(entity), label, "");
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

    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError> {
        let Attribute { subject, property, text, kind, is_label } = *attribute;
        let thing = self.things.intern(subject);
        if is_label {
            self.labels.push(thing, text, kind.strip_prefix('@').unwrap_or_default());
        }
        Ok(self.attributes.push(thing, property, kind, text)?)
    }

    fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError> {
        self.labels.push_once(self.things.intern(subject), text, language);
        Ok(())
    }

    fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError> {
        self.kinds.push((self.things.intern(subject), self.types.intern(kind)));
        Ok(())
    }

    fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError> {
        self.schema.push(fact);
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
            graph: None,
            things: Things::new(),
            relations: Vocab::new(),
            types: Vocab::new(),
            graphs: Vocab::new(),
            facts: Facts::new(draft.folder()),
            kinds: Vec::new(),
            labels: Labels::new(),
            attributes: Attributes::new(draft),
            schema: Schema::default(),
        }
    }

    /// Says where the next rows come from; `graph` is the named graph of those that say none.
    pub fn begin(&mut self, split: Split, stage: String, graph: Option<&str>) {
        (self.split, self.stage) = (split, stage);
        self.graph = graph.map(|graph| self.graphs.intern(graph));
    }

    /// True before the first row.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// How many entities and relations there are.
    pub fn n_names(&self) -> [usize; 2] {
        [self.things.n_entities(), self.relations.len()]
    }

    /// Gives a label to what carries this name.
    pub fn label(&mut self, name: &str, label: &str, language: &str) {
        self.labels.push(self.things.intern(name), label, language);
    }

    /// Writes the columns; with shares and a seed, split anew.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(
        &mut self,
        draft: &Draft,
        split: Option<(Shares, u64)>,
    ) -> Result<Leftovers, FileError> {
        let mut left = self.write_names(draft)?;
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
        left.duplicates =
            self.facts.for_each(|fact| files.push(splits.next().unwrap_or(fact.split), fact))?;
        files.finish()?;
        Ok(left)
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

    fn write_names(&mut self, draft: &Draft) -> Result<Leftovers, FileError> {
        let things = &self.things;
        let n_entities = things.n_entities();
        let mut writer = ColumnWriter::create(&draft.path("entities.gcol"))?;
        things.write(&mut writer)?;
        self.labels.write(&mut writer, n_entities, |thing| things.entity_of(thing))?;
        if !self.types.is_empty() {
            let entity = |(thing, kind): &(u32, u32)| Some((things.entity_of(*thing)?, *kind));
            let mut kinds: Vec<(u32, u32)> = self.kinds.iter().filter_map(entity).collect();
            kinds.sort_unstable();
            kinds.dedup();
            write_lists(&mut writer, "type", &kinds, n_entities)?;
        }
        writer.finish()?;
        let mut writer = ColumnWriter::create(&draft.path("relations.gcol"))?;
        self.relations.write(&mut writer)?;
        let relation = |thing: u32| self.relations.find(things.name(thing));
        self.labels.write(&mut writer, self.relations.len(), relation)?;
        let schema = self.schema.write(&mut writer, &self.relations, &mut self.types)?;
        writer.finish()?;
        for (vocab, name) in [(&self.types, "types.gcol"), (&self.graphs, "graphs.gcol")] {
            if !vocab.is_empty() {
                let mut writer = ColumnWriter::create(&draft.path(name))?;
                vocab.write(&mut writer)?;
                writer.finish()?;
            }
        }
        let owned = |thing: u32| things.entity_of(thing).is_some() || relation(thing).is_some();
        let labels = self.labels.n_without(owned);
        let attributes = self.attributes.write(draft, |thing| things.entity_of(thing))?;
        Ok(Leftovers { duplicates: 0, labels, attributes, schema })
    }
}
