//! SimplE: CP in both directions at once, so that the two parts of a row learn from each other.
//!
//! A row of dim d holds d floats for the head's role, then d for the tail's; a relation's holds d
//! forward, then d backward.
//! *Paper:* Kazemi, Poole, "SimplE embedding for link prediction in knowledge graphs" (2018).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{BILINEAR, Folded, Habits, ScoreFunction, Widths};

/// SimplE.
#[derive(Debug)]
pub struct SimplE;

/// Where the relation's part begins that meets the known entity as head, and as tail.
fn directions(side: Side, dim: usize) -> (usize, usize) {
    if side == Side::Tail { (0, dim) } else { (dim, 0) }
}

impl ScoreFunction for SimplE {
    fn name(&self) -> &'static str {
        "simple"
    }
    fn summary(&self) -> &'static str {
        "CP in both directions at once"
    }
    fn formula(&self) -> &'static str {
        "½·(Σ h¹·r·t² + Σ t¹·r⁻¹·h²), a row being [as head | as tail]"
    }
    fn paper(&self) -> &'static str {
        "Kazemi, Poole: SimplE Embedding for Link Prediction in Knowledge Graphs (NeurIPS 2018)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 2 * dim, relation: 2 * dim, query: 2 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    /// The known entity as head meets the candidate as tail through one half of the relation, and
    /// the other way round through the other half.
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let dim = known.len() / 2;
        let (as_head, as_tail) = directions(side, dim);
        for i in 0..dim {
            query[i] = 0.5 * condition[as_tail + i] * known[dim + i];
            query[dim + i] = 0.5 * condition[as_head + i] * known[i];
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len() / 2;
        let (as_head, as_tail) = directions(side, dim);
        for i in 0..dim {
            let (to_head, to_tail) = (0.5 * rows.gradient[i], 0.5 * rows.gradient[dim + i]);
            known_gradient[dim + i] += to_head * rows.condition[as_tail + i];
            condition_gradient[as_tail + i] += to_head * rows.known[dim + i];
            known_gradient[i] += to_tail * rows.condition[as_head + i];
            condition_gradient[as_head + i] += to_tail * rows.known[i];
        }
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}
