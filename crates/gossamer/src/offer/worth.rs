//! What settings will be worth: small models are learned in full, and what they reach is carried to
//! larger ones.
//!
//! *Formula:* MRR(d) = m − c · d^−a, with a = [`BEND`], and m and c such that the curve is nearest to the MRR
//! of the small models (least squares; it meets two); where more coordinates do harm, c is negative.
//! *Error:* at a dim of 400, 1.4 times that of a judgement by validation triples where three were
//! learned, 2.7 times where two were.
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

/// Dims of the models that are learned: two that tell most for their time, and if there is more,
/// one that steadies what they tell.
pub const LEARNED: [&[usize]; 2] = [&[25, 50], &[100]];

/// What settings will be worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Validation MRR.
    pub mrr: f64,
    /// True if they were learned, false if it is estimated.
    pub learned: bool,
}

/// MRR by dim, for settings that are otherwise the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Dims with what was reached.
    learned: Vec<(usize, f64)>,
}

impl Curve {
    /// Learns small models in a folder of their own, which is then removed; none of them counts
    /// where there is nothing to judge by, or not the time for all.
    ///
    /// # Errors
    /// Those of [`train`]; [`Error::Stopped`] if the user stopped it.
    pub fn learn(
        &mut self,
        graph: &Snapshot,
        (dims, of_dim): (&[usize], &dyn Fn(usize) -> Result<Config, Error>),
        (scratch, deadline): (&Path, Duration),
        machine: &Machine,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        if graph.n_triples(Split::Valid)? == 0 {
            return Ok(());
        }
        let mut found = Vec::new();
        for dim in dims {
            let config = of_dim(*dim)?;
            let stage = format!("{} dim {dim}", config.form);
            let out = scratch.join("learned");
            let (replace, save_every) = (true, Duration::MAX);
            let request = TrainRequest { config, out, replace, save_every, ..Default::default() };
            let watch = Watch { observer, deadline, stage: &stage };
            let result = train(graph, &request, machine, &watch);
            remove_folder(&request.out)?;
            match result {
                Ok(outcome) => found.push((*dim, outcome.best_mrr.unwrap_or(0.0))),
                Err(Error::Stopped) if !observer.cancelled() => return Ok(()),
                Err(Error::Diverged { .. } | Error::BudgetTooSmall { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.learned.append(&mut found);
        Ok(())
    }

    /// True if it tells something.
    pub fn is_known(&self) -> bool {
        self.learned.len() > 1
    }

    /// What the settings are worth at a dim, if it is known.
    pub fn at(&self, dim: usize) -> Option<Worth> {
        if !self.is_known() {
            return None;
        }
        if let Some((_, mrr)) = self.learned.iter().find(|(learned, _)| *learned == dim) {
            return Some(Worth { mrr: *mrr, learned: true });
        }
        let small = |dim: usize| (dim as f64).powf(-BEND);
        let n = self.learned.len() as f64;
        let mean = |of: &dyn Fn(&(usize, f64)) -> f64| self.learned.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(&|(dim, _)| small(*dim)), mean(&|(_, mrr)| *mrr));
        let both = mean(&|(dim, mrr)| (small(*dim) - x) * (mrr - y));
        let slope = both / mean(&|(dim, _)| (small(*dim) - x).powi(2));
        let mrr = y + slope * (small(dim) - x);
        Some(Worth { mrr: mrr.clamp(0.0, 1.0), learned: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(learned: &[(usize, f64)]) -> Curve {
        Curve { learned: learned.to_vec() }
    }

    #[test]
    fn the_curve_meets_what_was_learned_and_comes_to_rest() {
        let two = curve(&[(25, 0.33), (50, 0.342)]);
        assert_eq!(two.at(25), Some(Worth { mrr: 0.33, learned: true }));
        assert_eq!(two.at(50), Some(Worth { mrr: 0.342, learned: true }));
        let at = |dim| two.at(dim).unwrap().mrr;
        // Each doubling brings 2^−a of what the last one brought.
        let gains = [at(50) - at(25), at(100) - at(50), at(200) - at(100)];
        assert!((gains[1] / gains[0] - 2f64.powf(-BEND)).abs() < 1e-9);
        assert!((gains[2] / gains[1] - 2f64.powf(-BEND)).abs() < 1e-9);
        assert!(curve(&[(25, 0.9), (50, 0.8)]).at(400).unwrap().mrr < 0.8);
        assert_eq!(curve(&[(25, 0.9), (50, 0.1)]).at(1600).unwrap().mrr, 0.0);
        assert_eq!([curve(&[]), curve(&[(25, 0.3)])].map(|of| of.at(50)), [None, None]);
    }

    #[test]
    fn a_third_model_draws_the_curve_to_it() {
        let two = curve(&[(25, 0.3351), (50, 0.3736)]);
        // On the curve of the two it changes nothing.
        let there = two.at(100).unwrap().mrr;
        let same = curve(&[(25, 0.3351), (50, 0.3736), (100, there)]).at(400).unwrap().mrr;
        assert!((same - two.at(400).unwrap().mrr).abs() < 1e-9);
        // CoDEx-S reaches .4007 at 400.
        let three = curve(&[(25, 0.3351), (50, 0.3736), (100, 0.3915)]);
        let off = |of: &Curve| (of.at(400).unwrap().mrr - 0.4007).abs();
        assert!(off(&three) < 0.02 && off(&two) > 0.02, "{} {}", off(&three), off(&two));
    }
}
