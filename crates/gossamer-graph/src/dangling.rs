//! Items that no fact is about: a recommender learns of them from interactions alone.
//!
//! *Invariant:* none are named where there are no interactions, or no facts at all.

use std::path::Path;

use crate::error::GraphError;
use crate::id::Split;
use crate::members::Members;
use crate::read::links::Links;
use crate::read::{INTERACTS, ITEM};
use crate::snapshot::Snapshot;

/// The names of items without a fact, and of those that a file of links alone knows, ascending.
///
/// # Errors
/// Those of reading.
pub fn dangling(graph: &Snapshot, links: &[&Path]) -> Result<Vec<String>, GraphError> {
    let mut found = Vec::new();
    let relation = graph.relations().find(INTERACTS)?;
    let (Some(relation), Some(types)) = (relation, graph.types()?) else { return Ok(found) };
    let Some(kind) = types.names.find(ITEM)? else { return Ok(found) };
    let (mut told, mut n_facts) = (Members::none(graph.entities().len()), 0u64);
    graph.for_each_triple(Split::Train, |[head, of, tail]| {
        if of != relation {
            n_facts += 1;
            told.add(head);
            told.add(tail);
        }
    })?;
    if n_facts == 0 {
        return Ok(found);
    }
    let items = (0..graph.entities().len() as u32).filter(|id| types.of(*id).contains(&kind));
    for item in items.filter(|id| !told.has(*id)) {
        found.push(graph.entities().name(item)?);
    }
    for path in links {
        for item in Links::read(path)?.items() {
            if graph.entities().find(item)?.is_none() {
                found.push(item.to_string());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
