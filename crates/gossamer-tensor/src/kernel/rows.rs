//! Changes of one row by its gradient, for the optimisers.

/// Keeps the root of a fresh Adagrad accumulator above zero.
const ADAGRAD_EPSILON: f32 = 1e-10;
/// Adam's, as in its paper.
const ADAM_EPSILON: f32 = 1e-8;

/// What all coordinates of an Adam step share.
#[derive(Debug, Clone, Copy)]
pub struct AdamRates {
    /// Decay of the first moment.
    pub first: f32,
    /// Decay of the second moment.
    pub second: f32,
    /// Learning rate over the first moment's bias correction.
    pub size: f32,
    /// One over the second moment's bias correction.
    pub second_correction: f32,
}

for_each_instruction_set! {
    /// G += g²; x −= η·g / (√G + ε).
    pub fn adagrad_row(rate: f32, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        for ((x, sum), g) in row.iter_mut().zip(state.iter_mut()).zip(gradient) {
            *sum += g * g;
            *x -= rate * g / (sum.sqrt() + ADAGRAD_EPSILON);
        }
    }
}

for_each_instruction_set! {
    /// m = β₁m + (1 − β₁)g; v = β₂v + (1 − β₂)g²; x −= size·m / (√(v·correction) + ε).
    pub fn adam_row(
        rates: AdamRates,
        row: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        gradient: &[f32],
    ) {
        for (((x, m), v), g) in row.iter_mut().zip(m.iter_mut()).zip(v.iter_mut()).zip(gradient) {
            *m = rates.first * *m + (1.0 - rates.first) * g;
            *v = rates.second * *v + (1.0 - rates.second) * g * g;
            *x -= rates.size * *m / ((*v * rates.second_correction).sqrt() + ADAM_EPSILON);
        }
    }
}
