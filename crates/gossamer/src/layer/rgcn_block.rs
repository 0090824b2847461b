//! R-GCN with blocks: a matrix for each relation and direction, of blocks along its diagonal.
//!
//! *Paper:* Schlichtkrull et al., "Modeling relational data with graph convolutional networks" (2018).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// R-GCN with blocks.
#[derive(Debug)]
pub struct RgcnBlock;

/// A block has at least so many rows and columns.
const SIDE: usize = 4;

/// How many blocks a matrix has: the most that divide both widths and leave blocks of some size.
fn n_blocks(from: usize, to: usize) -> usize {
    let fits = |n: &usize| from.is_multiple_of(*n) && to.is_multiple_of(*n);
    (1..=from.min(to) / SIDE).rev().find(fits).unwrap_or(1)
}

impl Layer for RgcnBlock {
    fn name(&self) -> &'static str {
        "rgcn-block"
    }
    fn summary(&self) -> &'static str {
        "a matrix of blocks for each relation; keeps its input alone"
    }
    fn formula(&self) -> &'static str {
        "hᵥ·W + Σᵣ meanᵤ hᵤ·Wᵣ + b, Wᵣ = diag(Q_r1 … Q_rB)"
    }
    fn paper(&self) -> &'static str {
        "Schlichtkrull et al.: Modeling Relational Data with Graph Convolutional Networks (ESWC 2018)"
    }
    fn view(&self) -> View {
        View::ByRelation
    }
    fn drops_edges(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, n_labels: usize) -> Vec<Shape> {
        let blocks = Shape::matrix(n_labels, from * (to / n_blocks(from, to)));
        vec![Shape::matrix(from, to), blocks, Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, mut rows, around, edge_dropout, relations } = given;
        let from = rows.value().width;
        let mut sum = tape.linear(name, &mut rows, parameters[0]);
        let n_blocks = n_blocks(from, sum.value().width);
        for entries in around.entries() {
            let blocks = (parameters[1], n_blocks);
            let more = tape.sum_blocks(name, &mut rows, entries, blocks, edge_dropout);
            sum = tape.add(sum, &more, 1.0);
        }
        Made { rows: tape.add_bias(sum, parameters[2]), relations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_divide_both_widths() {
        assert_eq!([n_blocks(200, 200), n_blocks(16, 7), n_blocks(24, 16)], [50, 1, 4]);
    }
}
