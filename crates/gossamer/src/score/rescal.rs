//! RESCAL: a relation is a matrix between head and tail.
//!
//! A relation's row of dim d holds d·d floats, row-major: the first index meets the head.
//! *Paper:* Nickel, Tresp, Kriegel, "A three-way model for collective learning on
//! multi-relational data" (2011).

use gossamer_graph::Side;
use gossamer_tensor::kernel::{Similarity, vector};

use super::{BILINEAR, Folded, Habits, ScoreFunction, Widths};

/// RESCAL.
#[derive(Debug)]
pub struct Rescal;

impl ScoreFunction for Rescal {
    fn name(&self) -> &'static str {
        "rescal"
    }
    fn summary(&self) -> &'static str {
        "a matrix per relation; strong where there are few relations, dim² floats for each"
    }
    fn formula(&self) -> &'static str {
        "Σᵢⱼ hᵢ·Rᵢⱼ·tⱼ"
    }
    fn paper(&self) -> &'static str {
        "Nickel, Tresp, Kriegel: A Three-Way Model for Collective Learning on Multi-Relational \
         Data (ICML 2011)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: dim, relation: dim * dim, query: dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    /// Rᵀh towards tails; Rt towards heads.
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let rows = condition.chunks_exact(known.len());
        if side == Side::Head {
            query.iter_mut().zip(rows).for_each(|(query, row)| *query = vector::dot(row, known));
            return;
        }
        query.fill(0.0);
        for (known, row) in known.iter().zip(rows) {
            query.iter_mut().zip(row).for_each(|(query, row)| *query += known * row);
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let Folded { known, condition, gradient } = rows;
        // The matrix's gradient is (what meets its rows) × (what meets its columns).
        let (left, right) = if side == Side::Tail { (known, gradient) } else { (gradient, known) };
        for (left, out) in left.iter().zip(condition_gradient.chunks_exact_mut(right.len())) {
            out.iter_mut().zip(right).for_each(|(out, right)| *out += left * right);
        }
        let matrix = condition.chunks_exact(known.len());
        if side == Side::Tail {
            for (out, row) in known_gradient.iter_mut().zip(matrix) {
                *out += vector::dot(row, gradient);
            }
            return;
        }
        for (gradient, row) in gradient.iter().zip(matrix) {
            known_gradient.iter_mut().zip(row).for_each(|(out, row)| *out += gradient * row);
        }
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}
