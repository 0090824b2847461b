//! KGCN: rows of items from drawn neighbours, which each user weighs by relations.

use gossamer_machine::random::{Address, Purpose};
use gossamer_machine::{Ledger, Machine, Observer};
use gossamer_tensor::array::Array;
use gossamer_tensor::tape::op::attend_by::Drawn;
use gossamer_tensor::tape::{Parameter, Tape};

use super::attended::Attended;
use super::batch::Batch;
use super::body::{Asked, At, Body, Loss, Made, Place, Side};
use super::nodes::Nodes;
use super::pairwise::{self, VALIDATE_EVERY};
use super::problem::Problem;
use super::scores::{Learned, Matrix, check_numbers};
use super::{Outcome, Recommender, Settings, Shape as Sizes, judge, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Knowledge graph convolutional network.
#[derive(Debug)]
pub struct Kgcn;

impl Recommender for Kgcn {
    fn name(&self) -> &'static str {
        "kgcn"
    }
    fn summary(&self) -> &'static str {
        "items by drawn neighbours, which each user weighs by their relations; logistic pairs"
    }
    fn formula(&self) -> &'static str {
        "⟨u, v⟩, v = tanh((e + 1/K · Σ softmax(⟨u, r⟩/dim)·e')·W + b), hop by hop"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: Knowledge Graph Convolutional Networks for Recommender Systems (WWW 2019)"
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
            epochs: 500,
            regularisation: 1e-2,
            learning_rate: 0.002,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (dim, hops, k) = (settings.dim as u64, settings.layers as u32, settings.nearest as u64);
        let n = sizes.n_items + sizes.n_others;
        let labels = sizes.n_relations + 1;
        let floats = (sizes.n_users + n + labels + u64::from(hops) * (dim + 1)) * dim;
        needs::parameters(floats, ledger);
        let (of_drawn, validated) = (8 * n * k, 4 * floats + 8 * n * k);
        ledger.add("drawn neighbours", format!("{n} × 2 × {k}"), "u32", of_drawn);
        if settings.epochs > VALIDATE_EVERY {
            let words = format!("{floats} + {n} × 2 × {k}");
            ledger.add("the best epoch's tables", words, "f32", validated);
        }
        // Rows of the levels that a hop makes: an item, its neighbours, theirs; then a level less.
        let pairs = settings.batch as u64 * (1 + settings.negatives as u64);
        let of_level = |level: u32| pairs.saturating_mul(k.saturating_pow(level));
        let of_hop = |hops: u32| (0..hops).map(of_level).fold(0, u64::saturating_add);
        let (rows, all) = (of_hop(hops), (1..=hops).map(of_hop).fold(0, u64::saturating_add));
        let before = ledger.total();
        needs::kept(settings, (all, 2 * dim), (dim, 0), ledger);
        let bytes = rows.saturating_mul(16 * k + 16);
        ledger.add("rows of levels", format!("{rows} × {k}"), "u32", bytes);
        // Slopes of weights, and one of the lists of who adds how much of whom, listed and sorted.
        let bytes = rows.saturating_mul(28 * k + 20);
        ledger.add("shares of levels", format!("{rows} × {k}"), "u32", bytes);
        // Found by counting: two arrays of the first hop's rows, or one and entities' slopes; and
        // those of users and labels.
        let of_users = needs::of_table(sizes.n_users, settings.batch as u64);
        let step = rows.saturating_add(rows.max(n)).saturating_add(of_users + 2 * labels);
        // Of these and of what is kept a sixteenth more may have room, and one may wait.
        let waiting = step.saturating_add(all.saturating_mul(2)) / 8;
        let step = step.saturating_add(waiting).saturating_mul(dim);
        ledger.add(needs::OF_A_STEP, format!("{step}"), "f32", 4 * step);
        // When that is given back: what was learned now, what scores take, and what judges them.
        let bytes = (validated + 4 * of_scores(sizes, settings)) * 17 / 16 + judge::bytes(sizes);
        let scores = bytes.saturating_sub(ledger.total() - before);
        if scores > 0 {
            ledger.add("scores while learning", "beyond a step's".into(), "f32", scores);
        }
        // Facts are gone before the first step.
        let facts = (72 * sizes.n_facts).saturating_sub(4 * step);
        if facts > 0 {
            ledger.add("facts", "beyond a step's arrays".into(), "u32", facts);
        }
        needs::pairs(settings, ledger);
    }
    fn plan_asking(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let floats = of_scores(sizes, settings);
        ledger.add("rows around items", format!("{floats}"), "f32", 4 * floats * 17 / 16);
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
        let mut body = Kgcns::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Refuses more items and others than rows of numbers can name.
///
/// # Errors
/// [`Error::Request`].
pub(super) fn check_entities(problem: &Problem, model: &str) -> Result<(), Error> {
    let [_, others] = problem.of_facts();
    check_numbers(problem.items.len() + others.len(), (model, "kgin or lightkg"))
}

/// Floats that scores take: E·W, who stands around whom, and of each thread the rows of a hop and
/// of the one before; items' own rows are not kept.
fn of_scores(sizes: &Sizes, settings: &Settings) -> u64 {
    let (n, k) = (sizes.n_items + sizes.n_others, settings.nearest as u64);
    // Whom items come from, so many hops before the last.
    let reached =
        |before: usize| n.min(sizes.n_items.saturating_mul((1 + k).saturating_pow(before as u32)));
    let all: u64 = (0..settings.layers).map(reached).sum();
    let before = settings.layers.saturating_sub(1);
    let middle: u64 = (1..=before).rev().take(2).map(reached).sum();
    (n + sizes.n_threads * middle) * settings.dim as u64 + all * (2 * k + 1)
}

/// Places of parameters; after them W and b of each hop.
pub(super) const USERS: usize = 0;
const ENTITIES: usize = 1;
pub(super) const LABELS: usize = 2;
const FIRST: usize = 3;

/// Its rows.
pub struct Kgcns {
    /// Users, entities, labels, dim.
    sizes: [usize; 4],
    hops: usize,
    k: usize,
    /// Of each entity K neighbours; and the labels of their facts.
    near: Vec<u32>,
    labels: Vec<u32>,
}

impl Kgcns {
    /// Draws each entity's neighbours: different ones as long as there are enough. Whom no fact
    /// joins to any stands beside itself, under a label of its own.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let (n_users, n_relations) = (nodes.n_users, nodes.relations.len());
        let [around, _] = nodes.into_around_entities();
        let (n, k) = (around.matrix.n_rows(), settings.nearest);
        let address = Address::new(settings.seed, Purpose::Sample, 110);
        let (mut near, mut labels) = (Vec::with_capacity(n * k), Vec::with_capacity(n * k));
        for entity in 0..n {
            // A relation has one label in both directions.
            let label = |label: usize| label % n_relations.max(1);
            let mut all: Vec<(u32, u32)> =
                around.row(entity).map(|(u, l, _)| (u as u32, label(l) as u32)).collect();
            if all.is_empty() {
                all.push((entity as u32, n_relations as u32));
            }
            for place in 0..k {
                // The first K of a shuffle, or with putting back.
                let first = if all.len() >= k { place } else { 0 };
                let left = (all.len() - first) as u64;
                let drawn = first + address.below(left, entity as u32, place as u32) as usize;
                near.push(all[drawn].0);
                labels.push(all[drawn].1);
                if all.len() >= k {
                    all.swap(place, drawn);
                }
            }
        }
        let sizes = [n_users, n, n_relations + 1, settings.dim];
        Self { sizes, hops: settings.layers, k, near, labels }
    }

    /// The entities of each level, one after the other, from the items of pairs; and who asks.
    fn levels(&self, pairs: &Batch) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        let items = pairs.items().to_vec();
        let users = pairs.users().iter().flat_map(|user| std::iter::repeat_n(*user, pairs.each()));
        let users = users.collect();
        let (mut levels, mut by): (Vec<Vec<u32>>, Vec<Vec<u32>>) = (vec![items], vec![users]);
        for level in 0..self.hops {
            let near = levels[level].iter().flat_map(|entity| self.near_of(*entity));
            let next = near.copied().collect();
            let asked =
                by[level].iter().flat_map(|user| std::iter::repeat_n(*user, self.k)).collect();
            levels.push(next);
            by.push(asked);
        }
        (levels, by)
    }

    /// An entity's neighbours.
    pub(super) fn near_of(&self, entity: u32) -> &[u32] {
        &self.near[entity as usize * self.k..][..self.k]
    }

    /// The labels of their facts.
    pub(super) fn labels_of(&self, entity: u32) -> &[u32] {
        &self.labels[entity as usize * self.k..][..self.k]
    }

    /// Who stands around whom in a hop: of entities at first, then of the rows of the hop before.
    fn drawn(&self, hop: usize, (levels, by): (&[Vec<u32>], &[Vec<u32>])) -> Drawn {
        let made = self.hops - hop;
        let mut drawn = Drawn { n_near: self.k, ..Drawn::default() };
        let mut first = 0;
        for level in 0..made {
            let n = levels[level].len();
            drawn.by.extend(&by[level]);
            for entity in &levels[level] {
                drawn.labels.extend(self.labels_of(*entity));
            }
            if hop == 0 {
                drawn.own.extend(&levels[level]);
                drawn.near.extend(&levels[level + 1]);
            } else {
                drawn.own.extend(first as u32..(first + n) as u32);
                drawn.near.extend((first + n) as u32..(first + n + n * self.k) as u32);
            }
            first += n;
        }
        drawn
    }
}

