//! Whole numbers times a scale, which 32 floats share.
//!
//! *Paper:* Li, Guo, Hou et al., "Adaptive low-precision training for embeddings in click-through
//! rate prediction" (2022), for stochastic rounding of rows in place; its steps are learned, here
//! they follow the largest float.

use gossamer_machine::InstructionSet;

use super::RowCode;
use crate::kernel::coded;

/// A code of some bits.
pub struct WholeNumbers {
    name: &'static str,
    summary: &'static str,
    formula: &'static str,
    /// Steps of a scale from zero to the largest float.
    most: f32,
    coarse: bool,
    row_bytes: fn(usize) -> usize,
    encode: fn(InstructionSet, u32, &[f32], &mut [u8]),
    round: fn(InstructionSet, &[f32], &mut [u8]),
    decode: fn(InstructionSet, &[u8], &mut [f32]),
}

/// Eight bits.
pub static INT8: WholeNumbers = WholeNumbers {
    name: "int8",
    summary: "8 bits and half a bit a float",
    formula: "scale·c, c = −127 … 127; 32 floats share a scale, bf16",
    most: 127.0,
    coarse: false,
    row_bytes: coded::row_bytes_8,
    encode: coded::encode_row_8,
    round: coded::round_row_8,
    decode: coded::decode_row_8,
};

/// Four bits.
pub static INT4: WholeNumbers = WholeNumbers {
    name: "int4",
    summary: "4 bits and half a bit a float; rows that are changed where they stand suffer",
    formula: "scale·c, c = −7 … 7; 32 floats share a scale, bf16",
    most: 7.0,
    coarse: true,
    row_bytes: coded::row_bytes_4,
    encode: coded::encode_row_4,
    round: coded::round_row_4,
    decode: coded::decode_row_4,
};

impl RowCode for WholeNumbers {
    fn name(&self) -> &'static str {
        self.name
    }
    fn summary(&self) -> &'static str {
        self.summary
    }
    fn formula(&self) -> &'static str {
        self.formula
    }
    fn paper(&self) -> &'static str {
        "Li et al.: Adaptive Low-Precision Training for Embeddings in CTR Prediction (2022)"
    }
    fn coarse(&self) -> bool {
        self.coarse
    }
    fn row_bytes(&self, width: usize) -> usize {
        (self.row_bytes)(width)
    }
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], row: &mut [u8]) {
        (self.encode)(isa, key, values, row);
    }
    fn round(&self, isa: InstructionSet, values: &[f32], row: &mut [u8]) {
        (self.round)(isa, values, row);
    }
    fn decode(&self, isa: InstructionSet, row: &[u8], out: &mut [f32]) {
        (self.decode)(isa, row, out);
    }
    fn largest_error(&self, largest: f32) -> f32 {
        // A new scale leaves an eighth of room, and is rounded up to a bf16.
        largest * 1.125 * (1.0 + 1.0 / 128.0) / self.most
    }
}
