//! Facts as translations: rows of entities learned so that what is said of them is near.
//!
//! | kind | what a triple costs |
//! |---|---|
//! | projected | d(h, r, t) = ‖h·W_r + r − t·W_r‖², TransR without norms |
//! | plain | d(h, r, t) = −⟨h + r, t⟩ |
//!
//! *Formula:* the mean of −log σ(d(h, r, t′) − d(h, r, t)), t′ being drawn among the entities, and for
//! projected rows λ/2 of their squares. A batch is sorted by relation, so that a W_r is read once for all of
//! its triples. *Cost:* 6 · triples · dim² of multiplications each way.
//! *Paper:* Lin et al.: Learning Entity and Relation Embeddings (AAAI 2015); Wang et al.: KGAT (KDD 2019).
//!
//! *Invariant:* threads change no bit: tasks are blocks of a relation's triples, added in order.

use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{InstructionSet, Ledger, Machine, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::kernel::logistic::tanh_row;
use gossamer_tensor::kernel::pack::{Matrix, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, add_product, multiply};
use gossamer_tensor::kernel::{gather, vector};
use gossamer_tensor::optim;

use super::body::{Between, State};
use crate::error::Error;

/// Triples of a task.
const TASK: usize = 256;

/// Triples that are learned between epochs, and where their rows are.
pub struct Translation {
    /// Tails are drawn among so many rows from this one on.
    pub drawn: (usize, usize),
    /// The parameter with entities' rows.
    pub entities: usize,
    /// The parameter with relations' rows.
    pub relations: usize,
    /// The parameter with relations' matrices, a row each; none: rows are compared as they are.
    pub projections: Option<usize>,
}

/// How many entities and relations triples are about, and floats of a row and of a relation's
/// matrix, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Entities.
    pub entities: u64,
    /// Relations.
    pub relations: u64,
    /// Floats of a row.
    pub dim: u64,
    /// Floats of a matrix.
    pub matrix: u64,
}

impl Shape {
    /// Floats of the arrays that a step over so many triples has at once: slopes of three rows of
    /// each, then their sums by row and by relation.
    pub fn of_a_step(&self, batch: u64) -> u64 {
        let (slopes, rows) = (3 * batch * self.dim, self.entities.min(3 * batch) * self.dim);
        rows + slopes.max(self.named(batch) * (self.dim + self.matrix))
    }

    /// Adds what its tasks find beside, and what each thread has of a task.
    pub fn plan(&self, batch: u64, n_threads: u64, ledger: &mut Ledger) {
        let tasks = self.named(batch) + batch / TASK as u64;
        let found = tasks * (self.dim + self.matrix);
        let threads = n_threads.min(tasks) * (7 * TASK as u64 * self.dim + 3 * self.matrix);
        let words = format!("{tasks} × ({} + {})", self.dim, self.matrix);
        ledger.add("slopes of relations", words, "f32", 4 * (found + threads));
    }

    /// Relations that a batch names at most.
    fn named(&self, batch: u64) -> u64 {
        self.relations.min(batch)
    }
}

/// The triples of a task, of one relation: with a drawn tail each.
type Task<'a> = &'a [[u32; 4]];

/// Slopes of a task of the relation's row and of its matrix, and the loss; those of rows stand in
/// an array of the step, three for each triple: of its head, tail and drawn tail.
#[derive(Default)]
struct Slopes {
    relation: Vec<f32>,
    projection: Vec<f32>,
    loss: f64,
}

