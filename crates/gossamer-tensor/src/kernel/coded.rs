//! Rows in few bits that are changed in place: the loops of row codes.
//!
//! A row of sixteen bits stands as its floats' upper halves. One of small whole numbers stands as its scales, one bf16 for each 32 floats, and then its codes. Float i of a group
//! is scale·code, with codes from −127 to 127 in a byte each, or from −7 to 7 in half a byte: float
//! i of the first half of a group beside float i of the second. Where a row is encoded over its old
//! bytes rounding is stochastic, and a scale stays while its group fits, so that a float which does
//! not change keeps its code. A row that is rounded once is rounded to the nearest code of the
//! finest scale.
//!
//! *Invariant:* a row's new bytes depend on its floats, its old scales and the key alone; without a
//! key on its floats alone, and what was decoded gets its code again. A float that is no finite
//! number makes its whole group no number.

use super::codes::{bf16_above, bf16_nearest, mixed, of_bf16};

/// Floats that share a scale.
pub const GROUP: usize = 32;
/// Bytes of a scale.
const SCALE_BYTES: usize = 2;
/// Largest code of eight bits.
const MOST_8: f32 = 127.0;
/// Largest code of four bits.
const MOST_4: f32 = 7.0;
/// What is added to the largest code of four bits, so that all are positive.
const ZERO_4: i32 = 8;
/// 1.5·2²³: what is added to it is rounded to a whole number, which stands in its last bits.
const ROUND: f32 = 12_582_912.0;

/// Bytes of a row of eight-bit codes.
pub const fn row_bytes_8(width: usize) -> usize {
    SCALE_BYTES * width.div_ceil(GROUP) + width
}

/// Bytes of a row of four-bit codes: a group of an odd number of floats has half a byte to spare.
pub const fn row_bytes_4(width: usize) -> usize {
    SCALE_BYTES * width.div_ceil(GROUP) + width.div_ceil(2)
}

/// A bf16 that is no number.
const NO_NUMBER: u16 = 0x7FC0;

/// The size of a group's largest float; none if one is no finite number.
#[inline(always)]
fn largest(group: &[f32]) -> Option<f32> {
    let mut bits = 0;
    for x in group {
        bits = (x.to_bits() & 0x7FFF_FFFF).max(bits);
    }
    Some(f32::from_bits(bits)).filter(|largest| largest.is_finite())
}

/// The scale at which a group's largest float has the largest code: as a bf16 it is off by less
/// than what would round to another.
#[inline(always)]
fn finest(group: &[f32], most: f32) -> u16 {
    largest(group).map_or(NO_NUMBER, |largest| bf16_nearest(largest / most))
}

/// The scale a group gets over an old one: that while the group fits, neither too large nor lost in
/// it.
#[inline(always)]
fn scale(group: &[f32], old: u16, most: f32) -> u16 {
    /// Room left above the largest float when a scale is chosen, so that it need not be soon again.
    const ROOM: f32 = 1.125;
    /// A group whose largest float is below this part of what fits gets a finer scale.
    const LOST: f32 = 0.4;
    let Some(largest) = largest(group) else { return NO_NUMBER };
    let fitting = of_bf16(old) * most;
    if largest <= fitting && largest >= LOST * fitting {
        return old;
    }
    bf16_above(largest * ROOM / most)
}

