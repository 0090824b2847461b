//! Zᵥ = Fᵥ·W₀ + sᵥ·Fᵥ·W₁ + Fᵥ·W₂/sᵥ: F has the mean, the deviation √(variance + ε), the largest and the
//! smallest of the neighbours, float by float, and s = ln(degree + 1)/δ tells many from few; δ is the
//! mean of ln(degree + 1).
//!
//! Kept: H alone. F is made block by block, forward and again backward from what was kept, and never
//! exists as a whole; the gradient of a largest is shared among those that are equal.
//! With a codec F is what the kept rows say: noise in what goes back too.
//!
//! *Paper:* Corso et al., "Principal neighbourhood aggregation for graph nets" (2020).

use gossamer_machine::Machine;

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::compose::{rows_of_part, sum_of_parts};
use super::neighbours::BothWays;
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut, Right};
use crate::kernel::product::{Put, add_product, multiply};
use crate::sparse::Sparse;

/// Added to a variance, so that its root has a slope.
const LEAST: f32 = 1e-5;
/// What a neighbourhood is condensed to.
const AGGREGATES: usize = 4;
/// As it is, more for many neighbours, less for many.
const SCALES: usize = 3;

struct Principal<'a> {
    input: usize,
    floats: Floats<'a>,
    matrix: BothWays<'a>,
    weights: Parameter<'a>,
    k: usize,
    delta: f32,
}

/// The mean of ln(degree + 1).
fn delta(matrix: &Sparse) -> f32 {
    let n = matrix.n_rows();
    let sum: f64 = (0..n).map(|row| (matrix.row(row).0.len() as f64 + 1.0).ln()).sum();
    ((sum / n.max(1) as f64) as f32).max(LEAST)
}

/// What a row's neighbourhood is multiplied by.
fn scales(matrix: &Sparse, row: usize, delta: f32) -> [f32; SCALES] {
    let s = (matrix.row(row).0.len() as f32 + 1.0).ln() / delta;
    [1.0, s, if s > 0.0 { 1.0 / s } else { 0.0 }]
}

/// Mean, deviation, largest and smallest of a row's neighbours (4 · k), zero without any.
fn aggregate(matrix: &Sparse, row: usize, h: &Array, out: &mut [f32]) {
    let (columns, k) = (matrix.row(row).0, h.width);
    out.fill(0.0);
    let Some((first, _)) = columns.split_first() else { return };
    let (mean, rest) = out.split_at_mut(k);
    let (deviation, rest) = rest.split_at_mut(k);
    let (largest, smallest) = rest.split_at_mut(k);
    largest.copy_from_slice(h.row(*first as usize));
    smallest.copy_from_slice(h.row(*first as usize));
    for u in columns {
        let row = h.row(*u as usize);
        for (i, x) in row.iter().enumerate() {
            mean[i] += x;
            largest[i] = largest[i].max(*x);
            smallest[i] = smallest[i].min(*x);
        }
    }
    let part = 1.0 / columns.len() as f32;
    mean.iter_mut().for_each(|x| *x *= part);
    // A second pass: squares of differences lose nothing where the mean is large.
    for u in columns {
        for ((sum, x), mean) in deviation.iter_mut().zip(h.row(*u as usize)).zip(mean.iter()) {
            *sum += (x - mean) * (x - mean);
        }
    }
    deviation.iter_mut().for_each(|x| *x = (*x * part + LEAST).sqrt());
}

impl<'a> Tape<'a> {
    /// Aggregates of the neighbours that a matrix has, times `weights` (12 · k × m); its own
    /// weights are not looked at.
    pub fn aggregate_neighbours(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        matrix: BothWays<'a>,
        weights: Parameter<'a>,
    ) -> Var<'a> {
        let floats = self.keep_floats(name, input);
        let (machine, h) = (self.machine, input.value());
        let (isa, k, m) = (machine.instruction_set, h.width, weights.array.width);
        let (depth, delta) = (AGGREGATES * k, delta(matrix.forward));
        let packed = packed(machine, weights.array, depth, false);
        let mut out = Array::zeroed(&machine.buffers, matrix.forward.n_rows(), m);
        let tasks = out.values.chunks_mut((ROWS * m).max(1)).enumerate().collect();
        machine.workers.each_with(tasks, Vec::new, |found: &mut Vec<f32>, (block, out)| {
            found.resize(out.len() / m * depth, 0.0);
            for (v, found) in (block * ROWS..).zip(found.chunks_exact_mut(depth)) {
                aggregate(matrix.forward, v, h, found);
            }
            let rows = out.len() / m;
            for (scale, right) in packed.iter().enumerate() {
                let factors: Vec<f32> = (0..rows)
                    .map(|row| scales(matrix.forward, block * ROWS + row, delta)[scale])
                    .collect();
                let left = Matrix { values: found, stride: depth };
                let out = MatrixMut { values: out, stride: m };
                multiply(isa, rows, left.into(), right, Put::AddScaled(&factors), out);
            }
        });
        self.record(out, Principal { input: input.id, floats, matrix, weights, k, delta })
    }
}

