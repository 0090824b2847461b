//! KGNN-LS: KGCN whose users' weights must also tell, from what is around an item, whether they have
//! it.
//!
//! *Formula:* beside KGCN's loss −λ·Σ [y·log σ(p) + (1 − y)·log σ(−p)] of each item of a pair: y is 1 for
//! the user's own and 0 for negatives; p(v) = Σ over K drawn neighbours of α·p(neighbour) with KGCN's α, where
//! p is what is known: 1 of an item that the user has, 0 of a pair's negative; ½ of all else after the last
//! hop. Of the item itself nothing is known.
//!
//! At one hop it smooths only what facts join item to item; as a rule it needs two.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::logistic::sigmoid_and_softplus;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::tape::op::worths::Worths;
use gossamer_tensor::tape::{Gradients, Parameter, Tape};

use super::batch::{Batch, Pair};
use super::body::{Asked, At, Body, Loss, Made, Side};
use super::kgcn::{Kgcn, Kgcns, LABELS, USERS, check_entities};
use super::pairwise;
use super::problem::{Lists, Problem};
use super::scores::Learned;
use super::{Outcome, Recommender, Settings, Shape as Sizes};
use crate::error::Error;
use crate::layer::Shape;

/// Pairs of a task; their number fixes the order of addition.
const TASK: usize = 64;

/// Knowledge graph convolutional network with label smoothness.
#[derive(Debug)]
pub struct KgnnLs;

impl Recommender for KgnnLs {
    fn name(&self) -> &'static str {
        "kgnn-ls"
    }
    fn summary(&self) -> &'static str {
        "kgcn whose users' weights also guess what a user has from what is around it"
    }
    fn formula(&self) -> &'static str {
        "KGCN's, and λ·−log σ(±p), p(v) = Σ softmax(⟨u, r⟩/dim)·p(neighbour), known where the user has it"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: Knowledge-aware Graph Neural Networks with Label Smoothness Regularization for \
         Recommender Systems (KDD 2019)"
    }
    fn own(&self) -> &'static [&'static str] {
        &[
            "dim",
            "learning_rate",
            "regularisation",
            "epochs",
            "batch",
            "negatives",
            "layers",
            "nearest",
            "activations",
            "smoothness",
            "facts",
        ]
    }
    fn least_layers(&self) -> usize {
        1
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { layers: 2, smoothness: 0.1, ..Kgcn.defaults(settings) }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        Kgcn.plan(sizes, settings, ledger);
        let tasks = (settings.batch as u64).div_ceil(TASK as u64);
        let floats = (sizes.n_users + tasks * (sizes.n_relations + 1)) * settings.dim as u64;
        ledger.add("slopes of guesses", format!("{floats}"), "f32", 4 * floats);
        let bytes = Lists::bytes_for(sizes.n_users, sizes.n_interactions);
        ledger.add("what users have", format!("{}", sizes.n_interactions), "u32", bytes);
    }
    fn plan_asking(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        Kgcn.plan_asking(sizes, settings, ledger);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let mut problem = problem.with_weight(settings.facts);
        check_entities(&problem, self.name())?;
        let mut body = Smooth::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// KGCN's rows, and guesses.
pub struct Smooth {
    rows: Kgcns,
    has: Lists,
    hops: usize,
    weight: f32,
}

/// Whose guess about which item is made.
struct Guess<'a> {
    user: u32,
    /// The user's row.
    row: &'a [f32],
    /// Rows of labels.
    labels: &'a Array,
    item: u32,
    /// What the user is known not to have, for now.
    negatives: &'a [u32],
}

/// What guesses of a user share.
struct Work {
    worths: Worths,
    /// Of each label the sum of c: what a guess's slope has of the user's row and of the label's.
    slopes: Vec<f32>,
}

