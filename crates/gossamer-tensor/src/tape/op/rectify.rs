//! H = max(Z, 0), of which dropout leaves a part: the others grow. Backward: dZ is dH where H is
//! positive, grown as H was, and zero elsewhere; one bit per float is kept, or none where H's kept
//! floats tell their signs.

use super::super::kept::ROWS;
use super::super::{Back, Op, Tape, Var};
use crate::array::Array;

struct Rectify {
    input: usize,
    signs: usize,
    grown: f32,
}

impl<'a> Tape<'a> {
    /// Sets to zero what is negative, and the part of what is left that dropout takes; the input's
    /// array becomes the output's.
    pub fn rectify(&mut self, name: &'static str, input: Var<'a>, dropout: f32) -> Var<'a> {
        let id = input.id;
        let mut out = input.into_own(self.machine);
        let grown = 1.0 / (1.0 - dropout);
        let (width, dropout) = (out.width, self.dropout(dropout));
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        self.machine.workers.each(tasks, |(block, out)| {
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                // What is no number stays none, and is found where it is kept.
                out.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
                dropout.apply(row as u32, out);
            }
        });
        let signs = self.keep_signs(name, &out);
        let mut var = self.record(out, Rectify { input: id, signs, grown });
        var.signs = self.keeps.then_some(signs);
        var
    }
}

impl Op for Rectify {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let (machine, store, width) = (back.machine, back.store, gradient.width);
        let tasks = gradient.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        machine.workers.each(tasks, |(block, out)| {
            store.keep_positive(self.signs, block, machine, out);
            out.iter_mut().for_each(|value| *value *= self.grown);
        });
        back.add(self.input, gradient);
    }
}
