//! The largest floats of a group, and zero for the others.
//!
//! *Paper:* Jiang et al., "Back Razor: memory-efficient transfer learning by self-sparsified
//! backpropagation" (2022).

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::largest;

/// Keeps some of every group.
pub struct Largest {
    name: &'static str,
    summary: &'static str,
    /// Of [`largest::LARGEST_OF`] floats.
    kept: usize,
}

/// A fifth.
pub static TOPK20: Largest = Largest {
    name: "topk20",
    summary: "a fifth of 256 floats as bf16 and a bit for each, 4.2 bits: biased; for rectified values",
    kept: 52,
};

/// A tenth.
pub static TOPK10: Largest = Largest {
    name: "topk10",
    summary: "a tenth of 256 floats as bf16 and a bit for each, 2.6 bits: biased; for rectified values",
    kept: 26,
};

impl Codec for Largest {
    fn name(&self) -> &'static str {
        self.name
    }
    fn summary(&self) -> &'static str {
        self.summary
    }
    fn formula(&self) -> &'static str {
        "x where |x| is among the k largest of its group, else 0"
    }
    fn paper(&self) -> &'static str {
        "Jiang et al.: Back Razor (NeurIPS 2022)"
    }
    fn group(&self) -> usize {
        largest::LARGEST_OF
    }
    fn bytes_for(&self, n: usize) -> usize {
        n.div_ceil(largest::LARGEST_OF) * largest::largest_bytes(self.kept)
    }
    fn encode(&self, isa: InstructionSet, _: u32, values: &[f32], out: &mut [u8]) -> bool {
        largest::encode_largest(isa, self.kept, values, out)
    }
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        largest::decode_largest(isa, self.kept, codes, out);
    }
    fn largest_error(&self, least: f32, most: f32) -> f32 {
        most.max(-least)
    }
    fn unbiased(&self) -> bool {
        false
    }
}
