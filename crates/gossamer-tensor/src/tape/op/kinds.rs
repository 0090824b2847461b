//! Z = Σᵣ Aᵣ·H·Wᵣ: a weight matrix for each kind of neighbour. Backward, with Gᵣ = Aᵣᵀ·dZ:
//! dH = Σᵣ Gᵣ·Wᵣᵀ and dWᵣ = Hᵀ·Gᵣ, which is (Aᵣ·H)ᵀ·dZ. So H alone is kept, and neither a sum over
//! neighbours nor anything per entry.
//!
//! Kinds are taken one after the other, each on the rows that it has, so that the room beside the
//! result is that of one kind.
//! *Paper:* Schlichtkrull et al. (2018), R-GCN.

use gossamer_machine::{InstructionSet, Machine};

use super::super::kept::ROWS;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut, Right};
use crate::kernel::product::{Put, add_product, multiply};
use crate::kernel::vector;
use crate::sparse::Sparse;

/// The neighbours of one kind, of the rows that have any.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Those rows, ascending.
    ids: Vec<u32>,
    /// Their neighbours, row i of it being of row ids\[i\].
    matrix: Sparse,
}

impl Kind {
    /// Of a matrix.
    pub fn new(matrix: &Sparse) -> Self {
        let has_any = |row: &usize| !matrix.row(*row).0.is_empty();
        let ids: Vec<u32> = (0..matrix.n_rows()).filter(has_any).map(|row| row as u32).collect();
        let mut starts = vec![0];
        starts.extend(ids.iter().map(|row| matrix.starts[*row as usize + 1]));
        Self { ids, matrix: Sparse { starts, ..matrix.clone() } }
    }
}

/// All kinds, by row and by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Kinds {
    forward: Vec<Kind>,
    backward: Vec<Kind>,
}

impl Kinds {
    /// Of one matrix for each kind.
    pub fn new(matrices: &[Sparse]) -> Self {
        let backward = matrices.iter().map(|matrix| Kind::new(&matrix.transposed())).collect();
        Self { forward: matrices.iter().map(Kind::new).collect(), backward }
    }
}

/// Where the matrices of the kinds come from.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// One for each: (kinds · k × m).
    Each(Parameter<'a>),
    /// Wᵣ = Σ_b shares(r, b)·V_b: shares (kinds × bases), matrices (bases · k × m).
    Bases(Parameter<'a>, Parameter<'a>),
}

impl Weights<'_> {
    /// The matrix of a kind (k × m), for rows of k floats.
    fn of(self, kind: usize, k: usize, isa: InstructionSet) -> Vec<f32> {
        match self {
            Self::Each(all) => {
                let n = k * all.array.width;
                all.array.values[kind * n..][..n].to_vec()
            }
            Self::Bases(shares, all) => {
                let mut matrix = vec![0.0; k * all.array.width];
                for (share, base) in
                    shares.array.row(kind).iter().zip(all.array.values.chunks(matrix.len()))
                {
                    vector::add_scaled(isa, &mut matrix, *share, base);
                }
                matrix
            }
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Each(all) | Self::Bases(_, all) => all.array.width,
        }
    }

    /// Its parameters, each with a gradient of zeros.
    fn gradients(self, machine: &Machine) -> Vec<(usize, Array)> {
        let parameters = match self {
            Self::Each(all) => vec![all],
            Self::Bases(shares, all) => vec![all, shares],
        };
        let zeros = |array: &Array| Array::zeroed(&machine.buffers, array.rows, array.width);
        parameters.into_iter().map(|of| (of.id, zeros(of.array))).collect()
    }

    /// Adds what the gradient of a kind's matrix says of them.
    fn add(
        self,
        kind: usize,
        of_matrix: &[f32],
        isa: InstructionSet,
        gradients: &mut [(usize, Array)],
    ) {
        let n = of_matrix.len();
        match (self, gradients) {
            (Self::Bases(shares, all), [(_, of_bases), (_, of_shares)]) => {
                let n_bases = shares.array.width;
                for (base, share) in shares.array.row(kind).iter().enumerate() {
                    let place = base * n;
                    vector::add_scaled(isa, &mut of_bases.values[place..][..n], *share, of_matrix);
                    let matrix = &all.array.values[place..][..n];
                    of_shares.values[kind * n_bases + base] = vector::dot(matrix, of_matrix);
                }
            }
            (_, gradients) => gradients[0].1.values[kind * n..][..n].copy_from_slice(of_matrix),
        }
    }
}

struct KindSums<'a> {
    input: usize,
    floats: Floats<'a>,
    kinds: &'a Kinds,
    weights: Weights<'a>,
    k: usize,
}

