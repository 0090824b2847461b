//! The tape: what a forward pass did, and the little that the way back needs.
//!
//! A function of the forward pass takes [`Var`]s, computes exactly, and writes an [`Op`] down. The op
//! says how the gradient of what it made becomes gradients of what it was made of. What that takes of
//! the forward values it must keep by name: floats, through the codec chosen for that name, or one
//! bit each; all else is forgotten when its var is dropped. Random numbers are replayed from their
//! address.
//!
//! ```text
//! forward   x ──linear──> z ──rectify──> h ──linear──> y        y and the loss are exact
//! kept        x's codes       h's signs      h's codes          signs are within codes that keep them
//! backward  dx <──────── dz <───────── dh <──────── dy
//! ```
//!
//! *Invariant:* a forward value never went through a codec; [`Tape::kept`] lists every byte that
//! stays between the ways; sums run in fixed blocks, so that threads change no bit.
//! *Not here:* losses: [`Tape::backward`] begins with the gradients of the last vars.

use gossamer_machine::{Address, Buffers, Ledger, Machine};

use crate::array::Array;
use crate::codec::Codec;
use crate::dropout::Dropout;

pub mod kept;
pub mod allot;
pub mod rows;
pub mod gradient;
pub mod op;

use allot::Need;
use gradient::Gradient;
use kept::{ROWS, Store};
use rows::Rows;

/// A value of the forward pass.
pub struct Var<'a> {
    id: usize,
    value: Whole<'a>,
    /// Where its floats are kept, if they are.
    floats: Option<usize>,
    /// Where its signs are kept, if they are.
    signs: Option<usize>,
}

impl<'a> Var<'a> {
    /// Its value.
    pub fn value(&self) -> &Array {
        &self.value
    }

    /// Another var of the same value, for what takes it.
    pub fn copy(&self, machine: &Machine) -> Var<'a> {
        let own = Array::of(&machine.buffers, &self.value().values, self.value().width);
        Var { id: self.id, value: Whole::Own(own), floats: self.floats, signs: self.signs }
    }

    /// Its array, or a copy of one that is lent.
    fn into_own(self, machine: &Machine) -> Array {
        match self.value {
            Whole::Own(array) => array,
            Whole::Lent(array) => Array::of(&machine.buffers, &array.values, array.width),
        }
    }
}

/// What a forward pass is learned by changing; it is read where it lies.
#[derive(Clone, Copy)]
pub struct Parameter<'a> {
    id: usize,
    array: &'a Array,
}

impl<'a> Parameter<'a> {
    /// Its place among the gradients.
    pub fn id(self) -> usize {
        self.id
    }

    /// As a var, for ops that make no difference between the two.
    pub fn var(self) -> Var<'a> {
        Var { id: self.id, value: Whole::Lent(self.array), floats: None, signs: None }
    }
}

/// Where the way back finds floats: parameters and inputs where they lie, others where they are
/// kept.
#[derive(Clone, Copy)]
pub enum Floats<'a> {
    /// At this place of the store.
    Kept(usize),
    /// As they were lent.
    Lent(&'a Array),
}

/// An array of one's own, or one that is lent.
enum Whole<'a> {
    Own(Array),
    Lent(&'a Array),
}

impl std::ops::Deref for Whole<'_> {
    type Target = Array;
    fn deref(&self) -> &Array {
        match self {
            Self::Own(array) => array,
            Self::Lent(array) => array,
        }
    }
}

/// A step of the forward pass, as the way back sees it.
pub trait Op {
    /// Adds to the gradients of what it used, given that of what it made.
    fn backward(&self, back: &mut Back<'_>, gradient: Array);
}

/// The way back: gradients by var, and what was kept.
pub struct Back<'a> {
    /// Threads, instructions and arrays.
    pub machine: &'a Machine,
    /// What was kept.
    pub store: &'a Store,
    gradients: Vec<Option<Gradient>>,
    /// The noise that one bit a float would bring, by place of the store; empty where nobody asks.
    noise: Vec<f64>,
    /// True once a value was no finite number.
    broken: bool,
}

