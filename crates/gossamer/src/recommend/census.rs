//! What a pass over a graph finds of what recommenders learn from, before any of it is held: so that
//! a plan can be made, and refused, first.

use gossamer_graph::read::{INTERACTS, ITEM};
use gossamer_graph::{Snapshot, Split};

use super::Shape;
use super::problem::{Lists, Problem};
use crate::error::Error;

/// What an entity is.
const USER: u8 = 1;
const IS_ITEM: u8 = 2;
/// Somebody has it in training.
const HAD: u8 = 4;
/// A fact is about it.
const IN_FACT: u8 = 8;

/// Who is a user or an item, and how much there is of all else.
#[derive(Debug)]
pub struct Census {
    /// The relation of interactions.
    relation: u32,
    /// The entities that are users, ascending.
    pub users: Vec<u32>,
    /// The entities that are items, ascending.
    pub items: Vec<u32>,
    /// The entities that facts are about and that are neither, ascending.
    pub others: Vec<u32>,
    /// The relations of facts, ascending.
    pub relations: Vec<u32>,
    n_entities: usize,
    /// Interactions of each split.
    n_interactions: [usize; 3],
    shape: Shape,
}

impl Census {
    /// Of a graph with the relation of interactions: its heads are users, its tails items, and what
    /// has the type of items is one too. Takes a byte of each entity.
    ///
    /// # Errors
    /// [`Error::Request`] where the graph has none; those of its files.
    pub fn of(graph: &Snapshot) -> Result<Self, Error> {
        let Some(relation) = graph.relations().find(INTERACTS)? else {
            return Err(Error::Request {
                what: format!("the graph has no relation '{INTERACTS}'"),
                hint: "import RecBole's files, or a table: --interactions FILE --map user=1,item=2"
                    .into(),
            });
        };
        let n_entities = graph.entities().len();
        let mut marks = vec![0; n_entities];
        let mut of_facts = vec![false; graph.relations().len()];
        let (mut n_interactions, mut n_facts) = ([0; 3], 0);
        for split in Split::ALL {
            let trains = split == Split::Train;
            graph.for_each_triple(split, |[head, label, tail]| {
                let [one, other] = match (label == relation, trains) {
                    (true, true) => [USER, IS_ITEM | HAD],
                    (true, false) => [USER, IS_ITEM],
                    (false, true) => [IN_FACT; 2],
                    (false, false) => return,
                };
                marks[head as usize] |= one;
                marks[tail as usize] |= other;
                if label == relation {
                    n_interactions[split as usize] += 1;
                } else {
                    n_facts += 1;
                    of_facts[label as usize] = true;
                }
            })?;
        }
        graph.for_each_of_type(ITEM, |entity| marks[entity as usize] |= IS_ITEM)?;
        let marked = |is: fn(u8) -> bool| {
            let marks = || (0..).zip(&marks).filter(|(_, mark)| is(**mark)).map(|(id, _)| id);
            let mut ids: Vec<u32> = Vec::with_capacity(marks().count());
            ids.extend(marks());
            ids
        };
        let users = marked(|mark| mark & USER > 0);
        let items = marked(|mark| mark & IS_ITEM > 0);
        let others = marked(|mark| mark & (USER | IS_ITEM | IN_FACT) == IN_FACT);
        let relations: Vec<u32> =
            (0..).zip(of_facts).filter(|(_, is)| *is).map(|(id, _)| id).collect();
        let unseen = |mark: &&u8| **mark & (IS_ITEM | HAD) == IS_ITEM;
        let shape = Shape {
            n_users: users.len() as u64,
            n_items: items.len() as u64,
            n_interactions: n_interactions[0] as u64,
            n_held_out: (n_interactions[1] + n_interactions[2]) as u64,
            n_facts,
            n_relations: relations.len() as u64,
            n_others: others.len() as u64,
            n_unseen: marks.iter().filter(unseen).count() as u64,
            n_threads: 1,
            gives_back: false,
        };
        Ok(Self { relation, users, items, others, relations, n_entities, n_interactions, shape })
    }

    /// The entity that is a node: users, then items, then others.
    pub fn entity(&self, node: usize) -> Option<u32> {
        let all = self.users.iter().chain(&self.items).chain(&self.others);
        all.copied().nth(node)
    }

    /// Calls `visit` with every fact in order.
    ///
    /// # Errors
    /// Those of the graph's files.
    pub fn for_each_fact(
        &self,
        graph: &Snapshot,
        visit: &mut dyn FnMut([u32; 3]),
    ) -> Result<(), Error> {
        let mut visit = |triple: [u32; 3]| {
            if triple[1] != self.relation {
                visit(triple)
            }
        };
        Ok(graph.for_each_triple(Split::Train, &mut visit)?)
    }

    /// How much there is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Reads the interactions, and the facts if they are asked for.
    ///
    /// # Errors
    /// Those of the graph's files.
    pub fn read(&self, graph: &Snapshot, with_facts: bool) -> Result<Problem, Error> {
        let place = |ids: &[u32], id: u32| ids.binary_search(&id).ok().map(|place| place as u32);
        let n_facts = if with_facts { self.shape.n_facts as usize } else { 0 };
        let mut facts = Vec::with_capacity(n_facts);
        let mut interactions = <[Lists; 3]>::default();
        for split in Split::ALL {
            let mut pairs = Vec::with_capacity(self.n_interactions[split as usize]);
            graph.for_each_triple(split, |[head, label, tail]| {
                if label != self.relation {
                    if with_facts && split == Split::Train {
                        facts.push([head, label, tail]);
                    }
                } else if let (Some(user), Some(item)) =
                    (place(&self.users, head), place(&self.items, tail))
                {
                    pairs.push((user, item));
                }
            })?;
            interactions[split as usize] = Lists::of_pairs(self.users.len(), pairs);
        }
        let (users, items) = (self.users.clone(), self.items.clone());
        Ok(Problem { users, items, interactions, facts, n_entities: self.n_entities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_graph::{ImportRequest, import};
    use gossamer_machine::Silent;
    use std::fs;

    #[test]
    fn what_is_counted_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("clicks.csv"), "user,item\n1,a\n1,b\n2,b\n2,c\n3,a\n3,c\n").unwrap();
        // Of d nobody had anything; e and f are about no item.
        let facts = "a\tof\tkind\nb\tof\tkind\nd\tby\tsomeone\ne\tknows\tf\n";
        fs::write(folder.join("facts.tsv"), facts).unwrap();
        let request = ImportRequest {
            sources: vec![folder.join("facts.tsv")],
            interactions: vec![folder.join("clicks.csv")],
            ..ImportRequest::default()
        };
        import(&request, &folder.join("graph"), &Silent).unwrap();
        let graph = Snapshot::open(&folder.join("graph")).unwrap();
        let census = Census::of(&graph).unwrap();
        let all = census.read(&graph, true).unwrap();
        assert_eq!((all.users.len(), all.items.len(), all.facts.len()), (3, 3, 4));
        assert_eq!(census.shape(), Shape::of(&all));
        assert_eq!(census.shape().n_others, 5);
        assert_eq!(census.read(&graph, false).unwrap(), all.clone().without_facts());
        let mut facts = Vec::new();
        census.for_each_fact(&graph, &mut |fact| facts.push(fact)).unwrap();
        assert_eq!(facts, all.facts);
        let nodes = super::super::nodes::Nodes::of(&mut all.clone());
        assert_eq!((&census.others, &census.relations), (&nodes.others, &nodes.relations));
        assert_eq!(census.entity(3 + 3), nodes.others.first().copied());
        assert_eq!(census.entity(3 + 3 + 5), None);
    }
}
