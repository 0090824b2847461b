//! What settings will be worth: small models are learned in full, and what they reach is carried to
//! larger ones.
//!
//! *Formula:* MRR(d) = m − c · d^−a, with m and c such that the curve meets the MRR of two small
//! models, and a = [`BEND`]; where more coordinates do harm, c is negative.
//! *Error:* that of two judgements by validation triples, some 2.5 times as large at a dim of 800.
//! *Measured:* `bench/plan`.

use std::path::Path;
use std::time::Duration;

use gossamer_graph::{Snapshot, Split};
use gossamer_machine::folder::remove_folder;
use gossamer_machine::{Machine, Observer};

use crate::config::Config;
use crate::error::Error;
use crate::train::watch::Watch;
use crate::train::{TrainRequest, train};

/// How fast MRR comes to rest as the dim grows.
pub const BEND: f64 = 0.6;

/// Dims of the models that are learned.
pub const LEARNED: [usize; 2] = [25, 50];

/// What settings will be worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Validation MRR.
    pub mrr: f64,
    /// True if they were learned, false if it is estimated.
    pub learned: bool,
}

/// MRR by dim, for settings that are otherwise the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve([f64; 2]);

impl Curve {
    /// Learns both small models in a folder of their own, which is then removed; none where there
    /// is nothing to judge by, or not the time.
    ///
    /// # Errors
    /// Those of [`train`]; [`Error::Stopped`] if the user stopped it.
    pub fn learn(
        graph: &Snapshot,
        of_dim: &dyn Fn(usize) -> Result<Config, Error>,
        (scratch, deadline): (&Path, Duration),
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<Option<Self>, Error> {
        if graph.n_triples(Split::Valid)? == 0 {
            return Ok(None);
        }
        let mut found = [0.0; 2];
        for (found, dim) in found.iter_mut().zip(LEARNED) {
            let config = of_dim(dim)?;
            let stage = format!("{} dim {dim}", config.form);
            let out = scratch.join("learned");
            let (replace, save_every) = (true, Duration::MAX);
            let request = TrainRequest { config, out, replace, save_every, ..Default::default() };
            let watch = Watch { observer, deadline, stage: &stage };
            let result = train(graph, &request, machine, &watch);
            remove_folder(&request.out)?;
            *found = match result {
                Ok(outcome) => outcome.best_mrr.unwrap_or(0.0),
                Err(Error::Stopped) if !observer.cancelled() => return Ok(None),
                Err(Error::Diverged { .. } | Error::BudgetTooSmall { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(Some(Self(found)))
    }

    /// What the settings are worth at a dim.
    pub fn at(&self, dim: usize) -> Worth {
        let Self(found) = self;
        if let Some(place) = LEARNED.iter().position(|learned| *learned == dim) {
            return Worth { mrr: found[place], learned: true };
        }
        let small = |dim: usize| (dim as f64).powf(-BEND);
        let [one, other] = LEARNED.map(small);
        let part = (one - small(dim)) / (one - other);
        let mrr = found[0] + part * (found[1] - found[0]);
        Worth { mrr: mrr.clamp(0.0, 1.0), learned: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_meets_what_was_learned_and_comes_to_rest() {
        let curve = Curve([0.33, 0.342]);
        assert_eq!(curve.at(25), Worth { mrr: 0.33, learned: true });
        assert_eq!(curve.at(50), Worth { mrr: 0.342, learned: true });
        let at = |dim| curve.at(dim).mrr;
        // Each doubling brings 2^−a of what the last one brought.
        let gains = [at(50) - at(25), at(100) - at(50), at(200) - at(100)];
        assert!((gains[1] / gains[0] - 2f64.powf(-BEND)).abs() < 1e-9);
        assert!((gains[2] / gains[1] - 2f64.powf(-BEND)).abs() < 1e-9);
        assert!(Curve([0.9, 0.8]).at(400).mrr < 0.8);
        assert_eq!(Curve([0.9, 0.1]).at(1600).mrr, 0.0);
    }
}
