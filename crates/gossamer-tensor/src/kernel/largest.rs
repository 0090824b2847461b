//! The largest floats of a group, without their sign: a bit for each float, and values for some.
//!
//! *Invariant:* of equals the first are kept, so the bytes are a function of the floats.

use super::codes::of_bf16;

/// Floats that share a threshold in [`encode_largest`].
pub const LARGEST_OF: usize = 256;
/// Sizes that are compared at a time, and bits of a word that says which are kept.
const WORDS: usize = 32;

/// Bytes of a group of [`LARGEST_OF`] floats of which `k` are kept: a bit for each, and values.
pub const fn largest_bytes(k: usize) -> usize {
    LARGEST_OF / 8 + 2 * k
}

/// A bit for each byte that is 1; all others are 0.
#[inline(always)]
fn bits_of(flags: &[u8; WORDS]) -> u32 {
    let byte = |eight: &[u8; 8]| {
        // Eight flags meet in the upper byte of a product.
        (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|part| byte(&flags.as_chunks::<8>().0[part]));
    u32::from_le_bytes([a, b, c, d])
}

for_each_instruction_set! {
    /// Keeps the `k` floats of each group that are largest without their sign, the first of equals;
    /// false if a value is no finite number.
    ///
    /// The threshold is found by halving the range of its bits, fifteen times: a bf16 has fifteen
    /// beside its sign.
    pub fn encode_largest(k: usize, values: &[f32], out: &mut [u8]) -> bool {
        let mut finite = true;
        for (group, out) in
            values.chunks(LARGEST_OF).zip(out.chunks_exact_mut(largest_bytes(k)))
        {
            let mut sizes = [[0u16; WORDS]; LARGEST_OF / WORDS];
            for (size, value) in sizes.as_flattened_mut().iter_mut().zip(group) {
                // Rounded to the nearest bf16, as it is kept.
                *size = ((value.to_bits() & 0x7FFF_FFFF).wrapping_add(0x8000) >> 16) as u16;
            }
            // The last that is too high is one above the threshold: so many are above it.
            let (mut threshold, mut above_it) = (0, 0);
            for bit in (0..15).rev() {
                let higher = threshold | 1 << bit;
                let mut reach = [0u16; WORDS];
                for vector in &sizes {
                    for i in 0..WORDS {
                        reach[i] += u16::from(vector[i] >= higher);
                    }
                }
                let reach: u16 = reach.into_iter().sum();
                if usize::from(reach) >= k {
                    threshold = higher;
                } else {
                    above_it = u32::from(reach);
                }
            }
            // Fewer than k are above the threshold; those on it fill up what is left, in order.
            let (mut above, mut equal) = ([0u32; LARGEST_OF / WORDS], [0u32; LARGEST_OF / WORDS]);
            let mut largest = [0u16; WORDS];
            for (vector, (above, equal)) in sizes.iter().zip(above.iter_mut().zip(&mut equal)) {
                let (mut more, mut same) = ([0u8; WORDS], [0u8; WORDS]);
                for i in 0..WORDS {
                    more[i] = u8::from(vector[i] > threshold);
                    same[i] = u8::from(vector[i] == threshold);
                    largest[i] = largest[i].max(vector[i]);
                }
                (*above, *equal) = (bits_of(&more), bits_of(&same));
            }
            finite &= largest.into_iter().fold(0, u16::max) < 0x7F80;
            let mut left = k as u32 - above_it;
            let (bits, kept) = out.split_at_mut(LARGEST_OF / 8);
            let mut kept = kept.as_chunks_mut::<2>().0.iter_mut();
            for (word, bits) in bits.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let (mut chosen, mut on) = (above[word], equal[word]);
                while on != 0 && left > 0 {
                    chosen |= on & on.wrapping_neg();
                    (on, left) = (on & (on - 1), left - 1);
                }
                *bits = chosen.to_le_bytes();
                while chosen != 0 {
                    let place = word * WORDS + chosen.trailing_zeros() as usize;
                    chosen &= chosen - 1;
                    let sign = group.get(place).map_or(0, |value| (value.to_bits() >> 31) << 15);
                    let size = sizes.as_flattened()[place];
                    if let Some(kept) = kept.next() {
                        *kept = (size | sign as u16).to_le_bytes();
                    }
                }
            }
        }
        finite
    }
}

for_each_instruction_set! {
    /// Decodes as many floats as `out` holds; those that were not kept are zero.
    pub fn decode_largest(k: usize, codes: &[u8], out: &mut [f32]) {
        let groups = codes.chunks_exact(largest_bytes(k)).zip(out.chunks_mut(LARGEST_OF));
        for (codes, out) in groups {
            let (bits, kept) = codes.split_at(LARGEST_OF / 8);
            out.fill(0.0);
            let mut kept = kept.as_chunks::<2>().0.iter();
            for (place, bits) in bits.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                let mut left = *bits;
                while left != 0 {
                    let at = 8 * place + left.trailing_zeros() as usize;
                    left &= left - 1;
                    let value = kept.next().map_or(0.0, |kept| of_bf16(u16::from_le_bytes(*kept)));
                    if let Some(out) = out.get_mut(at) {
                        *out = value;
                    }
                }
            }
        }
    }
}
