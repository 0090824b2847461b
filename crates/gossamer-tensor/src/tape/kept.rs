//! What is kept for the way back, and how many bytes of it.
//!
//! *Invariant:* the ledger has the bytes that were allocated (tested); nothing else of a forward
//! pass stays.

use gossamer_machine::ledger::count_in_words;
use gossamer_machine::{Address, Ledger, Machine};

use super::allot::Need;
use crate::array::Array;
use crate::codec::Codec;
use crate::codec::float32::Float32;
use crate::kernel::codes;

/// Rows that are encoded and decoded together: any width of so many is whole groups.
pub const ROWS: usize = 256;

/// Floats whose range says how much noise a code of them has.
const GROUP: usize = 64;

/// One kept thing.
pub struct Kept {
    name: &'static str,
    rows: usize,
    width: usize,
    how: How,
}

/// How it is kept.
enum How {
    /// Floats without loss, in an array that comes from the machine and goes back to it.
    Whole(Array),
    /// Floats, through a codec, block by block.
    Codes(&'static dyn Codec, Vec<u8>),
    /// A bit for each float.
    Bits(Vec<u8>),
    /// As part of another kept thing: at this place.
    Within(usize),
}

/// Everything that is kept, by place.
#[derive(Default)]
pub struct Store {
    kept: Vec<Kept>,
    /// False once a value was no finite number.
    broken: bool,
}

impl Store {
    /// True if a value that was to be kept was no finite number.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// How many things are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True if nothing is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Σ ρ²/6·‖row of `with`‖² over the floats of a kept thing, or of its first rows, ρ being the
    /// range of the group of 64 that each stands in.
    pub fn noise(&self, place: usize, with: &Array, machine: &Machine) -> f64 {
        let width = self.kept[place].width;
        let n_blocks = with.rows.div_ceil(ROWS);
        let found = machine.workers.map(n_blocks, |block| {
            let mut room = Vec::new();
            let (values, rows) = self.block(place, block, machine, &mut room);
            let rows = rows.min(with.rows - block * ROWS);
            let squares = |row: usize| -> f64 {
                let row = with.row(block * ROWS + row);
                row.iter().map(|x| f64::from(x * x)).sum()
            };
            let squares: Vec<f64> = (0..rows).map(squares).collect();
            let of_group = |(group, values): (usize, &[f32])| {
                let least = values.iter().copied().fold(f32::INFINITY, f32::min);
                let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let floats = group * GROUP..group * GROUP + values.len();
                let weight: f64 = floats.map(|at| squares[at / width]).sum();
                f64::from(most - least).powi(2) / 6.0 * weight
            };
            values[..rows * width].chunks(GROUP).enumerate().map(of_group).sum::<f64>()
        });
        found.into_iter().sum()
    }

    /// What things kept as floats need, given the noise of each.
    pub fn needs(&self, noise: &[f64]) -> Vec<Option<Need>> {
        let need = |(kept, noise): (&Kept, &f64)| {
            // What is kept without loss by its op's wish has no choice.
            let How::Codes(..) = kept.how else { return None };
            let n = |first: usize| ROWS.min(kept.rows - first) * kept.width;
            let blocks = (0..kept.rows).step_by(ROWS).map(n).collect();
            Some(Need { name: kept.name, blocks, noise: *noise })
        };
        self.kept.iter().zip(noise).map(need).collect()
    }

