//! Dropout of rows: part of what a query is folded from is zero while training.
//!
//! *Invariant:* which floats are dropped is a function of (seed, step, query), so nothing is stored
//! between the ways forward and back.
//! *Paper:* on rows of embeddings after Ruffinelli et al., "You CAN teach an old dog new tricks!"
//! (2020).

pub use gossamer_tensor::dropout::Dropout;

/// A query's known row and condition, as they are left, and what each float was multiplied by.
pub struct Left {
    /// The known row.
    pub known: Vec<f32>,
    /// The condition.
    pub condition: Vec<f32>,
    factors: Vec<f32>,
}

impl Left {
    /// What dropout leaves of a query's rows.
    pub fn of(dropout: Dropout, query: u32, known: &[f32], condition: &[f32]) -> Self {
        let mut factors = vec![1.0; known.len() + condition.len()];
        dropout.apply(query, &mut factors);
        let (of_known, of_condition) = factors.split_at(known.len());
        let (known, condition) = (times(known, of_known), times(condition, of_condition));
        Self { known, condition, factors }
    }

    /// Adds gradients of what is left to those of the whole rows.
    pub fn add_back(
        &self,
        [of_known, of_condition]: [&[f32]; 2],
        [known_out, condition_out]: [&mut [f32]; 2],
    ) {
        let (known, condition) = self.factors.split_at(self.known.len());
        for (out, gradient, factors) in
            [(known_out, of_known, known), (condition_out, of_condition, condition)]
        {
            let more = gradient.iter().zip(factors).map(|(gradient, factor)| gradient * factor);
            out.iter_mut().zip(more).for_each(|(out, more)| *out += more);
        }
    }
}

fn times(row: &[f32], factors: &[f32]) -> Vec<f32> {
    row.iter().zip(factors).map(|(value, factor)| value * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    #[test]
    fn the_gradient_goes_where_the_values_went() {
        let address = Address::new(3, Purpose::Dropout, 5);
        let instruction_set = gossamer_machine::InstructionSet::detect();
        let dropout = Dropout { part: 0.25, address, instruction_set, number: 0 };
        let (known, condition) = (vec![1.0; 60], vec![2.0; 40]);
        let left = Left::of(dropout, 7, &known, &condition);
        assert!(left.known.contains(&0.0) && left.condition.contains(&(8.0 / 3.0)));
        let (mut of_known, mut of_condition) = (vec![1.0; 60], vec![0.0; 40]);
        left.add_back([&known, &condition], [&mut of_known, &mut of_condition]);
        assert!(of_known.iter().zip(&left.known).all(|(gradient, x)| *gradient == 1.0 + x));
        assert_eq!(of_condition, left.condition);
    }
}
