//! What the allocator counts stays within the plan: a binary of its own, with one test, since the
//! count is of the whole process.

#![allow(clippy::unwrap_used)]

use std::fs;

use gossamer::plan::{GraphShape, train_plan};
use gossamer::train::{TrainRequest, train};
use gossamer::{Config, ImportRequest, Machine, Silent, Snapshot, import};
use gossamer_machine::random::{Address, Purpose};
use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Bytes that belong to no line: names being looked up, a manifest, a step's lists of tasks.
const SMALL_THINGS: u64 = 512 << 10;

#[test]
fn allocations_stay_within_the_lines_of_the_plan() {
    let root = tempfile::tempdir().unwrap();
    let (n, address) = (3000u64, Address::new(1, Purpose::Synthetic, 0));
    let mut rows = String::new();
    for i in 0..12_000u32 {
        let [head, tail] = [0, 1].map(|column| address.below(n, i, column));
        rows += &format!("e{head}\tr{}\te{tail}\n", i % 9);
    }
    fs::write(root.path().join("facts.tsv"), rows).unwrap();
    let request = ImportRequest {
        sources: vec![root.path().join("facts.tsv")],
        split: Some(gossamer_graph::split::Shares { valid: 0.1, test: 0.0 }),
        ..ImportRequest::default()
    };
    import(&request, &root.path().join("graph"), &Silent).unwrap();
    let graph = Snapshot::open(&root.path().join("graph")).unwrap();
    let shape = GraphShape::of(&graph).unwrap();
    // Batches of unlike sizes, again and again, must not pile up: hence several epochs.
    for (place, (model, shared, prediction)) in [
        ("complex", true, 0.0),
        ("complex", true, 0.125),
        ("complex in int8", true, 0.0),
        ("rotate in int4", true, 0.0),
        ("complex of drawn", true, 0.0),
        ("complex of drawn", true, 0.5),
        ("distmult in int8 of drawn", true, 0.0),
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
        let draws = model.ends_with(" of drawn");
        let (rest, partitions) = model.split_once(" by ").unwrap_or((model, "1"));
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
            (config.form, config.batch) = ("sampled-softmax".into(), 512);
        }
        if layer != "none" {
            // A step of a network sees the whole graph: few of them say as much.
            config.epochs = 1;
        }
        config.relation_prediction = prediction;
        (config.partitions, config.decoded) = (partitions.parse().unwrap(), decoded);
        let shape = shape.with_queries(&graph, &config).unwrap();
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
        train(&graph, &request, &machine, &Silent).unwrap();
        let counted = COUNTED.peak_usage() as u64 - before;
        assert!(counted <= planned + SMALL_THINGS, "{model}: counted {counted}, planned {planned}");
        // And the plan promises what is needed, within 16 MiB or a tenth.
        let off = planned.saturating_sub(counted);
        assert!(off <= (16 << 20).max(planned / 10), "{model}: counted {counted} of {planned}");
    }
}
