//! CFKG: interacting is a relation like others.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::tape::{Parameter, Tape};

use super::body::{Asked, At, Between, Body, Made, Place, Side, State};
use super::nodes::Nodes;
use super::pairwise;
use super::problem::Problem;
use super::translate::{Shape as Facts, Translation};
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Collaborative filtering over a knowledge graph.
#[derive(Debug)]
pub struct Cfkg;

impl Recommender for Cfkg {
    fn name(&self) -> &'static str {
        "cfkg"
    }
    fn summary(&self) -> &'static str {
        "users, items and what facts are about in one table, interacting being one of the relations"
    }
    fn formula(&self) -> &'static str {
        "⟨u + interacts, i⟩ for pairs, ⟨h + r, t⟩ for facts between epochs"
    }
    fn paper(&self) -> &'static str {
        "Ai et al.: Learning Heterogeneous Knowledge Base Embeddings for Explainable Recommendation \
         (Algorithms 2018), with products in place of distances"
    }
    fn own(&self) -> &'static [&'static str] {
        &["dim", "learning_rate", "regularisation", "epochs", "batch", "negatives", "facts"]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { epochs: 300, regularisation: 1e-3, facts: 1.0, ..settings }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (rows, dim) = (sizes.n_users + sizes.n_items, settings.dim as u64);
        needs::parameters((sizes.n_nodes() + sizes.n_relations + 1) * dim, ledger);
        let (batch, n, relations) = (settings.batch as u64, sizes.n_nodes(), sizes.n_relations + 1);
        let facts = Facts { entities: n, relations, dim, matrix: 0 };
        let of_nodes = needs::of_table(n, needs::named(settings).iter().sum());
        let step = ((of_nodes + 2 * relations) * dim).max(facts.of_a_step(batch));
        needs::arrays(settings, step, (0, rows, 2 * dim), ledger);
        facts.plan(batch, sizes.n_threads, ledger);
        needs::facts(sizes, ledger);
        needs::pairs(settings, ledger);
    }
    fn learn(
        &self,
        problem: Problem,
        settings: &Settings,
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Outcome, Error> {
        let mut problem = problem.with_weight(settings.facts);
        let nodes = Nodes::of(&mut problem);
        let translation = Translation {
            drawn: (nodes.n_users, nodes.n() - nodes.n_users),
            entities: 0,
            relations: 1,
            projections: None,
        };
        let mut body = Cfkgs { nodes, dim: settings.dim, translation };
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

struct Cfkgs {
    nodes: Nodes,
    dim: usize,
    translation: Translation,
}

impl Body for Cfkgs {
    fn shapes(&self) -> Vec<Shape> {
        let rows = [self.nodes.n(), self.nodes.n_relations()];
        rows.map(|rows| Shape::matrix(rows, self.dim)).to_vec()
    }
    fn tables(&self) -> [At; 2] {
        [(0, Place::From(0)), (0, Place::From(self.nodes.n_users))]
    }
    fn sides(&self) -> Vec<Side> {
        let item = (0, Place::From(self.nodes.n_users));
        let interacts = self.nodes.relations.len();
        let users = [(0, Place::From(0)), (1, Place::One(interacts))];
        users.map(|user| Side { user, item }).to_vec()
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        let (n_users, n_items) = (self.nodes.n_users, self.nodes.n_items);
        let nodes = asked.nodes(n_users, n_users + n_items);
        vec![Made::of(tape, parameters[0], nodes), parameters[1].var().into()]
    }
    fn after_epoch(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        self.translation.epoch(&self.nodes.facts, state, with).map(|_| ())
    }
}
