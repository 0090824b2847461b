//! Promises of training: threads, budgets and interruptions change nothing but time.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gossamer::evaluate::{EvaluateRequest, evaluate};
use gossamer::plan::{GraphShape, train_plan};
use gossamer::train::{TrainRequest, resume, train};
use gossamer::{
    Config, Error, ImportRequest, Machine, Observer, Progress, Run, Silent, Snapshot, import,
};
use gossamer_machine::random::{Address, Purpose};

/// A small graph with a pattern: i —next→ i + 1, i —twice→ 2i, i —kind→ its remainder by 7.
fn graph(root: &Path) -> Snapshot {
    graph_of(700, root)
}

fn graph_of(n: u64, root: &Path) -> Snapshot {
    let address = Address::new(4, Purpose::Synthetic, 0);
    let mut files = [String::new(), String::new(), String::new()];
    for i in 0..n {
        let rows = [("next", (i + 1) % n), ("twice", 2 * i % n), ("kind", n + i % 7)];
        for (column, (relation, tail)) in rows.into_iter().enumerate() {
            let part = match address.below(20, i as u32, column as u32) {
                0 => 1,
                1 => 2,
                _ => 0,
            };
            files[part] += &format!("e{i}\t{relation}\te{tail}\n");
        }
    }
    fs::create_dir_all(root.join("source")).unwrap();
    for (name, text) in ["train", "valid", "test"].into_iter().zip(files) {
        fs::write(root.join(format!("source/{name}.txt")), text).unwrap();
    }
    let request = ImportRequest { sources: vec![root.join("source")], ..ImportRequest::default() };
    import(&request, &root.join("graph"), &Silent).unwrap();
    Snapshot::open(&root.join("graph")).unwrap()
}

/// "MODEL in ROW CODE", "MODEL on LAYER", or either "of drawn" entities; "MODEL from ROW CODE" is
/// decoded while it is learned from.
fn config(model: &str) -> Config {
    let draws = model.ends_with(" of drawn");
    let model = model.trim_end_matches(" of drawn");
    let decoded = model.contains(" from ");
    let model = &model.replace(" from ", " in ");
    let (model, rows) = model.split_once(" in ").unwrap_or((model, "f32"));
    let (model, layer) = model.split_once(" on ").unwrap_or((model, "none"));
    let mut config = Config::for_model(model).unwrap();
    (config.layer, config.layers) = (layer.into(), 2);
    (config.rows, config.decoded) = (rows.into(), decoded);
    (config.edge_dropout, config.layer_dropout) = (0.1, 0.1);
    (config.dim, config.epochs, config.validate_every, config.batch) = (6, 6, 2, 200);
    config.negatives = 16;
    if draws {
        (config.form, config.relation_prediction) = ("sampled-softmax".into(), 0.5);
    }
    config.dropout = if model == "tucker" { 0.1 } else { 0.0 };
    config
}

/// Tables, and metrics without their seconds.
fn bytes(run: &Path) -> (Vec<u8>, Vec<String>) {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let without_time = metrics.lines().map(|line| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["seconds"] = 0.into();
        value.to_string()
    });
    (fs::read(run.join("tables.safetensors")).unwrap(), without_time.collect())
}

fn request(root: &Path, name: &str, config: Config) -> TrainRequest {
    TrainRequest { config, out: root.join(name), ..TrainRequest::default() }
}

#[test]
fn any_number_of_threads_and_any_budget_give_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph(root.path());
    let rows_and_networks = [
        "rotate in int4",
        "complex in int8",
        "distmult in bf16",
        "complex on compgcn",
        "rotate on rgcn",
    ];
    let drawn = ["complex of drawn", "distmult in int4 of drawn", "complex on compgcn of drawn"];
    let plain = ["complex", "transe-l2", "rotate"].into_iter().chain(drawn);
    for model in plain.chain(rows_and_networks) {
        for shared in [true, false] {
            let mut config = config(model);
            config.shared_negatives = shared;
            let mut ends = Vec::new();
            for (place, (threads, budget)) in
                [(1, None), (2, None), (5, None), (2, Some(21 << 20))].into_iter().enumerate()
            {
                let machine = Machine::new(threads, budget);
                let request =
                    request(root.path(), &format!("{model}-{shared}-{place}"), config.clone());
                train(&graph, &request, &machine, &Silent).unwrap();
                ends.push(bytes(&request.out));
            }
            assert!(ends.iter().all(|end| *end == ends[0]), "{model} {shared}");
        }
    }
}

