//! KCAN: the neighbours of a user and an item that attention finds, weighed anew for the two of them.

use gossamer_machine::{Address, Ledger, Machine, Observer, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::codec::Codec;
use gossamer_tensor::codec::float32::Float32;
use gossamer_tensor::tape::op::attend_for::{Around, NOBODY};
use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::batch::{Batch, Pair};
use super::body::{Asked, At, Between, Body, Made, Place, Side, State};
use super::conditioned::Conditioned;
use super::kgat::attend;
use super::nodes::{Both, Nodes, places};
use super::pairwise;
use super::problem::Problem;
use super::scores::{Learned, Matrix, check_numbers};
use super::translate::{Shape as Facts, Translation};
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Knowledge-aware conditional attention network.
#[derive(Debug)]
pub struct Kcan;

impl Recommender for Kcan {
    fn name(&self) -> &'static str {
        "kcan"
    }
    fn summary(&self) -> &'static str {
        "a short list scored anew by what is around user and item, weighed for the two of them"
    }
    fn formula(&self) -> &'static str {
        "⟨x_u, x_i⟩ + ⟨y_u, y_i⟩; x = leaky(Σ a·e·W + b + e), y = leaky(Σ ½(a + α)·x·V + c + x), \
         α = softmax(leaky(⟨w, x_u ‖ x_i ‖ x ‖ x'⟩)) among the K with most a"
    }
    fn paper(&self) -> &'static str {
        "Tu et al.: Conditional Graph Attention Networks for Distilling and Refining Knowledge Graphs in \
         Recommendation (CIKM 2021); a is learned as KGAT's, ends are compared by their product"
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
            "listed",
            "layer_dropout",
            "activations",
            "facts",
        ]
    }
    fn least_layers(&self) -> usize {
        1
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            layers: 1,
            nearest: 8,
            listed: 100,
            epochs: 500,
            regularisation: 1e-3,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (n, dim) = (sizes.n_nodes(), settings.dim as u64);
        let (hops, k) = (settings.layers as u32, settings.nearest as u64);
        let labels = sizes.n_relations + 1;
        let layers = (1 + u64::from(hops)) * (dim + 1) * dim;
        needs::parameters(n * dim + labels * (dim + dim * dim) + 4 * dim + layers, ledger);
        // A pair's two ends, their neighbours, theirs …
        let ends = 2 * settings.batch as u64 * (1 + settings.negatives as u64);
        let level = |level: u32| ends.saturating_mul(k.saturating_pow(level));
        let rows: u64 = (0..hops).map(level).fold(0, u64::saturating_add);
        needs::kept(settings, (n, 2 * dim), (dim, 0), ledger);
        // Sums of each hop; from the second on also what they are sums of.
        let of_hops = if hops > 1 { 2 * dim } else { dim };
        needs::kept(settings, (rows, of_hops), (dim, 0), ledger);
        // Found by counting: two of all nodes, and four of what hops make.
        let step = 2 * n * dim + rows.saturating_mul(4 * dim);
        let relations = sizes.n_relations + 1;
        let facts = Facts { entities: n, relations, dim, matrix: dim * dim };
        let step = step.max(facts.of_a_step(settings.batch as u64));
        needs::arrays(settings, step, (n, n, dim), ledger);
        facts.plan(settings.batch as u64, sizes.n_threads, ledger);
        let triples = sizes.n_interactions + sizes.n_facts;
        needs::held(sizes, 4 * step + 44 * triples, ledger);
        ledger.add("triples", format!("{triples}"), "u32", 12 * triples);
        ledger.add("neighbours", format!("2 × {triples}"), "f32", 32 * triples + 4 * n);
        let near = n * (k + 1);
        ledger.add("nearest neighbours", format!("{n} × {}", k + 1), "f32", 28 * near);
        let bytes = rows.saturating_mul(16 + 16 * k);
        ledger.add("subgraphs", format!("{rows} × {k}"), "u32", bytes);
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
        let n = Sizes::of(&problem).n_nodes() as usize;
        check_numbers(n, (self.name(), "kgin or lightkg"))?;
        let mut body = Kcans::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Places of parameters; after them W and b of all nodes, then of each hop around a pair.
const NODES: usize = 0;
const RELATIONS: usize = 1;
const PROJECTIONS: usize = 2;
const WORTH: usize = 3;
const FIRST: usize = 4;

/// Its rows.
pub struct Kcans {
    n_users: usize,
    n_items: usize,
    n_relations: usize,
    dim: usize,
    hops: usize,
    listed: usize,
    dropout: f32,
    both: Both,
    /// The label of each neighbour.
    labels: Vec<u32>,
    translation: Translation,
    /// The neighbours that count most, of which K are used.
    distilled: Distilled,
}

/// Of each node the neighbours with most attention: one more than K, since one may be the other end
/// of a pair.
struct Distilled {
    k: usize,
    /// Places among all neighbours, or [`NOBODY`].
    places: Vec<u32>,
}

impl Distilled {
    fn of(both: &Both, k: usize) -> Self {
        let mut places = Vec::with_capacity(both.forward.n_rows() * (k + 1));
        let weights = &both.forward.weights;
        for node in 0..both.forward.n_rows() {
            let mut own: Vec<u32> = both.own(node).map(|place| place as u32).collect();
            let worth = |place: &u32| weights[*place as usize];
            own.sort_by(|one, other| worth(other).total_cmp(&worth(one)).then(one.cmp(other)));
            own.resize(k + 1, NOBODY);
            places.extend(own);
        }
        Self { k, places }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        &self.places[node as usize * (self.k + 1)..][..self.k + 1]
    }
}

impl Kcans {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let (n_users, n_items, n_relations) = (nodes.n_users, nodes.n_items, nodes.n_relations());
        let both = nodes.into_both(problem);
        let mut labels = vec![0; 2 * both.triples.len()];
        for ([_, relation, _], [one, other]) in
            both.triples.iter().zip(places(&both.forward.starts, &both.triples))
        {
            (labels[one], labels[other]) = (*relation, relation + n_relations as u32);
        }
        let translation = Translation {
            drawn: (n_users, both.forward.n_rows() - n_users),
            entities: NODES,
            relations: RELATIONS,
            projections: Some(PROJECTIONS),
        };
        Self {
            n_users,
            n_items,
            n_relations,
            dim: settings.dim,
            hops: settings.layers,
            listed: settings.listed,
            dropout: settings.layer_dropout,
            distilled: Distilled::of(&both, settings.nearest),
            both,
            labels,
            translation,
        }
    }

    /// The neighbours of a node that count for a pair, and what they are given: not each other.
    fn around(&self, node: u32, pair: [u32; 2]) -> impl Iterator<Item = (u32, f32)> {
        let other = pair.into_iter().find(|end| *end != node).filter(|_| pair.contains(&node));
        let places: &[u32] = if node == NOBODY { &[] } else { self.distilled.of_node(node) };
        let there = places.iter().take_while(|place| **place != NOBODY);
        let of = |place: &u32| {
            let place = *place as usize;
            (self.both.forward.columns[place], self.both.forward.weights[place])
        };
        let near = there.map(of).filter(move |(near, _)| other != Some(*near));
        let near: Vec<(u32, f32)> = near.take(self.distilled.k).collect();
        let sum: f32 = near.iter().map(|(_, given)| given).sum();
        near.into_iter().map(move |(near, given)| (near, given / sum.max(f32::MIN_POSITIVE)))
    }

    /// Users and items of pairs as nodes, one of each pair's items after the other.
    fn ends(&self, pairs: &Batch) -> Vec<[u32; 2]> {
        let first = self.n_users as u32;
        let of_pair =
            |pair: Pair<'_>| pair.items.iter().map(|item| [pair.user, first + item]).collect();
        pairs.iter().flat_map::<Vec<_>, _>(of_pair).collect()
    }

    /// What each hop sees: levels of nodes around the ends of pairs, users first, then items; at
    /// first nodes, then rows of the hop before.
    fn subgraphs(&self, ends: &[[u32; 2]]) -> Vec<Around> {
        let (k, n) = (self.distilled.k, ends.len());
        let mut levels: Vec<Vec<u32>> =
            vec![[0, 1].into_iter().flat_map(|end| ends.iter().map(move |of| of[end])).collect()];
        let mut given: Vec<Vec<f32>> = Vec::new();
        for level in 0..self.hops {
            let (own, of) = (&levels[level], k.pow(level as u32));
            let mut near = vec![NOBODY; own.len() * k];
            let mut shares = vec![0.0; near.len()];
            for (row, node) in own.iter().enumerate() {
                for (place, found) in self.around(*node, ends[row / of % n]).enumerate() {
                    (near[row * k + place], shares[row * k + place]) = found;
                }
            }
            levels.push(near);
            given.push(shares);
        }
        let hop = |hop: usize| {
            let mut around = Around { n_near: k, ..Around::default() };
            let mut first = 0;
            for level in 0..self.hops - hop {
                let (own, near) = (&levels[level], &levels[level + 1]);
                let of = k.pow(level as u32);
                let pair = |row: usize| row / of % n;
                if hop == 0 {
                    around.pairs.extend((0..own.len()).map(|row| ends[pair(row)]));
                    around
                        .own
                        .extend(own.iter().map(|node| if *node == NOBODY { 0 } else { *node }));
                    around.near.extend(near);
                } else {
                    let pairs = (0..own.len()).map(pair).map(|p| [p as u32, (n + p) as u32]);
                    around.pairs.extend(pairs);
                    around.own.extend(first as u32..(first + own.len()) as u32);
                    let after = first + own.len();
                    let row = |(place, node): (usize, &u32)| match *node {
                        NOBODY => NOBODY,
                        _ => (after + place) as u32,
                    };
                    around.near.extend(near.iter().enumerate().map(row));
                }
                around.given.extend(&given[level]);
                first += own.len();
            }
            around
        };
        (0..self.hops).map(hop).collect()
    }

    /// x of all nodes.
    fn nodes<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        dropout: f32,
    ) -> Var<'a> {
        let matrix = BothWays { forward: &self.both.forward, backward: &self.both.backward };
        let own = parameters[NODES].var();
        let mut sums = tape.sum_neighbours(&own, matrix, 0.0);
        let made = tape.linear("sums", &mut sums, parameters[FIRST]);
        let made = tape.add_bias(made, parameters[FIRST + 1]);
        let made = tape.add(made, &own, 1.0);
        let made = tape.leak("nodes", made);
        tape.leave_out(made, dropout)
    }
}

