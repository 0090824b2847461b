//! Bits by need: an allowance of bytes, spent over what is kept so that gradients get the least noise.
//!
//! A float of a group with range ρ has, at b bits, noise of variance (ρ/(2ᵇ − 1))²/6 on average. Where
//! a product Hᵀ·δ needs it, that goes into the gradient times the squares of δ's row: so a slot's
//! noise is C/(2ᵇ − 1)², C = Σ ρ²/6·‖δ‖² over its floats. Both are at hand on the way back, for no
//! further pass. Elsewhere δ is what goes back to the float's own row: an estimate. From the most bits
//! the slot is lowered that adds the least noise per byte saved, until the allowance is kept. To one bit
//! nothing is lowered where two for all are within it: noise of that size is more than a slope of it tells.
//!
//! *Paper:* Liu et al., "GACT" (2022) has the objective; it finds C by three more passes per slot.

use crate::codec::{self, Codec};

/// What a kept slot needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// Its name.
    pub name: &'static str,
    /// Floats of each of its blocks.
    pub blocks: Vec<usize>,
    /// C: the variance that one bit a float would bring to gradients.
    pub noise: f64,
}

/// The codecs that an allotment chooses from, with the bits of each, most first.
const CHOICE: [(&str, i32); 4] = [("int8", 8), ("int4", 4), ("int2", 2), ("int1", 1)];
/// The choice below which is one bit.
const TWO_BITS: usize = 2;

impl Need {
    /// Bytes at a choice.
    fn bytes(&self, choice: usize) -> u64 {
        let Ok(codec) = codec::find(CHOICE[choice].0) else { return 0 };
        self.blocks.iter().map(|n| codec.bytes_for(*n) as u64).sum()
    }

    /// The variance of gradients at a choice.
    fn variance(&self, choice: usize) -> f64 {
        self.noise / f64::from((1 << CHOICE[choice].1) - 1).powi(2)
    }
}

/// A codec for each need, all within the allowance if one bit a float is.
pub fn allot(needs: &[Need], allowance: u64) -> Vec<&'static dyn Codec> {
    let mut chosen = vec![0; needs.len()];
    let two_for_all: u64 = needs.iter().map(|need| need.bytes(TWO_BITS)).sum();
    let last = if two_for_all <= allowance { TWO_BITS } else { CHOICE.len() - 1 };
    let total = |chosen: &[usize]| -> u64 {
        needs.iter().zip(chosen).map(|(need, choice)| need.bytes(*choice)).sum()
    };
    while total(&chosen) > allowance {
        let cost = |place: &usize| {
            let (need, choice) = (&needs[*place], chosen[*place]);
            let saved = need.bytes(choice).saturating_sub(need.bytes(choice + 1)).max(1);
            (need.variance(choice + 1) - need.variance(choice)) / saved as f64
        };
        let lower = (0..needs.len()).filter(|place| chosen[*place] < last);
        let Some(place) = lower.min_by(|a, b| cost(a).total_cmp(&cost(b))) else { break };
        chosen[place] += 1;
    }
    chosen.into_iter().filter_map(|choice| codec::find(CHOICE[choice].0).ok()).collect()
}

/// The codec with the most bits, of those that all may have at so many bits a float.
pub fn uniform(bits: f64) -> &'static dyn Codec {
    let fits = |(_, own): &&(&str, i32)| f64::from(*own) <= bits;
    let name = CHOICE.iter().find(fits).map_or("int1", |(name, _)| name);
    codec::find(name).unwrap_or(&codec::float32::Float32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(n: usize, noise: f64) -> Need {
        Need { name: "rows", blocks: vec![n], noise }
    }

    #[test]
    fn who_needs_more_gets_more_and_the_allowance_is_kept() {
        let needs = [need(6400, 1.0), need(6400, 1e6), need(6400, 1e3)];
        let names = |bytes| -> Vec<&str> {
            allot(&needs, bytes).iter().map(|codec| codec.name()).collect()
        };
        let [int4, int2] = [1, 2].map(|choice| needs[0].bytes(choice));
        let allowance = 2 * int2 + int4;
        let bytes: usize = allot(&needs, allowance).iter().map(|codec| codec.bytes_for(6400)).sum();
        assert!(bytes as u64 <= allowance, "{bytes} of {allowance}");
        assert_eq!(names(allowance), ["int2", "int4", "int2"]);
        assert_eq!(names(3 * int2), ["int2"; 3]);
        assert_eq!(names(3 * int2 - 1), ["int1", "int4", "int1"]);
        assert_eq!(names(u64::MAX), ["int8"; 3]);
        assert_eq!(names(0), ["int1"; 3]);
    }

    #[test]
    fn no_other_choice_within_the_allowance_has_less_noise_by_much() {
        let needs = [need(640, 3.0), need(6400, 50.0), need(64_000, 7.0), need(3200, 900.0)];
        let two_for_all: u64 = needs.iter().map(|need| need.bytes(TWO_BITS)).sum();
        let variance = |choices: &[usize]| -> f64 {
            needs.iter().zip(choices).map(|(need, choice)| need.variance(*choice)).sum()
        };
        let place = |codec: &&'static dyn Codec| {
            CHOICE.iter().position(|(name, _)| *name == codec.name()).unwrap()
        };
        for allowance in [two_for_all * 3 / 4, two_for_all - 1, two_for_all * 3 / 2] {
            let found: Vec<usize> = allot(&needs, allowance).iter().map(place).collect();
            let mut best = f64::INFINITY;
            for number in 0..256usize {
                let choices: Vec<usize> = (0..4).map(|place| number >> (2 * place) & 3).collect();
                let of_all = needs.iter().zip(&choices).map(|(n, choice)| n.bytes(*choice));
                let is_allowed =
                    allowance < two_for_all || choices.iter().all(|choice| *choice <= TWO_BITS);
                if is_allowed && of_all.sum::<u64>() <= allowance {
                    best = best.min(variance(&choices));
                }
            }
            assert!(variance(&found) <= 1.5 * best, "{allowance}: {} {best}", variance(&found));
        }
    }

    #[test]
    fn uniform_bits_are_the_most_that_fit() {
        assert_eq!(uniform(8.0).name(), "int8");
        assert_eq!(uniform(3.9).name(), "int2");
        assert_eq!(uniform(0.2).name(), "int1");
    }
}
