//! Scores whose item rows depend on who asks: each user weighs relations in its own way.
//!
//! *Formula:* from E_0, the table of entities, E_{i+1}(v) = a((E_i(v) + 1/K · Σ over K drawn neighbours of
//! softmax(⟨u, r⟩/dim)·E_i(neighbour))·W_i + b_i), a being max(·, 0), at last tanh; score ⟨u, E_H(item)⟩.
//! *Cost of a user's scores:* entities · dim · (K + dim) for each hop but the last, which is of items alone.

use std::collections::BTreeMap;

use gossamer_machine::{Buffer, Machine};
use gossamer_tensor::kernel::logistic::tanh_row;
use gossamer_tensor::kernel::pack::{Matrix as Of, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, multiply};
use gossamer_tensor::kernel::{softmax, vector};

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

    /// Fills `out` with a user's scores of all items.
    pub fn scores_of(&self, user: usize, out: &mut [f32], machine: &Machine) {
        let isa = machine.instruction_set;
        let (user, dim) = (self.users.row(user), self.users.width);
        let (hops, k) = (self.biases.values.len() / dim, self.near.width / 2);
        let part = 1.0 / dim as f32;
        let labels = self.labels.values.chunks_exact(dim);
        let worths: Vec<f32> = labels.map(|row| part * vector::dot(user, row)).collect();
        let mut last: Option<Buffer> = None;
        let mut shares = vec![0.0; k];
        for hop in 0..hops {
            let rows = last.as_deref().unwrap_or(&self.entities.values);
            let n = if hop + 1 == hops { out.len() } else { rows.len() / dim };
            let mut given = machine.buffers.room(n * dim);
            for (entity, row) in given.chunks_exact_mut(dim).enumerate() {
                let (near, labels) = self.near.row(entity).split_at(k);
                let of_labels = labels.iter().map(|label| worths[*label as usize]);
                shares.iter_mut().zip(of_labels).for_each(|(share, worth)| *share = worth);
                softmax::shares(&mut shares);
                row.copy_from_slice(&rows[entity * dim..][..dim]);
                for (share, near) in shares.iter().zip(near) {
                    let near = &rows[*near as usize * dim..][..dim];
                    vector::add_scaled(isa, row, share / k as f32, near);
                }
            }
            let mut packed = Right::<f32>::default();
            let weights = &self.weights.values[hop * dim * dim..][..dim * dim];
            packed.pack(isa, dim, dim, Of { values: weights, stride: dim }, None);
            let mut made = machine.buffers.room(n * dim);
            let (left, put) = (Of { values: &given, stride: dim }, Put::Set);
            multiply(
                isa,
                n,
                left.into(),
                &packed,
                put,
                MatrixMut { values: &mut made, stride: dim },
            );
            let is_last = hop + 1 == hops;
            for row in made.chunks_exact_mut(dim) {
                vector::add_scaled(isa, row, 1.0, self.biases.row(hop));
                match is_last {
                    true => tanh_row(isa, row),
                    false => row.iter_mut().for_each(|x| *x = x.max(0.0)),
                }
            }
            last = Some(made);
        }
        let rows = last.as_deref().unwrap_or(&self.entities.values);
        let score = |(out, row): (&mut f32, &[f32])| *out = vector::dot(user, row);
        out.iter_mut().zip(rows.chunks_exact(dim)).for_each(score);
    }
}
