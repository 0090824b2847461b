//! The builder of a graph: rows of names in any order become sorted, joined columns.
//!
//! *Invariant:* ids are given in the order in which names arrive; whatever grows with the graph is
//! sorted outside memory. Relations, types, properties, languages and named graphs are taken for few.
//! *Not here:* sources and their mistakes (`import`); sorting ([`sorter`]); who is who ([`naming`]).

pub mod growing;
pub mod vocab;
pub mod sorter;
pub mod things;
pub mod naming;
pub mod facts;
pub mod triple_files;
pub mod labels;
pub mod attributes;
pub mod schema;

use gossamer_machine::column::ColumnWriter;
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::error::GraphError;
use crate::id::Split;
use crate::mirror::Pairs;
use crate::read::{Attribute, INTERACTS, Row, SchemaFact, TripleSink};
use crate::room::Room;
use crate::sampling::{Sampling, WHOLE_TRIPLES};
use crate::snapshot::NO_TIME;
use crate::split::{Assignment, MIRROR_COUNT, MIRROR_SHARE, Shares};
use crate::split_users::{OfUsers, Way};
use attributes::Attributes;
use facts::{Extra, Fact, Facts};
use growing::ListColumn;
use labels::Labels;
use naming::Naming;
use schema::Schema;
use sorter::Sorter;
use things::Things;
use triple_files::TripleFiles;
use vocab::Vocab;

/// A graph being built.
pub struct Builder<'a> {
    observer: &'a dyn Observer,
    stage: String,
    split: Split,
    room: Room,
    /// The named graph of rows that say none.
    graph: Option<u32>,
    things: Things,
    relations: Vocab,
    types: Vocab,
    graphs: Vocab,
    facts: Facts,
    /// By thing and type.
    kinds: Sorter<()>,
    labels: Labels,
    attributes: Attributes,
    schema: Schema,
}

/// What is split anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Anew {
    /// All triples.
    All(Shares),
    /// Interactions; facts are training triples.
    Interactions(Way),
}

/// Where facts go.
enum Assigned {
    All(Assignment),
    Interactions(OfUsers),
}

