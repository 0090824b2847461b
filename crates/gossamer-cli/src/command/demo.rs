//! `gossamer demo`: the countries of the world, learned and asked in half a minute.
//!
//! Some borders are held out, in both directions; the demo asks for them again and shows hits and
//! misses alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::{Candidates, EvaluateRequest, evaluate};
use gossamer::model::Asked;
use gossamer::plan::{GraphShape, train_plan};
use gossamer::query::Answerer;
use gossamer::train::{TrainRequest, train};
use gossamer::{Config, Error, ImportRequest, Run, Side, Snapshot, Split};
use gossamer_machine::random::{Address, Permutation, Purpose};
use serde_json::{Value, json};

use super::evaluate::evaluation_text;
use super::import::sources_text;
use super::inspect::inspection_text;
use super::{Command, option, text};
use crate::exit::Failure;
use crate::output;
use crate::terminal::Context;

/// `gossamer demo`.
pub struct Demo;

/// The facts: a text file that a person can read and correct.
const WORLD: &str = include_str!("../../data/world.tsv");
const BORDERS: &str = "borders";
/// Pairs of neighbours held out for the questions, and for choosing the epoch.
const QUESTIONS: usize = 10;
const VALIDATION: usize = 10;
/// A country keeps at least this many borders, so that there is something to learn it from.
const KEPT_BORDERS: usize = 2;
/// A question is a hit when the held-out neighbour is among this many answers.
const FIRST: usize = 3;
const SEED: u64 = 1;

impl Command for Demo {
    fn name(&self) -> &'static str {
        "demo"
    }
    fn summary(&self) -> &'static str {
        "Learn the countries of the world and ask for borders that were held out"
    }
    fn example(&self) -> &'static str {
        "gossamer demo"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(
            option(
                "output",
                "FOLDER",
                "Where to leave graph and run [default: a temporary folder]",
            )
            .short('o'),
        )
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let root = text(arguments, "output").map_or_else(
            || std::env::temp_dir().join(format!("gossamer-demo-{}", std::process::id())),
            PathBuf::from,
        );
        let result = show(&root, context);
        if text(arguments, "output").is_none() {
            gossamer_machine::folder::remove_folder(&root).map_err(Error::from)?;
        }
        result
    }
}

fn show(root: &Path, context: &Context) -> Result<(), Failure> {
    let (source, graph_path, run_path) =
        (root.join("source"), root.join("graph"), root.join("run"));
    let held_out = write_source(&source)?;
    let title = |words: &str| {
        if !context.json {
            context.print(&format!("\n── {words}"));
        }
    };
    let print = |words: &str| {
        if !context.json {
            context.print(words);
        }
    };
    title("The facts: countries of the world, a few borders held out");
    let request =
        ImportRequest { sources: vec![source], replace: true, ..ImportRequest::default() };
    let report = gossamer::import(&request, &graph_path, context).map_err(Error::from)?;
    let graph = Snapshot::open(&graph_path).map_err(Error::from)?;
    print(&(sources_text(&report) + &inspection_text(&graph, &report.inspection)?));

    title("The plan: what learning will take");
    let config = Config { dim: 64, seed: SEED, ..Config::for_model("complex")? };
    let shape = GraphShape::of(&graph)?;
    let config = config.suited_to(shape.n_entities, shape.n_triples[0]);
    let shape = shape.with_queries(&graph, &config)?;
    print(&output::ledger(&train_plan(&config, &shape, &context.machine)?.ledger));

    title("Learning");
    let request =
        TrainRequest { config, out: run_path.clone(), replace: true, ..TrainRequest::default() };
    train(&graph, &request, &context.machine, context)?;

    title("Judging: the held-out borders among all entities, beside trivial rules");
    let run = Run::open(&run_path)?;
    let evaluation = evaluate(&run, &EvaluateRequest::default(), &context.machine, context)?;
    print(&evaluation_text(&run, &evaluation)?);

    title("Asking");
    let answerer = Answerer::new(run, &context.machine)?;
    let asked = ask(&answerer, &held_out, context)?;
    if context.json {
        context.print(&questions_json(&asked, evaluation.both.mrr()).to_string());
    } else {
        print(&questions_text(&asked));
    }
    Ok(())
}

