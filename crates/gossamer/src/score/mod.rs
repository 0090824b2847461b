//! Score functions: how plausible a triple is, as similarity(fold(known, condition), candidate).
//!
//! The fold turns the known entity's row and the relation's row into a query; a similarity from the
//! closed list of `gossamer-tensor` compares the query with every candidate. Higher is more
//! plausible, always.
//!
//! A condition is the relation's row, or with a core that row times the core
//! ([`conditions`](crate::model::conditions)).
//!
//! *Invariant:* a score depends on rows alone. With reciprocal relations only tails are ever
//! predicted: (?, r, t) is asked as (t, r⁻¹, ?), r⁻¹ having a row of its own.
//! *Not here:* losses; scores have no margin and no sigmoid.

use std::ops::Range;

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

gossamer_machine::registry!("score function", ScoreFunction:
    complex::ComplEx,
    distmult::DistMult,
    transe::TransE + TransEL2,
    rotate::RotatE,
    simple::SimplE,
    cp::Cp,
    rescal::Rescal,
    tucker::TuckEr,
    quate::QuatE,
    autosf::AUTO_SF,
    pairre::PairRE,
    mure::MuRE,
    hake::Hake,
);

/// Floats of the rows that a score function needs at a dim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Of an entity.
    pub entity: usize,
    /// Of a relation.
    pub relation: usize,
    /// Of a query: an entity's, unless it brings weights for an entity's coordinates.
    pub query: usize,
}

/// First values of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// Normal with mean 0 and this deviation.
    Normal(f32),
    /// Uniform in ± this bound.
    Uniform(f32),
}

/// How a regulariser sees the floats of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// Each float is a coordinate.
    Real,
    /// Halves hold real and imaginary parts; a coordinate's size is its modulus.
    Complex,
    /// Angles, or angles among others: size means nothing, so they are not regularised.
    Angles,
}

/// What suits a score function where the user says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// Training form.
    pub form: &'static str,
    /// Loss.
    pub loss: &'static str,
    /// Optimiser.
    pub optimiser: &'static str,
    /// Learning rate.
    pub learning_rate: f32,
    /// How it moves over the epochs.
    pub schedule: &'static str,
    /// A second row for each relation, for predicting heads.
    pub reciprocal: bool,
    /// Weight of the regulariser; zero for none.
    pub regularisation: f32,
    /// Weight of predicting relations; zero for none.
    pub relation_prediction: f32,
    /// Queries per batch.
    pub batch: usize,
    /// First values of entity rows.
    pub initial: Initial,
    /// True if their scale is (margin + 2) / dim instead (Sun et al. 2019): distances begin near
    /// the margin at any dim.
    pub within_margin: bool,
}

impl Habits {
    /// The scale of first values at this dim.
    pub fn first_scale(&self, dim: usize, margin: f32) -> f32 {
        match self.initial {
            _ if self.within_margin => (margin + 2.0) / dim as f32,
            Initial::Normal(scale) | Initial::Uniform(scale) => scale,
        }
    }
}

/// Settings of the bilinear family, after Lacroix et al. 2018 (Adagrad 0.1, N3 0.05, N(0, 1e-3)).
pub const BILINEAR: Habits = Habits {
    form: "1-vs-all",
    loss: "softmax-cross-entropy",
    optimiser: "adagrad",
    learning_rate: 0.1,
    schedule: "constant",
    reciprocal: true,
    regularisation: 0.05,
    relation_prediction: 0.0,
    batch: 256,
    initial: Initial::Normal(1e-3),
    within_margin: false,
};

/// Settings of distances that learn from drawn negatives, after Sun et al. 2019, the step as large
/// as a few epochs want it.
pub const DISTANCE: Habits = Habits {
    form: "negative-sampling",
    loss: "self-adversarial",
    optimiser: "adam",
    learning_rate: 1e-3,
    schedule: "linear",
    reciprocal: false,
    regularisation: 0.0,
    relation_prediction: 0.0,
    batch: 1024,
    initial: Initial::Uniform(0.11),
    within_margin: true,
};

