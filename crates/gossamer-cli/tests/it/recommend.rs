//! Recommending: a shop's clicks and what it knows of its items, from the files to a list with reasons.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{fail, succeed};

/// Clicks of users with one of two tastes, and facts that say which taste an item is for; item 99 has none.
fn shop() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    write_shop(root.path());
    let path = root.path().to_path_buf();
    (root, path)
}

/// Writes them: `clicks.csv` and `facts.tsv`.
pub fn write_shop(folder: &Path) {
    let (mut clicks, mut facts) = (String::from("customer,product,at,stars\n"), String::new());
    for user in 0..40u32 {
        for item in (0..30u32).filter(|item| item % 2 == user % 2) {
            if (user * 7919 + item * 104_729) % 97 < 60 {
                let at = 1_600_000_000 + 86_400 * item + user;
                let _ = writeln!(clicks, "{user},{item},{at},{}", item % 5);
            }
        }
    }
    clicks += "3,99,2021-05-01,5\n";
    for item in 0..30 {
        let _ = writeln!(facts, "{item}\tis for\ttaste {}", item % 2);
    }
    fs::write(folder.join("clicks.csv"), clicks).unwrap();
    fs::write(folder.join("facts.tsv"), facts).unwrap();
}

/// How they come in.
pub const MAP: &str =
    "--interactions clicks.csv --map user=customer,item=product,time=at,rating=stars";

fn json(folder: &Path, line: &str) -> serde_json::Value {
    serde_json::from_str(&succeed(folder, line)).unwrap()
}

