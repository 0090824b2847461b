//! `gossamer predict`: the most plausible answers to a query, or to many.

use std::cell::RefCell;
use std::path::Path;

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::Candidates;
use gossamer::model::Asked;
use gossamer::query::allowed::{Allow, Allowed};
use gossamer::query::{Answer, Answerer, asked_in_words};
use gossamer::{Error, Run, Side};
use gossamer_graph::write::predicted::{Prediction, Predictions};
use gossamer_machine::file::Whole;
use serde_json::{Value, json};

use super::evaluate::candidates;
use super::{Command, flag, folder, number, option, path, text};
use crate::exit::Failure;
use crate::output;
use crate::terminal::Context;

/// `gossamer predict`.
pub struct Predict;

/// Queries of a file whose known answers are found in one pass over the triples.
const TOGETHER: usize = 1024;

impl Command for Predict {
    fn name(&self) -> &'static str {
        "predict"
    }
    fn summary(&self) -> &'static str {
        "Ask a run: the most plausible tails of a head and relation, or heads of a tail"
    }
    fn example(&self) -> &'static str {
        "gossamer predict run/ --head France --relation borders --novel -k 5"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A finished run"))
            .arg(option("head", "NAME", "The head, by name or label; asks for tails"))
            .arg(option("tail", "NAME", "The tail, by name or label; asks for heads"))
            .arg(option("relation", "NAME", "The relation, by name or label"))
            .arg(option(
                "queries",
                "FILE",
                "Many queries: head, tab, relation, tab, ? (or ?, relation, tail)",
            ))
            .arg(option(
                "rdf",
                "FILE",
                "Also write the answers as N-Triples: reified statements with their scores",
            ))
            .arg(option("k", "N", "How many answers [default: 10]").short('k'))
            .arg(flag("novel", "Leave out what the graph already holds"))
            .arg(option("type", "NAME", "Only entities of this type"))
            .arg(option("candidates", "FILE", "Only the entities named in this file, one per line"))
            .arg(flag("seen", "Only answers that train has with this relation on this side"))
            .arg(flag("any-type", "Also answers that the ontology's domain and range rule out"))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let run = Run::open(&path(arguments, "run"))?;
        let candidates = candidates(&run, arguments)?;
        let allow = match (arguments.get_flag("seen"), arguments.get_flag("any-type")) {
            (true, _) => Allow::Seen,
            (false, any) if any || candidates != Candidates::All => Allow::Any,
            _ => Allow::Declared,
        };
        let answerer = Answerer::new(run, &context.machine)?;
        let ask = Ask {
            answerer: &answerer,
            allowed: RefCell::new(Allowed::new(&answerer.run.graph, allow)?),
            candidates,
            novel: arguments.get_flag("novel"),
            k: number(arguments, "k")?.unwrap_or(10),
            context,
            predictions: RefCell::new(None),
        };
        if let Some(file) = text(arguments, "rdf") {
            return ask.written(Path::new(file), || ask.all(arguments));
        }
        ask.all(arguments)
    }
}

impl Ask<'_> {
    /// Answers what the arguments ask.
    fn all(&self, arguments: &ArgMatches) -> Result<(), Failure> {
        if let Some(file) = text(arguments, "queries") {
            return self.file(file);
        }
        let asked = asked_of(self.answerer, arguments)?;
        let answers = self.one(asked)?;
        self.show(asked, &answers)
    }
}

fn asked_of(answerer: &Answerer, arguments: &ArgMatches) -> Result<Asked, Failure> {
    let (head, tail) = (text(arguments, "head"), text(arguments, "tail"));
    let (side, known) = match (head, tail) {
        (Some(head), None) => (Side::Tail, head),
        (None, Some(tail)) => (Side::Head, tail),
        _ => {
            let hint = "--head NAME asks for tails, --tail NAME for heads";
            return Err(Failure::input("give either --head or --tail", hint));
        }
    };
    let Some(relation) = text(arguments, "relation") else {
        return Err(Failure::input("which relation?", "give --relation NAME"));
    };
    Ok(Asked { side, known: answerer.entity(known)?, relation: answerer.relation(relation)? })
}

