//! Schedules: how the learning rate moves over a run.
//!
//! *Invariant:* a factor is a pure function of the part of the run that is done, so that a resumed
//! run takes the steps of an uninterrupted one.

gossamer_machine::registry!("schedule", Schedule:
    constant::Constant,
    linear::Linear,
    cosine::Cosine,
    tenth::Tenth,
    warm::Warm,
);

/// What the learning rate is multiplied by.
pub trait Schedule: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula, with t in 0 … 1 for the part of the planned epochs that is done.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// The factor at `done` (0 … 1).
    fn factor(&self, done: f32) -> f32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_whole_once_and_does_not_grow_after() {
        for schedule in ALL {
            let factors: Vec<f32> = (0..=100).map(|i| schedule.factor(i as f32 / 100.0)).collect();
            let whole = factors.iter().position(|factor| *factor == 1.0);
            let whole = whole.unwrap_or_else(|| panic!("{} is never 1", schedule.name()));
            assert!(factors[..=whole].is_sorted(), "{}", schedule.name());
            assert!(factors[whole..].iter().rev().is_sorted(), "{}", schedule.name());
            assert!(factors.iter().all(|factor| (0.0..=1.0).contains(factor)));
        }
    }

    #[test]
    fn factors_equal_their_formula() {
        assert_eq!(constant::Constant.factor(0.9), 1.0);
        assert_eq!(linear::Linear.factor(0.75), 0.25);
        assert!((cosine::Cosine.factor(0.5) - 0.5).abs() < 1e-6);
        assert_eq!(
            [0.0, 0.05, 0.1, 0.55].map(|done| warm::Warm.factor(done)),
            [0.0, 0.5, 1.0, 0.5]
        );
        assert_eq!((tenth::Tenth.factor(0.49), tenth::Tenth.factor(0.5)), (1.0, 0.1));
    }
}
