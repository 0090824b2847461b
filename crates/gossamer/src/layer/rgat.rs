//! Relational attention: a neighbour counts as much as both ends and the relation say.
//!
//! *Paper:* the attention of Jiang et al., "DiffKG: knowledge graph diffusion model for
//! recommendation" (2024).

use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// Attention over entries of all relations.
#[derive(Debug)]
pub struct Rgat;

impl Layer for Rgat {
    fn name(&self) -> &'static str {
        "rgat"
    }
    fn summary(&self) -> &'static str {
        "attends to neighbours in the light of their relations; keeps its rows, nothing per edge"
    }
    fn formula(&self) -> &'static str {
        "Σ α·hᵤ + b, h = x·W, α = softmax over v's edges of leaky(⟨hᵤ, pᵣ⟩ + ⟨hᵥ, qᵣ⟩)"
    }
    fn paper(&self) -> &'static str {
        "Jiang et al.: DiffKG: Knowledge Graph Diffusion Model for Recommendation (WSDM 2024)"
    }
    fn view(&self) -> View {
        View::ByEntity
    }
    fn begins_with_product(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, n_labels: usize) -> Vec<Shape> {
        let labels = Shape::matrix(n_labels, to);
        vec![Shape::matrix(from, to), labels, labels, Shape::bias(to)]
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { mut rows, around, relations, .. } = given;
        let mut sum = None;
        for entries in around.entries() {
            let labels = [&mut parameters[1].var(), &mut parameters[2].var()];
            let more = tape.attend_labels("attended", &mut rows, labels, entries);
            sum = Some(match sum {
                Some(sum) => tape.add(sum, &more, 1.0),
                None => more,
            });
        }
        let sum = sum.unwrap_or(rows);
        Made { rows: tape.add_bias(sum, parameters[3]), relations }
    }
}
