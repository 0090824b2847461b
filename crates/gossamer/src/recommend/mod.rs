//! Recommenders: which items a user will want, from interactions and facts.
//!
//! *Invariant:* the result is a function of graph and settings; threads change no bit. What is held
//! out is not learned from.
//! *Not here:* controls and baselines beside a model ([`report`]).

use gossamer_machine::{Ledger, Machine, Observer};

use gossamer_tensor::optim::Step;

use crate::error::Error;
use crate::plan::add_program;

pub mod problem;
mod attended;
pub mod scores;
pub mod judge;
pub mod pairs;
mod nodes;
mod needs;
mod body;
mod pairwise;
mod translate;
pub mod report;
pub mod run;

use crate::network::activations::Activations;
use problem::Problem;
use scores::Learned;

gossamer_machine::registry!("recommender", Recommender:
    pop::Pop,
    itemknn::ItemKnn,
    ease::Ease,
    ials::Ials,
    bpr::Bpr,
    mf::Mf,
    lightgcn::LightGcn,
    lightkg::LightKg,
    cke::Cke,
    cfkg::Cfkg,
    kgat::Kgat,
    kgin::Kgin,
    kgcn::Kgcn,
);

/// What decides a recommender's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The recommender.
    pub model: String,
    /// Weight of the penalty.
    pub regularisation: f32,
    /// Weight of facts beside interactions; 0: none.
    pub facts: f32,
    /// Items that an item speaks for; neighbours that are drawn.
    pub nearest: usize,
    /// Floats of a row.
    pub dim: usize,
    /// Weight of what is not there, beside what is.
    pub absent: f32,
    /// Passes over the interactions.
    pub epochs: usize,
    /// Pairs of a step.
    pub batch: usize,
    /// Items that stand against a pair's.
    pub negatives: usize,
    /// True if of these the one with the highest score alone counts.
    pub hardest: bool,
    /// Layers of a network; hops that rows are means over.
    pub layers: usize,
    /// Part of the floats after a layer that is left out in a step.
    pub layer_dropout: f32,
    /// Part of the neighbours that is left out in a step.
    pub edge_dropout: f32,
    /// How a network keeps what its way back needs.
    pub activations: String,
    /// Adam's step size.
    pub learning_rate: f32,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Settings {
    /// Those that suit a recommender.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn of(model: &str) -> Result<Self, Error> {
        let settings = Self {
            model: model.into(),
            regularisation: 0.0,
            facts: 0.0,
            nearest: 300,
            dim: 64,
            absent: 0.1,
            epochs: 16,
            batch: 2048,
            negatives: 1,
            hardest: false,
            layers: 0,
            layer_dropout: 0.0,
            edge_dropout: 0.0,
            activations: "exact".into(),
            learning_rate: 0.005,
            seed: 0,
        };
        Ok(find(model)?.defaults(settings))
    }

    /// Adam's step with a number.
    fn step(&self, number: u64, machine: &Machine) -> Step {
        Step {
            learning_rate: self.learning_rate,
            number,
            seed: self.seed,
            instruction_set: machine.instruction_set,
        }
    }

    /// Sets one from text.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        fn put<T: std::str::FromStr>(place: &mut T, text: &str) -> bool {
            text.trim().parse().is_ok_and(|value| {
                *place = value;
                true
            })
        }
        let good = match key {
            "model" => put(&mut self.model, text),
            "regularisation" => put(&mut self.regularisation, text),
            "facts" => put(&mut self.facts, text),
            "nearest" => put(&mut self.nearest, text),
            "dim" => put(&mut self.dim, text),
            "absent" => put(&mut self.absent, text),
            "epochs" => put(&mut self.epochs, text),
            "batch" => put(&mut self.batch, text),
            "negatives" => put(&mut self.negatives, text),
            "hardest" => put(&mut self.hardest, text),
            "layers" => put(&mut self.layers, text),
            "layer_dropout" => put(&mut self.layer_dropout, text),
            "edge_dropout" => put(&mut self.edge_dropout, text),
            "activations" => put(&mut self.activations, text.trim_matches('"')),
            "learning_rate" => put(&mut self.learning_rate, text),
            "seed" => put(&mut self.seed, text),
            _ => false,
        };
        let what = || format!("'{text}' is no value of it");
        let hint = || "gossamer train --help has the settings".into();
        good.then_some(()).ok_or_else(|| Error::Setting {
            key: key.into(),
            what: what(),
            hint: hint(),
        })
    }

    /// Checks names and numbers.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        let recommender = find(&self.model)?;
        let counts = [
            ("nearest", self.nearest),
            ("dim", self.dim),
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("negatives", self.negatives),
            ("layers", self.layers + 1),
        ];
        let wrong = |key: &str, what: String, hint: &str| {
            Err(Error::Setting { key: key.into(), what, hint: hint.into() })
        };
        for (key, value) in counts {
            if value == 0 || value > 1 << 16 {
                let what = format!("{value} is none that a recommender can have");
                return wrong(key, what, "write a number from 1 to 65536");
            }
        }
        let weights = [
            ("regularisation", self.regularisation),
            ("facts", self.facts),
            ("absent", self.absent),
            ("learning_rate", self.learning_rate),
        ];
        for (key, value) in weights {
            if !(0.0..=1e9).contains(&value) {
                let what = format!("{value} is no weight");
                return wrong(key, what, "write a number from 0 on, such as 60");
            }
        }
        for (key, part) in
            [("layer_dropout", self.layer_dropout), ("edge_dropout", self.edge_dropout)]
        {
            if !(0.0..=0.95).contains(&part) {
                return wrong(key, format!("{part} is no part to leave out"), "from 0 to 0.95");
            }
        }
        Activations::parse(&self.activations)?;
        let usual = Self::of(&self.model)?;
        for (key, one, other) in [
            ("regularisation", self.regularisation, usual.regularisation),
            ("facts", self.facts, usual.facts),
            ("nearest", self.nearest as f32, usual.nearest as f32),
            ("dim", self.dim as f32, usual.dim as f32),
            ("absent", self.absent, usual.absent),
            ("epochs", self.epochs as f32, usual.epochs as f32),
            ("batch", self.batch as f32, usual.batch as f32),
            ("negatives", self.negatives as f32, usual.negatives as f32),
            ("hardest", u8::from(self.hardest).into(), u8::from(usual.hardest).into()),
            ("layers", self.layers as f32, usual.layers as f32),
            ("layer_dropout", self.layer_dropout, usual.layer_dropout),
            ("edge_dropout", self.edge_dropout, usual.edge_dropout),
            ("activations", f32::from(u8::from(self.activations != usual.activations)), 0.0),
            ("learning_rate", self.learning_rate, usual.learning_rate),
        ] {
            if one != other && !recommender.own().contains(&key) {
                let what = format!("{} has no such setting", self.model);
                return wrong(key, what, &format!("it has: {}", recommender.own().join(", ")));
            }
        }
        Ok(())
    }
}

