//! Some of the rows of H, in the order asked. Backward: their gradients go to where they came from; nothing is
//! kept. What follows is then as small as what is asked for.

use super::super::{Back, Op, Tape, Var};
use crate::array::Array;

struct Pick {
    input: usize,
    rows: Vec<u32>,
    n: usize,
}

impl<'a> Tape<'a> {
    /// The input's rows with these numbers; none twice.
    pub fn pick(&mut self, input: &Var<'_>, rows: Vec<u32>) -> Var<'a> {
        let (n, width) = (input.value().rows, input.value().width);
        let mut out = Array::room(&self.machine.buffers, rows.len(), width);
        for (out, row) in out.values.chunks_exact_mut(width.max(1)).zip(&rows) {
            out.copy_from_slice(input.value().row(*row as usize));
        }
        self.record(out, Pick { input: input.id, rows, n })
    }
}

impl Op for Pick {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        back.add_rows(self.input, (&self.rows, self.n), &gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let some = tape.pick(&all[0].var(), vec![4, 0, 2]);
        let others = tape.pick(&all[0].var(), vec![3, 1, 2]);
        tape.add(some, &others, 2.0)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept() {
        agrees(&(), vec![filled(6, 3, 1)], 0, build);
        let exact = crate::codec::find("f32").unwrap();
        assert_eq!(outcome(&(), &[filled(6, 3, 1)], exact, build).2, 0);
    }
}
