//! Calibrations: scores become probabilities that mean what they say.
//!
//! *Invariant:* a calibration never reorders: a higher score has no lower probability.

use std::path::Path;

use gossamer_machine::FileError;
use serde_json::{Value, json};

gossamer_machine::registry!("calibration", Calibration:
    platt::Platt,
    isotonic::Isotonic,
);

/// A way to learn probabilities from scores with a yes or no.
pub trait Calibration: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// Learns from scores and whether each is of a fact.
    fn fit(&self, examples: &[(f32, bool)]) -> Curve;
}

/// From scores to probabilities.
#[derive(Debug, Clone, PartialEq)]
pub enum Curve {
    /// σ(slope·score + offset).
    Sigmoid {
        /// Slope, not negative.
        slope: f64,
        /// Offset.
        offset: f64,
    },
    /// Straight lines between (score, probability) points, ascending in both; flat outside.
    Points(Vec<(f64, f64)>),
}

impl Curve {
    /// The probability of a score.
    pub fn probability(&self, score: f32) -> f64 {
        let score = f64::from(score);
        match self {
            Self::Sigmoid { slope, offset } => 1.0 / (1.0 + (-(slope * score + offset)).exp()),
            Self::Points(points) => {
                let after = points.partition_point(|(place, _)| *place <= score);
                let before = after.checked_sub(1).map(|before| points[before]);
                match (before, points.get(after).copied()) {
                    (None, None) => 0.5,
                    (None, Some((_, probability))) | (Some((_, probability)), None) => probability,
                    (Some((a, low)), Some((b, high))) => low + (high - low) * (score - a) / (b - a),
                }
            }
        }
    }
}

/// The file in a run folder that holds its curve.
pub const FILE: &str = "calibration.json";

/// Keeps a curve in a run folder, under the calibration's name.
///
/// # Errors
/// [`FileError`].
pub fn save(run: &Path, name: &str, curve: &Curve) -> Result<(), FileError> {
    let curve = match curve {
        Curve::Sigmoid { slope, offset } => json!({"slope": slope, "offset": offset}),
        Curve::Points(points) => json!({ "points": points }),
    };
    let text = json!({"calibration": name, "curve": curve}).to_string();
    gossamer_machine::file::write_whole(&run.join(FILE), text.as_bytes())
}

/// The curve of a run folder; none where it has none.
///
/// # Errors
/// [`FileError::Corrupt`] for a file that is none of ours.
pub fn load(run: &Path) -> Result<Option<Curve>, FileError> {
    let path = run.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = gossamer_machine::file::read_whole(&path)?;
    let curve = serde_json::from_slice(&bytes).ok().and_then(|value: Value| parse(&value["curve"]));
    curve.map(Some).ok_or_else(|| FileError::corrupt(&path, 0, "this is no calibration"))
}

fn parse(curve: &Value) -> Option<Curve> {
    if let (Some(slope), Some(offset)) = (curve["slope"].as_f64(), curve["offset"].as_f64()) {
        return Some(Curve::Sigmoid { slope, offset });
    }
    let pair = |point: &Value| Some((point[0].as_f64()?, point[1].as_f64()?));
    let points: Option<Vec<(f64, f64)>> = curve["points"].as_array()?.iter().map(pair).collect();
    points.filter(|points| points.is_sorted()).map(Curve::Points)
}

/// Expected calibration error: Σ over ten bins of equal width of their share times the distance
/// between mean probability and share of facts (Guo et al. 2017). 0 to 1, lower is better.
pub fn expected_error(judged: &[(f64, bool)]) -> f64 {
    const BINS: usize = 10;
    let mut bins = [(0.0, 0.0); BINS];
    for (probability, fact) in judged {
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += probability;
        bins[bin].1 += f64::from(u8::from(*fact));
    }
    let distance: f64 = bins.iter().map(|(said, found)| (said - found).abs()).sum();
    distance / judged.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    /// Scores in ±4 whose facts are drawn with probability σ(2s − 1).
    fn drawn(seed: u64) -> Vec<(f32, bool)> {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        (0..20_000)
            .map(|i| {
                let [a, b, ..] = address.symmetric(i, 0);
                let score = 4.0 * a;
                (score, (b + 1.0) / 2.0 < 1.0 / (1.0 + (1.0 - 2.0 * score).exp()))
            })
            .collect()
    }

    #[test]
    fn each_finds_planted_probabilities_and_keeps_the_order() {
        for calibration in ALL {
            let curve = calibration.fit(&drawn(1));
            let fresh: Vec<(f64, bool)> =
                drawn(2).iter().map(|(s, fact)| (curve.probability(*s), *fact)).collect();
            let error = expected_error(&fresh);
            assert!(error < 0.01, "{}: {error}", calibration.name());
            assert!((curve.probability(0.5) - 0.5).abs() < 0.05, "{}", calibration.name());
            let steps: Vec<f64> = (-60..60).map(|i| curve.probability(i as f32 / 10.0)).collect();
            assert!(steps.windows(2).all(|pair| pair[0] <= pair[1]), "{}", calibration.name());
        }
    }

    #[test]
    fn a_kept_curve_comes_back_and_nonsense_is_refused() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(load(root.path()).unwrap(), None);
        for calibration in ALL {
            let curve = calibration.fit(&drawn(3));
            save(root.path(), calibration.name(), &curve).unwrap();
            assert_eq!(load(root.path()).unwrap(), Some(curve));
        }
        for nonsense in ["", "{}", r#"{"curve":{"points":[[1,0.5],[0,0.1]]}}"#] {
            std::fs::write(root.path().join(FILE), nonsense).unwrap();
            assert!(load(root.path()).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn nothing_and_one_sided_examples_give_probabilities() {
        for calibration in ALL {
            for examples in [vec![], vec![(1.0, true)], vec![(1.0, true), (1.0, false)]] {
                let probability = calibration.fit(&examples).probability(1.0);
                assert!((0.0..=1.0).contains(&probability), "{}", calibration.name());
            }
        }
    }

    #[test]
    fn the_expected_error_follows_its_definition() {
        // One bin: says 0.95, finds 1 in 2. Another: says 0.25, finds none.
        let judged = [(0.95, true), (0.95, false), (0.25, false), (0.25, false)];
        assert!((expected_error(&judged) - (0.5 * 0.45 + 0.5 * 0.25)).abs() < 1e-12);
    }
}
