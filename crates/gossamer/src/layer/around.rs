//! What is around entities: the triples, in the forms that layers ask for.
//!
//! Each triple stands for two entries: its head is a neighbour of its tail under the relation's label
//! r, and its tail of its head under r + R.

use gossamer_tensor::sparse::{Entry, Labelled, Sparse};
use gossamer_tensor::tape::op::neighbours::BothWays;

/// The form that a layer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Neighbours and oneself, weighed 1/√(degree · degree) with oneself counted; pairs once.
    Near,
    /// Neighbours, weighed 1/degree; pairs once.
    Mean,
    /// Entries with labels, weighed 1/(how many an entity has of that label).
    ByRelation,
    /// Entries with labels, weighed 1/(how many an entity has).
    ByEntity,
    /// Entries with labels r, entries with labels r + R, and oneself with label 2·R; the first two
    /// weighed 1/√(degree · degree) of their direction, and all by a third.
    ByDirection,
}

/// A matrix by column and by row.
type Ways<M> = [M; 2];

/// Neighbours without labels; the transpose where it is another.
#[derive(Debug, Default)]
struct Pairs {
    forward: Sparse,
    transposed: Option<Sparse>,
}

/// What is around every entity; of the forms those that were asked for.
#[derive(Debug, Default)]
pub struct Around {
    pairs: Pairs,
    entries: Vec<Ways<Labelled>>,
}

impl Around {
    /// Of triples among so many entities and relations.
    pub fn of(view: View, n: usize, n_relations: usize, triples: &[[u32; 3]]) -> Self {
        let (heads, tails) = (|t: &[u32; 3]| (t[2], t[0], t[1]), |t: &[u32; 3]| (t[0], t[2], t[1]));
        let inverse = n_relations as u32;
        let both = || {
            let back = triples.iter().map(tails).map(|(v, u, label)| (v, u, label + inverse));
            triples.iter().map(heads).chain(back)
        };
        let labelled = |entries: Vec<Entry>| {
            let labelled = Labelled::new(n, n, 2 * n_relations + 1, entries);
            [labelled.transposed(), labelled]
        };
        let entries = match view {
            View::Near | View::Mean => {
                let forward = pairs(view == View::Near, n, both());
                let transposed = (view == View::Mean).then(|| forward.transposed());
                return Self { pairs: Pairs { forward, transposed }, entries: Vec::new() };
            }
            View::ByRelation => vec![labelled(weighed_by_relation(both().collect()))],
            View::ByEntity => {
                let degrees = degrees(n, both().map(|entry| entry.0));
                let weighed = |(v, u, l): (u32, u32, u32)| (v, u, l, 1.0 / degrees[v as usize]);
                vec![labelled(both().map(weighed).collect())]
            }
            View::ByDirection => {
                let third = 1.0 / 3.0;
                let ins = by_degrees(n, triples.iter().map(heads).collect(), third);
                let outs = triples.iter().map(tails).map(|(v, u, l)| (v, u, l + inverse));
                let outs = by_degrees(n, outs.collect(), third);
                let own = (0..n as u32).map(|v| (v, v, 2 * inverse, third)).collect();
                vec![labelled(ins), labelled(outs), labelled(own)]
            }
        };
        Self { pairs: Pairs::default(), entries }
    }

    /// Neighbours without labels.
    pub fn pairs(&self) -> BothWays<'_> {
        let Pairs { forward, transposed } = &self.pairs;
        BothWays { forward, backward: transposed.as_ref().unwrap_or(forward) }
    }

    /// Labelled entries; one set, or three by direction.
    pub fn entries(&self) -> impl Iterator<Item = BothWays<'_, Labelled>> {
        self.entries.iter().map(|[backward, forward]| BothWays { forward, backward })
    }

    /// Bytes at most.
    pub fn bytes_for(view: View, n: u64, n_triples: u64) -> u64 {
        let labelled = |entries| 2 * Labelled::bytes_for(n, entries);
        let pairs = |entries: u64| 4 * (n + 1) + 8 * entries;
        match view {
            View::Near => pairs(n + 2 * n_triples),
            View::Mean => 2 * pairs(2 * n_triples),
            View::ByRelation | View::ByEntity => labelled(2 * n_triples),
            View::ByDirection => 2 * labelled(n_triples) + labelled(n),
        }
    }
}

