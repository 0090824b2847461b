//! Sampled softmax: every answer of a query against the batch's answers and drawn entities that
//! stand for all others.
//!
//! An entity that is no answer of the batch is drawn with a chance p; its exponential counts 1/p
//! times. So the sum of exponentials is, in the mean, that over all entities, and a step costs what
//! is drawn instead of what there is. With as many negatives as entities it is 1-vs-all.
//! *Paper:* Bengio and Senécal (2008); Jean et al. (2015).

use gossamer_machine::{Buffers, Ledger, Machine};

use super::over_all::{self, Panels};
use super::{StepShape, TrainingForm};
use crate::config::Config;
use crate::error::Error;
use crate::form::batch::{Batch, Examples};
use crate::form::step::{Learner, Method, StepLoss};
use crate::loss::OverAll;
use crate::{loss, sample};

/// Sampled softmax.
#[derive(Debug)]
pub struct SampledSoftmax;

impl TrainingForm for SampledSoftmax {
    fn name(&self) -> &'static str {
        "sampled-softmax"
    }
    fn summary(&self) -> &'static str {
        "1-vs-all with the batch's answers and drawn entities in place of all; several epochs in the time of one"
    }
    fn formula(&self) -> &'static str {
        "Σ w·(log Σ e^score/p over answers of the batch (p = 1) and drawn entities − score of the answer), over Σ w"
    }
    fn paper(&self) -> &'static str {
        "Bengio, Senécal (IEEE TNN 2008); Jean et al. (ACL 2015)"
    }
    fn over_all(&self) -> bool {
        true
    }
    fn check(&self, config: &Config) -> Result<(), Error> {
        let wrong = |key: &str, what: String, hint: &str| {
            Err(Error::Setting { key: key.into(), what, hint: hint.into() })
        };
        let (sampler, loss) = (sample::find(&config.negative_sampler)?, loss::find(&config.loss)?);
        if loss.over_all() != Some(OverAll::Softmax) {
            let what = format!("{} is no softmax", config.loss);
            return wrong("loss", what, "use softmax-cross-entropy, or another form");
        }
        if sampler.own() || sampler.weighs_sides() {
            let what = format!("{} does not draw every entity equally", config.negative_sampler);
            return wrong("negative_sampler", what, "use uniform, or form negative-sampling");
        }
        if config.label_smoothing > 0.0 {
            let what = "a label cannot be spread over entities that are not drawn".into();
            return wrong("label_smoothing", what, "leave it out, or use form 1-vs-all");
        }
        Ok(())
    }
    fn n_items(&self, examples: Examples<'_>) -> u64 {
        examples.portions.len() as u64
    }
    fn batch(&self, examples: Examples<'_>, items: &[u64], _: &Method<'_>) -> Batch {
        Batch::of_portions(examples, items)
    }
    fn learn(
        &self,
        learner: &mut Learner,
        (_, batch): (Examples<'_>, Batch),
        method: &Method<'_>,
        machine: &Machine,
    ) -> StepLoss {
        let drawn = over_all::Drawn::new(learner, &batch, method, machine);
        over_all::step(learner, &batch, Some(&drawn), method, machine)
    }
    fn plan(&self, config: &Config, shape: &StepShape, kept_bytes: u64, ledger: &mut Ledger) {
        over_all::plan(config, shape, panels(config, shape), kept_bytes, ledger);
        let [rows, gradient, _] = drawn_bytes(config, shape);
        let words = format!("{} × {}", most(config, shape), shape.widths.entity);
        ledger.add("drawn entities", words, "f32", rows + gradient);
    }
    fn passing_bytes(&self, config: &Config, shape: &StepShape) -> [u64; 2] {
        let [_, _, left] = drawn_bytes(config, shape);
        [left, over_all::scratch_bytes(config, shape, panels(config, shape))]
    }
    fn most_kept_bytes(&self, config: &Config, shape: &StepShape) -> u64 {
        let n = most(config, shape);
        over_all::most_kept_bytes(config, &StepShape { n_entities: n, ..*shape })
    }
}

/// The most entities that a step looks at.
fn most(config: &Config, shape: &StepShape) -> u64 {
    shape.n_entities.min(config.negatives as u64 + shape.answers)
}

/// Bytes of these entities' rows; what the gradients that a step ends with take beyond the memory
/// of what came before them; and what they leave of it. Panels of scores have memory of their own,
/// in which nothing else waits.
fn drawn_bytes(config: &Config, shape: &StepShape) -> [u64; 3] {
    let rows = 4 * Buffers::roomy(most(config, shape) as usize * shape.widths.entity) as u64;
    let sums = over_all::sums_bytes(config, shape, panels(config, shape));
    let ending = rows + over_all::folded_bytes(config, shape);
    [rows, ending.saturating_sub(sums), sums.saturating_sub(ending)]
}