/// The matrix of each scale, or its transpose, packed.
fn packed(machine: &Machine, weights: &Array, depth: usize, transposed: bool) -> Vec<Right<f32>> {
    let (n, m, isa) = (depth * weights.width, weights.width, machine.instruction_set);
    let one = |values: &[f32]| {
        let (mut right, matrix) = (Right::<f32>::default(), Matrix { values, stride: m });
        match transposed {
            true => right.pack_transposed(isa, m, depth, matrix),
            false => right.pack(isa, depth, m, matrix, None),
        }
        right
    };
    weights.values.chunks(n).map(one).collect()
}

impl Principal<'_> {
    /// For every row v what its neighbours' gradients are made of (6 · k): a and b of a + b∘h, the
    /// largest with its share, the smallest with its share; and the weights' gradient.
    fn by_row(&self, back: &Back<'_>, h: &Array, gradient: &Array) -> (Array, Array) {
        let (machine, matrix, k, m) = (back.machine, self.matrix.forward, self.k, gradient.width);
        let (isa, depth, n) = (machine.instruction_set, AGGREGATES * k, matrix.n_rows());
        let packed = packed(machine, self.weights.array, depth, true);
        let mut found = Array::zeroed(&machine.buffers, n, 6 * k);
        let step = rows_of_part(n);
        let size = SCALES * depth * m;
        let mut parts = machine.buffers.zeroed(n.div_ceil(step) * size);
        let tasks = found.values.chunks_mut(step * 6 * k).zip(parts.chunks_mut(size));
        machine.workers.each(tasks.enumerate().collect(), |(part, (found, of_weights))| {
            let mut room = vec![0.0; ROWS * (2 * depth + m)];
            for (block, found) in (part * step / ROWS..).zip(found.chunks_mut(ROWS * 6 * k)) {
                let rows = found.len() / (6 * k);
                let (f, rest) = room.split_at_mut(ROWS * depth);
                let (of_f, scaled) = rest.split_at_mut(ROWS * depth);
                let (f, of_f) = (&mut f[..rows * depth], &mut of_f[..rows * depth]);
                of_f.fill(0.0);
                for (v, f) in (block * ROWS..).zip(f.chunks_exact_mut(depth)) {
                    aggregate(matrix, v, h, f);
                }
                for (scale, right) in packed.iter().enumerate() {
                    for (row, scaled) in scaled.chunks_exact_mut(m).take(rows).enumerate() {
                        let v = block * ROWS + row;
                        let factor = scales(matrix, v, self.delta)[scale];
                        let pairs = scaled.iter_mut().zip(gradient.row(v));
                        pairs.for_each(|(out, g)| *out = factor * g);
                    }
                    let given = Matrix { values: scaled, stride: m };
                    let out = MatrixMut { values: of_f, stride: depth };
                    multiply(isa, rows, given.into(), right, Put::Add, out);
                    let left = Matrix { values: f, stride: depth }.transposed();
                    let out = &mut of_weights[scale * depth * m..][..depth * m];
                    let out = MatrixMut { values: out, stride: m };
                    add_product(isa, [depth, rows, m], left, given, out);
                }
                let all = found.chunks_exact_mut(6 * k).zip(f.chunks_exact(depth));
                for (row, ((found, f), of_f)) in all.zip(of_f.chunks_exact(depth)).enumerate() {
                    share(matrix, block * ROWS + row, h, [f, of_f], found);
                }
            }
        });
        (found, sum_of_parts(back, &parts, SCALES * depth, m))
    }
}

