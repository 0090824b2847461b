//! Who may answer: entities of the types that the ontology gives a relation's heads and tails.
//!
//! Several declared types: an entity of any of them may answer. A relation for which nothing is
//! declared, or whose declared types no entity has, takes answers from all.

use std::collections::HashMap;

use gossamer_graph::snapshot::Types;
use gossamer_graph::{Side, Snapshot, Split};

use crate::error::Error;
use crate::evaluate::Candidates;

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allow {
    /// Of a declared type, where the ontology declares one.
    #[default]
    Declared,
    /// Seen in train with this relation on this side.
    Seen,
    /// Anything.
    Any,
}

/// The candidates of each relation and side, found when they are first asked for.
#[derive(Debug)]
pub struct Allowed {
    allow: Allow,
    types: Option<Types>,
    found: HashMap<(u32, Side), Candidates>,
}

impl Allowed {
    /// For a graph.
    ///
    /// # Errors
    /// Those of reading the types.
    pub fn new(graph: &Snapshot, allow: Allow) -> Result<Self, Error> {
        let types = if allow == Allow::Declared { graph.types()? } else { None };
        Ok(Self { allow, types, found: HashMap::new() })
    }

    /// Who may answer a relation's queries on this side.
    ///
    /// # Errors
    /// Those of reading the graph.
    pub fn candidates(
        &mut self,
        graph: &Snapshot,
        relation: u32,
        side: Side,
    ) -> Result<Candidates, Error> {
        if let Some(found) = self.found.get(&(relation, side)) {
            return Ok(found.clone());
        }
        let candidates = match self.allow {
            Allow::Any => Candidates::All,
            Allow::Seen => seen(graph, relation, side)?,
            Allow::Declared => self.declared(graph, relation, side)?,
        };
        self.found.insert((relation, side), candidates.clone());
        Ok(candidates)
    }

    fn declared(&self, graph: &Snapshot, relation: u32, side: Side) -> Result<Candidates, Error> {
        let Some(types) = &self.types else { return Ok(Candidates::All) };
        let column = if side == Side::Tail { "range" } else { "domain" };
        let wanted = graph.relations().list(column, relation)?;
        if wanted.is_empty() {
            return Ok(Candidates::All);
        }
        let suits = |id: &u32| types.of(*id).iter().any(|kind| wanted.contains(kind));
        let ids: Vec<u32> = (0..graph.entities().len() as u32).filter(suits).collect();
        Ok(if ids.is_empty() { Candidates::All } else { Candidates::some(ids) })
    }
}

fn seen(graph: &Snapshot, wanted: u32, side: Side) -> Result<Candidates, Error> {
    let mut ids = Vec::new();
    graph.for_each_triple(Split::Train, |[head, relation, tail]| {
        if relation == wanted {
            ids.push(if side == Side::Tail { tail } else { head });
        }
    })?;
    Ok(Candidates::some(ids))
}