/// The same run in less and less memory: all partitions in it, one beside those that are learned
/// from, and these alone.
fn ever_less(config: &Config, graph: &Snapshot) -> Vec<Machine> {
    let shape = GraphShape::of(graph).unwrap();
    let mut machines = vec![Machine::new(2, None)];
    let plan = |machine: &Machine| train_plan(config, &shape, machine);
    while let Ok(plan) = plan(&machines[machines.len() - 1]) {
        machines.push(Machine::new(2, Some(plan.ledger.total() - 1)));
    }
    machines.pop();
    machines
}

fn paged(model: &str) -> Config {
    let mut config = config(model);
    (config.form, config.loss) = ("negative-sampling".into(), "softmax-cross-entropy".into());
    (config.partitions, config.in_memory, config.epochs) = (5, 2, 4);
    config
}

#[test]
fn partitions_on_disk_give_the_bytes_of_partitions_in_memory() {
    let root = tempfile::tempdir().unwrap();
    // Twelve panels: five partitions have two parts or three.
    let graph = graph_of(6000, root.path());
    for (model, optimiser, (partitions, in_memory), shared) in [
        ("complex", "adagrad", (5, 2), true),
        ("rotate in int8", "rowwise-adagrad", (6, 3), false),
        ("complex in bf16", "rowwise-adagrad", (6, 3), false),
        ("distmult", "sgd", (6, 3), true),
        ("complex from int4", "rowwise-adagrad", (5, 2), true),
        ("rotate from int8", "adagrad", (6, 3), false),
    ] {
        let mut config = paged(model);
        config.optimiser = optimiser.into();
        (config.partitions, config.in_memory) = (partitions, in_memory);
        config.shared_negatives = shared;
        let machines = ever_less(&config, &graph);
        assert_eq!(machines.len(), 3);
        let ends: Vec<_> = machines
            .iter()
            .enumerate()
            .map(|(place, machine)| {
                let request = request(root.path(), &format!("{model}-{place}"), config.clone());
                train(&graph, &request, machine, &Silent).unwrap();
                assert!(!request.out.join(".pages").exists());
                assert!(!request.out.join(".buckets").exists());
                bytes(&request.out)
            })
            .collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{model}");
    }
}

#[test]
fn a_paged_run_goes_on_from_any_step_in_any_memory() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph_of(6000, root.path());
    for model in ["complex in int4", "complex from int4"] {
        goes_on_from_any_step(root.path(), &graph, &paged(model));
    }
}

fn goes_on_from_any_step(root: &Path, graph: &Snapshot, config: &Config) {
    let machines = ever_less(config, graph);
    let mut whole = request(root, "whole", config.clone());
    whole.replace = true;
    train(graph, &whole, &machines[0], &Silent).unwrap();
    for (place, limit) in [1, 3, 11, 40, 90].into_iter().enumerate() {
        let mut stopped = request(root, "stopped", config.clone());
        (stopped.replace, stopped.save_every) = (true, Duration::from_millis(3));
        let impatient = Impatient { looks: AtomicU64::new(0), limit };
        let result = train(graph, &stopped, &machines[place % 3], &impatient);
        assert!(matches!(result, Err(Error::Stopped)), "{limit}");
        resume(&stopped.out, Duration::ZERO, &machines[(place + 1) % 3], &Silent).unwrap();
        assert_eq!(bytes(&stopped.out), bytes(&whole.out), "{limit}");
    }
}

/// Cancels at the n-th look, and lets a clock tick.
struct Impatient {
    looks: AtomicU64,
    limit: u64,
}

impl Observer for Impatient {
    fn now(&self) -> Duration {
        Duration::from_millis(self.looks.load(Ordering::Relaxed))
    }
    fn progress(&self, _: &Progress<'_>) {}
    fn cancelled(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit
    }
    fn log(&self, _: &str) {}
}

#[test]
fn stopped_at_any_step_and_resumed_a_run_ends_with_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph(root.path());
    let machine = Machine::new(2, None);
    let models = ["complex", "transe", "tucker", "rotate in int8", "distmult on compgcn-mult"];
    for model in models {
        let whole = request(root.path(), &format!("whole-{model}"), config(model));
        train(&graph, &whole, &machine, &Silent).unwrap();
        for limit in [1, 2, 7, 13, 29] {
            let part = request(root.path(), &format!("part-{model}-{limit}"), config(model));
            let observer = Impatient { looks: AtomicU64::new(0), limit };
            let mut result = train(&graph, &part, &machine, &observer);
            let mut stops = 0;
            while let Err(error) = result {
                assert!(matches!(error, Error::Stopped), "{error}");
                assert!(Run::open(&part.out).unwrap_err().to_string().contains("gossamer resume"));
                stops += 1;
                // A validation cannot be cut in two: give it the looks it needs.
                let observer = Impatient { looks: AtomicU64::new(0), limit: limit + stops * 3 };
                result = resume(&part.out, Duration::from_secs(9), &machine, &observer);
            }
            assert!(stops > 0);
            assert_eq!(bytes(&part.out), bytes(&whole.out), "{model} {limit}");
            Run::open(&part.out).unwrap().check().unwrap();
            assert!(
                fs::read_dir(&part.out).unwrap().all(|e| !e
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("checkpoint"))
            );
        }
    }
}