impl Translation {
    /// One pass over triples (head, relation, tail, as rows of the tables); returns the mean loss.
    ///
    /// # Errors
    /// [`Error::Stopped`], [`Error::Diverged`].
    pub fn epoch(
        &self,
        triples: &[[u32; 3]],
        state: &mut State,
        with: &Between<'_>,
    ) -> Result<f64, Error> {
        let n = triples.len() as u64;
        let seed = with.settings.seed;
        let order = Permutation::new(n, Address::new(seed, Purpose::Order, (1 << 32) + with.epoch));
        let mut sum = 0.0;
        for first in (0..n).step_by(with.settings.batch) {
            let address = Address::new(seed, Purpose::Negative, (1 << 48) + state.steps);
            let with_drawn = |row: u64| {
                let [head, relation, tail] = triples[order.get(first + row) as usize];
                let drawn = address.below(self.drawn.1 as u64, row as u32, 0) as u32;
                [relation, head, tail, self.drawn.0 as u32 + drawn]
            };
            let n_batch = n.min(first + with.settings.batch as u64) - first;
            let tasks = with.machine.workers.map((n_batch as usize).div_ceil(TASK), |task| {
                let rows = (task * TASK) as u64..n_batch.min(((task + 1) * TASK) as u64);
                rows.map(with_drawn).collect::<Vec<_>>()
            });
            let mut batch = tasks.concat();
            batch.sort_unstable();
            sum += self.step(state, with, &batch)?;
            if !sum.is_finite() {
                return Err(Error::Diverged { loss: sum, epoch: with.epoch + 1 });
            }
            let done = n.min(first + with.settings.batch as u64);
            let (stage, unit) = ("facts", "facts");
            let detail = &format!("epoch {}/{}", with.epoch + 1, with.settings.epochs);
            with.observer.progress(&Progress { stage, done, total: n, unit, detail });
            if with.observer.cancelled() {
                return Err(Error::Stopped);
            }
        }
        Ok(sum / n.max(1) as f64)
    }

