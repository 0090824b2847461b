//! Weighted sums of rows that stand anywhere in memory.

use super::prefetch;

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
        let width = target.len();
        let mut later = later.iter();
        for (column, weight) in columns.iter().zip(weights) {
            if let Some(later) = later.next() {
                prefetch(&rows[*later as usize * width..][..width]);
            }
            let row = &rows[*column as usize * width..][..width];
            for (target, x) in target.iter_mut().zip(row) {
                *target += weight * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::InstructionSet;

    #[test]
    fn rows_are_added_by_their_weights_on_every_instruction_set() {
        let rows: Vec<f32> = (0..5 * 19).map(|i| i as f32).collect();
        for isa in InstructionSet::all() {
            let mut sum = vec![1.0; 19];
            add_rows(isa, &mut sum, &rows, &[4, 0, 4], &[0.5, 2.0, -1.0], &[1]);
            let of = |i: usize| 1.0 + 2.0 * i as f32 - 0.5 * (76 + i) as f32;
            assert_eq!(sum, (0..19).map(of).collect::<Vec<_>>(), "{}", isa.name());
        }
    }
}
