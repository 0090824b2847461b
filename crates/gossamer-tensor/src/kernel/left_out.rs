//! What dropout leaves of rows and of entries: random numbers of many places at once.

use gossamer_machine::Address;

/// Places whose random numbers are made together.
const N: usize = 16;

for_each_instruction_set! {
    /// Multiplies the floats of a row with what each is worth: nothing where its random bits are
    /// below `least`, else `grown`. Four floats share a place, whose column is told by `number`.
    pub fn leave_out(
        values: &mut [f32],
        address: &Address,
        row: u32,
        number: u32,
        least: u32,
        grown: f32,
    ) {
        for (group, values) in values.chunks_mut(4 * N).enumerate() {
            let columns = std::array::from_fn(|i| (group * N + i) as u32 ^ number);
            let bits = address.bits_of([row; N], columns);
            if values.len() == 4 * N {
                for i in 0..N {
                    for word in 0..4 {
                        let worth = if bits[word][i] < least { 0.0 } else { grown };
                        values[4 * i + word] *= worth;
                    }
                }
                continue;
            }
            for (place, value) in values.iter_mut().enumerate() {
                *value *= if bits[place % 4][place / 4] < least { 0.0 } else { grown };
            }
        }
    }
}

for_each_instruction_set! {
    /// What each entry of a row, or of a column where they are turned, is worth, by its first bits.
    pub fn worths(
        others: &[u32],
        address: &Address,
        own: [u32; 2],
        is_row: bool,
        least: u32,
        grown: f32,
        out: &mut [f32],
    ) {
        let [own, number] = own;
        for (others, out) in others.chunks(N).zip(out.chunks_mut(N)) {
            let mut all = [0; N];
            all[..others.len()].copy_from_slice(others);
            let (rows, columns) = if is_row { ([own; N], all) } else { (all, [own; N]) };
            let [bits, ..] = address.bits_of(rows, columns.map(|column| column ^ number));
            for (out, bits) in out.iter_mut().zip(bits) {
                *out = if bits < least { 0.0 } else { grown };
            }
        }
    }
}
