//! KGIN: users by intents, which are means of relations, over entities whose neighbours are told apart by
//! relations.

use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::sparse::{Labelled, Sparse};
use gossamer_tensor::tape::op::compose::{Around, Composition};
use gossamer_tensor::tape::op::entries::reached;
use gossamer_tensor::tape::op::intents::Given;
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::op::normalise::Direction;
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Gradients, Parameter, Tape, Var};

use super::batch::Batch;
use super::body::{Asked, At, Body, Made, Place, Side};
use super::nodes::{Nodes, means_of_items};
use super::pairwise;
use super::problem::Problem;
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Intents that every user shares.
const INTENTS: usize = 4;
/// Weight of what intents have in common.
const ALIKE: f32 = 1e-4;

/// Knowledge graph-based intent network.
#[derive(Debug)]
pub struct Kgin;

impl Recommender for Kgin {
    fn name(&self) -> &'static str {
        "kgin"
    }
    fn summary(&self) -> &'static str {
        "users by intents that relations make, entities by neighbours and relations; hops added"
    }
    fn formula(&self) -> &'static str {
        "e' = mean of r ∘ e_t; u' = mean of items ∘ (1 + Σ softmax(⟨u, q_p⟩)·(softmax(w_p)·R)); \
         each hop's rows of length one, added"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: Learning Intents behind Interactions with Knowledge Graph for Recommendation \
         (WWW 2021)"
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
            "layer_dropout",
            "edge_dropout",
            "activations",
            "facts",
        ]
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            layers: 1,
            epochs: 500,
            regularisation: 1e-4,
            learning_rate: 0.002,
            layer_dropout: 0.1,
            edge_dropout: 0.5,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (n, dim, hops) = (sizes.n_nodes(), settings.dim as u64, settings.layers as u64);
        let labels = 2 * sizes.n_relations;
        needs::parameters((n + labels + INTENTS as u64) * dim + INTENTS as u64 * labels, ledger);
        let before = hops.saturating_sub(1);
        needs::kept(settings, (n, before * dim), (0, before), ledger);
        let picked = n.min(settings.batch as u64 * (settings.negatives as u64 + 2));
        needs::kept(settings, (picked, dim), (0, 1), ledger);
        let rows = sizes.n_users + sizes.n_items;
        // Found by counting: three of all nodes, of two hops half of one less; one where no hop
        // stands on another, for then those rows alone are made that are compared.
        let (all, of_compared) = match before {
            0 => (n, 3 * picked),
            1 => (5 * n / 2, picked),
            _ => (3 * n, picked),
        };
        needs::arrays(settings, (all + of_compared) * dim, (all, rows, dim), ledger);
        let entries = 2 * sizes.n_facts;
        let bytes = 20 * entries + 16 * sizes.n_interactions + 16 * n;
        ledger.add("neighbours", format!("2 × {entries}"), "f32", bytes);
        // Sixteen parts of what belongs to labels.
        ledger.add("parts of labels", format!("16 × {labels} × {dim}"), "f32", 64 * labels * dim);
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
        let mut body = Kgins::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Places of parameters.
const USERS: usize = 0;
const ENTITIES: usize = 1;
const RELATIONS: usize = 2;
const SOUGHT: usize = 3;
const WEIGHTS: usize = 4;

/// Its rows.
pub struct Kgins {
    sizes: [usize; 4],
    n_items: usize,
    hops: usize,
    dropouts: [f32; 2],
    facts: [Labelled; 2],
    items: [Sparse; 2],
}

impl Kgins {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let (n_users, n_items) = (nodes.n_users, nodes.n_items);
        let n_entities = nodes.n() - n_users;
        let items = means_of_items(problem);
        let facts = nodes.into_around_entities();
        Self {
            sizes: [n_users, n_entities, facts[0].n_labels, settings.dim],
            n_items,
            hops: settings.layers,
            dropouts: [settings.layer_dropout, settings.edge_dropout],
            facts,
            items: [items.transposed(), items],
        }
    }

    /// Who stands around whom in each hop: of the last those items alone are made that are
    /// compared; before, all items, which users are made of, and whom the next hop asks for.
    fn around(&self, tape: &mut Tape<'_>, compared: &Rows, dropout: f32) -> Vec<Around<'_>> {
        let [forward, backward] = &self.facts;
        let mut wanted = compared.clone();
        let mut hops = Vec::with_capacity(self.hops);
        for (left, dropout) in (0..self.hops).rev().zip(tape.dropouts(dropout, self.hops)) {
            let given = match left {
                0 => Rows::All,
                _ => reached(&wanted, forward, dropout, self.n_items),
            };
            let matrix = BothWays { forward, backward };
            hops.push(Around { matrix, given: given.clone(), wanted, dropout });
            wanted = given;
        }
        hops.reverse();
        hops
    }
}

