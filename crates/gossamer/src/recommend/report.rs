//! A recommender beside its controls and the rules that it must beat.
//!
//! *Invariant:* a recommender that uses facts is not shown without itself without facts, and with
//! facts that say nothing, unless someone asks for it alone.

use gossamer_graph::Split;
use gossamer_machine::{Ledger, Machine, Observer};

use super::judge::{Judged, Mean, ahead, judge};
use super::problem::Problem;
use super::scores::Learned;
use super::unseen::Unseen;
use super::{Settings, Shape, learn, plans};
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
    /// Seconds of learning, of those that were learned for this.
    pub seconds: f64,
    /// How far the first row's NDCG is ahead of its, by user; of that row itself nothing.
    pub behind: Option<Mean>,
}

/// What is judged, and by what.
pub struct Subject<'a> {
    /// Interactions to judge by; facts are not looked at.
    pub problem: &'a Problem,
    /// How much there is.
    pub shape: Shape,
    /// The settings it was learned with.
    pub settings: &'a Settings,
    /// What it was learned from, read anew: with facts, or without.
    pub again: &'a dyn Fn(bool) -> Result<Problem, Error>,
}

/// What a control or a baseline is told of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// Facts that say nothing.
    Shuffled,
}

impl Told {
    /// What there is to learn from.
    fn of(self, shape: &Shape) -> Shape {
        match self {
            Self::Nothing => shape.without_facts(),
            Self::Shuffled => *shape,
        }
    }
}

/// True if ease would stand beside a model, and there are too many items for weights between all.
fn is_without_ease(shape: &Shape, own: &Settings) -> bool {
    own.model != "ease" && shape.n_items > MOST_ITEMS
}

/// What is learned beside a recommender: a name, settings, and what it is told of facts.
fn beside(shape: &Shape, own: &Settings) -> Result<Vec<(String, Settings, Told)>, Error> {
    let mut rows = Vec::new();
    if own.learns_from_facts()? && shape.n_facts > 0 {
        let without = Settings { facts: 0.0, ..own.clone() };
        rows.push((format!("control: {} without facts", own.model), without, Told::Nothing));
        let name = format!("control: {} with shuffled facts", own.model);
        rows.push((name, own.clone(), Told::Shuffled));
    }
    for model in ["pop", "itemknn", "ease"] {
        if model == own.model || (model == "ease" && is_without_ease(shape, own)) {
            continue;
        }
        let plain = Settings { facts: 0.0, ..Settings::of(model)? };
        rows.push((format!("baseline: {model}"), plain, Told::Nothing));
    }
    Ok(rows)
}

