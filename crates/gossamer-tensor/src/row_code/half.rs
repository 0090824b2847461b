//! The upper half of each float.
//!
//! *Paper:* Zamirai, Zhang, Aberger and De Sa, "Revisiting BFloat16 training" (2020), for stochastic
//! rounding of what is changed in place.

use gossamer_machine::InstructionSet;

use super::RowCode;
use crate::kernel::coded;

/// Brain floats, each rounded by itself.
#[derive(Debug)]
pub struct Half;

impl RowCode for Half {
    fn name(&self) -> &'static str {
        "bf16"
    }
    fn summary(&self) -> &'static str {
        "16 bits a float, nothing shared"
    }
    fn formula(&self) -> &'static str {
        "x·(1 + ε), |ε| < 2⁻⁷"
    }
    fn paper(&self) -> &'static str {
        "Zamirai et al.: Revisiting BFloat16 Training (2020)"
    }
    fn coarse(&self) -> bool {
        false
    }
    fn row_bytes(&self, width: usize) -> usize {
        2 * width
    }
    fn element(&self) -> Option<&'static str> {
        Some("BF16")
    }
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], row: &mut [u8]) {
        coded::encode_row_16(isa, key, values, row);
    }
    fn round(&self, isa: InstructionSet, values: &[f32], row: &mut [u8]) {
        coded::round_row_16(isa, values, row);
    }
    fn decode(&self, isa: InstructionSet, row: &[u8], out: &mut [f32]) {
        crate::kernel::codes::decode_bf16(isa, row, out);
    }
    fn largest_error(&self, largest: f32) -> f32 {
        // A step beside a power of two, with as much room as other codes leave.
        largest * 1.125 / 128.0
    }
}
