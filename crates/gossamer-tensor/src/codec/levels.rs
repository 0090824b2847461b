//! Levels between a group's least and largest float, chosen at random so that the mean is right.
//!
//! *Paper:* Chen et al., "ActNN: reducing training memory footprint via 2-bit activation compressed
//! training" (2021); Liu et al., "EXACT" (2022).

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::codes;
use crate::kernel::vector::LANES;

/// A code of some bits.
pub struct Levels {
    name: &'static str,
    summary: &'static str,
    bits: usize,
    /// Vectors of sixteen floats in a group.
    vectors: usize,
    encode: fn(InstructionSet, u32, &[f32], &mut [u8]) -> bool,
    decode: fn(InstructionSet, &[u8], &mut [f32]),
}

/// Eight bits.
pub static INT8: Levels = Levels {
    name: "int8",
    summary: "8 bits and half a bit: unbiased; error a 255th of the range of 64 floats",
    bits: 8,
    vectors: 4,
    encode: codes::encode_int8,
    decode: codes::decode_int8,
};

/// Four bits.
pub static INT4: Levels = Levels {
    name: "int4",
    summary: "4 bits and half a bit: unbiased; on normal values 2 % of their energy is noise",
    bits: 4,
    vectors: 4,
    encode: codes::encode_int4,
    decode: codes::decode_int4,
};

/// Two bits.
pub static INT2: Levels = Levels {
    name: "int2",
    summary: "2 bits and half a bit: unbiased; on normal values noise of 40 % of their energy",
    bits: 2,
    vectors: 4,
    encode: codes::encode_int2,
    decode: codes::decode_int2,
};

/// One bit.
pub static INT1: Levels = Levels {
    name: "int1",
    summary: "1 bit and a quarter: unbiased; on normal values noise of six times their energy",
    bits: 1,
    vectors: 8,
    encode: codes::encode_int1,
    decode: codes::decode_int1,
};

impl Codec for Levels {
    fn name(&self) -> &'static str {
        self.name
    }
    fn summary(&self) -> &'static str {
        self.summary
    }
    fn formula(&self) -> &'static str {
        "least + Δ·q; q = ⌊(x − least)/Δ + u⌋, u uniform in [0, 1), Δ = (most − least)/(2ᵇ − 1)"
    }
    fn paper(&self) -> &'static str {
        "Chen et al.: ActNN (ICML 2021); Liu et al.: EXACT (ICLR 2022)"
    }
    fn group(&self) -> usize {
        self.vectors * LANES
    }
    fn bytes_for(&self, n: usize) -> usize {
        n.div_ceil(self.group()) * codes::group_bytes(self.vectors, self.bits)
    }
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], out: &mut [u8]) -> bool {
        (self.encode)(isa, key, values, out)
    }
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        (self.decode)(isa, codes, out);
    }
    /// Least value and step are bf16, rounded away from each other.
    fn largest_error(&self, least: f32, most: f32) -> f32 {
        let levels = ((1u32 << self.bits) - 1) as f32;
        (most - least + least.abs() / 128.0) / levels * (1.0 + 1.0 / 128.0) + 1e-30
    }
    fn unbiased(&self) -> bool {
        true
    }
}
