//! Recommenders: which items a user will want, from interactions and facts.
//!
//! *Invariant:* the result is a function of graph and settings; threads change no bit. What is held
//! out is not learned from.
//! *Not here:* controls and baselines beside a model ([`report`]).

use gossamer_machine::{Ledger, Machine, Observer};

use crate::error::Error;

pub mod problem;
pub mod census;
pub mod settings;
mod attended;
mod nearest;
pub mod conditioned;
pub mod scores;
pub mod judge;
pub mod pairs;
mod nodes;
mod needs;
mod batch;
mod body;
mod compared;
mod pairwise;
mod translate;
mod contrast;
mod denoise;
pub mod unseen;
pub mod plans;
pub mod report;
pub mod run;
pub mod reasons;

use problem::Problem;
use scores::Learned;
pub use settings::Settings;
use unseen::Unseen;

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
    kgnn_ls::KgnnLs,
    kcan::Kcan,
    diffkg::DiffKg,
);

/// How many users, items, interactions and pairs of item and neighbour there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Users.
    pub n_users: u64,
    /// Items.
    pub n_items: u64,
    /// Training interactions.
    pub n_interactions: u64,
    /// Those that are held out.
    pub n_held_out: u64,
    /// Facts.
    pub n_facts: u64,
    /// Relations of facts.
    pub n_relations: u64,
    /// Entities that facts are about and that are neither users nor items.
    pub n_others: u64,
    /// Items that nobody has in training.
    pub n_unseen: u64,
    /// Threads that work.
    pub n_threads: u64,
    /// Whether the system gets back what is freed ([`Machine::gives_back`]).
    pub gives_back: bool,
}

impl Shape {
    /// That of a problem.
    pub fn of(problem: &Problem) -> Self {
        let [n_relations, n_others] = problem.of_facts().map(|ids| ids.len() as u64);
        let [train, valid, test] = problem.interactions.each_ref().map(|lists| lists.n_values());
        Self {
            n_users: problem.users.len() as u64,
            n_items: problem.items.len() as u64,
            n_interactions: train as u64,
            n_held_out: (valid + test) as u64,
            n_facts: problem.facts.len() as u64,
            n_relations,
            n_others,
            n_unseen: problem.unseen().len() as u64,
            n_threads: 1,
            gives_back: false,
        }
    }

    /// The same without facts.
    pub fn without_facts(self) -> Self {
        Self { n_facts: 0, n_relations: 0, n_others: 0, ..self }
    }

    /// Interactions of all splits.
    pub fn n_all(&self) -> u64 {
        self.n_interactions + self.n_held_out
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
    /// What a step kept between its ways at most, of those that have such.
    pub kept: Option<Ledger>,
    /// Steps that were made.
    pub steps: u64,
    /// Seconds of these.
    pub of_steps: f64,
    /// Passes over the interactions that were made.
    pub epochs: u64,
    /// Whether the last epoch came before enough validations were no better.
    pub cut_off: bool,
}

impl From<Learned> for Outcome {
    fn from(learned: Learned) -> Self {
        Self { learned, kept: None, steps: 0, of_steps: 0.0, epochs: 0, cut_off: false }
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
    /// True if facts give rows to items that nobody had, and say nothing else.
    fn fills_unseen(&self) -> bool {
        false
    }
    /// Layers that it needs.
    fn least_layers(&self) -> usize {
        0
    }
    /// Its values of them, on those of all.
    fn defaults(&self, settings: Settings) -> Settings;
    /// Adds what learning takes, what is learned included.
    fn plan(&self, shape: &Shape, settings: &Settings, ledger: &mut Ledger);
    /// Adds what asking takes beyond what was learned and a user's scores.
    fn plan_asking(&self, _shape: &Shape, _settings: &Settings, _ledger: &mut Ledger) {}
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

impl Settings {
    /// Whether facts only give rows to items that nobody had, of which there are some.
    fn fills(&self, shape: &Shape) -> Result<bool, Error> {
        Ok(find(&self.model)?.fills_unseen() && self.facts > 0.0 && shape.n_unseen > 0)
    }

    /// Whether facts are learned from.
    fn learns_from_facts(&self) -> Result<bool, Error> {
        let model = find(&self.model)?;
        Ok(!model.fills_unseen() && model.own().contains(&"facts") && self.facts > 0.0)
    }

    /// Whether facts are read at all.
    ///
    /// # Errors
    /// Those of an unknown model.
    pub fn reads_facts(&self, shape: &Shape) -> Result<bool, Error> {
        Ok(self.learns_from_facts()? || self.fills(shape)?)
    }
}

/// Learns to recommend.
///
/// # Errors
/// Those of the settings and of [`Recommender::learn`].
pub fn learn(
    mut problem: Problem,
    settings: &Settings,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    settings.check()?;
    let recommender = find(&settings.model)?;
    let (n_threads, mut ledger) = (machine.workers.n_threads() as u64, Ledger::default());
    let shape = Shape { n_threads, ..Shape::of(&problem) };
    let unseen = settings.fills(&shape)?.then(|| Unseen::of(&problem));
    if !settings.learns_from_facts()? {
        problem = problem.without_facts();
    }
    recommender.plan(&shape, settings, &mut ledger);
    machine.buffers.allow(needs::bytes_of_a_step(&ledger) as usize / 4);
    let learn = || recommender.learn(problem, settings, machine, observer);
    let mut outcome = machine.workers.within(learn)?;
    unseen.iter().for_each(|unseen| unseen.fill(&mut outcome.learned));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::problem::tests::two_tastes;
    use super::*;
    use gossamer_machine::Silent;

    /// Settings of a model with few of everything that it has.
    fn few(model: &dyn Recommender) -> Settings {
        let mut settings = Settings::of(model.name()).unwrap();
        let has = |key: &(&str, &str)| model.own().contains(&key.0);
        for (key, value) in
            [("dim", "6"), ("epochs", "6"), ("nearest", "3")].into_iter().filter(has)
        {
            settings.set(key, value).unwrap();
        }
        settings
    }

    #[test]
    fn what_is_held_out_for_the_test_changes_nothing_that_is_learned() {
        let machine = Machine::new(2, None);
        let problem = two_tastes(12, 20);
        let other = {
            let mut other = problem.clone();
            let all = (0..12).flat_map(|user| [(user, user % 20), (user, (7 * user + 3) % 20)]);
            other.interactions[2] = problem::Lists::of_pairs(12, all.collect());
            other
        };
        assert_ne!(problem.interactions, other.interactions);
        for model in ALL {
            let learned = |problem: &Problem| {
                learn(problem.clone(), &few(*model), &machine, &Silent).unwrap().learned
            };
            assert!(learned(&problem) == learned(&other), "{}", model.name());
        }
    }

    #[test]
    fn at_any_rate_what_is_learned_is_finite_or_there_is_an_error() {
        let machine = Machine::new(2, None);
        let mut diverged = Vec::new();
        for model in ALL.iter().filter(|model| model.own().contains(&"learning_rate")) {
            let settings = Settings { learning_rate: 1e9, ..few(*model) };
            match learn(two_tastes(12, 20), &settings, &machine, &Silent) {
                Err(Error::Diverged { .. }) => diverged.push(model.name()),
                found => {
                    let mut scores = vec![0.0; 20];
                    found.unwrap().learned.scores_of((3, &[]), &machine, &mut scores);
                    assert!(scores.iter().all(|score| score.is_finite()), "{}", model.name());
                }
            }
        }
        assert!(diverged.contains(&"kgat"), "{diverged:?}");
    }
}
