//! What dropout leaves of rows and of entries: random numbers of many places at once.

use gossamer_machine::Address;

/// Places whose random numbers are made together.
const N: usize = 16;

/// What things are worth by their coins: nothing below `least`, else `grown`.
#[inline(always)]
fn worth<const M: usize>(coins: [u32; M], least: u32, grown: f32) -> [f32; M] {
    coins.map(|coin| if coin < least { 0.0 } else { grown })
}

for_each_instruction_set! {
    /// Multiplies the floats of a row with what each is worth: nothing where its random bits are
    /// below `least`, else `grown`. A float's column is told by `number`.
    pub fn leave_out(
        values: &mut [f32],
        address: &Address,
        row: u32,
        number: u32,
        least: u32,
        grown: f32,
    ) {
        let (groups, rest) = values.as_chunks_mut::<N>();
        let first = N * groups.len();
        for (group, values) in groups.iter_mut().enumerate() {
            let columns = std::array::from_fn(|i| (group * N + i) as u32 ^ number);
            let worths = worth(address.coins_of([row; N], columns), least, grown);
            for (value, worth) in values.iter_mut().zip(worths) {
                *value *= worth;
            }
        }
        for (column, value) in (first as u32..).zip(rest) {
            let [worth] = worth(address.coins_of([row], [column ^ number]), least, grown);
            *value *= worth;
        }
    }
}

for_each_instruction_set! {
    /// What each entry of a row, or of a column where they are turned, is worth, by its bits.
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
        let (groups, rest) = others.as_chunks::<N>();
        let (out, out_rest) = out.as_chunks_mut::<N>();
        for (others, out) in groups.iter().zip(out) {
            let (rows, columns) = if is_row { ([own; N], *others) } else { (*others, [own; N]) };
            let columns = columns.map(|column| column ^ number);
            *out = worth(address.coins_of(rows, columns), least, grown);
        }
        // Most rows have but a few entries.
        for (other, out) in rest.iter().zip(out_rest) {
            let (row, column) = if is_row { (own, *other) } else { (*other, own) };
            [*out] = worth(address.coins_of([row], [column ^ number]), least, grown);
        }
    }
}
