//! f32 scores of single pairs of a query and an entity, in tiles of those that lie together.
//!
//! *Invariant:* a pair's score has the bits that it has in a block of any size.

use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::similarity::Packed;

use crate::model::Model;
use crate::plan::ranking::{PACKED_QUERIES as STRIP, SCORED_ROWS as ROWS};
use crate::table::Panel;

/// Queries, packed a few at a time.
pub struct Strips<'a> {
    model: &'a Model,
    isa: InstructionSet,
    packed: Vec<Packed>,
    n_queries: usize,
}

/// Where rows lie together and what they score, kept from call to call.
#[derive(Debug, Default)]
pub struct Room {
    decoded: Vec<f32>,
    rows: Vec<f32>,
    scores: Vec<f32>,
}

impl<'a> Strips<'a> {
    /// Of some queries of the model's width.
    pub fn new(model: &'a Model, isa: InstructionSet, queries: &[f32]) -> Self {
        let (similarity, columns) = (model.function.similarity(), model.columns());
        let strips = queries.chunks(STRIP * columns.queries.width);
        let packed = strips.map(|queries| similarity.pack(isa, queries, columns)).collect();
        Self { model, isa, packed, n_queries: queries.len() / columns.queries.width }
    }

    /// Calls `take` with each [query, entity] and its score, in an order that suits the tiles.
    /// Where all entities are of a panel that is at hand, their rows are read there.
    pub fn score(
        &self,
        pairs: &mut [[u32; 2]],
        panel: Option<Panel<'_>>,
        room: &mut Room,
        mut take: impl FnMut(usize, u32, f32),
    ) {
        let strip_of = |[query, _]: &[u32; 2]| *query as usize / STRIP;
        pairs.sort_unstable_by_key(|pair| (strip_of(pair), pair[1]));
        let (similarity, columns) = (self.model.function.similarity(), self.model.columns());
        for pairs in pairs.chunk_by(|one, next| strip_of(one) == strip_of(next)) {
            let strip = strip_of(&pairs[0]);
            let n = STRIP.min(self.n_queries - strip * STRIP);
            let mut left = pairs;
            while !left.is_empty() {
                room.rows.clear();
                let rows = left.chunk_by(|one, next| one[1] == next[1]).take(ROWS);
                let n_pairs = rows.clone().map(<[_]>::len).sum();
                for pairs in rows {
                    let (id, width) = (pairs[0][1], columns.rows.width);
                    room.rows.extend_from_slice(match panel {
                        Some(panel) => &panel.rows[(id - panel.first) as usize * width..][..width],
                        None => self.model.entities.row(id, &mut room.decoded),
                    });
                }
                room.scores.resize(room.rows.len() / columns.rows.width * n, 0.0);
                let (packed, scores) = (&self.packed[strip], &mut room.scores);
                similarity.scores_by_row(self.isa, packed, &room.rows, columns, scores);
                let (now, later) = left.split_at(n_pairs);
                let by_row = now.chunk_by(|one, next| one[1] == next[1]);
                for (pairs, scores) in by_row.zip(room.scores.chunks_exact(n)) {
                    for [query, entity] in pairs {
                        let query = *query as usize;
                        take(query, *entity, scores[query - strip * STRIP]);
                    }
                }
                left = later;
            }
        }
    }
}
