//! GAT: the mean over neighbours, each as much as the two ends' numbers say; one head.
//!
//! *Paper:* Veličković et al., "Graph attention networks" (2018).

use gossamer_tensor::tape::op::neighbours::BothWays;
use gossamer_tensor::tape::{Parameter, Tape, Var};

use super::{Input, Layer, Shape};

/// GAT with one head.
#[derive(Debug)]
pub struct Gat;

impl Layer for Gat {
    fn name(&self) -> &'static str {
        "gat"
    }
    fn summary(&self) -> &'static str {
        "attends to neighbours, one head; keeps its rows and two numbers each, nothing per edge"
    }
    fn formula(&self) -> &'static str {
        "Σᵤ αᵥᵤ·hᵤ + b, h = x·W, αᵥ = softmax over neighbours of leaky(a·hᵤ + c·hᵥ)"
    }
    fn paper(&self) -> &'static str {
        "Veličković et al.: Graph Attention Networks (ICLR 2018)"
    }
    fn parameters(&self, from: usize, to: usize) -> Vec<Shape> {
        let number = Shape { rows: to, width: 1, zero: false };
        let bias = Shape { rows: 1, width: to, zero: true };
        vec![Shape { rows: from, width: to, zero: false }, number, number, bias]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        name: &'static str,
        near: BothWays<'a>,
        input: Input<'a>,
        parameters: &[Parameter<'a>],
    ) -> Var<'a> {
        let mut rows = input.times(tape, name, parameters[0]);
        let mut sources = tape.linear("attended", &mut rows, parameters[1]);
        let mut targets = tape.linear("attended", &mut rows, parameters[2]);
        let sums = tape.attend("attended", &mut rows, [&mut sources, &mut targets], near);
        tape.add_bias(sums, parameters[3])
    }
}
