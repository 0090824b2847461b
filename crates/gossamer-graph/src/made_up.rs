//! Made-up graphs as folders: drawn twice, sorted outside memory, and named without a table of names.
//!
//! A first pass over the draws finds which entities there are and which of them train will know; a
//! second gives them ids and splits. A number's name is computed, and so is the order of all names.
//!
//! *Invariant:* memory is two bits and a half for each entity, and a buffer; it does not grow with
//! triples. Entities have ids in the order of the numbers in their names. Equal triples go to one
//! split, and what is held out leaves every entity and relation a training triple.

use std::collections::BTreeMap;
use std::path::Path;

use gossamer_machine::column::{ColumnWriter, Kind};
use gossamer_machine::folder::Draft;
use gossamer_machine::{FileError, Observer, Progress};

use crate::build::Leftovers;
use crate::build::attributes::Attributes;
use crate::build::facts::Facts;
use crate::build::growing::write_texts;
use crate::build::triple_files::TripleFiles;
use crate::error::GraphError;
use crate::id::Split;
use crate::import::{ImportReport, ImportRequest};
use crate::inspect::inspect;
use crate::members::Members;
use crate::snapshot::{KIND, Snapshot};
use crate::split::{Assignment, Shares};
use crate::synth::{Best, Synth};

/// Triples on which the best possible score of a planted graph is estimated.
const SAMPLED: usize = 5000;

/// Writes a planted graph as a folder, with the best possible score in its notes.
///
/// # Errors
/// [`GraphError::Request`] where its sizes make no sense, those of writing, and
/// [`GraphError::Cancelled`].
pub fn import_synth(
    synth: &Synth,
    request: &ImportRequest,
    target: &Path,
    observer: &dyn Observer,
) -> Result<(ImportReport, Best), GraphError> {
    synth.check()?;
    let draft = Draft::create(KIND, target, request.replace)?;
    let shares = request.split.unwrap_or(Shares { valid: 0.0, test: 0.0 });
    let mut drawn = Drawn::new(synth, shares, request.seed);
    for_each_draw(synth, "drawing triples", observer, |triple| {
        drawn.look(triple);
        Ok(())
    })?;
    drawn.count();
    let mut facts = Facts::new(draft.folder(), request.room.sorting());
    for_each_draw(synth, "sorting triples", observer, |triple| {
        let split = drawn.split(triple);
        Ok(facts.push(split, drawn.ids(triple), None)?)
    })?;
    let stage = "writing";
    observer.progress(&Progress { stage, done: 0, total: 0, unit: "", detail: "" });
    let mut files = TripleFiles::new(&draft, Split::ALL.map(|split| facts.said(split)), false);
    let duplicates = facts.for_each(|fact| files.push(fact.split, fact))?;
    files.finish()?;
    drop(facts);
    drawn.entities.write(&draft, "entities.gcol", 'e')?;
    drawn.relations.write(&draft, "relations.gcol", 'r')?;
    drawn.write_classes(&draft)?;
    let best = synth.best(SAMPLED);
    if observer.cancelled() {
        return Err(GraphError::Cancelled);
    }
    let notes = [
        ("best_mrr", format!("{:.4}", best.mrr)),
        ("best_mrr_half_width", format!("{:.4}", best.half_width)),
        ("n_entities", drawn.entities.len().to_string()),
        ("n_relations", drawn.relations.len().to_string()),
    ];
    let notes: BTreeMap<_, _> = notes.into_iter().map(|(key, text)| (key.into(), text)).collect();
    let inspection = inspect(&Snapshot::of(draft.finish(&notes)?)?, request.room)?;
    let leftovers = Leftovers { duplicates, ..Leftovers::default() };
    Ok((ImportReport { sources: Vec::new(), leftovers, dangling: Vec::new(), inspection }, best))
}

/// Calls `take` with every triple drawn, in the numbers of the planted model.
fn for_each_draw(
    synth: &Synth,
    stage: &str,
    observer: &dyn Observer,
    mut take: impl FnMut([u32; 3]) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
    const PER_REPORT: u64 = 1 << 16;
    for index in 0..synth.n_triples {
        take(synth.triple(index))?;
        if (index + 1) % PER_REPORT == 0 {
            let (done, total, unit) = (index + 1, synth.n_triples, "triples");
            observer.progress(&Progress { stage, done, total, unit, detail: "" });
            if observer.cancelled() {
                return Err(GraphError::Cancelled);
            }
        }
    }
    Ok(())
}

/// What the first pass finds out.
struct Drawn<'a> {
    synth: &'a Synth,
    entities: Numbers,
    relations: Numbers,
    /// By numbers.
    assignment: Assignment,
}

impl<'a> Drawn<'a> {
    fn new(synth: &'a Synth, shares: Shares, seed: u64) -> Self {
        let sizes = [synth.n_entities, synth.n_relations];
        let [entities, relations] = sizes.map(Numbers::new);
        let assignment = Assignment::new(sizes.map(|n| n as usize), &[], shares, seed);
        Self { synth, entities, relations, assignment }
    }

    /// The numbers that names have.
    fn named(&self, [head, relation, tail]: [u32; 3]) -> [u32; 3] {
        [self.synth.entity_number(head), relation, self.synth.entity_number(tail)]
    }

    fn look(&mut self, triple: [u32; 3]) {
        let triple @ [head, relation, tail] = self.named(triple);
        self.entities.used.add(head);
        self.entities.used.add(tail);
        self.relations.used.add(relation);
        self.assignment.see(triple);
    }

    fn count(&mut self) {
        self.entities.used.count();
        self.relations.used.count();
        self.assignment.settle();
    }

