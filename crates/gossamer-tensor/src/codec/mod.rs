//! Codecs: a block of floats as fewer bits, and back.
//!
//! The same codecs serve kept activations and, later, tables. A block is cut into groups; a group's
//! codes stand beside what describes them, and nothing else is needed to read them.
//!
//! *Invariant:* the bytes of a block are a function of its floats and the key of its rounding;
//! [`Codec::bytes_for`] is exact. A float that is no finite number is refused.
//! *Not here:* which codec a kept activation goes through.

use gossamer_machine::InstructionSet;

gossamer_machine::registry!("codec", Codec:
    float32::Float32,
    bfloat16::BFloat16,
    levels::INT8 + INT4 + INT2 + INT1,
    signed::SIGN4 + SIGN2,
    largest::TOPK20 + TOPK10,
    projected::Projected,
);

/// A way to keep floats in fewer bits.
pub trait Codec: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula of a decoded float.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// Floats that share what describes them; a block's last group counts as a whole one.
    fn group(&self) -> usize;
    /// Bytes of so many floats.
    fn bytes_for(&self, n: usize) -> usize;
    /// Encodes `values` into exactly [`bytes_for`](Self::bytes_for) them; false if a value is no
    /// finite number. Rounding follows the key.
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], out: &mut [u8]) -> bool;
    /// Decodes the first floats of a block, as many as `out` holds.
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]);
    /// The largest error of a decoded float in a group with these extremes.
    fn largest_error(&self, least: f32, most: f32) -> f32;
    /// True if decoded floats have the float itself as their mean over keys.
    fn unbiased(&self) -> bool;
    /// True if the codes tell which floats were positive.
    fn keeps_signs(&self) -> bool {
        false
    }
    /// Sets `out` to zero where an encoded float was not positive; needs
    /// [`keeps_signs`](Self::keeps_signs).
    fn keep_positive(&self, _isa: InstructionSet, _codes: &[u8], _out: &mut [f32]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    fn filled(n: usize, seed: u64) -> Vec<f32> {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        (0..n as u32).map(|i| address.normal(i, 0)).collect()
    }

    fn encoded(codec: &dyn Codec, isa: InstructionSet, key: u32, values: &[f32]) -> Vec<u8> {
        let mut out = vec![0xAA; codec.bytes_for(values.len())];
        assert!(codec.encode(isa, key, values, &mut out), "{}", codec.name());
        out
    }

    fn through(codec: &dyn Codec, isa: InstructionSet, key: u32, values: &[f32]) -> Vec<f32> {
        let mut out = vec![9.0; values.len()];
        codec.decode(isa, &encoded(codec, isa, key, values), &mut out);
        out
    }

    #[test]
    fn what_comes_back_is_within_the_bound_on_every_instruction_set() {
        for codec in ALL {
            for n in [1, 15, 64, 100, 257, 1000] {
                let values = filled(n, 3);
                let portable = encoded(*codec, InstructionSet::Portable, 7, &values);
                for isa in InstructionSet::all() {
                    let name = codec.name();
                    assert_eq!(encoded(*codec, isa, 7, &values), portable, "{name} {isa:?}");
                    let back = through(*codec, isa, 7, &values);
                    let groups = values.chunks(codec.group()).zip(back.chunks(codec.group()));
                    for (group, back) in groups {
                        let least = group.iter().copied().fold(f32::INFINITY, f32::min);
                        let most = group.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        let bound = codec.largest_error(least, most);
                        for (x, y) in group.iter().zip(back) {
                            assert!((x - y).abs() <= bound, "{name} {n}: {x} {y} {bound}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_mean_over_keys_is_the_float_and_the_variance_at_most_a_quarter_of_a_step_squared() {
        const KEYS: u32 = 10_000;
        let values = filled(128, 5);
        let isa = InstructionSet::detect();
        for codec in ALL.iter().filter(|codec| codec.unbiased()) {
            let (mut sums, mut squares) = (vec![0.0f64; 128], vec![0.0f64; 128]);
            for key in 0..KEYS {
                for (i, y) in through(*codec, isa, key, &values).into_iter().enumerate() {
                    sums[i] += f64::from(y);
                    squares[i] += f64::from(y) * f64::from(y);
                }
            }
            for (place, group) in values.chunks(codec.group()).enumerate() {
                let least = group.iter().copied().fold(f32::INFINITY, f32::min);
                let most = group.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let step = f64::from(codec.largest_error(least, most));
                for (i, x) in group.iter().enumerate() {
                    let at = place * codec.group() + i;
                    let mean = sums[at] / f64::from(KEYS);
                    let variance = squares[at] / f64::from(KEYS) - mean * mean;
                    // Five deviations of the mean of a variable whose deviation is half a step.
                    let error = (mean - f64::from(*x)).abs();
                    assert!(error < 0.025 * step + 1e-6, "{} {i}: {mean} {x}", codec.name());
                    let most = step * step / 4.0 * 1.001 + 1e-9;
                    assert!(variance <= most, "{} {i}: {variance} {most}", codec.name());
                }
            }
        }
    }

    #[test]
    fn the_same_key_gives_the_same_bytes_and_another_others() {
        let values = filled(300, 1);
        let isa = InstructionSet::detect();
        for codec in ALL {
            let first = encoded(*codec, isa, 1, &values);
            assert_eq!(first, encoded(*codec, isa, 1, &values));
            let stochastic = codec.unbiased() && codec.largest_error(-1.0, 1.0) > 0.0;
            assert_eq!(first != encoded(*codec, isa, 2, &values), stochastic, "{}", codec.name());
        }
    }

    #[test]
    fn constants_come_back_and_what_is_no_number_is_refused() {
        let isa = InstructionSet::detect();
        for codec in ALL {
            for constant in [0.0, 1.0, -0.5] {
                let back = through(*codec, isa, 4, &[constant; 64]);
                let kept = codec.name().starts_with("topk");
                // Of what is projected, nothing comes back but zeros.
                let projected = codec.name() == "rp1" && constant != 0.0;
                let comes = |x: &f32| *x == constant || (kept && *x == 0.0) || projected;
                assert!(back.iter().all(comes), "{} {constant}", codec.name());
            }
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in [0, 50, 99] {
                    let mut values = filled(100, 2);
                    values[place] = wrong;
                    let mut out = vec![0; codec.bytes_for(100)];
                    assert!(!codec.encode(isa, 0, &values, &mut out), "{} {wrong}", codec.name());
                }
            }
        }
    }

    #[test]
    fn signs_that_are_kept_are_exact() {
        let isa = InstructionSet::detect();
        let values: Vec<f32> = filled(500, 9).into_iter().map(|x| x.max(0.0)).collect();
        let mut keeping = 0;
        for codec in ALL {
            let codes = encoded(*codec, isa, 3, &values);
            let mut out = vec![2.0; values.len()];
            codec.keep_positive(isa, &codes, &mut out);
            if codec.keeps_signs() {
                keeping += 1;
                let kept = values.iter().zip(&out).all(|(x, y)| (*x > 0.0) == (*y == 2.0));
                assert!(kept, "{}", codec.name());
            }
        }
        assert!(keeping >= 3);
    }

    #[test]
    fn projected_floats_have_less_noise_than_one_bit_in_its_room() {
        let (values, isa) = (filled(128 * 100, 8), InstructionSet::detect());
        let [int1, rp1] = ["int1", "rp1"].map(|name| find(name).unwrap());
        let noise = |codec: &dyn Codec| -> f32 {
            let back = through(codec, isa, 1, &values);
            values.iter().zip(back).map(|(x, y)| (x - y).powi(2)).sum()
        };
        let energy: f32 = values.iter().map(|x| x * x).sum();
        let [of_int1, of_rp1] = [int1, rp1].map(|codec| noise(codec) / energy);
        assert!((1.6..2.1).contains(&of_rp1) && of_int1 > 5.0, "{of_rp1} {of_int1}");
        assert!(rp1.bytes_for(12_800) * 20 <= int1.bytes_for(12_800) * 21);
    }

    #[test]
    fn the_largest_stay_and_the_others_are_zero() {
        let values = filled(256, 6);
        let back = through(find("topk10").unwrap(), InstructionSet::detect(), 0, &values);
        let mut sizes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(back.iter().filter(|x| **x != 0.0).count(), 26);
        for (x, y) in values.iter().zip(&back) {
            assert_eq!(*y != 0.0, x.abs() >= sizes[25]);
            assert!(*y == 0.0 || (x - y).abs() <= x.abs() / 256.0);
        }
    }
}
