//! Scores whose item rows depend on who asks: each user weighs relations in its own way.
//!
//! *Formula:* from E_0, the table of entities, E_{i+1}(v) = a((E_i(v) + 1/K · Σ over K drawn neighbours of
//! softmax(⟨u, r⟩/dim)·E_i(neighbour))·W_i + b_i), a being max(·, 0), at last tanh; score ⟨u, E_H(item)⟩.
//! E_0·W_0 is everyone's, and rows are made of those alone that items come from.
//! *Cost of a user's scores:* rows · dim · K in the first hop, rows · dim · (K + dim) in each other; at last items
//! are the rows. Beside it 2 · entities · dim² for all users that are asked for together.

use std::collections::BTreeMap;
use std::ops::Range;

use gossamer_machine::{Buffer, InstructionSet, Machine};
use gossamer_tensor::kernel::gather;
use gossamer_tensor::kernel::logistic::tanh_row;
use gossamer_tensor::kernel::pack::{Matrix as Of, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, multiply};
use gossamer_tensor::kernel::vector;
use gossamer_tensor::tape::op::worths::Worths;

use super::scores::Matrix;

/// Tables of a recommender whose users weigh relations.
#[derive(Debug, Clone, PartialEq)]
pub struct Attended {
    /// Users × dim.
    pub users: Matrix,
    /// Entities × dim, items first.
    pub entities: Matrix,
    /// Labels × dim.
    pub labels: Matrix,
    /// Of each entity K neighbours and the labels of their facts: entities × 2K.
    pub near: Matrix,
    /// W_i, one below the other: H · dim × dim.
    pub weights: Matrix,
    /// b_i: H × dim.
    pub biases: Matrix,
}

