//! Judging classes: the loss of those to learn from, accuracy and F1 of a split.

use gossamer_machine::Machine;
use gossamer_tensor::array::Array;

use super::problem::Problem;

/// The mean cross-entropy of some rows of scores, given with their classes, and its gradient by
/// all.
pub fn cross_entropy(machine: &Machine, scores: &Array, some: &[(u32, u32)]) -> (f64, Array) {
    let mut gradient = Array::zeroed(&machine.buffers, scores.rows, scores.width);
    let n = some.len() as f64;
    let of = |(row, class): &(u32, u32)| {
        let place = *row as usize * scores.width..(*row as usize + 1) * scores.width;
        of_row(scores.row(*row as usize), *class, n, &mut gradient.values[place])
    };
    (some.iter().map(of).sum(), gradient)
}

/// One row's cross-entropy and its gradient, both divided by n.
fn of_row(row: &[f32], class: u32, n: f64, out: &mut [f32]) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|score| f64::from(score - largest).exp()).sum();
    for (place, (out, score)) in out.iter_mut().zip(row).enumerate() {
        let part = f64::from(score - largest).exp() / sum;
        *out = ((part - f64::from(u8::from(place == class as usize))) / n) as f32;
    }
    (sum.ln() - f64::from(row[class as usize] - largest)) / n
}

impl Problem {
    /// The part of a split that is right; 0 of an empty one.
    pub fn accuracy(&self, classes: &[(u32, f32)], split: usize) -> f64 {
        let right = |id: &&u32| Some(classes[**id as usize].0) == self.class_of[**id as usize];
        let n = self.splits[split].len().max(1);
        self.splits[split].iter().filter(right).count() as f64 / n as f64
    }

    /// The mean over classes of 2·right/(said + true) among the judged.
    pub fn macro_f1(&self, classes: &[(u32, f32)]) -> f64 {
        let mut counts = vec![[0.0f64; 2]; self.classes.len()];
        for entity in &self.splits[2] {
            let (said, id) = (classes[*entity as usize].0, *entity as usize);
            let Some(truly) = self.class_of[id] else { continue };
            counts[said as usize][1] += 1.0;
            counts[truly as usize][1] += 1.0;
            counts[said as usize][0] += 2.0 * f64::from(u8::from(said == truly));
        }
        let f1 = |[right, all]: &[f64; 2]| right / all.max(1.0);
        counts.iter().map(f1).sum::<f64>() / counts.len().max(1) as f64
    }
}
