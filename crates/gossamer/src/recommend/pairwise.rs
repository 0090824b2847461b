//! Learning from pairs: what a user has against what it does not have.
//!
//! *Formula:* a pair's loss as [`compared`](super::compared) has it, and λ‖·‖² of the rows of tables that it
//! names. A [`Body`] makes the rows; its tape leads their gradients back.
//!
//! The epoch that is best by the validation split is kept.
//! *Invariant:* threads change no bit.

use gossamer_graph::Split;
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{Buffers, Ledger, Machine, Observer, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::optim::{self, Optimiser};
use gossamer_tensor::tape::allot::Need;
use gossamer_tensor::tape::gradient::Gradient;
use gossamer_tensor::tape::{Parameter, Tape};

use super::batch::Batch;
use super::body::{Asked, At, Between, Body, Place, State};
use super::compared::{Compared, TASK};
use super::judge::ndcg;
use super::problem::Problem;
use super::{Outcome, Settings};
use crate::error::Error;
use crate::network::activations::Activations;
use crate::network::first_values;

/// Epochs between validations.
pub const VALIDATE_EVERY: usize = 5;
/// Validations without a better one before learning ends.
const PATIENCE: usize = 10;
/// Where the lists of a validation end.
const VALIDATED: usize = 20;
/// A body on its way.
struct Learner<'a> {
    problem: &'a Problem,
    settings: &'a Settings,
    machine: &'a Machine,
    activations: Activations,
    adam: &'static dyn Optimiser,
    state: State,
    /// What a step kept between its ways at most.
    kept: Ledger,
}

/// What a pass forward and back leaves.
struct Passed {
    loss: f64,
    /// Of each parameter.
    gradients: Vec<Option<Gradient>>,
    needs: Vec<Option<Need>>,
    kept: Ledger,
}

