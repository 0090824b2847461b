//! Offers: settings that fit a graph, a budget and a time, with what they would take and be worth.
//!
//! Bytes are those of the plans that training and evaluation keep; seconds come from a few steps on
//! this machine, and MRR from small models that are learned on the graph ([`worth`]). What does not fit is told what
//! like it does ([`nearest`]).

use std::path::Path;
use std::time::Duration;

use gossamer_graph::Snapshot;
use gossamer_machine::{Machine, Observer, Progress};

use crate::config::{self, Config};
use crate::error::Error;
use crate::form;
use crate::plan::{GraphShape, evaluate_plan, train_plan};
use crate::table::PANEL_ROWS;
use crate::train::pace::{Pace, pace};

pub mod nearest;
pub mod worth;

use worth::{Curve, Worth};

/// Sizes of embeddings that are offered.
const DIMS: [usize; 7] = [25, 50, 100, 200, 400, 800, 1600];

/// Settings with their values.
type Settings = &'static [(&'static str, &'static str)];

/// Training forms that are offered: the habitual one, in which every entity may be a candidate at
/// every step, or a few negatives for each block of queries.
const FORMS: [Settings; 2] =
    [&[], &[("form", "negative-sampling"), ("loss", "softmax-cross-entropy"), ("batch", "1024")]];

/// How rows may stand: as floats; where those do not fit, in fewer bits with one float of state
/// each; and where these do not, with parts of them on disk.
const ROWS: [Settings; 5] = [
    &[],
    &[("rows", "bf16")],
    &[("rows", "int8")],
    &[("rows", "int8"), ("partitions", "8")],
    &[("rows", "int8"), ("partitions", "32")],
];

/// How many of these each form has: rows on disk cannot be asked all at once.
const ROWS_OF_FORM: [usize; 2] = [3, ROWS.len()];

/// What is wanted of an offer, and what may be done to find it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The score function.
    pub model: &'a str,
    /// Most seconds for a run.
    pub seconds: Option<f64>,
    /// A folder for what is tried; it exists.
    pub scratch: &'a Path,
    /// The time that small models may be learned for.
    pub learning: Duration,
}

/// Settings, what they would take and what they would be worth.
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
    /// What the settings are worth, where that is known.
    pub worth: Option<Worth>,
}

impl Offer {
    /// Seconds of a whole run.
    pub fn seconds(&self) -> f64 {
        self.pace.whole(&self.config)
    }

    /// True if it takes no more than another and is worth no less, and is not its equal.
    fn beats(&self, other: &Self) -> bool {
        let (Some(worth), Some(others)) = (self.worth, other.worth) else { return false };
        let own = (self.bytes[0], self.seconds(), -worth.mrr);
        let others = (other.bytes[0], other.seconds(), -others.mrr);
        own.0 <= others.0 && own.1 <= others.1 && own.2 <= others.2 && own != others
    }
}

/// The places of the offers that no other one beats in bytes, seconds and MRR together.
pub fn front(offers: &[Offer]) -> Vec<usize> {
    let beaten = |offer: &Offer| offers.iter().any(|other| other.beats(offer));
    (0..offers.len()).filter(|place| !beaten(&offers[*place])).collect()
}

/// A form and a way for rows to stand, by their places.
type Way = [usize; 2];

/// Settings that fit, before anything was tried.
struct Fitting {
    way: Way,
    settings: Vec<(String, String)>,
    config: Config,
    bytes: [u64; 2],
}