struct Ask<'a> {
    answerer: &'a Answerer,
    /// Those that `--type` or `--candidates` names.
    candidates: Candidates,
    allowed: RefCell<Allowed>,
    novel: bool,
    k: usize,
    context: &'a Context,
    /// Where answers also go, with `--rdf`.
    predictions: RefCell<Option<Predictions<Whole>>>,
}

impl Ask<'_> {
    /// Does something while its answers are also collected for a file.
    fn written(
        &self,
        file: &Path,
        body: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let out = Whole::create(file).map_err(Error::from)?;
        *self.predictions.borrow_mut() = Some(Predictions::new(out));
        body()?;
        let Some(predictions) = self.predictions.borrow_mut().take() else { return Ok(()) };
        let failed = |error| Failure::system(format!("{}: {error}", file.display()));
        let out = predictions.finish().map_err(failed)?;
        Ok(out.finish().map_err(Error::from)?)
    }

    /// Notes answers for the file of `--rdf`.
    fn note(&self, asked: Asked, answers: &[Answer]) -> Result<(), Failure> {
        let mut predictions = self.predictions.borrow_mut();
        let Some(predictions) = predictions.as_mut() else { return Ok(()) };
        let graph = &self.answerer.run.graph;
        let entity = |id: u32| graph.entities().name(id).map_err(Error::from);
        let probable = self.answerer.probabilities(asked, answers, &self.context.machine);
        let relation = graph.relations().name(asked.relation).map_err(Error::from)?;
        let known = entity(asked.known)?;
        for (place, answer) in answers.iter().enumerate() {
            let name = entity(answer.entity)?;
            let triple = match asked.side {
                Side::Tail => [&known, &relation, &name],
                Side::Head => [&name, &relation, &known],
            };
            let triple = triple.map(String::as_str);
            let probability = probable.as_ref().map(|all| all[place]);
            let failed = |error: std::io::Error| Failure::system(error.to_string());
            let prediction = Prediction { triple, score: answer.score, probability };
            predictions.push(&prediction).map_err(failed)?;
        }
        Ok(())
    }

    fn one(&self, asked: Asked) -> Result<Vec<Answer>, Failure> {
        let known = self.answerer.known(&[asked], &self.context.machine)?.remove(0);
        self.knowing(asked, &known)
    }

    fn knowing(&self, asked: Asked, known: &[u32]) -> Result<Vec<Answer>, Failure> {
        let machine = &self.context.machine;
        let graph = &self.answerer.run.graph;
        let allowed = self.allowed.borrow_mut().candidates(graph, asked.relation, asked.side)?;
        let candidates = allowed.and(&self.candidates);
        let query = (asked, known);
        let answers =
            self.answerer.predict_knowing(query, &candidates, self.novel, self.k, machine)?;
        self.note(asked, &answers)?;
        Ok(answers)
    }

    fn show(&self, asked: Asked, answers: &[Answer]) -> Result<(), Failure> {
        if self.context.json {
            let mut value = self.json(asked, answers)?;
            value["plan"] = output::ledger_json(&self.answerer.planned);
            value["peak_bytes"] = crate::terminal::peak_bytes().into();
            self.context.print(&value.to_string());
            return Ok(());
        }
        self.context.say(&asked_in_words(&self.answerer.run, asked)?);
        let probable = self.answerer.probabilities(asked, answers, &self.context.machine);
        let mut headings = vec!["", "answer", "score", "in the graph"];
        if probable.is_some() {
            headings.insert(3, "probability");
        }
        let mut rows = output::table(&headings);
        for (place, answer) in answers.iter().enumerate() {
            let name =
                self.answerer.run.graph.entities().shown(answer.entity).map_err(Error::from)?;
            let known = if answer.known { "yes" } else { "" };
            let mut row = vec![(place + 1).to_string(), name, format!("{:.3}", answer.score)];
            row.extend(probable.as_ref().map(|all| format!("{:.3}", all[place])));
            row.push(known.into());
            rows.add_row(row);
        }
        if let Some(column) = rows.column_mut(1) {
            column.set_cell_alignment(comfy_table::CellAlignment::Left);
        }
        self.context.print(&rows.trim_fmt());
        Ok(())
    }

    fn json(&self, asked: Asked, answers: &[Answer]) -> Result<Value, Failure> {
        let graph = &self.answerer.run.graph;
        let entity = |id: u32| -> Result<Value, Error> {
            let (name, label) = (graph.entities().name(id)?, graph.entities().label(id)?);
            Ok(json!({"name": name, "label": label}))
        };
        let mut list = Vec::new();
        let probable = self.answerer.probabilities(asked, answers, &self.context.machine);
        for (place, answer) in answers.iter().enumerate() {
            let mut value = entity(answer.entity)?;
            value["score"] = answer.score.into();
            if let Some(all) = &probable {
                value["probability"] = all[place].into();
            }
            value["known"] = answer.known.into();
            list.push(value);
        }
        let given = if asked.side == Side::Tail { "head" } else { "tail" };
        Ok(json!({
            given: entity(asked.known)?,
            "relation": graph.relations().name(asked.relation).map_err(Error::from)?,
            "side": asked.side.name(),
            "answers": list,
        }))
    }

    /// Answers one of a file's queries: a line, or rows of the table.
    fn answer_in_file(
        &self,
        asked: Asked,
        known: &[u32],
        rows: &mut comfy_table::Table,
    ) -> Result<(), Failure> {
        let answers = self.knowing(asked, known)?;
        if self.context.json {
            self.context.print(&self.json(asked, &answers)?.to_string());
            return Ok(());
        }
        for (place, answer) in answers.iter().enumerate() {
            let query = asked_in_words(&self.answerer.run, asked)?;
            let name =
                self.answerer.run.graph.entities().shown(answer.entity).map_err(Error::from)?;
            rows.add_row([query, (place + 1).to_string(), name, format!("{:.3}", answer.score)]);
        }
        Ok(())
    }

    /// Answers a file of queries: one JSON object per line, or a table of them all.
    fn file(&self, file: &str) -> Result<(), Failure> {
        let words = std::fs::read_to_string(file).map_err(|error| {
            Failure::input(format!("{file}: cannot be read: {error}"), "check the path")
        })?;
        let mut queries = Vec::new();
        for (line, row) in words.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
            let cells: Vec<&str> = row.split('\t').map(str::trim).collect();
            let (side, known, relation) = match cells.as_slice() {
                [head, relation, "?"] => (Side::Tail, *head, *relation),
                ["?", relation, tail] => (Side::Head, *tail, *relation),
                _ => {
                    let what = format!("{file}:{}:1: expected head, relation and ?", line + 1);
                    return Err(Failure::input(
                        what,
                        "three columns separated by tabs; ? is asked for",
                    ));
                }
            };
            let place = |error: Error| {
                Failure::input(
                    format!("{file}:{}:1: {error}", line + 1),
                    "names are those of the graph's source",
                )
            };
            let known = self.answerer.entity(known).map_err(place)?;
            queries.push(Asked {
                side,
                known,
                relation: self.answerer.relation(relation).map_err(place)?,
            });
        }
        let mut rows = output::table(&["query", "", "answer", "score"]);
        for some in queries.chunks(TOGETHER) {
            let known = self.answerer.known(some, &self.context.machine)?;
            for (asked, known) in some.iter().zip(&known) {
                self.answer_in_file(*asked, known, &mut rows)?;
            }
        }
        if !self.context.json {
            self.context.print(&rows.trim_fmt());
        }
        Ok(())
    }
}
