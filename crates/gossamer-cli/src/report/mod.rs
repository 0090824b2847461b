//! The page: everything about a run, or a graph, in one HTML file that needs nothing else.
//!
//! *Invariant:* no script, nothing fetched; light and dark as the reader's system says; readable
//! from 360 pixels on.

use std::path::Path;

use gossamer::evaluate::{Evaluation, Scores, metric};
use gossamer::{Error, Run, Snapshot};
use gossamer_graph::inspect::Inspection;
use gossamer_machine::Ledger;
use gossamer_machine::ledger::bytes_in_words;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::output::count;
use crate::words::{degrees_in_words, mirrors_in_words, warts};

pub mod chart;
pub mod example;
pub mod tuned;

use example::Example;

/// The file in a run folder, or a graph folder.
pub const FILE: &str = "report.html";

/// What a run's page is made of.
pub struct RunPage<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its graph's report.
    pub inspection: &'a Inspection,
    /// The judgement, with the name of its split; none where the graph has nothing to judge on.
    pub judged: Option<(&'static str, &'a Evaluation)>,
    /// What was planned for training.
    pub plan: &'a Ledger,
    /// Questions with their answers.
    pub examples: &'a [Example],
}

impl RunPage<'_> {
    /// The page.
    ///
    /// # Errors
    /// Those of reading the run.
    pub fn html(&self) -> Result<String, Error> {
        let run = self.run;
        let config = &run.config;
        let metrics = String::from_utf8_lossy(&run.folder().read("metrics.jsonl")?).into_owned();
        let settings = config.to_toml();
        let title = format!("{} · dim {}", config.model, config.dim);
        let body = html! {
            h1 { (title) }
            p.soft { (folder_name(&run.path)) " · gossamer " (env!("CARGO_PKG_VERSION")) }
            div.grid {
                @if let Some((split, evaluation)) = self.judged { (headline(split, evaluation)) }
                (curves(&metrics))
                @if let Some((_, evaluation)) = self.judged {
                    (by_kind(evaluation))
                    (by_relation(run, evaluation)?)
                }
                @if !self.examples.is_empty() { (example::section(self.examples)) }
                (graph_section(&run.graph, self.inspection)?)
                (memory(self.plan))
                section {
                    details {
                        summary { "Configuration" }
                        p.soft { "The run again: gossamer train GRAPH --config config.toml" }
                        pre { (settings) }
                    }
                }
            }
        };
        Ok(page(&title, &body))
    }
}

/// The page of a graph alone.
///
/// # Errors
/// Those of reading names.
pub fn graph_page(path: &Path, graph: &Snapshot, inspection: &Inspection) -> Result<String, Error> {
    let title = format!("graph {}", folder_name(path));
    let body = html! {
        h1 { (title) }
        div.grid { (graph_section(graph, inspection)?) }
    };
    Ok(page(&title, &body))
}

