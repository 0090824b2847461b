//! Z = leaky((H + S)·W + b) + leaky((H ∘ S)·V + c), S = A·H being a mean over neighbours: a row and its
//! neighbours added, and multiplied.
//!
//! Kept: H, and a bit for each of the two leaks; S is summed again on the way back, from what was
//! kept. With p = ∂/∂(H + S) and q = ∂/∂(H ∘ S): ∂H = p + q∘S + Aᵀ·(p + q∘H). So, unlike where sums
//! are linear, what a codec does to H is noise in what goes back, by q.
//!
//! *Paper:* Wang et al., "KGAT: knowledge graph attention network" (2019), bi-interaction.

use gossamer_machine::InstructionSet;

use super::super::kept::ROWS;
use super::super::rows::Rows;
use super::super::{Back, Floats, Op, Parameter, Tape, Var};
use super::entries::Part;
use super::fixed::Right;
use super::leak::{LEAK, leaky};
use super::neighbours::{BothWays, add_sums, set_sums};
use crate::array::Array;
use crate::kernel::pack::{Matrix, MatrixMut};
use crate::kernel::product::add_product;
use crate::kernel::{codes, gather, vector};
use crate::sparse::Sparse;

struct Interact<'a> {
    input: usize,
    floats: Floats<'a>,
    signs: [usize; 2],
    matrix: BothWays<'a>,
    wanted: Rows,
    /// W, b, V, c.
    parameters: [Parameter<'a>; 4],
    /// Rows and floats of H.
    sizes: [usize; 2],
}

impl<'a> Tape<'a> {
    /// Interactions of the rows that are wanted with their neighbours; `parameters` are W and V
    /// (k × m), each with its row.
    pub fn interact(
        &mut self,
        name: &'static str,
        input: &mut Var<'a>,
        (matrix, wanted): (BothWays<'a>, Rows),
        parameters: [Parameter<'a>; 4],
    ) -> Var<'a> {
        let floats = self.keep_floats(name, input);
        let (machine, h) = (self.machine, input.value());
        let (isa, n, sizes) = (machine.instruction_set, wanted.n(h.rows), [h.rows, h.width]);
        let m = parameters[0].array.width;
        let mut out = Array::room(&machine.buffers, n, m);
        let [mut added, mut multiplied] = [(); 2].map(|()| vec![0; (n * m).div_ceil(8)]);
        let rights = [0, 2].map(|place| Right::new(machine, parameters[place].array, false));
        let biases = [1, 3].map(|place| &parameters[place].array.values);
        // A block's floats are whole bytes of bits.
        let bits = added.chunks_mut(ROWS * m / 8).zip(multiplied.chunks_mut(ROWS * m / 8));
        let tasks = out.values.chunks_mut(ROWS * m).zip(bits).enumerate().collect();
        machine.workers.each_with(
            tasks,
            Room::default,
            |room, (block, (out, (added, multiplied)))| {
                room.sum(isa, (matrix.forward, &wanted), h, block);
                let pairs = [&room.added, &room.multiplied].into_iter().zip(&rights).zip(biases);
                for (place, ((rows, right), bias)) in pairs.enumerate() {
                    room.z.resize(out.len(), 0.0);
                    right.times(rows, &mut room.z, block);
                    for (z, out) in room.z.chunks_exact_mut(m).zip(out.chunks_exact_mut(m)) {
                        for ((z, out), bias) in z.iter_mut().zip(out).zip(bias.iter()) {
                            *z += bias;
                            *out = if place == 0 { leaky(*z) } else { *out + leaky(*z) };
                        }
                    }
                    let bits = if place == 0 { &mut *added } else { &mut *multiplied };
                    codes::sign_bits(isa, &room.z, bits);
                }
            },
        );
        let signs = [added, multiplied].map(|bits| self.keep_bits(name, [n, m], bits));
        let input = input.id;
        self.record(out, Interact { input, floats, signs, matrix, wanted, parameters, sizes })
    }
}

/// A block's S, H + S, H ∘ S and what they become.
#[derive(Default)]
struct Room {
    sums: Vec<f32>,
    added: Vec<f32>,
    multiplied: Vec<f32>,
    z: Vec<f32>,
}

impl Room {
    /// Sums the neighbours of a block of the rows that are wanted, and puts them together with
    /// these.
    fn sum(
        &mut self,
        isa: InstructionSet,
        (matrix, wanted): (&Sparse, &Rows),
        h: &Array,
        block: usize,
    ) {
        let (first, k) = (block * ROWS, h.width);
        let n = ROWS.min(wanted.n(h.rows) - first);
        for room in [&mut self.sums, &mut self.added, &mut self.multiplied] {
            room.resize(n * k, 0.0);
        }
        let both = self.added.chunks_exact_mut(k).zip(self.multiplied.chunks_exact_mut(k));
        let rows = both.zip(self.sums.chunks_exact_mut(k));
        for (place, ((added, multiplied), sums)) in (first..).zip(rows) {
            let row = wanted.row(place);
            let (columns, weights) = matrix.row(row);
            gather::sum_rows(isa, sums, &h.values, columns, weights, matrix.after(row));
            for (((added, multiplied), s), h) in
                added.iter_mut().zip(multiplied).zip(sums).zip(h.row(row))
            {
                (*added, *multiplied) = (*h + *s, *h * *s);
            }
        }
    }

