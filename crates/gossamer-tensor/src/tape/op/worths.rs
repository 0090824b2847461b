//! What labels are worth to someone: softmax of ⟨u, r⟩/d over a few of them, each product made once.
//!
//! e^(⟨u, r⟩/d) is kept as it is: far from where floats end a softmax needs no largest to be taken off.
//! Beyond, it is taken off.

use crate::kernel::softmax::shares;
use crate::kernel::vector;

/// Where e^x is neither too large to be added up nor too small.
const TAME: f32 = 60.0;

/// What is known of the labels of someone.
#[derive(Debug)]
pub struct Worths {
    /// Whose.
    by: Option<u32>,
    /// ⟨u, r⟩/d, and its exponential, which is no number until both are known, and infinite where
    /// it is not to be added up: so a row goes by its own labels, whatever was asked before.
    worths: Vec<f32>,
    powers: Vec<f32>,
}

impl Worths {
    /// Of so many labels, nobody's yet.
    pub fn new(n_labels: usize) -> Self {
        let unknown = vec![f32::NAN; n_labels];
        Self { by: None, worths: unknown.clone(), powers: unknown }
    }

    /// From here on it is someone's.
    pub fn of(&mut self, by: u32) -> &mut Self {
        if self.by != Some(by) {
            self.powers.fill(f32::NAN);
            self.by = Some(by);
        }
        self
    }

    /// Fills `out` with the softmax over labels, times a factor; `row` is of the one it is of,
    /// `of_label` a label's.
    #[inline]
    pub fn shares<'r>(
        &mut self,
        row: &[f32],
        of_label: impl Fn(usize) -> &'r [f32],
        labels: &[u32],
        factor: f32,
        out: &mut [f32],
    ) {
        let mut sum = 0.0;
        for (out, label) in out.iter_mut().zip(labels) {
            let mut power = self.powers[*label as usize];
            if power.is_nan() {
                power = self.find(*label as usize, row, of_label(*label as usize));
            }
            sum += power;
            *out = power;
        }
        if sum.is_finite() {
            let scale = factor / sum;
            return out.iter_mut().for_each(|x| *x *= scale);
        }
        let worths = labels.iter().map(|label| self.worths[*label as usize]);
        out.iter_mut().zip(worths).for_each(|(out, worth)| *out = worth);
        shares(out);
        out.iter_mut().for_each(|x| *x *= factor);
    }

    /// Makes a label known; returns its exponential.
    #[cold]
    fn find(&mut self, label: usize, row: &[f32], of_label: &[f32]) -> f32 {
        let worth = vector::dot(row, of_label) / row.len() as f32;
        self.worths[label] = worth;
        self.powers[label] = if worth.abs() < TAME { worth.exp() } else { f32::INFINITY };
        self.powers[label]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_whom_it_is_of_however_large_products_are() {
        let labels = [[1.0f32, -2.0], [0.5, 0.25], [-3.0, 1.0]];
        let mut worths = Worths::new(3);
        for (by, size) in [(4, 1.0), (7, 50.0), (4, 1.0), (5, 1e4)] {
            let row = [size, 0.5 * size];
            let asked = [2, 0, 0, 1];
            let mut found = [0.0; 4];
            worths.of(by).shares(&row, |label| &labels[label], &asked, 0.5, &mut found);
            let mut wanted =
                asked.map(|label: u32| vector::dot(&row, &labels[label as usize]) / 2.0);
            shares(&mut wanted);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - 0.5 * wanted).abs() < 1e-6, "{by}: {found} {wanted} / 2");
            }
        }
    }

    #[test]
    fn what_was_asked_before_changes_no_bit() {
        let labels = [[1.0f32, -2.0], [0.5, 0.25], [90.0, 90.0]];
        let row = [3.0, 0.7];
        let of = |before: &[u32]| {
            let (mut worths, mut found) = (Worths::new(3), [0.0; 2]);
            let of_label = |label: usize| &labels[label][..];
            worths.of(1).shares(&row, of_label, before, 1.0, &mut [0.0; 2]);
            worths.of(1).shares(&row, of_label, &[0, 1], 1.0, &mut found);
            found.map(f32::to_bits)
        };
        // The last label's product is beyond what is added up as it is.
        assert_eq!(of(&[2, 0]), of(&[]));
    }
}
