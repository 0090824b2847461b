//! GCN: the mean over neighbours, weighed by degrees, times a matrix.
//!
//! *Paper:* Kipf and Welling, "Semi-supervised classification with graph convolutional networks"
//! (2017).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

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
    fn view(&self) -> View {
        View::Near
    }
    fn begins_with_product(&self) -> bool {
        true
    }
    fn drops_edges(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        vec![Shape::matrix(from, to), Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let sums = tape.sum_neighbours(&given.rows, given.around.pairs(), given.edge_dropout);
        Made { rows: tape.add_bias(sums, parameters[1]), relations: given.relations }
    }
}
