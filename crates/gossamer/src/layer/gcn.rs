//! GCN: the mean over neighbours, weighed by degrees, times a matrix.
//!
//! *Paper:* Kipf and Welling, "Semi-supervised classification with graph convolutional networks"
//! (2017).

use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::{Input, Layer, Shape};

/// GCN.
#[derive(Debug)]
pub struct Gcn;

impl Layer for Gcn {
    fn name(&self) -> &'static str {
        "gcn"
    }
    fn summary(&self) -> &'static str {
        "sums over neighbours, weighed by degrees; keeps its input alone"
    }
    fn formula(&self) -> &'static str {
        "D^(−½)·(A + 1)·D^(−½)·H·W + b"
    }
    fn paper(&self) -> &'static str {
        "Kipf, Welling: Semi-Supervised Classification with Graph Convolutional Networks (ICLR 2017)"
    }
    fn parameters(&self, from: usize, to: usize) -> Vec<Shape> {
        let bias = Shape { rows: 1, width: to, zero: true };
        vec![Shape { rows: from, width: to, zero: false }, bias]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        name: &'static str,
        near: BothWays<'a>,
        input: Input<'a>,
        parameters: &[Parameter<'a>],
    ) -> Var<'a> {
        let product = input.times(tape, name, parameters[0]);
        let sums = tape.sum_neighbours(&product, near, 0.0);
        tape.add_bias(sums, parameters[1])
    }
}
