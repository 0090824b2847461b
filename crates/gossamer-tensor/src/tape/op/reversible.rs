//! Reversible blocks: of two halves A, B of each row, a block makes B, A + f·g(B). Nothing is kept of
//! any block: going back, A is what was made less f·g(B), and g runs once more, on a tape of its own.
//!
//! The halves after the last block are kept, without loss. What is found of those before differs from
//! what they were by rounding alone; random numbers are replayed from their address.
//!
//! *Paper:* Gomez et al., "The reversible residual network: backpropagation without storing
//! activations" (NeurIPS 2017).

use gossamer_machine::{Address, Machine};

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var, Whole};
use crate::array::Array;
use crate::codec::Codec;
use crate::codec::float32::Float32;
use crate::kernel::vector;

/// What a block does with a half: g.
type Run<'a> = dyn Fn(&mut Tape<'a>, Var<'a>, &[Parameter<'a>]) -> Var<'a> + 'a;

/// One block.
pub struct Block<'a> {
    /// Its parameters.
    pub parameters: Vec<Parameter<'a>>,
    /// Rows as wide as those it is given, made with parameters of the same arrays.
    pub run: Box<Run<'a>>,
}

struct Reversible<'a> {
    input: usize,
    blocks: Vec<Block<'a>>,
    factor: f32,
    machine: &'a Machine,
    address: Address,
    kept: Floats<'a>,
}

/// A block that ran.
struct Ran<'a> {
    tape: Tape<'a>,
    /// The place of the half among the gradients, and of each parameter.
    half: usize,
    parameters: Vec<Parameter<'a>>,
    made: Var<'a>,
}

impl<'a> Tape<'a> {
    /// Block after block; the input's rows have an even width.
    pub fn reversible(
        &mut self,
        name: &'static str,
        input: Var<'a>,
        blocks: Vec<Block<'a>>,
        factor: f32,
    ) -> Var<'a> {
        let (machine, id) = (self.machine, input.id);
        let address = self.address.part(self.next_number());
        let [mut first, mut second] = halves(machine, input.value());
        drop(input);
        for (number, block) in (0..).zip(&blocks) {
            let ran = block.ran(&second, (machine, address.part(number)), false);
            vector::add_scaled(
                machine.instruction_set,
                &mut first.values,
                factor,
                &ran.made.value().values,
            );
            std::mem::swap(&mut first, &mut second);
        }
        let out = joined(machine, [first, second]);
        let kept = match self.keeps {
            true => Floats::Kept(self.store.floats(name, &out, &Float32, machine, address)),
            false => Floats::Kept(0),
        };
        self.record(out, Reversible { input: id, blocks, factor, machine, address, kept })
    }
}

impl<'a> Block<'a> {
    /// Runs it on a tape of its own, which keeps what its way back needs or nothing.
    fn ran(
        &self,
        half: &Array,
        (machine, address): (&'a Machine, Address),
        keeps: bool,
    ) -> Ran<'a> {
        const EXACT: &dyn Fn(usize) -> &'static dyn Codec = &|_| &Float32;
        let mut tape = Tape::new(machine, EXACT, address);
        tape.keeps = keeps;
        let own = Whole::Own(Array::of(&machine.buffers, &half.values, half.width));
        let given = Var { id: tape.n_vars, value: own, floats: None, signs: None };
        let half = given.id;
        tape.n_vars += 1;
        let parameters: Vec<Parameter<'a>> =
            self.parameters.iter().map(|of| tape.parameter(of.array)).collect();
        let made = (self.run)(&mut tape, given, &parameters);
        Ran { tape, half, parameters, made }
    }
}

impl Op for Reversible<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, isa) = (self.machine, self.machine.instruction_set);
        let [mut first, mut second] = kept_halves(back, self.kept, [gradient.rows, gradient.width]);
        let [mut of_first, mut of_second] = halves(machine, &gradient);
        drop(gradient);
        for (number, block) in self.blocks.iter().enumerate().rev() {
            let Ran { tape, half, parameters, made } =
                block.ran(&first, (machine, self.address.part(number as u32)), true);
            vector::add_scaled(isa, &mut second.values, -self.factor, &made.value().values);
            let mut of_made = Array::of(&machine.buffers, &of_second.values, of_second.width);
            vector::scale(isa, &mut of_made.values, self.factor);
            let Some(mut found) = tape.backward([(made, of_made)]) else {
                back.broken = true;
                return;
            };
            for (own, ran) in block.parameters.iter().zip(parameters) {
                if let Some(gradient) = found.take(ran.id()) {
                    back.add(own.id(), gradient);
                }
            }
            if let Some(more) = found.take(half) {
                vector::add_scaled(isa, &mut of_first.values, 1.0, &more.values);
            }
            std::mem::swap(&mut first, &mut second);
            std::mem::swap(&mut of_first, &mut of_second);
        }
        drop((first, second));
        back.add(self.input, joined(machine, [of_first, of_second]));
    }
}

