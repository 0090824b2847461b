//! Pools: sets of entities that negatives are drawn from in place of all.

use gossamer_graph::{Side, Triples};

use super::neighbourhoods::Neighbourhoods;
use crate::model::Asked;

/// Sets of entities, and which of them a query draws from.
#[derive(Debug)]
pub struct Pools {
    /// Where the ids of each pool begin; one more than there are.
    starts: Vec<u32>,
    ids: Vec<u32>,
    by: By,
}

/// What a pool belongs to.
#[derive(Debug)]
enum By {
    /// A side of a relation, heads before tails.
    Relation,
    /// Each entity's neighbourhood; none where it has none.
    Answer(Vec<Option<u32>>),
}

impl Pools {
    /// Bytes of [`of_relations`](Self::of_relations), while they are made and as they stay.
    pub fn bytes_of_relations(n_relations: u64, n_triples: u64) -> u64 {
        2 * n_triples * (8 + 4) + 4 * (2 * n_relations + 1)
    }

    /// Bytes of [`of_neighbourhoods`](Self::of_neighbourhoods), in the same way.
    pub fn bytes_of_neighbourhoods(n_entities: u64) -> u64 {
        (8 + 8 + 4 + 4) * n_entities
    }

    /// The entities that some training triple has on each side of each relation.
    pub fn of_relations(n_relations: usize, triples: &Triples) -> Self {
        let ends = |[head, relation, tail]: [u32; 3]| {
            [(Side::Head, head), (Side::Tail, tail)].map(|(side, id)| (place(relation, side), id))
        };
        let mut all: Vec<(u32, u32)> = triples.iter().flat_map(ends).collect();
        all.sort_unstable();
        all.dedup();
        Self::of_sorted(2 * n_relations as u32, &all, By::Relation)
    }

    /// The entities around each answer.
    pub fn of_neighbourhoods(neighbourhoods: Neighbourhoods) -> Self {
        let of = neighbourhoods.of;
        let placed = (0u32..).zip(&of).filter_map(|(id, pool)| Some(((*pool)?, id)));
        let mut all: Vec<(u32, u32)> = placed.collect();
        all.sort_unstable();
        let n = all.last().map_or(0, |(pool, _)| pool + 1);
        Self::of_sorted(n, &all, By::Answer(of))
    }

    fn of_sorted(n: u32, all: &[(u32, u32)], by: By) -> Self {
        let start = |place: u32| all.partition_point(|(other, _)| *other < place) as u32;
        let starts = (0..=n).map(start).collect();
        Self { starts, ids: all.iter().map(|(_, id)| *id).collect(), by }
    }

    /// Those that the negatives of a query with this answer come from, ascending; none: all.
    pub fn of(&self, asked: Asked, answer: u32) -> Option<&[u32]> {
        let pool = match &self.by {
            By::Relation => place(asked.relation, asked.side),
            By::Answer(of) => of[answer as usize]?,
        } as usize;
        let pool = &self.ids[self.starts[pool] as usize..self.starts[pool + 1] as usize];
        // One that holds the answer alone has nothing to tell it from.
        (pool.len() > 1).then_some(pool)
    }

    /// How many of `n` negatives come from a pool: all, or half, so that the rest of the graph is
    /// not forgotten.
    pub fn share(&self, n: usize) -> usize {
        match self.by {
            By::Relation => n,
            By::Answer(_) => n.div_ceil(2),
        }
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
        let triples =
            Triples::from_rows(vec![[0, 0, 5], [1, 0, 5], [1, 0, 6], [7, 2, 7], [8, 2, 7]]);
        let pools = Pools::of_relations(3, &triples);
        let of = |relation, side| pools.of(Asked { side, known: 0, relation }, 0);
        assert_eq!((of(0, Side::Head), of(0, Side::Tail)), (Some(&[0, 1][..]), Some(&[5, 6][..])));
        assert_eq!((of(1, Side::Head), of(1, Side::Tail)), (None, None));
        assert_eq!((of(2, Side::Head), of(2, Side::Tail)), (Some(&[7, 8][..]), None));
        assert_eq!(pools.share(9), 9);
    }

    #[test]
    fn an_answer_draws_from_those_around_it() {
        let of = vec![Some(1), Some(0), None, Some(1), Some(1)];
        let pools = Pools::of_neighbourhoods(Neighbourhoods { of });
        let asked = Asked { side: Side::Tail, known: 0, relation: 0 };
        assert_eq!(pools.of(asked, 4), Some(&[0, 3, 4][..]));
        assert_eq!((pools.of(asked, 1), pools.of(asked, 2)), (None, None), "alone, and nowhere");
        assert_eq!(pools.share(9), 5);
    }
}
