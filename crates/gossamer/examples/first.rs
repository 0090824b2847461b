//! Import a file of facts, learn it, judge it, ask it.

use gossamer::evaluate::{Candidates, EvaluateRequest, evaluate};
use gossamer::model::Asked;
use gossamer::query::Answerer;
use gossamer::train::{TrainRequest, train};
use gossamer::{Config, ImportRequest, Machine, Run, Side, Silent, Snapshot, Split, import};
use std::path::Path;

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (graph, run) = (Path::new("my-graph"), Path::new("my-run"));
    let machine = Machine::new(2, Some(1 << 30));
    let shares = Some(gossamer_graph::split::Shares::parse("90/5/5")?);
    let sources = vec!["facts.tsv".into()];
    import(&ImportRequest { sources, split: shares, ..Default::default() }, graph, &Silent)?;

    let config = Config { dim: 50, ..Config::for_model("complex")? };
    let request = TrainRequest { config, out: run.into(), ..TrainRequest::default() };
    train(&Snapshot::open(graph)?, &request, &machine, &Silent)?;

    let judged = EvaluateRequest { split: Split::Test, ..EvaluateRequest::default() };
    let evaluation = evaluate(&Run::open(run)?, &judged, &machine, &Silent)?;
    println!("MRR {:.3}", evaluation.both.mrr());

    let answerer = Answerer::new(Run::open(run)?, &machine)?;
    let (known, relation) = (answerer.entity("France")?, answerer.relation("borders")?);
    let asked = Asked { side: Side::Tail, known, relation };
    for answer in answerer.predict(asked, &Candidates::All, true, 3, &machine)? {
        println!("{} {:.2}", answerer.run.graph.entities().shown(answer.entity)?, answer.score);
    }
    Ok(())
}
