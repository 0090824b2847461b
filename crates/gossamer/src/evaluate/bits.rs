//! Stored bits: how much of the training triples a model's tables hold, and per byte of them.
//!
//! ```text
//! bits = ½ · Σ over training triples and both sides of (log₂ N − cross-entropy in bits)
//! ```
//!
//! The cross-entropy is the softmax's over all N entities. A model that knows nothing stores no bits;
//! one that names every answer stores log₂ N for each triple. It means something for models that
//! learned with a softmax; others have scores of another scale.
//!
//! Cost: 2·N·width floating-point operations per distinct query.

use std::sync::atomic::{AtomicU64, Ordering};

use gossamer_graph::{Adjacency, Split};
use gossamer_machine::{Machine, Observer, Progress};
use gossamer_tensor::kernel::softmax::{LogSumExp, exp_columns, raise_to_columns};

use crate::error::Error;
use crate::model::{Asked, Model, Run};
use crate::plan::ranking::RANKED_QUERIES as QUERIES;
use crate::table::PANEL_ROWS;

/// What the tables of a run hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stored {
    /// Bits about the training triples.
    pub bits: f64,
    /// Training triples.
    pub n_triples: u64,
    /// Bytes of the tables.
    pub table_bytes: u64,
}

impl Stored {
    /// Bits in a byte of the tables.
    pub fn per_byte(&self) -> f64 {
        self.bits / self.table_bytes.max(1) as f64
    }
}

/// Measures a finished run on its training triples.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] when the observer cancels.
pub fn stored(run: &Run, machine: &Machine, observer: &dyn Observer) -> Result<Stored, Error> {
    let plan = crate::plan::bits_plan(&run.config, &run.graph, machine)?;
    let n_entities = run.graph.entities().len();
    let train = run.graph.triples(Split::Train)?;
    let known = Adjacency::build(n_entities, &[&train]);
    let model = run.model_with(plan.partitions_held > 0)?;
    let n_queries = known.n_queries();
    let done = AtomicU64::new(0);
    let blocks = machine.workers.map(n_queries.div_ceil(QUERIES), |block| {
        if observer.cancelled() {
            return None;
        }
        let queries = block * QUERIES..((block + 1) * QUERIES).min(n_queries);
        let n = queries.len() as u64;
        let entropy = cross_entropy(&model, &known, queries, machine);
        let done = done.fetch_add(n, Ordering::Relaxed) + n;
        let (stage, unit, total) = ("counting bits", "queries", n_queries as u64);
        observer.progress(&Progress { stage, done, total, unit, detail: "" });
        Some(entropy)
    });
    let entropy = blocks.into_iter().sum::<Option<f64>>().ok_or(Error::Stopped)?;
    model.entities.failure()?;
    let bits = train.len() as f64 * (n_entities as f64).log2() - entropy / 2.0;
    let table_bytes = model.entities.bytes() + model.relations.bytes();
    Ok(Stored { bits, n_triples: train.len() as u64, table_bytes })
}

/// The cross-entropy of all answers of some queries, in bits.
fn cross_entropy(
    model: &Model,
    known: &Adjacency,
    queries: std::ops::Range<usize>,
    machine: &Machine,
) -> f64 {
    let (isa, columns) = (machine.instruction_set, model.columns());
    let similarity = model.function.similarity();
    let queries: Vec<_> = queries.map(|query| known.query(query)).collect();
    let asked = |query: &gossamer_graph::adjacency::Query<'_>| {
        let (side, known, relation) = (query.side, query.known, query.relation);
        Asked { side, known, relation }
    };
    let asked: Vec<Asked> = queries.iter().map(asked).collect();
    let m = asked.len();
    let mut folded = vec![0.0; m * columns.queries.width];
    model.fold(machine, &asked, &mut folded);
    let packed = similarity.pack(isa, &folded, columns);
    let (mut sums, mut scores) = (vec![LogSumExp::EMPTY; m], vec![0.0; m * PANEL_ROWS]);
    let mut of_answers = 0.0;
    let mut room = Vec::new();
    for index in 0..model.entities.n_panels() {
        let panel = model.entities.panel(index, &mut room);
        let n = panel.rows.len() / columns.rows.width;
        let scores = &mut scores[..m * n];
        similarity.scores_by_row(isa, &packed, panel.rows, columns, scores);
        for (place, query) in queries.iter().enumerate() {
            let first = query.answers.partition_point(|answer| *answer < panel.first);
            let here = query.answers[first..].iter().map(|answer| (answer - panel.first) as usize);
            let found = here.take_while(|row| *row < n).map(|row| scores[row * m + place]);
            of_answers += found.map(f64::from).sum::<f64>();
        }
        let (mut maxima, mut parts) = (vec![f32::NEG_INFINITY; m], vec![0.0; m]);
        raise_to_columns(isa, scores, &mut maxima);
        exp_columns(isa, scores, &maxima, &mut parts);
        for (sum, (max, part)) in sums.iter_mut().zip(maxima.into_iter().zip(parts)) {
            *sum = sum.join(LogSumExp { max, sum: part });
        }
    }
    let weighed = sums.iter().zip(&queries);
    let all = weighed.map(|(sum, query)| f64::from(sum.value()) * query.answers.len() as f64);
    (all.sum::<f64>() - of_answers) * std::f64::consts::LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use gossamer_graph::Triples;

    #[test]
    fn the_cross_entropy_equals_its_definition() {
        let config = Config { dim: 3, initial: 1.0, ..Config::for_model("distmult").unwrap() };
        let model = Model::initial(&config, [700, 2], &Machine::new(1, None).workers).unwrap();
        let triples = Triples::from_rows(vec![[0, 0, 699], [0, 0, 3], [5, 1, 512], [6, 1, 0]]);
        let known = Adjacency::build(700, &[&triples]);
        let found = cross_entropy(&model, &known, 0..known.n_queries(), &Machine::new(1, None));
        let mut exact = 0.0;
        for query in (0..known.n_queries()).map(|query| known.query(query)) {
            let asked = Asked { side: query.side, known: query.known, relation: query.relation };
            let mut folded = vec![0.0; 3];
            model.fold(&Machine::new(1, None), &[asked], &mut folded);
            let score = |id: u32| -> f64 {
                let mut room = Vec::new();
                let row = model.entities.row(id, &mut room).iter();
                row.zip(&folded).map(|(e, q)| f64::from(*e) * f64::from(*q)).sum()
            };
            let all = (0..700).map(|id| score(id).exp()).sum::<f64>().ln();
            exact +=
                query.answers.iter().map(|answer| (all - score(*answer)) / 2f64.ln()).sum::<f64>();
        }
        assert!((found - exact).abs() < 1e-3, "{found} {exact}");
    }
}