/// A folder's own name: a page that is shown to others says nothing of where it was made.
fn folder_name(path: &Path) -> String {
    let whole = path.canonicalize();
    let name = whole.as_deref().unwrap_or(path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // An empty icon keeps a browser from asking for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

fn headline(split: &str, evaluation: &Evaluation) -> Markup {
    let [judged, all] = evaluation.n_triples;
    html! {
        section.wide {
            h2 { "Judged on " (split) }
            div.figures {
                @for (metric, value) in metric::ALL.iter().zip(&evaluation.both.values) {
                    div { span.soft { (metric.name()) } b { (figure(metric.name(), *value)) } }
                }
            }
            p.soft {
                "filtered ranks, both sides, ties by mean; MRR ± " (format!("{:.4}", evaluation.half_width))
                " (95 %) over " (count(judged)) " of " (count(all)) " triples"
            }
            (score_table("", &[
                ("this run", &evaluation.both),
                ("tails asked", &evaluation.sides[0]),
                ("heads asked", &evaluation.sides[1]),
            ].into_iter().map(|(name, scores)| (name.to_string(), scores))
                .chain(evaluation.baselines.iter().map(|(name, s)| (format!("baseline: {name}"), s)))
                .collect::<Vec<_>>()))
        }
    }
}

fn figure(metric: &str, value: f64) -> String {
    if metric == "MR" { format!("{value:.1}") } else { format!("{value:.4}") }
}

/// A row per named scores, MRR as a bar.
fn score_table(heading: &str, rows: &[(String, &Scores)]) -> Markup {
    let hits = metric::ALL.iter().position(|metric| metric.name() == "Hits@10");
    html! {
        div.scroll { table {
            tr { th { (heading) } th.number { "ranks" } th.number { "MRR" } th.bars {} th.number { "Hits@10" } }
            @for (name, scores) in rows {
                tr {
                    td.name { (name) }
                    td.number { (count(scores.n_ranks)) }
                    td.number { (format!("{:.4}", scores.mrr())) }
                    td.bars { div.bar style=(format!("width:{:.1}%", 100.0 * scores.mrr())) {} }
                    td.number { (hits.map_or(String::new(), |at| format!("{:.4}", scores.values[at]))) }
                }
            }
        } }
    }
}

fn curves(metrics: &str) -> Markup {
    let read = |key: &str| -> Vec<(f64, f64)> {
        let lines = metrics.lines().filter_map(|line| serde_json::from_str(line).ok());
        let point = |line: serde_json::Value| Some((line["epoch"].as_f64()?, line[key].as_f64()?));
        lines.filter_map(point).collect()
    };
    html! {
        section { h2 { "Training loss" } (chart::line(&read("loss"), "epoch", false)) }
        section {
            h2 { "MRR on valid" }
            (chart::line(&read("valid_mean_reciprocal_rank"), "epoch", true))
        }
    }
}

fn by_kind(evaluation: &Evaluation) -> Markup {
    let degrees: Vec<(String, &Scores)> = evaluation
        .by_degree
        .iter()
        .map(|([least, most], scores)| {
            (format!("{} – {}", count(*least as usize), count(*most as usize)), scores)
        })
        .collect();
    let kinds: Vec<(String, &Scores)> = evaluation
        .by_cardinality
        .iter()
        .map(|(kind, scores)| (kind.name().to_string(), scores))
        .collect();
    html! {
        section {
            h2 { "By the answer's degree in train" }
            p.soft { "tenths of the ranks, from rare entities to busy ones" }
            (score_table("degree", &degrees))
        }
        section {
            h2 { "By the relation's cardinality" }
            p.soft { "1-n: a head has many tails; n-1: a tail has many heads" }
            (score_table("cardinality", &kinds))
        }
    }
}

fn by_relation(run: &Run, evaluation: &Evaluation) -> Result<Markup, Error> {
    /// Relations shown at once; the others unfold.
    const SHOWN: usize = 15;
    let mut sorted: Vec<&(u32, Scores)> = evaluation.by_relation.iter().collect();
    sorted.sort_by_key(|(relation, scores)| (std::cmp::Reverse(scores.n_ranks), *relation));
    let mut rows = Vec::with_capacity(sorted.len());
    for (relation, scores) in sorted {
        rows.push((run.graph.relations().shown(*relation)?, scores));
    }
    let (first, rest) = rows.split_at(SHOWN.min(rows.len()));
    Ok(html! {
        section.wide {
            h2 { "By relation" }
            (score_table("relation", first))
            @if !rest.is_empty() {
                details { summary { (rest.len()) " more" } (score_table("relation", rest)) }
            }
        }
    })
}

fn graph_section(graph: &Snapshot, found: &Inspection) -> Result<Markup, Error> {
    let [train, valid, test] = found.n_triples;
    let figures = [
        (found.n_entities, "entities"),
        (found.n_relations, "relations"),
        (train, "train"),
        (valid, "valid"),
        (test, "test"),
    ];
    let mirrors = mirrors_in_words(graph, found)?;
    Ok(html! {
        section {
            h2 { "The graph" }
            div.figures {
                @for (n, what) in figures { div { span.soft { (what) } b { (count(n)) } } }
            }
            p { (degrees_in_words(found)) }
            @for (n, what) in warts(found) {
                @if n > 0 { p.wart { (count(n)) " " (what) } }
            }
            @if !mirrors.is_empty() {
                details {
                    summary { (mirrors.len()) " mirrored relations" }
                    @for line in &mirrors { p { (line) } }
                }
            }
        }
    })
}

fn memory(plan: &Ledger) -> Markup {
    html! {
        section {
            h2 { "Memory of training, as planned" }
            div.scroll { table {
                tr { th { "what" } th { "shape" } th.number { "bytes" } }
                @for line in &plan.lines {
                    tr {
                        td.name { (line.name) } td { (line.shape) }
                        td.number { (bytes_in_words(line.bytes)) }
                    }
                }
                tr { td { b { "sum" } } td {} td.number { b { (bytes_in_words(plan.total())) } } }
            } }
        }
    }
}
