//! Z = H, of whose floats dropout leaves a part out, the others growing. Backward: dH is dZ, grown as
//! H was; nothing is kept, the same random numbers being asked again.

use gossamer_machine::Machine;

use super::super::kept::ROWS;
use super::super::{Back, Op, Tape, Var};
use crate::array::Array;
use crate::dropout::Dropout;

struct LeaveOut {
    input: usize,
    dropout: Dropout,
}

impl<'a> Tape<'a> {
    /// Leaves a part of the floats out; the input's array becomes the output's.
    pub fn leave_out(&mut self, input: Var<'a>, part: f32) -> Var<'a> {
        if part == 0.0 {
            return input;
        }
        let id = input.id;
        let mut out = input.into_own(self.machine);
        let dropout = self.dropout(part);
        apply(self.machine, dropout, &mut out);
        self.record(out, LeaveOut { input: id, dropout })
    }
}

fn apply(machine: &Machine, dropout: Dropout, array: &mut Array) {
    let width = array.width;
    let tasks = array.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
    machine.workers.each(tasks, |(block, out): (usize, &mut [f32])| {
        for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
            dropout.apply(row as u32, out);
        }
    });
}

impl Op for LeaveOut {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        apply(back.machine, self.dropout, &mut gradient);
        back.add(self.input, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        tape.leave_out(all[0].var(), 0.3)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept() {
        agrees(&(), vec![filled(300, 5, 1)], 0, build);
        let exact = crate::codec::find("f32").unwrap();
        let (_, gradients, kept) = outcome(&(), &[filled(300, 5, 1)], exact, build);
        assert_eq!(kept, 0);
        let left_out = gradients[0].values.iter().filter(|x| **x == 0.0).count();
        assert!((350..550).contains(&left_out), "{left_out}");
    }
}
