//! Platt scaling: a sigmoid, fitted by Newton's method.
//!
//! *Paper:* Platt, "Probabilistic outputs for support vector machines" (1999), with its targets,
//! which keep a probability off 0 and 1; Lin, Lin, Weng (2007) for the iteration.

use super::{Calibration, Curve};

/// A sigmoid of the score.
#[derive(Debug)]
pub struct Platt;

impl Calibration for Platt {
    fn name(&self) -> &'static str {
        "platt"
    }
    fn summary(&self) -> &'static str {
        "a sigmoid of the score; two numbers, so few examples are enough"
    }
    fn formula(&self) -> &'static str {
        "P = σ(a·s + b), a ≥ 0"
    }
    fn paper(&self) -> &'static str {
        "Platt: Probabilistic Outputs for Support Vector Machines (1999)"
    }
    fn fit(&self, examples: &[(f32, bool)]) -> Curve {
        const STEPS: usize = 100;
        let n_facts = examples.iter().filter(|(_, fact)| *fact).count() as f64;
        let n_others = examples.len() as f64 - n_facts;
        let targets = [1.0 / (n_others + 2.0), (n_facts + 1.0) / (n_facts + 2.0)];
        let target = |fact: bool| targets[usize::from(fact)];
        // In units of their spread around their mean, scores of any scale give a tame problem.
        let n = examples.len().max(1) as f64;
        let mean = examples.iter().map(|(score, _)| f64::from(*score)).sum::<f64>() / n;
        let square = |score: f32| (f64::from(score) - mean).powi(2);
        let spread = examples.iter().map(|(score, _)| square(*score)).sum::<f64>() / n;
        let spread = spread.sqrt().max(1e-12);
        let loss = |a: f64, b: f64| -> f64 {
            let one = |(score, fact): &(f32, bool)| {
                let x = a * (f64::from(*score) - mean) / spread + b;
                x.max(0.0) + (-x.abs()).exp().ln_1p() - target(*fact) * x
            };
            examples.iter().map(one).sum()
        };
        let (mut a, mut b) = (0.0, ((n_facts + 1.0) / (n_others + 1.0)).ln());
        for _ in 0..STEPS {
            let mut gradient = [0.0; 2];
            let mut hessian = [1e-9, 0.0, 1e-9];
            for (score, fact) in examples {
                let x = (f64::from(*score) - mean) / spread;
                let p = 1.0 / (1.0 + (-(a * x + b)).exp());
                let (off, weight) = (p - target(*fact), p * (1.0 - p));
                gradient = [gradient[0] + off * x, gradient[1] + off];
                hessian =
                    [hessian[0] + weight * x * x, hessian[1] + weight * x, hessian[2] + weight];
            }
            let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
            let step = [
                (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
                (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
            ];
            let (before, mut size) = (loss(a, b), 1.0);
            while size > 1e-6 && loss(a - size * step[0], b - size * step[1]) > before {
                size /= 2.0;
            }
            (a, b) = (a - size * step[0], b - size * step[1]);
            if step[0].abs().max(step[1].abs()) * size < 1e-10 {
                break;
            }
        }
        // A model that scores facts below the rest is no reason to turn its scores round.
        let slope = a.max(0.0) / spread;
        Curve::Sigmoid { slope, offset: b - slope * mean }
    }
}
