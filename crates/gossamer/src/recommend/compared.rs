//! What a pair says of rows: its score, its loss, and their slopes.
//!
//! *Formula:* a pair's loss is −log of the softmax of its item's score among those of M negatives, with M = 1 that
//! is BPR, or logistic; of hard negatives the one with the highest score alone counts. A score is the sum of the
//! products of rows that [`Side`]s name.

use gossamer_machine::{InstructionSet, Machine};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::gather;
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::op::neighbours::add_sums;

use super::batch::{Batch, Pair};
use super::body::{At, Loss, Made, Place, Side};

/// Pairs of a task.
pub const TASK: usize = 64;

/// What a pair is judged with.
#[derive(Default)]
struct Work {
    /// Where its items' rows stand.
    items: Vec<u32>,
    /// Products of one side.
    more: Vec<f32>,
    scores: Vec<f32>,
}

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

    /// The score of each item of a pair; `next` is the first of those rows that were made for it.
    fn scores(&self, pair: Pair<'_>, next: usize, isa: InstructionSet, work: &mut Work) {
        let Work { items, more, scores } = work;
        scores.clear();
        scores.resize(pair.items.len(), 0.0);
        more.resize(pair.items.len(), 0.0);
        for side in &self.sides {
            let places = (next..).zip(pair.items);
            items.clear();
            items.extend(places.map(|(next, item)| self.row(side.item, *item, next).1 as u32));
            let (array, user) = self.row(side.user, pair.user, next);
            let users = self.made[array].rows.value();
            let of_items = &self.made[side.item.0].rows.value().values;
            match side.user.1 {
                // A row for each item.
                Place::Next => {
                    for (place, (more, item)) in more.iter_mut().zip(items.iter()).enumerate() {
                        let (more, item) = (std::slice::from_mut(more), std::slice::from_ref(item));
                        gather::products(isa, more, users.row(user + place), of_items, item);
                    }
                }
                _ => gather::products(isa, more, users.row(user), of_items, items),
            }
            scores.iter_mut().zip(more.iter()).for_each(|(score, more)| *score += more);
        }
    }

    /// The sum of the losses of pairs, and the slopes of their mean by every array.
    pub fn gradients(&self, pairs: &Batch, hardest: bool, machine: &Machine) -> (f64, Vec<Array>) {
        let each = pairs.each();
        let (mut losses, mut slopes) = (vec![0.0; pairs.len()], vec![0.0; pairs.items().len()]);
        let tasks = losses.chunks_mut(TASK).zip(slopes.chunks_mut(TASK * each)).enumerate();
        machine.workers.each_with(
            tasks.collect(),
            Work::default,
            |work, (task, (losses, slopes))| {
                let of_pairs = losses.iter_mut().zip(slopes.chunks_exact_mut(each));
                for (place, (loss, slopes)) in (task * TASK..).zip(of_pairs) {
                    let isa = machine.instruction_set;
                    self.scores(pairs.pair(place), place * each, isa, work);
                    if hardest {
                        leave_the_hardest(&mut work.scores);
                    }
                    *loss = match self.loss {
                        Loss::Softmax => softmax(&work.scores, slopes),
                        Loss::Logistic => logistic(&work.scores, slopes),
                    };
                }
            },
        );
        let mut gradients: Vec<Array> = Vec::with_capacity(self.made.len());
        for made in self.made {
            let rows = made.rows.value();
            gradients.push(Array::zeroed(&machine.buffers, rows.rows, rows.width));
        }
        for side in &self.sides {
            let shares = self.shares(side, pairs, &slopes);
            for (place, (one, other)) in
                [(side.user.0, side.item.0), (side.item.0, side.user.0)].into_iter().enumerate()
            {
                let [own, of] = [one, other].map(|array| self.made[array].rows.value());
                let matrix = Sparse::of_any(own.rows, of.rows, &shares[place]);
                add_sums(machine, &matrix, of, &mut gradients[one]);
            }
        }
        (losses.into_iter().map(f64::from).sum(), gradients)
    }

    /// How much of which item's row is each user's slope, and the other way round, pair by pair;
    /// given the slopes of every pair by its scores.
    fn shares(&self, side: &Side, pairs: &Batch, slopes: &[f32]) -> [Vec<(u32, u32, f32)>; 2] {
        let scale = 1.0 / pairs.len() as f32;
        let [mut of_users, mut of_items] = [(); 2].map(|()| Vec::with_capacity(slopes.len()));
        let items = pairs.items().iter().zip(slopes).enumerate();
        for (next, (item, slope)) in items.filter(|(_, (_, slope))| **slope != 0.0) {
            let user = pairs.users()[next / pairs.each()];
            let [user, item] = [(side.user, user), (side.item, *item)]
                .map(|(at, number)| self.row(at, number, next).1 as u32);
            of_users.push((user, item, scale * slope));
            of_items.push((item, user, scale * slope));
        }
        [of_users, of_items]
    }
}

/// Leaves of the negatives' scores the highest.
fn leave_the_hardest(scores: &mut [f32]) {
    let of = |one: &usize, other: &usize| scores[*one].total_cmp(&scores[*other]);
    let best = (1..scores.len()).max_by(of);
    let others = (1..scores.len()).filter(|place| Some(*place) != best);
    others.for_each(|place| scores[place] = f32::NEG_INFINITY);
}

/// −log of the first's part, and its slope by each score.
fn softmax(scores: &[f32], slopes: &mut [f32]) -> f32 {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    slopes.iter_mut().zip(scores).for_each(|(part, score)| *part = (score - most).exp());
    let sum: f32 = slopes.iter().sum();
    slopes.iter_mut().for_each(|part| *part /= sum);
    slopes[0] -= 1.0;
    sum.ln() + most - scores[0]
}

/// −log σ(first) − Σ log σ(−other), and its slope by each score.
fn logistic(scores: &[f32], slopes: &mut [f32]) -> f32 {
    let mut loss = 0.0;
    for (place, (score, out)) in scores.iter().zip(slopes).enumerate() {
        let signed = if place == 0 { *score } else { -score };
        loss += (-signed.abs()).exp().ln_1p() + (-signed).max(0.0);
        let slope = -1.0 / (1.0 + signed.exp());
        *out = if place == 0 { slope } else { -slope };
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_follow_their_slopes() {
        for loss in [softmax, logistic] {
            let (scores, mut slopes) = ([0.3, -0.8, 1.4], [0.0; 3]);
            loss(&scores, &mut slopes);
            for (place, slope) in slopes.into_iter().enumerate() {
                let moved = |more: f32| {
                    let mut scores = scores;
                    scores[place] += more;
                    loss(&scores, &mut [0.0; 3])
                };
                let wanted = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((wanted - slope).abs() < 1e-3, "{place}: {wanted} {slope}");
            }
        }
        let (mut scores, mut slopes) = ([1.0, 0.5, -0.5], [0.0; 3]);
        leave_the_hardest(&mut scores);
        let loss = softmax(&scores, &mut slopes);
        assert!((loss - (1.0 + (-0.5f32).exp()).ln()).abs() < 1e-6 && slopes[2] == 0.0);
    }
}
