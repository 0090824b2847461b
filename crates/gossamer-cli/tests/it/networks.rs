//! Stories of networks: under score functions, and of relations that say classes.

use std::fs;

use crate::classes::planted;
use crate::{fail, numbers, run, said, succeed};

#[test]
fn a_network_under_a_score_function_leaves_a_run_like_any_other() {
    let (_root, folder) = numbers(60);
    succeed(&folder, "gossamer import source -o graph");
    let shape = "--dim 16 --epochs 60 --batch 100 --validate-every 20 --optimiser adam";
    for (layer, more) in [
        ("compgcn-sub", "--layers 2 --activations auto:3 --verify"),
        ("rgat", "--activations int2"),
        ("gcn", "--reversible true --layers 4 --edge-dropout 0.1"),
        ("rgcn", "--layer-every 4 --edge-dropout 0.1"),
        ("rgcn-block", "--activations rp1"),
        ("pna", "--residual false --model distmult"),
        ("latte", "--layer-dropout 0.1 --layers 2"),
        ("bi-interaction", "--layer-rate 0.5"),
        ("sage", "--form negative-sampling --negatives 32"),
    ] {
        let line =
            format!("gossamer train graph --layer {layer} {shape} --learning-rate 0.02 {more}");
        let output = run(&folder, &format!("{line} -o run --force"));
        let (_, said) = said(&output);
        assert!(output.status.success(), "{said}");
        let chosen = said.lines().any(|line| line.starts_with("kept between the ways: "));
        assert_eq!(chosen, more.contains("auto:"), "{said}");
        let said = succeed(&folder, "gossamer evaluate run --json");
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        // Degree and frequency of relations get .066; what is learned is more.
        let mrr = value["both"]["mean_reciprocal_rank"].as_f64().unwrap();
        assert!(mrr > 0.09, "{layer}: {mrr}");
        succeed(&folder, "gossamer check run");
        let config = fs::read_to_string(folder.join("run/config.toml")).unwrap();
        assert!(config.contains(&format!("layer = \"{layer}\"")), "{config}");
    }
}

#[test]
fn a_dry_run_tells_what_is_kept_and_learns_nothing() {
    let (_root, folder) = numbers(60);
    succeed(&folder, "gossamer import source -o graph");
    let of = |activations: &str| {
        let line = "gossamer train graph --model rgcn --layers 2 --dry-run --json -o run";
        let said = succeed(&folder, &format!("{line} --activations {activations}"));
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        value["kept"]["total_bytes"].as_u64().unwrap()
    };
    let (exact, int8, sign2) = (of("exact"), of("int8"), of("sign2"));
    assert!(exact > 2 * int8 && int8 > 2 * sign2, "{exact} {int8} {sign2}");
    assert!(!folder.join("run").exists());
    let line = "gossamer train graph -o run --dim 7 --model";
    fail(&folder, &format!("{line} rotate --layer compgcn"), 2, &["composes rows of one width"]);
    fail(&folder, &format!("{line} transe --layer compgcn"), 2, &["odd width", "even --dim"]);
    fail(&folder, &format!("{line} tucker --layer gcn"), 2, &["asks more of its rows"]);
    fail(&folder, &format!("{line} transe --layer gcnn"), 3, &["did you mean 'gcn'"]);
    let halves = format!("{line} compgcn --reversible true");
    fail(&folder, &halves, 2, &["makes rows of relations anew", "such as gcn"]);
    let alone = format!("{line} gcn --layer-every 4 --residual false");
    fail(&folder, &alone, 2, &["cannot move by themselves", "--residual true"]);
    let rgat = format!("{line} rgat --edge-dropout 0.1");
    fail(&folder, &rgat, 2, &["rgat sees all edges", "such as gcn"]);
    fail(&folder, &format!("{line} gcn --activations auto:many"), 2, &["no allowance"]);
}

#[test]
fn relations_say_classes_and_layers_are_learned_one_after_the_other() {
    let (_root, folder) = numbers(10);
    fs::create_dir_all(folder.join("papers")).unwrap();
    let (mut edges, mut labels) = (String::new(), String::new());
    for paper in 0..90u32 {
        // An author writes of one field; a subject is anyone's.
        let (author, subject) = (paper % 3 * 4 + paper / 3 % 4, paper / 7 % 5);
        edges += &format!("{paper}\t{author}\tp-a\t1\n{paper}\t{subject}\tp-s\t1\n");
        labels += &format!("p{paper}\t{}\n", paper % 3);
    }
    fs::write(folder.join("papers/edge.txt"), edges).unwrap();
    fs::write(folder.join("papers/label.txt"), labels).unwrap();
    let said = succeed(&folder, "gossamer import papers -o graph");
    assert!(said.contains("107 entities, 2 relations"), "{said}");
    let said = succeed(&folder, "gossamer train graph --model latte --dim 8 -o run --json");
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(value["test_accuracy"].as_f64().unwrap() > 0.7, "{said}");
    assert_eq!(value["baselines"][0]["rule"], "majority");
    planted(&folder);
    succeed(&folder, "gossamer import planted -o classes");
    let line = "gossamer train classes --model gcn --layerwise --dim 32 --epochs 60 -o run --force";
    let value: serde_json::Value =
        serde_json::from_str(&succeed(&folder, &format!("{line} --json"))).unwrap();
    assert!(value["test_accuracy"].as_f64().unwrap() > 0.75, "{value}");
    // What is drawn around a batch teaches as much, and less of it is kept.
    let line = "gossamer train classes --model sage --epochs 40 -o run --force --json";
    let number = |text: &str, key: &str| -> f64 {
        serde_json::from_str::<serde_json::Value>(text).unwrap()[key].as_f64().unwrap()
    };
    let whole = succeed(&folder, line);
    let drawn = succeed(&folder, &format!("{line} --fanout 4 --batch 6"));
    assert!(number(&drawn, "test_accuracy") > 0.75, "{drawn}");
    assert!(number(&drawn, "kept_bytes") < 0.7 * number(&whole, "kept_bytes"), "{drawn} {whole}");
    let line = "gossamer train graph --model gcn --layerwise -o run --force";
    fail(&folder, line, 2, &["no features"]);
    let line = "gossamer train classes --model sage --layerwise -o run --force";
    fail(&folder, line, 2, &["sage is not learned layer by layer", "--model gcn"]);
    fs::write(folder.join("papers/edge.txt"), "0\t1\tpaper\t1\n").unwrap();
    fail(&folder, "gossamer import papers -o other", 2, &["edge.txt:1:5", "names no types"]);
}
