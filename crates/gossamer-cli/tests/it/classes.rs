//! Stories of those whose entities have classes.

use std::fs;
use std::path::Path;

use crate::{fail, numbers, succeed};

/// A folder `planted` of 300 entities: those of a class are mostly joined to their like, and a
/// feature of three in four says the class.
pub fn planted(folder: &Path) {
    let (mut edges, mut labels, mut features, mut split) =
        (String::new(), String::new(), String::new(), String::new());
    let mixed = |i: u32, k: u32| (i * 2_654_435 + k * 40_503).wrapping_mul(2_246_822_519) >> 8;
    for i in 0..300u32 {
        for k in 0..4 {
            let like = mixed(i, k) % 10 < 8;
            let other = mixed(i, k + 9) % 100 * 3 + if like { i % 3 } else { mixed(i, k + 5) % 3 };
            edges += &format!("e{i}\te{other}\n");
        }
        labels += &format!("e{i}\t{}\n", ["red", "green", "blue"][i as usize % 3]);
        let said = if i % 4 == 0 { 3 } else { i % 3 };
        features += &format!("e{i}\tf{said}\t1\ne{i}\tg{}\t0.5\n", mixed(i, 20) % 9);
        let part = ["train", "valid", "test", "test"][mixed(i, 30) as usize % 4];
        split += &format!("e{i}\t{part}\n");
    }
    fs::create_dir_all(folder.join("planted")).unwrap();
    for (name, text) in
        [("edges", edges), ("labels", labels), ("features", features), ("split", split)]
    {
        fs::write(folder.join(format!("planted/{name}.tsv")), text).unwrap();
    }
}

#[test]
fn from_a_folder_with_classes_to_the_class_of_every_entity() {
    let (_root, folder) = numbers(10);
    planted(&folder);
    let said = succeed(&folder, "gossamer import planted -o classes");
    assert!(said.contains("300 entities"), "{said}");
    for model in ["gcn", "gat"] {
        let line = format!("gossamer train classes --model {model} -o run --force --json");
        let said = succeed(&folder, &line);
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        let accuracy = value["test_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.75, "{model}: {accuracy}");
        let table = fs::read_to_string(folder.join("run/classes.tsv")).unwrap();
        assert_eq!(table.lines().count(), 301);
        assert!(table.lines().nth(1).unwrap().starts_with("e0\tred\t"), "{table}");
    }
    succeed(&folder, "gossamer check run");
    // The same bytes again, with other threads too.
    let of = |name: &str| fs::read(folder.join(name).join("classes.tsv")).unwrap();
    succeed(&folder, "gossamer train classes --model gcn -o one --epochs 30 --threads 1");
    succeed(&folder, "gossamer train classes --model gcn -o two --epochs 30 --threads 2");
    assert_eq!(of("one"), of("two"));
}

#[test]
fn what_is_kept_in_few_bits_learns_as_well_and_is_told() {
    let (_root, folder) = numbers(10);
    planted(&folder);
    succeed(&folder, "gossamer import planted -o classes");
    let mut kept = Vec::new();
    for codec in ["exact", "int4", "sign2"] {
        let line = format!(
            "gossamer train classes --model gcn -o run --force --json --seeds 3 --activations {codec}"
        );
        let value: serde_json::Value = serde_json::from_str(&succeed(&folder, &line)).unwrap();
        assert!(value["test_accuracy"].as_f64().unwrap() > 0.75, "{codec}");
        kept.push(value["kept_bytes"].as_u64().unwrap());
    }
    // Signs cost a bit beside levels, and nothing within codes that tell them.
    assert!(kept[0] > 5 * kept[1] && kept[0] > 12 * kept[2], "{kept:?}");
    assert!(folder.join("run/seed-2/classes.tsv").exists());
}

#[test]
fn without_a_split_and_features_every_class_is_divided_and_edges_say_enough() {
    let (_root, folder) = numbers(10);
    planted(&folder);
    for name in ["split", "features"] {
        fs::remove_file(folder.join(format!("planted/{name}.tsv"))).unwrap();
    }
    succeed(&folder, "gossamer import planted -o classes");
    let said = succeed(&folder, "gossamer train classes --model gcn -o run --json");
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(value["test_accuracy"].as_f64().unwrap() > 0.5, "a guess is right in a third: {said}");
    let table = fs::read_to_string(folder.join("run/classes.tsv")).unwrap();
    for class in ["red", "green", "blue"] {
        let n = |split: &str| {
            let end = format!("\t{split}\t{class}");
            table.lines().filter(|line| line.ends_with(&end)).count()
        };
        assert_eq!([n("train"), n("valid"), n("test")], [20, 10, 70], "{class}");
    }
}

#[test]
fn mistakes_name_the_mend() {
    let (_root, folder) = numbers(40);
    planted(&folder);
    succeed(&folder, "gossamer import planted -o classes");
    succeed(&folder, "gossamer import source -o graph");
    let train = "gossamer train classes --model gcn -o run";
    fail(
        &folder,
        "gossamer train graph --model gcn --class class -o run",
        2,
        &["no attribute 'class'", "labels"],
    );
    let gcnn = "gossamer train classes --model gcnn -o run";
    fail(&folder, gcnn, 3, &["no model", "did you mean 'gcn'"]);
    fail(&folder, &format!("{train} --class colour"), 2, &["'colour'", "class, f"]);
    fail(&folder, &format!("{train} --activations int3"), 3, &["did you mean", "int"]);
    fail(&folder, &format!("{train} --loss margin"), 2, &["--loss is nothing that a network"]);
    fail(&folder, &format!("{train} --dropout 1"), 2, &["no part that can be left out"]);
    fail(&folder, &format!("{train} --layers 0"), 2, &["layers"]);
    fail(&folder, &format!("{train} --budget 1MiB"), 4, &["neighbours", "budget"]);
    assert!(!folder.join("run").exists(), "nothing half-written");
    fs::write(folder.join("planted/labels.tsv"), "e0\n").unwrap();
    let refused = ["labels.tsv:1:1", "there is no column '2'"];
    fail(&folder, "gossamer import planted -o other", 2, &refused);
    fs::write(folder.join("planted/labels.tsv"), "e0\tred\ne1\n").unwrap();
    fail(&folder, "gossamer import planted -o other", 2, &["labels.tsv:2:1", "2 columns"]);
}
