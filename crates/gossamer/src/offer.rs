//! Offers: settings that fit a graph, a budget and a time, with what they would take.
//!
//! Bytes are those of the plans that training and evaluation keep; seconds come from a few steps on
//! this machine. *Not here:* what settings will be worth: [`tune`](crate::tune) finds out.

use gossamer_graph::Snapshot;
use gossamer_machine::{Machine, Observer, Progress};

use crate::config::{self, Config};
use crate::error::Error;
use crate::form;
use crate::plan::{GraphShape, evaluate_plan, train_plan};
use crate::train::pace::{Pace, pace};

/// Sizes of embeddings that are offered.
const DIMS: [usize; 7] = [25, 50, 100, 200, 400, 800, 1600];
/// Training forms that are offered: the habitual one, in which every entity may be a candidate at
/// every step, or a few negatives for each block of queries.
const FORMS: [&[(&str, &str)]; 2] =
    [&[], &[("form", "negative-sampling"), ("loss", "softmax-cross-entropy"), ("batch", "1024")]];

/// Rows that are offered: of floats, or where those do not fit, of whole numbers with one float of
/// state each.
const ROWS: [&[(&str, &str)]; 2] = [&[], &[("rows", "int8"), ("optimiser", "rowwise-adagrad")]];

/// Settings, and what they would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The settings that differ from the defaults.
    pub settings: Vec<(String, String)>,
    /// All of them.
    pub config: Config,
    /// Bytes of training and of evaluation at their peaks.
    pub bytes: [u64; 2],
    /// Seconds of an epoch and of a validation.
    pub pace: Pace,
}

impl Offer {
    /// Seconds of a whole run.
    pub fn seconds(&self) -> f64 {
        self.pace.whole(&self.config)
    }
}

/// The offers that fit the machine's budget, and the place of the one to take: the largest rows
/// that also fit the time, as floats and in the habitual form if they can be; without a
/// time, rows no larger than the default.
///
/// # Errors
/// [`Error::BudgetTooSmall`] with the arithmetic of the smallest where none fits; those of the
/// graph's files.
pub fn offers(
    graph: &Snapshot,
    model: &str,
    seconds: Option<f64>,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<(Vec<Offer>, Option<usize>), Error> {
    let shape = GraphShape::of(graph)?.with_queries(graph, &Config::for_model(model)?)?;
    let mut fitting = Vec::new();
    let mut smallest: Option<Error> = None;
    for form in FORMS {
        for dim in DIMS {
            for rows in ROWS {
                let dim = dim.to_string();
                let own = [("model", model), ("dim", dim.as_str())];
                let all = own.iter().chain(form).chain(rows);
                let settings: Vec<(String, String)> =
                    all.map(|(key, value)| ((*key).into(), (*value).into())).collect();
                let sizes = (shape.n_entities, shape.n_triples[0]);
                let config = Config::from_settings(&settings, Some(sizes))?;
                match both_plans(&config, graph, &shape, machine) {
                    Ok(bytes) => {
                        fitting.push((settings, config, bytes));
                        break;
                    }
                    Err(error @ Error::BudgetTooSmall { .. }) => {
                        smallest = Some(least(smallest, error))
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    if let (true, Some(error)) = (fitting.is_empty(), smallest) {
        return Err(error);
    }
    let mut offers = Vec::new();
    let total = fitting.len() as u64;
    for (done, (settings, config, bytes)) in (0..).zip(fitting) {
        let (stage, unit, detail) = ("timing", "settings", "");
        observer.progress(&Progress { stage, done, total, unit, detail });
        let pace = pace(graph, &config, machine, observer)?;
        offers.push(Offer { settings, config, bytes, pace });
    }
    let chosen = choose(&offers, seconds, Config::default().dim);
    Ok((offers, chosen))
}

/// The bytes of training and of evaluation; where they do not fit, the larger refusal.
fn both_plans(
    config: &Config,
    graph: &Snapshot,
    shape: &GraphShape,
    machine: &Machine,
) -> Result<[u64; 2], Error> {
    match (train_plan(config, shape, machine), evaluate_plan(config, graph, machine)) {
        (Ok(train), Ok(evaluate)) => Ok([train, evaluate].map(|plan| plan.ledger.total())),
        (Err(one), Err(other)) if refused(&one) < refused(&other) => Err(other),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// The sum that was refused; with another error, more than any.
fn refused(error: &Error) -> u64 {
    match error {
        Error::BudgetTooSmall { smallest, .. } => *smallest,
        _ => u64::MAX,
    }
}

/// Of two refusals the one with the smaller sum.
fn least(one: Option<Error>, other: Error) -> Error {
    match one {
        Some(one) if refused(&one) <= refused(&other) => one,
        _ => other,
    }
}

/// The offer to take.
fn choose(offers: &[Offer], seconds: Option<f64>, usual: usize) -> Option<usize> {
    let fits = |offer: &Offer| match seconds {
        Some(seconds) => offer.seconds() <= seconds,
        None => offer.config.dim <= usual,
    };
    let size = |place: &usize| offers[*place].config.dim;
    let exact = |config: &Config| form::find(&config.form).is_ok_and(|form| form.over_all());
    let among = |kind: [bool; 2]| {
        let kind_of = |config: &Config| [config.rows == config::ROWS, exact(config)];
        let places = (0..offers.len()).filter(|place| fits(&offers[*place]));
        places.filter(|place| kind_of(&offers[*place].config) == kind).max_by_key(size)
    };
    [[true, true], [true, false], [false, true], [false, false]].into_iter().find_map(among)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(dim: usize, form: &str, epoch: f64) -> Offer {
        let config = Config { dim, form: form.into(), epochs: 10, ..Config::default() };
        let pace = Pace { epoch, validation: 0.0 };
        Offer { settings: Vec::new(), config, bytes: [0; 2], pace }
    }

    #[test]
    fn the_largest_that_fits_the_time_is_taken_and_a_sample_where_nothing_else_does() {
        let exact = Config::default().form;
        let offers = [
            offer(25, &exact, 2.0),
            offer(100, &exact, 5.0),
            offer(800, &exact, 30.0),
            offer(100, "negative-sampling", 1.0),
        ];
        assert_eq!(choose(&offers, Some(60.0), 200), Some(1));
        assert_eq!(choose(&offers, Some(1000.0), 200), Some(2));
        assert_eq!(choose(&offers, Some(10.0), 200), Some(3));
        assert_eq!(choose(&offers, Some(1.0), 200), None);
        assert_eq!(choose(&offers, None, 200), Some(1));
        let mut coded = offer(800, &exact, 1.0);
        coded.config.rows = "int8".into();
        assert_eq!(choose(&[coded.clone(), offer(25, &exact, 2.0)], Some(60.0), 200), Some(1));
        assert_eq!(choose(&[coded], Some(60.0), 200), Some(0));
    }

    #[test]
    fn the_refusal_with_the_smallest_sum_is_told() {
        let refusal = |smallest| {
            let ledger = Box::new(gossamer_machine::Ledger::default());
            Error::BudgetTooSmall { asked: 1, smallest, ledger }
        };
        assert_eq!(refused(&least(None, refusal(7))), 7);
        assert_eq!(refused(&least(Some(refusal(7)), refusal(5))), 5);
        assert_eq!(refused(&least(Some(refusal(5)), refusal(7))), 5);
    }
}
