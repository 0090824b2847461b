//! Layers: one step of a graph network. The way back comes from the tape; a layer's author never
//! thinks of memory.
//!
//! *Invariant:* the order of neighbours changes nothing but the last bits.
//! *Not here:* how layers follow each other ([`network`](crate::network)).

use gossamer_tensor::kernel::spectrum::Spectrum;
use gossamer_tensor::tape::{Parameter, Tape, Var};

pub mod around;

use around::{Around, View};

gossamer_machine::registry!("layer", Layer:
    gcn::Gcn,
    sage::Sage,
    gat::Gat,
    rgcn::Rgcn,
    rgcn_block::RgcnBlock,
    rgat::Rgat,
    bi_interaction::BiInteraction,
    pna::Pna,
    latte::Latte,
    compgcn::CORRELATED + MULTIPLIED + SUBTRACTED,
);

/// What a layer works on.
pub struct Given<'a> {
    /// The name of what is kept of its rows.
    pub name: &'static str,
    /// A row of each entity, or the product of these with the layer's first parameter, where it
    /// begins with that.
    pub rows: Var<'a>,
    /// What is around each entity, in the view that the layer asked for.
    pub around: &'a Around,
    /// Part of the entries that is left out.
    pub edge_dropout: f32,
    /// Rows of relations, inverses and oneself (2·R + 1), for those that compose.
    pub relations: Option<Var<'a>>,
}

/// What a layer makes.
pub struct Made<'a> {
    /// A row of each entity, before anything rectifies it.
    pub rows: Var<'a>,
    /// Rows of relations, of those that compose.
    pub relations: Option<Var<'a>>,
}

/// How the floats of a parameter begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At zero, as a bias.
    Zero,
    /// Uniform in ±√(6/(rows + width)).
    Uniform,
    /// As the matrix of a Fourier transform, orthonormal or not, which nothing changes.
    Fourier(bool),
}

/// A parameter of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Floats of a row.
    pub width: usize,
    /// Its first values.
    pub start: Start,
}

impl Shape {
    /// A matrix (from × to), uniform at first.
    pub fn matrix(rows: usize, width: usize) -> Self {
        Self { rows, width, start: Start::Uniform }
    }

    /// A row that begins at zero.
    pub fn bias(width: usize) -> Self {
        Self { rows: 1, width, start: Start::Zero }
    }

    /// The matrix of a Fourier transform.
    pub fn fourier(width: usize, orthonormal: bool) -> Self {
        Self { rows: width, width, start: Start::Fourier(orthonormal) }
    }

    /// Its floats where they are no matter of chance.
    pub fn fixed(self) -> Option<Vec<f32>> {
        match self.start {
            Start::Fourier(orthonormal) => Some(Spectrum(self.width).matrix(orthonormal)),
            Start::Zero => Some(vec![0.0; self.rows * self.width]),
            Start::Uniform => None,
        }
    }
}

/// A step of a network.
pub trait Layer: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula of a row.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// The form in which it wants what is around entities.
    fn view(&self) -> View;
    /// True if the product with its first parameter is all that it does with the rows it is given:
    /// the product can be made of sparse features as well.
    fn begins_with_product(&self) -> bool {
        false
    }
    /// True if it puts neighbours together with rows of relations, and makes new ones of these.
    fn composes(&self) -> bool {
        false
    }
    /// True if it can leave out entries in a step.
    fn drops_edges(&self) -> bool {
        false
    }
    /// Its parameters, from rows of so many floats to rows of so many, with labels 2·R + 1.
    fn parameters(&self, from: usize, to: usize, n_labels: usize) -> Vec<Shape>;
    /// Its rows.
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a>;
}
