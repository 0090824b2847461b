//! Facts on their way to columns: [sorted](crate::build::sorter) outside memory, joined where they repeat a
//! triple.
//!
//! *Invariant:* facts come out by split, head, relation, tail; of those that repeat a triple of
//! their split the first that says a weight or a time counts, and all their named graphs.

use std::io::{self, Read, Write};
use std::path::Path;

use gossamer_machine::FileError;

use super::naming::Naming;
use super::sorter::{Payload, Sorter, read_u32, write_u32};
use crate::id::Split;
use crate::snapshot::NO_TIME;

/// Stands for "no named graph".
const NO_GRAPH: u32 = u32::MAX;

/// What a fact says beside its triple.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extra {
    /// Weight, where one is said.
    pub weight: Option<f32>,
    /// Start of validity, or [`NO_TIME`].
    pub from: i64,
    /// End of validity, or [`NO_TIME`].
    pub until: i64,
    /// The named graph.
    pub graph: Option<u32>,
}

/// A triple with everything that was said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its split.
    pub split: Split,
    /// Head, relation, tail.
    pub triple: [u32; 3],
    /// Weight.
    pub weight: f32,
    /// Start and end of validity.
    pub validity: [i64; 2],
    /// Its named graphs, ascending.
    pub graphs: Vec<u32>,
}

/// What any fact so far has said, so that a writer knows its columns before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Said {
    /// Facts.
    pub n_facts: u64,
    /// A weight other than 1.
    pub weight: bool,
    /// A start of validity.
    pub from: bool,
    /// An end of validity.
    pub until: bool,
}

impl Payload for Extra {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        // No weight that a source can say is NaN.
        out.write_all(&self.weight.unwrap_or(f32::NAN).to_le_bytes())?;
        out.write_all(&self.from.to_le_bytes())?;
        out.write_all(&self.until.to_le_bytes())?;
        write_u32(out, self.graph.unwrap_or(NO_GRAPH))
    }
    fn read(input: &mut dyn Read) -> io::Result<Self> {
        let mut times = [[0; 8]; 2];
        let weight = Some(f32::from_bits(read_u32(input)?)).filter(|weight| !weight.is_nan());
        input.read_exact(times.as_flattened_mut())?;
        let [from, until] = times.map(i64::from_le_bytes);
        let graph = Some(read_u32(input)?).filter(|graph| *graph != NO_GRAPH);
        Ok(Self { weight, from, until, graph })
    }
}

/// Facts being collected.
pub struct Facts {
    sorter: Sorter<Extra>,
    said: [Said; 3],
}

impl Facts {
    /// None yet; those for which there is no room in memory wait in `folder`.
    pub fn new(folder: &Path, room: usize) -> Self {
        Self { sorter: Sorter::new(folder, "facts", room), said: [Said::default(); 3] }
    }

    /// What the facts of a split have said.
    pub fn said(&self, split: Split) -> Said {
        self.said[split as usize]
    }

    /// How many were pushed.
    pub fn len(&self) -> u64 {
        self.said.iter().map(|said| said.n_facts).sum()
    }

    /// True before the first one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a fact.
    ///
    /// # Errors
    /// Those of writing a run.
    pub fn push(
        &mut self,
        split: Split,
        triple: [u32; 3],
        extra: Option<Extra>,
    ) -> Result<(), FileError> {
        let said = &mut self.said[split as usize];
        said.n_facts += 1;
        if let Some(extra) = extra {
            said.weight |= extra.weight.is_some_and(|weight| weight != 1.0);
            said.from |= extra.from != NO_TIME;
            said.until |= extra.until != NO_TIME;
        }
        self.sorter.push(key(split, triple), extra)
    }

