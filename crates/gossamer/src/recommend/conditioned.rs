//! Scores of a short list: what is around a user and an item is weighed for the two of them.
//!
//! *Formula:* all items by ⟨x_u, x_i⟩; the best of those that the user does not have by ⟨x_u, x_i⟩ + ⟨y_u, y_i⟩,
//! y being made of x hop by hop, y = leaky(Σ ½(a + α)·x_near·W + b + x), α by the two that it is for
//! ([`attend_for`](gossamer_tensor::tape::op::attend_for)). They come before all others.
//! *Cost of a user's scores:* items · dim, and for each of the list dim · (K + dim) at one hop.

use std::collections::BTreeMap;

use gossamer_machine::InstructionSet;
use gossamer_tensor::kernel::vector;
use gossamer_tensor::tape::op::attend_for::weights;
use gossamer_tensor::tape::op::leak::leaky;

use super::scores::{MOST_NUMBERS, Matrix};

/// Tables of a recommender that scores a short list anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditioned {
    /// x of nodes × dim: users, items, others.
    pub nodes: Matrix,
    /// The neighbours of each node that count most, one more than K; below zero: none.
    pub near: Matrix,
    /// What each of them is given.
    pub given: Matrix,
    /// The labels of the facts that join them.
    pub labels: Matrix,
    /// w: 4 × dim.
    pub worth: Matrix,
    /// W of each hop, one below the other: H · dim × dim.
    pub weights: Matrix,
    /// b: H × dim.
    pub biases: Matrix,
    /// How many items are scored anew: 1 × 1.
    pub listed: Matrix,
    /// How many of the nodes are users.
    pub n_users: usize,
}

/// A neighbour in the subgraph of a user and an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Its node.
    pub node: u32,
    /// The label of the fact that joins it.
    pub label: u32,
    /// What it is given, of 1 in all.
    pub given: f32,
}

