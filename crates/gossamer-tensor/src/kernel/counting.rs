//! Counting scores against a threshold.

for_each_instruction_set! {
    /// How many scores are above the threshold, and how many equal it.
    pub fn count_above(scores: &[f32], threshold: f32) -> [u32; 2] {
        let (mut above, mut equal) = (0u32, 0u32);
        for score in scores {
            above += u32::from(*score > threshold);
            equal += u32::from(*score == threshold);
        }
        [above, equal]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact() {
        let scores: Vec<f32> = (0..101).map(|i| (i % 10) as f32).collect();
        let isa = gossamer_machine::InstructionSet::detect();
        assert_eq!(count_above(isa, &scores, 7.0), [20, 10]);
        assert_eq!(count_above(isa, &[], 7.0), [0, 0]);
    }
}