impl<'a> Tape<'a> {
    /// Sums over the neighbours of every kind, each times its matrix; `name` is that of the kept
    /// input.
    pub fn sum_kinds(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        kinds: &'a Kinds,
        weights: Weights<'a>,
    ) -> Var<'a> {
        let floats = self.keep_floats(name, input);
        let (machine, x) = (self.machine, input.value());
        let mut out = Array::zeroed(&machine.buffers, x.rows, weights.width());
        let isa = machine.instruction_set;
        for (number, kind) in kinds.forward.iter().enumerate() {
            let matrix = weights.of(number, x.width, isa);
            add_sums(machine, kind, x, (&matrix, false), &mut out, None);
        }
        let k = x.width;
        self.record(out, KindSums { input: input.id, floats, kinds, weights, k })
    }
}

/// out\[id\] += (sum over the neighbours of id)·W, or Wᵀ; the sums go to `kept` as well, if it is
/// there.
fn add_sums(
    machine: &Machine,
    kind: &Kind,
    of: &Array,
    (weights, transposed): (&[f32], bool),
    out: &mut Array,
    kept: Option<&mut [f32]>,
) {
    let (isa, k, m) = (machine.instruction_set, of.width, out.width);
    let mut packed = Right::<f32>::default();
    match transposed {
        true => packed.pack_transposed(k, m, Matrix { values: weights, stride: k }),
        false => packed.pack(isa, k, m, Matrix { values: weights, stride: m }, None),
    }
    let mut sums = machine.buffers.zeroed(kind.ids.len() * k);
    let mut products = machine.buffers.room(kind.ids.len() * m);
    let tasks = sums.chunks_mut(ROWS * k).zip(products.chunks_mut(ROWS * m)).enumerate();
    machine.workers.each(tasks.collect(), |(block, (sums, products))| {
        for (row, sum) in (block * ROWS..).zip(sums.chunks_exact_mut(k)) {
            let (columns, weights) = kind.matrix.row(row);
            for (column, weight) in columns.iter().zip(weights) {
                vector::add_scaled(isa, sum, *weight, of.row(*column as usize));
            }
        }
        let left = Matrix { values: sums, stride: k };
        let out = MatrixMut { values: products, stride: m };
        multiply(isa, sums.len() / k, left.into(), &packed, Put::Set, out);
    });
    for (id, product) in kind.ids.iter().zip(products.chunks_exact(m)) {
        let row = &mut out.values[*id as usize * m..][..m];
        vector::add_scaled(isa, row, 1.0, product);
    }
    if let Some(kept) = kept {
        kept.copy_from_slice(&sums);
    }
}