/// Rounds y to one of the whole numbers beside it, the nearer being the likelier; `noise` has
/// sixteen bits.
#[inline(always)]
fn whole(y: f32, noise: u32, most: f32) -> i32 {
    // In the middle of each of 65,536 intervals, so that its mean is zero.
    let offset = noise as i32 as f32 * (1.0 / 65_536.0) + (0.5 / 65_536.0 - 0.5);
    let rounded = (y + offset + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    rounded.clamp(-(most as i32), most as i32)
}

/// Noise, in both halves, with which a float is rounded to the nearest whole number.
const NEAREST: u32 = 0x8000_8000;

/// One over a scale.
#[inline(always)]
fn inverse(scale: u16) -> f32 {
    1.0 / of_bf16(scale).max(f32::MIN_POSITIVE)
}

/// Encodes a row of eight-bit codes: each group with a scale, each float with a noise.
#[inline(always)]
fn encode_8(
    values: &[f32],
    row: &mut [u8],
    scale: impl Fn(&[f32], u16) -> u16,
    noise: impl Fn(u32) -> u32,
) {
    let (scales, codes) = row.split_at_mut(SCALE_BYTES * values.len().div_ceil(GROUP));
    let groups = values.chunks(GROUP).zip(codes.chunks_mut(GROUP));
    let groups = groups.zip(scales.as_chunks_mut::<SCALE_BYTES>().0).enumerate();
    for (number, ((values, codes), old)) in groups {
        let new = scale(values, u16::from_le_bytes(*old));
        *old = new.to_le_bytes();
        let (inverse, first) = (inverse(new), (number * GROUP) as u32);
        for (i, (x, code)) in (0u32..).zip(values.iter().zip(codes)) {
            *code = whole(x * inverse, noise(first + i) >> 16, MOST_8) as u8;
        }
    }
}

/// Encodes a row of floats' upper halves: what the noise, of sixteen bits, carries into them stays.
#[inline(always)]
fn encode_16(values: &[f32], row: &mut [u8], noise: impl Fn(u32, u32) -> u32) {
    let codes = row.as_chunks_mut::<2>().0;
    for (i, (x, code)) in (0u32..).zip(values.iter().zip(codes)) {
        let bits = x.to_bits();
        let carried = (bits.wrapping_add(noise(i, bits)) >> 16) as u16;
        *code = if x.is_finite() { carried } else { NO_NUMBER }.to_le_bytes();
    }
}

for_each_instruction_set! {
    /// Encodes a row of floats' upper halves: the nearer is the likelier, and the mean the float.
    pub fn encode_row_16(key: u32, values: &[f32], row: &mut [u8]) {
        encode_16(values, row, |i, _| mixed(key, i) >> 16);
    }
}

for_each_instruction_set! {
    /// Encodes a row of floats' upper halves, each the nearest.
    pub fn round_row_16(values: &[f32], row: &mut [u8]) {
        encode_16(values, row, |_, bits| 0x7FFF + (bits >> 16 & 1));
    }
}

for_each_instruction_set! {
    /// Encodes a row of eight-bit codes over its old ones; new rows are of zeros.
    pub fn encode_row_8(key: u32, values: &[f32], row: &mut [u8]) {
        encode_8(values, row, |group, old| scale(group, old, MOST_8), |i| mixed(key, i));
    }
}

for_each_instruction_set! {
    /// Encodes a row of eight-bit codes, each the nearest.
    pub fn round_row_8(values: &[f32], row: &mut [u8]) {
        encode_8(values, row, |group, _| finest(group, MOST_8), |_| NEAREST);
    }
}

for_each_instruction_set! {
    /// Decodes it.
    pub fn decode_row_8(row: &[u8], out: &mut [f32]) {
        let (scales, codes) = row.split_at(SCALE_BYTES * out.len().div_ceil(GROUP));
        let groups = out.chunks_mut(GROUP).zip(codes.chunks(GROUP));
        for ((out, codes), scale) in groups.zip(scales.as_chunks::<SCALE_BYTES>().0) {
            let scale = of_bf16(u16::from_le_bytes(*scale));
            for (x, code) in out.iter_mut().zip(codes) {
                *x = scale * f32::from(*code as i8);
            }
        }
    }
}

/// Encodes a row of four-bit codes: each group with a scale, each float with a noise.
#[inline(always)]
fn encode_4(
    values: &[f32],
    row: &mut [u8],
    scale: impl Fn(&[f32], u16) -> u16,
    noise: impl Fn(u32) -> u32,
) {
    let (scales, codes) = row.split_at_mut(SCALE_BYTES * values.len().div_ceil(GROUP));
    let groups = values.chunks(GROUP).zip(codes.chunks_mut(GROUP / 2));
    let groups = groups.zip(scales.as_chunks_mut::<SCALE_BYTES>().0).enumerate();
    for (number, ((values, codes), old)) in groups {
        let new = scale(values, u16::from_le_bytes(*old));
        *old = new.to_le_bytes();
        let (inverse, first) = (inverse(new), (number * GROUP) as u32);
        let (low, high) = values.split_at(codes.len());
        for (i, (x, code)) in (0u32..).zip(low.iter().zip(&mut *codes)) {
            *code = (whole(x * inverse, noise(first + i) >> 16, MOST_4) + ZERO_4) as u8;
        }
        for (i, (x, code)) in (0u32..).zip(high.iter().zip(codes)) {
            let noise = noise(first + i) & 0xFFFF;
            *code |= ((whole(x * inverse, noise, MOST_4) + ZERO_4) as u8) << 4;
        }
    }
}

for_each_instruction_set! {
    /// Encodes a row of four-bit codes over its old ones; new rows are of zeros.
    pub fn encode_row_4(key: u32, values: &[f32], row: &mut [u8]) {
        encode_4(values, row, |group, old| scale(group, old, MOST_4), |i| mixed(key, i));
    }
}

for_each_instruction_set! {
    /// Encodes a row of four-bit codes, each the nearest.
    pub fn round_row_4(values: &[f32], row: &mut [u8]) {
        encode_4(values, row, |group, _| finest(group, MOST_4), |_| NEAREST);
    }
}

for_each_instruction_set! {
    /// Decodes it.
    pub fn decode_row_4(row: &[u8], out: &mut [f32]) {
        let (scales, codes) = row.split_at(SCALE_BYTES * out.len().div_ceil(GROUP));
        let groups = out.chunks_mut(GROUP).zip(codes.chunks(GROUP / 2));
        for ((out, codes), scale) in groups.zip(scales.as_chunks::<SCALE_BYTES>().0) {
            let scale = of_bf16(u16::from_le_bytes(*scale));
            let (low, high) = out.split_at_mut(codes.len());
            for (x, code) in low.iter_mut().zip(codes) {
                *x = scale * (i32::from(*code & 0xF) - ZERO_4) as f32;
            }
            for (x, code) in high.iter_mut().zip(codes) {
                *x = scale * (i32::from(*code >> 4) - ZERO_4) as f32;
            }
        }
    }
}
