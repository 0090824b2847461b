//! Scores that are products: three matrix products a panel, with f32 or bf16 factors.
//!
//! Exponentials and sigmoids stay as they are kept; what differs from query to query, e^(largest −
//! log Z), is a scale of the second product's result and of the third one's queries. What labels
//! give is added apart, in f32.

use gossamer_tensor::kernel::pack::{
    Left, Matrix, MatrixMut, Number, Right, left_of_pairs, pairs_along_columns, pairs_along_rows,
};
use gossamer_tensor::kernel::product::{Put, multiply};
use gossamer_tensor::kernel::tile::Pair;
use gossamer_tensor::kernel::vector;

use super::{Blocks, Questions, Values};
use crate::table::Panel;

/// A batch's queries, packed for scoring.
pub struct Products<'a, T> {
    questions: &'a Questions<'a>,
    scoring: Right<T>,
    /// With label smoothing, what it takes from the gradient of every row.
    spread: Vec<f32>,
}

/// How values are kept for factors of a kind.
pub trait Value: Number {
    /// Words that the values of so many rows take, for each query.
    fn words(rows: usize) -> usize;
    /// Keeps values (rows × queries).
    fn store(questions: &Questions<'_>, values: &[f32], out: &mut [u32]);
    /// Kept values, with queries as rows; in `room`, if they do not lie so.
    fn by_query<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self>;
    /// Kept values, with entities as rows; in `room`, if they do not lie so.
    fn by_row<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        rows: usize,
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self>;
}

impl Value for f32 {
    fn words(rows: usize) -> usize {
        rows
    }
    fn store(_: &Questions<'_>, values: &[f32], out: &mut [u32]) {
        out.copy_from_slice(bytemuck::cast_slice(values));
    }
    fn by_query<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        _: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        Matrix { values: bytemuck::cast_slice(stored), stride: questions.len() }.transposed()
    }
    fn by_row<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        _: usize,
        _: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        Matrix { values: bytemuck::cast_slice(stored), stride: questions.len() }.into()
    }
}

impl Value for Pair {
    fn words(rows: usize) -> usize {
        rows.div_ceil(2)
    }
    fn store(questions: &Questions<'_>, values: &[f32], out: &mut [u32]) {
        let isa = questions.machine.instruction_set;
        pairs_along_columns(isa, values, questions.len(), bytemuck::cast_slice_mut(out));
    }
    fn by_query<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        let isa = questions.machine.instruction_set;
        left_of_pairs(isa, questions.len(), bytemuck::cast_slice(stored), room)
    }
    fn by_row<'a>(
        questions: &Questions<'_>,
        stored: &'a [u32],
        rows: usize,
        room: &'a mut Vec<Self>,
    ) -> Left<'a, Self> {
        let isa = questions.machine.instruction_set;
        let width = questions.len().div_ceil(2);
        room.resize(rows * width, Self::default());
        pairs_along_rows(isa, bytemuck::cast_slice(stored), questions.len(), room);
        Left { values: room, row: width, step: 1 }
    }
}

/// Packed operands.
pub struct Room<T> {
    left: Vec<T>,
    right: Right<T>,
}

impl<'a, T: Value> Products<'a, T> {
    /// For the queries of a batch.
    pub fn new(questions: &'a Questions<'a>) -> Self {
        let mut scoring = Right::default();
        let (columns, isa) = (questions.columns.queries, questions.machine.instruction_set);
        scoring.pack_transposed(isa, columns.n, questions.len(), columns.of(&questions.queries));
        let mut spread = Vec::new();
        if questions.smoothing > 0.0 {
            spread.resize(columns.width, 0.0);
            for (query, row) in questions.queries.chunks_exact(columns.width).enumerate() {
                vector::add_scaled(isa, &mut spread, questions.spread(query), row);
            }
        }
        Self { questions, scoring, spread }
    }
}

impl<T: Value> Blocks for Products<'_, T> {
    type Room = Room<T>;

    fn room(&self) -> Room<T> {
        let right = Right::within(&self.questions.machine.buffers);
        Room { left: Vec::new(), right }
    }

    fn scores(&self, panel: Panel<'_>, room: &mut Room<T>, out: &mut [f32]) {
        let (isa, columns) = (self.questions.machine.instruction_set, self.questions.columns.rows);
        let (n, stride) = (self.questions.rows(panel), self.questions.len());
        let rows = T::left(isa, [n, columns.n], columns.of(panel.rows), &mut room.left);
        multiply(isa, n, rows, &self.scoring, Put::Set, MatrixMut { values: out, stride });
    }

    fn words(&self, rows: usize) -> usize {
        T::words(rows)
    }

    fn store(&self, values: &[f32], out: &mut [u32]) {
        T::store(self.questions, values, out);
    }

    fn add_query_gradient(&self, values: &Values<'_>, room: &mut Room<T>, out: &mut [f32]) {
        let Values { panel, stored, factors, .. } = *values;
        let (isa, columns) = (self.questions.machine.instruction_set, self.questions.columns.rows);
        let (n, width) = (self.questions.rows(panel), columns.width);
        room.right.pack(isa, n, columns.n, columns.of(panel.rows), None);
        let by_query = T::by_query(self.questions, stored, &mut room.left);
        let put = Put::AddScaled(factors);
        multiply(isa, self.questions.len(), by_query, &room.right, put, columns.of_mut(out));
        for (query, place, label) in self.questions.answers(panel) {
            let row = &panel.rows[place * width..][..width];
            vector::add_scaled(isa, &mut out[query * width..][..width], -label, row);
        }
        if self.questions.smoothing > 0.0 {
            let mut total = vec![0.0; width];
            for row in panel.rows.chunks_exact(width) {
                vector::add_scaled(isa, &mut total, 1.0, row);
            }
            for (query, out) in out.chunks_exact_mut(width).enumerate() {
                vector::add_scaled(isa, out, -self.questions.spread(query), &total);
            }
        }
    }

    fn add_row_gradient(&self, values: &Values<'_>, room: &mut Room<T>, out: &mut [f32]) {
        let Values { panel, stored, factors, .. } = *values;
        let (queries, columns) = (&self.questions.queries, self.questions.columns.rows);
        let (isa, n_queries) = (self.questions.machine.instruction_set, self.questions.len());
        let (n, width) = (self.questions.rows(panel), columns.width);
        room.right.pack(isa, n_queries, columns.n, columns.of(queries), Some(factors));
        let by_row = T::by_row(self.questions, stored, n, &mut room.left);
        multiply(isa, n, by_row, &room.right, Put::Add, columns.of_mut(out));
        for (query, place, label) in self.questions.answers(panel) {
            let row = &queries[query * width..][..width];
            vector::add_scaled(isa, &mut out[place * width..][..width], -label, row);
        }
        if self.questions.smoothing > 0.0 {
            for out in out.chunks_exact_mut(width) {
                vector::add_scaled(isa, out, -1.0, &self.spread);
            }
        }
    }
}
