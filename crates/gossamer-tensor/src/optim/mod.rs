//! Optimisers: a row's gradient and its state become a change of the row.
//!
//! *Invariant:* only the rows used are touched; a row's new values depend on that row alone.

use gossamer_machine::InstructionSet;

pub mod on_sphere;

gossamer_machine::registry!("optimiser", Optimiser:
    adagrad::Adagrad,
    rowwise_adagrad::RowwiseAdagrad,
    adam::Adam,
    sgd::Sgd,
);

/// What all rows of a step share.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate.
    pub learning_rate: f32,
    /// Number of this step, from 1.
    pub number: u64,
    /// Seed of the run.
    pub seed: u64,
    /// The kernels' instruction set.
    pub instruction_set: InstructionSet,
}

/// How gradients change rows.
pub trait Optimiser: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// Floats of state kept for a row of this width.
    fn state_width(&self, width: usize) -> usize;
    /// How much larger a step must be where the gradients of `n` steps come as one, to move a row
    /// as far as they did.
    fn gathered(&self, _n: f32) -> f32 {
        1.0
    }
    /// Changes one row by its gradient.
    fn update(&self, step: &Step, row: &mut [f32], state: &mut [f32], gradient: &[f32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64) -> Step {
        Step { learning_rate: 0.1, number, seed: 0, instruction_set: InstructionSet::detect() }
    }

    #[test]
    fn each_descends_a_parabola_and_leaves_a_row_without_gradient_still() {
        for optimiser in ALL {
            let width = 5;
            let mut row = vec![1.0, -2.0, 0.5, 3.0, -0.1];
            let mut state = vec![0.0; optimiser.state_width(width)];
            for number in 1..400 {
                let gradient: Vec<f32> = row.iter().map(|x| 2.0 * x).collect();
                optimiser.update(&step(number), &mut row, &mut state, &gradient);
            }
            let left: f32 = row.iter().map(|x| x * x).sum();
            assert!(left < 2.0, "{}: {left}", optimiser.name());
        }
    }

    #[test]
    fn on_the_sphere_a_step_moves_along_it() {
        let (mut row, mut state) = ([0.6, 0.8], [0.0; 2]);
        let onto = on_sphere::OnSphere(&sgd::Sgd);
        onto.update(&step(1), &mut row, &mut state, &[0.0, 8.0]);
        assert!((row[0] - 1.0).abs() < 1e-6 && row[1].abs() < 1e-6, "{row:?}");
        let mut zero = [0.0; 2];
        onto.update(&step(1), &mut zero, &mut state, &[0.0; 2]);
        assert_eq!(zero, [0.0; 2]);
    }

    #[test]
    fn gathered_gradients_move_a_row_as_far() {
        for (optimiser, within) in
            [(&adagrad::Adagrad as &dyn Optimiser, 0.02), (&rowwise_adagrad::RowwiseAdagrad, 0.02)]
        {
            let far = |n: usize| {
                let mut state = vec![0.0; optimiser.state_width(2)];
                let mut row = [0.0; 2];
                let of = Step { learning_rate: 0.1 * optimiser.gathered(n as f32), ..step(1) };
                for _ in 0..4096 / n {
                    optimiser.update(&of, &mut row, &mut state, &[0.5 * n as f32, 0.5 * n as f32]);
                }
                row[0]
            };
            assert!((far(4) / far(1) - 1.0).abs() < within, "{}", optimiser.name());
        }
        assert_eq!(sgd::Sgd.gathered(4.0), 1.0);
    }

    #[test]
    fn first_steps_equal_their_formula() {
        let mut row = [1.0, 1.0];
        let mut state = [0.0, 0.0];
        adagrad::Adagrad.update(&step(1), &mut row, &mut state, &[2.0, -4.0]);
        assert_eq!((row, state), ([0.9, 1.1], [4.0, 16.0]));
        let (mut row, mut state) = ([1.0, 1.0], [0.0]);
        rowwise_adagrad::RowwiseAdagrad.update(&step(1), &mut row, &mut state, &[2.0, -4.0]);
        let root = 10f32.sqrt();
        assert_eq!(state, [10.0]);
        assert!((row[0] - (1.0 - 0.2 / root)).abs() < 1e-6);
        let (mut row, mut state) = ([1.0], [0.0; 2]);
        adam::Adam.update(&step(1), &mut row, &mut state, &[3.0]);
        assert!((row[0] - 0.9).abs() < 1e-6, "{row:?}");
    }
}
