//! LATTE: neighbours of each relation by attention, relations by attention, oneself among them.
//!
//! Relations of the first order; those that the paper joins from layer to layer are what a second
//! layer reaches here.
//!
//! *Paper:* Tran et al., "Layer-stacked attention for heterogeneous network embedding" (2020).

use gossamer_tensor::tape::op::attend_twice::Attended;
use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// Layer-stacked attention.
#[derive(Debug)]
pub struct Latte;

impl Layer for Latte {
    fn name(&self) -> &'static str {
        "latte"
    }
    fn summary(&self) -> &'static str {
        "attends to neighbours of each relation, and to relations; for graphs with few of these"
    }
    fn formula(&self) -> &'static str {
        "Σᵣ βᵥᵣ·Σᵤ αᵥᵤᵣ·hᵤ + βᵥ·oᵥ + b, α = softmax of leaky(tᵥᵣ + sᵤᵣ), β = softmax of x·B"
    }
    fn paper(&self) -> &'static str {
        "Tran et al.: Layer-Stacked Attention for Heterogeneous Network Embedding (2020)"
    }
    fn view(&self) -> View {
        View::ByEntity
    }
    fn parameters(&self, from: usize, to: usize, n_labels: usize) -> Vec<Shape> {
        let (rows, numbers) = (Shape::matrix(from, to), Shape::matrix(to, n_labels));
        let labels = Shape::matrix(from, n_labels);
        vec![rows, rows, numbers, numbers, labels, Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, rows: mut input, around, relations, .. } = given;
        let mut rows = tape.linear(name, &mut input, parameters[0]);
        let mut own = tape.linear(name, &mut input, parameters[1]);
        let mut sources = tape.linear("attended", &mut rows, parameters[2]);
        let mut targets = tape.linear("attended", &mut own, parameters[3]);
        let mut labels = tape.linear(name, &mut input, parameters[4]);
        let mut sum = None;
        for entries in around.entries() {
            let given = Attended {
                rows: &mut rows,
                own: &mut own,
                sources: &mut sources,
                targets: &mut targets,
                labels: &mut labels,
            };
            sum = Some(tape.attend_twice("attended", given, entries));
        }
        let sum = sum.unwrap_or(own);
        Made { rows: tape.add_bias(sum, parameters[5]), relations }
    }
}
