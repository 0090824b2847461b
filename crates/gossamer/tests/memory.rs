//! What the allocator counts stays within the plan: a binary of its own, with one test, since the
//! count is of the whole process.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use gossamer::plan::{GraphShape, train_plan};
use gossamer::train::{TrainRequest, train};
use gossamer::{Config, ImportRequest, Machine, Silent, Snapshot, import};
use gossamer_machine::random::{Address, Purpose};
use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Bytes that belong to no line: names being looked up, a manifest, a step's lists of tasks.
const SMALL_THINGS: u64 = 512 << 10;

/// A graph of 3,000 entities and 12,000 triples drawn, of `relations` in turn; every `hub`th of one
/// relation to one tail.
fn drawn_graph(folder: &Path, relations: u32, hub: u32) -> (Snapshot, GraphShape) {
    let (n, address) = (3000u64, Address::new(1, Purpose::Synthetic, 0));
    let mut rows = String::new();
    for i in 0..12_000u32 {
        let [head, tail] = [0, 1].map(|column| address.below(n, i, column));
        let (relation, tail) = if i % hub == 0 { (0, 0) } else { (i % relations, tail) };
        rows += &format!("e{head}\tr{relation}\te{tail}\n");
    }
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("facts.tsv"), rows).unwrap();
    let request = ImportRequest {
        sources: vec![folder.join("facts.tsv")],
        split: Some(gossamer_graph::split::Shares { valid: 0.1, test: 0.0 }),
        ..ImportRequest::default()
    };
    import(&request, &folder.join("graph"), &Silent).unwrap();
    let graph = Snapshot::open(&folder.join("graph")).unwrap();
    let shape = GraphShape::of(&graph).unwrap();
    (graph, shape)
}

#[test]
fn allocations_stay_within_the_lines_of_the_plan() {
    let root = tempfile::tempdir().unwrap();
    let [few, many, hub] = [("few", 9, 12_000), ("many", 600, 12_000), ("hub", 600, 3)]
        .map(|(name, relations, hub)| drawn_graph(&root.path().join(name), relations, hub));
    // Batches of unlike sizes, again and again, must not pile up: hence several epochs.
    for (place, (model, shared, prediction)) in [
        ("complex", true, 0.0),
        ("complex", true, 0.125),
        ("complex in int8", true, 0.0),
        ("complex in bf16", true, 0.0),
        ("rotate in int4", true, 0.0),
        ("complex of drawn", true, 0.0),
        ("complex of drawn", true, 0.5),
        ("complex of drawn among many", true, 0.5),
        ("distmult in int8 of drawn", true, 0.0),
        ("complex to all answers of a hub", true, 0.5),
        ("complex by 3", true, 0.0),
        ("distmult in int8 by 6", true, 0.0),
        ("complex from int4 by 6", true, 0.0),
        ("distmult", true, 0.0),
        ("transe", true, 0.0),
        ("rotate", false, 0.0),
        ("hake", false, 0.0),
        ("tucker", true, 0.0),
        ("complex on compgcn", true, 0.0),
        ("transe on rgcn", true, 0.0),
        ("distmult on sage", true, 0.0),
    ]
    .into_iter()
    .enumerate()
    {
        // A machine of its own, so that none begins with the arrays of another.
        let machine = Machine::new(2, None);
        let (rest, (graph, shape)) = match model.rsplit_once(' ').unwrap_or((model, "")) {
            (rest, "many") => (rest.trim_end_matches(" among"), &many),
            (rest, "hub") => (rest.trim_end_matches(" to all answers of a"), &hub),
            _ => (model, &few),
        };
        let draws = rest.ends_with(" of drawn");
        let (rest, partitions) = rest.split_once(" by ").unwrap_or((rest, "1"));
        let rest = rest.trim_end_matches(" of drawn");
        let decoded = rest.contains(" from ");
        let rest = &rest.replace(" from ", " in ");
        let (rest, rows) = rest.split_once(" in ").unwrap_or((rest, "f32"));
        let (function, layer) = rest.split_once(" on ").unwrap_or((rest, "none"));
        let mut config = Config::for_model(function).unwrap();
        (config.layer, config.layers, config.rows) = (layer.into(), 2, rows.into());
        (config.dim, config.epochs, config.validate_every) = (64, 4, 4);
        (config.shared_negatives, config.batch) = (shared, 256);
        if partitions != "1" {
            (config.form, config.loss) =
                ("negative-sampling".into(), "softmax-cross-entropy".into());
        }
        if draws {
            let batch = if model.ends_with(" among many") { 4096 } else { 512 };
            (config.form, config.batch) = ("sampled-softmax".into(), batch);
        }
        if model.contains(" to all answers") {
            (config.form, config.loss) = ("k-vs-all".into(), "softmax-cross-entropy".into());
        }
        if layer != "none" {
            // A step of a network sees the whole graph: few of them say as much.
            config.epochs = 1;
        }
        config.relation_prediction = prediction;
        (config.partitions, config.decoded) = (partitions.parse().unwrap(), decoded);
        let shape = shape.with_queries(graph, &config).unwrap();
        let mut plan = train_plan(&config, &shape, &machine).unwrap();
        let mut machine = machine;
        let least = |total| Machine::new(2, Some(total - 1));
        while let (true, Ok(less)) =
            (partitions != "1", train_plan(&config, &shape, &least(plan.ledger.total())))
        {
            // In as little memory as it goes.
            machine = least(plan.ledger.total());
            plan = less;
        }
        let program = plan.ledger.lines.iter().find(|line| line.name == "program").unwrap().bytes;
        let planned = plan.ledger.total() - program;
        let out = root.path().join(format!("run{place}"));
        let request = TrainRequest { config, out, ..TrainRequest::default() };
        let before = PeakAlloc.current_usage() as u64;
        COUNTED.reset_peak_usage();
        train(graph, &request, &machine, &Silent).unwrap();
        let counted = COUNTED.peak_usage() as u64 - before;
        assert!(counted <= planned + SMALL_THINGS, "{model}: counted {counted}, planned {planned}");
        // And the plan promises what is needed, within 16 MiB or a tenth.
        let off = planned.saturating_sub(counted);
        assert!(off <= (16 << 20).max(planned / 10), "{model}: counted {counted} of {planned}");
    }
}
