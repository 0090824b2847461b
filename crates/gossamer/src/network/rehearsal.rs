//! Rehearsals: what a step of a network takes, found by steps over a few entities without neighbours.
//!
//! Arrays of a step have a row for each entity or none, so bytes are a line through two sizes. *Not
//! here:* what the plan adds to it (parameters, state, what is around entities).

use gossamer_machine::{Address, Ledger, Machine, Purpose};
use gossamer_tensor::array::Array;
use gossamer_tensor::sparse::Sparse;
use gossamer_tensor::tape::Tape;
use gossamer_tensor::tape::kept::ROWS;
use gossamer_tensor::tape::op::neighbours::BothWays;

use super::activations::Activations;
use super::{Design, Network};
use crate::layer::around::Around;

/// What a step takes.
pub struct Rehearsal {
    /// What is kept between the ways, named.
    pub kept: Ledger,
    /// Bytes of other arrays when there are most of them: rows, sums, their gradients.
    pub rows: u64,
}

impl Design {
    /// What a step over so many entities takes. Features, if it is given such, keep nothing: one
    /// stands for all.
    pub fn rehearse(
        &self,
        activations: &Activations,
        (n_entities, has_features): (usize, bool),
    ) -> Rehearsal {
        let of = |rows| self.small(rows, has_features).rehearsed(activations, n_entities, true);
        let (one, two) = (of(ROWS), of(2 * ROWS));
        // Of what is kept, whole arrays are among all arrays.
        let whole = (blocks_beyond(n_entities) + 1) * one.whole;
        let all = most([&one.course, &two.course], n_entities);
        Rehearsal { kept: one.kept, rows: all.saturating_sub(whole) }
    }

    /// Bytes of arrays of a forward pass over so many entities, from which nothing goes back.
    pub fn rehearse_forward(&self, (n_entities, has_features): (usize, bool)) -> u64 {
        let exact = Activations::default();
        let of = |rows| self.small(rows, has_features).rehearsed(&exact, n_entities, false).course;
        most([&of(ROWS), &of(2 * ROWS)], n_entities)
    }

    /// One for so few entities that it is learned in no time.
    fn small(&self, n_entities: usize, has_features: bool) -> Small {
        let table = self.table.map(|[_, width]| [if has_features { 1 } else { n_entities }, width]);
        let mut widths = self.widths;
        if has_features && table.is_none() {
            widths[0] = 1;
        }
        Small { design: Self { table, widths, ..*self }, n_entities, has_features }
    }
}

/// Blocks of rows beyond the first.
fn blocks_beyond(n_entities: usize) -> u64 {
    n_entities.saturating_sub(ROWS).div_ceil(ROWS) as u64
}

/// The most bytes of a step over so many entities, from its courses over one block of rows and over
/// two. Each moment's bytes are a line through both; the most of few entities is at another moment
/// than the most of many.
fn most([one, two]: [&[u64]; 2], n_entities: usize) -> u64 {
    let blocks = blocks_beyond(n_entities);
    let line = |(one, two): (&u64, &u64)| one + blocks * two.saturating_sub(*one);
    one.iter().zip(two).map(line).max().unwrap_or(0)
}

/// What a small step took.
struct Rehearsed {
    /// What is kept of the entities there will be.
    kept: Ledger,
    /// Bytes of kept arrays that are kept whole.
    whole: u64,
    /// Bytes of arrays, from moment to moment.
    course: Vec<u64>,
}

/// A network of few entities.
struct Small {
    design: Design,
    n_entities: usize,
    has_features: bool,
}

impl Small {
    /// Steps once, forward or back as well; what is kept is that of so many entities.
    fn rehearsed(&self, activations: &Activations, instead: usize, back: bool) -> Rehearsed {
        let (n, machine) = (self.n_entities, Machine::new(1, None));
        let matrices = [Sparse::new(n, 1, Vec::new()), Sparse::new(1, n, Vec::new())];
        let [forward, backward] = &matrices;
        let features = self.has_features.then_some(BothWays { forward, backward });
        let network = Network::new(self.design, &machine, 0);
        let around = Around::of(self.design.layer.view(), n, self.design.n_labels / 2, &[]);
        // The parameters are in hands already.
        let parameters = machine.buffers.most_bytes();
        machine.buffers.follow();
        let codecs = |place: usize| activations.codec(place);
        let mut tape = Tape::new(&machine, &codecs, Address::new(0, Purpose::Layer, 0));
        if !back {
            tape.forget();
        }
        let (made, _) = network.forward(&mut tape, &around, features, back);
        let (kept, whole) = (tape.kept_of(&[(n, instead)]), tape.whole_bytes());
        if back {
            let rows = made.rows.value();
            let of_rows = Array::zeroed(&machine.buffers, rows.rows, rows.width);
            // Nothing is broken: all that is kept is finite.
            drop(tape.backward([(made.rows, of_rows)]));
        }
        let course = machine.buffers.course();
        Rehearsed {
            kept,
            whole,
            course: course.iter().map(|b| b.saturating_sub(parameters)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer;

    /// Where courses have as many moments for few entities as for many, the line of each moment
    /// is that moment's.
    #[test]
    fn a_step_takes_arrays_in_the_same_order_whatever_the_number_of_entities() {
        for layer in layer::ALL {
            for (codec, reversible) in [("exact", false), ("int2", false), ("topk10", true)] {
                let width = 64;
                let n_labels = 5;
                let design = Design {
                    layer: *layer,
                    n_layers: 3,
                    table: Some([ROWS, width]),
                    relations: layer.composes().then_some([n_labels, width]),
                    n_labels,
                    widths: [width, width, 7],
                    dropout: 0.1,
                    edge_dropout: 0.0,
                    residual: !reversible,
                    reversible,
                };
                let activations = Activations::parse(codec).unwrap();
                let of = |n| design.small(n, false).rehearsed(&activations, n, true).course;
                let [one, two, four] = [ROWS, 2 * ROWS, 4 * ROWS].map(of);
                let lengths = [one.len(), two.len(), four.len()];
                let name = layer.name();
                assert!(lengths.iter().all(|n| *n == lengths[0]), "{name} {codec} {lengths:?}");
                let found = most([&one, &two], 4 * ROWS);
                let exact = four.into_iter().max().unwrap();
                // An array that waits may be used for a smaller one.
                assert!(found.abs_diff(exact) <= exact / 20, "{name} {codec}: {found} {exact}");
            }
        }
    }
}
