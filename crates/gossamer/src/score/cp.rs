//! CP: canonical tensor decomposition; an entity has one row part as head and another as tail.
//!
//! A row of dim d holds d floats for the head's role, then d for the tail's.
//! *Paper:* Hitchcock (1927); for knowledge graphs with reciprocal relations Lacroix et al. (2018).

use std::ops::Range;

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{BILINEAR, Folded, Habits, ScoreFunction, Widths};

/// CP.
#[derive(Debug)]
pub struct Cp;

/// Where the known entity's part for its role starts, and where the candidate's does.
fn roles(side: Side, dim: usize) -> (usize, usize) {
    if side == Side::Tail { (0, dim) } else { (dim, 0) }
}

impl ScoreFunction for Cp {
    fn name(&self) -> &'static str {
        "cp"
    }
    fn summary(&self) -> &'static str {
        "a part of the row as head, another as tail; needs reciprocal relations"
    }
    fn formula(&self) -> &'static str {
        "Σ h¹·r·t², a row being [as head | as tail]"
    }
    fn paper(&self) -> &'static str {
        "Lacroix, Usunier, Obozinski: Canonical Tensor Decomposition for Knowledge Base \
         Completion (ICML 2018)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 2 * dim, relation: dim, query: 2 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    fn answering(&self, dim: usize) -> Range<usize> {
        dim..2 * dim
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let (own, other) = roles(side, condition.len());
        query[own..own + condition.len()].fill(0.0);
        for (i, condition) in condition.iter().enumerate() {
            query[other + i] = known[own + i] * condition;
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let (own, other) = roles(side, rows.condition.len());
        for (i, condition) in rows.condition.iter().enumerate() {
            known_gradient[own + i] += rows.gradient[other + i] * condition;
            condition_gradient[i] += rows.gradient[other + i] * rows.known[own + i];
        }
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}
