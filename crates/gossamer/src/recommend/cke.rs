//! CKE: factors of items beside rows of what is said of them.

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

/// Collaborative knowledge base embedding, its structural part.
#[derive(Debug)]
pub struct Cke;

impl Recommender for Cke {
    fn name(&self) -> &'static str {
        "cke"
    }
    fn summary(&self) -> &'static str {
        "factors of items, to which rows are added that facts have taught by translations"
    }
    fn formula(&self) -> &'static str {
        "⟨u, q_i + e_i⟩; between epochs −log σ(d(h, r, t') − d(h, r, t)), d = ‖h·W_r + r − t·W_r‖²"
    }
    fn paper(&self) -> &'static str {
        "Zhang et al.: Collaborative Knowledge Base Embedding for Recommender Systems (KDD 2016)"
    }
    fn own(&self) -> &'static [&'static str] {
        &["dim", "learning_rate", "regularisation", "epochs", "batch", "negatives", "facts"]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings { epochs: 300, regularisation: 1e-2, learning_rate: 0.001, facts: 1.0, ..settings }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (rows, dim) = (sizes.n_users + sizes.n_items, settings.dim as u64);
        let (entities, labels) = (sizes.n_items + sizes.n_others, sizes.n_relations.max(1));
        needs::parameters((rows + entities) * dim + labels * (dim + dim * dim), ledger);
        let (batch, [users, items]) = (settings.batch as u64, needs::named(settings));
        let facts = Facts { entities, relations: labels, dim, matrix: dim * dim };
        let tables = [(sizes.n_users, users), (sizes.n_items, items), (entities, items)];
        let of_pairs: u64 = tables.map(|(rows, named)| needs::of_table(rows, named)).iter().sum();
        let step = (of_pairs * dim).max(facts.of_a_step(batch));
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
        let n_entities = nodes.n() - nodes.n_users;
        let translation =
            Translation { drawn: (0, n_entities), entities: 2, relations: 3, projections: Some(4) };
        let labels = nodes.relations.len().max(1);
        let sizes = [nodes.n_users, nodes.n_items, n_entities, labels, settings.dim];
        let triples = nodes.into_facts_of_entities();
        let mut body = Ckes { sizes, triples, translation };
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

struct Ckes {
    sizes: [usize; 5],
    triples: Vec<[u32; 3]>,
    translation: Translation,
}

impl Body for Ckes {
    fn shapes(&self) -> Vec<Shape> {
        let [users, items, entities, labels, dim] = self.sizes;
        let tables = [users, items, entities, labels].map(|rows| Shape::matrix(rows, dim));
        tables.into_iter().chain([Shape::matrix(labels, dim * dim)]).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(0, Place::From(0)), (1, Place::From(0))]
    }
    fn sides(&self) -> Vec<Side> {
        let side = |array| Side { user: (0, Place::From(0)), item: (array, Place::From(0)) };
        vec![side(1), side(2)]
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        // Items stand first among entities.
        let [users, items, ..] = self.sizes;
        let which = [asked.users(0, users), asked.items(0, items), asked.items(0, items)];
        let each = parameters.iter().zip(which);
        each.map(|(parameter, which)| Made::of(tape, *parameter, which)).collect()
    }
    fn after_epoch(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        self.translation.epoch(&self.triples, state, with).map(|_| ())
    }
}