/// Learns.
///
/// # Errors
/// [`Error::Stopped`], [`Error::Diverged`], those of the settings.
pub fn learn(
    problem: &Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
    body: &mut dyn Body,
) -> Result<Outcome, Error> {
    let mut learner = Learner::new(problem, settings, machine, body)?;
    let sizes = (problem.users.len(), problem.items.len());
    let validates = problem.interactions[Split::Valid as usize].n_values() > 0;
    let (mut best, mut best_score, mut stale) = (None, -1.0, 0);
    let (mut of_steps, mut epochs) = (0.0, 0);
    for epoch in 0..settings.epochs {
        let between = Between { settings, machine, observer, epoch: epoch as u64 };
        let begun = observer.now();
        let loss = learner.epoch(body, epoch as u64, observer)?;
        machine.buffers.release();
        body.after_epoch(&mut learner.state, &between)?;
        if !learner.state.is_finite() {
            return Err(Error::Diverged { loss: f64::NAN, epoch: epoch as u64 + 1 });
        }
        epochs += 1;
        of_steps += observer.now().saturating_sub(begun).as_secs_f64();
        let due = (epoch + 1).is_multiple_of(VALIDATE_EVERY) || epoch + 1 == settings.epochs;
        if due && validates {
            machine.buffers.release();
            let learned = body.learned(&learner.state.parameters, sizes, machine);
            machine.buffers.release();
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
    let last = || body.learned(&learner.state.parameters, sizes, machine);
    let learned = best.unwrap_or_else(last);
    let (kept, steps) = (Some(learner.kept), learner.state.steps);
    let cut_off = validates && stale < PATIENCE;
    Ok(Outcome { learned, kept, steps, of_steps, epochs, cut_off })
}

impl<'a> Learner<'a> {
    fn new(
        problem: &'a Problem,
        settings: &'a Settings,
        machine: &'a Machine,
        body: &dyn Body,
    ) -> Result<Self, Error> {
        let (adam, activations) =
            (optim::find("adam")?, Activations::parse(&settings.activations)?);
        // What lives as long as the learner is not among the arrays of steps.
        let aside = Buffers::default();
        let address = |number: u64| Address::new(settings.seed, Purpose::Initial, 110 + number);
        let shapes = (0..).zip(body.shapes());
        let parameters: Vec<Array> =
            shapes.map(|(number, shape)| first_values(shape, address(number), &aside)).collect();
        let state = |of: &Array| Array::zeroed(&aside, of.rows, adam.state_width(of.width));
        let states = parameters.iter().map(state).collect();
        let state = State { parameters, states, steps: 0 };
        Ok(Self { problem, settings, machine, activations, adam, state, kept: Ledger::default() })
    }

    /// One pass over the interactions; returns the mean loss.
    fn epoch(
        &mut self,
        body: &dyn Body,
        epoch: u64,
        observer: &dyn Observer,
    ) -> Result<f64, Error> {
        let lists = &self.problem.interactions[0];
        let of_user = |user: usize| lists.of(user).iter().map(move |item| (user as u32, *item));
        let all: Vec<(u32, u32)> = (0..lists.n_rows()).flat_map(of_user).collect();
        let n = all.len() as u64;
        let order = Permutation::new(n, Address::new(self.settings.seed, Purpose::Order, epoch));
        let mut sum = 0.0;
        for first in (0..n).step_by(self.settings.batch) {
            let batch = (n.min(first + self.settings.batch as u64) - first) as usize;
            let address = Address::new(self.settings.seed, Purpose::Negative, self.state.steps);
            let each = 1 + self.settings.negatives;
            let (mut users, mut items) = (vec![0; batch], vec![0; batch * each]);
            let tasks = users.chunks_mut(TASK).zip(items.chunks_mut(TASK * each)).enumerate();
            self.machine.workers.each(tasks.collect(), |(task, (users, items))| {
                let pairs = users.iter_mut().zip(items.chunks_exact_mut(each));
                for (row, (user, items)) in (task * TASK..).zip(pairs) {
                    (*user, items[0]) = all[order.get(first + row as u64) as usize];
                    self.draw(*user, &mut items[1..], (address, row as u32));
                }
            });
            let pairs = Batch::new(users, items, each);
            sum += self.step(body, &pairs);
            if !sum.is_finite() {
                return Err(Error::Diverged { loss: sum, epoch: epoch + 1 });
            }
            let (stage, unit, done) = ("pairs", "pairs", n.min(first + self.settings.batch as u64));
            let detail = &format!("epoch {}/{}", epoch + 1, self.settings.epochs);
            observer.progress(&Progress { stage, done, total: n, unit, detail });
            if observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        Ok(sum / n.max(1) as f64)
    }

    /// Draws negatives that the user does not have, if there are any.
    fn draw(&self, user: u32, out: &mut [u32], (address, row): (Address, u32)) {
        /// Draws for a negative before one that the user has is taken.
        const DRAWS: u32 = 16;
        let n_items = self.problem.items.len() as u64;
        let has = self.problem.interactions[0].of(user as usize);
        for (place, out) in (0..).zip(out) {
            let mut drawn = (0..DRAWS)
                .map(|draw| address.below(n_items, row, place * DRAWS + draw) as u32)
                .skip_while(|drawn| has.binary_search(drawn).is_ok());
            let fallback = || address.below(n_items, row, place * DRAWS) as u32;
            *out = drawn.next().unwrap_or_else(fallback);
        }
    }

    /// A step over a batch; returns its loss.
    fn step(&mut self, body: &dyn Body, pairs: &Batch) -> f64 {
        let Some(Passed { loss, gradients, needs, kept }) = self.pass(body, pairs) else {
            return f64::NAN;
        };
        self.state.steps += 1;
        let step = self.settings.step(self.state.steps, self.machine);
        let by = (&Lazily(self.adam) as &dyn Optimiser, &step);
        for (place, gradient) in gradients.iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            self.state.change(place, gradient, by, self.machine);
        }
        self.activations.choose(&needs);
        self.kept.raise_to(kept);
        loss
    }

    /// Forward and back; none if a value was no finite number.
    fn pass(&self, body: &dyn Body, pairs: &Batch) -> Option<Passed> {
        let steps = self.state.steps;
        let codecs = |place: usize| self.activations.codec(place);
        let address = Address::new(self.settings.seed, Purpose::Dropout, steps);
        let mut tape = Tape::new(self.machine, &codecs, address);
        if self.activations.is_due(steps) {
            tape.weigh();
        }
        let parameters = &self.state.parameters;
        let all: Vec<Parameter<'_>> =
            parameters.iter().map(|array| tape.parameter(array)).collect();
        let ids: Vec<usize> = all.iter().map(|parameter| parameter.id()).collect();
        let made = body.forward(&mut tape, &all, Asked::Pairs(pairs));
        let kept = tape.kept();
        let compared = Compared { sides: body.sides(), made: &made, loss: body.loss() };
        let (mut loss, mut of_rows) =
            compared.gradients(pairs, self.settings.hardest, self.machine);
        loss += body.beside(pairs, &made, &mut of_rows, self.machine);
        let rows = made.into_iter().map(|made| made.rows);
        let mut found = tape.backward(rows.zip(of_rows))?;
        let needs = std::mem::take(&mut found.needs);
        body.add_gradients(pairs, parameters, &mut found, self.machine);
        let mut gradients: Vec<Option<Gradient>> =
            ids.iter().map(|id| found.take_rows(*id)).collect();
        self.decay(&body.tables(), pairs, &mut gradients);
        Some(Passed { loss, gradients, needs, kept })
    }

    /// Adds the slope of the penalty: λ‖·‖² of each row of a table that a pair names, by pairs.
    fn decay(&self, tables: &[At; 2], pairs: &Batch, gradients: &mut [Option<Gradient>]) {
        let decay = 2.0 * self.settings.regularisation / pairs.len() as f32;
        if decay == 0.0 {
            return;
        }
        let times = |n: usize, of: &[u32]| {
            let mut times = vec![0.0; n];
            of.iter().for_each(|number| times[*number as usize] += 1.0);
            times
        };
        let (n_users, n_items) = (self.problem.users.len(), self.problem.items.len());
        let of_users = times(n_users, pairs.users());
        let of_items = times(n_items, pairs.items());
        for ((table, place), times) in tables.iter().zip([of_users, of_items]) {
            let (Place::From(first), Some(gradient)) = (*place, &mut gradients[*table]) else {
                continue;
            };
            for (number, times) in (first..).zip(times).filter(|(_, times)| *times > 0.0) {
                let own = self.state.parameters[*table].row(number);
                if let Some(out) = gradient.row_mut(number) {
                    vector::add_scaled(self.machine.instruction_set, out, decay * times, own);
                }
            }
        }
    }
}

/// An optimiser that leaves a row without gradient alone.
struct Lazily(&'static dyn Optimiser);

impl Optimiser for Lazily {
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
    fn update(&self, step: &optim::Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        // Without a way out in between, several are looked at at once.
        let bits = gradient.iter().fold(0, |all, x| all | x.to_bits());
        if bits << 1 != 0 {
            self.0.update(step, row, state, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Pair;
    use super::super::{diffkg, find, kcan, kgat, kgcn, kgin, lightgcn, lightkg, pairs};
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use crate::recommend::scores::Learned;
    use gossamer_machine::Silent;

    const MODELS: [&str; 12] = [
        "bpr", "mf", "lightgcn", "lightkg", "cke", "cfkg", "kgat", "kgin", "kgcn", "kgnn-ls",
        "kcan", "diffkg",
    ];

    fn settings(model: &str) -> Settings {
        let usual = Settings::of(model).unwrap();
        Settings { dim: 8, batch: 64, epochs: 4, ..usual }
    }

    fn learned(model: &str, settings: &Settings, problem: &Problem, threads: usize) -> Outcome {
        let machine = Machine::new(threads, None);
        find(model).unwrap().learn(problem.clone(), settings, &machine, &Silent).unwrap()
    }

    #[test]
    fn threads_change_no_bit() {
        let problem = two_tastes(30, 20);
        for model in MODELS {
            let of = |threads| learned(model, &settings(model), &problem, threads);
            let (one, three) = (of(1), of(3));
            assert_eq!(one.learned, three.learned, "{model}");
            assert_eq!(one.steps, three.steps, "{model}");
        }
    }

    #[test]
    fn what_is_kept_is_told_of_whole_batches() {
        const BATCH: usize = 64;
        let problem = two_tastes(30, 20);
        let n = problem.interactions[0].n_values();
        assert!(n > BATCH && !n.is_multiple_of(BATCH), "the last batch is a part of one");
        // It keeps the same of each pair.
        let of = |batch: usize| {
            let settings = Settings { batch, epochs: 1, ..settings("kgcn") };
            learned("kgcn", &settings, &problem, 2).kept.unwrap().total() as usize
        };
        assert_eq!(of(BATCH) * n, of(n) * BATCH);
    }

    #[test]
    fn tastes_are_learned_by_every_body_and_through_codes() {
        const SEEDS: u64 = 3;
        let problem = two_tastes(40, 30);
        let machine = Machine::new(2, None);
        for model in MODELS {
            for activations in ["exact", "int2"] {
                let own = find(model).unwrap().own().contains(&"activations");
                if activations != "exact" && !own {
                    continue;
                }
                let usual = settings(model);
                // What holds thousands of users' rows down leaves little of forty's.
                let most = if ["bpr", "mf"].contains(&model) { 1e-4 } else { 1e-3 };
                let settings = Settings {
                    epochs: 100,
                    learning_rate: 0.02,
                    regularisation: usual.regularisation.min(most),
                    // An item has one fact.
                    nearest: 2,
                    activations: activations.into(),
                    ..usual
                };
                // So few rows through so few bits may have bad luck: a mean of seeds.
                let mut sum = 0.0;
                for seed in 0..SEEDS {
                    let of = Settings { seed, ..settings.clone() };
                    let learned = learned(model, &of, &problem, 2).learned;
                    sum += pairs::by_pairs(&problem, &learned, (Split::Test, 3), &machine).auc;
                }
                // Who knows tastes alone has about .75; who knows nothing has a half.
                let found = sum / SEEDS as f64;
                assert!(found > 0.6, "{model} {activations}: {found}");
                let Outcome { learned, kept, .. } = learned(model, &settings, &problem, 2);
                assert_eq!(kept.unwrap().total() > 0, own, "{model}");
                let sizes = [problem.users.len(), problem.items.len()];
                let tables = crate::recommend::scores::tests::as_read(&learned);
                assert_eq!(Learned::of_tables(tables, sizes).as_ref(), Some(&learned), "{model}");
            }
        }
    }

    #[test]
    fn gradients_of_every_body_agree_with_finite_differences() {
        let problem = two_tastes(12, 10);
        let machine = Machine::new(2, None);
        let pairs = Batch::new(vec![0, 1, 4], vec![2, 3, 3, 0, 6, 9], 2);
        let usual = Settings::of("kgat").unwrap();
        let settings = Settings {
            dim: 4,
            layers: 2,
            nearest: 3,
            layer_dropout: 0.2,
            edge_dropout: 0.2,
            contrast: 0.5,
            regularisation: 0.1,
            ..usual
        };
        let bodies: [(&str, Box<dyn Body>); 7] = [
            ("lightgcn", Box::new(lightgcn::Means::of(&problem, &settings))),
            ("kgat", Box::new(kgat::Kgats::of(&mut problem.clone(), &settings))),
            ("lightkg", Box::new(lightkg::Weighed::of(&mut problem.clone(), &settings))),
            ("kgin", Box::new(kgin::Kgins::of(&mut problem.clone(), &settings))),
            ("kgcn", Box::new(kgcn::Kgcns::of(&mut problem.clone(), &settings))),
            ("kcan", Box::new(kcan::Kcans::of(&mut problem.clone(), &settings))),
            ("diffkg", Box::new(diffkg::DiffKgs::of(&mut problem.clone(), &settings))),
        ];
        for (name, body) in bodies {
            let mut learner = Learner::new(&problem, &settings, &machine, &*body).unwrap();
            // Away from zero, where rows' lengths and leaks bend.
            for (number, array) in (0..).zip(&mut learner.state.parameters) {
                let address = Address::new(number, Purpose::Synthetic, 3);
                let fill = |(at, x): (usize, &mut f32)| *x = 0.5 * address.normal(at as u32, 0);
                array.values.iter_mut().enumerate().for_each(fill);
            }
            let found = learner.pass(&*body, &pairs).unwrap();
            let tables = body.tables();
            let mut cost = |place: usize, at: usize, more: f32| -> f64 {
                let before = learner.state.parameters[place].values[at];
                learner.state.parameters[place].values[at] = before + more;
                let sum = learner.pass(&*body, &pairs).unwrap().loss;
                let square = |(table, from): At, number: u32| -> f64 {
                    let Place::From(first) = from else { return 0.0 };
                    let row = learner.state.parameters[table].row(first + number as usize);
                    row.iter().map(|x| f64::from(x * x)).sum()
                };
                let of_pair = |pair: Pair<'_>| -> f64 {
                    let items = pair.items.iter().map(|item| square(tables[1], *item));
                    items.sum::<f64>() + square(tables[0], pair.user)
                };
                let penalty: f64 = pairs.iter().map(of_pair).sum();
                learner.state.parameters[place].values[at] = before;
                (sum + f64::from(settings.regularisation) * penalty) / pairs.len() as f64
            };
            let (mut looked, mut wrong) = (0, Vec::new());
            for (place, gradient) in found.gradients.into_iter().enumerate() {
                let Some(gradient) = gradient else { continue };
                let gradient = gradient.into_all(&machine.buffers);
                for at in (0..gradient.values.len()).step_by(7) {
                    let slope = (cost(place, at, 5e-4) - cost(place, at, -5e-4)) / 1e-3;
                    let own = f64::from(gradient.values[at]);
                    looked += 1;
                    // What intents have in common is no part of the pairs' cost, and small.
                    if (slope - own).abs() > 4e-3 * (1.0 + slope.abs()) {
                        wrong.push(format!("{name} {place} {at}: {slope} {own}"));
                    }
                }
            }
            assert!(looked > 10 && wrong.len() * 50 <= looked, "{looked}: {wrong:?}");
        }
    }

    #[test]
    fn negatives_are_what_a_user_does_not_have() {
        let problem = two_tastes(30, 20);
        let (machine, settings) = (Machine::new(1, None), Settings::of("mf").unwrap());
        let body = super::super::body::Table { n_users: 30, n: 50, dim: 64 };
        let learner = Learner::new(&problem, &settings, &machine, &body).unwrap();
        let address = Address::new(0, Purpose::Negative, 0);
        let mut drawn = vec![0; settings.negatives];
        learner.draw(3, &mut drawn, (address, 0));
        for item in drawn {
            assert!(item < 20 && !problem.interactions[0].of(3).contains(&item));
        }
    }
}