    /// Keeps floats; rounding follows the address.
    pub fn floats(
        &mut self,
        name: &'static str,
        array: &Array,
        codec: &'static dyn Codec,
        machine: &Machine,
        address: Address,
    ) -> usize {
        let (place, width) = (self.kept.len(), array.width);
        if codec.name() == Float32.name() {
            let (whole, finite) = copied(array, machine);
            self.broken |= !finite;
            self.kept.push(Kept { name, rows: array.rows, width, how: How::Whole(whole) });
            return place;
        }
        let blocks: Vec<&[f32]> = array.values.chunks((ROWS * width).max(1)).collect();
        let of_block = codec.bytes_for(ROWS * width);
        let last = blocks.last().map_or(0, |block| codec.bytes_for(block.len()));
        let mut codes = vec![0; blocks.len().saturating_sub(1) * of_block + last];
        let mut finite = vec![false; blocks.len()];
        let tasks = blocks.into_iter().zip(codes.chunks_mut(of_block.max(1))).zip(&mut finite);
        machine.workers.each(tasks.enumerate().collect(), |(block, ((values, out), finite))| {
            let [key, ..] = address.bits(place as u32, block as u32);
            *finite = codec.encode(machine.instruction_set, key, values, out);
        });
        self.broken |= finite.contains(&false);
        let (rows, how) = (array.rows, How::Codes(codec, codes));
        self.kept.push(Kept { name, rows, width, how });
        place
    }

    /// Keeps which floats are positive.
    pub fn signs(&mut self, name: &'static str, array: &Array, machine: &Machine) -> usize {
        let mut bits = vec![0; array.values.len().div_ceil(8)];
        // A block's floats are whole bytes of bits.
        let n = (ROWS * array.width).max(8);
        let tasks = bits.chunks_mut(n / 8).zip(array.values.chunks(n)).collect();
        machine.workers.each(tasks, |(bits, values): (&mut [u8], &[f32])| {
            codes::sign_bits(machine.instruction_set, values, bits);
        });
        self.bits(name, [array.rows, array.width], bits)
    }

    /// Keeps bits that were made: one for each float of so many rows and so wide.
    pub fn bits(&mut self, name: &'static str, [rows, width]: [usize; 2], bits: Vec<u8>) -> usize {
        self.kept.push(Kept { name, rows, width, how: How::Bits(bits) });
        self.kept.len() - 1
    }

    /// Forgets kept signs where kept floats tell them as well.
    pub fn signs_are_within(&mut self, signs: usize, floats: usize) {
        let within = match &self.kept[floats].how {
            How::Whole(_) => true,
            How::Codes(codec, _) => codec.keeps_signs(),
            How::Bits(_) | How::Within(_) => false,
        };
        if within {
            self.kept[signs].how = How::Within(floats);
        }
    }

    /// A block of rows, and how many they are; codes are decoded into the room.
    pub fn block<'r>(
        &'r self,
        place: usize,
        block: usize,
        machine: &Machine,
        room: &'r mut Vec<f32>,
    ) -> (&'r [f32], usize) {
        let Kept { rows, width, how, .. } = &self.kept[place];
        let rows = ROWS.min(rows - block * ROWS);
        if let How::Whole(array) = how {
            return (&array.values[block * ROWS * width..][..rows * width], rows);
        }
        room.resize(rows * width, 0.0);
        if let How::Codes(codec, codes) = how {
            let codes = &codes[block * codec.bytes_for(ROWS * width)..];
            codec.decode(machine.instruction_set, codes, room);
        }
        (room, rows)
    }

    /// Sets the floats of a block to zero where what was kept was not positive.
    pub fn keep_positive(&self, place: usize, block: usize, machine: &Machine, out: &mut [f32]) {
        let Kept { width, how, .. } = &self.kept[place];
        match how {
            How::Within(other) => self.keep_positive(*other, block, machine, out),
            How::Whole(array) => {
                let values = &array.values[block * ROWS * width..];
                let pairs = out.iter_mut().zip(values);
                pairs.for_each(|(out, x)| *out = if *x > 0.0 { *out } else { 0.0 });
            }
            How::Codes(codec, codes) => {
                let codes = &codes[block * codec.bytes_for(ROWS * width)..];
                codec.keep_positive(machine.instruction_set, codes, out);
            }
            How::Bits(bits) => {
                codes::keep_where(machine.instruction_set, &bits[block * ROWS * width / 8..], out);
            }
        }
    }

    /// Bytes of arrays that come from the machine, among those that are kept.
    pub fn whole_bytes(&self) -> u64 {
        let whole = self.kept.iter().filter(|kept| matches!(kept.how, How::Whole(_)));
        whole.map(|kept| kept.bytes_of(kept.rows)).sum()
    }

