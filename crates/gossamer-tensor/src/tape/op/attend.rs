//! Zᵥ = Σᵤ αᵥᵤ·hᵤ over v's neighbours, α being a softmax of leaky(tᵥ + sᵤ): attention whose logits
//! are sums of a number of each end. Backward the weights are made again from these numbers, row by
//! row, with the forward's bits; h is needed for their derivative alone, so h, s and t are kept and
//! nothing per entry.
//!
//! With g = ∂loss/∂z: ∂α = g·h, ∂logit = α·(∂α − Σ α·∂α), ∂h = Σ α·g.
//! *Paper:* Veličković et al., "Graph attention networks" (2018).

use gossamer_machine::Machine;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Tape, Var};
use super::leak::{leaky, slope};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::kernel::vector;
use crate::sparse::Sparse;

struct Attend<'a> {
    /// The vars of h, s and t.
    inputs: [usize; 3],
    floats: [Floats<'a>; 3],
    matrix: BothWays<'a>,
    width: usize,
}

/// The softmax of a row: its largest logit, and the sum of exponentials.
#[derive(Clone, Copy, Default)]
struct Row {
    largest: f32,
    sum: f32,
}

impl Row {
    fn of(columns: &[u32], target: f32, sources: &[f32]) -> Self {
        let logit = |column: &u32| leaky(target + sources[*column as usize]);
        let largest = columns.iter().map(logit).fold(f32::NEG_INFINITY, f32::max);
        let sum = columns.iter().map(|column| (logit(column) - largest).exp()).sum();
        Self { largest, sum }
    }

    fn weight(self, x: f32) -> f32 {
        (leaky(x) - self.largest).exp() / self.sum
    }
}

impl<'a> Tape<'a> {
    /// Attends to the neighbours that a matrix has; its weights are not looked at. `sources` and
    /// `targets` are a number for each row.
    pub fn attend(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        [sources, targets]: [&mut Var<'a>; 2],
        matrix: BothWays<'a>,
    ) -> Var<'a> {
        let machine = self.machine;
        let (x, s, t) = (input.value(), sources.value(), targets.value());
        let mut out = Array::zeroed(&machine.buffers, x.rows, x.width);
        let tasks = out.values.chunks_mut((ROWS * x.width).max(1)).enumerate().collect();
        machine.workers.each(tasks, |(block, out)| {
            for (v, out) in (block * ROWS..).zip(out.chunks_exact_mut(x.width)) {
                let (columns, target) = (matrix.forward.row(v).0, t.values[v]);
                let row = Row::of(columns, target, &s.values);
                for u in columns.iter().map(|column| *column as usize) {
                    let weight = row.weight(target + s.values[u]);
                    vector::add_scaled(machine.instruction_set, out, weight, x.row(u));
                }
            }
        });
        let width = x.width;
        let inputs = [input.id, sources.id, targets.id];
        let floats = [
            self.keep_floats(name, input),
            self.keep_exactly("attention", sources),
            self.keep_exactly("attention", targets),
        ];
        self.record(out, Attend { inputs, floats, matrix, width })
    }
}

/// What both passes of the way back look at.
struct Work<'a> {
    machine: &'a Machine,
    gradient: &'a Array,
    h: &'a Array,
    s: &'a [f32],
    t: &'a [f32],
}

/// What the first pass finds of a row: its softmax, and Σ α·∂α.
type Found = (Row, f32);

impl Work<'_> {
    /// ∂logit before the leak, for neighbour u of v.
    fn slope(&self, v: usize, u: usize, (row, mean): Found) -> (f32, f32) {
        let x = self.t[v] + self.s[u];
        let weight = row.weight(x);
        let of_weight = vector::dot(self.gradient.row(v), self.h.row(u));
        (weight, slope(x) * weight * (of_weight - mean))
    }

    /// By row: the softmax of each, and ∂t.
    fn by_row(&self, matrix: &Sparse) -> (Vec<Found>, Array) {
        let n = matrix.n_rows();
        let (mut found, mut of_t) =
            (vec![Found::default(); n], Array::zeroed(&self.machine.buffers, n, 1));
        let tasks = found.chunks_mut(ROWS).zip(of_t.values.chunks_mut(ROWS)).enumerate();
        self.machine.workers.each(tasks.collect(), |(block, (found, of_t))| {
            for (v, (found, of_t)) in (block * ROWS..).zip(found.iter_mut().zip(of_t)) {
                let columns = matrix.row(v).0;
                let row = Row::of(columns, self.t[v], self.s);
                let all = || columns.iter().map(|column| *column as usize);
                let g = self.gradient.row(v);
                let weighed =
                    |u: usize| row.weight(self.t[v] + self.s[u]) * vector::dot(g, self.h.row(u));
                *found = (row, all().map(weighed).sum());
                *of_t = all().map(|u| self.slope(v, u, *found).1).sum();
            }
        });
        (found, of_t)
    }

    /// By column: ∂h and ∂s.
    fn by_column(&self, matrix: &Sparse, found: &[Found]) -> [Array; 2] {
        let (n, width, buffers) = (matrix.n_rows(), self.h.width, &self.machine.buffers);
        let (mut of_h, mut of_s) = (Array::zeroed(buffers, n, width), Array::zeroed(buffers, n, 1));
        let tasks = of_h.values.chunks_mut((ROWS * width).max(1));
        let tasks = tasks.zip(of_s.values.chunks_mut(ROWS)).enumerate();
        self.machine.workers.each(tasks.collect(), |(block, (of_h, of_s))| {
            let rows = of_h.chunks_exact_mut(width).zip(of_s);
            for (u, (of_h, of_s)) in (block * ROWS..).zip(rows) {
                for v in matrix.row(u).0.iter().map(|row| *row as usize) {
                    let (weight, slope) = self.slope(v, u, found[v]);
                    let isa = self.machine.instruction_set;
                    vector::add_scaled(isa, of_h, weight, self.gradient.row(v));
                    *of_s += slope;
                }
            }
        });
        [of_h, of_s]
    }
}

