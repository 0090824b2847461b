//! The problem: entities with classes, what is known of them, and which are judged.
//!
//! Attributes say it: one property is the class, `split` says train, valid or test, and every other
//! property whose values are numbers is a feature. Without features each entity is one of its own.

use std::collections::BTreeMap;

use gossamer_graph::{Snapshot, Split};
use gossamer_machine::{Address, Purpose};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::op::neighbours::BothWays;

use crate::error::Error;

/// What a network is given, and what it should find.
#[derive(Debug)]
pub struct Problem {
    /// Features by entity, rows of sum 1, and by feature.
    pub features: [Sparse; 2],
    /// The triples of all splits: what is said is known, the classes of some are not.
    pub triples: Vec<[u32; 3]>,
    /// Relations.
    pub n_relations: usize,
    /// The classes' names.
    pub classes: Vec<String>,
    /// The class of each entity, where it is known.
    pub class_of: Vec<Option<u32>>,
    /// Entities to learn from, to choose by, and to judge.
    pub splits: [Vec<u32>; 3],
}

/// Which attribute says the class, and what seed divides entities where none says the split.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The property.
    pub property: String,
    /// The seed.
    pub seed: u64,
}

impl Problem {
    /// From a graph's triples and attributes.
    ///
    /// # Errors
    /// [`Error::Request`] where no attribute says classes, or there is no entity to learn from.
    pub fn of(graph: &Snapshot, asked: &Asked) -> Result<Self, Error> {
        let n = graph.entities().len();
        let mut properties = Vec::new();
        if let Some(names) = graph.names_of("properties.gcol")? {
            names.for_each_text("name", |_, name| properties.push(name.to_string()))?;
        }
        let place = |wanted: &str| properties.iter().position(|name| name == wanted);
        let Some(class_property) = place(&asked.property) else {
            return Err(no_classes(&asked.property, &properties));
        };
        let split_property = place("split");
        let (mut names, mut class_of) = (BTreeMap::<String, (u32, u32)>::new(), vec![None; n]);
        let (mut splits, mut entries) = (vec![None; n], Vec::new());
        graph.for_each_attribute::<Error>(|[entity, property, _], text| {
            let property = property as usize;
            if property == class_property {
                // By number in the order of appearance: a name is written once.
                let number = match names.get(text) {
                    Some((number, _)) => *number,
                    None => {
                        let number = names.len() as u32;
                        names.insert(text.to_string(), (number, 0));
                        number
                    }
                };
                class_of[entity as usize] = Some(number);
            } else if Some(property) == split_property {
                splits[entity as usize] = Split::ALL.into_iter().position(|s| s.name() == text);
            } else if let Some(value) = text.parse().ok().filter(|x: &f32| x.is_finite()) {
                entries.push((entity, property as u32, value));
            }
            Ok(())
        })?;
        names.values_mut().zip(0..).for_each(|((_, sorted), number)| *sorted = number);
        let sorted: BTreeMap<u32, u32> = names.values().copied().collect();
        class_of.iter_mut().flatten().for_each(|class| *class = sorted[class]);
        if splits.iter().all(Option::is_none) {
            divide(&class_of, asked.seed, &mut splits);
        }
        let of = |wanted: usize| -> Vec<u32> {
            let with = |id: &u32| splits[*id as usize] == Some(wanted);
            (0..n as u32).filter(|id| with(id) && class_of[*id as usize].is_some()).collect()
        };
        let splits = [of(0), of(1), of(2)];
        if splits[0].is_empty() || names.len() < 2 {
            return Err(Error::Request {
                what: format!("{} entities to learn {} classes from", splits[0].len(), names.len()),
                hint: "the attribute 'split' says train, valid or test of each entity".into(),
            });
        }
        let features = features(n, properties.len(), entries);
        let classes = names.into_keys().collect();
        let mut n_triples = 0;
        for split in Split::ALL {
            n_triples += graph.n_triples(split)? as usize;
        }
        let mut triples = Vec::with_capacity(n_triples);
        for split in Split::ALL {
            graph.for_each_triple(split, |triple| triples.push(triple))?;
        }
        let n_relations = graph.relations().len();
        Ok(Self { features, triples, n_relations, classes, class_of, splits })
    }
}

impl Problem {
    /// The entities to learn from, each with its class.
    pub fn learned(&self) -> impl Iterator<Item = (u32, u32)> {
        self.splits[0].iter().filter_map(|id| Some((*id, self.class_of[*id as usize]?)))
    }

    /// Features, by entity and by feature.
    pub fn features(&self) -> BothWays<'_> {
        let [forward, backward] = &self.features;
        BothWays { forward, backward }
    }
}

fn no_classes(property: &str, known: &[String]) -> Error {
    let known: Vec<&str> = known.iter().map(String::as_str).take(8).collect();
    Error::Request {
        what: format!("no attribute '{property}' says the class of an entity"),
        hint: match known[..] {
            [] => "import a folder with labels.tsv, or --map head=1,relation=:class,value=2".into(),
            _ => format!("--class names the property; this graph has {}", known.join(", ")),
        },
    }
}

/// Of those with a class 20 % to learn from, 10 % to choose by, the others to judge, class by
/// class.
fn divide(class_of: &[Option<u32>], seed: u64, splits: &mut [Option<usize>]) {
    let address = Address::new(seed, Purpose::Split, 1);
    let mut by_class: BTreeMap<u32, Vec<(u64, usize)>> = BTreeMap::new();
    for (entity, class) in class_of.iter().enumerate() {
        if let Some(class) = class {
            let [low, high, ..] = address.bits(entity as u32, 0);
            let lot = u64::from(high) << 32 | u64::from(low);
            by_class.entry(*class).or_default().push((lot, entity));
        }
    }
    for mut members in by_class.into_values() {
        members.sort_unstable();
        let n = members.len();
        for (place, (_, entity)) in members.into_iter().enumerate() {
            let part = if 5 * place < n { 0 } else { usize::from(10 * place >= 3 * n) + 1 };
            splits[entity] = Some(part);
        }
    }
}

/// Features of sum 1 for each entity; one of its own where there are none at all.
fn features(n: usize, n_properties: usize, entries: Vec<(u32, u32, f32)>) -> [Sparse; 2] {
    if entries.is_empty() {
        let own = Sparse::new(n, n, (0..n as u32).map(|id| (id, id, 1.0)).collect());
        return [own.clone(), own];
    }
    let mut by_entity = Sparse::new(n, n_properties, entries);
    for row in 0..n {
        let range = by_entity.starts[row] as usize..by_entity.starts[row + 1] as usize;
        let sum: f32 = by_entity.weights[range.clone()].iter().map(|x| x.abs()).sum();
        by_entity.weights[range].iter_mut().filter(|_| sum > 0.0).for_each(|x| *x /= sum);
    }
    let by_feature = by_entity.transposed();
    [by_entity, by_feature]
}
