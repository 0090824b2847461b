//! TransE: a relation is a translation from head to tail, measured in L1 or L2.
//!
//! *Paper:* Bordes et al., "Translating embeddings for modeling multi-relational data" (2013).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{DISTANCE, Folded, Habits, Initial, ScoreFunction, Widths};

/// TransE with the L1 distance.
#[derive(Debug)]
pub struct TransE;

/// TransE with the L2 distance.
#[derive(Debug)]
pub struct TransEL2;

/// L1: bounded gradients suit Adam, and a margin.
const L1: Habits = Habits { reciprocal: true, ..DISTANCE };

/// L2: softmax over the negatives and Adagrad reach .31 on FB15k-237 in five epochs.
const L2: Habits = Habits {
    loss: "softmax-cross-entropy",
    optimiser: "adagrad",
    learning_rate: 0.1,
    schedule: "constant",
    initial: Initial::Uniform(0.1),
    within_margin: false,
    ..L1
};

/// h + r towards tails, t − r towards heads.
fn translate(side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
    let sign = if side == Side::Tail { 1.0 } else { -1.0 };
    for ((query, known), condition) in query.iter_mut().zip(known).zip(condition) {
        *query = known + sign * condition;
    }
}

fn translate_backward(side: Side, rows: Folded<'_>, known: &mut [f32], condition: &mut [f32]) {
    let sign = if side == Side::Tail { 1.0 } else { -1.0 };
    for ((gradient, known), condition) in rows.gradient.iter().zip(known).zip(condition) {
        *known += gradient;
        *condition += sign * gradient;
    }
}

macro_rules! translation {
    (
        $type:ident, $name:literal, $summary:literal, $formula:literal,
        $similarity:expr, $habits:expr
    ) => {
        impl ScoreFunction for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn summary(&self) -> &'static str {
                $summary
            }
            fn formula(&self) -> &'static str {
                $formula
            }
            fn paper(&self) -> &'static str {
                "Bordes et al.: Translating Embeddings for Modeling Multi-relational Data \
                 (NeurIPS 2013)"
            }
            fn widths(&self, dim: usize) -> Widths {
                Widths { entity: dim, relation: dim, query: dim }
            }
            fn similarity(&self) -> Similarity {
                $similarity
            }
            fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
                translate(side, known, condition, query);
            }
            fn fold_backward(
                &self,
                side: Side,
                rows: Folded<'_>,
                known_gradient: &mut [f32],
                condition_gradient: &mut [f32],
            ) {
                translate_backward(side, rows, known_gradient, condition_gradient);
            }
            fn habits(&self) -> Habits {
                $habits
            }
        }
    };
}

translation!(
    TransE,
    "transe",
    "translations, L1; small and fast, good for hierarchies and 1-1 relations",
    "−‖h + r − t‖₁",
    Similarity::NegativeL1,
    L1
);
translation!(
    TransEL2,
    "transe-l2",
    "translations, L2",
    "−‖h + r − t‖₂",
    Similarity::NegativeL2,
    L2
);