impl Back<'_> {
    /// Notes what kept rows need, their gradients being products with these.
    fn weigh(&mut self, floats: Floats<'_>, with: &Array) {
        if let (Floats::Kept(place), false) = (floats, self.noise.is_empty()) {
            let more = self.store.noise(place, with, self.machine);
            self.noise[place] += more;
        }
    }

    /// Adds to the gradients of some of a var's n rows.
    pub fn add_rows(&mut self, var: usize, (which, n): (Rows, usize), more: Array) {
        self.plus(var, Gradient::of_some((which, n), more));
    }

    /// Adds to the gradient of a var.
    pub fn add(&mut self, var: usize, more: Array) {
        self.plus(var, Gradient::of_all(more));
    }

    fn plus(&mut self, var: usize, more: Gradient) {
        let sum = match self.gradients[var].take() {
            Some(sum) => sum.plus(more, self.machine),
            None => more,
        };
        self.gradients[var] = Some(sum);
    }
}

impl<'a> Floats<'a> {
    /// A block of rows, and how many they are; kept ones are decoded into the room.
    fn block<'r>(
        self,
        block: usize,
        back: &'r Back<'_>,
        room: &'r mut Vec<f32>,
    ) -> (&'r [f32], usize)
    where
        'a: 'r,
    {
        match self {
            Self::Lent(array) => {
                let rows = ROWS.min(array.rows - block * ROWS);
                (&array.values[block * ROWS * array.width..][..rows * array.width], rows)
            }
            Self::Kept(place) => back.store.block(place, block, back.machine, room),
        }
    }
}

impl<'a> Floats<'a> {
    /// All rows.
    fn whole(self, rows: usize, width: usize, back: &Back<'_>) -> Whole<'a> {
        if let Self::Lent(array) = self {
            return Whole::Lent(array);
        }
        let mut out = Array::room(&back.machine.buffers, rows, width);
        let blocks = out.values.chunks_mut((ROWS * width).max(1)).enumerate().collect();
        back.machine.workers.each_with(blocks, Vec::new, |room, (block, out)| {
            out.copy_from_slice(self.block(block, back, room).0);
        });
        Whole::Own(out)
    }
}

/// The gradients at the end of the way back.
pub struct Gradients {
    of: Vec<Option<Gradient>>,
    buffers: Buffers,
    /// What each kept thing needs, in the order of places, where the tape was told to weigh.
    pub needs: Vec<Option<Need>>,
}

impl Gradients {
    /// That of a parameter, of all its rows; none where nothing depends on it.
    pub fn take(&mut self, parameter: usize) -> Option<Array> {
        self.take_rows(parameter).map(|gradient| gradient.into_all(&self.buffers))
    }

    /// That of a parameter, of those rows that something depends on.
    pub fn take_rows(&mut self, parameter: usize) -> Option<Gradient> {
        self.of.get_mut(parameter).and_then(Option::take)
    }

    /// Adds values, times a weight, to that of a parameter which has one.
    pub fn add(&mut self, parameter: usize, weight: f32, values: &[f32]) {
        if let Some(mut gradient) = self.take(parameter) {
            let pairs = gradient.values.iter_mut().zip(values);
            pairs.for_each(|(gradient, x)| *gradient += weight * x);
            self.of[parameter] = Some(Gradient::of_all(gradient));
        }
    }

    /// Adds to that of a parameter what the half of its squares, times a weight, costs.
    pub fn decay(&mut self, parameter: usize, weight: f32, values: &Array) {
        self.add(parameter, weight, &values.values);
    }
}

/// A recorded forward pass.
pub struct Tape<'a> {
    machine: &'a Machine,
    /// Which codec a kept thing goes through, by its place among all.
    codecs: &'a dyn Fn(usize) -> &'static dyn Codec,
    /// True if the way back also finds what each kept thing needs.
    weighs: bool,
    /// False if nothing will go back, and nothing is kept.
    keeps: bool,
    address: Address,
    store: Store,
    /// What each op made, and the op.
    ops: Vec<(usize, Box<dyn Op + 'a>)>,
    n_vars: usize,
}

impl<'a> Tape<'a> {
    /// An empty one; its random numbers are those of the address.
    pub fn new(
        machine: &'a Machine,
        codecs: &'a dyn Fn(usize) -> &'static dyn Codec,
        address: Address,
    ) -> Self {
        let (store, ops) = (Store::default(), Vec::new());
        Self { machine, codecs, weighs: false, keeps: true, address, store, ops, n_vars: 0 }
    }

