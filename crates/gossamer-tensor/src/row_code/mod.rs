//! Row codes: a row of floats in fewer bits, trained where it stands.
//!
//! What sets them apart from codecs: a row's bytes stand by themselves, a row is encoded over its
//! old bytes, and what did not change keeps its code. Then a step adds noise only as far as it
//! moves: rounding x + δ to a grid of width Δ has the variance |δ|·(Δ − |δ|), not Δ²/4.
//!
//! *Invariant:* decoding has the float itself as its mean over keys; the bytes of a row depend on
//! its floats, its old bytes and the key; what is no finite number comes back as none.
//! *Not here:* whose rows these are.

use gossamer_machine::InstructionSet;

gossamer_machine::registry!("row code", RowCode:
    half::Half,
    whole_numbers::INT8 + INT4,
);

/// A way to keep a row in fewer bits.
pub trait RowCode: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula of a decoded float.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// True if a step is so small beside its grid that what is rounded at each of them learns
    /// worse.
    fn coarse(&self) -> bool;
    /// Bytes of a row of so many floats.
    fn row_bytes(&self, width: usize) -> usize;
    /// What other tools call the elements of which a row is nothing but a sequence, if it is one.
    fn element(&self) -> Option<&'static str> {
        None
    }
    /// Encodes `values` over a row's old bytes; those of a new row are zero. Rounding follows the
    /// key.
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], row: &mut [u8]);
    /// Encodes `values` as the nearest codes, whatever the row's bytes are. What was decoded from
    /// such a row gets the same bytes again.
    fn round(&self, isa: InstructionSet, values: &[f32], row: &mut [u8]);
    /// Decodes a row.
    fn decode(&self, isa: InstructionSet, row: &[u8], out: &mut [f32]);
    /// The largest error of a fresh row whose largest float has this size.
    fn largest_error(&self, largest: f32) -> f32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    fn filled(n: usize, seed: u64) -> Vec<f32> {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        (0..n as u32).map(|i| address.normal(i, 0)).collect()
    }

    fn fresh(code: &dyn RowCode, isa: InstructionSet, key: u32, values: &[f32]) -> Vec<u8> {
        let mut row = vec![0; code.row_bytes(values.len())];
        code.encode(isa, key, values, &mut row);
        row
    }

    fn decoded(code: &dyn RowCode, isa: InstructionSet, row: &[u8], width: usize) -> Vec<f32> {
        let mut out = vec![9.0; width];
        code.decode(isa, row, &mut out);
        out
    }

    #[test]
    fn what_comes_back_is_within_the_bound_on_every_instruction_set() {
        for code in ALL {
            for width in [1, 2, 3, 31, 32, 33, 100, 257] {
                let values = filled(width, 3);
                let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                let portable = fresh(*code, InstructionSet::Portable, 7, &values);
                for isa in InstructionSet::all() {
                    assert_eq!(fresh(*code, isa, 7, &values), portable, "{} {isa:?}", code.name());
                    let bound = code.largest_error(largest);
                    for (x, y) in values.iter().zip(decoded(*code, isa, &portable, width)) {
                        assert!((x - y).abs() <= bound, "{} {width}: {x} {y}", code.name());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_rounded_is_the_nearest_and_is_rounded_to_itself() {
        for code in ALL {
            for width in [1, 2, 31, 32, 33, 100, 257] {
                let values = filled(width, 5);
                let row_of = |isa, values: &[f32]| {
                    let mut row = vec![0xA5; code.row_bytes(width)];
                    code.round(isa, values, &mut row);
                    row
                };
                let row = row_of(InstructionSet::Portable, &values);
                for isa in InstructionSet::all() {
                    assert_eq!(row_of(isa, &values), row, "{} {isa:?}", code.name());
                    let back = decoded(*code, isa, &row, width);
                    assert_eq!(row_of(isa, &back), row, "{} {width}", code.name());
                    for (values, back) in values.chunks(32).zip(back.chunks(32)) {
                        let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                        // Half of a step, of a scale that leaves no room.
                        let bound = code.largest_error(largest) / 1.125 * 0.5001;
                        let near = |(x, y): (&f32, &f32)| (x - y).abs() <= bound;
                        assert!(values.iter().zip(back).all(near), "{} {width}", code.name());
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_that_does_not_change_keeps_its_bytes_whatever_the_key() {
        let isa = InstructionSet::detect();
        for code in ALL {
            let mut row = fresh(*code, isa, 7, &filled(100, 1));
            let (before, values) = (row.clone(), decoded(*code, isa, &row, 100));
            for key in 0..200 {
                code.encode(isa, key, &values, &mut row);
            }
            assert_eq!(row, before, "{}", code.name());
        }
    }

    /// A walk of many small steps arrives, in the mean, where it would without rounding; its
    /// variance is at most the grid's width times the way, however many steps it takes.
    #[test]
    fn small_steps_are_not_lost_and_add_noise_as_far_as_they_move() {
        const ROWS: usize = 300;
        const STEPS: u32 = 100;
        let isa = InstructionSet::detect();
        for code in ALL {
            // The first float is the largest and stays, so that the scale does.
            let mut start = vec![0.25; 32];
            start[0] = 1.0;
            let end = 0.25 + STEPS as f32 * 1e-3;
            let (mut sum, mut squares) = (0.0f64, 0.0f64);
            for number in 0..ROWS as u32 {
                let mut row = fresh(*code, isa, number, &start);
                for step in 0..STEPS {
                    let mut values = decoded(*code, isa, &row, 32);
                    values[1..].iter_mut().for_each(|x| *x += 1e-3);
                    code.encode(isa, (step + 1) * 1000 + number, &values, &mut row);
                }
                for x in &decoded(*code, isa, &row, 32)[1..] {
                    let error = f64::from(x - end);
                    sum += error;
                    squares += error * error;
                }
            }
            let (n, grid) = ((31 * ROWS) as f64, f64::from(code.largest_error(1.0)));
            let (mean, variance) = (sum / n, squares / n);
            // The way, and the rounding of the first values.
            let most = grid * f64::from(end - 0.25) + grid * grid / 4.0;
            assert!(mean.abs() < 5.0 * (most / n).sqrt(), "{}: {mean}", code.name());
            assert!(variance < 1.1 * most, "{}: {variance} {most}", code.name());
        }
    }

    #[test]
    fn zeros_stay_zeros_and_what_is_no_number_stays_none() {
        let isa = InstructionSet::detect();
        for code in ALL {
            assert_eq!(decoded(*code, isa, &fresh(*code, isa, 1, &[0.0; 40]), 40), [0.0; 40]);
            let mut rounded = vec![1; code.row_bytes(40)];
            code.round(isa, &[0.0; 40], &mut rounded);
            assert_eq!(decoded(*code, isa, &rounded, 40), [0.0; 40]);
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = filled(40, 2);
                values[35] = bad;
                let mut row = fresh(*code, isa, 1, &values);
                let back = decoded(*code, isa, &row, 40);
                assert!(back[..32].iter().all(|x| x.is_finite()) && back[35].is_nan());
                // Those that share a scale with it are none either.
                assert!(code.element().is_some() || back[32..].iter().all(|x| x.is_nan()));
                code.encode(isa, 2, &filled(40, 2), &mut row);
                assert!(decoded(*code, isa, &row, 40).iter().all(|x| x.is_finite()));
                code.round(isa, &values, &mut row);
                let back = decoded(*code, isa, &row, 40);
                assert!(back[..32].iter().all(|x| x.is_finite()) && back[35].is_nan());
            }
        }
    }

    #[test]
    fn tiny_and_huge_rows_keep_their_size() {
        let isa = InstructionSet::detect();
        for code in ALL {
            for size in [1e-30f32, 1e-6, 1e6, 1e30] {
                let values: Vec<f32> = filled(64, 4).iter().map(|x| x * size).collect();
                let back = decoded(*code, isa, &fresh(*code, isa, 1, &values), 64);
                let bound = code.largest_error(4.0 * size);
                let near = values.iter().zip(&back).all(|(x, y)| (x - y).abs() <= bound);
                assert!(near, "{} {size}", code.name());
            }
        }
    }
}
