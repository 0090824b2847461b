//! The reference is made from the registries, and its examples run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{numbers, run, said, succeed};

fn pages(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn the_pages_are_fresh() {
    let root = tempfile::tempdir().unwrap();
    succeed(root.path(), "gossamer ls --reference made");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let (made, kept) = (pages(&root.path().join("made")), pages(&kept));
    assert!(made == kept, "stale: run `cargo run -- ls --reference docs/reference`");
}

#[test]
fn every_entry_has_a_summary_and_where_it_applies_a_formula_and_a_source() {
    let root = tempfile::tempdir().unwrap();
    let text = succeed(root.path(), "gossamer ls --json");
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(entries.len() > 25);
    for entry in entries {
        let has = |key: &str| !entry[key].as_str().unwrap().is_empty();
        assert!(has("summary") && has("example"), "{entry}");
        let (family, name) = (entry["family"].as_str().unwrap(), &entry["name"]);
        assert!(family == "command" || has("paper"), "{name}");
        let no_formula =
            ["command", "format", "layout", "vector format", "output format", "recipe"];
        assert!(no_formula.contains(&family) || has("formula"), "{name}");
    }
}

#[test]
fn the_examples_run() {
    let (_root, folder) = numbers(80);
    succeed(&folder, "gossamer import source -o graph");
    fs::write(folder.join("facts.tsv"), "France\tborders\tSpain\nSpain\tborders\tFrance\nFrance\tis in\tEurope\nSpain\tis in\tEurope\n").unwrap();
    succeed(&folder, "gossamer import facts.tsv -o world");
    succeed(&folder, "gossamer train world -o run --dim 4 --epochs 1");
    crate::classes::planted(&folder);
    succeed(&folder, "gossamer import planted -o classes");
    succeed(&folder, "gossamer train graph -o vectored --dim 4 --epochs 1");
    succeed(&folder, "gossamer export vectored --format numpy -o descriptions");
    let shop = tempfile::tempdir().unwrap();
    crate::recommend::write_shop(shop.path());
    let (map, into) = (crate::recommend::MAP, folder.join("shop"));
    let import = format!("gossamer import facts.tsv {map} --split per-user -o {}", into.display());
    succeed(shop.path(), &import);
    succeed(&folder, "gossamer train shop --model ease -o recommended");
    let text = succeed(&folder, "gossamer ls --json");
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for entry in entries {
        let example = entry["example"].as_str().unwrap();
        // The demo and an interrupted run have tests of their own.
        let elsewhere = ["gossamer demo", "gossamer resume run/"].contains(&example);
        if !example.starts_with("gossamer ") || elsewhere {
            continue;
        }
        let first = example.lines().next().unwrap();
        let mut line = first.split(" > ").next().unwrap().to_string();
        if entry["family"] == "recommender" {
            line = line.replace("-o run/", "-o trained/ --force");
        } else if line.contains(" recommend ") {
            line = line.replace("run/", "recommended/");
        } else if line.contains(" train ") {
            line = line.replace("-o run/", "-o trained/ --force --epochs 1");
        } else if line.contains(" import ") {
            line = line.replace("-o graph/", "-o imported/ --force");
        } else if line.contains(" export ") {
            line += " --force";
        } else if line.contains(" evaluate ")
            || line.contains(" classify ")
            || line.contains(" compare ")
        {
            succeed(&folder, "gossamer train graph -o judged --dim 4 --epochs 1 --force");
            line = line.replace("run/", "judged/").replace("other/", "judged/");
            for (split, name) in [("valid", "valid_negatives.txt"), ("test", "test_negatives.txt")]
            {
                fs::copy(folder.join("source").join(format!("{split}.txt")), folder.join(name))
                    .unwrap();
            }
        }
        let output = run(&folder, &line);
        if line.contains("parquet") && !cfg!(feature = "parquet") {
            assert!(said(&output).1.contains("--features parquet"), "{line}");
            continue;
        }
        assert!(output.status.success(), "{line}\n{}", said(&output).1);
    }
}
