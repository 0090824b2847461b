//! DiffKG: rows from attention over facts and sums over interactions, beside those of denoised facts.
//!
//! The code that its authors published denoises facts and then takes a random half of all in their stead; here the
//! second view has those that were denoised.

use gossamer_machine::random::{Address, Purpose};
use gossamer_machine::{Ledger, Machine, Observer, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::optim;
use gossamer_tensor::optim::Step;
use gossamer_tensor::sparse::{Labelled, Sparse};
use gossamer_tensor::tape::op::neighbours::{BothWays, sums};
use gossamer_tensor::tape::op::normalise::Direction;
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::batch::Batch;
use super::body::{Asked, At, Between, Body, Made, Place, Side, State};
use super::contrast::Contrast;
use super::denoise::{Denoiser, Given, Weights};
use super::nodes::Nodes;
use super::pairwise;
use super::problem::{Lists, Problem};
use super::{Outcome, Recommender, Settings, Shape as Sizes, needs};
use crate::error::Error;
use crate::layer::Shape;

/// Hops over interactions.
const HOPS: usize = 2;
/// Items of a step of the denoiser.
const ITEMS: usize = 256;

/// Knowledge graph diffusion.
#[derive(Debug)]
pub struct DiffKg;

impl Recommender for DiffKg {
    fn name(&self) -> &'static str {
        "diffkg"
    }
    fn summary(&self) -> &'static str {
        "rows by attention over facts, held against those of facts that a diffusion has denoised"
    }
    fn formula(&self) -> &'static str {
        "⟨u, v⟩, sums over 2 hops of u and of e' = (e + Σ softmax(leaky(⟨e‖e', W·r⟩))·e')/‖·‖; \
         λ·−log softmax(cos(view, other view)/τ)"
    }
    fn paper(&self) -> &'static str {
        "Jiang et al.: DiffKG: Knowledge Graph Diffusion Model for Recommendation (WSDM 2024); a row for \
         each step in place of an embedding of time"
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
            "nearest",
            "contrast",
            "temperature",
            "denoiser",
            "activations",
            "facts",
        ]
    }
    fn least_layers(&self) -> usize {
        1
    }
    fn defaults(&self, settings: Settings) -> Settings {
        Settings {
            layers: 2,
            layer_dropout: 0.2,
            nearest: 1,
            contrast: 0.03,
            temperature: 0.2,
            denoiser: 64,
            epochs: 200,
            regularisation: 1e-3,
            facts: 1.0,
            ..settings
        }
    }
    fn plan(&self, sizes: &Sizes, settings: &Settings, ledger: &mut Ledger) {
        let (dim, hidden) = (settings.dim as u64, settings.denoiser as u64);
        let (users, items) = (sizes.n_users, sizes.n_items);
        let entities = items + sizes.n_others;
        let (labels, layers) = (2 * sizes.n_relations.max(1), settings.layers as u64);
        let network = (users + entities + labels + 2 * dim) * dim;
        needs::parameters(network + entities * (2 * hidden + 1) + 5 * hidden, ledger);
        let views = if settings.contrast > 0.0 { 2 } else { 1 };
        needs::kept(settings, (views * entities, layers * dim), (0, layers), ledger);
        let nodes = users + items;
        // A view's way back, rows that are compared with their slopes, and rows as long as one.
        let step = (3 * entities + 2 * views * nodes + 2 * nodes) * dim;
        needs::arrays(settings, step, (users + entities, nodes, dim), ledger);
        let facts = sizes.n_facts;
        needs::held(sizes, 4 * step + 48 * (facts + sizes.n_interactions), ledger);
        ledger.add("neighbours", format!("6 × {facts}"), "f32", 96 * facts + 16 * entities);
        let bytes = 40 * sizes.n_interactions + 16 * nodes;
        ledger.add("interactions both ways", format!("3 × {}", sizes.n_interactions), "f32", bytes);
        let blocks = sizes.n_threads.min(8);
        let bytes = 4 * (blocks * 64 * entities + 8 * 2 * 512 * hidden + items * dim) + 16 * facts;
        ledger.add("noisy rows", format!("{blocks} × 64 × {entities}"), "f32", bytes);
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
        let mut body = DiffKgs::of(&mut problem, settings);
        pairwise::learn(&problem, settings, machine, observer, &mut body)
    }
}

