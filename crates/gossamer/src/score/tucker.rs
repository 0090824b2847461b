//! TuckER: relations share a core of three ways, and each is a mixture of its slices.
//!
//! A relation's row of dim d weighs d matrices of d·d floats, the core's rows; the condition is
//! their sum, and stands between head and tail as RESCAL's matrix does.
//! *Paper:* Balažević, Allen, Hospedales, "TuckER: tensor factorization for knowledge graph
//! completion" (2019).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::rescal::Rescal;
use super::{BILINEAR, Folded, Habits, Initial, ScoreFunction, Widths};

/// TuckER.
#[derive(Debug)]
pub struct TuckEr;

impl ScoreFunction for TuckEr {
    fn name(&self) -> &'static str {
        "tucker"
    }
    fn summary(&self) -> &'static str {
        "matrices that relations share; dim³ floats once, dim for each relation"
    }
    fn formula(&self) -> &'static str {
        "Σᵢₖⱼ Wₖᵢⱼ·hᵢ·rₖ·tⱼ"
    }
    fn paper(&self) -> &'static str {
        "Balažević, Allen, Hospedales: TuckER: Tensor Factorization for Knowledge Graph Completion \
         (EMNLP 2019)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: dim, relation: dim, query: dim }
    }
    fn condition_width(&self, dim: usize) -> usize {
        dim * dim
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        Rescal.fold(side, known, condition, query);
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        Rescal.fold_backward(side, rows, known_gradient, condition_gradient);
    }
    fn linear_in_relation(&self) -> bool {
        // It is, but the row that weighs is not the condition.
        false
    }
    fn initial_core(&self) -> Initial {
        Initial::Uniform(0.1)
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}
