//! The budget is kept: the largest resident set that the system measured, against the plan's sum.

use crate::{fail, numbers, run, said, succeed};

/// The plan may be off by a tenth, or by this, whichever is larger.
const SLACK: u64 = 16 << 20;

fn number(text: &str, key: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.pointer(key)?.as_u64()
}

#[cfg(target_os = "linux")]
#[test]
fn training_and_evaluation_stay_within_plan_and_budget() {
    let (_root, folder) = numbers(6000);
    succeed(&folder, "gossamer import source -o graph");
    for (place, budget) in [40u64 << 20, 64 << 20].into_iter().enumerate() {
        let line = format!(
            "gossamer train graph -o run{place} --dim 64 --epochs 1 --batch 256 --threads 2 \
             --budget {budget} --json"
        );
        let planned = succeed(&folder, &format!("{line} --dry-run"));
        let planned = number(&planned, "/plan/total_bytes").unwrap();
        let out = succeed(&folder, &line);
        let peak = number(&out, "/peak_bytes").unwrap();
        assert!(peak <= budget && planned <= budget, "train: {peak}, {planned} of {budget}");
        assert!(peak.abs_diff(planned) <= SLACK.max(planned / 10), "{peak} {planned}");
        let line = format!("gossamer evaluate run{place} --threads 2 --budget {budget} --json");
        let out = succeed(&folder, &line);
        let (peak, planned) =
            (number(&out, "/peak_bytes").unwrap(), number(&out, "/plan/total_bytes").unwrap());
        assert!(peak <= budget && planned <= budget, "evaluate: {peak}, {planned} of {budget}");
        assert!(peak.abs_diff(planned) <= SLACK.max(planned / 10), "{peak} {planned}");
    }
    // The budget changes time and nothing else.
    let tables = |run: &str| std::fs::read(folder.join(run).join("tables.safetensors")).unwrap();
    assert_eq!(tables("run0"), tables("run1"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_import_stays_within_its_budget_and_any_gives_the_same_graph() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let size = "--entities 200000 --relations 20 --triples 600000 --ntriples source.nt";
    succeed(folder, &format!("gossamer synth {size}"));
    let import = "gossamer import source.nt --split 98/1/1 --json";
    // In the first the names of 200,000 entities fill their room again and again.
    let budgets = [36u64 << 20, 48 << 20, 1 << 30];
    for (place, budget) in budgets.into_iter().enumerate() {
        let out = succeed(folder, &format!("{import} -o graph{place} --budget {budget}"));
        let peak = number(&out, "/peak_bytes").unwrap();
        assert!(peak <= budget, "import: {peak} of {budget}");
    }
    let graph =
        |place: usize| std::fs::read(folder.join(format!("graph{place}/manifest"))).unwrap();
    assert_eq!((graph(0), graph(1)), (graph(2), graph(2)));
    fail(folder, &format!("{import} -o graph --budget 20MiB"), 4, &["room for the graph", "hint"]);
}

/// Judging and asking hold rows and triples in memory, or read one or both from disk; each within
/// its budget, and with the same results.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_is_read_from_disk_with_the_same_results() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let size = "--entities 40000 --relations 8 --triples 800000 --split 98/1/1";
    succeed(folder, &format!("gossamer synth {size} -o graph"));
    let train = "--epochs 1 --form negative-sampling --validation-limit 10 --batch 4000";
    succeed(folder, &format!("gossamer train graph -o run --dim 40 {train}"));
    let ask = "gossamer predict run --head e7 --relation r1 -k 3 --json";
    let answered = |budget: u64| {
        let said = succeed(folder, &format!("{ask} --threads 1 --budget {budget}"));
        let planned = number(&said, "/plan/total_bytes").unwrap();
        let peak = number(&said, "/peak_bytes").unwrap();
        assert!(peak <= planned && planned <= budget, "{said}");
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["answers"].clone()
    };
    let mut budget = u64::MAX;
    let answers = answered(budget);
    let mut ends: Vec<serde_json::Value> = Vec::new();
    loop {
        let line =
            format!("gossamer evaluate run --triples 50 --threads 1 --budget {budget} --json");
        let found = run(folder, &line);
        let (out, _) = said(&found);
        if !found.status.success() {
            break;
        }
        assert_eq!(answered(budget), answers);
        let mut found: serde_json::Value = serde_json::from_str(&out).unwrap();
        let planned = number(&out, "/plan/total_bytes").unwrap();
        let peak = number(&out, "/peak_bytes").unwrap();
        assert!(peak <= budget.min(planned), "{peak} of {planned}");
        for own in ["plan", "peak_bytes", "seconds"] {
            found.as_object_mut().unwrap().remove(own);
        }
        ends.push(found);
        budget = planned - 1;
    }
    assert!(ends.len() >= 3 && ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[test]
fn a_refusal_names_settings_that_fit() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let size = "--entities 40000 --relations 8 --triples 80000 --split 98/1/1";
    succeed(folder, &format!("gossamer synth {size} -o graph"));
    let train = "gossamer train graph --dim 200 --threads 1 --budget 64MiB --dry-run";
    let (_, refusal) = said(&run(folder, train));
    let (_, named) = refusal.split_once("\nhint: or with ").unwrap();
    let ways: Vec<&str> = named.trim().split(", or with ").collect();
    assert!(ways.len() == 2 && ways[1].contains("--rows"), "{refusal}");
    for way in ways {
        let dim = if way.contains("--dim") { "" } else { "--dim 200" };
        let line = format!("gossamer train graph {dim} {way} --threads 1 --budget 64MiB --dry-run");
        succeed(folder, &line);
    }
}

/// Rows and facts go out within their plan, and a budget below it is refused.
#[cfg(target_os = "linux")]
#[test]
fn what_is_taken_out_stays_within_its_plan_however_large_the_run_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let size = "--entities 100000 --relations 8 --triples 200000 --split 98/1/1";
    succeed(folder, &format!("gossamer synth {size} -o graph"));
    let train = "--epochs 1 --form negative-sampling --validation-limit 1 --batch 4000";
    succeed(folder, &format!("gossamer train graph -o run --dim 100 {train} --rows bf16"));
    let parquet = cfg!(feature = "parquet").then_some("parquet");
    for format in ["numpy", "safetensors", "word2vec", "tsv"].into_iter().chain(parquet) {
        let line = format!("gossamer export run --format {format} -o {format} --threads 1 --json");
        let out = succeed(folder, &line);
        let planned = number(&out, "/plan/total_bytes").unwrap();
        let peak = number(&out, "/peak_bytes").unwrap();
        // Rows in f32 would be 80 MB.
        assert!(peak <= planned && planned < 48 << 20, "{format}: {peak} of {planned}");
        let less = planned - 1;
        fail(folder, &format!("{line} --force --budget {less}"), 4, &["too small", "hint"]);
    }
    let floats = std::fs::read(folder.join("numpy/entity.npy")).unwrap();
    let other = std::fs::read(folder.join("safetensors/entity.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(other[..8].try_into().unwrap()) as usize;
    assert!(floats.len() > 2 * 100_000 * 100 && floats.ends_with(&other[header..]));
}

#[cfg(target_os = "linux")]
#[test]
fn networks_take_what_their_plan_says_and_depth_takes_nothing_where_it_is_reversible() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let size = "--entities 20000 --relations 3 --triples 60000 --classes 4";
    succeed(folder, &format!("gossamer synth {size} -o graph"));
    let mut of_depth = Vec::new();
    for model in [
        "gcn",
        "rgcn --activations int2",
        "compgcn-sub",
        "sage --fanout 4 --batch 100",
        "gcn --layers 4 --reversible true",
        "gcn --layers 16 --reversible true",
    ] {
        let line =
            format!("gossamer train graph --model {model} --dim 64 --epochs 2 --threads 2 --json");
        let planned = succeed(folder, &format!("{line} --dry-run"));
        let planned = number(&planned, "/plan/total_bytes").unwrap();
        let out = succeed(folder, &format!("{line} -o run --force"));
        let peak = number(&out, "/peak_bytes").unwrap();
        assert!(peak.abs_diff(planned) <= SLACK.max(planned / 10), "{model}: {peak} {planned}");
        if model.contains("reversible") {
            of_depth.push(number(&out, "/kept_bytes").unwrap());
        }
    }
    assert_eq!(of_depth[0], of_depth[1]);
}

#[test]
fn plan_offers_what_fits_and_its_command_does() {
    let (_root, folder) = numbers(3000);
    succeed(&folder, "gossamer import source -o graph");
    let budget = 24u64 << 20;
    let line = format!("gossamer plan graph --budget {budget} --estimate 0s --json");
    let out = succeed(&folder, &line);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let offers = value["offers"].as_array().unwrap();
    assert!((2..14).contains(&offers.len()), "{out}");
    for offer in offers {
        let bytes = |key: &str| offer[key].as_u64().unwrap();
        assert!(bytes("train_bytes") <= budget && bytes("evaluate_bytes") <= budget, "{offer}");
        assert!(offer["seconds"].as_f64().unwrap() > 0.0, "{offer}");
    }
    let command = value["command"].as_str().unwrap();
    let tail = command.contains("--dim ") && command.ends_with("--budget 25165824 -o run/");
    assert!(tail, "{command}");
    let out = succeed(&folder, &format!("{command} --epochs 1 --threads 2 --json"));
    assert!(number(&out, "/peak_bytes").unwrap() <= budget, "{out}");
    let said = succeed(&folder, &format!("gossamer plan graph --budget {budget} --time 0.001s"));
    assert!(said.contains("none of them ends in that time"), "{said}");
    fail(&folder, "gossamer plan graph --budget 2MiB", 4, &["too small", "entity rows"]);
}

#[test]
fn plan_tells_what_mrr_to_expect() {
    let (_root, folder) = numbers(150);
    succeed(&folder, "gossamer import source -o graph");
    let out = succeed(&folder, "gossamer plan graph --estimate 10m --json");
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let mrr = |offer: &serde_json::Value| offer["valid_mean_reciprocal_rank"].as_f64().unwrap();
    let offers = value["offers"].as_array().unwrap();
    assert!(offers.iter().all(|offer| (0.0..=1.0).contains(&mrr(offer))), "{out}");
    // The three small models of each form are learned, the others estimated.
    let learned: Vec<_> =
        offers.iter().filter(|offer| offer["learned"].as_bool().unwrap()).collect();
    assert_eq!(learned.len(), 6, "{out}");
    // What is said of a model is what learning it gives.
    let line = "gossamer train graph -o run --model complex --dim 50 --json";
    let trained: serde_json::Value = serde_json::from_str(&succeed(&folder, line)).unwrap();
    assert_eq!(learned[1]["settings"]["dim"], "50");
    assert!((mrr(learned[1]) - mrr(&trained)).abs() < 1e-6, "{out} {trained}");
}

#[test]
fn plan_offers_parts_on_disk_where_rows_do_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    succeed(folder, "gossamer synth --entities 20000 --relations 4 --triples 30000 -o graph");
    let out = succeed(folder, "gossamer plan graph --budget 76MiB --estimate 0s --json");
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let offers = value["offers"].as_array().unwrap();
    assert!(offers.iter().all(|offer| offer["valid_mean_reciprocal_rank"].is_null()), "{out}");
    let on_disk = offers.iter().filter(|offer| offer["settings"]["partitions"] == "8");
    let on_disk: Vec<_> = on_disk.collect();
    assert!(!on_disk.is_empty() && on_disk.len() < offers.len(), "{out}");
    for offer in on_disk {
        assert!(offer["seconds"].as_f64().unwrap() > 0.0, "{offer}");
        assert!(offer["train_bytes"].as_u64().unwrap() <= 76 << 20, "{offer}");
    }
    // Nothing is left of what was tried.
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn too_small_a_budget_is_refused_with_the_arithmetic_and_what_fits() {
    let (_root, folder) = numbers(300);
    succeed(&folder, "gossamer import source -o graph");
    let line = "gossamer train graph -o run --epochs 1 --budget 2MiB";
    fail(&folder, line, 4, &["too small", "program", "entity rows", "hint: --budget"]);
    assert!(!folder.join("run").exists());
    let output = run(&folder, line);
    let (_, err) = said(&output);
    let least = err.split("--budget ").nth(1).unwrap().split_whitespace().next().unwrap();
    succeed(&folder, &format!("gossamer train graph -o run --epochs 1 --budget {least}"));
    fail(&folder, "gossamer predict run --head n1 --relation next --budget 1MiB", 4, &["hint"]);
}