/// What a row's neighbours' gradients are made of, from its aggregates and their gradients.
fn share(matrix: &Sparse, v: usize, h: &Array, [f, of_f]: [&[f32]; 2], found: &mut [f32]) {
    let (columns, k) = (matrix.row(v).0, h.width);
    if columns.is_empty() {
        return;
    }
    let part = 1.0 / columns.len() as f32;
    for i in 0..k {
        let (mean, deviation) = (f[i], f[k + i]);
        let (largest, smallest) = (f[2 * k + i], f[3 * k + i]);
        let (mut n_largest, mut n_smallest) = (0.0, 0.0);
        for u in columns {
            let x = h.row(*u as usize)[i];
            n_largest += f32::from(u8::from(x == largest));
            n_smallest += f32::from(u8::from(x == smallest));
        }
        let slope = of_f[k + i] * part / deviation;
        found[i] = of_f[i] * part - slope * mean;
        found[k + i] = slope;
        found[2 * k + i] = largest;
        found[3 * k + i] = of_f[2 * k + i] / n_largest;
        found[4 * k + i] = smallest;
        found[5 * k + i] = of_f[3 * k + i] / n_smallest;
    }
}

impl Op for Principal<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, k, matrix) = (back.machine, self.k, self.matrix.backward);
        let h = self.floats.whole(matrix.n_rows(), k, back);
        let (found, of_weights) = self.by_row(back, &h, &gradient);
        let mut of_input = Array::zeroed(&machine.buffers, matrix.n_rows(), k);
        let tasks = of_input.values.chunks_mut((ROWS * k).max(1)).enumerate().collect();
        machine.workers.each(tasks, |(block, out)| {
            for (u, out) in (block * ROWS..).zip(out.chunks_exact_mut(k)) {
                let x = h.row(u);
                for v in matrix.row(u).0 {
                    let f = found.row(*v as usize);
                    for i in 0..k {
                        let of_largest = if x[i] == f[2 * k + i] { f[3 * k + i] } else { 0.0 };
                        let of_smallest = if x[i] == f[4 * k + i] { f[5 * k + i] } else { 0.0 };
                        out[i] += f[i] + f[k + i] * x[i] + of_largest + of_smallest;
                    }
                }
            }
        });
        back.weigh(self.floats, &of_input);
        back.add(self.weights.id, of_weights);
        back.add(self.input, of_input);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees_within, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::{Labelled, tests::some};

    const N: usize = 24;

    fn build<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
    ) -> Var<'a> {
        let matrix = BothWays { forward: &forward.matrix, backward: &backward.matrix };
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        tape.aggregate_neighbours("rows", &mut rows, matrix, all[2])
    }

    fn parameters() -> Vec<Array> {
        let sizes = [(N, 2), (2, 3), (36, 2)];
        (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_alone_are_kept() {
        let matrices = some(N, N, 1, 3);
        // Two neighbours may change places as the larger one.
        // Nor does a codec leave the larger one in its place.
        agrees_within(0.3, &matrices, parameters(), 12, build);
        let (_, _, kept) = outcome(&matrices, &parameters(), codec::find("f32").unwrap(), build);
        assert_eq!(kept, (4 * N * 3) as u64);
    }

    #[test]
    fn aggregates_equal_their_definition() {
        let [_, matrix] = some(N, N, 1, 3);
        let (h, mut found) = (filled(N, 3, 1), [0.0; 12]);
        for v in 0..N {
            aggregate(&matrix.matrix, v, &h, &mut found);
            let columns = matrix.matrix.row(v).0;
            for i in 0..3 {
                let of = || columns.iter().map(|u| h.row(*u as usize)[i]);
                let n = columns.len() as f32;
                let mean = if n == 0.0 { 0.0 } else { of().sum::<f32>() / n };
                let squares = of().map(|x| (x - mean).powi(2)).sum::<f32>() / n.max(1.0);
                let deviation = if n == 0.0 { 0.0 } else { (squares + LEAST).sqrt() };
                let largest = of().fold(f32::NEG_INFINITY, f32::max);
                assert!((found[i] - mean).abs() < 1e-5);
                assert!((found[3 + i] - deviation).abs() < 1e-4);
                assert!(found[6 + i] == if n == 0.0 { 0.0 } else { largest });
            }
        }
    }
}