    /// A step over triples (relation, head, tail, drawn tail), sorted by relation.
    fn step(
        &self,
        state: &mut State,
        with: &Between<'_>,
        triples: &[[u32; 4]],
    ) -> Result<f64, Error> {
        let machine = with.machine;
        let tasks: Vec<Task<'_>> = triples
            .chunk_by(|one, other| one[0] == other[0])
            .flat_map(|of_relation| of_relation.chunks(TASK))
            .collect();
        let (scale, penalty) = (1.0 / triples.len() as f32, with.settings.regularisation);
        let dim = state.parameters[self.entities].width;
        let mut slopes = Array::room(&machine.buffers, 3 * triples.len(), dim);
        let mut found: Vec<Slopes> = tasks.iter().map(|_| Slopes::default()).collect();
        let (mut rest, parameters) = (&mut slopes.values[..], &state.parameters);
        let rooms = tasks.iter().filter_map(|task| rest.split_off_mut(..3 * task.len() * dim));
        let each = tasks.iter().zip(rooms).zip(&mut found).collect();
        machine.workers.each(each, |((task, out), found): ((&Task<'_>, &mut [f32]), _)| {
            let isa = machine.instruction_set;
            *found = self.slopes(parameters, task, (scale, penalty, isa), out);
        });
        let (rows, of_rows) = by_row(triples, &slopes, machine);
        drop(slopes);
        let mut labels: Vec<u32> = triples.iter().map(|of| of[0]).collect();
        labels.dedup();
        let width = state.parameters[self.relations].width;
        let mut of_labels = Array::zeroed(&machine.buffers, labels.len(), width);
        let square = found.first().map_or(0, |slopes| slopes.projection.len());
        let mut of_squares = Array::zeroed(&machine.buffers, labels.len(), square);
        let (isa, mut loss) = (machine.instruction_set, 0.0);
        for (triples, slopes) in tasks.iter().zip(&found) {
            let label = labels.partition_point(|label| *label < triples[0][0]);
            let out = &mut of_labels.values[label * width..][..width];
            vector::add_scaled(isa, out, 1.0, &slopes.relation);
            let out = &mut of_squares.values[label * square..][..square];
            vector::add_scaled(isa, out, 1.0, &slopes.projection);
            loss += slopes.loss;
        }
        state.steps += 1;
        let (adam, step) = (optim::find("adam")?, with.settings.step(state.steps, machine));
        state.change_rows(self.entities, (&rows, &of_rows), (adam, &step), machine);
        state.change_rows(self.relations, (&labels, &of_labels), (adam, &step), machine);
        if let Some(projections) = self.projections {
            state.change_rows(projections, (&labels, &of_squares), (adam, &step), machine);
        }
        Ok(loss)
    }

    fn slopes(
        &self,
        parameters: &[Array],
        triples: Task<'_>,
        (scale, penalty, isa): (f32, f32, InstructionSet),
        out: &mut [f32],
    ) -> Slopes {
        let entities = &parameters[self.entities];
        let relation = parameters[self.relations].row(triples[0][0] as usize);
        let gathered = |end: usize| -> Vec<f32> {
            let mut rows = Vec::with_capacity(triples.len() * entities.width);
            triples.iter().for_each(|of| rows.extend_from_slice(entities.row(of[end] as usize)));
            rows
        };
        let ends = [1, 2, 3].map(gathered);
        let Some(projections) = self.projections else {
            return plain(&ends, relation, (scale, isa), out);
        };
        let matrix = parameters[projections].row(triples[0][0] as usize);
        projected(&ends, relation, (matrix, scale, penalty, isa), out)
    }
}

/// The rows of entities that triples name, ascending, and the sum of the slopes of each.
fn by_row(triples: &[[u32; 4]], slopes: &Array, machine: &Machine) -> (Vec<u32>, Array) {
    let (isa, width) = (machine.instruction_set, slopes.width);
    let ends = triples.iter().flat_map(|of| of[1..].iter().copied());
    let mut named: Vec<(u32, u32)> = ends.zip(0..).collect();
    named.sort_unstable();
    let (rows, places): (Vec<u32>, Vec<u32>) = named.into_iter().unzip();
    let sums: Vec<&[u32]> = rows
        .chunk_by(|one, other| one == other)
        .scan(0, |next, of_row| {
            *next += of_row.len();
            Some(&places[*next - of_row.len()..*next])
        })
        .collect();
    let mut out = Array::room(&machine.buffers, sums.len(), width);
    let tasks = out.values.chunks_mut(TASK * width).zip(sums.chunks(TASK)).collect();
    machine.workers.each_with(tasks, Vec::new, |ones, (out, sums): (&mut [f32], &[&[u32]])| {
        for (out, places) in out.chunks_exact_mut(width).zip(sums) {
            ones.resize(places.len().max(ones.len()), 1.0);
            gather::sum_rows(isa, out, &slopes.values, places, ones, &[]);
        }
    });
    let mut rows = rows;
    rows.dedup();
    (rows, out)
}

/// −log σ(other − own) of two costs, and its slope by own.
fn pair(own: f32, other: f32) -> (f32, f32) {
    let by = own - other;
    let loss = (-by.abs()).exp().ln_1p() + by.max(0.0);
    (loss, 1.0 / (1.0 + (-by).exp()))
}

/// Of d = −⟨h + r, t⟩.
fn plain(
    ends: &[Vec<f32>; 3],
    relation: &[f32],
    (scale, isa): (f32, InstructionSet),
    out: &mut [f32],
) -> Slopes {
    let dim = relation.len();
    let mut slopes = Slopes { relation: vec![0.0; dim], ..Slopes::default() };
    let [heads, tails, drawn] = ends.each_ref().map(|rows| rows.chunks_exact(dim));
    for ((out, head), (tail, drawn)) in
        out.chunks_exact_mut(3 * dim).zip(heads).zip(tails.zip(drawn))
    {
        let moved: Vec<f32> = head.iter().zip(relation).map(|(h, r)| h + r).collect();
        let (loss, slope) = pair(-vector::dot(&moved, tail), -vector::dot(&moved, drawn));
        slopes.loss += f64::from(loss);
        let slope = scale * slope;
        out.fill(0.0);
        let (of_head, others) = out.split_at_mut(dim);
        let (of_tail, of_drawn) = others.split_at_mut(dim);
        for out in [of_head, &mut slopes.relation[..]] {
            vector::add_scaled(isa, out, -slope, tail);
            vector::add_scaled(isa, out, slope, drawn);
        }
        vector::add_scaled(isa, of_tail, -slope, &moved);
        vector::add_scaled(isa, of_drawn, slope, &moved);
    }
    slopes
}

/// Of d = ‖h·W + r − t·W‖².
fn projected(
    ends: &[Vec<f32>; 3],
    relation: &[f32],
    (matrix, scale, penalty, isa): (&[f32], f32, f32, InstructionSet),
    out: &mut [f32],
) -> Slopes {
    let m = relation.len();
    let k = matrix.len() / m;
    let n = ends[0].len() / k;
    let values = Matrix { values: matrix, stride: m };
    let [mut packed, mut back] = [Right::<f32>::default(), Right::default()];
    packed.pack(isa, k, m, values, None);
    back.pack_transposed(isa, m, k, values);
    let mut projections = ends.each_ref().map(|rows| {
        let mut out = vec![0.0; n * m];
        let left = Matrix { values: rows, stride: k };
        multiply(isa, n, left.into(), &packed, Put::Set, MatrixMut { values: &mut out, stride: m });
        out
    });
    let (mut of_relation, mut sum) = (vec![0.0; m], 0.0);
    for at in 0..n {
        let [head, tail, drawn] = projections.each_mut().map(|rows| &mut rows[at * m..][..m]);
        let off = |other: &[f32]| -> f32 {
            let each = head.iter().zip(relation).zip(other);
            each.map(|((h, r), t)| (h + r - t).powi(2)).sum()
        };
        let (loss, slope) = pair(off(tail), off(drawn));
        let squares = |row: &[f32]| vector::dot(row, row);
        let cost = squares(head) + squares(tail) + squares(drawn) + squares(relation);
        sum += f64::from(loss + 0.5 * penalty * cost);
        for i in 0..m {
            let moved = head[i] + relation[i];
            let (near, far) = (moved - tail[i], moved - drawn[i]);
            let of_moved = 2.0 * slope * (near - far);
            let with = |slope: f32, own: f32| scale * (slope + penalty * own);
            of_relation[i] += with(of_moved, relation[i]);
            head[i] = with(of_moved, head[i]);
            tail[i] = with(-2.0 * slope * near, tail[i]);
            drawn[i] = with(2.0 * slope * far, drawn[i]);
        }
    }
    let mut projection = vec![0.0; k * m];
    for (end, (given, slopes)) in ends.iter().zip(&projections).enumerate() {
        let left = Matrix { values: given, stride: k }.transposed();
        let right = Matrix { values: slopes, stride: m };
        let of_matrix = MatrixMut { values: &mut projection, stride: m };
        add_product(isa, [k, n, m], left, right, of_matrix);
        let left = Matrix { values: slopes, stride: m };
        let out = MatrixMut { values: &mut out[end * k..], stride: 3 * k };
        multiply(isa, n, left.into(), &back, Put::Set, out);
    }
    Slopes { relation: of_relation, projection, loss: sum }
}

/// What each triple's tail is worth to its head, ⟨t·W, tanh(h·W + r)⟩, KGAT's attention before its
/// softmax; or, back, its head to its tail, ⟨h·W, tanh(t·W − r)⟩: what puts h·W + r near t·W puts
/// t·W − r near h·W. Triples are by relation.
pub fn attention(
    triples: &[[u32; 3]],
    back: bool,
    [table, relations, matrices]: [&Array; 3],
    machine: &Machine,
) -> Vec<f32> {
    let isa = machine.instruction_set;
    let tasks: Vec<&[[u32; 3]]> = triples
        .chunk_by(|one, other| one[1] == other[1])
        .flat_map(|of_relation| of_relation.chunks(TASK))
        .collect();
    let (ends, sign) = if back { ([2, 0], -1.0) } else { ([0, 2], 1.0) };
    let found = machine.workers.map(tasks.len(), |task| {
        let entries = tasks[task];
        let label = entries[0][1] as usize;
        let (relation, k) = (relations.row(label), table.width);
        let (n, m) = (entries.len(), relation.len());
        let mut packed = Right::<f32>::default();
        packed.pack(isa, k, m, Matrix { values: matrices.row(label), stride: m }, None);
        let [mut heads, tails] = ends.map(|end: usize| {
            let mut rows = Vec::with_capacity(n * k);
            entries.iter().for_each(|of| rows.extend_from_slice(table.row(of[end] as usize)));
            let (left, mut out) = (Matrix { values: &rows, stride: k }, vec![0.0; n * m]);
            let put = MatrixMut { values: &mut out, stride: m };
            multiply(isa, n, left.into(), &packed, Put::Set, put);
            out
        });
        let of = |(head, tail): (&mut [f32], &[f32])| -> f32 {
            vector::add_scaled(isa, head, sign, relation);
            tanh_row(isa, head);
            vector::dot(head, tail)
        };
        heads.chunks_exact_mut(m).zip(tails.chunks_exact(m)).map(of).collect::<Vec<f32>>()
    });
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::Settings;
    use gossamer_machine::Silent;

    fn filled(rows: usize, width: usize, seed: u64) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> = (0..(rows * width) as u32).map(|i| address.normal(i, 0)).collect();
        Array::of(&Machine::new(1, None).buffers, &values, width)
    }

