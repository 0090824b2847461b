//! Judging: filtered ranks, the numbers made of them, and what trivial rules would have scored.
//!
//! *Invariant:* evaluation holds the model, the triples and a block of scores per thread; its
//! memory does not grow with the number of triples judged, ranks aside (16 bytes each).
//! *Not here:* choosing a model; training calls [`rank`] on the validation split.

use gossamer_graph::cardinality::{AnswerCounts, Cardinality};
use gossamer_graph::mirror::{Mirror, Pairs};
use gossamer_graph::sampling::Sampling;
use gossamer_graph::stored::SplitTriples;
use gossamer_graph::{Side, Snapshot, Split, Triples};
use gossamer_machine::random::{Address, Permutation, Purpose};
use gossamer_machine::{Machine, Observer};

use crate::error::Error;
use crate::model::Run;
use crate::plan::ranking::FILTERED_QUERIES;

pub mod candidates;
pub mod known;
pub mod baseline;
pub mod metric;
pub mod rank;
mod screened;
mod strips;
mod taken_out;
pub mod bits;
pub mod calibration;
pub mod classify;
pub mod compare;

pub use baseline::BaselineScores;
pub use candidates::Candidates;
pub use known::Known;
pub use rank::{Judge, Rank};

/// How to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateRequest {
    /// The split to judge on.
    pub split: Split,
    /// Stop when the 95 % interval of MRR is at most ± this; none: judge every triple.
    pub half_width: Option<f64>,
    /// Judge at most so many triples, drawn at random; none: no such limit.
    pub most_triples: Option<usize>,
    /// Seed of the sample.
    pub seed: u64,
    /// Who competes.
    pub candidates: Candidates,
}

impl Default for EvaluateRequest {
    /// The whole test split, all entities competing.
    fn default() -> Self {
        let candidates = Candidates::All;
        Self { split: Split::Test, half_width: None, most_triples: None, seed: 0, candidates }
    }
}

impl EvaluateRequest {
    /// How many triples of a graph are judged at most.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn n_judged(&self, graph: &Snapshot) -> Result<u64, Error> {
        let all = graph.n_triples(self.split)?;
        Ok(self.most_triples.map_or(all, |most| all.min(most as u64)))
    }
}

/// The metrics of some ranks, in the order of [`metric::ALL`].
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// How many ranks.
    pub n_ranks: usize,
    /// A value per metric.
    pub values: Vec<f64>,
}

impl Scores {
    /// Of some ranks.
    pub fn of(ranks: &[Rank]) -> Self {
        let values = metric::ALL.iter().map(|metric| metric.value(ranks)).collect();
        Self { n_ranks: ranks.len(), values }
    }

    /// The mean reciprocal rank: the first metric.
    pub fn mrr(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }
}

/// What an evaluation found.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Both sides.
    pub both: Scores,
    /// Tails asked, then heads asked.
    pub sides: [Scores; 2],
    /// By relation id.
    pub by_relation: Vec<(u32, Scores)>,
    /// By tenths of the answers' training degree, with the least and the most degree of each.
    pub by_degree: Vec<([u32; 2], Scores)>,
    /// By the relation's cardinality.
    pub by_cardinality: Vec<(Cardinality, Scores)>,
    /// What trivial rules score on the same ranks.
    pub baselines: Vec<(&'static str, Scores)>,
    /// Half of the 95 % interval of MRR, over triples.
    pub half_width: f64,
    /// Triples judged, and triples there are.
    pub n_triples: [usize; 2],
    /// Who competed for each answer, known answers and itself among them.
    pub n_candidates: usize,
    /// Every rank.
    pub ranks: Vec<Rank>,
    /// The triples judged; a rank names its place here.
    pub triples: Vec<[u32; 3]>,
}