impl Smooth {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let rows = Kgcns::of(problem, settings);
        let has = problem.interactions[0].clone();
        Self { rows, has, hops: settings.layers, weight: settings.smoothness }
    }

    /// Whether the user has an entity, if that is known and may be used.
    fn known(&self, guess: &Guess<'_>, entity: u32) -> Option<f32> {
        if entity == guess.item {
            return None;
        }
        let has = self.has.of(guess.user as usize).binary_search(&entity).is_ok();
        has.then_some(1.0).or_else(|| guess.negatives.contains(&entity).then_some(0.0))
    }

    /// α of an entity's neighbours.
    fn weights(&self, guess: &Guess<'_>, entity: u32, worths: &mut Worths) -> Vec<f32> {
        let labels = self.rows.labels_of(entity);
        let mut alpha = vec![0.0; labels.len()];
        let of_label = |label: usize| guess.labels.row(label);
        worths.of(guess.user).shares(guess.row, of_label, labels, 1.0, &mut alpha);
        alpha
    }

    /// p of an entity so many hops from the item.
    fn guessed(&self, guess: &Guess<'_>, entity: u32, hop: usize, worths: &mut Worths) -> f32 {
        if let Some(known) = self.known(guess, entity) {
            return known;
        }
        if hop == self.hops {
            return 0.5;
        }
        let alpha = self.weights(guess, entity, worths);
        let of_near = self.rows.near_of(entity).iter().zip(alpha);
        of_near.map(|(near, alpha)| alpha * self.guessed(guess, *near, hop + 1, worths)).sum()
    }

    /// Adds the slopes of p of an entity, times a factor.
    fn add_slopes(
        &self,
        guess: &Guess<'_>,
        (entity, hop): (u32, usize),
        factor: f32,
        work: &mut Work,
    ) {
        if hop == self.hops || self.known(guess, entity).is_some() {
            return;
        }
        let alpha = self.weights(guess, entity, &mut work.worths);
        let (near, labels) = (self.rows.near_of(entity), self.rows.labels_of(entity));
        let p = |near: &u32| self.guessed(guess, *near, hop + 1, &mut work.worths);
        let found: Vec<f32> = near.iter().map(p).collect();
        let mean: f32 = alpha.iter().zip(&found).map(|(alpha, p)| alpha * p).sum();
        for (((near, label), alpha), p) in near.iter().zip(labels).zip(&alpha).zip(&found) {
            work.slopes[*label as usize] += factor * alpha * (p - mean) / guess.row.len() as f32;
            self.add_slopes(guess, (*near, hop + 1), factor * alpha, work);
        }
    }

    /// The guesses' loss of a pair; their slopes by labels' products are added, times a factor.
    fn of_pair(
        &self,
        pair: Pair<'_>,
        [users, labels]: [&Array; 2],
        factor: f32,
        work: &mut Work,
    ) -> f64 {
        let mut loss = 0.0;
        for (place, item) in pair.items.iter().enumerate() {
            let row = users.row(pair.user as usize);
            let negatives = &pair.items[1..];
            let guess = Guess { user: pair.user, row, labels, item: *item, negatives };
            let sign = if place == 0 { 1.0 } else { -1.0 };
            let p = self.guessed(&guess, *item, 0, &mut work.worths);
            let (share, softplus) = sigmoid_and_softplus(-sign * p);
            loss += f64::from(softplus);
            self.add_slopes(&guess, (*item, 0), -sign * share * factor, work);
        }
        loss
    }

    /// The loss of guesses, a pair's mean; and the slopes of users and labels.
    fn guesses(
        &self,
        pairs: &Batch,
        [users, labels]: [&Array; 2],
        machine: &Machine,
    ) -> (f64, Vec<f32>, Vec<f32>) {
        let (dim, isa) = (users.width, machine.instruction_set);
        let factor = self.weight / pairs.len().max(1) as f32;
        let of_task = |task: usize| task * TASK..pairs.len().min((task + 1) * TASK);
        let found = machine.workers.map(pairs.len().div_ceil(TASK), |task| {
            let mut of_users = vec![0.0; of_task(task).len() * dim];
            let (mut of_labels, mut loss) = (vec![0.0; labels.values.len()], 0.0);
            let (worths, slopes) = (Worths::new(labels.rows), vec![0.0; labels.rows]);
            let mut work = Work { worths, slopes };
            for (place, of_user) in of_task(task).zip(of_users.chunks_exact_mut(dim)) {
                let pair = pairs.pair(place);
                work.slopes.fill(0.0);
                loss += self.of_pair(pair, [users, labels], factor, &mut work);
                let user = users.row(pair.user as usize);
                let each = work.slopes.iter().zip(of_labels.chunks_exact_mut(dim)).enumerate();
                for (label, (slope, of_label)) in each.filter(|(_, (slope, _))| **slope != 0.0) {
                    vector::add_scaled(isa, of_user, *slope, labels.row(label));
                    vector::add_scaled(isa, of_label, *slope, user);
                }
            }
            (loss, of_users, of_labels)
        });
        let (mut of_users, mut of_labels) =
            (vec![0.0; users.values.len()], vec![0.0; labels.values.len()]);
        let mut sum = 0.0;
        for (task, (loss, users, labels)) in found.into_iter().enumerate() {
            sum += loss;
            vector::add_scaled(isa, &mut of_labels, 1.0, &labels);
            for (place, own) in of_task(task).zip(users.chunks_exact(dim)) {
                let user = pairs.users()[place] as usize;
                let out = &mut of_users[user * dim..][..dim];
                vector::add_scaled(isa, out, 1.0, own);
            }
        }
        (f64::from(factor) * sum, of_users, of_labels)
    }
}

