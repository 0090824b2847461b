//! The core of a graph: what is left when entities with few triples are taken away.
//!
//! The k-core is the largest part in which every entity stands in at least k triples of the part.
//! A model that learns the core well tends to learn the whole well, at a part of the cost.
//!
//! *Paper:* Seidman, "Network structure and minimum degree" (1983); for choosing settings, Kochsiek
//! et al., "Start small, think big" (2022).

use std::collections::BTreeMap;
use std::path::Path;

use gossamer_machine::Observer;
use gossamer_machine::folder::Draft;

use crate::build::Builder;
use crate::error::GraphError;
use crate::id::Split;
use crate::read::{Row, TripleSink};
use crate::room::Room;
use crate::snapshot::{KIND, Snapshot};
use crate::triples::Triples;

/// The largest k of a core that each entity is in. Cost: two passes over the triples, and 16 bytes
/// for each.
pub fn core_numbers(n_entities: usize, triples: &Triples) -> Vec<u32> {
    let mut starts = vec![0usize; n_entities + 1];
    let ends = |triple: [u32; 3]| [triple[0] as usize, triple[2] as usize];
    triples.iter().flat_map(ends).for_each(|entity| starts[entity + 1] += 1);
    for entity in 0..n_entities {
        starts[entity + 1] += starts[entity];
    }
    let (mut next, mut neighbours) = (starts.clone(), vec![0u32; 2 * triples.len()]);
    for [head, tail] in triples.iter().map(ends) {
        for (from, to) in [(head, tail), (tail, head)] {
            neighbours[next[from]] = to as u32;
            next[from] += 1;
        }
    }
    // Entities by degree; one whose neighbour goes moves down by one.
    let mut degrees: Vec<usize> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut waiting: Vec<Vec<u32>> = Vec::new();
    let put = |waiting: &mut Vec<Vec<u32>>, entity: u32, degree: usize| {
        if waiting.len() <= degree {
            waiting.resize(degree + 1, Vec::new());
        }
        waiting[degree].push(entity);
    };
    degrees
        .iter()
        .enumerate()
        .for_each(|(entity, degree)| put(&mut waiting, entity as u32, *degree));
    let (mut cores, mut gone) = (vec![0u32; n_entities], vec![false; n_entities]);
    let (mut core, mut degree) = (0, 0);
    while degree < waiting.len() {
        let Some(entity) = waiting[degree].pop() else {
            degree += 1;
            continue;
        };
        let entity = entity as usize;
        if gone[entity] || degrees[entity] != degree {
            continue;
        }
        core = core.max(degree);
        (gone[entity], cores[entity]) = (true, core as u32);
        for neighbour in &neighbours[starts[entity]..starts[entity + 1]] {
            let other = *neighbour as usize;
            if !gone[other] {
                degrees[other] -= 1;
                put(&mut waiting, *neighbour, degrees[other]);
                degree = degree.min(degrees[other]);
            }
        }
    }
    cores
}

/// Writes the smallest core that keeps at least a share of the training triples, as a graph of its
/// own with what it keeps of the other splits; returns its k.
///
/// # Errors
/// Those of reading and writing; [`GraphError::Cancelled`].
pub fn write_core(
    graph: &Snapshot,
    share: f64,
    target: &Path,
    observer: &dyn Observer,
) -> Result<u32, GraphError> {
    let train = graph.triples(Split::Train)?;
    let cores = core_numbers(graph.entities().len(), &train);
    let core_of = |[head, _, tail]: [u32; 3]| cores[head as usize].min(cores[tail as usize]);
    let mut of_triples: Vec<u32> = train.iter().map(core_of).collect();
    of_triples.sort_unstable_by(|one, other| other.cmp(one));
    let wanted = (share * of_triples.len() as f64) as usize;
    let k = of_triples.get(wanted.saturating_sub(1)).copied().unwrap_or(0);
    let (entities, relations) = (graph.entities().load()?, graph.relations().load()?);
    let draft = Draft::create(KIND, target, true)?;
    let mut builder = Builder::new(&draft, Room::default(), observer);
    for split in Split::ALL {
        builder.begin(split, format!("the {k}-core"), None);
        let triples = graph.triples(split)?;
        for (place, triple) in triples.iter().enumerate() {
            if core_of(triple) < k {
                continue;
            }
            let [head, relation, tail] = triple;
            let weight = triples.weights.is_some().then(|| triples.weight(place));
            builder.row(&Row {
                head: entities.get(head),
                relation: relations.get(relation),
                tail: entities.get(tail),
                weight,
                ..Row::default()
            })?;
        }
    }
    let (_, [n_entities, n_relations]) = builder.write(&draft, None)?;
    let notes = BTreeMap::from([
        ("n_entities".to_string(), n_entities.to_string()),
        ("n_relations".to_string(), n_relations.to_string()),
    ]);
    draft.finish(&notes)?;
    Ok(k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes away, again and again, whoever has too few.
    fn plain(n_entities: usize, rows: &[[u32; 3]], k: usize) -> Vec<bool> {
        let mut kept = vec![true; n_entities];
        loop {
            let mut degrees = vec![0; n_entities];
            for [head, _, tail] in rows {
                if kept[*head as usize] && kept[*tail as usize] {
                    degrees[*head as usize] += 1;
                    degrees[*tail as usize] += 1;
                }
            }
            let before = kept.clone();
            (0..n_entities).for_each(|entity| kept[entity] &= degrees[entity] >= k);
            if kept == before {
                return kept;
            }
        }
    }

    #[test]
    fn cores_are_what_taking_away_leaves() {
        let address = gossamer_machine::Address::new(4, gossamer_machine::Purpose::Synthetic, 0);
        for (n, n_triples) in [(1u32, 1u32), (20, 30), (30, 200), (10, 0)] {
            let drawn = |i: u32, column: u32| {
                // Few are in many.
                let part = address.unit(i, column);
                (part * part * f64::from(n)) as u32
            };
            let rows: Vec<[u32; 3]> =
                (0..n_triples).map(|i| [drawn(i, 0), 0, drawn(i, 1)]).collect();
            let triples = Triples::from_rows(rows.clone());
            let rows: Vec<[u32; 3]> = triples.iter().collect();
            let cores = core_numbers(n as usize, &triples);
            for k in 1..12 {
                let kept: Vec<bool> = cores.iter().map(|core| *core as usize >= k).collect();
                assert_eq!(kept, plain(n as usize, &rows, k), "{k} of {n}, {n_triples}");
            }
        }
    }
}
