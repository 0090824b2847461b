//! Bi-interaction: a row and the mean of its neighbours, added and multiplied, a matrix for each.
//!
//! *Paper:* Wang et al., "KGAT: knowledge graph attention network for recommendation" (2019).

use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// KGAT's aggregator.
#[derive(Debug)]
pub struct BiInteraction;

impl Layer for BiInteraction {
    fn name(&self) -> &'static str {
        "bi-interaction"
    }
    fn summary(&self) -> &'static str {
        "a row and its neighbours' mean, added and multiplied; keeps its input and two bits"
    }
    fn formula(&self) -> &'static str {
        "leaky((H + S)·W + b) + leaky((H ∘ S)·V + c), S = D⁻¹·A·H"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: KGAT: Knowledge Graph Attention Network for Recommendation (KDD 2019)"
    }
    fn view(&self) -> View {
        View::Mean
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        let one = [Shape::matrix(from, to), Shape::bias(to)];
        [one, one].concat()
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, mut rows, around, relations, .. } = given;
        let own = [parameters[0], parameters[1], parameters[2], parameters[3]];
        Made { rows: tape.interact(name, &mut rows, (around.pairs(), Rows::All), own), relations }
    }
}