impl Op for KindSums<'_> {
    fn backward(&self, back: &mut Back<'_>, gradient: Array) {
        let (machine, k, m) = (back.machine, self.k, gradient.width);
        let (isa, buffers) = (machine.instruction_set, &machine.buffers);
        let mut input = Array::room(buffers, gradient.rows, k);
        let blocks = input.values.chunks_mut(ROWS * k).enumerate().collect();
        machine.workers.each_with(blocks, Vec::new, |room, (block, out)| {
            out.copy_from_slice(self.floats.block(block, back, room).0);
        });
        let mut of_input = Array::zeroed(buffers, gradient.rows, k);
        let mut of_weights = self.weights.gradients(machine);
        for (number, kind) in self.kinds.backward.iter().enumerate() {
            let n = kind.ids.len();
            let matrix = self.weights.of(number, k, isa);
            let mut sums = buffers.room(n * m);
            add_sums(machine, kind, &gradient, (&matrix, true), &mut of_input, Some(&mut sums));
            let mut rows = buffers.room(n * k);
            for (id, row) in kind.ids.iter().zip(rows.chunks_exact_mut(k)) {
                row.copy_from_slice(input.row(*id as usize));
            }
            let mut of_matrix = buffers.zeroed(k * m);
            let left = Matrix { values: &rows, stride: k }.transposed();
            let right = Matrix { values: &sums, stride: m };
            let out = MatrixMut { values: &mut of_matrix, stride: m };
            add_product(isa, [k, n, m], left, right, out);
            self.weights.add(number, &of_matrix, isa, &mut of_weights);
        }
        back.add(self.input, of_input);
        of_weights.into_iter().for_each(|(parameter, gradient)| back.add(parameter, gradient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, Codec};
    use gossamer_machine::{Address, Purpose};

    const N: usize = 40;
    const SIZES: [usize; 3] = [3, 6, 5]; // kinds, floats in, floats out

    fn filled(machine: &Machine, rows: usize, width: usize, seed: u64) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> = (0..(rows * width) as u32).map(|i| address.normal(i, 0)).collect();
        Array::of(&machine.buffers, &values, width)
    }

    fn kinds() -> Vec<Sparse> {
        let address = Address::new(9, Purpose::Synthetic, 0);
        let entry = |kind: u32, i: u32| {
            let [row, column] =
                [0, 1].map(|part| address.below(N as u64, i, 2 * kind + part) as u32);
            (row, column, address.symmetric(i, 100 + kind)[0])
        };
        let of = |kind| Sparse::new(N, N, (0..30).map(|i| entry(kind, i)).collect());
        (0..SIZES[0] as u32).map(of).collect()
    }

    /// The sum of the outputs, each times a fixed number, and the gradients of all parameters.
    fn outcome(parameters: &[Array], codec: &'static dyn Codec) -> (f64, Vec<Array>, u64) {
        let (machine, kinds) = (Machine::new(2, None), Kinds::new(&kinds()));
        let choose = |_: &str| codec;
        let mut tape = Tape::new(&machine, &choose, Address::new(0, Purpose::Dropout, 0));
        let all: Vec<Parameter<'_>> =
            parameters.iter().map(|array| tape.parameter(array)).collect();
        // Rectified, so that it is a value of the tape's own.
        let mut input = tape.rectify("input", all[0].var(), 0.0);
        let weights = match all[..] {
            [_, each] => Weights::Each(each),
            [_, shares, bases] => Weights::Bases(shares, bases),
            _ => unreachable!(),
        };
        let out = tape.sum_kinds("input", &mut input, &kinds, weights);
        let gradient = filled(&machine, N, SIZES[2], 77);
        let pairs = out.value().values.iter().zip(gradient.values.iter());
        let sum = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let kept = tape.kept().total();
        let mut found = tape.backward(&out, gradient).unwrap();
        (sum, all.iter().map(|parameter| found.take(parameter.id()).unwrap()).collect(), kept)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_the_input_alone_is_kept() {
        let (machine, [n_kinds, k, m]) = (Machine::new(1, None), SIZES);
        let exact = codec::find("f32").unwrap();
        let input = || filled(&machine, N, k, 1);
        for mut parameters in [
            vec![input(), filled(&machine, n_kinds * k, m, 2)],
            vec![input(), filled(&machine, n_kinds, 2, 3), filled(&machine, 2 * k, m, 4)],
        ] {
            let (_, gradients, kept) = outcome(&parameters, exact);
            assert_eq!(kept, (4 * N * k) as u64);
            for (place, gradient) in gradients.iter().enumerate() {
                for at in 0..gradient.values.len() {
                    let before = parameters[place].values[at];
                    // A float that is near the rectifier's kink has no derivative to compare.
                    if place == 0 && before.abs() < 0.05 {
                        continue;
                    }
                    let mut at_moved = |more: f32| {
                        parameters[place].values[at] = before + more;
                        outcome(&parameters, exact).0
                    };
                    let slope = (at_moved(0.02) - at_moved(-0.02)) / 0.04;
                    parameters[place].values[at] = before;
                    let found = f64::from(gradient.values[at]);
                    let error = (slope - found).abs();
                    assert!(error < 2e-3 * (1.0 + slope.abs()), "{place} {at}: {slope} {found}");
                }
            }
        }
    }

    #[test]
    fn sums_equal_their_definition_and_what_goes_back_sees_no_codec() {
        let (machine, [n_kinds, k, m]) = (Machine::new(1, None), SIZES);
        let parameters = [filled(&machine, N, k, 1), filled(&machine, n_kinds * k, m, 2)];
        let (found, exact, _) = outcome(&parameters, codec::find("f32").unwrap());
        let ends = filled(&machine, N, m, 77);
        let mut sum = 0.0;
        for (number, matrix) in kinds().iter().enumerate() {
            for row in 0..N {
                let (columns, weights) = matrix.row(row);
                for (column, weight) in columns.iter().zip(weights) {
                    for i in 0..k {
                        let x = parameters[0].row(*column as usize)[i].max(0.0);
                        for j in 0..m {
                            let w = parameters[1].row(number * k + i)[j];
                            sum += f64::from(weight * x * w) * f64::from(ends.row(row)[j]);
                        }
                    }
                }
            }
        }
        assert!((sum - found).abs() < 1e-3 * (1.0 + sum.abs()), "{sum} {found}");
        let (_, rough, kept) = outcome(&parameters, codec::find("sign2").unwrap());
        assert_eq!(rough[0].values[..], exact[0].values[..]);
        assert_ne!(rough[1].values[..], exact[1].values[..]);
        assert_eq!(kept, codec::find("sign2").unwrap().bytes_for(N * k) as u64);
    }
}