impl Op for Attend<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let n = gradient.rows;
        let [h, s, t] = [(0, self.width), (1, 1), (2, 1)]
            .map(|(input, width)| self.floats[input].whole(n, width, back));
        let machine = back.machine;
        let work = Work { machine, gradient: &gradient, h: &h, s: &s.values, t: &t.values };
        let (found, of_t) = work.by_row(self.matrix.forward);
        let [of_h, of_s] = work.by_column(self.matrix.backward, &found);
        back.weigh(self.floats[0], &of_h);
        let inputs = self.inputs.into_iter().zip([of_h, of_s, of_t]);
        inputs.for_each(|(input, gradient)| back.add(input, gradient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, Codec};
    use gossamer_machine::{Address, Purpose};

    const N: usize = 30;
    const WIDTH: usize = 5;

    fn filled(machine: &Machine, rows: usize, width: usize, seed: u64) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> = (0..(rows * width) as u32).map(|i| address.normal(i, 0)).collect();
        Array::of(&machine.buffers, &values, width)
    }

    fn near() -> Sparse {
        let address = Address::new(4, Purpose::Synthetic, 0);
        let entry = |i: u32| (i / 4, address.below(N as u64, i, 0) as u32, 1.0);
        Sparse::new(N, N, (0..4 * N as u32 - 4).map(entry).collect())
    }

    /// The sum of the outputs, each times a fixed number; gradients; kept bytes.
    fn outcome(parameters: &[Array; 3], codec: &'static dyn Codec) -> (f64, Vec<Array>, u64) {
        let (machine, near) = (Machine::new(2, None), near());
        let transposed = near.transposed();
        let mut identity = Array::zeroed(&machine.buffers, WIDTH, WIDTH);
        (0..WIDTH).for_each(|i| identity.values[i * WIDTH + i] = 1.0);
        let choose = |_: usize| codec;
        let mut tape = Tape::new(&machine, &choose, Address::new(0, Purpose::Dropout, 0));
        let [h, s, t] = parameters.each_ref().map(|array| tape.parameter(array));
        let matrix = BothWays { forward: &near, backward: &transposed };
        // Through a product, so that it is a value of the tape's own; s and t are made of it.
        let identity = tape.parameter(&identity);
        let mut input = tape.linear("h", &mut h.var(), identity);
        let mut sources = tape.linear("h", &mut input, s);
        let mut targets = tape.linear("h", &mut input, t);
        let out = tape.attend("h", &mut input, [&mut sources, &mut targets], matrix);
        let gradient = filled(&machine, N, WIDTH, 77);
        let pairs = out.value().values.iter().zip(gradient.values.iter());
        let sum = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let kept = tape.kept().total();
        let mut found = tape.backward([(out, gradient)]).unwrap();
        (sum, [h, s, t].map(|of| found.take(of.id()).unwrap()).into(), kept)
    }

    fn parameters(machine: &Machine) -> [Array; 3] {
        [(N, WIDTH, 1), (WIDTH, 1, 2), (WIDTH, 1, 3)]
            .map(|(rows, width, seed)| filled(machine, rows, width, seed))
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (machine, exact) = (Machine::new(1, None), codec::find("f32").unwrap());
        let mut parameters = parameters(&machine);
        let (_, gradients, kept) = outcome(&parameters, exact);
        // The rows once, and a number for each end: nothing per entry.
        assert_eq!(kept, (4 * N * (WIDTH + 2)) as u64);
        let mut kinks = 0;
        for place in 0..3 {
            for at in 0..gradients[place].values.len() {
                let before = parameters[place].values[at];
                let mut at_moved = |more: f32| {
                    parameters[place].values[at] = before + more;
                    outcome(&parameters, exact).0
                };
                let slope = (at_moved(1e-3) - at_moved(-1e-3)) / 2e-3;
                parameters[place].values[at] = before;
                let found = f64::from(gradients[place].values[at]);
                let error = (slope - found).abs() / (1.0 + slope.abs());
                // A logit may cross the leak's kink between the two.
                kinks += usize::from(error > 0.02);
                assert!(error < 0.1, "{place} {at}: {slope} {found}");
            }
        }
        assert!(kinks < 4, "{kinks}");
    }

    #[test]
    fn weights_are_the_forwards_own_whatever_the_codec() {
        let machine = Machine::new(1, None);
        let parameters = parameters(&machine);
        let (exact_sum, exact, _) = outcome(&parameters, codec::find("f32").unwrap());
        let int8 = codec::find("int8").unwrap();
        let (sum, rough, kept) = outcome(&parameters, int8);
        assert_eq!(sum.to_bits(), exact_sum.to_bits());
        assert_eq!(kept, (int8.bytes_for(N * WIDTH) + 4 * 2 * N) as u64);
        for (rough, exact) in rough.iter().zip(&exact) {
            let pairs = rough.values.iter().zip(exact.values.iter());
            let most = exact.values.iter().fold(0f32, |most, x| most.max(x.abs()));
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 0.05 * most));
        }
    }
}