    /// The cost of triples by the definition.
    fn loss(parameters: &[Array], triples: &[[u32; 4]], penalty: f64, is_plain: bool) -> f64 {
        let [table, relations] = [&parameters[0], &parameters[1]];
        let m = relations.width;
        let of = |[relation, head, tail, drawn]: &[u32; 4]| {
            let r: Vec<f64> =
                relations.row(*relation as usize).iter().map(|x| f64::from(*x)).collect();
            let row = |node: &u32| -> Vec<f64> {
                let own = table.row(*node as usize);
                if is_plain {
                    return own.iter().map(|x| f64::from(*x)).collect();
                }
                let w = parameters[2].row(*relation as usize);
                let at = |j: usize| {
                    own.iter()
                        .enumerate()
                        .map(|(i, x)| f64::from(*x) * f64::from(w[i * m + j]))
                        .sum()
                };
                (0..m).map(at).collect()
            };
            let (h, t, n) = (row(head), row(tail), row(drawn));
            let cost = |other: &[f64]| -> f64 {
                let each = h.iter().zip(&r).zip(other);
                match is_plain {
                    true => -each.map(|((h, r), t)| (h + r) * t).sum::<f64>(),
                    false => each.map(|((h, r), t)| (h + r - t).powi(2)).sum(),
                }
            };
            let squares = [&h, &t, &n, &r].map(|row| row.iter().map(|x| x * x).sum::<f64>());
            let penalty = if is_plain { 0.0 } else { penalty };
            (cost(&t) - cost(&n)).exp().ln_1p() + 0.5 * penalty * squares.iter().sum::<f64>()
        };
        triples.iter().map(of).sum::<f64>()
    }

