//! Stories of users: their files, their mistakes, their questions.

use std::fs;

use crate::{fail, gossamer, numbers, succeed};

#[test]
fn from_a_file_to_an_answer() {
    let (_root, folder) = numbers(200);
    let report = succeed(&folder, "gossamer import source -o graph");
    assert!(report.contains("3 relations"), "{report}");
    succeed(&folder, "gossamer train graph -o run --dim 16 --epochs 20 --threads 2");
    let text = succeed(&folder, "gossamer evaluate run");
    for part in
        ["both sides", "baseline: degree", "inverse rule", "realistic ties", "n-1 relations"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = succeed(&folder, "gossamer evaluate run --json --sample 0.5 --ranks ranks.tsv");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(value["both"]["mean_reciprocal_rank"].as_f64().unwrap() > 0.0);
    assert!(value["both"]["adjusted_arithmetic_mean_rank_index"].is_number());
    let json = succeed(&folder, "gossamer evaluate run --json --triples 7 --negatives 20");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!([&value["triples_judged"], &value["candidates"]], [7, 20]);
    let chance = value["baselines"]["inverse rule"]["arithmetic_mean_rank"].as_f64().unwrap();
    assert!(chance <= 21.0, "{json}");
    let ranks = fs::read_to_string(folder.join("ranks.tsv")).unwrap();
    assert!(ranks.starts_with("head\trelation\ttail\tside\trank_optimistic"));
    let answers = succeed(&folder, "gossamer predict run --head n5 --relation next -k 3 --json");
    let value: serde_json::Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(value["answers"].as_array().unwrap().len(), 3);
    assert_eq!(value["head"]["name"], "n5");
    let novel = succeed(&folder, "gossamer predict run --tail n5 --relation next --novel --json");
    let value: serde_json::Value = serde_json::from_str(&novel).unwrap();
    assert!(value["answers"].as_array().unwrap().iter().all(|answer| answer["known"] == false));
    assert!(succeed(&folder, "gossamer similar run n5 -k 2").lines().count() >= 3);
    fs::write(folder.join("queries.tsv"), "n1\tnext\t?\n?\tkind\tn200\n").unwrap();
    let lines = succeed(&folder, "gossamer predict run --queries queries.tsv -k 2 --json");
    assert_eq!(lines.lines().count(), 2);
    assert!(succeed(&folder, "gossamer check run").contains("whole"));
    fail(&folder, "gossamer resume run", 2, &["finished", "gossamer evaluate"]);
}

#[test]
fn names_that_nobody_knows_get_the_nearest() {
    let (_root, folder) = numbers(60);
    succeed(&folder, "gossamer import source -o graph");
    succeed(&folder, "gossamer train graph -o run --dim 4 --epochs 1");
    fail(
        &folder,
        "gossamer predict run --head n5 --relation nxt",
        3,
        &["relation 'nxt'", "nearest: 'next'"],
    );
    fail(&folder, "gossamer predict run --head m5 --relation next", 3, &["entity 'm5'"]);
    fail(&folder, "gossamer predict run --relation next", 2, &["--head"]);
    fail(&folder, "gossamer train graph -o other --model complx", 3, &["did you mean 'complex'"]);
    fail(&folder, "gossamer train graph -o run", 2, &["is there already", "--force"]);
    fail(&folder, "gossamer train nowhere -o other", 2, &["there is no graph here"]);
    fail(&folder, "gossamer evaluate graph", 2, &["hint"]);
    fail(
        &folder,
        "gossamer train graph -o other --dim many",
        2,
        &["setting 'dim'", "whole number"],
    );
    assert!(!folder.join("other").exists());
}

#[test]
fn ones_own_file_with_mistakes_in_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let mine = "Ada\tknows\tBob\nBob knows Cleo\nCleo\tknows\tAda\nAda\tknows\n\tknows\tBob\n";
    fs::write(folder.join("mine.tsv"), mine).unwrap();
    let parts = ["mine.tsv:2:1", "mine.tsv:4:1", "mine.tsv:5:1", "expected 3 columns", "hint: "];
    fail(folder, "gossamer import mine.tsv -o graph", 2, &parts);
    assert!(!folder.join("graph").exists());
    let hidden = fs::read_dir(folder).unwrap().filter_map(Result::ok);
    assert!(
        hidden
            .filter(|e| e.path().is_dir())
            .all(|e| e.file_name().to_string_lossy().starts_with('.'))
    );
    let report = succeed(folder, "gossamer import mine.tsv -o graph --skip-bad-rows");
    assert!(report.contains("3 not understood") && report.contains("2 training"), "{report}");
    let text = succeed(folder, "gossamer inspect graph --json");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["n_entities"], 3);
    fail(folder, "gossamer import absent.tsv -o g2", 2, &["no such file"]);
    fs::write(folder.join("empty.tsv"), "").unwrap();
    fail(folder, "gossamer import empty.tsv -o g2", 2, &["no triples"]);
    fs::write(folder.join("latin.tsv"), b"Caf\xe9\tin\tParis\n").unwrap();
    fail(folder, "gossamer import latin.tsv -o g2", 2, &["latin.tsv:1:4", "UTF-8"]);
    fail(folder, "gossamer import mine.tsv -o g2 --split 50/50", 2, &["'50/50' is no split"]);
    // Without held-out triples one can learn and ask, but not judge.
    succeed(folder, "gossamer train graph -o run --dim 4 --epochs 2");
    fail(folder, "gossamer evaluate run", 2, &["no test triples", "--split 90/5/5"]);
}

