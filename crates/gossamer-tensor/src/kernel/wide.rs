//! Similarities whose queries are wider than rows: pairs put together from several kinds.
//!
//! A query brings a weight for each coordinate of the row that it meets, [a | w | …], so nothing of
//! it can be packed for tiles: all is taken pair by pair. A score's parts are computed again for
//! gradients where they need them: only the score itself is kept.

use gossamer_machine::InstructionSet;

use super::pairs::{self, Pairs};

/// Rows [e | bias], queries [a | w | bias]: −Σ (a − w·e)² + both biases.
pub mod biased_square {
    use super::*;

    /// The score of a query with each row.
    pub fn scores(isa: InstructionSet, query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        let n = query.len() / 2;
        pairs::scaled_square_scores(isa, &query[..2 * n], (rows, 0), out);
        out.iter_mut().zip(rows).for_each(|(out, row)| *out += query[2 * n] + row[n]);
    }

    /// target += ∂loss/∂query; left is the query.
    pub fn add_query_gradient(isa: InstructionSet, pairs: &Pairs<'_>, target: &mut [f32]) {
        let n = pairs.left.len() / 2;
        let coordinates = Pairs { left: &pairs.left[..2 * n], ..*pairs };
        pairs::add_scaled_square(isa, &coordinates, &mut target[..2 * n]);
        target[2 * n] += super::coefficients(pairs).sum::<f32>();
    }

    /// target += ∂loss/∂row; left is the row.
    pub fn add_row_gradient(isa: InstructionSet, pairs: &Pairs<'_>, target: &mut [f32]) {
        let n = pairs.left.len() - 1;
        let coordinates = Pairs { left: &pairs.left[..n], ..*pairs };
        pairs::add_scaling_square(isa, &coordinates, &mut target[..n]);
        target[n] += super::coefficients(pairs).sum::<f32>();
    }
}

/// Rows [moduli | phases], queries [a | w | phases | λ]:
/// −√Σ (a − w·modulus)² − λ·Σ |sin(κ·(difference of phases)/2)|.
pub mod polar {
    use super::*;

    /// The score of a query with each row.
    pub fn scores(isa: InstructionSet, query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
        let n = query.len() / 3;
        let mut sines = vec![0.0; rows.len()];
        pairs::sine_scores(isa, &query[2 * n..3 * n], (rows, n), &mut sines);
        pairs::scaled_l2_scores(isa, &query[..2 * n], (rows, 0), out);
        out.iter_mut().zip(&sines).for_each(|(out, sine)| *out += query[3 * n] * sine);
    }

    /// target += ∂loss/∂query; left is the query.
    pub fn add_query_gradient(isa: InstructionSet, pairs: &Pairs<'_>, target: &mut [f32]) {
        let (n, rows) = (pairs.left.len() / 3, pairs.rights);
        let (moduli, phases) = (&pairs.left[..2 * n], &pairs.left[2 * n..3 * n]);
        let weight = pairs.left[3 * n];
        let (mut coefficients, mut scores) = (super::gathered(pairs), vec![0.0; rows.len()]);
        pairs::scaled_l2_scores(isa, moduli, (rows, 0), &mut scores);
        let found = Pairs { coefficients: &coefficients, scores: &scores, stride: 1, ..*pairs };
        pairs::add_scaled_l2(isa, &Pairs { left: moduli, ..found }, &mut target[..2 * n]);
        pairs::sine_scores(isa, phases, (rows, n), &mut scores);
        target[3 * n] += coefficients.iter().zip(&scores).map(|(c, sine)| c * sine).sum::<f32>();
        coefficients.iter_mut().for_each(|coefficient| *coefficient *= weight);
        let found = Pairs { coefficients: &coefficients, scores: &[], stride: 1, ..*pairs };
        let found = Pairs { left: phases, from: n, ..found };
        pairs::add_sine_gradient(isa, &found, &mut target[2 * n..3 * n]);
    }

    /// target += ∂loss/∂row; left is the row.
    pub fn add_row_gradient(isa: InstructionSet, pairs: &Pairs<'_>, target: &mut [f32]) {
        let (n, queries) = (pairs.left.len() / 2, pairs.rights);
        let (moduli, phases) = pairs.left.split_at(n);
        let (mut coefficients, mut scores) = (super::gathered(pairs), vec![0.0; queries.len()]);
        pairs::scaling_l2_scores(isa, moduli, (queries, 0), &mut scores);
        let found = Pairs { coefficients: &coefficients, scores: &scores, stride: 1, ..*pairs };
        pairs::add_scaling_l2(isa, &Pairs { left: moduli, ..found }, &mut target[..n]);
        let weights = queries.iter().map(|query| query[3 * n]);
        coefficients.iter_mut().zip(weights).for_each(|(value, weight)| *value *= weight);
        let found = Pairs { coefficients: &coefficients, scores: &[], stride: 1, ..*pairs };
        let found = Pairs { left: phases, from: 2 * n, ..found };
        pairs::add_sine_gradient(isa, &found, &mut target[n..]);
    }
}

/// The pairs' coefficients.
fn coefficients<'a>(pairs: &Pairs<'a>) -> impl Iterator<Item = f32> + use<'a> {
    let (coefficients, stride) = (pairs.coefficients, pairs.stride);
    (0..pairs.rights.len()).map(move |j| coefficients[j * stride])
}

/// The pairs' coefficients, one after the other.
fn gathered(pairs: &Pairs<'_>) -> Vec<f32> {
    coefficients(pairs).collect()
}
