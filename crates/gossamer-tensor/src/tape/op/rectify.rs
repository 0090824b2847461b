//! H = max(Z, 0), of which dropout leaves a part: the others grow. Backward: dZ is dH where H is
//! positive, grown as H was, and zero elsewhere; one bit per float is kept, or none where H's kept
//! floats tell their signs.

use gossamer_machine::Address;

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
        let (width, number) = (out.width, self.ops.len() as u32 + 1);
        let tasks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        self.machine.workers.each(tasks, |(block, out)| {
            for (row, out) in (block * ROWS..).zip(out.chunks_exact_mut(width)) {
                // What is no number stays none, and is found where it is kept.
                out.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { grown * *x });
                if dropout > 0.0 {
                    drop_some(self.address, row as u32, number, dropout, out);
                }
            }
        });
        let signs = self.store.signs(name, &out);
        let mut var = self.record(out, Rectify { input: id, signs, grown });
        var.signs = Some(signs);
        var
    }
}

/// Sets part of a row to zero.
fn drop_some(address: Address, row: u32, number: u32, part: f32, out: &mut [f32]) {
    let least = (f64::from(part) * 4_294_967_296.0) as u32;
    for (column, four) in out.chunks_mut(4).enumerate() {
        let bits = address.bits(row, column as u32 ^ number.rotate_left(24));
        for (value, bits) in four.iter_mut().zip(bits) {
            *value = if bits < least { 0.0 } else { *value };
        }
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
