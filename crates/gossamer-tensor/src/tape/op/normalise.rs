//! Each row Y = X / ‖X‖. Backward: dX = (dY − Y·⟨Y, dY⟩) / ‖X‖; a row's norm is kept exactly, and its
//! direction as X or as Y, whichever another op keeps as well.
//!
//! What a codec does to the direction is noise in dX.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Tape, Var};
use crate::array::Array;
use crate::kernel::vector;

/// What a row's direction is kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What comes in.
    Input,
    /// What goes out.
    Output,
}

/// Norms below are taken for this one.
const LEAST: f32 = 1e-12;

struct Normalise<'a> {
    input: usize,
    direction: Direction,
    floats: Floats<'a>,
    norms: usize,
    width: usize,
}

impl<'a> Tape<'a> {
    /// Rows of length one; those of zeros stay so.
    pub fn normalise(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        direction: Direction,
    ) -> Var<'a> {
        let machine = self.machine;
        let (n, width) = (input.value().rows, input.value().width);
        let mut out = Array::room(&machine.buffers, n, width);
        let mut norms = Array::room(&machine.buffers, n, 1);
        let of_block = (ROWS * width).max(1);
        let tasks = out.values.chunks_mut(of_block).zip(norms.values.chunks_mut(ROWS));
        let tasks = tasks.zip(input.value().values.chunks(of_block)).collect();
        machine.workers.each(tasks, |((out, norms), x): ((&mut [f32], &mut [f32]), &[f32])| {
            let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
            for ((out, x), norm) in rows.zip(norms) {
                *norm = vector::dot(x, x).sqrt().max(LEAST);
                let scale = 1.0 / *norm;
                out.iter_mut().zip(x).for_each(|(out, x)| *out = x * scale);
            }
        });
        if !self.keeps {
            let floats = Floats::Kept(0);
            let id = input.id;
            return self.record(out, Normalise { input: id, direction, floats, norms: 0, width });
        }
        let floats = match direction {
            Direction::Input => self.keep_floats(name, input),
            Direction::Output => Floats::Kept(self.keep_array(name, &out)),
        };
        let exact = &crate::codec::float32::Float32;
        let norms = self.store.floats("norms", &norms, exact, machine, self.address);
        let op = Normalise { input: input.id, direction, floats, norms, width };
        let mut var = self.record(out, op);
        if let (Direction::Output, Floats::Kept(place)) = (direction, floats) {
            var.floats = Some(place);
        }
        var
    }
}

impl Op for Normalise<'_> {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let width = self.width;
        let tasks = gradient.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        let shared: &Back<'_> = back;
        let rooms = || (Vec::new(), Vec::new());
        shared.machine.workers.each_with(tasks, rooms, |(room, of_norms), (block, out)| {
            let (kept, _) = self.floats.block(block, shared, room);
            let (norms, _) = Floats::Kept(self.norms).block(block, shared, of_norms);
            let rows = out.chunks_exact_mut(width).zip(kept.chunks_exact(width));
            for ((out, kept), norm) in rows.zip(norms) {
                let inverse = 1.0 / norm;
                let scale = if self.direction == Direction::Input { inverse } else { 1.0 };
                let along = scale * scale * vector::dot(kept, out);
                out.iter_mut().zip(kept).for_each(|(out, y)| *out = (*out - along * y) * inverse);
            }
        });
        back.weigh(self.floats, &gradient);
        back.add(self.input, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees_within, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, direction: &'a Direction, all: &[Parameter<'a>]) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        let mut rows = tape.normalise("rows", &mut rows, *direction);
        tape.linear("rows", &mut rows, all[2])
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_directions_are_kept_once() {
        for (direction, times) in [(Direction::Input, 2), (Direction::Output, 1)] {
            let parameters = || vec![filled(30, 3, 1), filled(3, 5, 2), filled(5, 4, 3)];
            agrees_within(0.2, &direction, parameters(), 0, build);
            let exact = crate::codec::find("f32").unwrap();
            let kept = outcome(&direction, &parameters(), exact, build).2;
            assert_eq!(kept, 4 * 30 * (5 * times + 1));
        }
    }
}
