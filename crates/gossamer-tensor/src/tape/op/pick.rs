//! Some of the rows of H. Backward: their gradients go to where they came from; nothing is kept. What follows
//! is then as small as what is asked for, and of rows that ascend the gradient is no larger.

use super::super::rows::Rows;
use super::super::{Back, Op, Tape, Var};
use crate::array::Array;
use crate::kernel::vector;

struct Pick {
    input: usize,
    rows: Vec<u32>,
    n: usize,
}

struct PickRows {
    input: usize,
    which: Rows,
    n: usize,
}

impl<'a> Tape<'a> {
    /// The input's rows with these numbers, in the order asked and as often.
    pub fn pick(&mut self, input: &Var<'_>, rows: Vec<u32>) -> Var<'a> {
        let out = self.picked(input, rows.iter().copied(), rows.len());
        self.record(out, Pick { input: input.id, rows, n: input.value().rows })
    }

    /// The input's rows that are these.
    pub fn pick_rows(&mut self, input: &Var<'_>, which: &Rows) -> Var<'a> {
        let n = input.value().rows;
        let numbers = (0..which.n(n)).map(|place| which.row(place) as u32);
        let out = self.picked(input, numbers, which.n(n));
        self.record(out, PickRows { input: input.id, which: which.clone(), n })
    }

    fn picked(&self, input: &Var<'_>, rows: impl Iterator<Item = u32>, n: usize) -> Array {
        let mut out = Array::room(&self.machine.buffers, n, input.value().width);
        let width = out.width.max(1);
        for (out, row) in out.values.chunks_exact_mut(width).zip(rows) {
            out.copy_from_slice(input.value().row(row as usize));
        }
        out
    }
}

impl Op for Pick {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (isa, width) = (back.machine.instruction_set, gradient.width);
        let mut all = Array::zeroed(&back.machine.buffers, self.n, width);
        for (row, more) in self.rows.iter().zip(gradient.values.chunks_exact(width.max(1))) {
            vector::add_scaled(isa, &mut all.values[*row as usize * width..][..width], 1.0, more);
        }
        back.add(self.input, all);
    }
}

impl Op for PickRows {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        back.add_rows(self.input, (self.which.clone(), self.n), gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let some = tape.pick(&all[0].var(), vec![4, 0, 4]);
        let others = tape.pick_rows(&all[0].var(), &Rows::these(vec![1, 2, 5], 6));
        tape.add(some, &others, 2.0)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept() {
        agrees(&(), vec![filled(6, 3, 1)], 0, build);
        let exact = crate::codec::find("f32").unwrap();
        assert_eq!(outcome(&(), &[filled(6, 3, 1)], exact, build).2, 0);
    }
}
