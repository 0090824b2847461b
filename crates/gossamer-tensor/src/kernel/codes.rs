//! Groups of floats as few bits: the loops of the codecs.
//!
//! A group's codes stand lane by lane: float v·16 + i of the group has its bits in word i, from
//! v·bits on, so that sixteen codes are made and read at a time. Rounding is stochastic: a float
//! between two levels takes the upper one with the probability of its place between them, so that
//! its mean is the float itself.
//!
//! *Invariant:* the code of a float depends on its group, its place and the key alone.

use super::vector::LANES;

/// Bytes of a group that describe it: its least value and the step between levels, or its largest
/// size, as bf16.
const HEAD_BYTES: usize = 4;

/// Makes 32 bits of a place that look random, for two floats: two rounds of multiplying and
/// shifting.
#[inline(always)]
pub(super) fn mixed(key: u32, place: u32) -> u32 {
    let mut x = place.wrapping_mul(0x9E37_79B9) ^ key;
    x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
    x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

/// The largest bf16 that is at most `x`, which is finite.
#[inline(always)]
fn bf16_below(x: f32) -> u16 {
    let bits = x.to_bits();
    let cut = (bits >> 16) as u16;
    // Cutting moves towards zero, which for negative numbers is up.
    let inexact = bits & 0xFFFF != 0;
    if inexact && x < 0.0 { cut + 1 } else { cut }
}

/// The least bf16 that is at least `x` ≥ 0.
#[inline(always)]
pub(super) fn bf16_above(x: f32) -> u16 {
    (x.to_bits().wrapping_add(0xFFFF) >> 16) as u16
}

/// The bf16 nearest to `x`, which is finite.
#[inline(always)]
pub(super) fn bf16_nearest(x: f32) -> u16 {
    let bits = x.to_bits();
    ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

#[inline(always)]
pub(super) fn of_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Bytes of a group's codes, head included.
pub const fn group_bytes(vectors: usize, bits: usize) -> usize {
    HEAD_BYTES + vectors * LANES * bits / 8
}

/// Rounds y + (noise − ½) for y in 0 … 255 and sixteen bits of noise, and keeps it within 0 … most.
#[inline(always)]
fn level(y: f32, noise: u32, most: i32) -> u32 {
    /// 1.5·2²³: what is added to it is rounded to a whole number, which stands in its last bits.
    const ROUND: f32 = 12_582_912.0;
    // In the middle of each of 65,536 intervals, so that its mean is zero.
    let offset = noise as i32 as f32 * (1.0 / 65_536.0) + (0.5 / 65_536.0 - 0.5);
    let rounded = (y + offset + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    rounded.clamp(0, most) as u32
}

/// The extremes of a group, and false if a value is no finite number.
#[inline(always)]
fn extremes<const VECTORS: usize>(values: &[[f32; LANES]; VECTORS]) -> (f32, f32, bool) {
    let (mut least, mut most) = (values[0], values[0]);
    let mut exponents = [0u32; LANES];
    for vector in values {
        for i in 0..LANES {
            let x = vector[i];
            least[i] = if x < least[i] { x } else { least[i] };
            most[i] = if x > most[i] { x } else { most[i] };
            exponents[i] = exponents[i].max(x.to_bits() & 0x7FFF_FFFF);
        }
    }
    // Halves against halves, as registers are compared.
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            least[i] = if least[i + half] < least[i] { least[i + half] } else { least[i] };
            most[i] = if most[i + half] > most[i] { most[i + half] } else { most[i] };
            exponents[i] = exponents[i].max(exponents[i + half]);
        }
    }
    (least[0], most[0], exponents[0] < 0x7F80_0000)
}

/// Writes lane words, of which the last bytes are empty.
#[inline(always)]
fn put(words: &[u32; LANES], out: &mut [u8]) {
    match out.len() / LANES {
        4 => {
            for (out, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *out = word.to_le_bytes();
            }
        }
        2 => {
            for (out, word) in out.as_chunks_mut::<2>().0.iter_mut().zip(words) {
                *out = (*word as u16).to_le_bytes();
            }
        }
        _ => out.iter_mut().zip(words).for_each(|(out, word)| *out = *word as u8),
    }
}

/// Reads them.
#[inline(always)]
fn get(codes: &[u8]) -> [u32; LANES] {
    let mut words = [0; LANES];
    match codes.len() / LANES {
        4 => {
            for (word, code) in words.iter_mut().zip(codes.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*code);
            }
        }
        2 => {
            for (word, code) in words.iter_mut().zip(codes.as_chunks::<2>().0) {
                *word = u32::from(u16::from_le_bytes(*code));
            }
        }
        _ => words.iter_mut().zip(codes).for_each(|(word, code)| *word = u32::from(*code)),
    }
    words
}

