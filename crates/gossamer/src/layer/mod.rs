//! Layers: one step of a graph network. The way back comes from the tape; a layer's author never
//! thinks of memory.
//!
//! *Invariant:* the order of neighbours changes nothing but the last bits.
//! *Not here:* how layers follow each other ([`network`](crate::network)).

use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape, Var};

gossamer_machine::registry!("layer", Layer:
    gcn::Gcn,
    gat::Gat,
);

/// What a layer is given.
pub enum Input<'a> {
    /// Sparse features, and the part of their entries that is left out.
    Features(BothWays<'a>, f32),
    /// What the layer before made.
    Rows(Var<'a>),
}

impl<'a> Input<'a> {
    /// The product with a matrix of parameters. Features are an input, and keep nothing.
    pub fn times(self, tape: &mut Tape<'a>, name: &'static str, matrix: Parameter<'a>) -> Var<'a> {
        match self {
            Self::Features(features, dropout) => {
                tape.sum_neighbours(&matrix.var(), features, dropout)
            }
            Self::Rows(mut rows) => tape.linear(name, &mut rows, matrix),
        }
    }
}

/// A parameter of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Floats of a row.
    pub width: usize,
    /// True if it begins at zero, as a bias; others are uniform in ±√(6/(rows + width)).
    pub zero: bool,
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
    /// Its parameters, from rows of so many floats to rows of so many; the first is a matrix.
    fn parameters(&self, from: usize, to: usize) -> Vec<Shape>;
    /// Its rows, before anything rectifies them. `near` is symmetric and normalised, and every node
    /// is among its own neighbours; `name` is that of what is kept.
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        name: &'static str,
        near: BothWays<'a>,
        input: Input<'a>,
        parameters: &[Parameter<'a>],
    ) -> Var<'a>;
}
