//! Dropout of rows: part of what a query is folded from is zero while training.
//!
//! *Invariant:* which floats are dropped is a function of (seed, step, query), so nothing is stored
//! between the ways forward and back.
//! *Paper:* Srivastava et al., "Dropout" (2014); on rows of embeddings after Ruffinelli et al. (2020).

use gossamer_machine::Address;

/// Which floats are dropped.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The part that is dropped; the others grow by 1/(1 − part).
    pub part: f32,
    /// The step's random numbers.
    pub address: Address,
}

/// A query's known row and condition, as they are left, and what each float was multiplied by.
pub struct Left {
    /// The known row.
    pub known: Vec<f32>,
    /// The condition.
    pub condition: Vec<f32>,
    factors: Vec<f32>,
}

impl Dropout {
    /// What is left of a query's rows.
    pub fn of(&self, query: u32, known: &[f32], condition: &[f32]) -> Left {
        let mut factors = vec![0.0; known.len() + condition.len()];
        let kept = 1.0 / (1.0 - self.part);
        let least = (f64::from(self.part) * 4_294_967_296.0) as u32;
        for (column, four) in factors.chunks_mut(4).enumerate() {
            let bits = self.address.bits(query, column as u32);
            let of = |bits: u32| if bits < least { 0.0 } else { kept };
            four.iter_mut().zip(bits).for_each(|(factor, bits)| *factor = of(bits));
        }
        let (of_known, of_condition) = factors.split_at(known.len());
        let (known, condition) = (times(known, of_known), times(condition, of_condition));
        Left { known, condition, factors }
    }
}

impl Left {
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
    use gossamer_machine::Purpose;

    #[test]
    fn the_mean_stays_and_the_gradient_goes_where_the_values_went() {
        let dropout = Dropout { part: 0.25, address: Address::new(3, Purpose::Dropout, 5) };
        let (known, condition) = (vec![1.0; 60_000], vec![2.0; 40_000]);
        let left = dropout.of(7, &known, &condition);
        let dropped = left.known.iter().chain(&left.condition).filter(|x| **x == 0.0).count();
        // Five deviations of a binomial with n = 100,000 and p = 1/4.
        assert!(dropped.abs_diff(25_000) < 685, "{dropped}");
        assert!(left.known.iter().all(|x| *x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(left.known, dropout.of(7, &known, &condition).known);
        assert_ne!(left.known, dropout.of(8, &known, &condition).known);
        let (mut of_known, mut of_condition) = (vec![1.0; 60_000], vec![0.0; 40_000]);
        left.add_back([&known, &condition], [&mut of_known, &mut of_condition]);
        assert!(of_known.iter().zip(&left.known).all(|(gradient, x)| *gradient == 1.0 + x));
        assert_eq!(of_condition, left.condition);
    }
}