/// The first and the second half of each row.
fn halves(machine: &Machine, rows: &Array) -> [Array; 2] {
    let width = rows.width / 2;
    [0, width].map(|from| {
        let mut half = Array::room(&machine.buffers, rows.rows, width);
        let pairs = half.values.chunks_exact_mut(width).zip(rows.values.chunks_exact(rows.width));
        pairs.for_each(|(half, row)| half.copy_from_slice(&row[from..][..width]));
        half
    })
}

/// As [`halves`], of rows that were kept.
fn kept_halves(back: &Back<'_>, kept: Floats<'_>, [rows, whole]: [usize; 2]) -> [Array; 2] {
    let width = whole / 2;
    let mut halves = [0, 1].map(|_| Array::room(&back.machine.buffers, rows, width));
    let [first, second] = &mut halves;
    let mut room = Vec::new();
    for block in 0..rows.div_ceil(ROWS) {
        let (values, n) = kept.block(block, back, &mut room);
        let own = block * ROWS * width..(block * ROWS + n) * width;
        let pairs = first.values[own.clone()].chunks_exact_mut(width);
        let pairs = pairs.zip(second.values[own].chunks_exact_mut(width));
        for ((first, second), row) in pairs.zip(values.chunks_exact(whole)) {
            first.copy_from_slice(&row[..width]);
            second.copy_from_slice(&row[width..]);
        }
    }
    halves
}

/// Rows of two halves.
fn joined(machine: &Machine, [first, second]: [Array; 2]) -> Array {
    let (rows, width) = (first.rows, first.width);
    let mut out = Array::room(&machine.buffers, rows, 2 * width);
    let pairs = first.values.chunks_exact(width).zip(second.values.chunks_exact(width));
    for (row, (first, second)) in out.values.chunks_exact_mut(2 * width).zip(pairs) {
        row[..width].copy_from_slice(first);
        row[width..].copy_from_slice(second);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;

    /// Blocks of one matrix each, behind a bias that tells rows from what they were given.
    fn build<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
        let block = |weight: &Parameter<'a>| Block {
            parameters: vec![*weight, all[1]],
            run: Box::new(|tape: &mut Tape<'a>, half, own: &[Parameter<'a>]| {
                let half = tape.add_bias(half, own[1]);
                let mut half = tape.rectify("half", half, 0.3);
                tape.linear("half", &mut half, own[0])
            }),
        };
        let blocks = all[2..].iter().map(block).collect();
        tape.reversible("rows", all[0].var(), blocks, 0.5)
    }

    fn parameters(n_blocks: u64) -> Vec<Array> {
        let weights = (0..n_blocks).map(|seed| filled(2, 2, 5 + seed));
        [filled(260, 4, 1), filled(1, 2, 2)].into_iter().chain(weights).collect()
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        // A kink of 260 × 2 × 3 rectified floats is near some.
        agrees(&(), parameters(3), 12, build);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_blocks() {
        let exact = crate::codec::find("f32").unwrap();
        for n_blocks in [1, 9] {
            let kept = outcome(&(), &parameters(n_blocks), exact, build).2;
            assert_eq!(kept, 260 * 4 * 4, "{n_blocks} blocks");
        }
    }

    #[test]
    fn after_many_blocks_the_way_back_still_finds_where_it_began() {
        // The same blocks with everything kept: halves, sums and joins by ops of their own.
        fn kept<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
            let machine = tape.machine();
            let [mut first, mut second] = tape.halves(all[0].var());
            for weight in &all[2..] {
                let half = tape.add_bias(second.copy(machine), all[1]);
                let mut half = tape.rectify("half", half, 0.0);
                let made = tape.linear("half", &mut half, *weight);
                let sum = tape.add(first, &made, 0.2);
                (first, second) = (second, sum);
            }
            tape.add(first, &second, 1.0)
        }
        fn reversed<'a>(tape: &mut Tape<'a>, (): &'a (), all: &[Parameter<'a>]) -> Var<'a> {
            let block = |weight: &Parameter<'a>| Block {
                parameters: vec![*weight, all[1]],
                run: Box::new(|tape: &mut Tape<'a>, half, own: &[Parameter<'a>]| {
                    let half = tape.add_bias(half, own[1]);
                    let mut half = tape.rectify("half", half, 0.0);
                    tape.linear("half", &mut half, own[0])
                }),
            };
            let blocks = all[2..].iter().map(block).collect();
            let out = tape.reversible("rows", all[0].var(), blocks, 0.2);
            let [first, second] = tape.halves(out);
            tape.add(first, &second, 1.0)
        }
        let exact = crate::codec::find("f32").unwrap();
        let all = parameters(40);
        let (sum, gradients, _) = outcome(&(), &all, exact, reversed);
        let (other, others, _) = outcome(&(), &all, exact, kept);
        assert!((sum - other).abs() < 1e-6 * other.abs(), "{sum} {other}");
        for (a, b) in gradients.iter().zip(&others) {
            let largest = b.values.iter().fold(0f32, |a, b| a.max(b.abs()));
            let pairs = a.values.iter().zip(b.values.iter());
            let off = pairs.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(off < 1e-3 * largest, "{off} of {largest}");
        }
    }
}
