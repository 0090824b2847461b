//! QuatE: a relation rotates quaternions.
//!
//! A row of dim d holds d real parts, then d parts of i, of j and of k. A relation's quaternions are
//! taken at length 1, so only their direction means something and they are not regularised.
//! *Paper:* Zhang et al., "Quaternion knowledge graph embeddings" (2019).

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{BILINEAR, Coordinates, Folded, Habits, Initial, ScoreFunction, Widths};

/// QuatE.
#[derive(Debug)]
pub struct QuatE;

/// a + bi + cj + dk.
type Quaternion = [f32; 4];

/// The Hamilton product p ⊗ q.
fn product(p: Quaternion, q: Quaternion) -> Quaternion {
    [
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    ]
}

fn conjugate([a, b, c, d]: Quaternion) -> Quaternion {
    [a, -b, -c, -d]
}

fn at(row: &[f32], place: usize) -> Quaternion {
    let dim = row.len() / 4;
    [0, 1, 2, 3].map(|part| row[part * dim + place])
}

/// One over the length; 0 for nothing.
fn inverse_length(q: Quaternion) -> f32 {
    let square: f32 = q.iter().map(|part| part * part).sum();
    if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 }
}

/// The relation's quaternion as it turns the known entity's: at length 1, and back for heads.
fn turn(side: Side, condition: Quaternion) -> Quaternion {
    let unit = condition.map(|part| part * inverse_length(condition));
    if side == Side::Tail { unit } else { conjugate(unit) }
}

impl ScoreFunction for QuatE {
    fn name(&self) -> &'static str {
        "quate"
    }
    fn summary(&self) -> &'static str {
        "quaternion rotations; an entity takes four floats a coordinate"
    }
    fn formula(&self) -> &'static str {
        "Σ (h ⊗ r/|r|)·t"
    }
    fn paper(&self) -> &'static str {
        "Zhang, Tay, Yao, Liu: Quaternion Knowledge Graph Embeddings (NeurIPS 2019)"
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: 4 * dim, relation: 4 * dim, query: 4 * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    /// h ⊗ r̂ towards tails; t ⊗ conj(r̂) towards heads.
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let dim = known.len() / 4;
        for place in 0..dim {
            let folded = product(at(known, place), turn(side, at(condition, place)));
            folded.iter().enumerate().for_each(|(part, x)| query[part * dim + place] = *x);
        }
    }
    /// With q = p ⊗ u: ∂p = g ⊗ conj(u), ∂u = conj(p) ⊗ g; a length of 1 lets only what stands
    /// upright on u through.
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len() / 4;
        for place in 0..dim {
            let (known, gradient) = (at(rows.known, place), at(rows.gradient, place));
            let condition = at(rows.condition, place);
            let turn = turn(side, condition);
            let of_known = product(gradient, conjugate(turn));
            let of_turn = product(conjugate(known), gradient);
            let along: f32 = of_turn.iter().zip(turn).map(|(one, other)| one * other).sum();
            let inverse = inverse_length(condition);
            let mut upright = [0, 1, 2, 3].map(|i| inverse * (of_turn[i] - along * turn[i]));
            if side == Side::Head {
                upright = conjugate(upright);
            }
            for part in 0..4 {
                known_gradient[part * dim + place] += of_known[part];
                condition_gradient[part * dim + place] += upright[part];
            }
        }
    }
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Real, Coordinates::Angles)
    }
    fn linear_in_relation(&self) -> bool {
        false
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
    /// A direction needs no small numbers.
    fn initial_relation(&self) -> Option<Initial> {
        Some(Initial::Normal(1.0))
    }
}