/// How plausible a triple is.
pub trait ScoreFunction: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it is good at, in a line.
    fn summary(&self) -> &'static str;
    /// Formula of the score of (h, r, t).
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// The same with another structure of blocks, or what is wrong with that; none if it has no
    /// blocks.
    fn of_blocks(&self, _blocks: &str) -> Option<Result<&'static dyn ScoreFunction, String>> {
        None
    }
    /// Widths of the rows at this dim.
    fn widths(&self, dim: usize) -> Widths;
    /// Floats of what is folded with: a relation's row, unless a core makes it of that row.
    fn condition_width(&self, dim: usize) -> usize {
        self.widths(dim).relation
    }
    /// How a query is compared with a candidate.
    fn similarity(&self) -> Similarity;
    /// The floats of an entity's row with which it answers when tails are asked for; a query is
    /// zero elsewhere.
    fn answering(&self, dim: usize) -> Range<usize> {
        0..self.widths(dim).query
    }
    /// The query for (known, condition) when `side` is asked for. All slices have their widths.
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]);
    /// Adds what the query's gradient says of the known row and the condition to their gradients.
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    );
    /// How regularisers see an entity's row and a relation's row.
    fn coordinates(&self) -> (Coordinates, Coordinates) {
        (Coordinates::Real, Coordinates::Real)
    }
    /// True if the score is linear in the relation's row.
    fn linear_in_relation(&self) -> bool {
        self.similarity() == Similarity::Dot
    }
    /// True if entity rows keep length 1.
    fn unit_entities(&self) -> bool {
        false
    }
    /// True if score(h, r, t) = score(t, r, h) for all rows.
    fn symmetric(&self) -> bool {
        false
    }
    /// What suits it.
    fn habits(&self) -> Habits;
    /// First values of the core, where there is one.
    fn initial_core(&self) -> Initial {
        Initial::Uniform(0.0)
    }
    /// First values of relation rows, where they differ from the entities'.
    fn initial_relation(&self) -> Option<Initial> {
        None
    }
}

