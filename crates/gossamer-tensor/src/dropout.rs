//! Dropout: which floats are left out is a function of where they stand, so that nothing is stored
//! between the ways forward and back.
//!
//! *Paper:* Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting"
//! (2014).

use gossamer_machine::{Address, InstructionSet};

use crate::kernel::left_out::{leave_out, worths};

/// What is left out of something.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The part that is left out; the others grow by 1/(1 − part).
    pub part: f32,
    /// The step's random numbers.
    pub address: Address,
    /// What makes many random numbers at once.
    pub instruction_set: InstructionSet,
    /// Tells the numbers of one thing from those of others of the step.
    pub number: u32,
}

impl Dropout {
    /// Random bits below this say that something is left out; and what the others are worth.
    fn least(self) -> (u32, f32) {
        ((f64::from(self.part) * 4_294_967_296.0) as u32, 1.0 / (1.0 - self.part))
    }

    /// What tells the columns of one thing from those of others.
    fn number(self) -> u32 {
        self.number.rotate_left(24)
    }

    /// True if anything is left out.
    pub fn is_any(self) -> bool {
        self.part > 0.0
    }

    /// Multiplies the floats of a row with what each is worth.
    pub fn apply(self, row: u32, values: &mut [f32]) {
        if self.part > 0.0 {
            let (least, grown) = self.least();
            leave_out(
                self.instruction_set,
                values,
                &self.address,
                row,
                self.number(),
                least,
                grown,
            );
        }
    }

    /// What the places of a row are worth, by their columns.
    pub fn factors(self, row: u32, columns: &[u32], out: &mut Vec<f32>) {
        self.worths((row, true), columns, out);
    }

    /// What the places of a column are worth, by their rows.
    pub fn factors_of_rows(self, column: u32, rows: &[u32], out: &mut Vec<f32>) {
        self.worths((column, false), rows, out);
    }

    fn worths(self, (own, is_row): (u32, bool), others: &[u32], out: &mut Vec<f32>) {
        out.clear();
        out.resize(others.len(), 1.0);
        if self.part > 0.0 {
            let ((least, grown), own) = (self.least(), [own, self.number()]);
            worths(self.instruction_set, others, &self.address, own, is_row, least, grown, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn the_mean_stays_and_what_is_left_out_is_told_by_the_place() {
        let address = Address::new(3, Purpose::Dropout, 5);
        let instruction_set = InstructionSet::detect();
        let dropout = Dropout { part: 0.25, address, instruction_set, number: 1 };
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
        let (columns, mut worth): (Vec<u32>, _) = ((0..10_000).collect(), Vec::new());
        dropout.factors(1, &columns, &mut worth);
        let mean = worth.iter().sum::<f32>() / 1e4;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
    }

    #[test]
    fn places_are_worth_the_same_from_both_sides_and_on_every_instruction_set() {
        let columns: Vec<u32> = (0..37).map(|i| i * i).collect();
        let mut rows = Vec::new();
        for instruction_set in InstructionSet::all() {
            let address = Address::new(3, Purpose::Dropout, 5);
            let dropout = Dropout { part: 0.4, address, instruction_set, number: 2 };
            let (mut by_row, mut by_column) = (Vec::new(), Vec::new());
            dropout.factors(9, &columns, &mut by_row);
            for (column, worth) in columns.iter().zip(&by_row) {
                dropout.factors_of_rows(*column, &[9], &mut by_column);
                assert_eq!(by_column, [*worth]);
                let [coin] = dropout.address.coins_of([9], [column ^ dropout.number()]);
                assert_eq!(*worth == 0.0, coin < dropout.least().0);
            }
            let mut values = vec![1.0; 75];
            dropout.apply(9, &mut values);
            rows.push(values);
        }
        assert!(rows.iter().all(|row| *row == rows[0]));
    }
}
