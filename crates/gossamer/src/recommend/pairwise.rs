//! Factors learned from pairs: what a user has against what it does not have.
//!
//! Rows of users and items are those of a table, or means of it over the neighbours of 0 … L hops.
//! *Formula:* E_l = (D^−½ A D^−½)^l E_0; rows (E_0 + … + E_L) / (L + 1); a pair's loss −log of the
//! softmax of its item's score among those of M negatives, with M = 1 that is BPR; λ‖·‖² of the rows of E_0
//! that a pair names. Of hard negatives the one with the highest score alone counts. The way back of a mean over neighbours is itself, so nothing is kept for it.
//!
//! The epoch that is best by the validation split is kept.
//! *Invariant:* threads change no bit.

use gossamer_graph::Split;
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{Ledger, Machine, Observer, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::optim::{self, Step};
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::op::neighbours::sums;

use super::judge::ndcg;
use super::problem::Problem;
use super::scores::{Learned, Matrix};
use super::{Settings, Shape};
use crate::error::Error;

/// Epochs between validations.
const VALIDATE_EVERY: usize = 5;
/// Validations without a better one before learning ends.
const PATIENCE: usize = 10;
/// Where the lists of a validation end.
const VALIDATED: usize = 20;
/// Pairs of a task.
const TASK: usize = 64;

/// Adds what learning takes.
pub fn plan(shape: &Shape, settings: &Settings, ledger: &mut Ledger) {
    let (rows, dim) = (shape.n_users + shape.n_items, settings.dim as u64);
    // The table, two moments, its gradient, the best, and what is learned.
    ledger.add("factors", format!("6 × {rows} × {dim}"), "f32", 24 * rows * dim);
    if settings.layers > 0 {
        ledger.add("rows of hops", format!("3 × {rows} × {dim}"), "f32", 12 * rows * dim);
        ledger.add("neighbours", String::new(), "f32", 16 * shape.n_interactions + 4 * rows);
    }
    let pairs = settings.batch as u64 * (settings.negatives as u64 + 2);
    ledger.add("pairs", format!("{} × {}", settings.batch, settings.negatives), "f32", 12 * pairs);
}

/// A table of users, then items, on its way.
struct Learner<'a> {
    problem: &'a Problem,
    settings: &'a Settings,
    machine: &'a Machine,
    /// The joined users and items, with weights; none where rows are the table's.
    joined: Option<Sparse>,
    /// Users, then items.
    table: Array,
    state: Vec<f32>,
    steps: u64,
}

/// A pair: a user's row, its item's, and those of negatives.
struct Pair {
    user: u32,
    items: Vec<u32>,
}