/// The bytes of judging a run whose tables have so many: those of the largest part, be it what
/// stands beside it. What has no room in the budget is no part.
///
/// # Errors
/// [`Error::BudgetTooSmall`], and those of the settings.
pub fn plan(
    (shape, settings): (&Shape, &Settings),
    tables: u64,
    among: Among,
    machine: &Machine,
) -> Result<Ledger, Error> {
    if among == Among::None {
        return plans::judging_alone(shape, settings, tables, machine);
    }
    let mut largest = plans::judging(shape, settings, tables, machine)?;
    for (_, settings, told) in beside(shape, settings)? {
        match plans::judging(&told.of(shape), &settings, 0, machine) {
            Ok(ledger) if ledger.total() > largest.total() => largest = ledger,
            Ok(_) | Err(Error::BudgetTooSmall { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(largest)
}

impl Subject<'_> {
    /// The controls of a recommender to which facts say nothing but rows of items that nobody had:
    /// such items without rows, and with rows by facts that say nothing. Neither is learned anew.
    fn otherwise_filled(&self, learned: &Learned) -> Result<Vec<(String, Learned)>, Error> {
        if !self.settings.fills(&self.shape)? || self.shape.n_facts == 0 {
            return Ok(Vec::new());
        }
        let unseen = Unseen::of(&(self.again)(true)?.with_shuffled_facts(SHUFFLE));
        let [mut without, mut shuffled] = [learned.clone(), learned.clone()];
        unseen.empty(&mut without);
        unseen.fill(&mut shuffled);
        let name = |how: &str| format!("control: {} {how} facts", self.settings.model);
        Ok(vec![(name("without"), without), (name("with shuffled"), shuffled)])
    }
}

/// Judges what was learned, and learns and judges what stands beside it; what has no room in the
/// budget is left out, and said.
///
/// # Errors
/// Those of learning and judging.
pub fn report(
    of: &Subject<'_>,
    learned: Learned,
    (split, k, among): (Split, usize, Among),
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Vec<Row>, Error> {
    let judge = |learned: &Learned| judge(of.problem, learned, (split, k), machine, observer);
    let (name, (judged, own)) = (of.settings.model.clone(), judge(&learned)?);
    let mut rows = vec![Row { name, judged, seconds: 0.0, behind: None }];
    let row = |name: String, learned: &Learned, seconds: f64| -> Result<Row, Error> {
        let (judged, ndcgs) = judge(learned)?;
        Ok(Row { name, judged, seconds, behind: Some(ahead(&own, &ndcgs, machine)) })
    };
    if among == Among::None {
        return Ok(rows);
    }
    for (name, learned) in of.otherwise_filled(&learned)? {
        rows.push(row(name, &learned, 0.0)?);
    }
    drop(learned);
    if is_without_ease(&of.shape, of.settings) {
        observer.log(&format!("left out, baseline: ease: there are more than {MOST_ITEMS} items"));
    }
    for (name, settings, told) in beside(&of.shape, of.settings)? {
        if let Err(error @ Error::BudgetTooSmall { .. }) =
            plans::judging(&told.of(&of.shape), &settings, 0, machine)
        {
            observer.log(&format!("left out, {name}: {error}"));
            continue;
        }
        let problem = match told {
            Told::Nothing => (of.again)(false)?,
            Told::Shuffled => (of.again)(true)?.with_shuffled_facts(SHUFFLE),
        };
        let begun = observer.now();
        let learned = learn(problem, &settings, machine, observer)?.learned;
        let seconds = observer.now().saturating_sub(begun).as_secs_f64();
        rows.push(row(name, &learned, seconds)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use gossamer_machine::Silent;

    fn subject<'a>(
        problem: &'a Problem,
        settings: &'a Settings,
        again: &'a dyn Fn(bool) -> Result<Problem, Error>,
    ) -> Subject<'a> {
        Subject { problem, shape: Shape::of(problem), settings, again }
    }

    fn reported(
        problem: &Problem,
        settings: &Settings,
        learned: &Learned,
        machine: &Machine,
    ) -> Vec<Row> {
        let again = |facts: bool| {
            let all = problem.clone();
            Ok(if facts { all } else { all.without_facts() })
        };
        let (of, how) = (subject(problem, settings, &again), (Split::Test, 10, Among::All));
        report(&of, learned.clone(), how, machine, &Silent).unwrap()
    }

    #[test]
    fn whoever_uses_facts_stands_beside_itself_without_them() {
        let (problem, machine) = (two_tastes(40, 30), Machine::new(2, None));
        let names = |model: &str, facts: f32| -> Vec<String> {
            let settings = Settings { facts, ..Settings::of(model).unwrap() };
            let learned = learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
            let rows = reported(&problem, &settings, &learned, &machine);
            let ndcg = |row: &Row| row.judged.means[1].value;
            for row in &rows[1..] {
                let behind = row.behind.unwrap().value;
                assert!((ndcg(&rows[0]) - ndcg(row) - behind).abs() < 1e-9, "{row:?}");
            }
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
        let rows = reported(&problem, &settings, &learned, &machine);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let controls = ["control: bpr without facts", "control: bpr with shuffled facts"];
        assert_eq!(names[..3], [&["bpr"][..], &controls[..]].concat());
        // Facts change the rows of those items and no others; the controls' are empty, or others.
        let plain = Settings { facts: 0.0, ..settings.clone() };
        let plain = learn(problem.clone(), &plain, &machine, &Silent).unwrap().learned;
        let again = |_| Ok(problem.clone());
        let others = subject(&problem, &settings, &again).otherwise_filled(&learned).unwrap();
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