    fn split(&self, triple: [u32; 3]) -> Split {
        self.assignment.split(self.named(triple))
    }

    fn ids(&self, triple: [u32; 3]) -> [u32; 3] {
        let [head, relation, tail] = self.named(triple);
        [self.entities.id(head), self.relations.id(relation), self.entities.id(tail)]
    }

    /// Classes, and features that half tell them, where the graph has some.
    fn write_classes(&self, draft: &Draft) -> Result<(), FileError> {
        let mut attributes = Attributes::new(draft);
        if self.synth.n_classes > 0 {
            for entity in 0..self.synth.n_entities as u32 {
                let number = self.synth.entity_number(entity);
                let [class, told] = self.synth.class(entity);
                attributes.push(number, "class", "", &format!("class {class}"))?;
                attributes.push(number, &format!("tells {told}"), "", "1")?;
            }
        }
        let entities = &self.entities;
        let id = |number| Ok(entities.used.has(number).then(|| entities.id(number)));
        attributes.write(draft, id).map(|_| ())
    }
}

/// The numbers that were drawn; their places in order are ids.
struct Numbers {
    n: u64,
    used: Members,
}

impl Numbers {
    fn new(n: u64) -> Self {
        Self { n, used: Members::none(n as usize) }
    }

    fn len(&self) -> usize {
        self.used.len()
    }

    fn id(&self, number: u32) -> u32 {
        self.used.rank(number)
    }

    /// Writes their names, a letter and the number, with the order of the names.
    fn write(&self, draft: &Draft, file: &str, letter: char) -> Result<(), FileError> {
        let mut writer = ColumnWriter::create(&draft.path(file))?;
        let used = (0..self.n as u32).filter(|number| self.used.has(*number));
        write_texts(&mut writer, "name", used.map(|number| format!("{letter}{number}")))?;
        let order = writer.declare("name.order", Kind::U32, 1);
        for number in in_order_of_digits(self.n).filter(|number| self.used.has(*number)) {
            writer.push(order, &[self.id(number)])?;
        }
        writer.finish()
    }
}

/// The numbers below `n` in the order of their digits, as words: 0, 1, 10, 100, 101, … 2, 20.
fn in_order_of_digits(n: u64) -> impl Iterator<Item = u32> {
    let after = move |number: &u64| {
        if *number == 0 {
            return (n > 1).then_some(1);
        }
        if number * 10 < n {
            return Some(number * 10);
        }
        let mut next = if number + 1 < n { number + 1 } else { number / 10 + 1 };
        while next.is_multiple_of(10) {
            next /= 10;
        }
        // Past the last that begins with a nine.
        (next > 1).then_some(next)
    };
    std::iter::successors((n > 0).then_some(0), after).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_the_order_of_their_names() {
        for n in [0, 1, 2, 9, 10, 11, 99, 100, 101, 109, 110, 999, 1000, 1234, 20_001] {
            let mut names: Vec<String> = (0..n).map(|number| format!("e{number}")).collect();
            names.sort();
            let found: Vec<String> = in_order_of_digits(n).map(|i| format!("e{i}")).collect();
            assert_eq!(found, names, "{n}");
        }
    }

    #[test]
    fn a_folder_holds_what_was_drawn_and_no_one_is_left_without_a_training_triple() {
        let root = tempfile::tempdir().unwrap();
        let sizes = (900, 7, 6000);
        let synth = Synth {
            n_entities: sizes.0,
            n_relations: sizes.1,
            n_triples: sizes.2,
            noise: 0.1,
            n_classes: 3,
            n_types: 4,
            seed: 4,
        };
        let split = Some(Shares { valid: 0.1, test: 0.2 });
        let request = ImportRequest { split, seed: 4, ..ImportRequest::default() };
        let target = root.path().join("graph");
        let (report, _) =
            import_synth(&synth, &request, &target, &gossamer_machine::Silent).unwrap();
        let graph = Snapshot::open(&target).unwrap();
        let mut drawn: Vec<[String; 3]> = (0..synth.n_triples)
            .map(|index| {
                let [head, relation, tail] = synth.triple(index);
                let (head, tail) = (synth.entity_name(head), synth.entity_name(tail));
                [head, synth.relation_name(relation), tail]
            })
            .collect();
        drawn.sort();
        drawn.dedup();
        let (names, relations) = (graph.entities(), graph.relations());
        let mut found = Vec::new();
        let mut trained = vec![false; names.len()];
        for split in Split::ALL {
            let triples = graph.triples(split).unwrap();
            for [head, relation, tail] in triples.iter() {
                let [head_name, tail_name] = [head, tail].map(|id| names.name(id).unwrap());
                found.push([head_name, relations.name(relation).unwrap(), tail_name]);
                if split == Split::Train {
                    trained[head as usize] = true;
                    trained[tail as usize] = true;
                }
            }
            let part = triples.len() as f64 / drawn.len() as f64;
            let wanted = [0.7, 0.1, 0.2][split as usize];
            assert!((part - wanted).abs() < 0.03, "{split:?} {part}");
        }
        found.sort();
        assert_eq!(found, drawn);
        assert_eq!(report.leftovers.duplicates, 6000 - drawn.len() as u64);
        assert!(trained.into_iter().all(|trained| trained));
        for entity in (0..900).step_by(31) {
            let name = synth.entity_name(entity);
            let id = names.find(&name).unwrap();
            assert_eq!(id.map(|id| names.name(id).unwrap()), id.map(|_| name));
        }
        graph.folder().check().unwrap();
    }
}
