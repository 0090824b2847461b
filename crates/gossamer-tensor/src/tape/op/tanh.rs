//! Y = tanh(X). Backward: dX = (1 − Y²)·dY; Y is kept.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Tape, Var};
use crate::array::Array;
use crate::kernel::logistic::tanh_row;

struct Tanh<'a> {
    input: usize,
    floats: Floats<'a>,
    width: usize,
}

impl<'a> Tape<'a> {
    /// The hyperbolic tangent of each float; the input's array becomes the output's.
    pub fn tanh(&mut self, name: &'static str, input: Var<'a>) -> Var<'a> {
        let id = input.id;
        let mut out = input.into_own(self.machine);
        let width = out.width;
        let isa = self.machine.instruction_set;
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).collect();
        self.machine.workers.each(tasks, |out: &mut [f32]| {
            tanh_row(isa, out);
        });
        let place = if self.keeps { self.keep_array(name, &out) } else { 0 };
        let mut var = self.record(out, Tanh { input: id, floats: Floats::Kept(place), width });
        var.floats = self.keeps.then_some(place);
        var
    }
}

impl Op for Tanh<'_> {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let tasks = gradient.values.chunks_mut((ROWS * self.width).max(1)).enumerate().collect();
        let shared: &Back<'_> = back;
        shared.machine.workers.each_with(tasks, Vec::new, |room, (block, out)| {
            let (kept, _) = self.floats.block(block, shared, room);
            out.iter_mut().zip(kept).for_each(|(g, y)| *g *= 1.0 - y * y);
        });
        back.weigh(self.floats, &gradient);
        back.add(self.input, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.tanh("rows", rows)
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        agrees(&(), vec![filled(30, 3, 1), filled(3, 5, 2)], 0, build);
    }
}
