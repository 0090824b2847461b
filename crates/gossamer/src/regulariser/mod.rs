//! Regularisers: what large rows cost.
//!
//! The penalty of a step is Σ over its (query, answer) pairs of weight · λ · R(row) for the known
//! entity, the relation row used and the answer, over Σ weight: rows used often pay often.
//!
//! *Invariant:* the gradient depends on the row's present value and on how often it was used, so it
//! is added where the row is changed and is never stored.

use gossamer_machine::InstructionSet;

use crate::score::Coordinates;

gossamer_machine::registry!("regulariser", Regulariser:
    n3::N3,
    l2::L2,
    dura::Dura,
);

/// What a regulariser looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// The rows of the known entity, the relation and the answer.
    AtRows,
    /// The query, which is the known entity's row folded with the relation's, and the answer's row.
    AtQueries,
}

/// A penalty on rows.
pub trait Regulariser: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula of R(row).
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// What it looks at.
    fn looks(&self) -> Looks {
        Looks::AtRows
    }
    /// R(row).
    fn penalty(&self, isa: InstructionSet, coordinates: Coordinates, row: &[f32]) -> f32;
    /// Adds factor · ∂R/∂row.
    fn add_gradient(
        &self,
        isa: InstructionSet,
        coordinates: Coordinates,
        row: &[f32],
        factor: f32,
        out: &mut [f32],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_finite_differences_and_angles_are_free() {
        let row = [0.5f32, -0.3, 0.8, 0.1, -0.9, 0.4];
        for (regulariser, isa) in
            ALL.iter().flat_map(|one| InstructionSet::all().map(move |isa| (one, isa)))
        {
            for coordinates in [Coordinates::Real, Coordinates::Complex, Coordinates::Angles] {
                let mut out = [0.0; 6];
                regulariser.add_gradient(isa, coordinates, &row, 2.0, &mut out);
                for i in 0..6 {
                    let (mut up, mut down) = (row, row);
                    up[i] += 1e-2;
                    down[i] -= 1e-2;
                    let slope = 2.0
                        * (regulariser.penalty(isa, coordinates, &up)
                            - regulariser.penalty(isa, coordinates, &down))
                        / 2e-2;
                    assert!(
                        (slope - out[i]).abs() < 2e-3,
                        "{} {coordinates:?} {i}",
                        regulariser.name()
                    );
                }
                assert_eq!(regulariser.penalty(isa, coordinates, &[0.0; 6]), 0.0);
            }
            assert_eq!(regulariser.penalty(isa, Coordinates::Angles, &row), 0.0);
        }
    }
}
