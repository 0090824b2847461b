//! Rows to columns, block by block.

use std::array::from_fn;

use super::tile::Pair;

/// Rows and columns of a block.
const SIDE: usize = 16;

/// Turns a matrix of (rows × columns): `load` fills a row of a block from its row and first column,
/// `store` takes a row of a turned block, its column and first row.
#[inline(always)]
fn turned<T: Copy + Default>(
    [rows, columns]: [usize; 2],
    load: impl Fn(usize, usize, &mut [T]),
    mut store: impl FnMut(usize, usize, &[T]),
) {
    for row in (0..rows).step_by(SIDE) {
        for column in (0..columns).step_by(SIDE) {
            let (height, width) = (SIDE.min(rows - row), SIDE.min(columns - column));
            let mut block = [[T::default(); SIDE]; SIDE];
            if (height, width) == (SIDE, SIDE) {
                for (place, to) in block.iter_mut().enumerate() {
                    load(row + place, column, to);
                }
                let lines: [[T; SIDE]; SIDE] = from_fn(|place| from_fn(|row| block[row][place]));
                for (place, line) in lines.iter().enumerate() {
                    store(column + place, row, line);
                }
                continue;
            }
            for (place, to) in block[..height].iter_mut().enumerate() {
                load(row + place, column, &mut to[..width]);
            }
            for place in 0..width {
                let mut line = [T::default(); SIDE];
                line.iter_mut().zip(&block[..height]).for_each(|(to, from)| *to = from[place]);
                store(column + place, row, &line[..height]);
            }
        }
    }
}

for_each_instruction_set! {
    /// Floats of rows that lie `stride` apart as columns of a strip; shape is (depth × columns).
    pub fn floats_to_strip(
        rows: &[f32],
        stride: usize,
        shape: [usize; 2],
        strip: &mut [f32],
        width: usize,
    ) {
        let [depth, columns] = shape;
        turned(
            [columns, depth],
            |column, k, to| to.copy_from_slice(&rows[column * stride + k..][..to.len()]),
            |k, column, from| strip[k * width + column..][..from.len()].copy_from_slice(from),
        );
    }
}

for_each_instruction_set! {
    /// The same, as pairs along the depth; an odd last number goes with zero.
    pub fn pairs_to_strip(
        rows: &[f32],
        stride: usize,
        shape: [usize; 2],
        strip: &mut [Pair],
        width: usize,
    ) {
        let [depth, columns] = shape;
        turned(
            [columns, depth.div_ceil(2)],
            |column, step, to| {
                let numbers = &rows[column * stride..][2 * step..depth.min(2 * (step + to.len()))];
                let (full, rest) = numbers.as_chunks::<2>();
                for (to, [first, second]) in to.iter_mut().zip(full) {
                    *to = Pair::new(*first, *second);
                }
                if let ([last], Some(to)) = (rest, to.last_mut()) {
                    *to = Pair::new(*last, 0.0);
                }
            },
            |step, column, from| strip[step * width + column..][..from.len()].copy_from_slice(from),
        );
    }
}

for_each_instruction_set! {
    /// Columns of numbers as rows of pairs: from (n × m) to (m × n/2, rounded up); an odd last row
    /// goes with zeros.
    pub fn pairs_of_columns(values: &[f32], m: usize, out: &mut [Pair]) {
        let n = values.len() / m.max(1);
        let width = n.div_ceil(2);
        turned(
            [width, m],
            |step, column, to| {
                let first = &values[2 * step * m + column..][..to.len()];
                if 2 * step + 1 == n {
                    let pairs = to.iter_mut().zip(first);
                    return pairs.for_each(|(to, value)| *to = Pair::new(*value, 0.0));
                }
                let second = &values[(2 * step + 1) * m + column..][..to.len()];
                for ((to, one), two) in to.iter_mut().zip(first).zip(second) {
                    *to = Pair::new(*one, *two);
                }
            },
            |column, step, from| out[column * width + step..][..from.len()].copy_from_slice(from),
        );
    }
}

for_each_instruction_set! {
    /// Rows and columns of pairs exchanged: from (n × m) to (m × n).
    pub fn pairs_turned(pairs: &[Pair], m: usize, out: &mut [Pair]) {
        let n = pairs.len() / m.max(1);
        turned(
            [n, m],
            |row, column, to| to.copy_from_slice(&pairs[row * m + column..][..to.len()]),
            |column, row, from| out[column * n + row..][..from.len()].copy_from_slice(from),
        );
    }
}

#[cfg(test)]
mod tests {
    use gossamer_machine::InstructionSet;

    use super::*;

    #[test]
    fn matrices_of_any_shape_are_turned() {
        for isa in InstructionSet::all() {
            for [n, m] in [[1, 1], [2, 17], [15, 16], [16, 16], [33, 47], [48, 32], [5, 100]] {
                let values: Vec<f32> = (0..n * m).map(|i| i as f32 / 8.0).collect();
                let pair = |row: usize, step: usize| {
                    let of = |k: usize| if k < m { values[row * m + k] } else { 0.0 };
                    Pair::new(of(2 * step), of(2 * step + 1))
                };
                // Rows as columns of a strip with room for two more.
                let (steps, width) = (m.div_ceil(2), n + 2);
                let mut floats = vec![9.0; m * width];
                floats_to_strip(isa, &values, m, [m, n], &mut floats, width);
                let mut pairs = vec![Pair(7); steps * width];
                pairs_to_strip(isa, &values, m, [m, n], &mut pairs, width);
                for (row, k) in (0..n).flat_map(|row| (0..m).map(move |k| (row, k))) {
                    assert_eq!(floats[k * width + row], values[row * m + k], "{n} {m}");
                    assert_eq!(pairs[k / 2 * width + row], pair(row, k / 2), "{n} {m}");
                }
                assert!((0..m).all(|k| floats[k * width + n..][..2] == [9.0; 2]), "room stays");
                assert!((0..steps).all(|k| pairs[k * width + n..][..2] == [Pair(7); 2]));
                // The strip's columns as rows again.
                let across: Vec<f32> = (0..n * m).map(|i| values[i % n * m + i / n]).collect();
                let (mut rows, mut again) = (vec![Pair(0); n * steps], vec![Pair(0); n * steps]);
                pairs_of_columns(isa, &across, n, &mut rows);
                pairs_turned(isa, &rows, steps, &mut again);
                for (row, step) in (0..n).flat_map(|row| (0..steps).map(move |k| (row, k))) {
                    assert_eq!(rows[row * steps + step], pair(row, step), "{n} {m}");
                    assert_eq!(again[step * n + row], pair(row, step), "{n} {m}");
                }
            }
        }
    }
}
