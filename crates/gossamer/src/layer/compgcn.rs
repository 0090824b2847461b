//! CompGCN: a neighbour is put together with its relation's row before it is added.
//!
//! Entries are taken by direction, each with a matrix of its own, and oneself with a third. Since the
//! matrices come after the sum, there is one product of entities per direction and none per entry.
//!
//! *Paper:* Vashishth et al., "Composition-based multi-relational graph convolutional networks" (2020).

use gossamer_tensor::tape::op::compose::{Around, Composition};
use gossamer_tensor::tape::rows::Rows;
use gossamer_tensor::tape::{Parameter, Tape};

use super::around::View;
use super::{Given, Layer, Made, Shape};

/// CompGCN with one of its compositions.
#[derive(Debug)]
pub struct CompGcn(Composition);

/// Circular correlation, as a product of spectra.
pub static CORRELATED: CompGcn = CompGcn(Composition::Correlate);
/// Product, element by element.
pub static MULTIPLIED: CompGcn = CompGcn(Composition::Multiply);
/// Difference.
pub static SUBTRACTED: CompGcn = CompGcn(Composition::Subtract);

impl Layer for CompGcn {
    fn name(&self) -> &'static str {
        match self.0 {
            Composition::Correlate => "compgcn",
            Composition::Multiply => "compgcn-mult",
            Composition::Subtract => "compgcn-sub",
        }
    }
    fn summary(&self) -> &'static str {
        match self.0 {
            Composition::Correlate => "neighbours correlated with their relations",
            Composition::Multiply => "neighbours times their relations",
            Composition::Subtract => "neighbours less their relations; the cheapest to learn",
        }
    }
    fn formula(&self) -> &'static str {
        match self.0 {
            Composition::Correlate => "⅓·Σ_d (Σᵤ wᵥᵤ·hᵤ ⋆ zᵣ)·W_d + b over in, out and oneself",
            Composition::Multiply => "⅓·Σ_d (Σᵤ wᵥᵤ·hᵤ ∘ zᵣ)·W_d + b over in, out and oneself",
            Composition::Subtract => "⅓·Σ_d (Σᵤ wᵥᵤ·(hᵤ − zᵣ))·W_d + b over in, out and oneself",
        }
    }
    fn paper(&self) -> &'static str {
        "Vashishth et al.: Composition-Based Multi-Relational Graph Convolutional Networks (ICLR 2020)"
    }
    fn view(&self) -> View {
        View::ByDirection
    }
    fn composes(&self) -> bool {
        true
    }
    fn drops_edges(&self) -> bool {
        true
    }
    fn parameters(&self, from: usize, to: usize, _n_labels: usize) -> Vec<Shape> {
        let mut shapes = vec![Shape::matrix(from, to); 4];
        shapes.push(Shape::bias(to));
        if self.0 == Composition::Correlate {
            shapes.extend([Shape::fourier(from, true), Shape::fourier(from, false)]);
        }
        shapes
    }
    fn forward<'a>(
        &self,
        tape: &mut Tape<'a>,
        given: Given<'a>,
        parameters: &[Parameter<'a>],
    ) -> Made<'a> {
        let Given { name, mut rows, around, edge_dropout, relations } = given;
        let Some(mut relations) = relations else { return Made { rows, relations } };
        let made = tape.linear("relations", &mut relations, parameters[3]);
        let spectra = (self.0 == Composition::Correlate).then(|| [parameters[5], parameters[6]]);
        if let Some([of_rows, of_relations]) = spectra {
            rows = tape.times_fixed(&rows, of_rows, false);
            relations = tape.times_fixed(&relations, of_relations, false);
        }
        let mut sum = None;
        for (direction, matrix) in around.entries().enumerate() {
            let both = [&mut rows, &mut relations];
            // Oneself is left out by nobody.
            let dropout = tape.dropout(if direction < 2 { edge_dropout } else { 0.0 });
            let around = Around { matrix, given: Rows::All, wanted: Rows::All, dropout };
            let mut composed = tape.compose(name, both, around, self.0);
            if let Some([of_rows, _]) = spectra {
                composed = tape.times_fixed(&composed, of_rows, true);
            }
            let more = tape.linear("composed", &mut composed, parameters[direction]);
            sum = Some(match sum {
                Some(sum) => tape.add(sum, &more, 1.0),
                None => more,
            });
        }
        let rows = sum.unwrap_or(rows);
        Made { rows: tape.add_bias(rows, parameters[4]), relations: Some(made) }
    }
}
