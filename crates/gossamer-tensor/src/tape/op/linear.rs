//! Z = H·W. Backward: dH = dZ·Wᵀ needs the weights alone; dW = Hᵀ·dZ needs H, so H is kept.
//!
//! What a codec does to H is noise in dW alone: dH does not see it.

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::fixed::times;
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut};
use crate::kernel::product::add_product;

/// Sums of blocks that are made one after the other; their number fixes the order of addition.
const SUMS: usize = 16;

struct Linear<'a> {
    input: usize,
    floats: Floats<'a>,
    weight: usize,
    weights: &'a Array,
}

impl<'a> Tape<'a> {
    /// input (n × k) · weight (k × m); `name` is that of the kept input.
    pub fn linear(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        weight: Parameter<'a>,
    ) -> Var<'a> {
        let weights = weight.array;
        let floats = self.keep_floats(name, input);
        let out = times(self.machine, input.value(), weights, false);
        self.record(out, Linear { input: input.id, floats, weight: weight.id, weights })
    }
}

impl Op for Linear<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let of_weights = product_of_columns(back, self.floats, self.weights.rows, &gradient);
        back.weigh(self.floats, &gradient);
        let of_input = times(back.machine, &gradient, self.weights, true);
        back.add(self.weight, of_weights);
        back.add(self.input, of_input);
    }
}

/// Hᵀ·dZ for rows of k floats that were kept.
pub fn product_of_columns(back: &Back<'_>, rows: Floats<'_>, k: usize, gradient: &Array) -> Array {
    let machine = back.machine;
    let (isa, buffers, m) = (machine.instruction_set, &machine.buffers, gradient.width);
    let blocks: Vec<&[f32]> = gradient.values.chunks(ROWS * m).collect();
    let mut sums = buffers.zeroed(SUMS * k * m);
    machine.workers.each_with(
        sums.chunks_mut(k * m).enumerate().collect(),
        Vec::new,
        |decoded, (sum, out)| {
            let own = blocks.len() * sum / SUMS..blocks.len() * (sum + 1) / SUMS;
            for (block, gradient) in own.clone().zip(&blocks[own]) {
                let (values, n) = rows.block(block, back, decoded);
                let left = Matrix { values, stride: k }.transposed();
                let right = Matrix { values: gradient, stride: m };
                let out = MatrixMut { values: out, stride: m };
                add_product(isa, [k, n, m], left, right, out);
            }
        },
    );
    let mut of_weights = Array::zeroed(buffers, k, m);
    for sum in sums.chunks(k * m) {
        of_weights.values.iter_mut().zip(sum).for_each(|(out, sum)| *out += sum);
    }
    of_weights
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled};
    use super::*;
    use crate::codec;
    use gossamer_machine::{Address, Machine, Purpose};

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.linear("rows", &mut rows, all[2])
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        agrees(&(), vec![filled(300, 3, 1), filled(3, 5, 2), filled(5, 4, 3)], 0, build);
    }

    #[test]
    fn what_a_slot_needs_is_the_variance_that_one_bit_would_bring() {
        let machine = Machine::new(2, None);
        let all = [filled(600, 8, 1), filled(8, 32, 2), filled(32, 4, 3)];
        let once = |codec: &'static dyn codec::Codec, seed: u64| {
            let choose = |_: usize| codec;
            let mut tape = Tape::new(&machine, &choose, Address::new(seed, Purpose::Layer, 0));
            tape.weigh();
            let parameters: Vec<Parameter<'_>> = all.iter().map(|of| tape.parameter(of)).collect();
            let out = build(&mut tape, &(), &parameters);
            let mut found = tape.backward([(out, filled(600, 4, 9))]).unwrap();
            let needs = std::mem::take(&mut found.needs);
            (found.take(2).unwrap(), needs[0].as_ref().map(|need| need.noise))
        };
        for (name, levels) in [("int2", 3.0f64), ("int4", 15.0)] {
            let codec = codec::find(name).unwrap();
            let (exact, _) = once(codec::find("f32").unwrap(), 0);
            let (n, mut variance) = (60, 0.0);
            for seed in 0..n {
                let (rough, _) = once(codec, seed);
                let pairs = rough.values.iter().zip(exact.values.iter());
                variance += pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / n as f64;
            }
            let told = once(codec, 0).1.unwrap() / levels.powi(2);
            assert!((0.7..1.4).contains(&(variance / told)), "{name}: {variance} {told}");
        }
    }
}
