//! A recommender beside its controls and the rules that it must beat.
//!
//! *Invariant:* a recommender that uses facts is not shown without itself without facts, and with
//! facts that say nothing, unless someone asks for it alone.

use gossamer_graph::Split;
use gossamer_machine::{Machine, Observer};

use super::judge::{Judged, judge};
use super::problem::Problem;
use super::scores::Learned;
use super::unseen::Unseen;
use super::{Settings, Shape, find, learn, plan};
use crate::error::Error;

/// Items up to which weights between all of them are a baseline.
const MOST_ITEMS: u64 = 20_000;
/// Seed of the facts that say nothing.
const SHUFFLE: u64 = 1;

/// What stands beside a recommender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Its controls and the baselines.
    All,
    /// Nothing: for whom they are known already.
    None,
}

/// A recommender with how good it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// How good it is.
    pub judged: Judged,
    /// Seconds of learning.
    pub seconds: f64,
}

/// What stands beside a recommender: a name, settings and what to learn from.
fn beside(problem: &Problem, settings: &Settings) -> Vec<(String, Settings, Problem)> {
    let mut rows = Vec::new();
    let fills = find(&settings.model).is_ok_and(|of| of.fills_unseen());
    if settings.facts > 0.0 && !problem.facts.is_empty() && !fills {
        let without = Settings { facts: 0.0, ..settings.clone() };
        let name = format!("control: {} without facts", settings.model);
        rows.push((name, without, problem.without_facts()));
        let name = format!("control: {} with shuffled facts", settings.model);
        rows.push((name, settings.clone(), problem.with_shuffled_facts(SHUFFLE)));
    }
    for model in ["pop", "itemknn", "ease"] {
        let own = Settings::of(model).unwrap_or_else(|_| settings.clone());
        let plain = Settings { facts: 0.0, ..own };
        if plain.model != settings.model
            && (model != "ease" || problem.items.len() as u64 <= MOST_ITEMS)
        {
            rows.push((format!("baseline: {model}"), plain, problem.without_facts()));
        }
    }
    rows
}

/// The controls of a recommender to which facts say nothing but rows of items that nobody had: such
/// items without rows, and with rows by facts that say nothing. Neither is learned anew.
fn otherwise_filled(
    problem: &Problem,
    settings: &Settings,
    learned: &Learned,
) -> Vec<(String, Learned)> {
    let fills = find(&settings.model).is_ok_and(|of| of.fills_unseen());
    let unseen = Unseen::of(problem);
    if settings.facts == 0.0 || problem.facts.is_empty() || !fills || unseen.items.is_empty() {
        return Vec::new();
    }
    let [mut without, mut shuffled] = [learned.clone(), learned.clone()];
    unseen.empty(&mut without);
    Unseen::of(&problem.with_shuffled_facts(SHUFFLE)).fill(&mut shuffled);
    let name = |how: &str| format!("control: {} {how} facts", settings.model);
    vec![(name("without"), without), (name("with shuffled"), shuffled)]
}

/// Judges what was learned, and learns and judges what stands beside it; what has no room in the
/// budget is left out, and said.
///
/// # Errors
/// Those of learning and judging.
pub fn report(
    problem: &Problem,
    (settings, learned, seconds): (&Settings, &Learned, f64),
    (split, k, among): (Split, usize, Among),
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Vec<Row>, Error> {
    let judged = judge(problem, learned, (split, k), machine, observer)?;
    let mut rows = vec![Row { name: settings.model.clone(), judged, seconds }];
    if among == Among::None {
        return Ok(rows);
    }
    for (name, learned) in otherwise_filled(problem, settings, learned) {
        let judged = judge(problem, &learned, (split, k), machine, observer)?;
        rows.push(Row { name, judged, seconds });
    }
    for (name, settings, problem) in beside(problem, settings) {
        if let Err(error @ Error::BudgetTooSmall { .. }) =
            plan(&Shape::of(&problem), &settings, machine)
        {
            observer.log(&format!("left out, {name}: {error}"));
            continue;
        }
        let begun = observer.now();
        let learned = learn(problem.clone(), &settings, machine, observer)?.learned;
        let seconds = observer.now().saturating_sub(begun).as_secs_f64();
        let judged = judge(&problem, &learned, (split, k), machine, observer)?;
        rows.push(Row { name, judged, seconds });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::Silent;

    #[test]
    fn whoever_uses_facts_stands_beside_itself_without_them() {
        let (problem, machine) = (two_tastes(40, 30), Machine::new(2, None));
        let names = |model: &str, facts: f32| -> Vec<String> {
            let settings = Settings { facts, ..Settings::of(model).unwrap() };
            let learned = learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
            let of = (&settings, &learned, 0.0);
            let rows =
                report(&problem, of, (Split::Test, 10, Among::All), &machine, &Silent).unwrap();
            rows.into_iter().map(|row| row.name).collect()
        };
        let rules = ["baseline: pop", "baseline: itemknn"];
        let controls = ["ease", "control: ease without facts", "control: ease with shuffled facts"];
        assert_eq!(names("ease", 1.0), [&controls[..], &rules[..]].concat());
        assert_eq!(names("ease", 0.0), [&controls[..1], &rules[..]].concat());
        assert_eq!(names("pop", 0.0), ["pop", "baseline: itemknn", "baseline: ease"]);
    }

    #[test]
    fn rows_of_items_that_nobody_had_stand_beside_empty_and_shuffled_ones() {
        let (mut problem, machine) = (two_tastes(40, 30), Machine::new(2, None));
        // Nobody had items 4 and 5 when it was learned; some have them in the test.
        let lists = |keep: &dyn Fn(u32) -> bool, split: usize| {
            let of = &problem.interactions[split];
            let pairs = (0..40).flat_map(|user| of.of(user).iter().map(move |i| (user as u32, *i)));
            super::super::problem::Lists::of_pairs(40, pairs.filter(|(_, i)| keep(*i)).collect())
        };
        let (train, valid) = (lists(&|i| i != 4 && i != 5, 0), lists(&|i| i != 4 && i != 5, 1));
        (problem.interactions[0], problem.interactions[1]) = (train, valid);
        let settings = Settings { epochs: 60, dim: 4, ..Settings::of("bpr").unwrap() };
        let learned = learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
        let of = (&settings, &learned, 0.0);
        let rows = report(&problem, of, (Split::Test, 10, Among::All), &machine, &Silent).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let controls = ["control: bpr without facts", "control: bpr with shuffled facts"];
        assert_eq!(names[..3], [&["bpr"][..], &controls[..]].concat());
        // Facts change the rows of those items and no others; the controls' are empty, or others.
        let plain = Settings { facts: 0.0, ..settings.clone() };
        let plain = learn(problem.clone(), &plain, &machine, &Silent).unwrap().learned;
        let others = otherwise_filled(&problem, &settings, &learned);
        let rows = |learned: &Learned, item: usize| match learned {
            Learned::Factors { items, .. } => items.row(item).to_vec(),
            _ => Vec::new(),
        };
        for item in 0..30 {
            let same = rows(&learned, item) == rows(&plain, item);
            assert_eq!(same, item != 4 && item != 5, "{item}");
            let empty = rows(&others[0].1, item) == [0.0; 4];
            assert_eq!(empty, item == 4 || item == 5, "{item}");
        }
        assert_ne!(rows(&others[1].1, 4), rows(&learned, 4));
    }
}
