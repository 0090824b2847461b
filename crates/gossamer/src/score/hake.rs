//! HAKE: moduli say how high in a hierarchy an entity stands, phases where among its like.
//!
//! An entity's row of dim d holds d moduli, then d phases; a relation's d moduli, d mixtures b and d
//! phases, then the weights of both distances. What a relation stores of moduli and weights is what
//! they differ from 1 and from 4/d, where they begin. Phases are stored in units in which 8/d is half
//! a circle: as many steps of an optimiser as moduli take. Moduli of relations are |m|, and b stays
//! in −|m| … 1.
//! *Paper:* Zhang et al., "Learning hierarchy-aware knowledge graph embeddings" (2020).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{Coordinates, DISTANCE, Folded, Habits, ScoreFunction, Widths};

/// HAKE.
#[derive(Debug)]
pub struct Hake;

/// One coordinate of a relation, as the formula has it.
#[derive(Clone, Copy)]
struct Moduli {
    /// |m| + b.
    head: f32,
    /// 1 − b.
    tail: f32,
    /// ∂|m|/∂m.
    sign: f32,
    /// Of b's gradient: what goes to b, and what to |m|.
    shares: [f32; 2],
}

impl Moduli {
    fn new(stored: f32, mixture: f32) -> Self {
        let (size, sign) = ((1.0 + stored).abs(), 1f32.copysign(1.0 + stored));
        let (mixture, shares) = if mixture > 1.0 {
            (1.0, [0.0, 0.0])
        } else if mixture < -size {
            (-size, [0.0, -1.0])
        } else {
            (mixture, [1.0, 0.0])
        };
        Self { head: size + mixture, tail: 1.0 - mixture, sign, shares }
    }

    /// The factor of the known side and that of the one which is asked for.
    fn sides(self, side: Side) -> (f32, f32) {
        if side == Side::Tail { (self.head, self.tail) } else { (self.tail, self.head) }
    }
}

impl ScoreFunction for Hake {
    fn name(&self) -> &'static str {
        "hake"
    }
    fn summary(&self) -> &'static str {
        "levels and places within them; learns hierarchies"
    }
    fn formula(&self) -> &'static str {
        "−λ₁·√Σ (hₘ·(|m| + b) − tₘ·(1 − b))² − λ₂·Σ |sin((hₚ + p − tₚ)/2)|"
    }
    fn paper(&self) -> &'static str {
        "Zhang et al.: Learning Hierarchy-Aware Knowledge Graph Embeddings (AAAI 2020)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 2 * dim, relation: 3 * dim + 2, query: 3 * dim + 1 }
    }
    fn similarity(&self) -> Similarity {
        Similarity::NegativePolar
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let dim = known.len() / 2;
        let turn = if side == Side::Tail { 1.0 } else { -1.0 };
        let of_moduli = 1.0 + condition[3 * dim];
        for i in 0..dim {
            let moduli = Moduli::new(condition[i], condition[dim + i]);
            let (own, other) = moduli.sides(side);
            query[i] = of_moduli * known[i] * own;
            query[dim + i] = of_moduli * other;
            query[2 * dim + i] = known[dim + i] + turn * condition[2 * dim + i];
        }
        query[3 * dim] = 4.0 / dim as f32 + condition[3 * dim + 1];
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let Folded { known, condition, gradient } = rows;
        let dim = known.len() / 2;
        let turn = if side == Side::Tail { 1.0 } else { -1.0 };
        let of_moduli = 1.0 + condition[3 * dim];
        for i in 0..dim {
            let moduli = Moduli::new(condition[i], condition[dim + i]);
            let (own, other) = moduli.sides(side);
            let (moved, weight) = (gradient[i], gradient[dim + i]);
            known_gradient[i] += moved * of_moduli * own;
            condition_gradient[3 * dim] += moved * known[i] * own + weight * other;
            let (to_own, to_other) = (moved * of_moduli * known[i], weight * of_moduli);
            let (to_head, to_tail) =
                if side == Side::Tail { (to_own, to_other) } else { (to_other, to_own) };
            let to_mixture = to_head - to_tail;
            let [kept, passed] = moduli.shares;
            condition_gradient[i] += moduli.sign * (to_head + passed * to_mixture);
            condition_gradient[dim + i] += kept * to_mixture;
            known_gradient[dim + i] += gradient[2 * dim + i];
            condition_gradient[2 * dim + i] += turn * gradient[2 * dim + i];
        }
        condition_gradient[3 * dim + 1] += gradient[3 * dim];
    }
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Angles, Coordinates::Angles)
    }
    fn habits(&self) -> Habits {
        DISTANCE
    }
}
