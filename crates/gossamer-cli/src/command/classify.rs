//! `gossamer classify`: tell facts from given negatives.

use std::path::Path;

use clap::{ArgMatches, Command as Clap};
use gossamer::evaluate::calibration;
use gossamer::evaluate::classify::{Classification, Verdicts, classify};
use gossamer::plan::evaluate_plan;
use gossamer::{Error, Run, Split};
use gossamer_graph::read::{self, ReadOptions, Row, TripleSink, source};
use gossamer_graph::{GraphError, Mistake};
use serde_json::{Value, json};

use super::{Command, folder, option, path, text};
use crate::exit::Failure;
use crate::output::{count, render, table};
use crate::terminal::Context;

/// `gossamer classify`.
pub struct Classify;

/// Relations listed for people; machines get all.
const MAX_RELATIONS: usize = 12;

impl Command for Classify {
    fn name(&self) -> &'static str {
        "classify"
    }
    fn summary(&self) -> &'static str {
        "Tell test triples from given negatives, with thresholds and probabilities from valid"
    }
    fn example(&self) -> &'static str {
        "gossamer classify run/ --valid-negatives valid_negatives.txt \
         --test-negatives test_negatives.txt"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A finished run"))
            .arg(
                option("valid-negatives", "FILE", "Triples that are no facts, to learn from")
                    .required(true),
            )
            .arg(
                option("test-negatives", "FILE", "Triples that are no facts, to judge")
                    .required(true),
            )
            .arg(option(
                "save",
                "CALIBRATION",
                "Keep this calibration in the run, for predict: isotonic or platt",
            ))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let run = Run::open(&path(arguments, "run"))?;
        let plan = evaluate_plan(&run.config, &run.graph, None, &context.machine)?;
        let labelled = |split: Split, file: &str| -> Result<_, Failure> {
            let facts = run.graph.triples(split).map_err(Error::from)?;
            let mut all: Vec<([u32; 3], bool)> = facts.iter().map(|fact| (fact, true)).collect();
            let file = Path::new(text(arguments, file).unwrap_or_default());
            let negatives = named_triples(&run, file)?;
            all.extend(negatives.into_iter().map(|triple| (triple, false)));
            Ok(all)
        };
        let valid = labelled(Split::Valid, "valid-negatives")?;
        let test = labelled(Split::Test, "test-negatives")?;
        let model = run.model_with(plan.partitions_held > 0)?;
        let found = classify(&model, &valid, &test, &context.machine);
        model.entities.failure().map_err(Error::from)?;
        if let Some(name) = text(arguments, "save") {
            calibration::find(name).map_err(Error::from)?;
            let kept = found.calibrations.iter().find(|(known, _, _)| *known == name);
            if let Some((name, curve, _)) = kept {
                calibration::save(&run.path, name, curve).map_err(Error::from)?;
                context.say(&format!(
                    "gossamer predict {} says probabilities now",
                    run.path.display()
                ));
            }
        }
        if context.json {
            context.print(&classification_json(&run, &found)?.to_string());
        } else {
            context.print(&classification_text(&run, &found)?);
        }
        Ok(())
    }
}

/// The triples of a file of any format, whose names the run must know.
fn named_triples(run: &Run, file: &Path) -> Result<Vec<[u32; 3]>, Failure> {
    struct Known<'a> {
        run: &'a Run,
        file: String,
        triples: Vec<[u32; 3]>,
    }
    impl TripleSink for Known<'_> {
        fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
            let graph = &self.run.graph;
            let [head, tail] = [row.head, row.tail].map(|name| graph.entities().find(name));
            let relation = graph.relations().find(row.relation)?;
            for (id, name) in [(head?, row.head), (relation, row.relation), (tail?, row.tail)] {
                match id {
                    Some(id) => self.triples.push([id; 3]),
                    None => {
                        return Err(GraphError::Request {
                            what: format!("{}: the graph has no '{name}'", self.file),
                            hint: "negatives must be of entities and relations of the graph".into(),
                        });
                    }
                }
            }
            Ok(())
        }
        fn attribute(&mut self, _: &read::Attribute<'_>) -> Result<(), GraphError> {
            Ok(())
        }
        fn kind(&mut self, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn label(&mut self, _: &str, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn schema(&mut self, _: &read::SchemaFact<'_>) -> Result<(), GraphError> {
            Ok(())
        }
    }
    let options = ReadOptions { file: file.display().to_string(), ..ReadOptions::default() };
    let mut sink = Known { run, file: options.file.clone(), triples: Vec::new() };
    let mut input = source::open(file).map_err(Error::from)?;
    let start = input.fill_buf().map_err(|error| {
        Failure::input(format!("{}: cannot be read: {error}", file.display()), "check the file")
    })?;
    let reader = read::recognise(start);
    let report = reader.read(&mut *input, &options, &mut sink).map_err(Error::from)?;
    if report.mistakes > 0 {
        let mistakes: Vec<Mistake> = report.shown;
        return Err(Error::from(GraphError::Mistakes { mistakes, total: report.mistakes }).into());
    }
    Ok(sink.triples.chunks_exact(3).map(|ids| [ids[0][0], ids[1][0], ids[2][0]]).collect())
}

fn classification_text(run: &Run, found: &Classification) -> Result<String, Failure> {
    let all = &found.all;
    let mut words = format!(
        "{} triples: accuracy {:.4}, F1 {:.4}\n",
        count(all.count() as usize),
        all.accuracy(),
        all.f1()
    );
    for (name, _, error) in &found.calibrations {
        words += &format!("expected calibration error, {name}: {error:.4}\n");
    }
    let mut relations = found.by_relation.clone();
    relations.sort_by_key(|(_, _, verdicts)| std::cmp::Reverse(verdicts.count()));
    let mut rows = table(&["relation", "triples", "threshold", "accuracy", "F1"]);
    for (relation, threshold, of) in relations.iter().take(MAX_RELATIONS) {
        rows.add_row([
            run.graph.relations().shown(*relation).map_err(Error::from)?,
            count(of.count() as usize),
            format!("{threshold:.3}"),
            format!("{:.4}", of.accuracy()),
            format!("{:.4}", of.f1()),
        ]);
    }
    Ok(words + &render(rows))
}

fn classification_json(run: &Run, found: &Classification) -> Result<Value, Failure> {
    let verdicts = |of: &Verdicts| {
        json!({
            "count": of.count(),
            "accuracy": of.accuracy(),
            "f1": of.f1(),
            "true_positive": of.true_positive,
            "false_positive": of.false_positive,
            "true_negative": of.true_negative,
            "false_negative": of.false_negative,
        })
    };
    let mut by_relation = Vec::new();
    for (relation, threshold, of) in &found.by_relation {
        let mut value = verdicts(of);
        let name = run.graph.relations().name(*relation).map_err(Error::from)?;
        value["relation"] = name.into();
        value["threshold"] = (*threshold).into();
        by_relation.push(value);
    }
    let mut value = verdicts(&found.all);
    value["threshold"] = found.threshold.into();
    value["by_relation"] = by_relation.into();
    for (name, _, error) in &found.calibrations {
        value["expected_calibration_error"][name] = (*error).into();
    }
    Ok(value)
}