    /// The facts about things as facts about the entities that these are.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn named(mut self, naming: &Naming) -> Result<Self, FileError> {
        let mut lookup = naming.lookup();
        let mut id = move |thing| Ok(lookup.entity(thing)?.unwrap_or_default());
        if !naming.merged() && naming.whole() {
            return Ok(self);
        }
        let mut named = Self { sorter: self.sorter.beside("named-facts")?, said: self.said };
        self.sorter.for_each(|whole, extra| {
            let (split, [head, relation, tail]) = parts(whole);
            named.sorter.push(key(split, [id(head)?, relation, id(tail)?]), extra)
        })?;
        Ok(named)
    }

    /// Calls `take` with every fact in order; may be called again. Returns how many facts repeated
    /// another.
    ///
    /// # Errors
    /// Those of reading runs, and of `take`.
    pub fn for_each<E: From<FileError>>(
        &mut self,
        mut take: impl FnMut(&Fact) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut n = 0;
        let mut joined: Option<Joined> = None;
        self.sorter.for_each(|key, extra| {
            match &mut joined {
                Some(joined) if joined.key == key => joined.add(extra),
                _ => {
                    if let Some(whole) = joined.replace(Joined::new(key, extra)) {
                        n += 1;
                        take(&whole.fact)?;
                    }
                }
            }
            Ok::<(), E>(())
        })?;
        if let Some(whole) = joined {
            n += 1;
            take(&whole.fact)?;
        }
        Ok(self.len() - n)
    }
}

fn key(split: Split, [head, relation, tail]: [u32; 3]) -> u128 {
    let triple = u128::from(head) << 64 | u128::from(relation) << 32 | u128::from(tail);
    (split as u128) << 96 | triple
}

fn parts(key: u128) -> (Split, [u32; 3]) {
    let triple = [(key >> 64) as u32, (key >> 32) as u32, key as u32];
    (Split::ALL[(key >> 96) as usize % 3], triple)
}

/// A fact with what its repetitions said so far.
struct Joined {
    key: u128,
    fact: Fact,
    said: bool,
}

impl Joined {
    fn new(key: u128, extra: Option<Extra>) -> Self {
        let (split, triple) = parts(key);
        let (validity, graphs) = ([NO_TIME; 2], Vec::new());
        let fact = Fact { split, triple, weight: 1.0, validity, graphs };
        let mut joined = Self { key, fact, said: false };
        joined.add(extra);
        joined
    }

    fn add(&mut self, extra: Option<Extra>) {
        let Some(extra) = extra else { return };
        // A named graph alone says neither.
        let says = extra.weight.is_some() || [extra.from, extra.until] != [NO_TIME; 2];
        if says && !self.said {
            self.fact.weight = extra.weight.unwrap_or(1.0);
            self.fact.validity = [extra.from, extra.until];
            self.said = true;
        }
        if let Some(graph) = extra.graph
            && let Err(place) = self.fact.graphs.binary_search(&graph)
        {
            self.fact.graphs.insert(place, graph);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pushed = (u8, [u32; 3], Option<(Option<f32>, Option<u32>)>);

    fn collected(facts: &[Pushed], room: usize) -> (Vec<Fact>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let mut collect = Facts::new(folder.path(), room);
        for (split, triple, extra) in facts {
            let extra = extra.map(|(weight, graph)| {
                let (from, until) = (NO_TIME, NO_TIME);
                Extra { weight, from, until, graph }
            });
            collect.push(Split::ALL[*split as usize], *triple, extra).unwrap();
        }
        let mut all = Vec::new();
        let mut repeated = 0;
        for _ in 0..2 {
            all.clear();
            repeated = collect
                .for_each(|fact| {
                    all.push(fact.clone());
                    Ok::<(), FileError>(())
                })
                .unwrap();
        }
        (all, repeated)
    }

    proptest! {
        #[test]
        fn any_room_gives_the_same_sorted_and_joined_facts(
            facts in prop::collection::vec(
                (0u8..3, [0u32..4, 0u32..2, 0u32..4],
                 prop::option::of((prop::option::of(0.1f32..2.0), prop::option::of(0u32..3)))),
                0..60,
            ),
            room in 1usize..900,
        ) {
            let (all, repeated) = collected(&facts, 1 << 20);
            prop_assert_eq!(&collected(&facts, room), &(all.clone(), repeated));
            prop_assert_eq!(all.len() as u64 + repeated, facts.len() as u64);
            let order = |fact: &Fact| (fact.split, fact.triple);
            prop_assert!(all.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
            for fact in &all {
                let same = facts.iter().filter(|(split, triple, _)| {
                    (Split::ALL[*split as usize], *triple) == (fact.split, fact.triple)
                });
                let said: Vec<_> = same.filter_map(|(_, _, extra)| *extra).collect();
                let weight = said.iter().find_map(|said| said.0);
                prop_assert_eq!(fact.weight, weight.unwrap_or(1.0));
                let graphs: std::collections::BTreeSet<u32> =
                    said.iter().filter_map(|said| said.1).collect();
                prop_assert_eq!(&fact.graphs, &graphs.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