#[test]
fn from_clicks_and_facts_to_a_list_with_reasons() {
    let (_root, folder) = shop();
    let said = succeed(&folder, &format!("gossamer import facts.tsv {MAP} --split per-user -o g"));
    assert!(said.contains("1 items have no fact about them: 99"), "{said}");
    for model in ["pop", "itemknn", "ease", "ials"] {
        succeed(&folder, &format!("gossamer train g --model {model} -o {model}"));
    }
    let judged = json(&folder, "gossamer evaluate ease --at 10 --json");
    let rows = judged["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let controls = ["control: ease without facts", "control: ease with shuffled facts"];
    assert_eq!(names[..3], [&["ease"][..], &controls[..]].concat());
    let recall = |row: usize| rows[row]["recall"]["mean"].as_f64().unwrap();
    let of_pop = names.iter().position(|name| *name == "baseline: pop").unwrap();
    assert!(recall(0) > 0.9 && recall(of_pop) < 0.9, "{judged}");
    let text = succeed(&folder, "gossamer evaluate ials --split valid");
    assert!(text.contains("recall@20") && text.contains("baseline: ease"), "{text}");
    assert!(text.contains("ials less baseline: pop, ndcg@20 of the same users: +"), "{text}");
    succeed(&folder, "gossamer train g --model bpr --epochs 20 --dim 4 --seeds 2 -o several");
    let text = succeed(&folder, "gossamer evaluate several");
    assert!(text.contains("deviations over 2 seeds") && text.contains(" ± "), "{text}");
    let whole = succeed(&folder, "gossamer check several");
    assert_eq!(whole.matches("this recommender is whole").count(), 2, "{whole}");
    fail(&folder, "gossamer recommend several --user 4", 2, &["name one, such as several/seed-0"]);
    let tables = folder.join("several/seed-1/tables.safetensors");
    let (bytes, mut damaged) = (fs::read(&tables).unwrap(), fs::read(&tables).unwrap());
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&tables, damaged).unwrap();
    fail(&folder, "gossamer check several", 5, &["seed-1/tables.safetensors: damaged at byte"]);
    fs::write(&tables, bytes).unwrap();
    let said = succeed(&folder, "gossamer evaluate several/seed-1 --kgcn");
    assert!(said.contains("kgcn's protocol: AUC 0."), "{said}");
    let list = json(&folder, "gossamer recommend ease --user 4 -k 3 --explain --json");
    assert_eq!(list["user"], "4");
    for item in list["items"].as_array().unwrap() {
        let even =
            |name: &serde_json::Value| name.as_str().unwrap().parse::<u32>().unwrap() % 2 == 0;
        assert!(even(&item["name"]) && even(&item["reasons"][0]["item"]), "{list}");
        assert!(item["shared"][0]["items"].as_u64().unwrap() > 0, "{list}");
    }
    // kcan says what around the user and the item it looks at, and how much.
    let said = succeed(&folder, "gossamer train g --model kcan --epochs 5 --dim 8 -o kcan");
    assert!(said.contains("all 5 epochs were learned"), "{said}");
    let said = succeed(&folder, "gossamer train g --model bpr --dim 4 -o enough");
    assert!(!said.contains("epochs were learned"), "{said}");
    let list = json(&folder, "gossamer recommend kcan --user 4 -k 3 --explain --json");
    for item in list["items"].as_array().unwrap() {
        let seen = item["looks_at"].as_array().unwrap();
        let share = |of: &serde_json::Value| of["share"].as_f64().unwrap();
        let shares = seen.iter().all(|of| share(of) > 0.0 && share(of) <= 1.0);
        assert!(!seen.is_empty() && shares, "{list}");
        let named = |of: &serde_json::Value| !of["entity"].as_str().unwrap().is_empty();
        assert!(seen.iter().all(named), "{list}");
    }
    // The most taken items come first by popularity, and are left out where others are wanted.
    let listed = |more: &str| {
        let list = json(&folder, &format!("gossamer recommend pop --user 4 -k 3 {more} --json"));
        list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect()
    };
    let (all, novel): (Vec<_>, Vec<_>) = (listed(""), listed("--novel"));
    assert!(all.len() == 3 && novel.iter().all(|item| !all.contains(item)), "{all:?} {novel:?}");
    succeed(&folder, "gossamer recommend ials --all lists.tsv -k 2");
    let lists = fs::read_to_string(folder.join("lists.tsv")).unwrap();
    assert_eq!(lists.lines().count(), 81);
    // Users as the clicks have them.
    let is_number = |line: &str| line.split('\t').next().unwrap().parse::<u32>().is_ok();
    assert!(lists.lines().skip(1).all(is_number), "{lists}");
    fail(&folder, "gossamer recommend ease --user 399", 3, &["no user '399'", "nearest: '39'"]);
    fail(&folder, "gossamer recommend ease", 2, &["--user or --all"]);
    fail(&folder, "gossamer train g --model pop --dim 8 -o x", 2, &["pop has no such setting"]);
    fail(&folder, "gossamer train g --model ease --loss margin -o x", 2, &["--loss is nothing"]);
    fail(&folder, "gossamer train g --model ease -o x --budget 5MiB", 4, &["too small"]);
    fail(&folder, "gossamer train g --model eese -o x", 3, &["did you mean 'ease'"]);
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_place() {
    let (_root, folder) = shop();
    let misspelt = MAP.replace("customer", "custmer");
    let line = format!("gossamer import facts.tsv {misspelt} -o g");
    fail(&folder, &line, 2, &["there is no column 'custmer'", "customer, product, at, stars"]);
    succeed(&folder, "gossamer import facts.tsv -o plain");
    fail(&folder, "gossamer train plain --model ease -o x", 2, &["no relation 'interacts'"]);
    succeed(&folder, &format!("gossamer import facts.tsv {MAP} -o whole"));
    succeed(&folder, "gossamer train whole --model pop -o pop");
    fail(
        &folder,
        "gossamer evaluate pop",
        2,
        &["no user has an item in the test split", "per-user"],
    );
}

#[test]
fn the_last_of_each_user_is_held_out_by_time() {
    let (_root, folder) = shop();
    succeed(&folder, &format!("gossamer import facts.tsv {MAP} --split leave-last -o g"));
    let report = json(&folder, "gossamer inspect g --json");
    assert_eq!([&report["n_triples"]["valid"], &report["n_triples"]["test"]], [40, 40]);
    // Item 99 was clicked in 2021, after all others.
    succeed(&folder, "gossamer train g --model pop -o pop");
    let judged = json(&folder, "gossamer evaluate pop --json");
    assert!(judged["rows"][0]["parts"][0]["of"].as_str().unwrap().contains("nobody had"));
}

/// The program fixes from which size freed arrays go back to the system, and its plan goes by that;
/// where the environment fixes another, by this.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn what_is_freed_goes_back_unless_the_environment_keeps_it() {
    let (_root, folder) = shop();
    succeed(&folder, &format!("gossamer import facts.tsv {MAP} -o g"));
    let held = |tunables: Option<&str>| {
        let mut command = crate::gossamer(&folder, &["train", "g", "--model", "kgat", "--dry-run"]);
        command.env_remove("GLIBC_TUNABLES");
        if let Some(tunables) = tunables {
            command.env("GLIBC_TUNABLES", tunables);
        }
        let (out, err) = crate::said(&command.output().unwrap());
        let all = out + &err;
        let line = all.lines().find(|line| line.contains("held by the allocator")).unwrap();
        line.split_whitespace().nth(4).unwrap().to_string()
    };
    assert_eq!(held(None), "2/20");
    assert_eq!(held(Some("glibc.malloc.arena_max=2")), "2/20");
    for kept in ["33554432", "0x2000000"] {
        assert_eq!(held(Some(&format!("glibc.malloc.mmap_threshold={kept}"))), "6/20", "{kept}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn learning_and_judging_stay_within_the_budget() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let mut clicks = String::from("user,item\n");
    for user in 0..3000u32 {
        for place in 0..8 {
            let _ = writeln!(clicks, "{user},{}", (user * 31 + place * place * 97) % 900);
        }
    }
    let mut facts = String::from("head\trelation\ttail\n");
    for item in 0..900u32 {
        let _ = writeln!(facts, "{item}\tmade by\tm{}\n{item}\tof\tkind {}", item % 90, item % 7);
    }
    fs::write(folder.join("clicks.csv"), clicks).unwrap();
    fs::write(folder.join("facts.tsv"), facts).unwrap();
    succeed(folder, "gossamer import facts.tsv --interactions clicks.csv --split per-user -o g");
    // Of text that is not optimised, what draws tables and learns is some megabytes.
    let text = if cfg!(debug_assertions) { 4 } else { 0 };
    for model in [
        "ease",
        "lightgcn --epochs 5",
        "cke --epochs 3",
        "cfkg --epochs 3",
        "kgat --epochs 3 --activations int2",
        "lightkg --epochs 3",
        "kgin --epochs 3 --activations int4",
        "kgcn --epochs 3 --layers 2 --batch 512",
        "kcan --epochs 3 --activations int4",
        "diffkg --epochs 3 --activations int4",
    ] {
        // Each in the least that is accepted.
        let line = format!("gossamer train g --model {model} -o run --force --threads 2");
        let peak = |line: &str| {
            let budget = (least(folder, line) + text) << 20;
            let line = format!("{line} --json --budget {budget}");
            let found = json(folder, &line)["peak_bytes"].as_u64().unwrap();
            assert!(found <= budget, "{line}: {found}");
        };
        peak(&line);
        peak("gossamer evaluate run --threads 2");
        // Controls are learned once more; where a model is judged alone, that is in no plan.
        let judge = "gossamer evaluate run --threads 2";
        if model.starts_with("kgat") {
            let of_run = least(folder, &format!("{judge} --alone"));
            assert!(of_run < least(folder, judge));
            fail(folder, &format!("{judge} --budget {of_run}MiB"), 4, &["or --alone", "it fits"]);
            succeed(folder, &format!("{judge} --alone --budget {of_run}MiB"));
        }
        // More than that would be told as an error.
        let ask = "gossamer recommend run --user 7 --explain --threads 2";
        let budget = least(folder, ask) + text;
        let listed = succeed(folder, &format!("{ask} --budget {budget}MiB"));
        assert_eq!(listed.lines().count(), 11, "{model}: {listed}");
    }
}

/// The least budget, in MiB, that is accepted, as a refusal names it.
#[cfg(target_os = "linux")]
fn least(folder: &Path, line: &str) -> u64 {
    let words: Vec<&str> = line.split(' ').skip(1).chain(["--budget", "1MiB"]).collect();
    let refused = crate::said(&crate::gossamer(folder, &words).output().unwrap()).1;
    let least = refused.split_once("hint: --budget ").unwrap().1.split("MiB").next().unwrap();
    least.parse().unwrap()
}

/// Facts that a recommender does not learn from are not held; what is held was planned before.
#[cfg(target_os = "linux")]
#[test]
fn many_facts_take_no_memory_where_none_is_learned_from() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let mut clicks = String::from("user,item\n");
    for user in 0..500u32 {
        for place in 0..6 {
            let _ = writeln!(clicks, "{user},{}", (user * 31 + place * place * 97) % 300);
        }
    }
    let mut facts = String::from("head\trelation\ttail\n");
    for number in 0..1_500_000u32 {
        let (item, about) = (number % 300, number / 300);
        let _ = writeln!(facts, "{item}\tis about\t{about}");
    }
    fs::write(folder.join("clicks.csv"), clicks).unwrap();
    fs::write(folder.join("facts.tsv"), facts).unwrap();
    succeed(folder, "gossamer import facts.tsv --interactions clicks.csv --split per-user -o g");
    // Read, the facts alone are 18 MB.
    let budget = 20u64 << 20;
    for line in [
        "train g --model pop -o pop".to_string(),
        "train g --model lightgcn --dim 8 --epochs 2 -o run".to_string(),
        "evaluate run --alone".to_string(),
    ] {
        let said = json(folder, &format!("gossamer {line} --threads 1 --json --budget {budget}"));
        let peak = said["peak_bytes"].as_u64().unwrap();
        assert!(peak <= budget, "{line}: {peak}");
    }
    let ask = "gossamer recommend run --user 7 --threads 1";
    let listed = succeed(folder, &format!("{ask} --explain --budget {budget}"));
    assert!(listed.contains("is about"), "{listed}");
    fail(folder, &format!("{ask} --budget 4MiB"), 4, &["too small", "interactions", "scores"]);
    // Who learns from them needs them, and is told before one is read.
    let refused = format!("gossamer train g --model cfkg -o x --budget {budget}");
    fail(folder, &refused, 4, &["too small", "facts"]);
}
