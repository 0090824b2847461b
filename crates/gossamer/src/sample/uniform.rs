//! Uniform negatives: every entity equally likely.

use gossamer_machine::Address;

use super::Sampler;

/// Every entity equally likely.
#[derive(Debug)]
pub struct Uniform;

impl Sampler for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }
    fn summary(&self) -> &'static str {
        "every entity equally likely, with replacement; known answers are not removed"
    }
    fn formula(&self) -> &'static str {
        "P(e) = 1/N, up to 1/2³² of bias"
    }
    fn paper(&self) -> &'static str {
        "Bordes et al. (NeurIPS 2013)"
    }
    fn draw(&self, address: Address, row: u32, n_entities: u32, out: &mut [u32]) {
        for (column, four) in out.chunks_mut(4).enumerate() {
            let bits = address.bits(row, column as u32);
            for (out, bits) in four.iter_mut().zip(bits) {
                *out = ((u64::from(bits) * u64::from(n_entities)) >> 32) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn counts_are_even() {
        let mut counts = [0u32; 10];
        let mut out = vec![0; 100_000];
        Uniform.draw(Address::new(1, Purpose::Negative, 0), 0, 10, &mut out);
        out.iter().for_each(|id| counts[*id as usize] += 1);
        // Five deviations of a binomial with n = 100,000 and p = 0.1.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
    }
}