impl Body for Kcans {
    fn shapes(&self) -> Vec<Shape> {
        let (dim, labels) = (self.dim, self.n_relations);
        let tables =
            [(self.both.forward.n_rows(), dim), (labels, dim), (labels, dim * dim), (4, dim)];
        let tables = tables.map(|(rows, width)| Shape::matrix(rows, width));
        let hops = (0..=self.hops).flat_map(|_| [Shape::matrix(dim, dim), Shape::bias(dim)]);
        tables.into_iter().chain(hops).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(NODES, Place::From(0)), (NODES, Place::From(self.n_users))]
    }
    fn sides(&self) -> Vec<Side> {
        vec![
            Side { user: (0, Place::From(0)), item: (0, Place::From(self.n_users)) },
            Side { user: (1, Place::Next), item: (2, Place::Next) },
        ]
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        /// What is kept of each hop's rows; those beyond share the last name.
        const NAMES: [&str; 3] = ["hop 1", "hop 2", "hop 3 and on"];
        let Asked::Pairs(pairs) = asked else { return Vec::new() };
        let mut rows = self.nodes(tape, parameters, asked.dropout(self.dropout));
        let which = asked.nodes(self.n_users, self.n_users + self.n_items);
        let which = Rows::these(which, rows.value().rows);
        let all = Made { rows: tape.pick_rows(&rows, &which), which };
        let ends = self.ends(pairs);
        for (hop, around) in self.subgraphs(&ends).into_iter().enumerate() {
            let (name, own) = (NAMES[hop.min(NAMES.len() - 1)], &parameters[FIRST + 2 + 2 * hop..]);
            let before = tape.pick(&rows, around.own.clone());
            let mut sums = tape.attend_for(name, &mut rows, parameters[WORTH], around);
            let made = tape.linear(name, &mut sums, own[0]);
            let made = tape.add_bias(made, own[1]);
            let made = tape.add(made, &before, 1.0);
            rows = tape.leak(name, made);
        }
        let n = ends.len() as u32;
        let [users, items] = [0..n, n..2 * n].map(|of| tape.pick(&rows, of.collect()));
        vec![all, users.into(), items.into()]
    }
    fn after_epoch(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        self.translation.epoch(&self.both.triples, state, with)?;
        let tables = [NODES, RELATIONS, PROJECTIONS].map(|place| &state.parameters[place]);
        attend(&mut self.both, tables, with.machine);
        self.distilled = Distilled::of(&self.both, self.distilled.k);
        Ok(())
    }
    fn learned(&self, parameters: &[Array], _: (usize, usize), machine: &Machine) -> Learned {
        let exact: &dyn Fn(usize) -> &'static dyn Codec = &|_| &Float32;
        let mut tape = Tape::new(machine, exact, Address::new(0, Purpose::Layer, 0));
        tape.forget();
        let all: Vec<Parameter<'_>> =
            parameters.iter().map(|array| tape.parameter(array)).collect();
        let matrix = |of: &Array| Matrix { values: of.values.to_vec(), width: of.width };
        let nodes = matrix(self.nodes(&mut tape, &all, 0.0).value());
        let of_hops = |first: usize| Matrix {
            values: parameters[first..]
                .iter()
                .step_by(2)
                .flat_map(|of| of.values.iter().copied())
                .collect(),
            width: self.dim,
        };
        let of_near = |of: &dyn Fn(usize) -> f32, none: f32| Matrix {
            values: self
                .distilled
                .places
                .iter()
                .map(|place| if *place == NOBODY { none } else { of(*place as usize) })
                .collect(),
            width: self.distilled.k + 1,
        };
        let Both { forward, .. } = &self.both;
        Learned::Conditioned(Conditioned {
            nodes,
            near: of_near(&|place| forward.columns[place] as f32, -1.0),
            given: of_near(&|place| forward.weights[place], 0.0),
            labels: of_near(&|place| self.labels[place] as f32, 0.0),
            worth: matrix(&parameters[WORTH]),
            weights: of_hops(FIRST + 2),
            biases: of_hops(FIRST + 3),
            listed: Matrix { values: vec![self.listed as f32], width: 1 },
            n_users: self.n_users,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;

    fn body(layers: usize) -> (Kcans, Vec<Array>, Machine) {
        let machine = Machine::new(2, None);
        let usual = Settings::of("kcan").unwrap();
        let settings = Settings { dim: 6, nearest: 3, layers, listed: 4, ..usual };
        let body = Kcans::of(&mut two_tastes(12, 10), &settings);
        let filled = |(number, shape): (u64, Shape)| {
            let address = Address::new(number, Purpose::Synthetic, 0);
            let n = (shape.rows * shape.width) as u32;
            let values: Vec<f32> = (0..n).map(|i| 0.5 * address.normal(i, 0)).collect();
            Array::of(&machine.buffers, &values, shape.width)
        };
        let parameters = (0..).zip(body.shapes()).map(filled).collect();
        (body, parameters, machine)
    }

    #[test]
    fn scores_of_the_list_are_those_that_are_learned_by() {
        for layers in [1, 2, 3] {
            let (body, parameters, machine) = body(layers);
            let exact = |_: usize| &Float32 as &'static dyn Codec;
            let mut tape = Tape::new(&machine, &exact, Address::new(0, Purpose::Dropout, 0));
            let all: Vec<Parameter<'_>> = parameters.iter().map(|of| tape.parameter(of)).collect();
            let pairs = Batch::new(vec![4], (0..10).collect(), 10);
            let made = body.forward(&mut tape, &all, Asked::Pairs(&pairs));
            let Learned::Conditioned(learned) = body.learned(&parameters, (12, 10), &machine)
            else {
                panic!("not its tables");
            };
            for item in 0..10 {
                let [user, other] = [1, 2].map(|of| made[of].rows.value().row(item));
                let wanted: f32 = user.iter().zip(other).map(|(u, v)| u * v).sum();
                let found = learned.within(4, item, machine.instruction_set);
                assert!((wanted - found).abs() < 1e-4, "{layers} {item}: {wanted} {found}");
            }
        }
    }

    #[test]
    fn the_list_comes_first_and_holds_nothing_that_the_user_has() {
        let (body, parameters, machine) = body(1);
        let learned = body.learned(&parameters, (12, 10), &machine);
        let Learned::Conditioned(own) = &learned else { panic!("not its tables") };
        let (mut scores, history) = (vec![0.0; 10], [2, 7]);
        learned.scores_of((4, &history), &machine, &mut scores);
        let plain = |item: usize| -> f32 {
            own.nodes.row(4).iter().zip(own.nodes.row(12 + item)).map(|(u, v)| u * v).sum()
        };
        let mut order: Vec<usize> = (0..10).filter(|item| ![2, 7].contains(item)).collect();
        order.sort_by(|one, other| plain(*other).total_cmp(&plain(*one)));
        let anew = |item: &usize| plain(*item) + own.within(4, *item, machine.instruction_set);
        let rest = order.split_off(4);
        order.sort_by(|one, other| anew(other).total_cmp(&anew(one)));
        let mut found: Vec<usize> = (0..10).filter(|item| ![2, 7].contains(item)).collect();
        found.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        assert_eq!(found, [order, rest].concat());
    }

    #[test]
    fn the_pair_itself_is_no_neighbour_of_its_ends() {
        let (body, _, _) = body(1);
        let problem = two_tastes(12, 10);
        let user = 4;
        let item = 12 + problem.interactions[0].of(user as usize)[0];
        let near = |node: u32, pair: [u32; 2]| -> Vec<u32> {
            body.around(node, pair).map(|(near, _)| near).collect()
        };
        for (node, other) in [(user, item), (item, user)] {
            assert!(near(node, [node, 999]).len() == 3 || near(node, [node, 999]).contains(&other));
            assert!(!near(node, [user, item]).contains(&other));
        }
        // Of those between other ends, all are there.
        assert!(body.around(item, [0, 13]).count() > 0);
        let sum: f32 = body.around(item, [user, item]).map(|(_, given)| given).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}