/// A group as vectors; the last of many is filled up with its first value.
#[inline(always)]
fn whole<'a, const VECTORS: usize>(
    group: &'a [f32],
    room: &'a mut [[f32; LANES]; VECTORS],
) -> &'a [[f32; LANES]; VECTORS] {
    if let ([whole], []) = group.as_chunks::<LANES>().0.as_chunks::<VECTORS>()
        && group.len() == VECTORS * LANES
    {
        return whole;
    }
    let flat = room.as_flattened_mut();
    flat.fill(group[0]);
    flat[..group.len()].copy_from_slice(group);
    room
}

#[inline(always)]
fn encode_levels<const VECTORS: usize, const BITS: u32>(
    key: u32,
    values: &[f32],
    out: &mut [u8],
) -> bool {
    let most_level = (1i32 << BITS) - 1;
    let mut finite = true;
    let mut room = [[0.0; LANES]; VECTORS];
    let groups = values.chunks(VECTORS * LANES);
    let groups = groups.zip(out.chunks_exact_mut(group_bytes(VECTORS, BITS as usize)));
    for (number, (group, out)) in groups.enumerate() {
        let first = (number * VECTORS * LANES) as u32;
        let group = self::whole(group, &mut room);
        let (least, most, whole) = extremes(group);
        finite &= whole;
        let low = bf16_below(least);
        let step = bf16_above((most - of_bf16(low)) / most_level as f32);
        let (least, inverse) = (of_bf16(low), 1.0 / of_bf16(step).max(f32::MIN_POSITIVE));
        let mut words = [0u32; LANES];
        for (v, two) in group.chunks_exact(2).enumerate() {
            for i in 0..LANES {
                let noise = mixed(key, first + (v * LANES + i) as u32);
                let [one, other] = [noise & 0xFFFF, noise >> 16];
                let low = level((two[0][i] - least) * inverse, one, most_level);
                let high = level((two[1][i] - least) * inverse, other, most_level);
                words[i] |= (low | high << BITS) << (2 * v as u32 * BITS);
            }
        }
        let (head, codes) = out.split_at_mut(HEAD_BYTES);
        head[..2].copy_from_slice(&low.to_le_bytes());
        head[2..].copy_from_slice(&step.to_le_bytes());
        put(&words, codes);
    }
    finite
}

#[inline(always)]
fn decode_levels<const VECTORS: usize, const BITS: u32>(codes: &[u8], out: &mut [f32]) {
    let groups = codes.chunks_exact(group_bytes(VECTORS, BITS as usize));
    for (codes, out) in groups.zip(out.chunks_mut(VECTORS * LANES)) {
        let (head, codes) = codes.split_at(HEAD_BYTES);
        let least = of_bf16(u16::from_le_bytes([head[0], head[1]]));
        let step = of_bf16(u16::from_le_bytes([head[2], head[3]]));
        let words = get(codes);
        let (mask, mut part) = ((1u32 << BITS) - 1, [0.0; LANES]);
        for (v, out) in out.chunks_mut(LANES).enumerate() {
            for i in 0..LANES {
                let code = (words[i] >> (v as u32 * BITS)) & mask;
                part[i] = least + step * code as i32 as f32;
            }
            out.copy_from_slice(&part[..out.len()]);
        }
    }
}