    /// Keeps nothing: for a forward pass from which nothing goes back.
    pub fn forget(&mut self) {
        self.keeps = false;
    }

    /// Lets the way back find what each kept thing needs, for [`Gradients::needs`].
    pub fn weigh(&mut self) {
        self.weighs = true;
    }

    /// Where it computes.
    pub fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// A value that no op makes.
    pub fn parameter(&mut self, array: &'a Array) -> Parameter<'a> {
        self.n_vars += 1;
        Parameter { id: self.n_vars - 1, array }
    }

    /// Tells the random numbers of the next op from those of others.
    fn next_number(&self) -> u32 {
        self.n_vars as u32 + 1
    }

    /// What the next op leaves out.
    pub fn dropout(&self, part: f32) -> Dropout {
        let (address, instruction_set) = (self.address, self.machine.instruction_set);
        Dropout { part, address, instruction_set, number: self.next_number() }
    }

    /// What so many ops to come leave out, no two the same.
    pub fn dropouts(&mut self, part: f32, n: usize) -> Vec<Dropout> {
        let next = |_| {
            self.n_vars += 1;
            self.dropout(part)
        };
        (0..n).map(next).collect()
    }

    /// Writes an op down, and gives what it made.
    fn record(&mut self, made: Array, op: impl Op + 'a) -> Var<'a> {
        let id = self.n_vars;
        self.n_vars += 1;
        if self.keeps {
            self.ops.push((id, Box::new(op)));
        }
        Var { id, value: Whole::Own(made), floats: None, signs: None }
    }

    /// Keeps a var's floats, once, unless they are lent; signs that were kept before go where these
    /// tell them.
    fn keep_floats(&mut self, name: &'static str, var: &mut Var<'a>) -> Floats<'a> {
        match (&var.value, var.floats) {
            (Whole::Lent(array), _) => return Floats::Lent(array),
            (Whole::Own(_), Some(place)) => return Floats::Kept(place),
            (Whole::Own(_), None) if !self.keeps => return Floats::Kept(0),
            (Whole::Own(_), None) => {}
        }
        let place = self.keep_array(name, var.value());
        var.floats = Some(place);
        if let Some(signs) = var.signs {
            self.store.signs_are_within(signs, place);
        }
        Floats::Kept(place)
    }

    /// Keeps floats that no var has yet.
    fn keep_array(&mut self, name: &'static str, array: &Array) -> usize {
        let codec = (self.codecs)(self.store.len());
        self.store.floats(name, array, codec, self.machine, self.address)
    }

    /// Keeps which floats are positive.
    fn keep_signs(&mut self, name: &'static str, array: &Array) -> usize {
        if self.keeps { self.store.signs(name, array, self.machine) } else { 0 }
    }

    /// Keeps bits that an op made.
    fn keep_bits(&mut self, name: &'static str, shape: [usize; 2], bits: Vec<u8>) -> usize {
        if self.keeps { self.store.bits(name, shape, bits) } else { 0 }
    }

    /// As [`keep_floats`](Self::keep_floats), without loss.
    fn keep_exactly(&mut self, name: &'static str, var: &mut Var<'a>) -> Floats<'a> {
        match &var.value {
            Whole::Lent(array) => Floats::Lent(array),
            Whole::Own(_) if !self.keeps => Floats::Kept(0),
            Whole::Own(array) => {
                let exact = &crate::codec::float32::Float32;
                Floats::Kept(self.store.floats(name, array, exact, self.machine, self.address))
            }
        }
    }

    /// Every kept thing with its bytes.
    pub fn kept(&self) -> Ledger {
        self.store.ledger(&[])
    }

    /// Of the bytes that are kept, those of arrays that come from the machine.
    pub fn whole_bytes(&self) -> u64 {
        self.store.whole_bytes()
    }