impl Assigned {
    fn split(&self, fact: &Fact) -> Split {
        match self {
            Self::All(assignment) => assignment.split(fact.triple),
            Self::Interactions(of_users) => of_users.split(fact.triple, fact.validity[0]),
        }
    }
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
        self.settle()?;
        let triple = [
            self.things.in_triple(row.head),
            self.relations.intern(row.relation),
            self.things.in_triple(row.tail),
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
        for (thing, kind, label) in
            [(triple[0], row.head_type, row.head_label), (triple[2], row.tail_type, row.tail_label)]
        {
            if let Some(kind) = kind {
                self.push_kind(thing, kind)?;
            }
            if let Some(label) = label {
                self.labels.push_once(thing, label, "")?;
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
        self.settle()?;
        let thing = self.things.intern(subject);
        if is_label {
            self.labels.push(thing, text, kind.strip_prefix('@').unwrap_or_default())?;
        }
        Ok(self.attributes.push(thing, property, kind, text)?)
    }

    fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError> {
        self.settle()?;
        Ok(self.labels.push_once(self.things.intern(subject), text, language)?)
    }

    fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError> {
        self.settle()?;
        let thing = self.things.intern(subject);
        Ok(self.push_kind(thing, kind)?)
    }

    fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError> {
        self.schema.push(fact);
        Ok(())
    }
}

impl<'a> Builder<'a> {
    /// Of nothing yet; what outgrows its room waits in the draft's folder.
    pub fn new(draft: &Draft, room: Room, observer: &'a dyn Observer) -> Self {
        let folder = draft.folder();
        Self {
            observer,
            stage: String::new(),
            split: Split::Train,
            room,
            graph: None,
            things: Things::new(folder, room),
            relations: Vocab::new(),
            types: Vocab::new(),
            graphs: Vocab::new(),
            facts: Facts::new(folder, room.sorting()),
            kinds: Sorter::new(folder, "types", room.sorting()),
            labels: Labels::new(folder, room.sorting()),
            attributes: Attributes::new(draft),
            schema: Schema::default(),
        }
    }

    /// Between rows: makes room for names.
    fn settle(&mut self) -> Result<(), GraphError> {
        if self.things.settle()? {
            self.labels.forget();
        }
        Ok(())
    }

    fn push_kind(&mut self, thing: u32, kind: &str) -> Result<(), FileError> {
        let kind = self.types.intern(kind);
        self.kinds.push(u128::from(thing) << 32 | u128::from(kind), None)
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

    /// Gives a label to what carries this name.
    ///
    /// # Errors
    /// Those of writing.
    pub fn label(&mut self, name: &str, label: &str, language: &str) -> Result<(), GraphError> {
        self.settle()?;
        Ok(self.labels.push(self.things.intern(name), label, language)?)
    }

    /// Writes the columns; with a way and a seed, split anew. Returns what was left over, and how
    /// many entities and relations there are.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn write(
        self,
        draft: &Draft,
        anew: Option<(Anew, u64)>,
    ) -> Result<(Leftovers, [usize; 2]), FileError> {
        let Self { things, relations, mut types, graphs, facts, kinds, .. } = self;
        let mut naming = things.named(&relations)?;
        let n_names = [naming.n_entities(), relations.len()];
        let (mut labels, mut attributes) = (self.labels, self.attributes);
        let ([mut of_entities, mut of_relations], without) = labels.named(&naming)?;
        let mut writer = ColumnWriter::create(&draft.path("entities.gcol"))?;
        naming.write(&mut writer)?;
        of_entities.write(&mut writer, n_names[0])?;
        if !types.is_empty() {
            write_kinds(&mut writer, kinds, &naming)?;
        }
        writer.finish()?;
        let mut writer = ColumnWriter::create(&draft.path("relations.gcol"))?;
        relations.write(&mut writer)?;
        of_relations.write(&mut writer, n_names[1])?;
        let schema = self.schema.write(&mut writer, &relations, &mut types)?;
        writer.finish()?;
        for (vocab, name) in [(&types, "types.gcol"), (&graphs, "graphs.gcol")] {
            if !vocab.is_empty() {
                let mut writer = ColumnWriter::create(&draft.path(name))?;
                vocab.write(&mut writer)?;
                writer.finish()?;
            }
        }
        let mut lookup = naming.lookup();
        let attributes = attributes.write(draft, |thing| lookup.entity(thing))?;
        let mut facts = facts.named(&naming)?;
        let interactions = relations.find(INTERACTS);
        let assignment = match anew {
            None => None,
            Some((Anew::All(shares), seed)) => {
                let all = assigned(&mut facts, n_names, (shares, seed), self.room)?;
                Some(Assigned::All(all))
            }
            Some((Anew::Interactions(way), seed)) => {
                let mut of_users = OfUsers::new(way, interactions, seed);
                facts.for_each(|fact| {
                    of_users.see(fact.triple, fact.validity[0]);
                    Ok::<(), FileError>(())
                })?;
                of_users.settle();
                Some(Assigned::Interactions(of_users))
            }
        };
        let duplicates = write_facts(draft, facts, !graphs.is_empty(), assignment)?;
        Ok((Leftovers { duplicates, labels: without, attributes, schema }, n_names))
    }
}

/// Writes the types of entities.
fn write_kinds(
    writer: &mut ColumnWriter,
    mut of_things: Sorter<()>,
    naming: &Naming,
) -> Result<(), FileError> {
    let mut kinds: Sorter<()> = of_things.beside("entity-types")?;
    let mut lookup = naming.lookup();
    of_things.for_each(|key, _| match lookup.entity((key >> 32) as u32)? {
        Some(entity) => kinds.push(u128::from(entity) << 32 | u128::from(key as u32), None),
        None => Ok(()),
    })?;
    let (mut column, mut last) = (ListColumn::new(writer, "type")?, None);
    kinds.for_each(|key, _| {
        if last.replace(key) == Some(key) {
            return Ok(());
        }
        column.push(writer, (key >> 32) as u32, key as u32)
    })?;
    column.finish(writer, naming.n_entities())
}

/// Writes the triples; returns how many facts repeated another.
fn write_facts(
    draft: &Draft,
    mut facts: Facts,
    graphs: bool,
    assignment: Option<Assigned>,
) -> Result<u64, FileError> {
    let mut said = Split::ALL.map(|split| facts.said(split));
    if assignment.is_some() {
        said = [said[Split::Train as usize]; 3];
    }
    let mut files = TripleFiles::new(draft, said, graphs);
    let duplicates = facts.for_each(|fact| {
        let anew = assignment.as_ref().map(|assignment| assignment.split(fact));
        files.push(anew.unwrap_or(fact.split), fact)
    })?;
    files.finish()?;
    Ok(duplicates)
}

/// Where facts go that are all training facts so far.
fn assigned(
    facts: &mut Facts,
    sizes: [usize; 2],
    (shares, seed): (Shares, u64),
    room: Room,
) -> Result<Assignment, FileError> {
    let most = room.sampled().min(WHOLE_TRIPLES);
    let mut pairs = Pairs::new(Sampling::within(facts.len(), most));
    facts.for_each(|fact| {
        pairs.push(fact.triple);
        Ok::<(), FileError>(())
    })?;
    let mirrors = pairs.mirrors(MIRROR_SHARE, MIRROR_COUNT);
    let mut assignment = Assignment::new(sizes, &mirrors, shares, seed);
    facts.for_each(|fact| {
        assignment.see(fact.triple);
        Ok::<(), FileError>(())
    })?;
    assignment.settle();
    Ok(assignment)
}
