//! Which entities stand on each side of each relation.

use gossamer_graph::{Side, Triples};

/// The entities that some training triple has as head, and as tail, of each relation.
#[derive(Debug)]
pub struct Ranges {
    /// Where the ids of (relation, side) begin, heads before tails; one more than there are.
    starts: Vec<u32>,
    ids: Vec<u32>,
}

impl Ranges {
    /// Bytes while they are made and as they stay.
    pub fn bytes_for(n_relations: u64, n_triples: u64) -> u64 {
        2 * n_triples * (8 + 4) + 4 * (2 * n_relations + 1)
    }

    /// From the training triples.
    pub fn new(n_relations: usize, triples: &Triples) -> Self {
        let ends = |[head, relation, tail]: [u32; 3]| {
            [(Side::Head, head), (Side::Tail, tail)].map(|(side, id)| (place(relation, side), id))
        };
        let mut all: Vec<(u32, u32)> = triples.iter().flat_map(ends).collect();
        all.sort_unstable();
        all.dedup();
        let start = |place: u32| all.partition_point(|(other, _)| *other < place) as u32;
        let starts = (0..=2 * n_relations as u32).map(start).collect();
        Self { starts, ids: all.into_iter().map(|(_, id)| id).collect() }
    }

    /// Those of one side of a relation, ascending.
    pub fn of(&self, relation: u32, side: Side) -> &[u32] {
        let place = place(relation, side) as usize;
        &self.ids[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

fn place(relation: u32, side: Side) -> u32 {
    2 * relation + u32::from(side == Side::Tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_of_each_relation_has_its_own() {
        let triples = Triples::from_rows(vec![[0, 0, 5], [1, 0, 5], [1, 0, 6], [7, 2, 7]]);
        let ranges = Ranges::new(3, &triples);
        assert_eq!(
            (ranges.of(0, Side::Head), ranges.of(0, Side::Tail)),
            (&[0, 1][..], &[5, 6][..])
        );
        assert_eq!((ranges.of(1, Side::Head), ranges.of(1, Side::Tail)), (&[][..], &[][..]));
        assert_eq!((ranges.of(2, Side::Head), ranges.of(2, Side::Tail)), (&[7][..], &[7][..]));
    }
}
