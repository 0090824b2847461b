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
        let ((kept, [of_one, whole]), (_, [of_two, _])) = (of(ROWS), of(2 * ROWS));
        let blocks = n_entities.saturating_sub(ROWS).div_ceil(ROWS) as u64;
        // Of what is kept, whole arrays are among all arrays.
        let all = of_one + blocks * of_two.saturating_sub(of_one);
        Rehearsal { kept, rows: all.saturating_sub((blocks + 1) * whole) }
    }

    /// Bytes of arrays of a forward pass over so many entities, from which nothing goes back.
    pub fn rehearse_forward(&self, (n_entities, has_features): (usize, bool)) -> u64 {
        let exact = Activations::default();
        let of = |rows| self.small(rows, has_features).rehearsed(&exact, n_entities, false).1[0];
        let (one, two) = (of(ROWS), of(2 * ROWS));
        let blocks = n_entities.saturating_sub(ROWS).div_ceil(ROWS) as u64;
        one + blocks * two.saturating_sub(one)
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

/// A network of few entities.
struct Small {
    design: Design,
    n_entities: usize,
    has_features: bool,
}

impl Small {
    /// Steps once, forward or back as well; returns what is kept, of so many entities, the bytes of
    /// arrays beside the parameters, and those of them that are kept.
    fn rehearsed(
        &self,
        activations: &Activations,
        instead: usize,
        back: bool,
    ) -> (Ledger, [u64; 2]) {
        let (n, machine) = (self.n_entities, Machine::new(1, None));
        let matrices = [Sparse::new(n, 1, Vec::new()), Sparse::new(1, n, Vec::new())];
        let [forward, backward] = &matrices;
        let features = self.has_features.then_some(BothWays { forward, backward });
        let network = Network::new(self.design, &machine, 0);
        let parameters = machine.buffers.most_bytes();
        let around = Around::of(self.design.layer.view(), n, self.design.n_labels / 2, &[]);
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
        (kept, [machine.buffers.most_bytes() - parameters, whole])
    }
}