#[inline(always)]
fn encode_signed<const VECTORS: usize, const BITS: u32>(
    key: u32,
    values: &[f32],
    out: &mut [u8],
) -> bool {
    let most_level = (1i32 << (BITS - 1)) - 1;
    let mut finite = true;
    let mut room = [[0.0; LANES]; VECTORS];
    let groups = values.chunks(VECTORS * LANES);
    let groups = groups.zip(out.chunks_exact_mut(group_bytes(VECTORS, BITS as usize)));
    for (number, (group, out)) in groups.enumerate() {
        let first = (number * VECTORS * LANES) as u32;
        let group = self::whole(group, &mut room);
        let (least, most, whole) = extremes(group);
        finite &= whole;
        let largest = bf16_above(most.max(-least));
        let inverse = most_level as f32 / of_bf16(largest).max(f32::MIN_POSITIVE);
        let mut words = [0u32; LANES];
        for (v, two) in group.chunks_exact(2).enumerate() {
            for i in 0..LANES {
                let noise = mixed(key, first + (v * LANES + i) as u32);
                let [x, y] = [two[0][i], two[1][i]];
                let low = level(x.abs() * inverse, noise & 0xFFFF, most_level) << 1;
                let high = level(y.abs() * inverse, noise >> 16, most_level) << 1;
                let (low, high) = (low | u32::from(x > 0.0), high | u32::from(y > 0.0));
                words[i] |= (low | high << BITS) << (2 * v as u32 * BITS);
            }
        }
        let (head, codes) = out.split_at_mut(HEAD_BYTES);
        head[..2].copy_from_slice(&largest.to_le_bytes());
        head[2..].fill(0);
        put(&words, codes);
    }
    finite
}

#[inline(always)]
fn decode_signed<const VECTORS: usize, const BITS: u32>(codes: &[u8], out: &mut [f32]) {
    let part_of_largest = 1.0 / ((1i32 << (BITS - 1)) - 1) as f32;
    let groups = codes.chunks_exact(group_bytes(VECTORS, BITS as usize));
    for (codes, out) in groups.zip(out.chunks_mut(VECTORS * LANES)) {
        let (head, codes) = codes.split_at(HEAD_BYTES);
        let largest = of_bf16(u16::from_le_bytes([head[0], head[1]]));
        let words = get(codes);
        let (mask, mut part) = ((1u32 << BITS) - 1, [0.0; LANES]);
        for (v, out) in out.chunks_mut(LANES).enumerate() {
            for i in 0..LANES {
                let code = (words[i] >> (v as u32 * BITS)) & mask;
                let size = largest * ((code >> 1) as i32 as f32 * part_of_largest);
                part[i] = if code & 1 == 1 { size } else { -size };
            }
            out.copy_from_slice(&part[..out.len()]);
        }
    }
}

/// Multiplies `out` with 1 where the encoded float was positive and with 0 elsewhere.
#[inline(always)]
fn keep_positive<const VECTORS: usize, const BITS: u32>(codes: &[u8], out: &mut [f32]) {
    let groups = codes.chunks_exact(group_bytes(VECTORS, BITS as usize));
    for (codes, out) in groups.zip(out.chunks_mut(VECTORS * LANES)) {
        let words = get(&codes[HEAD_BYTES..]);
        for (v, out) in out.chunks_mut(LANES).enumerate() {
            for (out, word) in out.iter_mut().zip(words) {
                *out = if (word >> (v as u32 * BITS)) & 1 == 1 { *out } else { 0.0 };
            }
        }
    }
}

/// The kernels of a code of some bits in groups of some vectors.
macro_rules! levels {
    ($($encode:ident $decode:ident $vectors:literal $bits:literal;)*) => {$(
        for_each_instruction_set! {
            /// Encodes into whole groups; false if a value is no finite number.
            pub fn $encode(key: u32, values: &[f32], out: &mut [u8]) -> bool {
                encode_levels::<$vectors, $bits>(key, values, out)
            }
        }
        for_each_instruction_set! {
            /// Decodes as many floats as `out` holds.
            pub fn $decode(codes: &[u8], out: &mut [f32]) {
                decode_levels::<$vectors, $bits>(codes, out);
            }
        }
    )*};
}