    /// A float of H and one of S for each of a block.
    fn pairs<'r>(
        &'r self,
        wanted: &'r Rows,
        h: &'r Array,
        block: usize,
    ) -> impl Iterator<Item = (&'r f32, &'r f32)> {
        let rows = (block * ROWS..).zip(self.sums.chunks_exact(h.width));
        rows.flat_map(|(place, sums)| h.row(wanted.row(place)).iter().zip(sums))
    }
}

/// Sums of blocks that are made one after the other; their number fixes the order of addition.
const SUMS: usize = 16;

/// Of W, b, V and c, one after the other, each summed over a share of the blocks.
struct Shares {
    sizes: [usize; 4],
    values: Vec<f32>,
}

impl Shares {
    fn new([k, m]: [usize; 2]) -> Self {
        let sizes = [k * m, m, k * m, m];
        Self { sizes, values: vec![0.0; SUMS * sizes.iter().sum::<usize>()] }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_mut(self.sizes.iter().sum::<usize>().max(1))
    }

    /// Adds them up.
    fn summed(&self, back: &Back<'_>, parameters: [Parameter<'_>; 4]) -> [Array; 4] {
        let mut first = 0;
        std::array::from_fn(|place| {
            let of = parameters[place].array;
            let mut out = Array::zeroed(&back.machine.buffers, of.rows, of.width);
            for share in self.values.chunks(self.sizes.iter().sum::<usize>().max(1)) {
                let own = &share[first..first + self.sizes[place]];
                out.values.iter_mut().zip(own).for_each(|(out, x)| *out += x);
            }
            first += self.sizes[place];
            out
        })
    }
}

impl Interact<'_> {
    /// The gradient of a block before a leak, into `out`.
    fn before_leak(
        &self,
        back: &Back<'_>,
        given: &[f32],
        (leak, block): (usize, usize),
        out: &mut Vec<f32>,
    ) {
        out.clear();
        out.extend_from_slice(given);
        back.store.keep_positive(self.signs[leak], block, back.machine, out);
        let pairs = out.iter_mut().zip(given);
        pairs.for_each(|(out, g)| *out = LEAK * g + (1.0 - LEAK) * *out);
    }
}

impl Interact<'_> {
    /// Adds the gradient of H, given p + q∘S and p + q∘H of the rows that were made.
    fn add_of_rows(&self, back: &mut Back<'_>, [mut of_rows, of_sums]: [Array; 2]) {
        let (machine, matrix, [n, k]) = (back.machine, self.matrix.backward, self.sizes);
        if self.wanted.numbers().is_none() {
            back.weigh(self.floats, &of_rows);
            add_sums(machine, matrix, &of_sums, &mut of_rows);
            return back.add(self.input, of_rows);
        }
        let (labels, rows, columns) = (&[][..], &Rows::All, &self.wanted);
        let around = Part { matrix, labels, is_turned: true, rows, columns, dropout: None };
        let mut of_all = Array::room(&machine.buffers, n, k);
        set_sums(machine, around, &of_sums, &mut of_all);
        back.weigh(self.floats, &of_all);
        back.add(self.input, of_all);
        back.add_rows(self.input, (self.wanted.clone(), n), of_rows);
    }
}

