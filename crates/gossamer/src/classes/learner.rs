//! A network on its way: epochs of steps over the whole graph, or over what is drawn around batches.

use gossamer_machine::random::Permutation;
use gossamer_machine::{Address, Ledger, Machine, Observer, Progress, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::optim::{self, Step};
use gossamer_tensor::tape::op::neighbours::BothWays;

use super::judge::cross_entropy;
use super::neighbourhood::Incidence;
use super::problem::Problem;
use super::{Settings, design, likeliest};
use crate::error::Error;
use crate::layer::around::Around;
use crate::network::activations::Activations;
use crate::network::{Network, Passed};

/// A network, and what it learns from.
pub struct Learner {
    network: Network,
    around: Around,
    /// Where steps draw, the triples of each entity.
    incidence: Option<Incidence>,
    activations: Activations,
    /// Steps done.
    steps: u64,
    /// What a step kept between the ways at most.
    pub kept: Ledger,
}

/// What a step sees.
struct Seen<'a> {
    around: &'a Around,
    features: BothWays<'a>,
    /// The rows to learn from, with their classes.
    learned: &'a [(u32, u32)],
}

impl Learner {
    /// One that begins.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::Unknown`].
    pub fn new(problem: &Problem, settings: &Settings, machine: &Machine) -> Result<Self, Error> {
        let design = design(problem, settings)?;
        let network = Network::new(design, machine, settings.seed);
        let network = network.with_states(optim::find("adam")?, machine);
        let n = problem.class_of.len();
        let around = Around::of(design.layer.view(), n, problem.n_relations, &problem.triples);
        let incidence = (settings.fanout > 0).then(|| Incidence::of(n, &problem.triples));
        let activations = Activations::parse(&settings.activations)?;
        Ok(Self { network, around, incidence, activations, steps: 0, kept: Ledger::default() })
    }

    /// One pass over those to learn from; returns the mean loss.
    ///
    /// # Errors
    /// [`Error::Diverged`], [`Error::Fault`], [`Error::Stopped`].
    pub fn epoch(
        &mut self,
        problem: &Problem,
        settings: &Settings,
        epoch: u64,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<f64, Error> {
        let learned: Vec<(u32, u32)> = problem.learned().collect();
        // Lent to the steps, which change the network.
        let (around, incidence) = (std::mem::take(&mut self.around), self.incidence.take());
        let result = match &incidence {
            None => {
                let features = problem.features();
                let seen = Seen { around: &around, features, learned: &learned };
                self.step(seen, settings, epoch, machine, observer)
            }
            Some(incidence) => {
                self.batches(problem, (&learned, incidence), settings, epoch, machine, observer)
            }
        };
        (self.around, self.incidence) = (around, incidence);
        result
    }

    /// Steps over what is drawn around batches.
    fn batches(
        &mut self,
        problem: &Problem,
        (learned, incidence): (&[(u32, u32)], &Incidence),
        settings: &Settings,
        epoch: u64,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<f64, Error> {
        let n = learned.len() as u64;
        let order = Permutation::new(n, Address::new(settings.seed, Purpose::Order, epoch));
        let places: Vec<u64> = (0..n).map(|place| order.get(place)).collect();
        let (mut sum, mut done) = (0.0, 0);
        let size = (settings.fanout, self.network.design.n_layers);
        for batch in places.chunks(settings.batch) {
            let batch: Vec<(u32, u32)> = batch.iter().map(|at| learned[*at as usize]).collect();
            let ids: Vec<u32> = batch.iter().map(|(entity, _)| *entity).collect();
            let address = Address::new(settings.seed, Purpose::Sample, self.steps);
            let drawn = incidence.around(&ids, size, &problem.triples, address);
            let [backward, forward] = &drawn.rows_of(&problem.features[0]);
            let view = self.network.design.layer.view();
            let n_drawn = drawn.entities.len();
            let around = Around::of(view, n_drawn, problem.n_relations, &drawn.triples);
            let classes: Vec<(u32, u32)> =
                (0..).zip(&batch).map(|(row, (_, class))| (row, *class)).collect();
            let features = BothWays { forward, backward };
            let seen = Seen { around: &around, features, learned: &classes };
            sum += self.step(seen, settings, epoch, machine, observer)? * batch.len() as f64;
            done += batch.len() as u64;
            let detail = format!("loss {:.4}", sum / done as f64);
            let (stage, unit, detail) = ("learning classes", "entities", detail.as_str());
            observer.progress(&Progress { stage, done, total: n, unit, detail });
            if observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        Ok(sum / n as f64)
    }

    /// Forward, back, and a change of all parameters; returns the loss.
    fn step(
        &mut self,
        seen: Seen<'_>,
        settings: &Settings,
        epoch: u64,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<f64, Error> {
        let address = Address::new(settings.seed, Purpose::Dropout, self.steps);
        let mut loss = f64::NAN;
        let sees = (seen.around, Some(seen.features));
        let at = (address, self.steps);
        let found = self.network.pass(sees, &self.activations, at, machine, |rows, _| {
            let (mean, gradient) = cross_entropy(machine, rows, seen.learned);
            loss = mean;
            [gradient, Array::default()]
        });
        let Some(Passed { ids, mut gradients, kept }) = found.filter(|_| loss.is_finite()) else {
            return Err(Error::Diverged { loss, epoch: epoch + 1 });
        };
        self.kept.raise_to(kept);
        if let Some(said) = self.activations.choose(&gradients.needs) {
            observer.log(&said);
        }
        if let Some(what) = machine.faults.take() {
            return Err(Error::Fault { what });
        }
        self.steps += 1;
        let adam = optim::find("adam")?;
        let (learning_rate, instruction_set) = (settings.learning_rate, machine.instruction_set);
        let (number, seed) = (self.steps, settings.seed);
        let step = Step { learning_rate, number, seed, instruction_set };
        gradients.decay(ids[0], settings.decay, &self.network.parameters[0]);
        self.network.change(&ids, &mut gradients, adam, (&step, &step), machine);
        Ok(loss)
    }

    /// The likeliest class of every entity, and its probability: all neighbours are seen.
    pub fn classes(&self, problem: &Problem, machine: &Machine) -> Vec<(u32, f32)> {
        let features = Some(problem.features());
        let made = self.network.rows((&self.around, features), None, machine);
        let scores = made.rows.value();
        (0..scores.rows).map(|row| likeliest(scores.row(row))).collect()
    }
}