/// What a fold was made of, and the gradient of what it made.
#[derive(Debug, Clone, Copy)]
pub struct Folded<'a> {
    /// The known entity's row.
    pub known: &'a [f32],
    /// The relation's row.
    pub condition: &'a [f32],
    /// ∂loss/∂query.
    pub gradient: &'a [f32],
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, InstructionSet, Purpose};

    fn row(width: usize, seed: u64) -> Vec<f32> {
        let address = Address::new(seed, Purpose::Synthetic, 0);
        (0..width as u32).map(|i| address.symmetric(i, 0)[0]).collect()
    }

    fn score(function: &dyn ScoreFunction, side: Side, h: &[f32], r: &[f32], t: &[f32]) -> f32 {
        let (known, candidate) = if side == Side::Tail { (h, t) } else { (t, h) };
        let similarity = function.similarity();
        let mut query = vec![0.0; similarity.query_width(h.len())];
        function.fold(side, known, r, &mut query);
        let mut out = [0.0];
        let isa = InstructionSet::detect();
        similarity.scores(isa, &query, &[candidate], &mut out);
        out[0]
    }

    #[test]
    fn both_sides_give_one_score_and_symmetry_is_as_declared() {
        for function in ALL {
            let widths = function.widths(5);
            let mut unequal = 0.0f32;
            for seed in 0..10 {
                let (h, t) = (row(widths.entity, seed), row(widths.entity, 100 + seed));
                let r = row(function.condition_width(5), 200 + seed);
                let tail = score(*function, Side::Tail, &h, &r, &t);
                let head = score(*function, Side::Head, &h, &r, &t);
                assert!((tail - head).abs() < 1e-5, "{}: {tail} {head}", function.name());
                unequal += (tail - score(*function, Side::Tail, &t, &r, &h)).abs();
            }
            assert_eq!(unequal < 1e-4, function.symmetric(), "{}", function.name());
        }
    }

    #[test]
    fn a_query_for_tails_is_zero_outside_of_what_answers() {
        for function in ALL {
            let widths = function.widths(5);
            assert_eq!(widths.query, function.similarity().query_width(widths.entity));
            let (known, condition) = (row(widths.entity, 1), row(function.condition_width(5), 2));
            let mut query = vec![9.0; widths.query];
            function.fold(Side::Tail, &known, &condition, &mut query);
            let answering = function.answering(5);
            let zero = |place: &usize| query[*place] == 0.0;
            assert!((0..widths.query).filter(|p| !answering.contains(p)).all(|place| zero(&place)));
            assert!(!answering.clone().all(|place| zero(&place)), "{}", function.name());
        }
    }

    #[test]
    fn what_is_linear_in_the_relation_is_declared() {
        for function in ALL {
            let widths = function.widths(5);
            let (h, t) = (row(widths.entity, 1), row(widths.entity, 2));
            let n = function.condition_width(5);
            let (one, two) = (row(n, 3), row(n, 4));
            let both: Vec<f32> = one.iter().zip(&two).map(|(a, b)| 2.0 * a - b).collect();
            let of = |r: &[f32]| score(*function, Side::Tail, &h, r, &t);
            let linear = (2.0 * of(&one) - of(&two) - of(&both)).abs() < 1e-5;
            let direct = n == widths.relation;
            assert_eq!(linear && direct, function.linear_in_relation(), "{}", function.name());
        }
    }

    #[test]
    fn fold_gradients_agree_with_finite_differences() {
        for function in ALL {
            let widths = function.widths(6);
            let n = function.condition_width(6);
            for side in Side::BOTH {
                let (known, condition) = (row(widths.entity, 1), row(n, 2));
                let gradient = row(widths.query, 3);
                let value = |known: &[f32], condition: &[f32]| -> f64 {
                    let mut query = vec![0.0; widths.query];
                    function.fold(side, known, condition, &mut query);
                    query.iter().zip(&gradient).map(|(q, g)| f64::from(*q) * f64::from(*g)).sum()
                };
                let folded = Folded { known: &known, condition: &condition, gradient: &gradient };
                let (mut dk, mut dc) = (vec![0.0; widths.entity], vec![0.0; n]);
                function.fold_backward(side, folded, &mut dk, &mut dc);
                let step = 1e-2f32;
                for i in 0..widths.entity {
                    let (mut up, mut down) = (known.clone(), known.clone());
                    up[i] += step;
                    down[i] -= step;
                    let slope = (value(&up, &condition) - value(&down, &condition))
                        / f64::from(up[i] - down[i]);
                    assert!(
                        (slope - f64::from(dk[i])).abs() < 1e-3,
                        "{} {side:?}",
                        function.name()
                    );
                }
                for i in 0..n {
                    let (mut up, mut down) = (condition.clone(), condition.clone());
                    up[i] += step;
                    down[i] -= step;
                    let slope =
                        (value(&known, &up) - value(&known, &down)) / f64::from(up[i] - down[i]);
                    assert!(
                        (slope - f64::from(dc[i])).abs() < 1e-3,
                        "{} {side:?}",
                        function.name()
                    );
                }
            }
        }
    }

    #[test]
    fn scores_equal_their_formula_on_small_numbers() {
        let of = |name: &str, h: &[f32], r: &[f32], t: &[f32]| {
            score(find(name).unwrap(), Side::Tail, h, r, t)
        };
        assert_eq!(of("cp", &[1.0, 2.0, 9.0, 9.0], &[3.0, 5.0], &[9.0, 9.0, 1.0, 0.5]), 8.0);
        let simple = of("simple", &[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]);
        assert_eq!(simple, 0.5 * (3.0 * 6.0 + 5.0 * 4.0 * 2.0));
        assert_eq!(of("rescal", &[1.0, 2.0], &[1.0, 10.0, 100.0, 1000.0], &[3.0, 4.0]), 8643.0);
        // (1 + 2i + 3j + 4k) ⊗ k = −4 + 3i − 2j + k; the relation is taken at length 1.
        let (h, r) = (&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0, 0.0, 2.0]);
        assert_eq!(of("quate", h, r, &[1.0, 10.0, 100.0, 1000.0]), -4.0 + 30.0 - 200.0 + 1000.0);
        assert_eq!(of("transe", &[1.0, 2.0], &[0.5, -1.0], &[1.0, 3.0]), -2.5);
        assert_eq!(of("transe-l2", &[1.0, 2.0], &[3.0, 2.0], &[1.0, 0.0]), -5.0);
        // (1·2 − 0.5·3) and (1·4 − 2·5).
        assert_eq!(of("pairre", &[1.0, 1.0], &[2.0, 4.0, 3.0, 5.0], &[0.5, 2.0]), -6.5);
        // (3·1 − 4 − 0.5)², biases 10 and 20.
        assert_eq!(of("mure", &[1.0, 10.0], &[2.0, 0.5], &[4.0, 20.0]), 27.75);
        // Moduli: 2·(1.5 + 0.5) − 3·(1 − 0.5), weight 2. Phases: 8 is half a circle; weight 4 − 3.
        let relation = &[0.5, 0.5, 1.0, 1.0, -3.0];
        let hake = of("hake", &[2.0, 1.0], relation, &[3.0, 6.0]);
        assert!((hake + 5.0 + std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-5, "{hake}");
        assert_eq!(of("distmult", &[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]), 63.0);
        // h = 1 + 2i, r = 3 + 4i, t = 5 + 6i: Re(h·r·conj(t)) = Re((−5 + 10i)(5 − 6i)) = 35.
        assert_eq!(of("complex", &[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]), 35.0);
        // A quarter turn takes 1 to i; |i − (−3i)| = 4.
        let quarter = std::f32::consts::FRAC_PI_2;
        assert!((of("rotate", &[1.0, 0.0], &[quarter], &[0.0, -3.0]) + 4.0).abs() < 1e-6);
    }
}