impl Conditioned {
    /// Its matrices by name.
    pub fn matrices(&self) -> [(&'static str, &Matrix); 8] {
        [
            ("node", &self.nodes),
            ("near", &self.near),
            ("given", &self.given),
            ("label", &self.labels),
            ("worth", &self.worth),
            ("weight", &self.weights),
            ("bias", &self.biases),
            ("listed", &self.listed),
        ]
    }

    /// From matrices by name; none if they do not fit each other.
    pub fn of(
        mut matrices: BTreeMap<String, Matrix>,
        [n_users, n_items]: [usize; 2],
    ) -> Option<Self> {
        let mut take = |name: &str| matrices.remove(name);
        let found = Self {
            nodes: take("node")?,
            near: take("near")?,
            given: take("given")?,
            labels: take("label")?,
            worth: take("worth")?,
            weights: take("weight")?,
            biases: take("bias")?,
            listed: take("listed")?,
            n_users,
        };
        let rows = |of: &Matrix| of.values.len() / of.width.max(1);
        let (dim, n, hops) = (found.nodes.width, rows(&found.nodes), rows(&found.biases));
        let widths = [&found.worth, &found.weights, &found.biases];
        let around = [&found.near, &found.given, &found.labels];
        let fits = (n_users + n_items..=MOST_NUMBERS).contains(&n)
            && widths.iter().all(|of| of.width == dim)
            && (rows(&found.worth), rows(&found.weights)) == (4, hops * dim)
            && around.iter().all(|of| rows(of) == n && of.width == found.near.width)
            && found.near.width > 1
            && found.near.values.iter().all(|near| *near < n as f32)
            && found.labels.values.iter().all(|label| *label >= 0.0)
            && found.listed.values.len() == 1;
        fits.then_some(found)
    }

    /// How many neighbours a node is given.
    fn k(&self) -> usize {
        self.near.width - 1
    }

    /// The neighbours of a node that count for a pair: not each other, and with 1 given in all.
    pub fn around(&self, node: u32, pair: [u32; 2]) -> Vec<Near> {
        let other = pair.iter().find(|end| **end != node).filter(|_| pair.contains(&node));
        let row = node as usize;
        let all = self.near.row(row).iter().zip(self.given.row(row)).zip(self.labels.row(row));
        let there = all.filter(|((near, _), _)| **near >= 0.0);
        let near = there.map(|((near, given), label)| Near {
            node: *near as u32,
            label: *label as u32,
            given: *given,
        });
        let mut found: Vec<Near> =
            near.filter(|near| other != Some(&near.node)).take(self.k()).collect();
        let sum: f32 = found.iter().map(|near| near.given).sum();
        found.iter_mut().for_each(|near| near.given /= sum.max(f32::MIN_POSITIVE));
        found
    }

    /// What each neighbour of a node gets in the first hop for a pair.
    pub fn reasons(&self, node: u32, pair: [u32; 2]) -> Vec<Near> {
        let row = |node: u32| self.nodes.row(node as usize);
        let mut found = self.around(node, pair);
        let mut alpha = vec![[0.0; 2]; found.len()];
        let near = found.iter().map(|near| Some(row(near.node)));
        weights(self.worths(), [row(pair[0]), row(pair[1]), row(node)], near, &mut alpha);
        for (near, [alpha, _]) in found.iter_mut().zip(alpha) {
            near.given = 0.5 * (near.given + alpha);
        }
        found
    }

    fn worths(&self) -> [&[f32]; 4] {
        [0, 1, 2, 3].map(|place| self.worth.row(place))
    }

    /// A node's row after some hops; `ends` are the pair's own rows after each hop before.
    fn made(
        &self,
        node: u32,
        pair: [u32; 2],
        ends: &[[Vec<f32>; 2]],
        isa: InstructionSet,
    ) -> Vec<f32> {
        let Some(([one, other], before)) = ends.split_last() else {
            return self.nodes.row(node as usize).to_vec();
        };
        let (hop, dim) = (before.len(), self.nodes.width);
        let mut own = self.made(node, pair, before, isa);
        let around = self.around(node, pair);
        let rows: Vec<Vec<f32>> =
            around.iter().map(|near| self.made(near.node, pair, before, isa)).collect();
        let mut alpha = vec![[0.0; 2]; around.len()];
        let near = rows.iter().map(|row| Some(&row[..]));
        weights(self.worths(), [one, other, &own], near, &mut alpha);
        let mut sum = vec![0.0; dim];
        for ((near, row), [alpha, _]) in around.iter().zip(&rows).zip(alpha) {
            vector::add_scaled(isa, &mut sum, 0.5 * (near.given + alpha), row);
        }
        let weights = self.weights.values[hop * dim * dim..].chunks_exact(dim);
        for (part, row) in sum.iter().zip(weights) {
            vector::add_scaled(isa, &mut own, *part, row);
        }
        vector::add_scaled(isa, &mut own, 1.0, self.biases.row(hop));
        own.iter_mut().for_each(|x| *x = leaky(*x));
        own
    }

    /// The part of a score that the subgraph of a user and an item makes.
    pub fn within(&self, user: usize, item: usize, isa: InstructionSet) -> f32 {
        let pair = [user as u32, (self.n_users + item) as u32];
        let hops = self.biases.values.len() / self.nodes.width;
        let mut ends: Vec<[Vec<f32>; 2]> = Vec::with_capacity(hops + 1);
        for _ in 0..=hops {
            ends.push(pair.map(|node| self.made(node, pair, &ends, isa)));
        }
        ends.last().map_or(0.0, |[user, item]| vector::dot(user, item))
    }

    /// A user's score of an item as if it were listed.
    pub fn score(&self, user: usize, item: usize, isa: InstructionSet) -> f32 {
        let [one, other] = [user, self.n_users + item].map(|node| self.nodes.row(node));
        vector::dot(one, other) + self.within(user, item, isa)
    }

    /// Fills `out` with a user's scores of all items; those of a history, which ascends, are not
    /// listed. What is listed is raised above the rest, so that scores tell an order alone.
    pub fn scores_of(
        &self,
        (user, history): (usize, &[u32]),
        out: &mut [f32],
        isa: InstructionSet,
    ) {
        let row = self.nodes.row(user);
        for (item, out) in out.iter_mut().enumerate() {
            *out = vector::dot(row, self.nodes.row(self.n_users + item));
        }
        let mut order: Vec<usize> =
            (0..out.len()).filter(|item| history.binary_search(&(*item as u32)).is_err()).collect();
        let best =
            |one: &usize, other: &usize| out[*other].total_cmp(&out[*one]).then(one.cmp(other));
        let listed = (self.listed.values[0] as usize).min(order.len());
        if listed == 0 {
            return;
        }
        if listed < order.len() {
            order.select_nth_unstable_by(listed, best);
        }
        let (list, rest) = order.split_at(listed);
        let anew: Vec<f32> = list.iter().map(|item| self.score(user, *item, isa)).collect();
        // The list comes before the rest, in its own order.
        let most = rest.iter().map(|item| out[*item]).fold(f32::NEG_INFINITY, f32::max);
        let least = anew.iter().copied().fold(f32::INFINITY, f32::min);
        let lift = if most > least { most - least + 1.0 } else { 0.0 };
        list.iter().zip(anew).for_each(|(item, score)| out[*item] = score + lift);
    }
}
