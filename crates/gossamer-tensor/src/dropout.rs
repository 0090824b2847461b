//! Dropout: which floats are left out is a function of where they stand, so that nothing is stored
//! between the ways forward and back.
//!
//! *Paper:* Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting"
//! (2014).

use gossamer_machine::Address;

/// What is left out of something.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The part that is left out; the others grow by 1/(1 − part).
    pub part: f32,
    /// The step's random numbers.
    pub address: Address,
    /// Tells the numbers of one thing from those of others of the step.
    pub number: u32,
}

impl Dropout {
    fn of(self, bits: u32) -> f32 {
        let least = (f64::from(self.part) * 4_294_967_296.0) as u32;
        if bits < least { 0.0 } else { 1.0 / (1.0 - self.part) }
    }

    fn bits(self, row: u32, column: u32) -> [u32; 4] {
        self.address.bits(row, column ^ self.number.rotate_left(24))
    }

    /// True if anything is left out.
    pub fn is_any(self) -> bool {
        self.part > 0.0
    }

    /// Multiplies the floats of a row with what each is worth.
    pub fn apply(self, row: u32, values: &mut [f32]) {
        if self.part == 0.0 {
            return;
        }
        for (column, four) in values.chunks_mut(4).enumerate() {
            let bits = self.bits(row, column as u32);
            four.iter_mut().zip(bits).for_each(|(value, bits)| *value *= self.of(bits));
        }
    }

    /// What a single place is worth.
    pub fn factor(self, row: u32, column: u32) -> f32 {
        if self.part == 0.0 { 1.0 } else { self.of(self.bits(row, column)[0]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn the_mean_stays_and_what_is_left_out_is_told_by_the_place() {
        let address = Address::new(3, Purpose::Dropout, 5);
        let dropout = Dropout { part: 0.25, address, number: 1 };
        let of = |dropout: Dropout, row: u32| {
            let mut values = vec![1.0; 100_000];
            dropout.apply(row, &mut values);
            values
        };
        let values = of(dropout, 7);
        let dropped = values.iter().filter(|x| **x == 0.0).count();
        // Five deviations of a binomial with n = 100,000 and p = 1/4.
        assert!(dropped.abs_diff(25_000) < 685, "{dropped}");
        assert!(values.iter().all(|x| *x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(values, of(dropout, 7));
        assert_ne!(values, of(dropout, 8));
        assert_ne!(values, of(Dropout { number: 2, ..dropout }, 7));
        assert!(of(Dropout { part: 0.0, ..dropout }, 7).iter().all(|x| *x == 1.0));
        let worth = (0..10_000).map(|column| dropout.factor(1, column)).sum::<f32>() / 1e4;
        assert!((worth - 1.0).abs() < 0.03, "{worth}");
    }
}
