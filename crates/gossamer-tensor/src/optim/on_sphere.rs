//! Rows of length 1: an optimiser whose rows are brought back to the sphere after each change.

use super::{Optimiser, Step};

/// An optimiser on the unit sphere; a row of zeros stays.
pub struct OnSphere<'a>(pub &'a dyn Optimiser);

impl Optimiser for OnSphere<'_> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn summary(&self) -> &'static str {
        self.0.summary()
    }
    fn formula(&self) -> &'static str {
        self.0.formula()
    }
    fn paper(&self) -> &'static str {
        self.0.paper()
    }
    fn state_width(&self, width: usize) -> usize {
        self.0.state_width(width)
    }
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        self.0.update(step, row, state, gradient);
        to_unit(row);
    }
}

/// Gives a row length 1, unless it is zero.
pub fn to_unit(row: &mut [f32]) {
    let size = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    if size > 0.0 {
        row.iter_mut().for_each(|x| *x /= size);
    }
}
