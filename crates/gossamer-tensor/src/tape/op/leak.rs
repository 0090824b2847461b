//! The leak that logits and sums go through: what is negative becomes a fifth of it. As an op it keeps one
//! bit per float, or none where kept floats tell the signs.

use super::super::kept::ROWS;
use super::super::{Back, Op, Tape, Var};
use crate::array::Array;

/// What a negative number is multiplied by.
pub const LEAK: f32 = 0.2;

/// x, or a fifth of it.
pub fn leaky(x: f32) -> f32 {
    x * slope(x)
}

/// The leak's derivative.
pub fn slope(x: f32) -> f32 {
    if x < 0.0 { LEAK } else { 1.0 }
}

struct Leak {
    input: usize,
    signs: usize,
}

impl<'a> Tape<'a> {
    /// The leak of every float; the input's array becomes the output's.
    pub fn leak(&mut self, name: &'static str, input: Var<'a>) -> Var<'a> {
        let id = input.id;
        let mut out = input.into_own(self.machine);
        let tasks = out.values.chunks_mut((ROWS * out.width).max(1)).collect();
        self.machine.workers.each(tasks, |out: &mut [f32]| {
            out.iter_mut().for_each(|x| *x = leaky(*x));
        });
        let signs = self.keep_signs(name, &out);
        let mut var = self.record(out, Leak { input: id, signs });
        var.signs = self.keeps.then_some(signs);
        var
    }
}

impl Op for Leak {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let (machine, store, width) = (back.machine, back.store, gradient.width);
        let tasks = gradient.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each_with(tasks, Vec::new, |positive: &mut Vec<f32>, (block, out)| {
            let out: &mut [f32] = out;
            positive.clear();
            positive.extend_from_slice(out);
            store.keep_positive(self.signs, block, machine, positive);
            let both = out.iter_mut().zip(positive.iter());
            both.for_each(|(out, positive)| *out = LEAK * *out + (1.0 - LEAK) * positive);
        });
        back.add(self.input, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Parameter;
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.leak("signs", rows)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_bits_alone_are_kept() {
        let parameters = || vec![filled(9, 3, 1), filled(3, 8, 2)];
        agrees(&(), parameters(), 1, build);
        let exact = crate::codec::find("f32").unwrap();
        assert_eq!(outcome(&(), &parameters(), exact, build).2, 9);
    }

    #[test]
    fn what_is_negative_becomes_a_fifth() {
        assert_eq!([leaky(-2.0), leaky(0.0), leaky(3.0)], [-0.4, 0.0, 3.0]);
        assert_eq!([slope(-2.0), slope(3.0)], [0.2, 1.0]);
    }
}