#[test]
fn labels_serve_as_names_and_ambiguous_ones_list_their_owners() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    fs::write(folder.join("f.csv"), "head,relation,tail\nQ1,P1,Q2\nQ2,P1,Q3\nQ3,P1,Q1\n").unwrap();
    fs::write(folder.join("l.tsv"), "Q1\tSpringfield\nQ2\tSpringfield\nQ3\tOgden\nP1\ttwin of\n")
        .unwrap();
    succeed(folder, "gossamer import f.csv --labels l.tsv -o graph");
    succeed(folder, "gossamer train graph -o run --dim 4 --epochs 2");
    let text = succeed(folder, "gossamer predict run --head ogden --relation \"twin of\" -k 1");
    assert!(text.contains("(Q"), "{text}");
    let parts = ["label of several", "Springfield (Q1)", "Springfield (Q2)"];
    fail(folder, "gossamer predict run --head Springfield --relation P1", 3, &parts);
}

#[test]
fn standard_input_and_a_configuration_file_work() {
    use std::io::Write;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let mut child = gossamer(folder, &["import", "-", "-o", "graph", "--split", "80/10/10"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let rows: String = (0..300)
        .map(|i| format!("a{}\tr{}\ta{}\n", i % 40, i % 3, (i * 7 + i / 40) % 40))
        .collect();
    child.stdin.take().unwrap().write_all(rows.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    fs::write(folder.join("c.toml"), "model = \"transe\"\nembedding_dim = 5\nepochs = 2\n")
        .unwrap();
    let output = crate::run(folder, "gossamer train graph -o run --config c.toml --seed 7");
    assert!(String::from_utf8_lossy(&output.stderr).contains("'embedding_dim' is called 'dim'"));
    let config = fs::read_to_string(folder.join("run/config.toml")).unwrap();
    assert!(config.contains("\ndim = 5\n") && config.contains("\nseed = 7\n"));
    // What a run wrote repeats it.
    succeed(folder, "gossamer train graph -o again --config run/config.toml");
    let tables = |run: &str| fs::read(folder.join(run).join("tables.safetensors")).unwrap();
    assert_eq!(tables("run"), tables("again"));
}

#[test]
fn damage_is_named_with_its_place() {
    let (_root, folder) = numbers(100);
    succeed(&folder, "gossamer import source -o graph");
    succeed(&folder, "gossamer train graph -o run --dim 4 --epochs 1");
    let path = folder.join("run/tables.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() - 5;
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    for command in ["check run", "evaluate run", "predict run --head n1 --relation next"] {
        fail(&folder, &format!("gossamer {command}"), 5, &["tables.safetensors: damaged at byte"]);
    }
}

#[test]
fn a_run_has_its_page_and_its_facts_go_out_and_in_again() {
    let (_root, folder) = numbers(80);
    succeed(&folder, "gossamer import source -o graph");
    succeed(&folder, "gossamer train graph -o run --dim 8 --epochs 3 --validate-every 1");
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(page("run/report.html").contains("Judged on valid"));
    succeed(&folder, "gossamer evaluate run");
    let whole = page("run/report.html");
    for words in
        ["Judged on test", "baseline: degree", "<polyline", "Configuration", "learning_rate"]
    {
        assert!(whole.contains(words), "{words}");
    }
    for outside in ["<script", "http://", "https://", "@import"] {
        assert!(!whole.contains(outside), "{outside}");
    }
    succeed(&folder, "gossamer check run");
    succeed(&folder, "gossamer report graph");
    assert!(page("graph/report.html").contains("entities"));
    for format in ["n-triples", "trig", "csv"] {
        succeed(&folder, &format!("gossamer export run --format {format} -o facts --force"));
        succeed(&folder, "gossamer import facts -o again --force");
        let facts = |graph: &str| {
            succeed(&folder, &format!("gossamer export {graph} --format tsv -o plain --force"));
            ["train", "valid", "test"].map(|split| {
                let text = page(&format!("plain/{split}.tsv"));
                let mut lines: Vec<String> = text.lines().map(String::from).collect();
                lines.sort();
                lines
            })
        };
        assert!(facts("graph") == facts("again"), "{format}");
        std::fs::remove_dir_all(folder.join("facts")).unwrap();
    }
}

#[test]
fn negatives_come_from_around_the_answer_in_given_vectors() {
    let (_root, folder) = numbers(300);
    succeed(&folder, "gossamer import source -o graph");
    succeed(&folder, "gossamer train graph -o first --dim 8 --epochs 2");
    succeed(&folder, "gossamer export first --format numpy -o vectors");
    let near = "gossamer train graph -o near --model transe --dim 8 --epochs 2 --negatives 16 \
                --negative-sampler near";
    fail(&folder, near, 2, &["near draws for each query apart", "--shared-negatives false"]);
    let near = format!("{near} --shared-negatives false");
    fail(&folder, &near, 2, &["need vectors", "--neighbours"]);
    assert!(!folder.join("near").exists(), "nothing half-written");
    succeed(&folder, &format!("{near} --neighbours vectors/entity.npy"));
    let lines = fs::read_to_string(folder.join("near/neighbourhoods.txt")).unwrap();
    assert!(lines.lines().count() > 300 && lines.lines().any(|line| line == "1"), "{lines}");
    succeed(&folder, "gossamer check near");
    let without = "gossamer train graph -o other --neighbours vectors/entity.npy";
    fail(&folder, without, 2, &["uniform negatives use no vectors"]);
    let alike = "gossamer train graph -o alike --model transe --dim 8 --epochs 2 --negatives 16 \
                 --shared-negatives false --negative-sampler relation-similar --force";
    succeed(&folder, &format!("{alike} --dropout 0.1"));
    fail(&folder, &format!("{alike} --dropout 1"), 2, &["no part that can be left out", "below 1"]);
}

#[test]
fn seeds_give_a_spread_and_two_runs_are_compared() {
    let (_root, folder) = numbers(80);
    succeed(&folder, "gossamer import source -o graph");
    let train = "gossamer train graph -o many --seeds 3 --dim 8 --epochs 2";
    succeed(&folder, train);
    // What is finished stays: the second call has nothing to do.
    let tables = folder.join("many/seed-1/tables.safetensors");
    let before = std::fs::metadata(&tables).unwrap().modified().unwrap();
    succeed(&folder, train);
    assert_eq!(std::fs::metadata(&tables).unwrap().modified().unwrap(), before);
    fail(&folder, &format!("{train} --batch 3"), 2, &["other settings"]);
    let table = succeed(&folder, "gossamer evaluate many");
    assert!(table.contains("seed-2") && table.contains("± (95 %)"), "{table}");
    succeed(&folder, "gossamer train graph -o better --dim 16 --epochs 20");
    let same = succeed(&folder, "gossamer compare many/seed-0 many/seed-0");
    assert!(same.contains("no difference was found"), "{same}");
    let words = succeed(&folder, "gossamer compare better many --json");
    let value: serde_json::Value = serde_json::from_str(&words).unwrap();
    let interval = &value["interval_95"];
    let differs = interval[0].as_f64().unwrap() > 0.0 || interval[1].as_f64().unwrap() < 0.0;
    assert_eq!(value["differs"].as_bool(), Some(differs));
    succeed(&folder, "gossamer import source -o other --split 80/10/10");
    succeed(&folder, "gossamer train other -o stranger --dim 8 --epochs 1");
    fail(&folder, "gossamer compare many stranger", 2, &["same graph"]);
}

#[test]
fn an_ontology_says_who_may_answer() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let mut turtle = String::from(
        "@prefix a: <http://a.org/> .\n@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n\
         a:in rdfs:range a:Country .\na:France a a:Country .\na:Spain a a:Country .\n",
    );
    for city in 0..20 {
        let country = if city % 2 == 0 { "France" } else { "Spain" };
        turtle +=
            &format!("a:c{city} a a:City ; a:in a:{country} ; a:near a:c{} .\n", (city + 2) % 20);
    }
    std::fs::write(folder.join("facts.ttl"), turtle).unwrap();
    succeed(folder, "gossamer import facts.ttl -o graph");
    succeed(folder, "gossamer train graph -o run --dim 8 --epochs 2");
    let ask = "gossamer predict run --head http://a.org/c1 --relation http://a.org/in -k 9";
    let answers = |more: &str| {
        let text = succeed(folder, &format!("{ask} --json {more}"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let list = value["answers"].as_array().unwrap();
        let mut names: Vec<String> =
            list.iter().map(|one| one["name"].as_str().unwrap().to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(answers(""), ["http://a.org/France", "http://a.org/Spain"]);
    assert_eq!(answers("--seen"), ["http://a.org/France", "http://a.org/Spain"]);
    assert_eq!(answers("--any-type").len(), 9);
    answers("--rdf said.nt");
    succeed(folder, "gossamer import said.nt -o statements");
    let said = std::fs::read_to_string(folder.join("said.nt")).unwrap();
    assert_eq!(said.matches("<gossamer:score>").count(), 2);
    assert!(said.contains("#object> <http://a.org/Spain> ."), "{said}");
    assert!(answers("--type http://a.org/City").iter().all(|name| name.contains("/c")));
}

#[test]
fn a_dry_run_reports_and_writes_nothing() {
    let (_root, folder) = numbers(80);
    let said = succeed(&folder, "gossamer import source -o graph --dry-run");
    assert!(said.contains("entities"), "{said}");
    let left: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, ["source"]);
}

#[test]
fn force_replaces_nothing_that_is_not_ours() {
    let (_root, folder) = numbers(80);
    std::fs::write(folder.join("thesis"), "years of work").unwrap();
    std::fs::create_dir(folder.join("photos")).unwrap();
    std::fs::write(folder.join("photos/1.jpg"), "x").unwrap();
    succeed(&folder, "gossamer import source -o graph");
    for target in ["thesis", "photos"] {
        let refused = ["no folder that gossamer made"];
        fail(&folder, &format!("gossamer import source -o {target} --force"), 2, &refused);
        let train = format!("gossamer train graph -o {target} --epochs 1 --dim 4 --force");
        fail(&folder, &train, 2, &refused);
    }
    assert_eq!(std::fs::read_to_string(folder.join("thesis")).unwrap(), "years of work");
    assert!(folder.join("photos/1.jpg").exists());
    succeed(&folder, "gossamer import source -o graph --force");
}

#[test]
fn a_search_goes_on_where_it_was_and_leaves_a_run_and_a_recipe_for_it() {
    let (_root, folder) = numbers(80);
    succeed(&folder, "gossamer import source -o graph --split 80/10/10");
    let trials = |text: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["trials"].clone()
    };
    // No time: one trial on each rung, all of the default.
    let first = trials(&succeed(&folder, "gossamer tune graph --time 0s -o tuned --json"));
    let rungs: Vec<u64> =
        first.as_array().unwrap().iter().map(|trial| trial["rung"].as_u64().unwrap()).collect();
    assert_eq!(rungs, [1, 2, 3]);
    assert_eq!(trials(&succeed(&folder, "gossamer tune graph --time 0s -o tuned --json")), first);
    // More time, until it was enough for another trial, however busy the machine is.
    let tuned = |time| {
        trials(&succeed(&folder, &format!("gossamer tune graph --time {time} -o tuned --json")))
    };
    let mut found = ["4s", "20s", "100s", "500s"].into_iter().map(tuned);
    let more = found.find(|more| more.as_array().unwrap().len() > 3).unwrap();
    assert_eq!(more.as_array().unwrap()[..3], first.as_array().unwrap()[..]);
    succeed(&folder, "gossamer evaluate tuned/trial-0");
    succeed(&folder, "gossamer train graph --config tuned/best.toml -o again");
    assert!(folder.join("tuned/report.html").exists());
    fail(
        &folder,
        "gossamer tune graph --time 9s --seed 1 -o tuned",
        2,
        &["another graph, or seed"],
    );
    fail(&folder, "gossamer tune graph --time soon -o other", 2, &["no time", "30m"]);
    fail(&folder, "gossamer train graph --recipe complex-umlz -o x", 3, &["did you mean"]);
    let said = crate::run(
        &folder,
        "gossamer train graph --recipe complex-umls --epochs 1 --dim 4 -o recipe",
    );
    assert!(crate::said(&said).1.contains("test MRR 0.95"), "{said:?}");
}
