//! Losses, gradients and rows equal those of PyTorch (`tests/golden/make.py` made the numbers).

use gossamer::form;
use gossamer::form::batch::{Examples, portions};
use gossamer::form::step::{Learner, Method};
use gossamer::model::Model;
use gossamer::optim::{self, Optimiser, Step};
use gossamer::sample::Sampler;
use gossamer::table::Table;
use gossamer::{Config, Machine, loss, regulariser, score};
use gossamer_graph::{Adjacency, Side, Triples};
use gossamer_machine::Address;
use serde_json::Value;

const FILES: [&str; 14] = [
    include_str!("../golden/tucker.json"),
    include_str!("../golden/pairre.json"),
    include_str!("../golden/mure.json"),
    include_str!("../golden/hake.json"),
    include_str!("../golden/quate.json"),
    include_str!("../golden/autosf.json"),
    include_str!("../golden/simple.json"),
    include_str!("../golden/cp.json"),
    include_str!("../golden/rescal.json"),
    include_str!("../golden/transe.json"),
    include_str!("../golden/transe-l2.json"),
    include_str!("../golden/distmult.json"),
    include_str!("../golden/complex.json"),
    include_str!("../golden/rotate.json"),
];

/// Keeps each row's gradient as its state and changes nothing.
struct Recorder;

impl Optimiser for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }
    fn summary(&self) -> &'static str {
        ""
    }
    fn formula(&self) -> &'static str {
        ""
    }
    fn paper(&self) -> &'static str {
        ""
    }
    fn state_width(&self, width: usize) -> usize {
        width
    }
    fn update(&self, _: &Step, _: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        state.copy_from_slice(gradient);
    }
}

/// Gives the negatives that the file lists for each query.
struct Listed(Vec<Vec<u32>>);

impl Sampler for Listed {
    fn name(&self) -> &'static str {
        "listed"
    }
    fn summary(&self) -> &'static str {
        ""
    }
    fn formula(&self) -> &'static str {
        ""
    }
    fn paper(&self) -> &'static str {
        ""
    }
    fn draw(&self, _: Address, row: u32, _: u32, out: &mut [u32]) {
        out.copy_from_slice(&self.0[row as usize]);
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

fn table(values: &Value, width: usize) -> Table {
    let values = floats(values);
    Table::filled(values.len() / width, width, |id, row| {
        row.copy_from_slice(&values[id as usize * width..][..width]);
    })
}

fn contents(table: &Table) -> Vec<f32> {
    let mut values = Vec::new();
    table.for_each_panel(|panel| values.extend_from_slice(panel.rows));
    values
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (place, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what} at {place}: {a} {b}");
    }
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{key}"))
}

/// The model and configuration of a case.
fn start(file: &Value, case: &Value) -> (Config, Model) {
    let mut config = Config::for_model(text(file, "model")).unwrap();
    config.dim = file["dim"].as_u64().unwrap() as usize;
    config.reciprocal = case["reciprocal"].as_bool().unwrap();
    for key in ["form", "loss", "optimiser", "regulariser"] {
        config.set(key, text(case, key)).unwrap();
    }
    let number = |key: &str| case[key].as_f64().unwrap() as f32;
    (config.margin, config.temperature) = (number("margin"), number("temperature"));
    (config.regularisation, config.learning_rate) = (number("lambda"), number("lr"));
    config.label_smoothing = case["label_smoothing"].as_f64().unwrap_or(0.0) as f32;
    config.query_regularisation = case["query_regularisation"].as_f64().unwrap_or(1.0) as f32;
    config.relation_prediction = case["relation_prediction"].as_f64().unwrap_or(0.0) as f32;
    config.shared_negatives = false;
    let widths = config.score_function().unwrap().widths(config.dim);
    let mut model =
        Model::initial(&config, [1, 1], &gossamer_machine::parallel::Workers::new(1)).unwrap();
    model.entities = table(&case["entity"], widths.entity);
    model.relations = table(&case["relation"], widths.relation);
    if model.core.n_rows() > 0 {
        model.core = table(&case["core"], model.core.width());
    }
    model.n_relations = file["n_relations"].as_u64().unwrap() as usize;
    (config, model)
}