impl Body for Smooth {
    fn shapes(&self) -> Vec<Shape> {
        self.rows.shapes()
    }
    fn tables(&self) -> [At; 2] {
        self.rows.tables()
    }
    fn sides(&self) -> Vec<Side> {
        self.rows.sides()
    }
    fn loss(&self) -> Loss {
        self.rows.loss()
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        self.rows.forward(tape, parameters, asked)
    }
    fn add_gradients(
        &self,
        pairs: &Batch,
        parameters: &[Array],
        gradients: &mut Gradients,
        machine: &Machine,
    ) {
        let tables = [&parameters[USERS], &parameters[LABELS]];
        let (_, of_users, of_labels) = self.guesses(pairs, tables, machine);
        gradients.add(USERS, 1.0, &of_users);
        gradients.add(LABELS, 1.0, &of_labels);
    }
    fn learned(&self, parameters: &[Array], sizes: (usize, usize), machine: &Machine) -> Learned {
        self.rows.learned(parameters, sizes, machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::random::{Address, Purpose};

    fn smooth(layers: usize) -> (Smooth, [Array; 2], Machine) {
        let machine = Machine::new(2, None);
        let usual = Settings::of("kgnn-ls").unwrap();
        let settings = Settings { dim: 6, nearest: 3, layers, smoothness: 0.7, ..usual };
        let body = Smooth::of(&mut two_tastes(12, 10), &settings);
        let shapes = [USERS, LABELS].map(|place| body.shapes()[place]);
        let table = |shape: Shape| {
            let address = Address::new(shape.rows as u64, Purpose::Synthetic, 0);
            let n = (shape.rows * shape.width) as u32;
            let values: Vec<f32> = (0..n).map(|i| 2.0 * address.normal(i, 0)).collect();
            Array::of(&machine.buffers, &values, shape.width)
        };
        let tables = shapes.map(table);
        (body, tables, machine)
    }

    fn pairs(body: &Smooth) -> Batch {
        let first = |user: u32| body.has.of(user as usize)[0];
        let items = [0, 3, 3, 8].map(|user| [first(user), (first(user) + 1) % 10]);
        Batch::new(vec![0, 3, 3, 8], items.concat(), 2)
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        for layers in [1, 2, 3] {
            let (body, mut tables, machine) = smooth(layers);
            let pairs = pairs(&body);
            let (_, users, labels) = body.guesses(&pairs, [&tables[0], &tables[1]], &machine);
            for (place, found) in [users, labels].iter().enumerate() {
                for (at, found) in found.iter().enumerate() {
                    let before = tables[place].values[at];
                    let mut cost = |more: f32| {
                        tables[place].values[at] = before + more;
                        body.guesses(&pairs, [&tables[0], &tables[1]], &machine).0
                    };
                    let slope = (cost(1e-2) - cost(-1e-2)) / 2e-2;
                    tables[place].values[at] = before;
                    let off = (slope - f64::from(*found)).abs();
                    assert!(off < 1e-4, "{layers} {place} {at}: {slope} {found}");
                }
            }
        }
    }

    #[test]
    fn guesses_change_what_is_learned() {
        let machine = Machine::new(2, None);
        let learned = |smoothness: f32| {
            let usual = Settings::of("kgnn-ls").unwrap();
            let settings = Settings { dim: 6, nearest: 3, epochs: 2, smoothness, ..usual };
            let observer = gossamer_machine::Silent;
            KgnnLs.learn(two_tastes(12, 10), &settings, &machine, &observer).unwrap().learned
        };
        assert_eq!(learned(0.0), learned(0.0));
        assert_ne!(learned(0.0), learned(1.0));
    }

    #[test]
    fn what_a_user_has_is_known_but_for_the_item_that_is_guessed() {
        let (body, [users, labels], _) = smooth(2);
        let item = body.has.of(3)[0];
        let guess = Guess { user: 3, row: users.row(3), labels: &labels, item, negatives: &[1, 4] };
        assert_eq!(body.known(&guess, item), None);
        assert_eq!(body.known(&guess, body.has.of(3)[1]), Some(1.0));
        assert_eq!(body.known(&guess, 10), None);
        let negative = [1, 4].into_iter().find(|item| !body.has.of(3).contains(item));
        assert!(negative.is_none_or(|item| body.known(&guess, item) == Some(0.0)));
        // Items of its taste are around the item, and the user has some of them.
        let p = body.guessed(&guess, item, 0, &mut Worths::new(labels.rows));
        assert!((0.0..=1.0).contains(&p) && p != 0.5, "{p}");
    }
}
