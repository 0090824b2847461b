//! R-GCN: a matrix for each relation and direction, mixed of a few that all share.
//!
//! *Paper:* Schlichtkrull et al., "Modeling relational data with graph convolutional networks" (2018).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// R-GCN with bases.
#[derive(Debug)]
pub struct Rgcn;

/// Matrices that are mixed.
const BASES: usize = 5;

impl Layer for Rgcn {
    fn name(&self) -> &'static str {
        "rgcn"
    }
    fn summary(&self) -> &'static str {
        "a matrix for each relation, mixed of five; keeps its input alone"
    }
    fn formula(&self) -> &'static str {
        "hᵥ·W + Σᵣ meanᵤ hᵤ·Wᵣ + b, Wᵣ = Σ_b sᵣ_b·V_b"
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
        let shares = Shape::matrix(n_labels, BASES);
        vec![Shape::matrix(from, to), shares, Shape::matrix(BASES * from, to), Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, mut rows, around, edge_dropout, relations } = given;
        let mut sum = tape.linear(name, &mut rows, parameters[0]);
        for entries in around.entries() {
            let mixed = [parameters[1], parameters[2]];
            let more = tape.sum_bases(name, &mut rows, entries, mixed, edge_dropout);
            sum = tape.add(sum, &more, 1.0);
        }
        Made { rows: tape.add_bias(sum, parameters[3]), relations }
    }
}
