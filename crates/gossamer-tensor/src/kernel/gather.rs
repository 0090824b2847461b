//! Weighted sums of rows that stand anywhere in memory.

use super::{prefetch, vector};

/// Floats of a sum that stay in registers while rows are added.
const STRETCH: usize = 64;

/// Rows that are added before the next ones are asked for.
const TURN: usize = 16;

/// target += Σ weightᵢ · row columnᵢ, some rows at a time and of them a stretch.
#[inline(always)]
fn add(target: &mut [f32], rows: &[f32], columns: &[u32], weights: &[f32], later: &[u32]) {
    let width = target.len();
    let mut later = later.chunks(TURN);
    for (columns, weights) in columns.chunks(TURN).zip(weights.chunks(TURN)) {
        let asked = later.next().unwrap_or_default();
        for column in &asked[..columns.len().min(asked.len())] {
            prefetch(&rows[*column as usize * width..][..width]);
        }
        let (stretches, rest) = target.as_chunks_mut::<STRETCH>();
        let of_rest = STRETCH * stretches.len();
        for (place, target) in stretches.iter_mut().enumerate() {
            let mut sum = *target;
            for (column, weight) in columns.iter().zip(weights) {
                let row = &rows[*column as usize * width + STRETCH * place..][..STRETCH];
                for i in 0..STRETCH {
                    sum[i] += weight * row[i];
                }
            }
            *target = sum;
        }
        for (column, weight) in columns.iter().zip(weights) {
            let row = &rows[*column as usize * width + of_rest..][..rest.len()];
            for (target, x) in rest.iter_mut().zip(row) {
                *target += weight * x;
            }
        }
    }
}

for_each_instruction_set! {
    /// target += Σ weightᵢ · row columnᵢ, rows being as wide as the target. The rows of `later`,
    /// one for each that is added, are those that some call will soon want.
    pub fn add_rows(
        target: &mut [f32],
        rows: &[f32],
        columns: &[u32],
        weights: &[f32],
        later: &[u32],
    ) {
        add(target, rows, columns, weights, later);
    }
}

for_each_instruction_set! {
    /// target = Σ weightᵢ · row columnᵢ, in the same way.
    pub fn sum_rows(
        target: &mut [f32],
        rows: &[f32],
        columns: &[u32],
        weights: &[f32],
        later: &[u32],
    ) {
        let (stretches, rest) = target.as_chunks_mut::<STRETCH>();
        stretches.iter_mut().for_each(|target| *target = [0.0; STRETCH]);
        rest.fill(0.0);
        add(target, rows, columns, weights, later);
    }
}

for_each_instruction_set! {
    /// targetᵢ = ⟨row, row columnᵢ⟩, rows being as wide as the row.
    pub fn products(target: &mut [f32], row: &[f32], rows: &[f32], columns: &[u32]) {
        for (target, column) in target.iter_mut().zip(columns) {
            *target = vector::dot(row, &rows[*column as usize * row.len()..][..row.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn rows_are_added_by_their_weights_on_every_instruction_set() {
        for width in [19, 64, 150] {
            let rows: Vec<f32> = (0..5 * width).map(|i| i as f32).collect();
            let (columns, weights) = ([4, 0, 4], [0.5, 2.0, -1.0]);
            for isa in InstructionSet::all() {
                let mut sum = vec![1.0; width];
                add_rows(isa, &mut sum, &rows, &columns, &weights, &[1]);
                let of = |i: usize| 2.0 * i as f32 - 0.5 * (4 * width + i) as f32;
                let wanted: Vec<f32> = (0..width).map(of).collect();
                let more: Vec<f32> = wanted.iter().map(|x| x + 1.0).collect();
                assert_eq!(sum, more, "{}", isa.name());
                sum_rows(isa, &mut sum, &rows, &columns, &weights, &[]);
                assert_eq!(sum, wanted, "{}", isa.name());
                let mut found = [0.0; 2];
                products(isa, &mut found, &sum, &rows, &[3, 1]);
                let row = |number: usize| &rows[number * width..][..width];
                assert_eq!(found, [3, 1].map(|number| vector::dot(&sum, row(number))));
            }
        }
    }
}