    /// A line for each kept thing; where arrays of so many rows had so many instead.
    pub fn ledger(&self, instead: &[(usize, usize)]) -> Ledger {
        let mut ledger = Ledger::default();
        for kept in &self.kept {
            let other = instead.iter().find(|(rows, _)| *rows == kept.rows);
            let rows = other.map_or(kept.rows, |(_, instead)| *instead);
            let shape = format!("{} × {}", count_in_words(rows as u64), kept.width);
            let how = match &kept.how {
                How::Whole(_) => Float32.name().to_string(),
                How::Codes(codec, _) => codec.name().to_string(),
                How::Bits(_) => "1 bit".into(),
                How::Within(other) => format!("within {}", self.kept[*other].name),
            };
            ledger.add(kept.name, shape, how, kept.bytes_of(rows));
        }
        ledger
    }
}

/// A copy, made by all threads, and whether every float of it is a finite number.
fn copied(array: &Array, machine: &Machine) -> (Array, bool) {
    let mut copy = Array::room(&machine.buffers, array.rows, array.width);
    let n = (ROWS * array.width).max(1);
    let mut finite = vec![false; array.values.len().div_ceil(n)];
    let tasks = copy.values.chunks_mut(n).zip(array.values.chunks(n)).zip(&mut finite);
    machine.workers.each(tasks.collect(), |((copy, values), finite)| {
        copy.copy_from_slice(values);
        *finite = codes::finite(machine.instruction_set, values);
    });
    (copy, !finite.contains(&false))
}

impl Kept {
    /// Bytes that so many rows of it occupy.
    fn bytes_of(&self, rows: usize) -> u64 {
        match &self.how {
            How::Codes(codec, _) => {
                let (whole, rest) = (rows / ROWS, rows % ROWS);
                let of = |rows: usize| codec.bytes_for(rows * self.width) as u64;
                whole as u64 * of(ROWS) + if rest > 0 { of(rest) } else { 0 }
            }
            How::Whole(_) => 4 * (rows * self.width) as u64,
            How::Bits(_) => (rows * self.width).div_ceil(8) as u64,
            How::Within(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use gossamer_machine::Purpose;

    use super::*;
    use crate::codec::levels::INT8;

    #[test]
    fn noise_of_the_first_rows_is_that_of_all_where_the_rest_count_nothing() {
        let machine = Machine::new(2, None);
        let address = Address::new(7, Purpose::Synthetic, 0);
        let (rows, width, first) = (2 * ROWS + 50, GROUP, ROWS + 20);
        let values: Vec<f32> = (0..(rows * width) as u32).map(|i| address.normal(i, 0)).collect();
        let mut store = Store::default();
        let kept = Array::of(&machine.buffers, &values, width);
        let exact = store.floats("rows", &kept, &Float32, &machine, address);
        let coded = store.floats("rows", &kept, &INT8, &machine, address);
        let some = Array::of(&machine.buffers, &values[..first * width], width);
        let mut all = Array::zeroed(&machine.buffers, rows, width);
        all.values[..first * width].copy_from_slice(&values[..first * width]);
        // A row is a group: its range squared by a sixth of its squares.
        let of_row = |row: &[f32]| {
            let range = row.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x))
                - row.iter().fold(f32::INFINITY, |least, x| least.min(*x));
            let squares: f64 = row.iter().map(|x| f64::from(x * x)).sum();
            f64::from(range).powi(2) / 6.0 * squares * width as f64
        };
        let wanted: f64 = values[..first * width].chunks(width).map(of_row).sum();
        for (place, off) in [(exact, 1e-6), (coded, 0.05)] {
            let [few, whole] = [&some, &all].map(|with| store.noise(place, with, &machine));
            assert!((few - whole).abs() <= 1e-9 * whole, "{few} {whole}");
            assert!((few / wanted - 1.0).abs() < off, "{few} {wanted}");
        }
    }
}