/// Does one step of a case and returns its loss.
fn step(
    learner: &mut Learner,
    config: &Config,
    method: &mut Method<'_>,
    (case, given): (&Value, &Value),
    machine: &Machine,
) -> f64 {
    // A k-vs-all step lists queries of the whole run's triples.
    let whole = case["train"].as_array();
    let listed = whole.or(given["triples"].as_array()).unwrap();
    let mut rows: Vec<Vec<u32>> = listed.iter().map(ids).collect();
    if whole.is_some() {
        rows.sort();
    }
    let column = |place: usize| rows.iter().map(|row| row[place]).collect::<Vec<u32>>();
    let triples = Triples {
        heads: column(0),
        relations: column(1),
        tails: column(2),
        weights: whole.is_none().then(|| floats(&given["weights"])),
    };
    let adjacency = Adjacency::build(learner.model.entities.n_rows(), &[&triples]);
    let mut negatives = Vec::new();
    for side in ["tail", "head"] {
        let lists = given["negatives"][side].as_array();
        negatives.extend(lists.into_iter().flatten().map(ids));
    }
    method.n_negatives = negatives.first().map_or(0, Vec::len);
    let sampler = Listed(negatives);
    let method = Method { sampler: &sampler, ..*method };
    let form = form::find(&config.form).unwrap();
    // Cut small, so that equal queries meet in a batch.
    let portions = portions(&adjacency, 2);
    let (side_weights, pools, alternatives) = (None, None, None);
    let (triples, adjacency, portions) = (&triples, &adjacency, &portions[..]);
    let examples = Examples {
        triples,
        adjacency,
        portions,
        side_weights,
        pools,
        residents: None,
        alternatives,
    };
    let items: Vec<u64> = match given["queries"].as_array() {
        Some(queries) => queries.iter().map(|query| place_of(adjacency, query)).collect(),
        None => (0..form.n_items(examples)).collect(),
    };
    let loss = form.step(learner, examples, &items, &method, machine);
    let weight = match &triples.weights {
        Some(weights) => 2.0 * f64::from(weights.iter().sum::<f32>()),
        None => items.len() as f64,
    };
    assert!((loss.weight - weight).abs() < 1e-4);
    loss.sum / loss.weight
}

/// Where a listed query stands in the adjacency; its answers must be the listed ones.
fn place_of(adjacency: &Adjacency, query: &Value) -> u64 {
    let side = if text(query, "side") == "tail" { Side::Tail } else { Side::Head };
    let number = |key: &str| query[key].as_u64().unwrap() as u32;
    let same = |place: &usize| {
        let here = adjacency.query(*place);
        (here.side, here.known, here.relation) == (side, number("known"), number("relation"))
    };
    let place = (0..adjacency.n_queries()).find(same).unwrap();
    assert_eq!(adjacency.query(place).answers, ids(&query["answers"]));
    place as u64
}

#[test]
fn ten_steps_equal_pytorch() {
    let machine = Machine::new(2, None);
    for file in FILES {
        let file: Value = serde_json::from_str(file).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let name = format!("{} {}", text(&file, "model"), text(case, "name"));
            // With and without room for kept scores: the same bits.
            let mut ends = Vec::new();
            for kept_bytes in [0, 1 << 20] {
                let (config, model) = start(&file, case);
                let mut method = Method::new(&config, kept_bytes, machine.instruction_set).unwrap();
                let mut learner = Learner::new(model, method.optimiser);
                for (number, given) in case["steps"].as_array().unwrap().iter().enumerate() {
                    let loss = step(&mut learner, &config, &mut method, (case, given), &machine);
                    let theirs = given["loss"].as_f64().unwrap();
                    assert!(
                        (loss - theirs).abs() < 2e-5 * (1.0 + theirs.abs()),
                        "{name} step {number}: {loss} {theirs}"
                    );
                }
                assert_close(
                    &contents(&learner.model.entities),
                    &floats(&case["final_entity"]),
                    2e-5,
                    &name,
                );
                assert_close(
                    &contents(&learner.model.relations),
                    &floats(&case["final_relation"]),
                    2e-5,
                    &name,
                );
                if learner.model.core.n_rows() > 0 {
                    let core = contents(&learner.model.core);
                    assert_close(&core, &floats(&case["final_core"]), 2e-5, &name);
                }
                ends.push(contents(&learner.model.entities));
            }
            assert_eq!(ends[0], ends[1], "{name}");
        }
    }
}

#[test]
fn first_gradients_equal_pytorch() {
    let machine = Machine::new(1, None);
    for file in FILES {
        let file: Value = serde_json::from_str(file).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let name = format!("{} {}", text(&file, "model"), text(case, "name"));
            let (config, model) = start(&file, case);
            let mut method = Method {
                optimiser: &Recorder,
                ..Method::new(&config, 0, machine.instruction_set).unwrap()
            };
            let mut learner = Learner::new(model, &Recorder);
            step(&mut learner, &config, &mut method, (case, &case["steps"][0]), &machine);
            assert_close(
                &contents(&learner.entity_state),
                &floats(&case["gradient_entity"]),
                2e-6,
                &name,
            );
            assert_close(
                &contents(&learner.relation_state),
                &floats(&case["gradient_relation"]),
                2e-6,
                &name,
            );
            if learner.model.core.n_rows() > 0 {
                let core = contents(&learner.core_state);
                assert_close(&core, &floats(&case["gradient_core"]), 2e-6, &name);
            }
        }
    }
}

#[test]
fn what_can_be_named_in_a_step_is_covered() {
    let covered = |key: &str, name: &str| {
        FILES.iter().any(|file| file.contains(&format!("\"{key}\":\"{name}\"")))
    };
    assert!(score::ALL.iter().all(|function| covered("model", function.name())));
    assert!(optim::ALL.iter().all(|optimiser| covered("optimiser", optimiser.name())));
    assert!(loss::ALL.iter().all(|loss| covered("loss", loss.name())));
    assert!(regulariser::ALL.iter().all(|regulariser| covered("regulariser", regulariser.name())));
    assert!(form::ALL.iter().all(|form| covered("form", form.name())));
}