/// Judges a run on a split.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] when the observer cancels.
pub fn evaluate(
    run: &Run,
    request: &EvaluateRequest,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Evaluation, Error> {
    let n_judged = Some(request.n_judged(&run.graph)?);
    let plan = crate::plan::evaluate_plan(&run.config, &run.graph, n_judged, machine)?;
    let held = |split: Split| {
        run.graph.held(split, split != Split::Train || plan.triples_held).map_err(Error::from)
    };
    let [train, valid, test] = Split::ALL.map(held);
    let splits = [train?, valid?, test?];
    let (train, judged) = (&splits[Split::Train as usize], &splits[request.split as usize]);
    if judged.is_empty() {
        return Err(Error::Request {
            what: format!("the graph has no {} triples", request.split.name()),
            hint: "import with --split 90/5/5, or with train, valid and test files".into(),
        });
    }
    let model = run.model_with(plan.partitions_held > 0)?;
    // The filter removes the answers of all splits.
    let parts: Vec<&Triples> = splits.iter().filter_map(SplitTriples::here).collect();
    let known = Known::new(&parts).with(train.stored());
    let judge = Judge { model: &model, known, candidates: &request.candidates, machine };
    let (triples, ranks) = judge_triples(&judge, judged, request, observer)?;
    model.entities.failure()?;
    let counted = Counted::of(train, [model.entities.n_rows(), model.n_relations]);
    let (degrees, kinds) = (&counted.degrees, &counted.kinds);
    let baselines = baseline::scores(&judge, train, (degrees, counted.mirrors), (&triples, &ranks));
    let mut evaluation = summarise((degrees, kinds), triples, ranks);
    train.failure()?;
    evaluation.baselines = baselines;
    evaluation.n_triples[1] = judged.len();
    evaluation.n_candidates = request.candidates.len(model.entities.n_rows());
    let left = 1.0 - evaluation.n_triples[0] as f64 / judged.len() as f64;
    if evaluation.n_triples[0] < judged.len() {
        // Without replacement, the interval closes as the sample becomes the whole.
        evaluation.half_width *= left.sqrt();
    }
    Ok(evaluation)
}

fn judge_triples(
    judge: &Judge<'_>,
    judged: &SplitTriples,
    request: &EvaluateRequest,
    observer: &dyn Observer,
) -> Result<(Vec<[u32; 3]>, Vec<Rank>), Error> {
    /// Triples between two looks at the interval.
    const TRIPLES: usize = 512;
    /// Triples whose known answers are found in one pass.
    const FILTERED: usize = FILTERED_QUERIES / 2;
    let most = request.most_triples.unwrap_or(usize::MAX).min(judged.len());
    if most == judged.len() && request.half_width.is_none() {
        let mut triples = Vec::with_capacity(judged.len());
        judged.for_each(|triple| triples.push(triple));
        let ranks = judge.ranks(&triples, "evaluating", observer)?;
        return Ok((triples, ranks));
    }
    let address = Address::new(request.seed, Purpose::Sample, 0);
    let order = Permutation::new(judged.len() as u64, address);
    let (mut triples, mut ranks) = (Vec::new(), Vec::new());
    let together = if request.half_width.is_some() { TRIPLES } else { FILTERED };
    while triples.len() < most {
        let end = (triples.len() + together).min(most);
        let next: Vec<[u32; 3]> =
            (triples.len()..end).map(|i| judged.get(order.get(i as u64) as usize)).collect();
        let more = judge.ranks(&next, "evaluating a sample", observer)?;
        let offset = triples.len() as u32;
        ranks.extend(more.into_iter().map(|rank| Rank { triple: rank.triple + offset, ..rank }));
        triples.extend(next);
        let left = 1.0 - triples.len() as f64 / judged.len() as f64;
        if request.half_width.is_some_and(|wanted| half_width(&ranks) * left.sqrt() <= wanted) {
            break;
        }
    }
    Ok((triples, ranks))
}

/// Half of the 95 % interval of MRR, taking the mean of a triple's ranks as one draw.
pub fn half_width(ranks: &[Rank]) -> f64 {
    let mut sums: std::collections::HashMap<u32, (f64, f64)> = std::collections::HashMap::new();
    for rank in ranks {
        let entry = sums.entry(rank.triple).or_default();
        *entry = (entry.0 + 1.0 / rank.realistic(), entry.1 + 1.0);
    }
    let n = sums.len() as f64;
    if n < 2.0 {
        return f64::INFINITY;
    }
    let mut draws: Vec<f64> = sums.into_values().map(|(sum, n)| sum / n).collect();
    // A fixed order of addition, whatever the map's.
    draws.sort_by(f64::total_cmp);
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    1.96 * (variance / n).sqrt()
}

/// What one pass over the training triples counts.
struct Counted {
    degrees: Vec<u32>,
    /// By relation.
    kinds: Vec<Cardinality>,
    mirrors: Vec<Mirror>,
}

impl Counted {
    /// Of so many entities and relations. Of a large graph a sample tells which relations mirror
    /// each other, and which have many answers.
    fn of(train: &SplitTriples, [n_entities, n_relations]: [usize; 2]) -> Self {
        let sampling = Sampling::of(train.len() as u64);
        let mut degrees = vec![0; n_entities];
        let mut answers = AnswerCounts::new(n_relations, sampling);
        let mut pairs = Pairs::new(sampling);
        train.for_each(|triple| {
            degrees[triple[0] as usize] += 1;
            degrees[triple[2] as usize] += 1;
            answers.push(triple);
            pairs.push(triple);
        });
        let mirrors = pairs.mirrors(baseline::LEAST_SHARE, 2);
        Self { degrees, kinds: answers.cardinalities(), mirrors }
    }
}

fn summarise(
    (degrees, kinds): (&[u32], &[Cardinality]),
    triples: Vec<[u32; 3]>,
    ranks: Vec<Rank>,
) -> Evaluation {
    let of = |keep: &dyn Fn(&Rank) -> bool| {
        let kept: Vec<Rank> = ranks.iter().filter(|rank| keep(rank)).copied().collect();
        Scores::of(&kept)
    };
    let relation_of = |rank: &Rank| triples[rank.triple as usize][1];
    let by_relation = groups(&ranks, relation_of);
    let by_cardinality = groups(&ranks, |rank| kinds[relation_of(rank) as usize]);
    let degree_of = |rank: &Rank| degrees[rank.answer(&triples) as usize];
    let mut by_answer: Vec<Rank> = ranks.clone();
    by_answer.sort_by_key(|rank| degree_of(rank));
    let by_degree = (0..10)
        .map(|tenth| &by_answer[by_answer.len() * tenth / 10..by_answer.len() * (tenth + 1) / 10])
        .filter_map(|part| {
            let (first, last) = part.first().zip(part.last())?;
            Some(([degree_of(first), degree_of(last)], Scores::of(part)))
        })
        .collect();
    Evaluation {
        both: Scores::of(&ranks),
        sides: Side::BOTH.map(|side| of(&|rank| rank.side == side)),
        by_relation,
        by_degree,
        by_cardinality,
        baselines: Vec::new(),
        half_width: half_width(&ranks),
        n_triples: [triples.len(); 2],
        n_candidates: degrees.len(),
        ranks,
        triples,
    }
}

fn groups<K: Ord + Copy>(ranks: &[Rank], key: impl Fn(&Rank) -> K) -> Vec<(K, Scores)> {
    let mut sorted: Vec<Rank> = ranks.to_vec();
    sorted.sort_by_key(|rank| key(rank));
    sorted
        .chunk_by(|a, b| key(a) == key(b))
        .map(|group| (key(&group[0]), Scores::of(group)))
        .collect()
}