fn degrees(n: usize, ends: impl Iterator<Item = u32>) -> Vec<f32> {
    let mut degrees = vec![0f32; n];
    ends.for_each(|v| degrees[v as usize] += 1.0);
    degrees
}

/// Neighbours, weighed 1/degree, one way: [`View::Mean`] for those who never go back.
pub fn means(n: usize, triples: &[[u32; 3]]) -> Sparse {
    pairs(false, n, triples.iter().flat_map(|t| [(t[2], t[0], t[1]), (t[0], t[2], t[1])]))
}

/// Pairs, once each, whatever their relation and direction.
fn pairs(near: bool, n: usize, both: impl Iterator<Item = (u32, u32, u32)>) -> Sparse {
    let oneself = (0..n as u32).filter(|_| near).map(|v| (v, v));
    let mut pairs: Vec<(u32, u32)> = oneself.chain(both.map(|(v, u, _)| (v, u))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let degrees = degrees(n, pairs.iter().map(|pair| pair.0));
    let weight = |(v, u): (u32, u32)| {
        let (of_v, of_u) = (degrees[v as usize], degrees[u as usize]);
        (v, u, if near { 1.0 / (of_v * of_u).sqrt() } else { 1.0 / of_v })
    };
    Sparse::of_sorted(n, n, pairs.into_iter().map(weight))
}

fn weighed_by_relation(mut entries: Vec<(u32, u32, u32)>) -> Vec<Entry> {
    entries.sort_unstable_by_key(|(v, u, label)| (*v, *label, *u));
    let same = entries.chunk_by(|a, b| (a.0, a.2) == (b.0, b.2));
    same.flat_map(|same| same.iter().map(|(v, u, l)| (*v, *u, *l, 1.0 / same.len() as f32)))
        .collect()
}

fn by_degrees(n: usize, entries: Vec<(u32, u32, u32)>, factor: f32) -> Vec<Entry> {
    let (of_rows, of_columns) = (
        degrees(n, entries.iter().map(|entry| entry.0)),
        degrees(n, entries.iter().map(|entry| entry.1)),
    );
    let weight = |(v, u, label): (u32, u32, u32)| {
        (v, u, label, factor / (of_rows[v as usize] * of_columns[u as usize]).sqrt())
    };
    entries.into_iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIPLES: [[u32; 3]; 3] = [[0, 0, 1], [0, 1, 1], [2, 0, 1]];

    #[test]
    fn a_triple_is_two_entries_and_pairs_count_once() {
        let near = Around::of(View::Near, 4, 2, &TRIPLES);
        let (columns, weights) = near.pairs().forward.row(1);
        assert_eq!(columns, [0, 1, 2]);
        assert!((weights[0] - 1.0 / 6f32.sqrt()).abs() < 1e-6, "{weights:?}");
        // Entity 3 has itself alone.
        assert_eq!(near.pairs().forward.row(3), (&[3][..], &[1.0][..]));
        let mean = Around::of(View::Mean, 4, 2, &TRIPLES);
        assert_eq!(mean.pairs().forward.row(1), (&[0, 2][..], &[0.5, 0.5][..]));
        assert_eq!(mean.pairs().backward.row(0), (&[1][..], &[0.5][..]));
    }

    #[test]
    fn labels_tell_relation_and_direction() {
        let around = Around::of(View::ByRelation, 4, 2, &TRIPLES);
        let of = |around: &Around, set: usize, v| -> Vec<(usize, usize, f32)> {
            around.entries().nth(set).unwrap().forward.row(v).collect()
        };
        assert_eq!(of(&around, 0, 1), [(0, 0, 0.5), (2, 0, 0.5), (0, 1, 1.0)]);
        assert_eq!(of(&around, 0, 0), [(1, 2, 1.0), (1, 3, 1.0)]);
        let around = Around::of(View::ByEntity, 4, 2, &TRIPLES);
        assert_eq!(of(&around, 0, 0), [(1, 2, 0.5), (1, 3, 0.5)]);
        let around = Around::of(View::ByDirection, 4, 2, &TRIPLES);
        assert_eq!(around.entries().count(), 3);
        assert_eq!(of(&around, 1, 2), [(1, 2, 1.0 / 3.0 / 3f32.sqrt())]);
        assert_eq!(of(&around, 2, 3), [(3, 4, 1.0 / 3.0)]);
        assert!(of(&around, 0, 3).is_empty());
    }
}
