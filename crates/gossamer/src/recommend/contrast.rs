//! Contrast: what two views make of one node is to be more alike than what they make of different ones.
//!
//! *Formula:* of each picked n −log(e^⟨a_n, b_n⟩/τ / Σ_j e^⟨a_n, b_j⟩/τ), a and b being the views' rows, as long as
//! one, j all rows of the other view. With p the parts of the sum and q = a/τ, ∂q_n = Σ_j (p_nj − [j = n])·b_j,
//! ∂b_j = Σ_n (p_nj − [j = n])·q_n.
//! *Cost:* picked · rows · dim of multiplications five times; scores are made again wherever they are needed,
//! some picked by some rows at a time.
//! *Paper:* van den Oord et al.: Representation Learning with Contrastive Predictive Coding (2018).
//!
//! *Invariant:* threads change no bit.

use gossamer_machine::{InstructionSet, Machine};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::pack::Right;
use gossamer_tensor::kernel::similarity::{Block, Columns, Similarity};
use gossamer_tensor::kernel::softmax::exp_columns;
use gossamer_tensor::kernel::vector;

/// Picked rows of a task.
const PICKED: usize = 64;
/// Rows of a task.
const PANEL: usize = 512;

/// Rows as long as one, and how long they were.
struct Units {
    rows: Vec<f32>,
    lengths: Vec<f32>,
}

impl Units {
    /// Of some rows, times a factor.
    fn of<'r>(rows: impl Iterator<Item = &'r [f32]>, factor: f32) -> Self {
        let (mut units, mut lengths) = (Vec::new(), Vec::new());
        for row in rows {
            let length = vector::dot(row, row).sqrt().max(1e-12);
            units.extend(row.iter().map(|x| factor * x / length));
            lengths.push(length);
        }
        Self { rows: units, lengths }
    }
}

/// Adds a part of what rows of length one get to the slopes of the row that one was made of.
fn add_turned(unit: &[f32], of_unit: &[f32], length: f32, out: &mut [f32]) {
    let along = vector::dot(unit, of_unit);
    let both = unit.iter().zip(of_unit);
    out.iter_mut().zip(both).for_each(|(out, (y, dy))| *out += (dy - y * along) / length);
}

/// Picked rows against all rows of the other view.
struct Held<'a> {
    picked: &'a [u32],
    /// q of the picked, and rows as long as one.
    queries: Units,
    units: Units,
    dim: usize,
    /// 1/τ: the largest score there can be.
    most: f32,
    /// What a pick's slopes are multiplied by.
    factor: f32,
    isa: InstructionSet,
}

impl Held<'_> {
    fn own(&self, block: usize) -> &[f32] {
        let rows = &self.queries.rows[block * PICKED * self.dim..];
        &rows[..rows.len().min(PICKED * self.dim)]
    }

    fn panel(&self, number: usize) -> &[f32] {
        let rows = &self.units.rows[number * PANEL * self.dim..];
        &rows[..rows.len().min(PANEL * self.dim)]
    }

    fn n_panels(&self) -> usize {
        self.units.lengths.len().div_ceil(PANEL)
    }

    /// Exponentials of scores, less the largest there can be.
    fn parts(&self, own: &[f32], panel: &[f32], out: &mut Vec<f32>) {
        out.resize(own.len() / self.dim * (panel.len() / self.dim), 0.0);
        let columns = Columns::from(self.dim);
        Similarity::Dot.scores_by_query(
            self.isa,
            (own, panel),
            columns,
            &mut Right::default(),
            out,
        );
        let n = panel.len() / self.dim;
        exp_columns(self.isa, out, &vec![self.most; n], &mut vec![0.0; n]);
    }

    /// The slopes of scores, in a room: a block of picked by a panel.
    fn slopes<'r>(
        &'r self,
        (block, number): (usize, usize),
        sums: &[f64],
        room: &'r mut Vec<f32>,
    ) -> Block<'r> {
        let (queries, rows) = (self.own(block), self.panel(number));
        self.parts(queries, rows, room);
        let n = rows.len() / self.dim;
        for (place, (row, sum)) in room.chunks_exact_mut(n).zip(sums).enumerate() {
            vector::scale(self.isa, row, (f64::from(self.factor) / sum) as f32);
            let own = self.picked[block * PICKED + place] as usize;
            if let Some(own) = own.checked_sub(number * PANEL).and_then(|own| row.get_mut(own)) {
                *own -= self.factor;
            }
        }
        let columns = Columns::from(self.dim);
        Block { queries, rows, columns, scores: &[], coefficients: room, strides: [n, 1] }
    }

    /// Of a block of picked: the sums of exponentials, the slopes of q, and the cost.
    fn of_block(&self, block: usize) -> (Vec<f64>, Vec<f32>, f64) {
        let own = self.own(block);
        let (mut room, mut sums) = (Vec::new(), vec![0.0; own.len() / self.dim]);
        for number in 0..self.n_panels() {
            let panel = self.panel(number);
            self.parts(own, panel, &mut room);
            let rows = room.chunks_exact(panel.len() / self.dim);
            let each = sums.iter_mut().zip(rows);
            each.for_each(|(sum, row)| *sum += f64::from(row.iter().sum::<f32>()));
        }
        let (mut cost, mut of_own) = (0.0, vec![0.0; own.len()]);
        let picked = &self.picked[block * PICKED..];
        for ((row, sum), picked) in own.chunks_exact(self.dim).zip(&sums).zip(picked) {
            let unit = &self.units.rows[*picked as usize * self.dim..][..self.dim];
            cost += sum.ln() + f64::from(self.most - vector::dot(row, unit));
        }
        for number in 0..self.n_panels() {
            let slopes = self.slopes((block, number), &sums, &mut room);
            Similarity::Dot.add_query_gradient(self.isa, &slopes, &mut of_own);
        }
        (sums, of_own, cost)
    }

    /// The slopes of a panel's rows as long as one.
    fn of_panel(&self, number: usize, sums: &[f64]) -> Vec<f32> {
        let (mut room, mut out) = (Vec::new(), vec![0.0; self.panel(number).len()]);
        for (block, sums) in sums.chunks(PICKED).enumerate() {
            let slopes = self.slopes((block, number), sums, &mut room);
            Similarity::Dot.add_row_gradient(self.isa, &slopes, &mut out);
        }
        out
    }
}

