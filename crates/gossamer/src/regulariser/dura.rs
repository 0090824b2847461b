//! DURA: squares of the query and of the answer, so that what is pulled together stays small.
//!
//! With both sides of every triple asked, this is the published sum over ‖h‖² + ‖t‖² and the two
//! folded vectors, for any score that is a product of query and row.
//! *Paper:* Zhang, Cai, Wang, "Duality-induced regularizer for tensor factorization based knowledge
//! graph completion" (2020).

use gossamer_machine::InstructionSet;

use super::{Looks, Regulariser};
use crate::score::Coordinates;

/// DURA.
#[derive(Debug)]
pub struct Dura;

impl Regulariser for Dura {
    fn name(&self) -> &'static str {
        "dura"
    }
    fn summary(&self) -> &'static str {
        "squares of query and answer; for bilinear score functions, above all rescal"
    }
    fn formula(&self) -> &'static str {
        "‖q‖² + ‖a‖² for each query q and answer row a"
    }
    fn paper(&self) -> &'static str {
        "Zhang, Cai, Wang: Duality-Induced Regularizer for Tensor Factorization Based Knowledge \
         Graph Completion (NeurIPS 2020)"
    }
    fn looks(&self) -> Looks {
        Looks::AtQueries
    }
    fn penalty(&self, isa: InstructionSet, coordinates: Coordinates, row: &[f32]) -> f32 {
        super::l2::L2.penalty(isa, coordinates, row)
    }
    fn add_gradient(
        &self,
        isa: InstructionSet,
        coordinates: Coordinates,
        row: &[f32],
        factor: f32,
        out: &mut [f32],
    ) {
        super::l2::L2.add_gradient(isa, coordinates, row, factor, out);
    }
}
