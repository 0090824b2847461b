//! The penalty on the rows that a batch used.

use gossamer_machine::InstructionSet;
use gossamer_machine::parallel::Workers;

use super::step::Method;
use crate::regulariser::Regulariser;
use crate::score::Coordinates;
use crate::table::{Part, Table};

/// A regulariser on the rows that a batch used.
pub struct Penalty<'a> {
    regulariser: &'a dyn Regulariser,
    isa: InstructionSet,
    factor: f32,
    coordinates: Coordinates,
    uses: &'a [(u32, f32)],
}

impl<'a> Penalty<'a> {
    /// What a method charges for some rows: ids with how much each is used.
    pub fn new(
        method: &Method<'a>,
        total: f32,
        coordinates: Coordinates,
        uses: &'a [(u32, f32)],
    ) -> Self {
        let used = method.regularisation > 0.0 && coordinates != Coordinates::Angles;
        let uses = if used { uses } else { &[] };
        let factor = method.regularisation / total;
        let isa = method.shape.instruction_set;
        Self { regulariser: method.regulariser, isa, factor, coordinates, uses }
    }

    /// Their sum, over the batch's total.
    pub fn value(&self, workers: &Workers, table: &Table) -> f64 {
        /// Rows of a task: enough to be worth a hand-over.
        const ROWS: usize = 256;
        let parts: Vec<&[(u32, f32)]> = self.uses.chunks(ROWS).collect();
        let sums = workers.map(parts.len(), |part| {
            let (mut sum, mut room) = (0.0, Vec::new());
            for (id, mass) in parts[part] {
                let row = table.row(*id, &mut room);
                let penalty = self.regulariser.penalty(self.isa, self.coordinates, row);
                sum += f64::from(self.factor * mass * penalty);
            }
            sum
        });
        sums.into_iter().sum()
    }

    /// Adds what it says of a part of a table.
    pub fn add_gradient(&self, part: &Part<'_>, out: &mut [f32]) {
        let Some((first, last)) = part.ids.first().zip(part.ids.last()) else { return };
        let width = out.len() / part.ids.len();
        let start = self.uses.partition_point(|(id, _)| id < first);
        let end = self.uses.partition_point(|(id, _)| id <= last);
        for (id, mass) in &self.uses[start..end] {
            if let Ok(place) = part.ids.binary_search(id) {
                let (row, out) = (part.row(place), &mut out[place * width..][..width]);
                let factor = self.factor * mass;
                self.regulariser.add_gradient(self.isa, self.coordinates, row, factor, out);
            }
        }
    }
}
