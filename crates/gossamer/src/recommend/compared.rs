//! What a pair says of rows: its score, its loss, and their slopes.
//!
//! *Formula:* a pair's loss is −log of the softmax of its item's score among those of M negatives, with M = 1 that
//! is BPR, or logistic; of hard negatives the one with the highest score alone counts. A score is the sum of the
//! products of rows that [`Side`]s name.

use gossamer_machine::Machine;
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::vector;

use super::body::{At, Loss, Made, Pair, Place, Side};

/// Pairs of a task.
pub const TASK: usize = 64;

/// Rows that are compared.
pub struct Compared<'v, 'a> {
    /// Whose products are a pair's score.
    pub sides: Vec<Side>,
    /// The rows.
    pub made: &'v [Made<'a>],
    /// The loss.
    pub loss: Loss,
}

impl Compared<'_, '_> {
    /// The row that a place means.
    fn row(&self, (array, place): At, number: u32, next: usize) -> (usize, usize) {
        let row = match place {
            Place::From(first) => first + number as usize,
            Place::One(row) => row,
            Place::Next => next,
        };
        (array, self.made[array].find(row))
    }

    fn values(&self, (array, row): (usize, usize)) -> &[f32] {
        self.made[array].rows.value().row(row)
    }

    /// The loss of a pair, and its slope by the score of each of its items; `next` is the first of
    /// those rows that were made for it.
    fn slopes(&self, pair: &Pair, next: usize, hardest: bool) -> (f32, Vec<f32>) {
        let score = |(place, item): (usize, &u32)| -> f32 {
            let of = |side: &Side| {
                let user = self.values(self.row(side.user, pair.user, next + place));
                vector::dot(user, self.values(self.row(side.item, *item, next + place)))
            };
            self.sides.iter().map(of).sum()
        };
        let mut scores: Vec<f32> = pair.items.iter().enumerate().map(score).collect();
        if hardest {
            let of = |one: &usize, other: &usize| scores[*one].total_cmp(&scores[*other]);
            let best = (1..scores.len()).max_by(of);
            let others = (1..scores.len()).filter(|place| Some(*place) != best);
            others.for_each(|place| scores[place] = f32::NEG_INFINITY);
        }
        match self.loss {
            Loss::Softmax => softmax(&scores),
            Loss::Logistic => logistic(&scores),
        }
    }

    /// The sum of the losses of pairs, and the slopes of their mean by every array.
    pub fn gradients(&self, pairs: &[Pair], hardest: bool, machine: &Machine) -> (f64, Vec<Array>) {
        let each = pairs.first().map_or(0, |pair| pair.items.len());
        let judged = machine.workers.map(pairs.len().div_ceil(TASK), |task| {
            let own = task * TASK..pairs.len().min((task + 1) * TASK);
            let of = |place: usize| self.slopes(&pairs[place], place * each, hardest);
            own.map(of).collect::<Vec<_>>()
        });
        let judged: Vec<(f32, Vec<f32>)> = judged.into_iter().flatten().collect();
        let loss = judged.iter().map(|(loss, _)| f64::from(*loss)).sum();
        let gradients = machine
            .workers
            .map(self.made.len(), |array| self.gradient(array, pairs, (&judged, each), machine));
        (loss, gradients)
    }

    /// The slope of the mean loss by an array, given those of every pair by its scores.
    fn gradient(
        &self,
        array: usize,
        pairs: &[Pair],
        (judged, each): (&[(f32, Vec<f32>)], usize),
        machine: &Machine,
    ) -> Array {
        let (rows, scale) = (self.made[array].rows.value(), 1.0 / pairs.len() as f32);
        let mut gradient = Array::zeroed(&machine.buffers, rows.rows, rows.width);
        let sides = self.sides.iter().filter(|side| [side.user.0, side.item.0].contains(&array));
        let sides: Vec<&Side> = sides.collect();
        for (at, (pair, (_, slopes))) in pairs.iter().zip(judged).enumerate() {
            let items = pair.items.iter().zip(slopes).enumerate();
            for (place, (item, slope)) in items.filter(|(_, (_, slope))| **slope != 0.0) {
                for side in &sides {
                    let user = self.row(side.user, pair.user, at * each + place);
                    let item = self.row(side.item, *item, at * each + place);
                    for (one, other) in [(user, item), (item, user)] {
                        if one.0 == array {
                            let other = self.values(other);
                            let out = &mut gradient.values[one.1 * other.len()..][..other.len()];
                            vector::add_scaled(machine.instruction_set, out, scale * slope, other);
                        }
                    }
                }
            }
        }
        gradient
    }
}

/// −log of the first's part, and its slope by each score.
fn softmax(scores: &[f32]) -> (f32, Vec<f32>) {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut parts: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.iter_mut().for_each(|part| *part /= sum);
    let loss = sum.ln() + most - scores[0];
    parts[0] -= 1.0;
    (loss, parts)
}

/// −log σ(first) − Σ log σ(−other), and its slope by each score.
fn logistic(scores: &[f32]) -> (f32, Vec<f32>) {
    let mut loss = 0.0;
    let slope = |(place, score): (usize, &f32)| {
        let signed = if place == 0 { *score } else { -score };
        loss += (-signed.abs()).exp().ln_1p() + (-signed).max(0.0);
        let slope = -1.0 / (1.0 + signed.exp());
        if place == 0 { slope } else { -slope }
    };
    let slopes = scores.iter().enumerate().map(slope).collect();
    (loss, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_follow_their_slopes() {
        for loss in [softmax, logistic] {
            let scores = [0.3, -0.8, 1.4];
            let (_, slopes) = loss(&scores);
            for (place, slope) in slopes.into_iter().enumerate() {
                let moved = |more: f32| {
                    let mut scores = scores;
                    scores[place] += more;
                    loss(&scores).0
                };
                let wanted = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((wanted - slope).abs() < 1e-3, "{place}: {wanted} {slope}");
            }
        }
        let (loss, slopes) = softmax(&[1.0, 0.5, f32::NEG_INFINITY]);
        assert!((loss - (1.0 + (-0.5f32).exp()).ln()).abs() < 1e-6 && slopes[2] == 0.0);
    }
}