/// The panels that these make.
fn panels(config: &Config, shape: &StepShape) -> Panels {
    over_all::Drawn::panels(most(config, shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::batch::{Portion, portions};
    use crate::form::one_vs_all::OneVsAll;
    use crate::model::Model;
    use crate::table::Table;
    use gossamer_graph::{Adjacency, Triples};

    const N_ENTITIES: u32 = 700;

    fn config(model: &str, form: &dyn TrainingForm, negatives: usize) -> Config {
        let mut config = Config::for_model(model).unwrap();
        (config.form, config.loss) = (form.name().into(), "softmax-cross-entropy".into());
        (config.dim, config.initial, config.negatives) = (6, 0.7, negatives);
        (config.optimiser, config.learning_rate) = ("sgd".into(), 1.0);
        config.regularisation = 0.0;
        config
    }

    fn examples<'a>(
        triples: &'a Triples,
        adjacency: &'a Adjacency,
        portions: &'a [Portion],
    ) -> Examples<'a> {
        let (side_weights, pools, residents, alternatives) = (None, None, None, None);
        Examples { triples, adjacency, portions, side_weights, pools, residents, alternatives }
    }

    /// The loss of a step, and entity rows after it; first one float of a row is moved.
    fn stepped(
        (config, form): (&Config, &dyn TrainingForm),
        steps_before: u64,
        moved: Option<(u32, usize, f32)>,
    ) -> (f64, Vec<f32>) {
        let rows = (0..300).map(|i| [i * 7 % 90, i % 3, i * 13 % 80]).collect();
        let triples = Triples::from_rows(rows);
        let machine = Machine::new(2, None);
        let method = Method::new(config, 1 << 20, machine.instruction_set).unwrap();
        let sizes = [N_ENTITIES as usize, 3];
        let mut model = Model::initial(config, sizes, &machine.workers).unwrap();
        let first = model.entities.clone();
        model.entities = Table::filled(sizes[0], first.width(), |id, out| {
            first.copy(id, out);
            if let Some((_, place, more)) = moved.filter(|(row, ..)| *row == id) {
                out[place] += more;
            }
        });
        let mut learner = Learner::new(model, method.optimiser);
        learner.steps = steps_before;
        let adjacency = Adjacency::build(sizes[0], &[&triples]);
        let portions = portions(&adjacency, 4);
        let examples = examples(&triples, &adjacency, &portions);
        let items: Vec<u64> = (0..40).collect();
        let loss = form.step(&mut learner, examples, &items, &method, &machine);
        let mut rows = Vec::new();
        learner.model.entities.for_each_panel(|panel| rows.extend_from_slice(panel.rows));
        (loss.sum / loss.weight, rows)
    }

    #[test]
    fn with_all_entities_drawn_it_is_one_vs_all() {
        for model in ["complex", "cp", "transe-l2"] {
            let of = |form: &dyn TrainingForm| {
                let config = config(model, form, N_ENTITIES as usize);
                stepped((&config, form), 0, None)
            };
            let ((loss, rows), (all_loss, all)) = (of(&SampledSoftmax), of(&OneVsAll));
            assert!((loss - all_loss).abs() < 1e-5 * all_loss, "{model}: {loss} {all_loss}");
            let gap = rows.iter().zip(&all).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(gap < 1e-5, "{model}: {gap}");
        }
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        for model in ["complex", "transe-l2"] {
            let config = config(model, &SampledSoftmax, 90);
            let of = |moved| stepped((&config, &SampledSoftmax), 3, moved);
            let (before, after) = (stepped_by_nothing(&config), of(None).1);
            let width = after.len() / N_ENTITIES as usize;
            let mut met = 0;
            // Known ones, answers, and some that are neither.
            for (row, place) in (0..N_ENTITIES).step_by(31).map(|row| (row, row as usize % width)) {
                let at = row as usize * width + place;
                let gradient = f64::from(before[at] - after[at]);
                let [up, down] = [1e-2, -1e-2].map(|more| of(Some((row, place, more))).0);
                let slope = (up - down) / 2e-2;
                assert!((slope - gradient).abs() < 1e-3, "{model} {row}: {slope} {gradient}");
                met += usize::from(row >= 90 && gradient != 0.0);
            }
            assert!(met > 0, "{model}: a drawn entity is moved");
        }
    }

    fn stepped_by_nothing(config: &Config) -> Vec<f32> {
        let still = Config { learning_rate: 0.0, ..config.clone() };
        stepped((&still, &SampledSoftmax), 3, None).1
    }

    #[test]
    fn what_is_drawn_stands_for_all_in_the_mean() {
        // e^loss is the sum of exponentials by that of the answer: its mean over draws is exact.
        let one_query = |form: &dyn TrainingForm, steps: u64| {
            let triples = Triples::from_rows(vec![[3, 0, 5]]);
            let config = config("distmult", form, 70);
            let machine = Machine::new(1, None);
            let method = Method::new(&config, 0, machine.instruction_set).unwrap();
            let sizes = [N_ENTITIES as usize, 1];
            let model = Model::initial(&config, sizes, &machine.workers).unwrap();
            let mut learner = Learner::new(model, method.optimiser);
            learner.steps = steps;
            let adjacency = Adjacency::build(sizes[0], &[&triples]);
            let portions = portions(&adjacency, 0);
            let examples = examples(&triples, &adjacency, &portions);
            form.step(&mut learner, examples, &[0], &method, &machine).sum.exp()
        };
        let exact = one_query(&OneVsAll, 0);
        const DRAWS: u64 = 400;
        let drawn: Vec<f64> = (0..DRAWS).map(|step| one_query(&SampledSoftmax, step)).collect();
        let mean = drawn.iter().sum::<f64>() / DRAWS as f64;
        let square = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / DRAWS as f64;
        let error = (square / DRAWS as f64).sqrt();
        assert!((mean - exact).abs() < 4.0 * error, "{mean} ± {error}, exact {exact}");
        assert!(error < 0.05 * exact, "{error} of {exact}");
    }

    #[test]
    fn what_cannot_be_drawn_for_is_refused() {
        for (key, value) in
            [("loss", "softplus"), ("negative_sampler", "bernoulli"), ("label_smoothing", "0.1")]
        {
            let mut config = config("complex", &SampledSoftmax, 16);
            assert!(super::super::of(&config).is_ok());
            config.set(key, value).unwrap();
            assert!(super::super::of(&config).err().unwrap().to_string().contains(key));
        }
    }
}