fn n_hits(asked: &[Question]) -> usize {
    asked.iter().filter(|one| one.hit).count()
}

fn questions_json(asked: &[Question], mrr: f64) -> Value {
    let question = |one: &Question| {
        let Question { country, held_out, answers, hit } = one;
        json!({"country": country, "held_out": held_out, "answers": answers, "hit": hit})
    };
    json!({
        "questions": asked.iter().map(question).collect::<Vec<_>>(),
        "hits": n_hits(asked),
        "mean_reciprocal_rank": mrr,
    })
}

fn questions_text(asked: &[Question]) -> String {
    let mut text = String::new();
    for Question { country, held_out, answers, hit } in asked {
        let mark = if *hit { "✓" } else { "✗" };
        let answers = answers.join(", ");
        text +=
            &format!("{mark} Which country borders {country}? {answers}  (held out: {held_out})\n");
    }
    let (hits, n) = (n_hits(asked), asked.len());
    text += &format!("\n{hits} of {n} held-out borders are among the first {FIRST}.\n");
    text += "\nYour own file (head, tab, relation, tab, tail):\n  gossamer import facts.tsv \
             --split 90/5/5 -o graph/ && gossamer train graph/ -o run/";
    text
}

/// Writes train, valid and test files; returns the pairs of the questions.
fn write_source(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let (questions, validation) = hold_out();
    let is = |pairs: &[(String, String)], line: &str| {
        let mut cells = line.split('\t');
        let (head, relation, tail) = (cells.next(), cells.next(), cells.next());
        relation == Some(BORDERS)
            && pairs.iter().any(|(a, b)| {
                (head, tail) == (Some(a), Some(b)) || (head, tail) == (Some(b), Some(a))
            })
    };
    let mut files: BTreeMap<Split, String> = BTreeMap::new();
    for line in WORLD.lines() {
        let split = if is(&questions, line) {
            Split::Test
        } else if is(&validation, line) {
            Split::Valid
        } else {
            Split::Train
        };
        let file = files.entry(split).or_default();
        file.push_str(line);
        file.push('\n');
    }
    let failed = |error: std::io::Error| Failure::system(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (split, content) in files {
        std::fs::write(folder.join(format!("{}.txt", split.name())), content).map_err(failed)?;
    }
    Ok(questions)
}

/// A pair of neighbours.
type Pair = (String, String);

/// Draws pairs of neighbours so that each country keeps some borders.
fn hold_out() -> (Vec<Pair>, Vec<Pair>) {
    let mut neighbours: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in WORLD.lines() {
        if let [head, BORDERS, tail] = line.split('\t').collect::<Vec<_>>()[..] {
            neighbours.entry(head).or_default().insert(tail);
        }
    }
    let pairs: Vec<(&str, &str)> = neighbours
        .iter()
        .flat_map(|(a, others)| others.iter().filter(move |b| a < *b).map(move |b| (*a, *b)))
        .collect();
    let order = Permutation::new(pairs.len() as u64, Address::new(SEED, Purpose::Split, 0));
    let mut held_out = Vec::new();
    for place in 0..pairs.len() as u64 {
        let (a, b) = pairs[order.get(place) as usize];
        if held_out.len() == QUESTIONS + VALIDATION {
            break;
        }
        if [a, b].iter().all(|country| neighbours[country].len() > KEPT_BORDERS) {
            neighbours.entry(a).or_default().remove(b);
            neighbours.entry(b).or_default().remove(a);
            held_out.push((a.to_string(), b.to_string()));
        }
    }
    let validation = held_out.split_off(QUESTIONS.min(held_out.len()));
    (held_out, validation)
}

/// A question with its answers.
struct Question {
    country: String,
    held_out: String,
    answers: Vec<String>,
    hit: bool,
}

/// Asks for a neighbour of the first country of each pair that the training triples do not have.
fn ask(answerer: &Answerer, pairs: &[Pair], context: &Context) -> Result<Vec<Question>, Failure> {
    let graph = &answerer.run.graph;
    let entities = graph.entities();
    let train = graph.triples(Split::Train).map_err(Error::from)?;
    let relation = answerer.relation(BORDERS)?;
    let mut questions = Vec::new();
    for (country, neighbour) in pairs {
        let (known, wanted) = (answerer.entity(country)?, answerer.entity(neighbour)?);
        let asked = Asked { side: Side::Tail, known, relation };
        // What training saw is no answer; what was held out may be.
        let new: Vec<u32> = (0..entities.len() as u32)
            .filter(|other| *other != known && !train.contains([known, relation, *other]))
            .collect();
        let candidates = Candidates::some(new);
        let answers = answerer.predict(asked, &candidates, false, FIRST, &context.machine)?;
        let names: Result<Vec<String>, _> =
            answers.iter().map(|answer| entities.shown(answer.entity)).collect();
        questions.push(Question {
            country: country.clone(),
            held_out: neighbour.clone(),
            answers: names.map_err(Error::from)?,
            hit: answers.iter().any(|answer| answer.entity == wanted),
        });
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> BTreeMap<&'static str, BTreeMap<&'static str, BTreeSet<&'static str>>> {
        let mut world: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (line, row) in WORLD.lines().enumerate() {
            let cells: Vec<&str> = row.split('\t').collect();
            assert!(cells.len() == 3, "line {}: {row}", line + 1);
            assert!(
                cells.iter().all(|cell| !cell.is_empty() && cell.trim() == *cell),
                "line {}",
                line + 1
            );
            let new =
                world.entry(cells[0]).or_default().entry(cells[1]).or_default().insert(cells[2]);
            assert!(new, "line {} repeats another: {row}", line + 1);
        }
        world
    }

    #[test]
    fn every_country_is_there_with_what_it_must_have() {
        let world = world();
        assert_eq!(world.len(), 195, "193 members of the United Nations and two observer states");
        let members = world.values().filter(|facts| {
            facts.get("member_of").is_some_and(|bodies| bodies.contains("United Nations"))
        });
        assert_eq!(members.count(), 193);
        for (country, facts) in &world {
            for relation in ["region", "subregion"] {
                assert_eq!(facts.get(relation).map(BTreeSet::len), Some(1), "{country} {relation}");
            }
            for relation in ["capital", "official_language", "currency"] {
                assert!(facts.contains_key(relation), "{country} {relation}");
            }
        }
        let relations: BTreeSet<&str> =
            world.values().flat_map(|facts| facts.keys().copied()).collect();
        assert!(relations.len() >= 12 && WORLD.lines().count() >= 3000);
    }

    #[test]
    fn borders_are_symmetric() {
        let world = world();
        for (country, facts) in &world {
            for other in facts.get(BORDERS).into_iter().flatten() {
                let back = world.get(other).and_then(|facts| facts.get(BORDERS));
                assert!(back.is_some_and(|back| back.contains(country)), "{country} {other}");
                assert_ne!(country, other);
            }
        }
    }

    #[test]
    fn questions_are_held_out_in_both_directions_and_leave_borders_to_learn_from() {
        let (questions, validation) = hold_out();
        assert_eq!((questions.len(), validation.len()), (QUESTIONS, VALIDATION));
        let root = tempfile::tempdir().unwrap();
        write_source(root.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(root.path().join(name)).unwrap();
        let (train, test) = (read("train.txt"), read("test.txt"));
        assert_eq!(test.lines().count(), 2 * QUESTIONS);
        for (a, b) in &questions {
            assert!(!train.contains(&format!("{a}\t{BORDERS}\t{b}\n")));
            assert!(!train.contains(&format!("{b}\t{BORDERS}\t{a}\n")));
            assert!(
                train.lines().filter(|l| l.starts_with(&format!("{a}\t{BORDERS}\t"))).count()
                    >= KEPT_BORDERS
            );
        }
    }
}