impl Attended {
    /// Its matrices by name.
    pub fn matrices(&self) -> [(&'static str, &Matrix); 6] {
        [
            ("user", &self.users),
            ("entity", &self.entities),
            ("label", &self.labels),
            ("near", &self.near),
            ("weight", &self.weights),
            ("bias", &self.biases),
        ]
    }

    /// From matrices by name; none if they do not fit each other.
    pub fn of(
        mut matrices: BTreeMap<String, Matrix>,
        [n_users, n_items]: [usize; 2],
    ) -> Option<Self> {
        let mut take = |name: &str| matrices.remove(name);
        let found = Self {
            users: take("user")?,
            entities: take("entity")?,
            labels: take("label")?,
            near: take("near")?,
            weights: take("weight")?,
            biases: take("bias")?,
        };
        let rows = |of: &Matrix| of.values.len() / of.width.max(1);
        let (dim, n) = (found.users.width, rows(&found.entities));
        let widths = [&found.entities, &found.labels, &found.weights, &found.biases];
        let hops = rows(&found.biases);
        let is_known = |pair: &[f32]| {
            let (k, n_labels) = (pair.len() / 2, rows(&found.labels));
            let is_in = |x: &f32, n: usize| *x >= 0.0 && (*x as usize) < n;
            pair[..k].iter().all(|x| is_in(x, n)) && pair[k..].iter().all(|x| is_in(x, n_labels))
        };
        let fits = widths.iter().all(|of| of.width == dim)
            && rows(&found.users) == n_users
            && (n >= n_items && rows(&found.near) == n && hops > 0)
            && rows(&found.weights) == hops * dim
            && (found.near.width > 0 && found.near.width.is_multiple_of(2))
            && found.near.values.chunks_exact(found.near.width).all(is_known);
        fits.then_some(found)
    }

    /// Fills `out` (users × items) with scores of all items.
    pub fn scores(&self, users: &[usize], n_items: usize, out: &mut [f32], machine: &Machine) {
        let (isa, dim) = (machine.instruction_set, self.users.width);
        let n = self.entities.values.len() / dim;
        let mut shared = machine.buffers.room(n * dim);
        multiply_all(isa, &self.entities.values, self.weights_of(0), &mut shared);
        let hops = self.hops(n_items);
        let tasks = users.iter().zip(out.chunks_mut(n_items.max(1))).collect();
        machine.workers.each(tasks, |(user, out): (&usize, &mut [f32])| {
            self.scores_of(*user, (&shared, &hops), out, machine);
        });
    }

    /// W of a hop.
    fn weights_of(&self, hop: usize) -> &[f32] {
        let dim = self.users.width;
        &self.weights.values[hop * dim * dim..][..dim * dim]
    }

    /// The rows of each hop: those of items at last, before them those that they come from.
    fn hops(&self, n_items: usize) -> Vec<Hop> {
        let k = self.near.width / 2;
        let n_hops = self.biases.values.len() / self.users.width;
        let mut hops: Vec<Hop> = Vec::with_capacity(n_hops);
        let mut entities: Vec<u32> = (0..n_items as u32).collect();
        for hop in (0..n_hops).rev() {
            let n = entities.len();
            let mut columns = Vec::with_capacity(n * (1 + k));
            let mut labels = Vec::with_capacity(n * k);
            for entity in &entities {
                let (near, own) = self.near.row(*entity as usize).split_at(k);
                columns.push(*entity);
                columns.extend(near.iter().map(|near| *near as u32));
                labels.extend(own.iter().map(|label| *label as u32));
            }
            let mut before = Vec::new();
            if hop > 0 {
                let mut places = vec![u32::MAX; self.near.values.len() / self.near.width];
                for column in &mut columns {
                    let place = &mut places[*column as usize];
                    if *place == u32::MAX {
                        *place = before.len() as u32;
                        before.push(*column);
                    }
                    *column = *place;
                }
            }
            hops.push(Hop { n, columns, labels });
            entities = before;
        }
        hops.reverse();
        hops
    }

    /// Fills `out` with a user's scores, given E_0·W_0.
    fn scores_of(
        &self,
        number: usize,
        (shared, hops): (&[f32], &[Hop]),
        out: &mut [f32],
        machine: &Machine,
    ) {
        let (isa, dim) = (machine.instruction_set, self.users.width);
        let user = self.users.row(number);
        let mut worths = Worths::new(self.labels.values.len() / dim);
        let mut last: Option<Buffer> = None;
        for (number, hop) in hops.iter().enumerate() {
            let rows = last.as_deref().unwrap_or(shared);
            let is_last = number + 1 == hops.len();
            let mut next = machine.buffers.room(if is_last { 0 } else { hop.n * dim });
            let (mut given, mut made) = (vec![0.0; BLOCK * dim], vec![0.0; BLOCK * dim]);
            for first in (0..hop.n).step_by(BLOCK) {
                let places = first..hop.n.min(first + BLOCK);
                let n = places.len() * dim;
                self.add_near(user, (hop, places), (rows, isa), &mut worths, &mut given[..n]);
                if number > 0 {
                    multiply_all(isa, &given[..n], self.weights_of(number), &mut made[..n]);
                    std::mem::swap(&mut given, &mut made);
                }
                for (place, row) in given[..n].chunks_exact_mut(dim).enumerate() {
                    vector::add_scaled(isa, row, 1.0, self.biases.row(number));
                    if is_last {
                        tanh_row(isa, row);
                        out[first + place] = vector::dot(user, row);
                    }
                }
                if !is_last {
                    let next = &mut next[first * dim..][..n];
                    next.iter_mut().zip(&given).for_each(|(next, x)| *next = x.max(0.0));
                }
            }
            last = Some(next);
        }
    }

    /// Fills `out` with rows of a hop and what is around them, as a user weighs it.
    fn add_near(
        &self,
        user: &[f32],
        (hop, places): (&Hop, Range<usize>),
        (rows, isa): (&[f32], InstructionSet),
        worths: &mut Worths,
        out: &mut [f32],
    ) {
        let k = self.near.width / 2;
        let mut weights = vec![1.0; 1 + k];
        for (place, out) in places.zip(out.chunks_exact_mut(user.len())) {
            let (labels, part) = (&hop.labels[place * k..][..k], 1.0 / k as f32);
            worths.shares(user, |label| self.labels.row(label), labels, part, &mut weights[1..]);
            let columns = &hop.columns[place * (1 + k)..][..1 + k];
            gather::sum_rows(isa, out, rows, columns, &weights, &[]);
        }
    }
}

/// Rows that are made together.
const BLOCK: usize = 64;

/// The rows that a hop makes.
struct Hop {
    n: usize,
    /// Of each its own row and its neighbours' among those of the hop before.
    columns: Vec<u32>,
    /// The labels of its neighbours' facts.
    labels: Vec<u32>,
}

/// out = rows · W, W being square.
fn multiply_all(isa: InstructionSet, rows: &[f32], weights: &[f32], out: &mut [f32]) {
    let dim = weights.len().isqrt();
    let mut packed = Right::<f32>::default();
    packed.pack(isa, dim, dim, Of { values: weights, stride: dim }, None);
    let (left, made) = (Of { values: rows, stride: dim }, MatrixMut { values: out, stride: dim });
    multiply(isa, rows.len() / dim.max(1), left.into(), &packed, Put::Set, made);
}
