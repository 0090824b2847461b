//! What the allocator counts of recommenders stays within their plans: learning with judging
//! between steps, and asking. A binary of its own, with one test, since the count is of the whole
//! process.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use gossamer::recommend::census::Census;
use gossamer::recommend::run::{Run, save};
use gossamer::recommend::{Settings, find, learn, plans};
use gossamer::{ImportRequest, Machine, Silent, Snapshot, import};
use gossamer_graph::split::Shares;
use gossamer_graph::split_users::Way;
use gossamer_machine::Ledger;
use peak_alloc::PeakAlloc;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Bytes that belong to no line: names being looked up, a manifest, a step's lists of tasks.
const SMALL_THINGS: u64 = 512 << 10;

/// 1,500 users with 8 of 800 items each, and 4,000 facts of so many relations about 2,000 others.
fn shop(folder: &Path, n_relations: u32) -> Snapshot {
    let mut clicks = String::from("user,item\n");
    for user in 0..1500u32 {
        for place in 0..8 {
            writeln!(clicks, "{user},{}", (user * 31 + place * place * 97) % 800).unwrap();
        }
    }
    let mut facts = String::from("head\trelation\ttail\n");
    for number in 0..4000u32 {
        let (item, relation) = (number % 800, number % n_relations);
        writeln!(facts, "{item}\tr{relation}\te{}", number * 7 % 2000).unwrap();
    }
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("clicks.csv"), clicks).unwrap();
    fs::write(folder.join("facts.tsv"), facts).unwrap();
    let request = ImportRequest {
        sources: vec![folder.join("facts.tsv")],
        interactions: vec![folder.join("clicks.csv")],
        split_users: Some(Way::PerUser(Shares { valid: 0.1, test: 0.1 })),
        ..ImportRequest::default()
    };
    import(&request, &folder.join("graph"), &Silent).unwrap();
    Snapshot::open(&folder.join("graph")).unwrap()
}

/// What is planned, the program aside.
fn planned(plan: &Ledger) -> u64 {
    let program = plan.lines.iter().find(|line| line.name == "program").unwrap().bytes;
    plan.total() - program
}

/// The most that was allocated meanwhile, beyond what stood before.
fn counted<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = PeakAlloc.current_usage() as u64;
    COUNTED.reset_peak_usage();
    let made = work();
    (COUNTED.peak_usage() as u64 - before, made)
}

/// Whether a plan says less than was counted, or more by 16 MiB or a tenth, whichever is more.
fn wrong(counted: u64, planned: u64) -> bool {
    let most = (16 << 20).max(planned / 10);
    counted > planned + SMALL_THINGS || planned.saturating_sub(counted) > most
}

#[test]
fn recommenders_stay_within_the_lines_of_their_plans() {
    let root = tempfile::tempdir().unwrap();
    let [few, many] = [("few", 6), ("many", 300)]
        .map(|(name, n_relations)| shop(&root.path().join(name), n_relations));
    let mut of_all = Vec::new();
    for (graph, line) in [
        (&few, "pop"),
        (&few, "itemknn"),
        (&few, "ease"),
        (&few, "ials"),
        (&few, "bpr epochs=6"),
        (&few, "mf epochs=6 negatives=8"),
        (&few, "lightgcn epochs=6"),
        (&few, "lightkg epochs=6"),
        (&few, "cke epochs=6"),
        (&many, "cke epochs=2"),
        (&few, "cfkg epochs=6"),
        (&few, "kgat epochs=1"),
        (&many, "kgat epochs=1"),
        (&few, "kgin epochs=6"),
        (&few, "kgin epochs=1 layers=2"),
        (&few, "kgin epochs=1 layers=3 activations=int4"),
        (&few, "kgcn epochs=6"),
        (&few, "kgcn epochs=1 layers=2"),
        (&few, "kgcn epochs=1 layers=3 nearest=3"),
        (&few, "kgnn-ls epochs=1"),
        (&few, "kcan epochs=1"),
        (&few, "diffkg epochs=1"),
    ] {
        let mut words = line.split(' ');
        let mut settings = Settings::of(words.next().unwrap()).unwrap();
        if find(&settings.model).unwrap().own().contains(&"batch") {
            settings.batch = 512;
        }
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            settings.set(key, value).unwrap();
        }
        // A machine of its own, so that none begins with the arrays of another.
        let machine = Machine::new(2, None);
        let census = Census::of(graph).unwrap();
        let plan = plans::learning(&census.shape(), &settings, &machine).unwrap();
        let (most, outcome) = counted(|| {
            let reads = settings.reads_facts(&census.shape()).unwrap();
            let problem = census.read(graph, reads).unwrap();
            learn(problem, &settings, &machine, &Silent).unwrap()
        });
        of_all.push((line, "learned", most, planned(&plan)));
        let out = root.path().join("run");
        save(graph, (&out, true), &settings, &outcome.learned).unwrap();
        drop(outcome);
        let machine = Machine::new(2, None);
        let asking =
            |shape: &_, settings: &_, bytes| plans::asking(shape, settings, bytes, &machine);
        let (most, (list, plan)) = counted(|| {
            let (run, plan) = Run::open_within(&out, asking).unwrap();
            (run.recommend(7, 10, None, &machine), plan)
        });
        assert_eq!(list.len(), 10, "{line}");
        of_all.push((line, "asked", most, planned(&plan)));
    }
    of_all.retain(|(.., counted, planned)| wrong(*counted, *planned));
    assert!(of_all.is_empty(), "counted and planned: {of_all:?}");
}