    /// What would be kept if arrays of so many rows had so many instead.
    pub fn kept_of(&self, rows: &[(usize, usize)]) -> Ledger {
        self.store.ledger(rows)
    }

    /// The gradients of all parameters, from those of the last vars; none if a value that was kept
    /// was no finite number.
    pub fn backward<'v>(
        self,
        ends: impl IntoIterator<Item = (Var<'v>, Array)>,
    ) -> Option<Gradients> {
        if self.store.is_broken() {
            return None;
        }
        let gradients = (0..self.n_vars).map(|_| None).collect();
        let noise = vec![0.0; if self.weighs { self.store.len() } else { 0 }];
        let (machine, store) = (self.machine, &self.store);
        let mut back = Back { machine, store, gradients, noise, broken: false };
        for (last, gradient) in ends {
            back.add(last.id, gradient);
        }
        for (made, op) in self.ops.iter().rev() {
            if let Some(gradient) = back.gradients[*made].take() {
                op.backward(&mut back, gradient.into_all(&machine.buffers));
            }
        }
        let needs = self.store.needs(&back.noise);
        (!back.broken).then_some(Gradients {
            of: back.gradients,
            buffers: machine.buffers.clone(),
            needs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::op::neighbours::BothWays;
    use super::*;
    use crate::codec;
    use crate::sparse::Sparse;
    use gossamer_machine::Purpose;

    /// A network that uses every op: X·W₀ for sparse X with dropout, then twice neighbours, bias,
    /// rectify with dropout and linear.
    struct Network {
        features: [Sparse; 2],
        near: Sparse,
        parameters: Vec<Array>,
    }

    const NODES: usize = 600;
    const CLASSES: usize = 3;

    fn filled(machine: &Machine, rows: usize, width: usize, seed: u64) -> Array {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        let values: Vec<f32> =
            (0..(rows * width) as u32).map(|i| 0.4 * address.normal(i, 0)).collect();
        Array::of(&machine.buffers, &values, width)
    }

    impl Network {
        /// Node i is of class i % 3 and mostly joined to its like; features are noise and a little
        /// of the class.
        fn new(machine: &Machine) -> Self {
            let address = Address::new(1, Purpose::Synthetic, 7);
            let mut near = Vec::new();
            for i in 0..NODES as u32 {
                near.push((i, i, 0.25));
                for k in 0..4 {
                    let other = address.below(NODES as u64 / 3, i, k) as u32 * 3;
                    let class = if address.unit(i, 10 + k) < 0.7 { i % 3 } else { (i + k) % 3 };
                    near.extend([(i, other + class, 0.125), (other + class, i, 0.125)]);
                }
            }
            let near = Sparse::new(NODES, NODES, near);
            let feature = |i: u32| (i, address.below(10, i, 50) as u32, 1.0);
            let of_class = |i: u32| (i, if i.is_multiple_of(5) { i % 3 } else { 9 }, 1.0);
            let features = (0..NODES as u32).flat_map(|i| [feature(i), of_class(i)]).collect();
            let features = Sparse::new(NODES, 10, features);
            let features = [features.transposed(), features];
            let sizes = [(10, 16), (1, 16), (16, 8), (1, 8), (8, CLASSES)];
            let parameters =
                (0..).zip(sizes).map(|(seed, (n, m))| filled(machine, n, m, seed)).collect();
            Self { features, near, parameters }
        }

        fn forward<'a>(&'a self, tape: &mut Tape<'a>, dropout: f32) -> (Var<'a>, Vec<usize>) {
            let near = BothWays { forward: &self.near, backward: &self.near };
            let features = BothWays { forward: &self.features[1], backward: &self.features[0] };
            let parameters: Vec<Parameter<'a>> =
                self.parameters.iter().map(|array| tape.parameter(array)).collect();
            let h = tape.sum_neighbours(&parameters[0].var(), features, dropout);
            let h = tape.sum_neighbours(&h, near, 0.0);
            let h = tape.add_bias(h, parameters[1]);
            let mut h = tape.rectify("first", h, dropout);
            let h = tape.linear("first", &mut h, parameters[2]);
            let h = tape.sum_neighbours(&h, near, 0.0);
            let h = tape.add_bias(h, parameters[3]);
            let mut h = tape.rectify("second", h, dropout);
            let out = tape.linear("second", &mut h, parameters[4]);
            (out, parameters.iter().map(|parameter| parameter.id()).collect())
        }

        /// The mean cross-entropy of all nodes, its gradient by the scores, and how many are right.
        fn loss(machine: &Machine, scores: &Array) -> (f64, Array, usize) {
            let (mut loss, mut right) = (0.0, 0);
            let mut gradient = Array::zeroed(&machine.buffers, scores.rows, scores.width);
            for i in 0..scores.rows {
                let row = scores.row(i);
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let all: f64 = row.iter().map(|x| f64::from(x - largest).exp()).sum();
                loss += all.ln() + f64::from(largest - row[i % 3]);
                right += usize::from(row[i % 3] == largest);
                for (class, out) in gradient.values[i * CLASSES..][..CLASSES].iter_mut().enumerate()
                {
                    let part = f64::from(row[class] - largest).exp() / all;
                    let of = part - f64::from(u8::from(class == i % 3));
                    *out = (of / scores.rows as f64) as f32;
                }
            }
            (loss / scores.rows as f64, gradient, right)
        }

        fn gradients(
            &self,
            machine: &Machine,
            codec: &'static dyn Codec,
            seed: u64,
            dropout: f32,
        ) -> (f64, Vec<Array>, Ledger) {
            let choose = |_: usize| codec;
            let address = Address::new(seed, Purpose::Dropout, 0);
            let mut tape = Tape::new(machine, &choose, address);
            let (out, ids) = self.forward(&mut tape, dropout);
            let (loss, gradient, _) = Self::loss(machine, out.value());
            let kept = tape.kept();
            let mut gradients = tape.backward([(out, gradient)]).unwrap();
            (loss, ids.into_iter().map(|id| gradients.take(id).unwrap()).collect(), kept)
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences_with_dropout_too() {
        let machine = Machine::new(2, None);
        let exact = codec::find("f32").unwrap();
        for dropout in [0.0, 0.3] {
            let mut network = Network::new(&machine);
            let (_, gradients, _) = network.gradients(&machine, exact, 5, dropout);
            for (place, gradient) in gradients.iter().enumerate() {
                for at in (0..gradient.values.len()).step_by(7) {
                    let before = network.parameters[place].values[at];
                    let step = 1e-3;
                    let mut at_moved = |more: f32| {
                        network.parameters[place].values[at] = before + more;
                        network.gradients(&machine, exact, 5, dropout).0
                    };
                    let slope = (at_moved(step) - at_moved(-step)) / (2.0 * f64::from(step));
                    network.parameters[place].values[at] = before;
                    let found = f64::from(gradient.values[at]);
                    let allowed = 6e-4 + 0.01 * slope.abs();
                    assert!((slope - found).abs() < allowed, "{place} {at}: {slope} {found}");
                }
            }
        }
    }

    #[test]
    fn encoded_gradients_have_the_exact_ones_as_their_mean_and_the_loss_is_exact() {
        let (machine, network) = (Machine::new(2, None), Network::new(&Machine::new(1, None)));
        let (exact_loss, exact, _) =
            network.gradients(&machine, codec::find("f32").unwrap(), 0, 0.0);
        for codec in codec::ALL.iter().filter(|codec| codec.unbiased()) {
            let mut sums: Vec<Vec<f64>> = exact.iter().map(|g| vec![0.0; g.values.len()]).collect();
            let mut error = 0.0;
            let n = if codec.name() == "f32" { 2 } else { 400 };
            for seed in 0..n {
                let (loss, gradients, _) = network.gradients(&machine, *codec, seed, 0.0);
                assert_eq!(loss.to_bits(), exact_loss.to_bits(), "{}", codec.name());
                for (sums, gradient) in sums.iter_mut().zip(&gradients) {
                    let pairs = sums.iter_mut().zip(gradient.values.iter());
                    pairs.for_each(|(sum, value)| *sum += f64::from(*value) / n as f64);
                }
                // Noise is in the weights' gradients alone: W₀'s and the first bias's stay exact.
                assert_eq!(gradients[0].values[..], exact[0].values[..], "{}", codec.name());
                assert_eq!(gradients[1].values[..], exact[1].values[..], "{}", codec.name());
                let pairs = gradients[2].values.iter().zip(exact[2].values.iter());
                error += pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / n as f64;
            }
            // The mean of n has a deviation of 1/√n of one's.
            let pairs = sums[2].iter().zip(exact[2].values.iter());
            let of_mean = pairs.map(|(a, b)| (a - f64::from(*b)).powi(2)).sum::<f64>();
            let expected = error / n as f64;
            assert!(of_mean <= 4.0 * expected + 1e-12, "{}: {of_mean} {expected}", codec.name());
        }
    }

    #[test]
    fn what_is_kept_is_listed_to_the_byte_and_signs_cost_nothing_where_codes_tell_them() {
        let (machine, network) = (Machine::new(1, None), Network::new(&Machine::new(1, None)));
        let floats = NODES * (16 + 8);
        for codec in codec::ALL {
            let (_, _, kept) = network.gradients(&machine, *codec, 0, 0.5);
            let codes: usize = [16, 8]
                .map(|width| {
                    let blocks = [256 * width, 256 * width, (NODES - 512) * width];
                    blocks.map(|n| codec.bytes_for(n)).iter().sum()
                })
                .iter()
                .sum();
            let signs = if codec.keeps_signs() { 0 } else { floats / 8 };
            assert_eq!(kept.total(), (codes + signs) as u64, "{}", codec.name());
            assert_eq!(kept.lines.len(), 4);
        }
    }

    #[test]
    fn replayed_and_with_other_threads_gradients_have_the_same_bits() {
        let network = Network::new(&Machine::new(1, None));
        let codec = codec::find("int2").unwrap();
        let of = |threads| network.gradients(&Machine::new(threads, None), codec, 3, 0.5);
        let (one, again, three) = (of(1), of(1), of(3));
        for (place, gradient) in one.1.iter().enumerate() {
            assert_eq!(gradient.values[..], again.1[place].values[..]);
            assert_eq!(gradient.values[..], three.1[place].values[..]);
        }
        let other = network.gradients(&Machine::new(1, None), codec, 4, 0.5);
        assert_ne!(one.1[0].values[..], other.1[0].values[..]);
    }

    #[test]
    fn planted_classes_are_learned_through_every_codec() {
        for codec in codec::ALL {
            let machine = Machine::new(2, None);
            let mut network = Network::new(&machine);
            let mut right = 0;
            for step in 0..300 {
                let choose = |_: usize| *codec;
                let mut tape =
                    Tape::new(&machine, &choose, Address::new(1, Purpose::Dropout, step));
                let (out, ids) = network.forward(&mut tape, 0.1);
                let (_, gradient, now) = Network::loss(&machine, out.value());
                let mut gradients = tape.backward([(out, gradient)]).unwrap();
                let gradients: Vec<Array> =
                    ids.into_iter().map(|id| gradients.take(id).unwrap()).collect();
                for (parameter, gradient) in network.parameters.iter_mut().zip(&gradients) {
                    let pairs = parameter.values.iter_mut().zip(gradient.values.iter());
                    pairs.for_each(|(value, gradient)| *value -= 0.5 * gradient);
                }
                right = now;
            }
            // Twice as many as a guess of one class for all, whatever was kept.
            assert!(right > NODES * 2 / 3, "{}: {right} of {NODES}", codec.name());
        }
    }

    #[test]
    fn a_value_that_is_no_number_gives_no_gradients() {
        let machine = Machine::new(1, None);
        let mut network = Network::new(&machine);
        network.parameters[0].values[3] = f32::NAN;
        let choose = |_: usize| codec::find("int4").unwrap();
        let mut tape = Tape::new(&machine, &choose, Address::new(0, Purpose::Dropout, 0));
        let (out, _) = network.forward(&mut tape, 0.0);
        let gradient = Array::zeroed(&machine.buffers, NODES, CLASSES);
        assert!(tape.backward([(out, gradient)]).is_none());
    }
}
