//! An exact sign and a few levels of size: what a rectifier's derivative needs comes for nothing.
//!
//! A float's first bit says whether it is positive; the others say its size between zero and the
//! group's largest, chosen at random so that the mean is right.

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::codes;
use crate::kernel::vector::LANES;

/// A code of some bits, the sign's among them.
pub struct Signed {
    name: &'static str,
    summary: &'static str,
    bits: usize,
    encode: fn(InstructionSet, u32, &[f32], &mut [u8]) -> bool,
    decode: fn(InstructionSet, &[u8], &mut [f32]),
    keep_positive: fn(InstructionSet, &[u8], &mut [f32]),
}

/// Vectors of sixteen floats in a group.
const VECTORS: usize = 4;

/// A sign and three bits.
pub static SIGN4: Signed = Signed {
    name: "sign4",
    summary: "a sign and 3 bits, and half a bit: unbiased, and signs are exact",
    bits: 4,
    encode: codes::encode_sign4,
    decode: codes::decode_sign4,
    keep_positive: codes::keep_positive4,
};

/// A sign and one bit.
pub static SIGN2: Signed = Signed {
    name: "sign2",
    summary: "a sign and 1 bit, and half a bit: unbiased, and signs are exact",
    bits: 2,
    encode: codes::encode_sign2,
    decode: codes::decode_sign2,
    keep_positive: codes::keep_positive2,
};

impl Codec for Signed {
    fn name(&self) -> &'static str {
        self.name
    }
    fn summary(&self) -> &'static str {
        self.summary
    }
    fn formula(&self) -> &'static str {
        "sign(x)·Δ·q; q = ⌊|x|/Δ + u⌋, u uniform in [0, 1), Δ = largest size/(2ᵇ⁻¹ − 1)"
    }
    fn paper(&self) -> &'static str {
        "stochastic rounding as in ActNN (ICML 2021), on sizes"
    }
    fn group(&self) -> usize {
        VECTORS * LANES
    }
    fn bytes_for(&self, n: usize) -> usize {
        n.div_ceil(self.group()) * codes::group_bytes(VECTORS, self.bits)
    }
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], out: &mut [u8]) -> bool {
        (self.encode)(isa, key, values, out)
    }
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        (self.decode)(isa, codes, out);
    }
    fn largest_error(&self, least: f32, most: f32) -> f32 {
        let levels = ((1u32 << (self.bits - 1)) - 1) as f32;
        most.max(-least) / levels * (1.0 + 1.0 / 128.0) + 1e-30
    }
    fn unbiased(&self) -> bool {
        true
    }
    fn keeps_signs(&self) -> bool {
        true
    }
    fn keep_positive(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        (self.keep_positive)(isa, codes, out);
    }
}
