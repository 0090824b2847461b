//! What every op's tests ask: do gradients agree with finite differences, is the forward pass exact
//! whatever the codec, and are the gradients then near?

use gossamer_machine::{Address, Machine, Purpose};

use super::super::{Parameter, Tape, Var};
use crate::array::Array;
use crate::codec::{self, Codec};

/// Builds what is tested, on matrices and parameters.
pub type Build<M> = for<'a> fn(&mut Tape<'a>, &'a M, &[Parameter<'a>]) -> Var<'a>;

/// Normal numbers.
pub fn filled(rows: usize, width: usize, seed: u64) -> Array {
    let address = Address::new(seed, Purpose::Synthetic, 0);
    let values: Vec<f32> = (0..(rows * width) as u32).map(|i| address.normal(i, 0)).collect();
    Array::of(&Machine::new(1, None).buffers, &values, width)
}

/// The sum of the outputs, each times a fixed number; the parameters' gradients, those that have
/// none being empty; the bytes kept.
pub fn outcome<M>(
    matrices: &M,
    parameters: &[Array],
    codec: &'static dyn Codec,
    build: Build<M>,
) -> (f64, Vec<Array>, u64) {
    let machine = Machine::new(2, None);
    let choose = |_: usize| codec;
    let mut tape = Tape::new(&machine, &choose, Address::new(0, Purpose::Dropout, 0));
    let all: Vec<Parameter<'_>> = parameters.iter().map(|array| tape.parameter(array)).collect();
    let out = build(&mut tape, matrices, &all);
    let ends = filled(out.value().rows, out.value().width, 77);
    let pairs = out.value().values.iter().zip(ends.values.iter());
    let sum = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let kept = tape.kept().total();
    let mut found = tape.backward([(out, ends)]).unwrap();
    let gradients = all.iter().map(|of| found.take(of.id()).unwrap_or_default()).collect();
    (sum, gradients, kept)
}

/// Checks all of it. `kinks` floats may disagree, where what is tested has such.
pub fn agrees<M>(matrices: &M, parameters: Vec<Array>, kinks: usize, build: Build<M>) {
    agrees_within(0.1, matrices, parameters, kinks, build);
}

/// Checks all of it, eight bits being as near as that part of the gradients.
pub fn agrees_within<M>(
    part: f32,
    matrices: &M,
    mut parameters: Vec<Array>,
    kinks: usize,
    build: Build<M>,
) {
    let exact = codec::find("f32").unwrap();
    let (sum, gradients, _) = outcome(matrices, &parameters, exact, build);
    let mut wrong = Vec::new();
    for (place, gradient) in gradients.iter().enumerate() {
        for at in 0..gradient.values.len() {
            let before = parameters[place].values[at];
            let mut at_moved = |more: f32| {
                parameters[place].values[at] = before + more;
                outcome(matrices, &parameters, exact, build).0
            };
            let slope = (at_moved(4e-3) - at_moved(-4e-3)) / 8e-3;
            parameters[place].values[at] = before;
            let found = f64::from(gradient.values[at]);
            if (slope - found).abs() > 6e-3 * (1.0 + slope.abs()) {
                wrong.push(format!("{place} {at}: {slope} {found}"));
            }
        }
    }
    assert!(wrong.len() <= kinks, "{wrong:?}");
    let (again, near, _) = outcome(matrices, &parameters, codec::find("int8").unwrap(), build);
    assert_eq!(again.to_bits(), sum.to_bits());
    for (near, exact) in near.iter().zip(&gradients) {
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
        let pairs = near.values.iter().zip(exact.values.iter());
        let off = square(&mut pairs.map(|(a, b)| a - b)).sqrt();
        let all = square(&mut exact.values.iter().copied()).sqrt();
        assert!(off <= part * all, "off by {off} of {all}");
    }
}
