//! PNA: mean, deviation, largest and smallest of the neighbours, each by three scales of the degree.
//!
//! *Paper:* Corso et al., "Principal neighbourhood aggregation for graph nets" (2020).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// Principal neighbourhood aggregation.
#[derive(Debug)]
pub struct Pna;

impl Layer for Pna {
    fn name(&self) -> &'static str {
        "pna"
    }
    fn summary(&self) -> &'static str {
        "four aggregates of neighbours by three scales of the degree; keeps its input alone"
    }
    fn formula(&self) -> &'static str {
        "H·W + F·W₀ + s·F·W₁ + F·W₂/s + b, F = mean, deviation, max, min, s = ln(degree + 1)/δ"
    }
    fn paper(&self) -> &'static str {
        "Corso et al.: Principal Neighbourhood Aggregation for Graph Nets (NeurIPS 2020)"
    }
    fn view(&self) -> View {
        View::Mean
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        vec![Shape::matrix(from, to), Shape::matrix(12 * from, to), Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, mut rows, around, relations, .. } = given;
        let own = tape.linear(name, &mut rows, parameters[0]);
        let more = tape.aggregate_neighbours(name, &mut rows, around.pairs(), parameters[1]);
        let sum = tape.add(own, &more, 1.0);
        Made { rows: tape.add_bias(sum, parameters[2]), relations }
    }
}
