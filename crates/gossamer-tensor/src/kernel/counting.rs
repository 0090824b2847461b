//! Counting scores against a threshold.

for_each_instruction_set! {
    /// Adds, column by column, how many scores are above their column's threshold, and how many
    /// equal it.
    pub fn count_columns(scores: &[f32], thresholds: &[f32], above: &mut [u32], equal: &mut [u32]) {
        for row in scores.chunks_exact(thresholds.len()) {
            let counts = above.iter_mut().zip(equal.iter_mut());
            for ((score, threshold), (above, equal)) in row.iter().zip(thresholds).zip(counts) {
                *above += u32::from(*score > *threshold);
                *equal += u32::from(*score == *threshold);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact() {
        let scores: Vec<f32> = (0..101).flat_map(|i| [(i % 10) as f32, 3.0]).collect();
        for isa in gossamer_machine::InstructionSet::all() {
            let (mut above, mut equal) = ([1, 0], [0, 0]);
            count_columns(isa, &scores, &[7.0, 3.0], &mut above, &mut equal);
            assert_eq!((above, equal), ([21, 0], [10, 101]));
        }
    }
}
