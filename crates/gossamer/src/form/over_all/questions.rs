//! The questions of a batch: what is compared with every entity, and what a label means.

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::similarity::{Columns, Similarity};

use super::Drawn;
use crate::form::batch::Batch;
use crate::form::step::{Learner, Method};
use crate::table::Panel;

/// The queries of a batch, and what a label means.
pub struct Questions<'a> {
    pub machine: &'a Machine,
    /// With answers as places, where entities are drawn.
    pub batch: &'a Batch,
    /// What stands for all entities; none: these themselves.
    pub drawn: Option<&'a Drawn>,
    pub similarity: Similarity,
    pub columns: Columns,
    pub queries: Buffer,
    /// Part of each label that is spread over all entities.
    pub smoothing: f32,
    pub n_entities: f32,
}

impl<'a> Questions<'a> {
    pub fn new(
        learner: &Learner,
        machine: &'a Machine,
        batch: &'a Batch,
        drawn: Option<&'a Drawn>,
        method: &Method<'_>,
    ) -> Self {
        let (model, smoothing) = (&learner.model, method.label_smoothing);
        let columns = model.columns();
        let queries = model.folded(machine, &batch.asked, method.dropped(learner.steps, machine));
        let similarity = model.function.similarity();
        let n_entities = model.entities.n_rows() as f32;
        let batch = drawn.map_or(batch, |drawn| &drawn.batch);
        Self { machine, batch, drawn, similarity, columns, queries, smoothing, n_entities }
    }

    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Rows of a panel.
    pub fn rows(&self, panel: Panel<'_>) -> usize {
        panel.rows.len() / self.columns.rows.width
    }

    /// What every entity's label gives to the derivative by its score.
    pub fn spread(&self, query: usize) -> f32 {
        self.batch.masses[query] / self.batch.total * self.smoothing / self.n_entities
    }

    /// The answers in a panel: query, place in the panel, and what the label gives to the
    /// derivative by the score.
    pub fn answers(&self, panel: Panel<'_>) -> impl Iterator<Item = (usize, usize, f32)> {
        let (n, scale) = (self.rows(panel), (1.0 - self.smoothing) / self.batch.total);
        (0..self.len()).flat_map(move |query| {
            let answers = self.batch.answers_in(query, panel.first, n);
            answers.map(move |(answer, weight)| {
                (query, (answer - panel.first) as usize, scale * weight)
            })
        })
    }
}