impl Body for Kgcns {
    fn shapes(&self) -> Vec<Shape> {
        let [users, entities, labels, dim] = self.sizes;
        let tables = [users, entities, labels].map(|rows| Shape::matrix(rows, dim));
        let hops = (0..self.hops).flat_map(|_| [Shape::matrix(dim, dim), Shape::bias(dim)]);
        tables.into_iter().chain(hops).collect()
    }
    fn tables(&self) -> [At; 2] {
        [(USERS, Place::From(0)), (ENTITIES, Place::From(0))]
    }
    fn sides(&self) -> Vec<Side> {
        vec![Side { user: (0, Place::From(0)), item: (1, Place::Next) }]
    }
    fn loss(&self) -> Loss {
        Loss::Logistic
    }
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        asked: Asked<'_>,
    ) -> Vec<Made<'a>> {
        /// What is kept of each hop's rows; those beyond share the last name.
        const NAMES: [&str; 4] = ["hop 1", "hop 2", "hop 3", "hop 4 and on"];
        let Asked::Pairs(pairs) = asked else { return Vec::new() };
        let (levels, by) = self.levels(pairs);
        let mut rows = parameters[ENTITIES].var();
        for hop in 0..self.hops {
            let name = NAMES[hop.min(NAMES.len() - 1)];
            let drawn = self.drawn(hop, (&levels, &by));
            let those = [parameters[USERS], parameters[LABELS]];
            let mut sums = tape.attend_by(name, &mut rows, those, drawn);
            let own = &parameters[FIRST + 2 * hop..];
            let made = tape.linear(name, &mut sums, own[0]);
            let made = tape.add_bias(made, own[1]);
            rows = match hop + 1 == self.hops {
                true => tape.tanh("items", made),
                false => tape.rectify(name, made, 0.0),
            };
        }
        let users = asked.users(0, self.sizes[USERS]);
        vec![Made::of(tape, parameters[USERS], users), rows.into()]
    }
    fn learned(&self, parameters: &[Array], _sizes: (usize, usize), _machine: &Machine) -> Learned {
        let matrix = |of: &Array| Matrix { values: of.values.to_vec(), width: of.width };
        let all = |first: usize| Matrix {
            values: parameters[first..]
                .iter()
                .step_by(2)
                .flat_map(|of| of.values.iter().copied())
                .collect(),
            width: self.sizes[3],
        };
        let mut near =
            Matrix { values: Vec::with_capacity(2 * self.near.len()), width: 2 * self.k };
        for entity in 0..self.sizes[1] as u32 {
            let both = self.near_of(entity).iter().chain(self.labels_of(entity));
            near.values.extend(both.map(|number| *number as f32));
        }
        Learned::Attended(Attended {
            users: matrix(&parameters[USERS]),
            entities: matrix(&parameters[ENTITIES]),
            labels: matrix(&parameters[LABELS]),
            near,
            weights: all(FIRST),
            biases: all(FIRST + 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_tensor::codec::float32::Float32;

    #[test]
    fn scores_of_all_items_are_those_that_are_learned_by() {
        let problem = two_tastes(12, 10);
        let machine = Machine::new(2, None);
        for layers in [1, 2, 3] {
            let usual = Settings::of("kgcn").unwrap();
            let settings = Settings { dim: 6, nearest: 3, layers, ..usual };
            let body = Kgcns::of(&mut problem.clone(), &settings);
            let parameters: Vec<Array> = (0..)
                .zip(body.shapes())
                .map(|(number, shape)| {
                    let address = Address::new(number, Purpose::Synthetic, 0);
                    let n = (shape.rows * shape.width) as u32;
                    let values: Vec<f32> = (0..n).map(|i| 0.5 * address.normal(i, 0)).collect();
                    Array::of(&machine.buffers, &values, shape.width)
                })
                .collect();
            let exact = |_: usize| &Float32 as &'static dyn gossamer_tensor::codec::Codec;
            let mut tape = Tape::new(&machine, &exact, Address::new(0, Purpose::Dropout, 0));
            let all: Vec<Parameter<'_>> = parameters.iter().map(|of| tape.parameter(of)).collect();
            let pairs = Batch::new(vec![4], (0..10).collect(), 10);
            let made = body.forward(&mut tape, &all, Asked::Pairs(&pairs));
            let learned = body.learned(&parameters, (12, 10), &machine);
            let mut scores = vec![0.0; 10];
            learned.scores_of((4, &[]), &machine, &mut scores);
            for (item, score) in scores.into_iter().enumerate() {
                let user = made[0].rows.value().row(made[0].find(4));
                let pairs = user.iter().zip(made[1].rows.value().row(item));
                let wanted: f32 = pairs.map(|(u, v)| u * v).sum();
                assert!((wanted - score).abs() < 1e-4, "{layers} {item}: {wanted} {score}");
            }
        }
    }

    #[test]
    fn neighbours_are_different_ones_where_there_are_enough() {
        let problem = two_tastes(20, 30);
        let settings = Settings { nearest: 5, ..Settings::of("kgcn").unwrap() };
        let body = Kgcns::of(&mut problem.clone(), &settings);
        // An item has one fact; a taste has fifteen.
        assert!(body.near_of(3).iter().all(|near| *near == 31));
        let mut near = body.near_of(30).to_vec();
        near.sort_unstable();
        near.dedup();
        assert!(near.len() == 5 && near.iter().all(|item| item % 2 == 0), "{near:?}");
        let alone = Kgcns::of(&mut problem.clone().without_facts(), &settings);
        assert_eq!((alone.near_of(7), alone.labels_of(7)), (&[7; 5][..], &[0; 5][..]));
    }
}