#[test]
fn any_flipped_byte_of_a_run_or_a_checkpoint_is_refused_with_its_place() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph(root.path());
    let machine = Machine::new(1, None);
    let mut small = config("distmult");
    (small.dim, small.epochs) = (1, 2);
    let finished = request(root.path(), "finished", small.clone());
    train(&graph, &finished, &machine, &Silent).unwrap();
    let stopped = request(root.path(), "stopped", small);
    let observer = Impatient { looks: AtomicU64::new(0), limit: 2 };
    train(&graph, &stopped, &machine, &observer).unwrap_err();
    let checkpoint = gossamer::train::checkpoint::latest(&stopped.out).unwrap();
    let n_relations = graph.relations().len();
    let look = |folder: &Path| -> Result<(), Error> {
        if folder.starts_with(&stopped.out) {
            gossamer::train::checkpoint::load(
                folder,
                folder,
                [graph.entities().len(), n_relations],
            )?;
            return Ok(());
        }
        Run::open(&finished.out).and_then(|run| run.check())
    };
    for folder in [finished.out.clone(), finished.out.join("graph"), checkpoint] {
        look(&folder).unwrap();
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.is_file()) {
            let whole = fs::read(&path).unwrap();
            // Every byte of small files, every few of larger ones, the ends always.
            let stride = (whole.len() / 300).max(1);
            for place in (0..whole.len()).step_by(stride).chain(whole.len().checked_sub(1)) {
                let mut damaged = whole.clone();
                damaged[place] ^= 0x04;
                // Replaced, not changed: the graph's files are shared with the graph folder.
                fs::remove_file(&path).unwrap();
                fs::write(&path, &damaged).unwrap();
                let error = look(&folder).expect_err(&format!("{} byte {place}", path.display()));
                let said = error.to_string();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                assert!(said.contains(&name) || said.contains("format version"), "{said}");
            }
            fs::remove_file(&path).unwrap();
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn learning_beats_chance_and_a_sample_agrees_with_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph(root.path());
    let machine = Machine::new(2, None);
    let mut config = config("complex");
    (config.dim, config.epochs, config.batch, config.patience) = (32, 30, 64, 0);
    config.regularisation = 0.01;
    let request = request(root.path(), "run", config);
    train(&graph, &request, &machine, &Silent).unwrap();
    let run = Run::open(&request.out).unwrap();
    let whole = evaluate(&run, &EvaluateRequest::default(), &machine, &Silent).unwrap();
    let trivial = whole.baselines.iter().map(|(_, scores)| scores.mrr()).fold(0.0, f64::max);
    assert!(whole.both.mrr() > trivial, "{} {trivial}", whole.both.mrr());
    let sampled = EvaluateRequest { half_width: Some(1.0), ..EvaluateRequest::default() };
    let sampled = evaluate(&run, &sampled, &machine, &Silent).unwrap();
    assert!((sampled.both.mrr() - whole.both.mrr()).abs() <= whole.half_width.max(0.05));
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_the_least_that_fits() {
    let root = tempfile::tempdir().unwrap();
    let graph = graph(root.path());
    let tight = Machine::new(2, Some(1 << 20));
    let request = request(root.path(), "run", config("complex"));
    let Err(Error::BudgetTooSmall { smallest, .. }) = train(&graph, &request, &tight, &Silent)
    else {
        panic!("a mebibyte cannot be enough");
    };
    assert!(!request.out.exists(), "nothing is left behind");
    let enough = Machine::new(2, Some(smallest));
    train(&graph, &request, &enough, &Silent).unwrap();
    let run = Run::open(&request.out).unwrap();
    let refused = evaluate(&run, &EvaluateRequest::default(), &tight, &Silent).unwrap_err();
    assert!(refused.to_string().contains("--budget"));
}