impl Body for Kgins {
    fn shapes(&self) -> Vec<Shape> {
        let [users, entities, labels, dim] = self.sizes;
        let tables = [users, entities, labels, INTENTS].map(|rows| Shape::matrix(rows, dim));
        tables.into_iter().chain([Shape::matrix(INTENTS, labels)]).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(USERS, Place::From(0)), (ENTITIES, Place::From(0))]
    }
    fn sides(&self) -> Vec<Side> {
        vec![Side { user: (0, Place::From(0)), item: (1, Place::From(0)) }]
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        let [dropout, of_edges] = self.dropouts.map(|part| asked.dropout(part));
        let which = [asked.users(0, self.sizes[USERS]), asked.items(0, self.n_items)];
        let which =
            [USERS, ENTITIES].map(|place| Rows::these(which[place].clone(), self.sizes[place]));
        let [backward, forward] = &self.items;
        let items = BothWays { forward, backward };
        let mut intents = tape.mix(parameters[WEIGHTS], &mut parameters[RELATIONS].var());
        let [mut users, mut entities] = [USERS, ENTITIES].map(|place| parameters[place].var());
        let pick =
            |tape: &mut Tape<'a>, place: usize, of: &Var<'a>| tape.pick_rows(of, &which[place]);
        let mut sums =
            [USERS, ENTITIES].map(|place| Some(pick(tape, place, &parameters[place].var())));
        for (hop, around) in self.around(tape, &which[ENTITIES], of_edges).into_iter().enumerate() {
            let is_last = hop + 1 == self.hops;
            let (sought, intents) = (&mut parameters[SOUGHT].var(), &mut intents);
            let given = Given { rows: &mut entities, own: &mut users, sought, intents };
            let by_items = tape.intents(["entities", "users"], given, items, of_edges);
            let rows = [&mut entities, &mut parameters[RELATIONS].var()];
            let by_facts = tape.compose("entities", rows, around, Composition::Multiply);
            for (place, made) in [by_items, by_facts].into_iter().enumerate() {
                let name = ["users", "entities"][place];
                let made = if is_last && place == USERS { pick(tape, place, &made) } else { made };
                let mut made = tape.leave_out(made, dropout);
                let made = tape.normalise(name, &mut made, Direction::Output);
                if let Some(sum) = sums[place].take() {
                    let more = (!is_last).then(|| pick(tape, place, &made));
                    sums[place] = Some(tape.add(sum, more.as_ref().unwrap_or(&made), 1.0));
                }
                if place == USERS {
                    users = made;
                } else {
                    entities = made;
                }
            }
        }
        let made = sums.into_iter().flatten().zip(which);
        made.map(|(rows, which)| Made { rows, which }).collect()
    }
    fn add_gradients(
        &self,
        _pairs: &Batch,
        parameters: &[Array],
        gradients: &mut Gradients,
        _machine: &Machine,
    ) {
        let weights = &parameters[WEIGHTS];
        let slopes = of_likeness(weights);
        gradients.add(WEIGHTS, ALIKE, &slopes);
    }
}

/// The slope of Σ over pairs of rows of the square of their cosine.
fn of_likeness(weights: &Array) -> Vec<f32> {
    let norms: Vec<f32> = (0..weights.rows)
        .map(|row| vector::dot(weights.row(row), weights.row(row)).sqrt().max(1e-12))
        .collect();
    let mut out = vec![0.0; weights.values.len()];
    for one in 0..weights.rows {
        for other in (0..weights.rows).filter(|other| *other != one) {
            let [a, b] = [one, other].map(|row| weights.row(row));
            let cosine = vector::dot(a, b) / (norms[one] * norms[other]);
            let own = out[one * weights.width..].iter_mut().zip(a.iter().zip(b));
            for (out, (a, b)) in own {
                let slope = b / (norms[one] * norms[other]) - cosine * a / norms[one].powi(2);
                *out += 2.0 * cosine * slope;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_falls_along_its_slope() {
        let machine = Machine::new(1, None);
        let values: Vec<f32> = (0..12).map(|i| ((i * 7 % 5) as f32 - 1.8) * 0.4).collect();
        let mut weights = Array::of(&machine.buffers, &values, 4);
        let likeness = |of: &Array| {
            let mut sum = 0.0;
            for one in 0..of.rows {
                for other in one + 1..of.rows {
                    let dot = |a: usize, b: usize| -> f64 {
                        let pairs = of.row(a).iter().zip(of.row(b));
                        pairs.map(|(a, b)| f64::from(a * b)).sum()
                    };
                    sum += dot(one, other).powi(2) / (dot(one, one) * dot(other, other));
                }
            }
            sum
        };
        let slopes = of_likeness(&weights);
        for (at, slope) in slopes.into_iter().enumerate() {
            let before = weights.values[at];
            let mut moved = |more: f32| {
                weights.values[at] = before + more;
                likeness(&weights)
            };
            let wanted = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            weights.values[at] = before;
            assert!((wanted - f64::from(slope)).abs() < 1e-3, "{wanted} {slope}");
        }
    }
}