impl Op for Interact<'_> {
    fn backward(&self, back: &mut Back<'_>, mut gradient: Array) {
        let (machine, [n_rows, k], m) = (back.machine, self.sizes, gradient.width);
        let isa = machine.instruction_set;
        let h = self.floats.whole(n_rows, k, back);
        let n_blocks = gradient.rows.div_ceil(ROWS);
        let rights = [0, 2].map(|place| Right::new(machine, self.parameters[place].array, true));
        // Where rows are as wide as before, those of the gradient take those of ∂H.
        let other = (k != m).then(|| Array::room(&machine.buffers, gradient.rows, k));
        let mut other = other.unwrap_or_default();
        let mut of_sums = Array::room(&machine.buffers, gradient.rows, k);
        let mut shares = Shares::new([k, m]);
        let mut others = other.values.chunks_mut(ROWS * k);
        let mut blocks = gradient
            .values
            .chunks_mut(ROWS * m)
            .zip(of_sums.values.chunks_mut(ROWS * k))
            .map(|(given, of_sums)| (given, others.next(), of_sums))
            .enumerate();
        let take = |share: usize| n_blocks * (share + 1) / SUMS - n_blocks * share / SUMS;
        let tasks: Vec<_> = shares
            .each()
            .enumerate()
            .map(|(share, out)| (out, blocks.by_ref().take(take(share)).collect::<Vec<_>>()))
            .collect();
        let shared: &Back<'_> = back;
        machine.workers.each(tasks, |(share, blocks)| {
            let (mut room, mut g, mut q) = (Room::default(), Vec::new(), Vec::new());
            let (of_added, of_multiplied) = share.split_at_mut(k * m + m);
            let mut given = Vec::new();
            for (block, (own, other, of_sums)) in blocks {
                given.clear();
                given.extend_from_slice(own);
                let of_rows = other.unwrap_or(own);
                room.sum(isa, (self.matrix.forward, &self.wanted), &h, block);
                let n = given.len() / m;
                let sides =
                    [(&room.added, &mut *of_added), (&room.multiplied, &mut *of_multiplied)];
                for (leak, (rows, of)) in sides.into_iter().enumerate() {
                    self.before_leak(shared, &given, (leak, block), &mut g);
                    let (of_weights, of_bias) = of.split_at_mut(k * m);
                    let left = Matrix { values: rows, stride: k }.transposed();
                    let right = Matrix { values: &g, stride: m };
                    let out = MatrixMut { values: of_weights, stride: m };
                    add_product(isa, [k, n, m], left, right, out);
                    g.chunks_exact(m).for_each(|g| vector::add_scaled(isa, of_bias, 1.0, g));
                    q.resize(n * k, 0.0);
                    let out = if leak == 0 { &mut *of_rows } else { &mut q[..] };
                    rights[leak].times(&g, out, block);
                }
                let given = q.iter().zip(room.pairs(&self.wanted, &h, block));
                let out = of_rows.iter_mut().zip(of_sums.iter_mut());
                for ((of_row, of_sum), (q, (h, s))) in out.zip(given) {
                    *of_sum = *of_row + q * h;
                    *of_row += q * s;
                }
            }
        });
        drop(h);
        let of_rows = if k == m { gradient } else { other };
        let found = shares.summed(back, self.parameters);
        for (parameter, found) in self.parameters.iter().zip(found) {
            back.add(parameter.id, found);
        }
        self.add_of_rows(back, [of_rows, of_sums]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agrees, filled, outcome};
    use super::*;
    use crate::codec;
    use crate::sparse::{Labelled, tests::some};

    const N: usize = 30;

    fn built<'a>(
        tape: &mut Tape<'a>,
        [backward, forward]: &'a [Labelled; 2],
        all: &[Parameter<'a>],
        wanted: Rows,
    ) -> Var<'a> {
        let mut rows = tape.linear("table", &mut all[0].var(), all[1]);
        let matrix = BothWays { forward: &forward.matrix, backward: &backward.matrix };
        let every = [all[2], all[3], all[4], all[5]];
        tape.interact("rows", &mut rows, (matrix, wanted), every)
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_rows_and_two_bits_are_kept() {
        let sizes = [(N, 3), (3, 5), (5, 4), (1, 4), (5, 4), (1, 4)];
        let parameters = || -> Vec<Array> {
            (1..).zip(sizes).map(|(seed, (rows, width))| filled(rows, width, seed)).collect()
        };
        // One label, so that places are told apart.
        let matrices = some(N, N, 1, 3);
        agrees(&matrices, parameters(), 3, |t, m, all| built(t, m, all, Rows::All));
        agrees(&matrices, parameters(), 3, |t, m, all| {
            built(t, m, all, Rows::these(vec![1, 2, 17, 29], N))
        });
        let (_, _, kept) =
            outcome(&matrices, &parameters(), codec::find("f32").unwrap(), |t, m, all| {
                built(t, m, all, Rows::All)
            });
        assert_eq!(kept, (4 * N * 5 + 2 * (N * 4).div_ceil(8)) as u64);
    }
}
