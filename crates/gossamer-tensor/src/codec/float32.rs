//! Floats as they are.

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::codes;

/// Nothing is lost.
#[derive(Debug)]
pub struct Float32;

impl Codec for Float32 {
    fn name(&self) -> &'static str {
        "f32"
    }
    fn summary(&self) -> &'static str {
        "32 bits: exact"
    }
    fn formula(&self) -> &'static str {
        "x"
    }
    fn paper(&self) -> &'static str {
        "IEEE 754"
    }
    fn group(&self) -> usize {
        1
    }
    fn bytes_for(&self, n: usize) -> usize {
        4 * n
    }
    fn encode(&self, isa: InstructionSet, _: u32, values: &[f32], out: &mut [u8]) -> bool {
        out.copy_from_slice(bytemuck::cast_slice(values));
        codes::finite(isa, values)
    }
    fn decode(&self, _: InstructionSet, codes: &[u8], out: &mut [f32]) {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        bytes.copy_from_slice(&codes[..bytes.len()]);
    }
    fn largest_error(&self, _: f32, _: f32) -> f32 {
        0.0
    }
    fn unbiased(&self) -> bool {
        true
    }
    fn keeps_signs(&self) -> bool {
        true
    }
    fn keep_positive(&self, _: InstructionSet, codes: &[u8], out: &mut [f32]) {
        for (code, out) in codes.as_chunks::<4>().0.iter().zip(out) {
            *out = if f32::from_le_bytes(*code) > 0.0 { *out } else { 0.0 };
        }
    }
}
