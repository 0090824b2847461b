//! Z = H + f·K; Z = f·H; and the two halves of each row. Backward: dH = dZ and dK = f·dZ; the halves'
//! gradients side by side. Nothing is kept.

use super::super::{Back, Op, Tape, Var};
use crate::array::Array;
use crate::kernel::vector;

struct Add {
    inputs: [usize; 2],
    factor: f32,
}

struct Scale {
    input: usize,
    factor: f32,
}

struct Half {
    input: usize,
    second: bool,
}

impl<'a> Tape<'a> {
    /// The first array, to which the second is added times a factor.
    pub fn add(&mut self, first: Var<'a>, second: &Var<'a>, factor: f32) -> Var<'a> {
        let inputs = [first.id, second.id];
        let mut out = first.into_own(self.machine);
        let isa = self.machine.instruction_set;
        vector::add_scaled(isa, &mut out.values, factor, &second.value().values);
        self.record(out, Add { inputs, factor })
    }

    /// The array times a factor.
    pub fn scale(&mut self, input: Var<'a>, factor: f32) -> Var<'a> {
        let id = input.id;
        let mut out = input.into_own(self.machine);
        vector::scale(self.machine.instruction_set, &mut out.values, factor);
        self.record(out, Scale { input: id, factor })
    }

    /// The first and the second half of each row.
    pub fn halves(&mut self, input: Var<'a>) -> [Var<'a>; 2] {
        [false, true].map(|second| {
            let x = input.value();
            let width = x.width / 2;
            let mut out = Array::room(&self.machine.buffers, x.rows, width);
            let rows = x.values.chunks_exact(x.width).zip(out.values.chunks_exact_mut(width));
            rows.for_each(|(row, out)| {
                out.copy_from_slice(&row[if second { width } else { 0 }..][..width]);
            });
            self.record(out, Half { input: input.id, second })
        })
    }
}

impl Op for Add {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let mut second = Array::of(&back.machine.buffers, &gradient.values, gradient.width);
        vector::scale(back.machine.instruction_set, &mut second.values, self.factor);
        back.add(self.inputs[0], gradient);
        back.add(self.inputs[1], second);
    }
}

impl Op for Scale {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        vector::scale(back.machine.instruction_set, &mut gradient.values, self.factor);
        back.add(self.input, gradient);
    }
}

impl Op for Half {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let width = gradient.width;
        let mut out = Array::zeroed(&back.machine.buffers, gradient.rows, 2 * width);
        let rows = gradient.values.chunks_exact(width).zip(out.values.chunks_exact_mut(2 * width));
        rows.for_each(|(row, out)| {
            out[if self.second { width } else { 0 }..][..width].copy_from_slice(row);
        });
        back.add(self.input, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let [first, second] = tape.halves(all[0].var());
        let sum = tape.add(first, &second, 0.5);
        tape.scale(sum, 3.0)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_nothing_is_kept() {
        agrees(&(), vec![filled(7, 6, 1)], 0, build);
        let exact = crate::codec::find("f32").unwrap();
        assert_eq!(outcome(&(), &[filled(7, 6, 1)], exact, build).2, 0);
    }
}