/// Places of parameters; after them the denoiser's.
const USERS: usize = 0;
const ENTITIES: usize = 1;
const RELATIONS: usize = 2;
const OF_HEADS: usize = 3;
const OF_TAILS: usize = 4;
const DENOISER: usize = 5;

/// Its rows.
pub struct DiffKgs {
    n_users: usize,
    n_items: usize,
    dim: usize,
    width: usize,
    layers: usize,
    dropout: f32,
    kept: usize,
    contrast: Contrast,
    /// Facts among entities, items first; and the transpose.
    whole: [Labelled; 2],
    /// Those that are left of them.
    denoised: [Labelled; 2],
    /// Users by items, and the transpose: 1/√(degree · degree).
    joined: [Sparse; 2],
    /// Items by the users who have them.
    had: Sparse,
    denoiser: Denoiser,
}

impl DiffKgs {
    /// Of a problem, whose facts go into it.
    pub fn of(problem: &mut Problem, settings: &Settings) -> Self {
        let nodes = Nodes::of(problem);
        let (n_users, n_items) = (nodes.n_users, nodes.n_items);
        let whole = nodes.into_around_entities();
        let n_entities = whole[0].matrix.n_rows();
        let lists = &problem.interactions[0];
        let of_items = lists.turned(n_items);
        let by_user = |user: usize| {
            let of = lists.of(user);
            let weight = |item: u32| (of.len() * of_items.of(item as usize).len()) as f32;
            let entry = move |item: &u32| (user as u32, *item, 1.0 / weight(*item).sqrt());
            of.iter().map(entry).collect::<Vec<_>>()
        };
        let joined = Sparse::of_sorted(n_users, n_items, (0..n_users).flat_map(by_user));
        let by_item =
            |item: usize| of_items.of(item).iter().map(move |user| (item as u32, *user, 1.0));
        let had = Sparse::of_sorted(n_items, n_users, (0..n_items).flat_map(by_item));
        let of_item = |item: usize| {
            let entities = whole[0].row(item).map(|(entity, ..)| entity as u32);
            entities.map(move |entity| (item as u32, entity)).collect::<Vec<_>>()
        };
        let has = Lists::of_pairs(n_items, (0..n_items).flat_map(of_item).collect());
        Self {
            n_users,
            n_items,
            dim: settings.dim,
            width: settings.denoiser,
            layers: settings.layers,
            dropout: settings.layer_dropout,
            kept: settings.nearest,
            contrast: Contrast { weight: settings.contrast, temperature: settings.temperature },
            denoised: whole.clone(),
            joined: [joined.clone(), joined.transposed()],
            had,
            denoiser: Denoiser::new(has, n_entities, settings.denoiser),
            whole,
        }
    }

    /// Rows of users and items by some facts.
    fn view<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        parameters: &[Parameter<'a>],
        facts: &'a [Labelled; 2],
        dropout: f32,
    ) -> [Var<'a>; 2] {
        /// What is kept of each layer's rows; those beyond share the last name.
        const NAMES: [&str; 3] = ["layer 1", "layer 2", "layer 3 and on"];
        let around = BothWays { forward: &facts[0], backward: &facts[1] };
        let mut ends = [OF_TAILS, OF_HEADS].map(|of| {
            let mut relations = parameters[RELATIONS].var();
            tape.linear("relations", &mut relations, parameters[of])
        });
        let mut rows = parameters[ENTITIES].var();
        for layer in 0..self.layers {
            let name = NAMES[layer.min(NAMES.len() - 1)];
            let [p, q] = &mut ends;
            let found = tape.attend_labels(name, &mut rows, [p, q], around);
            let found = tape.add(found, &rows, 1.0);
            let mut found = tape.leave_out(found, dropout);
            rows = tape.normalise("lengths", &mut found, Direction::Output);
        }
        let items = Rows::these((0..self.n_items as u32).collect(), rows.value().rows);
        let items = tape.pick_rows(&rows, &items);
        let [joined, turned] = &self.joined;
        let both = BothWays { forward: joined, backward: turned };
        let back = BothWays { forward: turned, backward: joined };
        let mut all = [parameters[USERS].var(), items.copy(tape.machine())];
        let (mut users, mut items) = (parameters[USERS].var(), items);
        for _ in 0..HOPS {
            let of_users = tape.sum_neighbours(&items, both, 0.0);
            items = tape.sum_neighbours(&users, back, 0.0);
            users = of_users;
            let [sum, other] = all;
            all = [tape.add(sum, &users, 1.0), tape.add(other, &items, 1.0)];
        }
        all
    }

