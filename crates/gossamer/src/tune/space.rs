//! The space that tuning searches: the same for every graph.
//!
//! *Invariant:* trial i of a seed is a pure function of (seed, i, the graph's size); trial 0 is the
//! default configuration.

use gossamer_machine::{Address, Purpose};
use gossamer_tensor::kernel::Similarity;

use crate::config::{Config, Precision};
use crate::error::Error;
use crate::score;

/// Score functions, the likelier the more often they are named.
const MODELS: [&str; 8] =
    ["complex", "complex", "complex", "complex", "cp", "quate", "rescal", "transe-l2"];
/// Floats of an entity's row, as powers of two.
const WIDTHS: [u32; 2] = [6, 10];
/// Floats of a relation's row are at most these: RESCAL's are the square of an entity's.
const MOST_RELATION_FLOATS: usize = 1 << 14;

/// Draws a trial's settings, one column of random numbers for each.
struct Draw {
    address: Address,
    trial: u32,
}

impl Draw {
    fn one_of<T: Copy>(&self, column: u32, choices: &[T]) -> T {
        choices[self.address.below(choices.len() as u64, self.trial, column) as usize]
    }

    /// Evenly between the logarithms of two numbers.
    fn between(&self, column: u32, low: f32, high: f32) -> f32 {
        let part = self.address.unit(self.trial, column) as f32;
        let value = low * (high / low).powf(part);
        // Three digits are all that a setting's effect is known to.
        format!("{value:.2e}").parse().unwrap_or(value)
    }
}

/// The configuration of a trial, but for its epochs.
///
/// # Errors
/// None but those of the defaults.
pub fn trial(seed: u64, trial: u32, graph: (u64, u64)) -> Result<Config, Error> {
    let draw = Draw { address: Address::new(seed, Purpose::Trial, 0), trial };
    if trial == 0 {
        return Config::from_settings(&[], Some(graph));
    }
    let model = draw.one_of(0, &MODELS);
    let function = score::find(model)?;
    let mut config = Config::for_model(model)?.suited_to(graph.0, graph.1);
    let width = 1 << (WIDTHS[0] + draw.one_of(1, &[0, 1, 2, 3, 4]).min(WIDTHS[1] - WIDTHS[0]));
    config.dim = (width / function.widths(1).entity).max(1);
    while function.widths(config.dim).relation > MOST_RELATION_FLOATS {
        config.dim /= 2;
    }
    config.schedule = "linear".into();
    config.dropout = draw.one_of(10, &[0.0, 0.0, 0.1, 0.2]);
    config.batch = 1 << draw.one_of(2, &[5, 6, 7, 8, 9, 10]);
    let rate = config.learning_rate;
    config.learning_rate = draw.between(3, 0.3 * rate, 3.0 * rate);
    config.initial = function.habits().first_scale(config.dim, config.margin);
    if function.similarity() == Similarity::Dot {
        config.precision = Precision::Bf16;
        config.regulariser = draw.one_of(4, &["n3", "n3", "dura"]).into();
        config.regularisation = draw.between(5, 0.002, 0.3);
        config.relation_prediction = 0.0;
        config.label_smoothing = draw.one_of(6, &[0.0, 0.0, 0.1]);
        if function.linear_in_relation() && draw.one_of(7, &[true, false]) {
            config.relation_prediction = draw.between(8, 0.03, 4.0);
        }
    } else {
        config.negatives = draw.one_of(9, &[64, 256, 1024]);
    }
    config.check()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_valid_differ_and_come_again() {
        let mut seen: Vec<Config> = Vec::new();
        for number in 0..200 {
            let config = trial(7, number, (2000, 30_000)).unwrap();
            assert_eq!(config, trial(7, number, (2000, 30_000)).unwrap());
            crate::form::of(&config).unwrap();
            assert!(!seen.contains(&config), "trial {number} was there before");
            seen.push(config);
        }
        let models: std::collections::BTreeSet<&str> =
            seen.iter().map(|config| config.model.as_str()).collect();
        assert_eq!(models.len(), 5, "{models:?}");
        assert_eq!(seen[0], Config::from_settings(&[], Some((2000, 30_000))).unwrap());
    }
}