/// How many users, items, interactions and pairs of item and neighbour there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Users.
    pub n_users: u64,
    /// Items.
    pub n_items: u64,
    /// Training interactions.
    pub n_interactions: u64,
    /// Facts.
    pub n_facts: u64,
    /// Relations of facts.
    pub n_relations: u64,
    /// Entities that facts are about and that are neither users nor items.
    pub n_others: u64,
}

impl Shape {
    /// That of a problem.
    pub fn of(problem: &Problem) -> Self {
        let (n_relations, n_others) = problem.sizes_of_facts();
        Self {
            n_users: problem.users.len() as u64,
            n_items: problem.items.len() as u64,
            n_interactions: problem.interactions[0].n_values() as u64,
            n_facts: problem.facts.len() as u64,
            n_relations,
            n_others,
        }
    }

    /// Users, items and others.
    pub fn n_nodes(&self) -> u64 {
        self.n_users + self.n_items + self.n_others
    }
}

/// What learning brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was learned.
    pub learned: Learned,
    /// What a step kept between its ways, of those that have such.
    pub kept: Option<Ledger>,
    /// Steps that were made.
    pub steps: u64,
    /// Seconds of these.
    pub of_steps: f64,
    /// Passes over the interactions that were made.
    pub epochs: u64,
}

impl From<Learned> for Outcome {
    fn from(learned: Learned) -> Self {
        Self { learned, kept: None, steps: 0, of_steps: 0.0, epochs: 0 }
    }
}

/// A way to recommend.
pub trait Recommender: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// The settings that it has.
    fn own(&self) -> &'static [&'static str];
    /// Its values of them, on those of all.
    fn defaults(&self, settings: Settings) -> Settings;
    /// Adds what learning takes, what is learned included.
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger);
    /// Learns.
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Request`].
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error>;
}

/// The bytes of learning and judging.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn plan(shape: &Shape, settings: &Settings, machine: &Machine) -> Result<Ledger, Error> {
    settings.check()?;
    let mut ledger = Ledger::default();
    add_program(&mut ledger, machine.workers.n_threads() as u64);
    let bytes = 16 * shape.n_interactions + 16 * (shape.n_users + shape.n_items);
    ledger.add("interactions", format!("{}", shape.n_interactions), "u32", bytes);
    find(&settings.model)?.plan(shape, settings, &mut ledger);
    judge::plan(shape, &mut ledger);
    let smallest = ledger.total();
    match machine.budget_bytes {
        Some(asked) if asked < smallest => {
            Err(Error::BudgetTooSmall { asked, smallest, ledger: Box::new(ledger) })
        }
        _ => Ok(ledger),
    }
}

/// Learns to recommend.
///
/// # Errors
/// Those of the settings and of [`Recommender::learn`].
pub fn learn(
    problem: Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    settings.check()?;
    find(&settings.model)?.learn(problem, settings, machine, observer)
}
