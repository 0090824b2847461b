//! GAT: the mean over neighbours, each as much as the two ends' numbers say; one head.
//!
//! *Paper:* Veličković et al., "Graph attention networks" (2018).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

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
    fn view(&self) -> View {
        View::Near
    }
    fn begins_with_product(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        let number = Shape::matrix(to, 1);
        vec![Shape::matrix(from, to), number, number, Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let mut rows = given.rows;
        let mut sources = tape.linear("attended", &mut rows, parameters[1]);
        let mut targets = tape.linear("attended", &mut rows, parameters[2]);
        let near = given.around.pairs();
        let sums = tape.attend("attended", &mut rows, [&mut sources, &mut targets], near);
        Made { rows: tape.add_bias(sums, parameters[3]), relations: given.relations }
    }
}