    /// The facts that are left: an item's with the entities that denoising finds there, both ways.
    fn left(&self, found: &[Vec<u32>]) -> [Labelled; 2] {
        let [whole, _] = &self.whole;
        let (n, n_labels) = (whole.matrix.n_rows(), whole.n_labels);
        let turned = |label: u32| (label + n_labels as u32 / 2) % n_labels as u32;
        let mut entries = Vec::new();
        for (item, found) in found.iter().enumerate() {
            for (entity, label, _) in whole.row(item) {
                let (item, entity, label) = (item as u32, entity as u32, label as u32);
                if found.binary_search(&entity).is_ok() {
                    let back = (entity, item, turned(label), 1.0);
                    entries.extend([(item, entity, label, 1.0), back]);
                }
            }
        }
        entries.sort_by_key(|entry| (entry.0, entry.1, entry.2));
        // Two items may have found each other.
        entries.dedup_by_key(|entry| (entry.0, entry.1, entry.2));
        let left = Labelled::new(n, n, n_labels, entries);
        let back = left.transposed();
        [left, back]
    }
}

impl Body for DiffKgs {
    fn shapes(&self) -> Vec<Shape> {
        let (dim, n) = (self.dim, self.whole[0].matrix.n_rows());
        let rows = [self.n_users, n, self.whole[0].n_labels, dim, dim];
        let network = rows.map(|rows| Shape::matrix(rows, dim));
        network.into_iter().chain(Denoiser::shapes(n, self.width)).collect()
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
        let dropout = asked.dropout(self.dropout);
        let mut made: Vec<Made<'a>> =
            self.view(tape, parameters, &self.whole, dropout).map(Made::from).into();
        if matches!(asked, Asked::Pairs(_)) && self.contrast.weight > 0.0 {
            made.extend(self.view(tape, parameters, &self.denoised, dropout).map(Made::from));
        }
        made
    }
    fn beside(
        &self,
        pairs: &Batch,
        made: &[Made<'_>],
        gradients: &mut [Array],
        machine: &Machine,
    ) -> f64 {
        let ([users, items, other_users, other_items], [of_users, of_items, of_other, of_others]) =
            (made, gradients)
        else {
            return 0.0;
        };
        let n = pairs.len();
        let views = [users, other_users].map(|made| made.rows.value());
        let cost = self.contrast.add(views, pairs.users(), [of_users, of_other], n, machine);
        let picked: Vec<u32> = pairs.iter().map(|pair| pair.items[0]).collect();
        let views = [items, other_items].map(|made| made.rows.value());
        cost + self.contrast.add(views, &picked, [of_items, of_others], n, machine)
    }
    fn after_epoch(&mut self, state: &mut State, with: &Between<'_>) -> Result<(), Error> {
        if self.contrast.weight == 0.0 || self.whole[0].labels.is_empty() {
            return Ok(());
        }
        let (machine, seed) = (with.machine, with.settings.seed);
        let (network, denoiser) = state.parameters.split_at_mut(DENOISER);
        let sums = sums(machine, &self.had, &network[USERS]);
        let order = self.denoiser.order(seed, with.epoch);
        let batches = order.chunks(ITEMS);
        let n = batches.len() as u64;
        for (number, items) in (with.epoch * n..).zip(batches) {
            let address = Address::new(seed, Purpose::Dropout, (1 << 48) + number);
            let given = Given { sums: &sums, own: &network[ENTITIES], address, machine };
            let step: Step = with.settings.step(number + 1, machine);
            let states = &mut state.states[DENOISER..];
            self.denoiser.step(items, denoiser, states, (optim::find("adam")?, &step), &given);
            let (stage, unit) = ("learning to denoise", "items");
            let (done, total) = ((number % n + 1) * ITEMS as u64, self.n_items as u64);
            let detail = &format!("epoch {}/{}", with.epoch + 1, with.settings.epochs);
            let done = done.min(total);
            with.observer.progress(&Progress { stage, done, total, unit, detail });
            if with.observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        let weights = Weights([0, 1, 2, 3].map(|place: usize| &denoiser[place]));
        let found = self.denoiser.denoised(weights, self.kept, (machine, with.observer))?;
        self.denoised = self.left(&found);
        Ok(())
    }
}
