//! A graph's report in words, for the terminal and the page.

use gossamer::{Error, Snapshot};
use gossamer_graph::inspect::Inspection;
use gossamer_graph::mirror::Mirror;

/// A triple by names: "France borders Spain".
pub fn triple_in_words(graph: &Snapshot, triple: [u32; 3]) -> Result<String, Error> {
    let [head, relation, tail] = triple;
    let entities = graph.entities();
    let relation = graph.relations().shown(relation)?;
    Ok(format!("({}, {relation}, {})", entities.shown(head)?, entities.shown(tail)?))
}

/// Degrees in a sentence.
pub fn degrees_in_words(found: &Inspection) -> String {
    let [least, median, mean, most] = found.degrees;
    format!(
        "degree: least {least}, median {median}, mean {mean:.1}, most {most}; \
         the busiest 1 % of entities take {:.0} % of all ends",
        100.0 * found.top_percent_share
    )
}

/// What may be wrong with a graph, and how often it is.
pub fn warts(found: &Inspection) -> [(usize, &'static str); 8] {
    [
        (found.self_loops, "triples whose head is their tail"),
        (found.overlaps, "held-out triples that also stand in an earlier split"),
        (found.unseen_entities[0], "entities of valid without a training triple"),
        (found.unseen_triples[0], "valid triples with such an entity"),
        (found.unseen_entities[1], "entities of test without a training triple"),
        (found.unseen_triples[1], "test triples with such an entity"),
        (found.leaks[0], "valid triples that a mirrored one in train gives away"),
        (found.leaks[1], "test triples that a mirrored one in train gives away"),
    ]
}

/// A sentence for each mirrored relation.
pub fn mirrors_in_words(graph: &Snapshot, found: &Inspection) -> Result<Vec<String>, Error> {
    found.mirrors.iter().map(|mirror| mirror_in_words(graph, mirror)).collect()
}

fn mirror_in_words(graph: &Snapshot, mirror: &Mirror) -> Result<String, Error> {
    let relation = graph.relations().shown(mirror.relation)?;
    let share = 100.0 * mirror.share;
    Ok(match (mirror.relation == mirror.other, mirror.inverse) {
        (true, _) => format!("{relation} is symmetric for {share:.0} % of its pairs"),
        (false, inverse) => {
            let other = graph.relations().shown(mirror.other)?;
            let how = if inverse { "the inverse of" } else { "the same as" };
            format!("{relation} is {how} {other} for {share:.0} % of its pairs")
        }
    })
}
