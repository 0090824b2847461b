//! Random projections with few bits for what is left: less noise than one bit a float, in its room.

use gossamer_machine::InstructionSet;

use super::Codec;
use crate::kernel::codes;
use crate::kernel::projection::{COEFFICIENTS, PROJECTED, project, unproject};

/// Half of a group's random Hadamard coefficients, at two bits each.
#[derive(Debug)]
pub struct Projected;

/// Bytes of a group: its seed, and its coefficients.
const BYTES: usize = 1 + codes::group_bytes(COEFFICIENTS / 16, 2);

impl Codec for Projected {
    fn name(&self) -> &'static str {
        "rp1"
    }
    fn summary(&self) -> &'static str {
        "1 bit and a third: half of the coefficients of a random projection at two bits, unbiased, less noise than int1"
    }
    fn formula(&self) -> &'static str {
        "2·D·Hᵀ·P·q(P·H·D·x): random signs D, Hadamard's H, P one of every two, q as int2's"
    }
    fn paper(&self) -> &'static str {
        "Liu et al.: EXACT: Scalable Graph Neural Networks Training via Extreme Activation Compression (ICLR 2022)"
    }
    fn group(&self) -> usize {
        PROJECTED
    }
    fn bytes_for(&self, n: usize) -> usize {
        n.div_ceil(PROJECTED) * BYTES
    }
    fn encode(&self, isa: InstructionSet, key: u32, values: &[f32], out: &mut [u8]) -> bool {
        let finite = codes::finite(isa, values);
        let groups = values.chunks(PROJECTED).zip(out.chunks_exact_mut(BYTES));
        for (number, (group, out)) in (0u32..).zip(groups) {
            // Another for each group and key; the key of rounding is another still.
            let own = (key ^ number.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
            let mut few = [0.0; COEFFICIENTS];
            out[0] = (own >> 24) as u8;
            project(isa, out[0], group, &mut few);
            codes::encode_int2(isa, own, &few, &mut out[1..]);
        }
        finite
    }
    fn decode(&self, isa: InstructionSet, codes: &[u8], out: &mut [f32]) {
        for (codes, out) in codes.chunks_exact(BYTES).zip(out.chunks_mut(PROJECTED)) {
            let mut few = [0.0; COEFFICIENTS];
            codes::decode_int2(isa, &codes[1..], &mut few);
            unproject(isa, codes[0], &few, out);
        }
    }
    fn largest_error(&self, least: f32, most: f32) -> f32 {
        // A float is at most the length of its group; what comes back is at most twice that, and
        // half of the coefficients are off by a third of their range at most.
        7.0 * (PROJECTED as f32).sqrt() * most.abs().max(least.abs())
    }
    fn unbiased(&self) -> bool {
        true
    }
}
