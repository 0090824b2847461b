//! GraphSAGE: a matrix for oneself and one for the mean of the neighbours.
//!
//! *Paper:* Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs" (2017).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// GraphSAGE with the mean.
#[derive(Debug)]
pub struct Sage;

impl Layer for Sage {
    fn name(&self) -> &'static str {
        "sage"
    }
    fn summary(&self) -> &'static str {
        "oneself and the mean of neighbours, a matrix each; keeps its input alone"
    }
    fn formula(&self) -> &'static str {
        "H·W + D⁻¹·A·H·V + b"
    }
    fn paper(&self) -> &'static str {
        "Hamilton, Ying, Leskovec: Inductive Representation Learning on Large Graphs (NeurIPS 2017)"
    }
    fn view(&self) -> View {
        View::Mean
    }
    fn begins_with_product(&self) -> bool {
        true
    }
    fn drops_edges(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        // Both matrices side by side: one product of what is given.
        vec![Shape::matrix(from, 2 * to), Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let [own, others] = tape.halves(given.rows);
        let sums = tape.sum_neighbours(&others, given.around.pairs(), given.edge_dropout);
        let rows = tape.add(own, &sums, 1.0);
        Made { rows: tape.add_bias(rows, parameters[1]), relations: given.relations }
    }
}
