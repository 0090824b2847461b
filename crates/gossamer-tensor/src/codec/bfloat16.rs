//! Brain floats: the upper half of an f32.

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::codes;

/// Rounded to eight bits of precision.
#[derive(Debug)]
pub struct BFloat16;

impl Codec for BFloat16 {
    fn name(&self) -> &'static str {
        "bf16"
    }
    fn summary(&self) -> &'static str {
        "16 bits: rounded to the nearest, relative error at most 1/256"
    }
    fn formula(&self) -> &'static str {
        "x·(1 + ε), |ε| ≤ 2⁻⁸"
    }
    fn paper(&self) -> &'static str {
        "Wang and Kanwar: BFloat16 (Google Cloud, 2019)"
    }
    fn group(&self) -> usize {
        1
    }
    fn bytes_for(&self, n: usize) -> usize {
        2 * n
    }
    fn encode(&self, isa: InstructionSet, _: u32, values: &[f32], out: &mut [u8]) -> bool {
        codes::encode_bf16(isa, values, out)
    }
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        codes::decode_bf16(isa, codes, out);
    }
    fn largest_error(&self, least: f32, most: f32) -> f32 {
        most.abs().max(least.abs()) / 256.0
    }
    fn unbiased(&self) -> bool {
        false
    }
    fn keeps_signs(&self) -> bool {
        true
    }
    fn keep_positive(&self, _: InstructionSet, codes: &[u8], out: &mut [f32]) {
        for (code, out) in codes.as_chunks::<2>().0.iter().zip(out) {
            let bits = u16::from_le_bytes(*code);
            *out = if bits != 0 && bits < 0x8000 { *out } else { 0.0 };
        }
    }
}