/// How two views are held against each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The weight of a pick.
    pub weight: f32,
    /// τ.
    pub temperature: f32,
}

impl Contrast {
    /// Adds slopes of both views' rows, divided by a number of pairs; returns the cost, a sum.
    pub fn add(
        self,
        [a, b]: [&Array; 2],
        picked: &[u32],
        [of_a, of_b]: [&mut Array; 2],
        n_pairs: usize,
        machine: &Machine,
    ) -> f64 {
        let (dim, most) = (a.width, 1.0 / self.temperature);
        let held = Held {
            picked,
            queries: Units::of(picked.iter().map(|row| a.row(*row as usize)), most),
            units: Units::of(b.values.chunks_exact(dim.max(1)), 1.0),
            dim,
            most,
            factor: self.weight / n_pairs as f32,
            isa: machine.instruction_set,
        };
        let blocks = picked.len().div_ceil(PICKED);
        let found = machine.workers.map(blocks, |block| held.of_block(block));
        let sums: Vec<f64> = found.iter().flat_map(|(sums, ..)| sums.iter().copied()).collect();
        let of_panels = machine.workers.map(held.n_panels(), |number| held.of_panel(number, &sums));
        let of_queries = found.iter().flat_map(|(_, of_own, _)| of_own.chunks_exact(dim));
        for ((place, row), of_query) in picked.iter().enumerate().zip(of_queries) {
            // Of q = a/τ, which is 1/τ long.
            let query = &held.queries.rows[place * dim..][..dim];
            let unit: Vec<f32> = query.iter().map(|x| x * self.temperature).collect();
            let of_unit: Vec<f32> = of_query.iter().map(|x| x * most).collect();
            let out = &mut of_a.values[*row as usize * dim..][..dim];
            add_turned(&unit, &of_unit, held.queries.lengths[place], out);
        }
        let of_units = of_panels.iter().flat_map(|of_panel| of_panel.chunks_exact(dim));
        let units = held.units.rows.chunks_exact(dim).zip(of_units).zip(&held.units.lengths);
        for (((unit, of_unit), length), out) in units.zip(of_b.values.chunks_exact_mut(dim)) {
            add_turned(unit, of_unit, *length, out);
        }
        f64::from(self.weight) * found.iter().map(|(.., cost)| cost).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::random::{Address, Purpose};

    #[test]
    fn slopes_agree_with_finite_differences_and_threads_change_no_bit() {
        let dim = 6;
        let address = Address::new(9, Purpose::Synthetic, 0);
        let machine = Machine::new(2, None);
        let filled = |n: usize, of: u32| {
            let values: Vec<f32> = (0..(n * dim) as u32).map(|i| address.normal(i, of)).collect();
            Array::of(&machine.buffers, &values, dim)
        };
        let mut views = [filled(700, 0), filled(700, 1)];
        let picked: Vec<u32> = (0..90).map(|place| place * 37 % 700).chain([3, 3]).collect();
        let contrast = Contrast { weight: 0.5, temperature: 0.4 };
        let cost = |views: &[Array; 2], machine: &Machine| {
            let mut slopes = [(); 2].map(|()| Array::zeroed(&machine.buffers, 700, dim));
            let [of_a, of_b] = &mut slopes;
            let cost = contrast.add(views.each_ref(), &picked, [of_a, of_b], 2, machine);
            (cost, slopes.map(|slopes| slopes.values.to_vec()))
        };
        let (_, slopes) = cost(&views, &machine);
        assert_eq!(cost(&views, &Machine::new(1, None)).1, slopes);
        for (place, of_view) in slopes.iter().enumerate() {
            for at in (0..700 * dim).step_by(391) {
                let before = views[place].values[at];
                let mut moved = |more: f32| {
                    views[place].values[at] = before + more;
                    cost(&views, &machine).0
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                views[place].values[at] = before;
                // Slopes are divided by the number of pairs.
                let off = (slope - 2.0 * f64::from(of_view[at])).abs();
                assert!(off < 2e-3 * (1.0 + slope.abs()), "{place} {at}: {slope} {}", of_view[at]);
            }
        }
    }
}