/// The offers that fit the machine's budget, and the place of the one to take: what is worth most
/// and fits the time; where nobody knows, the largest rows that do, as floats and in the habitual
/// form if they can be; without a time, rows no larger than the default.
///
/// # Errors
/// [`Error::BudgetTooSmall`] with the arithmetic of the smallest where none fits; those of the
/// graph's files.
pub fn offers(
    graph: &Snapshot,
    wanted: &Wanted<'_>,
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<(Vec<Offer>, Option<usize>), Error> {
    let usual = Config::for_model(wanted.model)?;
    let shape = GraphShape::of(graph)?.with_queries(graph, &usual)?;
    let fitting = fitting(graph, wanted.model, &shape, machine)?;
    let curves = curves(graph, wanted, &fitting, machine, observer)?;
    let mut offers = Vec::new();
    let total = fitting.len() as u64;
    for (done, Fitting { way, settings, config, bytes }) in (0..).zip(fitting) {
        let (stage, unit, detail) = ("timing", "settings", "");
        observer.progress(&Progress { stage, done, total, unit, detail });
        let pace = pace(graph, &config, wanted.scratch, machine, observer)?;
        let curve = curves.iter().find(|(of, _)| *of == way);
        let worth = curve.and_then(|(_, curve)| curve.at(config.dim));
        offers.push(Offer { settings, config, bytes, pace, worth });
    }
    let chosen = choose(&offers, wanted.seconds, Config::default().dim);
    Ok((offers, chosen))
}

/// The settings of a way, by the places of its form and rows, at a dim.
fn settings(
    model: &str,
    [form, rows]: Way,
    dim: usize,
    shape: &GraphShape,
) -> Result<(Vec<(String, String)>, Config), Error> {
    let sizes = Some((shape.n_entities, shape.n_triples[0]));
    let own = |(key, value): &(&str, &str)| ((*key).to_string(), (*value).to_string());
    let first = [("model", model), ("dim", &dim.to_string())];
    let mut settings: Vec<_> = first.iter().chain(FORMS[form]).map(own).collect();
    let usual = Config::from_settings(&settings, sizes)?.form;
    settings.extend(ROWS[rows].iter().map(own));
    let config = Config::from_settings(&settings, sizes)?;
    if config.form == usual {
        return Ok((settings, config));
    }
    // Rows of another kind are learned in the form that suits the graph.
    settings.push(("form".to_string(), usual));
    let config = Config::from_settings(&settings, sizes)?;
    Ok((settings, config))
}

/// Of each form and dim the first way to hold rows that fits.
fn fitting(
    graph: &Snapshot,
    model: &str,
    shape: &GraphShape,
    machine: &Machine,
) -> Result<Vec<Fitting>, Error> {
    let mut fitting = Vec::new();
    let mut smallest: Option<Error> = None;
    for (form, dim) in (0..FORMS.len()).flat_map(|form| DIMS.map(|dim| (form, dim))) {
        for way in (0..ROWS_OF_FORM[form]).map(|rows| [form, rows]) {
            let (settings, config) = settings(model, way, dim, shape)?;
            let rows = config.partitions as u64 * PANEL_ROWS as u64;
            if config.partitions > 1 && shape.n_entities < rows {
                continue;
            }
            match both_plans(&config, graph, shape, machine) {
                Ok(bytes) => {
                    fitting.push(Fitting { way, settings, config, bytes });
                    break;
                }
                Err(error @ Error::BudgetTooSmall { .. }) => {
                    smallest = Some(least(smallest, error))
                }
                Err(error) => return Err(error),
            }
        }
    }
    match smallest {
        Some(error) if fitting.is_empty() => Err(error),
        _ => Ok(fitting),
    }
}

/// Learns small models in each way that is offered, as long as there is time: the smallest of all
/// ways first.
fn curves(
    graph: &Snapshot,
    wanted: &Wanted<'_>,
    fitting: &[Fitting],
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Vec<(Way, Curve)>, Error> {
    let shape = GraphShape::of(graph)?;
    let mut ways: Vec<Way> = fitting.iter().map(|fitting| fitting.way).collect();
    ways.sort_unstable();
    ways.dedup();
    let deadline = observer.now() + wanted.learning;
    let mut curves: Vec<(Way, Curve)> =
        ways.into_iter().map(|way| (way, Curve::default())).collect();
    for (round, dims) in worth::LEARNED.into_iter().enumerate() {
        for (way, curve) in curves.iter_mut().filter(|(_, curve)| round == 0 || curve.is_known()) {
            let of_dim = |dim| Ok(settings(wanted.model, *way, dim, &shape)?.1);
            let whole = dims.iter().try_fold(0.0, |whole, dim| {
                let config = of_dim(*dim)?;
                let pace = pace(graph, &config, wanted.scratch, machine, observer)?;
                Ok(whole + pace.whole(&config))
            });
            let whole: f64 = match whole {
                // What does not fit is not learned, though rows of another size do.
                Err(Error::BudgetTooSmall { .. }) => f64::INFINITY,
                whole => whole?,
            };
            // Nothing is begun that would not end.
            if whole <= deadline.saturating_sub(observer.now()).as_secs_f64() {
                let within = (wanted.scratch, deadline);
                curve.learn(graph, (dims, &of_dim), within, machine, observer)?;
            }
        }
    }
    Ok(curves)
}

/// The bytes of training and of evaluation; where they do not fit, the larger refusal.
fn both_plans(
    config: &Config,
    graph: &Snapshot,
    shape: &GraphShape,
    machine: &Machine,
) -> Result<[u64; 2], Error> {
    match (train_plan(config, shape, machine), evaluate_plan(config, graph, None, machine)) {
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
    let of_time = (0..offers.len()).filter(|place| fits(&offers[*place]));
    if let Some(place) = best(offers, of_time) {
        return Some(place);
    }
    let size = |place: &usize| offers[*place].config.dim;
    let exact = |config: &Config| form::find(&config.form).is_ok_and(|form| form.over_all());
    let among = |kind: [bool; 2]| {
        let kind_of = |config: &Config| [config.rows == config::ROWS, exact(config)];
        let places = (0..offers.len()).filter(|place| fits(&offers[*place]));
        places.filter(|place| kind_of(&offers[*place].config) == kind).max_by_key(size)
    };
    [[true, true], [true, false], [false, true], [false, false]].into_iter().find_map(among)
}

/// Of some offers that are all known to be worth something, the one that is worth most; of those
/// as good as it, the fastest.
fn best(offers: &[Offer], places: impl Iterator<Item = usize>) -> Option<usize> {
    /// What nobody can tell apart.
    const ALIKE: f64 = 0.001;
    let known: Option<Vec<(usize, f64)>> =
        places.map(|place| offers[place].worth.map(|worth| (place, worth.mrr))).collect();
    let known = known?;
    let most = known.iter().map(|(_, mrr)| *mrr).fold(0.0, f64::max);
    let good = known.into_iter().filter(|(_, mrr)| *mrr > most - ALIKE).map(|(place, _)| place);
    good.min_by(|one, other| offers[*one].seconds().total_cmp(&offers[*other].seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(dim: usize, form: &str, epoch: f64) -> Offer {
        let config = Config { dim, form: form.into(), epochs: 10, ..Config::default() };
        let pace = Pace { epoch, validation: 0.0 };
        Offer { settings: Vec::new(), config, bytes: [0; 2], pace, worth: None }
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
    fn what_is_worth_most_is_taken_and_what_is_beaten_is_not_shown() {
        let exact = Config::default().form;
        let known = |dim, epoch, bytes, mrr| {
            let worth = Some(Worth { mrr, learned: false });
            Offer { worth, bytes: [bytes, 0], ..offer(dim, &exact, epoch) }
        };
        let mut offers = vec![
            known(25, 1.0, 10, 0.30),
            known(50, 2.0, 20, 0.35),
            known(100, 3.0, 30, 0.3504),
            known(200, 4.0, 40, 0.34),
        ];
        assert_eq!(choose(&offers, Some(100.0), 200), Some(1));
        assert_eq!(choose(&offers, Some(15.0), 200), Some(0));
        assert_eq!(choose(&offers, None, 200), Some(1));
        assert_eq!(front(&offers), [0, 1, 2]);
        offers[3].worth = None;
        assert_eq!(choose(&offers, Some(100.0), 200), Some(3));
        assert_eq!(front(&offers), [0, 1, 2, 3]);
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