/// Learns.
///
/// # Errors
/// [`Error::Stopped`], [`Error::Diverged`].
pub fn learn(
    problem: &Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Learned, Error> {
    let mut learner = Learner::new(problem, settings, machine)?;
    let validates = problem.interactions[Split::Valid as usize].n_values() > 0;
    let (mut best, mut best_score, mut stale) = (None, -1.0, 0);
    for epoch in 0..settings.epochs {
        let loss = learner.epoch(epoch as u64)?;
        let due = (epoch + 1).is_multiple_of(VALIDATE_EVERY) || epoch + 1 == settings.epochs;
        if due && validates {
            let learned = learner.learned();
            let score = ndcg(problem, &learned, (Split::Valid, VALIDATED), machine);
            stale += 1;
            if score > best_score {
                (best, best_score, stale) = (Some(learned), score, 0);
            }
        }
        let detail = match best_score {
            score if score < 0.0 => format!("loss {loss:.4}"),
            score => format!("loss {loss:.4}  best valid ndcg {score:.4}"),
        };
        let (done, total) = (epoch as u64 + 1, settings.epochs as u64);
        let (stage, unit, detail) = ("learning", "epochs", detail.as_str());
        observer.progress(&Progress { stage, done, total, unit, detail });
        if observer.cancelled() {
            return Err(Error::Stopped);
        }
        if stale >= PATIENCE {
            break;
        }
    }
    Ok(best.unwrap_or_else(|| learner.learned()))
}

impl<'a> Learner<'a> {
    fn new(
        problem: &'a Problem,
        settings: &'a Settings,
        machine: &'a Machine,
    ) -> Result<Self, Error> {
        let (n_users, dim) = (problem.users.len(), settings.dim);
        let n = n_users + problem.items.len();
        let address = Address::new(settings.seed, Purpose::Initial, 110);
        let bound = (6.0 / (n + dim) as f64).sqrt();
        let mut table = Array::zeroed(&machine.buffers, n, dim);
        for (row, out) in table.values.chunks_exact_mut(dim).enumerate() {
            for (column, out) in out.iter_mut().enumerate() {
                let draw = address.unit(row as u32, column as u32);
                *out = (bound * (2.0 * draw - 1.0)) as f32;
            }
        }
        let joined = (settings.layers > 0).then(|| joined(problem));
        let state = vec![0.0; n * optim::find("adam")?.state_width(dim)];
        Ok(Self { problem, settings, machine, joined, table, state, steps: 0 })
    }

    /// The rows that are compared.
    fn rows(&self) -> Array {
        self.spread(&self.table)
    }

    /// The mean over hops; it is its own way back, since neighbours are so of each other.
    fn spread(&self, of: &Array) -> Array {
        let mut out = Array::of(&self.machine.buffers, &of.values, of.width);
        let Some(joined) = &self.joined else { return out };
        let mut hop = Array::of(&self.machine.buffers, &of.values, of.width);
        for _ in 0..self.settings.layers {
            hop = sums(self.machine, joined, &hop);
            out.values.iter_mut().zip(hop.values.iter()).for_each(|(sum, x)| *sum += x);
        }
        let part = 1.0 / (self.settings.layers + 1) as f32;
        out.values.iter_mut().for_each(|x| *x *= part);
        out
    }

    fn learned(&self) -> Learned {
        let rows = self.rows();
        let dim = self.settings.dim;
        let (users, items) = rows.values.split_at(self.problem.users.len() * dim);
        let matrix = |values: &[f32]| Matrix { values: values.to_vec(), width: dim };
        Learned::Factors { users: matrix(users), items: matrix(items) }
    }

    /// One pass over the interactions; returns the mean loss.
    fn epoch(&mut self, epoch: u64) -> Result<f64, Error> {
        let lists = &self.problem.interactions[0];
        let of_user = |user: usize| lists.of(user).iter().map(move |item| (user as u32, *item));
        let all: Vec<(u32, u32)> = (0..lists.n_rows()).flat_map(of_user).collect();
        let n = all.len() as u64;
        let order = Permutation::new(n, Address::new(self.settings.seed, Purpose::Order, epoch));
        let places: Vec<u64> = (0..n).map(|place| order.get(place)).collect();
        let mut sum = 0.0;
        for batch in places.chunks(self.settings.batch) {
            let address = Address::new(self.settings.seed, Purpose::Negative, self.steps);
            let pair = |(row, at): (usize, &u64)| self.pair(all[*at as usize], address, row as u32);
            let pairs: Vec<Pair> = batch.iter().enumerate().map(pair).collect();
            sum += self.step(&pairs);
            if !sum.is_finite() {
                return Err(Error::Diverged { loss: sum, epoch: epoch + 1 });
            }
        }
        Ok(sum / n.max(1) as f64)
    }

    /// A pair with negatives that the user does not have, if there are any.
    fn pair(&self, (user, item): (u32, u32), address: Address, row: u32) -> Pair {
        /// Draws for a negative before one that the user has is taken.
        const DRAWS: u32 = 16;
        let (n_users, n_items) = (self.problem.users.len() as u32, self.problem.items.len() as u64);
        let has = self.problem.interactions[0].of(user as usize);
        let mut items = vec![n_users + item];
        for place in 0..self.settings.negatives as u32 {
            let mut drawn = (0..DRAWS)
                .map(|draw| address.below(n_items, row, place * DRAWS + draw) as u32)
                .skip_while(|drawn| has.binary_search(drawn).is_ok());
            let fallback = || address.below(n_items, row, place * DRAWS) as u32;
            items.push(n_users + drawn.next().unwrap_or_else(fallback));
        }
        Pair { user, items }
    }

    /// A step over a batch; returns its loss.
    fn step(&mut self, pairs: &[Pair]) -> f64 {
        let rows = self.rows();
        let judged = self.machine.workers.map(pairs.len().div_ceil(TASK), |task| {
            let of_task = &pairs[task * TASK..pairs.len().min((task + 1) * TASK)];
            let hardest = self.settings.hardest;
            of_task.iter().map(|pair| slopes(&rows, pair, hardest)).collect::<Vec<_>>()
        });
        let scale = 1.0 / pairs.len() as f32;
        let mut gradient = Array::zeroed(&self.machine.buffers, rows.rows, rows.width);
        let (width, mut loss) = (rows.width, 0.0);
        for (pair, (of_pair, slopes)) in pairs.iter().zip(judged.into_iter().flatten()) {
            loss += f64::from(of_pair);
            for (item, slope) in pair.items.iter().zip(slopes) {
                for (one, other) in [(pair.user, *item), (*item, pair.user)] {
                    let out = &mut gradient.values[one as usize * width..][..width];
                    let other = rows.row(other as usize);
                    out.iter_mut().zip(other).for_each(|(out, x)| *out += scale * slope * x);
                }
            }
        }
        let mut gradient = self.spread(&gradient);
        let decay = 2.0 * self.settings.regularisation * scale;
        for row in pairs.iter().flat_map(|pair| pair.items.iter().chain([&pair.user])) {
            let first = *row as usize * width;
            let own = &self.table.values[first..first + width];
            let out = &mut gradient.values[first..first + width];
            out.iter_mut().zip(own).for_each(|(out, x)| *out += decay * x);
        }
        self.change(&gradient);
        loss
    }

    /// Changes the rows that have a gradient.
    fn change(&mut self, gradient: &Array) {
        self.steps += 1;
        let Ok(adam) = optim::find("adam") else { return };
        let step = Step {
            learning_rate: self.settings.learning_rate,
            number: self.steps,
            seed: self.settings.seed,
            instruction_set: self.machine.instruction_set,
        };
        let (dim, state) = (self.settings.dim, adam.state_width(self.settings.dim));
        let rows = self.table.values.chunks_mut(TASK * dim);
        let tasks = rows.zip(self.state.chunks_mut(TASK * state)).enumerate().collect();
        self.machine.workers.each(tasks, |(task, (rows, states)): (usize, (&mut [f32], _))| {
            let states: &mut [f32] = states;
            let rows = rows.chunks_exact_mut(dim).zip(states.chunks_exact_mut(state));
            for (row, (own, state)) in (task * TASK..).zip(rows) {
                let gradient = gradient.row(row);
                if gradient.iter().any(|x| *x != 0.0) {
                    adam.update(&step, own, state, gradient);
                }
            }
        });
    }
}

/// The loss of a pair, and its slope by the score of each of its items.
fn slopes(rows: &Array, pair: &Pair, hardest: bool) -> (f32, Vec<f32>) {
    let user = rows.row(pair.user as usize);
    let score = |item: &u32| vector::dot(user, rows.row(*item as usize));
    let mut scores: Vec<f32> = pair.items.iter().map(score).collect();
    if hardest {
        let of = |one: &usize, other: &usize| scores[*one].total_cmp(&scores[*other]);
        let best = (1..scores.len()).max_by(of);
        let others = (1..scores.len()).filter(|place| Some(*place) != best);
        others.for_each(|place| scores[place] = f32::NEG_INFINITY);
    }
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut parts: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = parts.iter().sum();
    parts.iter_mut().for_each(|part| *part /= sum);
    let loss = sum.ln() + most - scores[0];
    parts[0] -= 1.0;
    (loss, parts)
}

/// Users and the items that they have, both ways: 1 / √(degree · degree).
fn joined(problem: &Problem) -> Sparse {
    let (n_users, lists) = (problem.users.len(), &problem.interactions[0]);
    let of_items = lists.turned(problem.items.len());
    let mut entries = Vec::with_capacity(2 * lists.n_values());
    for user in 0..n_users {
        for item in lists.of(user) {
            let degrees = lists.of(user).len() * of_items.of(*item as usize).len();
            let weight = 1.0 / (degrees as f32).sqrt();
            let item = n_users as u32 + item;
            entries.extend([(user as u32, item, weight), (item, user as u32, weight)]);
        }
    }
    let n = n_users + problem.items.len();
    Sparse::new(n, n, entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::Silent;

    /// The loss of some pairs with the table's float at a place moved.
    fn loss(learner: &mut Learner<'_>, pairs: &[Pair], place: usize, more: f32) -> f64 {
        learner.table.values[place] += more;
        let rows = learner.rows();
        let sum: f64 = pairs
            .iter()
            .map(|pair| f64::from(slopes(&rows, pair, learner.settings.hardest).0))
            .sum();
        let width = rows.width;
        let square = |row: &u32| -> f64 {
            let own = &learner.table.values[*row as usize * width..][..width];
            own.iter().map(|x| f64::from(x * x)).sum()
        };
        let rows = pairs.iter().flat_map(|pair| pair.items.iter().chain([&pair.user]));
        let penalty: f64 = rows.map(square).sum();
        learner.table.values[place] -= more;
        let n = pairs.len() as f64;
        (sum + f64::from(learner.settings.regularisation) * penalty) / n
    }

    #[test]
    fn a_step_follows_the_slope_of_its_loss() {
        let (problem, machine) = (two_tastes(12, 10), Machine::new(2, None));
        for (layers, negatives, hardest) in [(0, 1, false), (2, 3, false), (0, 4, true)] {
            let settings = Settings {
                layers,
                negatives,
                hardest,
                dim: 4,
                regularisation: 0.1,
                ..Settings::of("lightgcn").unwrap()
            };
            let mut learner = Learner::new(&problem, &settings, &machine).unwrap();
            let address = Address::new(0, Purpose::Negative, 0);
            let pairs: Vec<Pair> = [(0, 2), (1, 3), (4, 6)]
                .into_iter()
                .enumerate()
                .map(|(row, pair)| learner.pair(pair, address, row as u32))
                .collect();
            // With a first step Adam moves by the sign of the slope.
            let before = learner.table.values.to_vec();
            let places = [0, 5, 12 * 4 + 9, (12 + 2) * 4, (12 + 3) * 4 + 1];
            let slope = |learner: &mut Learner<'_>, place| {
                let [up, down] = [1e-3, -1e-3].map(|more| loss(learner, &pairs, place, more));
                (up - down) / 2e-3
            };
            let wanted = places.map(|place| slope(&mut learner, place));
            learner.step(&pairs);
            for (place, wanted) in places.into_iter().zip(wanted) {
                let moved = f64::from(learner.table.values[place] - before[place]);
                let rate = f64::from(settings.learning_rate);
                if wanted.abs() > 1e-4 {
                    assert!(
                        (moved + rate * wanted.signum()).abs() < 0.02 * rate,
                        "{place} {moved}"
                    );
                } else {
                    assert!(moved.abs() <= rate * 1.01, "{place} {moved}");
                }
            }
        }
    }

    #[test]
    fn threads_change_no_bit_and_negatives_are_what_a_user_does_not_have() {
        let problem = two_tastes(30, 20);
        for model in ["bpr", "mf", "lightgcn"] {
            let settings = Settings { epochs: 4, batch: 64, ..Settings::of(model).unwrap() };
            let learned = [1, 2].map(|threads| {
                learn(&problem, &settings, &Machine::new(threads, None), &Silent).unwrap()
            });
            assert_eq!(learned[0], learned[1], "{model}");
        }
        let (machine, settings) = (Machine::new(1, None), Settings::of("mf").unwrap());
        let learner = Learner::new(&problem, &settings, &machine).unwrap();
        let address = Address::new(0, Purpose::Negative, 0);
        let pair = learner.pair((3, problem.interactions[0].of(3)[0]), address, 0);
        assert_eq!(pair.items.len(), 1 + settings.negatives);
        for item in &pair.items[1..] {
            assert!(!problem.interactions[0].of(3).contains(&(item - 30)));
        }
    }
}
