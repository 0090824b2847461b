//! Scores that are distances: their derivatives are made whole before they are used.

use gossamer_tensor::kernel::similarity::{Block, Packed};

use super::{Blocks, Questions, Values};
use crate::table::Panel;

/// A batch's queries.
pub struct Distances<'a> {
    questions: &'a Questions<'a>,
    packed: Packed,
}

impl<'a> Distances<'a> {
    /// For the queries of a batch.
    pub fn new(questions: &'a Questions<'a>) -> Self {
        let isa = questions.machine.instruction_set;
        let packed = questions.similarity.pack(isa, &questions.queries, questions.columns);
        Self { questions, packed }
    }

    /// The derivatives of the loss by the scores (rows × queries).
    fn fill(&self, values: &Values<'_>, coefficients: &mut Vec<f32>) {
        coefficients.clear();
        coefficients.extend_from_slice(bytemuck::cast_slice(values.stored));
        let n_queries = self.questions.len();
        let spread: Vec<f32> = (0..n_queries).map(|query| self.questions.spread(query)).collect();
        for row in coefficients.chunks_exact_mut(n_queries) {
            for ((value, factor), spread) in row.iter_mut().zip(values.factors).zip(&spread) {
                *value = *value * factor - spread;
            }
        }
        for (query, place, label) in self.questions.answers(values.panel) {
            coefficients[place * n_queries + query] -= label;
        }
    }

    /// Scores and derivatives stand entity by entity.
    fn block<'b>(&'b self, values: &Values<'b>, coefficients: &'b [f32]) -> Block<'b> {
        let Questions { queries, columns, .. } = self.questions;
        let (rows, scores, columns) = (values.panel.rows, values.scores, *columns);
        Block { queries, rows, columns, scores, coefficients, strides: [1, self.questions.len()] }
    }
}

impl Blocks for Distances<'_> {
    /// Derivatives.
    type Room = Vec<f32>;

    fn room(&self) -> Vec<f32> {
        Vec::new()
    }

    fn scores(&self, panel: Panel<'_>, _: &mut Vec<f32>, out: &mut [f32]) {
        let Questions { machine, similarity, columns, .. } = self.questions;
        let isa = machine.instruction_set;
        similarity.scores_by_row(isa, &self.packed, panel.rows, *columns, out);
    }

    fn words(&self, rows: usize) -> usize {
        rows
    }

    fn store(&self, values: &[f32], out: &mut [u32]) {
        out.copy_from_slice(bytemuck::cast_slice(values));
    }

    fn add_query_gradient(&self, values: &Values<'_>, room: &mut Vec<f32>, out: &mut [f32]) {
        self.fill(values, room);
        let isa = self.questions.machine.instruction_set;
        self.questions.similarity.add_query_gradient(isa, &self.block(values, room), out);
    }

    fn add_row_gradient(&self, values: &Values<'_>, room: &mut Vec<f32>, out: &mut [f32]) {
        self.fill(values, room);
        let isa = self.questions.machine.instruction_set;
        self.questions.similarity.add_row_gradient(isa, &self.block(values, room), out);
    }
}