    #[test]
    fn steps_follow_the_slope_of_their_definition() {
        let triples: Vec<[u32; 4]> =
            vec![[0, 0, 1, 2], [0, 3, 1, 0], [1, 2, 4, 4], [1, 2, 2, 0], [2, 4, 1, 3]];
        for is_plain in [false, true] {
            let (dim, m) = (3, if is_plain { 3 } else { 4 });
            let mut parameters = vec![filled(5, dim, 1), filled(3, m, 2), filled(3, dim * m, 3)];
            let penalty = 0.3;
            let translation = Translation {
                drawn: (0, 5),
                entities: 0,
                relations: 1,
                projections: (!is_plain).then_some(2),
            };
            let isa = InstructionSet::detect();
            let mut found: Vec<Vec<f64>> =
                parameters.iter().map(|of| vec![0.0; of.values.len()]).collect();
            for task in triples.chunk_by(|one, other| one[0] == other[0]) {
                let mut rows = vec![0.0; 3 * task.len() * dim];
                let given = (1.0, penalty, isa);
                let slopes = translation.slopes(&parameters, task, given, &mut rows);
                let mut add = |place: usize, row: u32, of: &[f32]| {
                    let out = &mut found[place][row as usize * of.len()..][..of.len()];
                    out.iter_mut().zip(of).for_each(|(out, x)| *out += f64::from(*x));
                };
                let named = task.iter().flat_map(|of| &of[1..]);
                named.zip(rows.chunks_exact(dim)).for_each(|(row, slope)| add(0, *row, slope));
                add(1, task[0][0], &slopes.relation);
                add(2, task[0][0], &slopes.projection);
            }
            for place in 0..if is_plain { 2 } else { 3 } {
                for at in 0..parameters[place].values.len() {
                    let before = parameters[place].values[at];
                    let mut moved = |more: f32| {
                        parameters[place].values[at] = before + more;
                        loss(&parameters, &triples, f64::from(penalty), is_plain)
                    };
                    let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                    parameters[place].values[at] = before;
                    let found = found[place][at];
                    assert!((slope - found).abs() < 2e-2 * (1.0 + slope.abs()), "{slope} {found}");
                }
            }
        }
    }

