//! Isotonic regression: the best non-descending probabilities, by pooling adjacent violators.
//!
//! *Paper:* Zadrozny, Elkan, "Transforming classifier scores into accurate multiclass probability
//! estimates" (2002).

use super::{Calibration, Curve};

/// Non-descending steps, joined by lines.
#[derive(Debug)]
pub struct Isotonic;

/// Examples that share a probability.
struct Pool {
    scores: f64,
    facts: f64,
    n: f64,
}

impl Calibration for Isotonic {
    fn name(&self) -> &'static str {
        "isotonic"
    }
    fn summary(&self) -> &'static str {
        "any rising curve; wants some hundred examples"
    }
    fn formula(&self) -> &'static str {
        "P = argmin Σ (P(s) − y)² over non-descending P, lines between the pools' means"
    }
    fn paper(&self) -> &'static str {
        "Zadrozny, Elkan: Transforming Classifier Scores into Accurate Multiclass Probability \
         Estimates (KDD 2002)"
    }
    fn fit(&self, examples: &[(f32, bool)]) -> Curve {
        let mut sorted = examples.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pools: Vec<Pool> = Vec::new();
        // Equal scores are one example from the start.
        for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
            let n = equal.len() as f64;
            let facts = equal.iter().filter(|(_, fact)| *fact).count() as f64;
            let mut pool = Pool { scores: n * f64::from(equal[0].0), facts, n };
            while let Some(last) = pools.last()
                && last.facts * pool.n >= pool.facts * last.n
            {
                pool.scores += last.scores;
                pool.facts += last.facts;
                pool.n += last.n;
                pools.pop();
            }
            pools.push(pool);
        }
        Curve::Points(pools.iter().map(|p| (p.scores / p.n, p.facts / p.n)).collect())
    }
}