levels! {
    encode_int8 decode_int8 4 8;
    encode_int4 decode_int4 4 4;
    encode_int2 decode_int2 4 2;
    encode_int1 decode_int1 8 1;
}

/// The kernels of a code with exact signs.
macro_rules! signed {
    ($($encode:ident $decode:ident $keep:ident $vectors:literal $bits:literal;)*) => {$(
        for_each_instruction_set! {
            /// Encodes into whole groups; false if a value is no finite number.
            pub fn $encode(key: u32, values: &[f32], out: &mut [u8]) -> bool {
                encode_signed::<$vectors, $bits>(key, values, out)
            }
        }
        for_each_instruction_set! {
            /// Decodes as many floats as `out` holds.
            pub fn $decode(codes: &[u8], out: &mut [f32]) {
                decode_signed::<$vectors, $bits>(codes, out);
            }
        }
        for_each_instruction_set! {
            /// Sets to zero where the encoded float was not positive.
            pub fn $keep(codes: &[u8], out: &mut [f32]) {
                keep_positive::<$vectors, $bits>(codes, out);
            }
        }
    )*};
}

signed! {
    encode_sign4 decode_sign4 keep_positive4 4 4;
    encode_sign2 decode_sign2 keep_positive2 4 2;
}

for_each_instruction_set! {
    /// True if every value is a finite number.
    pub fn finite(values: &[f32]) -> bool {
        let most = values.iter().map(|value| value.to_bits() & 0x7FFF_FFFF).fold(0, u32::max);
        most < 0x7F80_0000
    }
}

for_each_instruction_set! {
    /// A bit for each float that is positive, eight in a byte, the first one lowest.
    pub fn sign_bits(values: &[f32], out: &mut [u8]) {
        let (vectors, rest) = values.as_chunks::<LANES>();
        let (whole, last) = out.split_at_mut(2 * vectors.len());
        let bits = |values: &[f32]| {
            let bit = |(i, x): (usize, &f32)| u32::from(*x > 0.0) << i;
            values.iter().enumerate().map(bit).fold(0, |word, bit| word | bit)
        };
        for (vector, out) in vectors.iter().zip(whole.as_chunks_mut::<2>().0) {
            *out = (bits(vector) as u16).to_le_bytes();
        }
        for (values, out) in rest.chunks(8).zip(last) {
            *out = bits(values) as u8;
        }
    }
}

for_each_instruction_set! {
    /// Sets to zero where the bit of [`sign_bits`] is not set.
    pub fn keep_where(bits: &[u8], out: &mut [f32]) {
        let (vectors, rest) = out.as_chunks_mut::<LANES>();
        let (whole, last) = bits.split_at(2 * vectors.len());
        for (vector, bits) in vectors.iter_mut().zip(whole.as_chunks::<2>().0) {
            let word = u32::from(u16::from_le_bytes(*bits));
            for (i, x) in vector.iter_mut().enumerate() {
                *x = if (word >> i) & 1 == 1 { *x } else { 0.0 };
            }
        }
        for (out, bits) in rest.chunks_mut(8).zip(last) {
            for (i, out) in out.iter_mut().enumerate() {
                *out = if (bits >> i) & 1 == 1 { *out } else { 0.0 };
            }
        }
    }
}

for_each_instruction_set! {
    /// Rounds to the nearest bf16.
    pub fn encode_bf16(values: &[f32], out: &mut [u8]) -> bool {
        let mut exponents = 0;
        for (value, out) in values.iter().zip(out.as_chunks_mut::<2>().0) {
            let bits = value.to_bits();
            exponents |= u32::from(bits & 0x7F80_0000 == 0x7F80_0000);
            let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16;
            *out = (rounded as u16).to_le_bytes();
        }
        exponents == 0
    }
}

for_each_instruction_set! {
    /// Of bf16 numbers.
    pub fn decode_bf16(codes: &[u8], out: &mut [f32]) {
        for (code, out) in codes.as_chunks::<2>().0.iter().zip(out) {
            *out = of_bf16(u16::from_le_bytes(*code));
        }
    }
}