    #[test]
    fn an_epoch_brings_what_is_said_nearer_and_threads_change_no_bit() {
        let triples: Vec<[u32; 3]> =
            (0..60).map(|i| [i % 20, i % 3, (i % 20 + i % 3 + 1) % 20]).collect();
        let settings = Settings { batch: 32, learning_rate: 0.02, ..Settings::of("kgat").unwrap() };
        let of = |threads: usize| {
            let machine = Machine::new(threads, None);
            let parameters = vec![filled(20, 8, 1), filled(3, 8, 2), filled(3, 64, 3)];
            let states =
                parameters.iter().map(|of| Array::zeroed(&machine.buffers, of.rows, 2 * of.width));
            let mut state = State { states: states.collect(), parameters, steps: 0 };
            let translation =
                Translation { drawn: (0, 20), entities: 0, relations: 1, projections: Some(2) };
            let mut losses = Vec::new();
            for epoch in 0..40 {
                let with =
                    Between { settings: &settings, machine: &machine, observer: &Silent, epoch };
                losses.push(translation.epoch(&triples, &mut state, &with).unwrap());
            }
            losses
        };
        let losses = of(1);
        assert!(losses[39] < 0.5 * losses[0], "{losses:?}");
        assert_eq!(losses, of(3));
    }

    #[test]
    fn attention_is_its_definition() {
        let all = [filled(4, 3, 1), filled(2, 5, 2), filled(2, 15, 3)];
        let triples = [[0, 0, 1], [2, 1, 3], [3, 1, 0]];
        let machine = Machine::new(2, None);
        let of = |back| attention(&triples, back, all.each_ref(), &machine);
        let turned = triples.map(|[head, label, tail]| ([tail, label, head], -1.0));
        let signed = triples.map(|triple| (triple, 1.0)).into_iter().chain(turned);
        let both = signed.zip(of(false).into_iter().chain(of(true)));
        for (([head, label, tail], sign), found) in both {
            let project = |node: u32, j: usize| -> f32 {
                let (own, w) = (all[0].row(node as usize), all[2].row(label as usize));
                (0..3).map(|i| own[i] * w[i * 5 + j]).sum()
            };
            let term = |j: usize| {
                let r = sign * all[1].row(label as usize)[j];
                project(tail, j) * (project(head, j) + r).tanh()
            };
            let wanted: f32 = (0..5).map(term).sum();
            assert!((wanted - found).abs() < 1e-4, "{wanted} {found}");
        }
    }
}
