//! Killed at random moments, in training and in writing: the resumed run ends with the bytes of
//! an uninterrupted one. `scripts/kills` does it longer.

use std::path::Path;
use std::time::{Duration, Instant};

use gossamer_machine::{Address, Purpose};

use crate::{gossamer, numbers, said, succeed};

const TRAIN: &[&str] = &[
    "train",
    "graph",
    "-o",
    "run",
    "--dim",
    "8",
    "--epochs",
    "8",
    "--validate-every",
    "2",
    "--batch",
    "100",
    "--save-every",
    "0",
    "--force",
];

/// Starts the program and kills it after some time; true if it had ended well before that.
fn killed_after(folder: &Path, words: &[&str], time: Duration) -> bool {
    let mut command = gossamer(folder, words);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < time {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn tables(folder: &Path, run: &str) -> Vec<u8> {
    std::fs::read(folder.join(run).join("tables.safetensors")).unwrap()
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_same_bytes() {
    let kills = std::env::var("GOSSAMER_KILLS").ok().and_then(|n| n.parse().ok());
    let (_root, folder) = numbers(150);
    succeed(&folder, "gossamer import source -o graph");
    killed_and_resumed(&folder, TRAIN, kills.unwrap_or(30));
}

#[test]
fn so_does_one_whose_rows_move_by_themselves_between_passes_of_a_network() {
    let network = "--layer compgcn-sub --layer-every 3 --edge-dropout 0.2 --activations int2";
    let words: Vec<&str> = TRAIN.iter().copied().chain(network.split(' ')).collect();
    let (_root, folder) = numbers(150);
    succeed(&folder, "gossamer import source -o graph");
    killed_and_resumed(&folder, &words, 6);
}

#[test]
fn so_does_one_whose_partitions_are_on_disk() {
    killed_on_disk("--rows f32");
}

#[test]
fn so_does_one_whose_rows_are_floats_for_their_turn() {
    killed_on_disk("--rows int4 --decoded true");
}

fn killed_on_disk(more: &str) {
    let words = "train graph -o run --dim 8 --epochs 6 --validate-every 2 --batch 2000 \
                 --form negative-sampling --loss softmax-cross-entropy --negatives 16 \
                 --partitions 4 --save-every 0 --force";
    let mut words: Vec<&str> = words.split_whitespace().chain(more.split(' ')).collect();
    let (_root, folder) = numbers(1600);
    succeed(&folder, "gossamer import source -o graph");
    let little = gossamer(&folder, &[&words[..], &["--budget", "1MiB"]].concat()).output().unwrap();
    let refusal = said(&little).1;
    let (_, least) = refusal.split_once("hint: --budget ").unwrap();
    words.extend(["--budget", least.split(' ').next().unwrap()]);
    killed_and_resumed(&folder, &words, 12);
}

fn killed_and_resumed(folder: &Path, train: &[&str], kills: u32) {
    let started = Instant::now();
    let whole: Vec<&str> = train.iter().map(|w| if *w == "run" { "whole" } else { *w }).collect();
    let output = gossamer(folder, &whole).output().unwrap();
    assert!(output.status.success(), "{}", said(&output).1);
    let length = started.elapsed();
    let expected = tables(folder, "whole");
    let address = Address::new(9, Purpose::Synthetic, 0);
    let (mut done, mut run) = (0, 0);
    while done < kills {
        run += 1;
        // Each kill falls anywhere in what is left, a little beyond included.
        let moment = |kill: u32| length.mul_f64(1.1 * address.unit(run, kill));
        let mut finished = killed_after(folder, train, moment(0));
        done += u32::from(!finished);
        while !finished {
            let run = folder.join("run");
            let begun = gossamer_checkpoints(&run) || run.join("manifest").is_file();
            if !begun {
                // Killed before the first checkpoint was whole: nothing was promised yet.
                finished = killed_after(folder, train, Duration::from_secs(60));
                assert!(finished);
                continue;
            }
            if run.join("manifest").is_file() {
                break;
            }
            let words = ["resume", "run", "--save-every", "0"];
            finished = killed_after(folder, &words, moment(done + 1));
            done += u32::from(!finished);
        }
        assert_eq!(tables(folder, "run"), expected, "run {run} after {done} kills");
        succeed(folder, "gossamer check run");
    }
}

fn gossamer_checkpoints(run: &Path) -> bool {
    std::fs::read_dir(run)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with("checkpoint-"))
}

#[test]
fn an_import_killed_at_random_moments_leaves_a_whole_graph_or_none() {
    let (_root, folder) = numbers(3000);
    let started = Instant::now();
    succeed(&folder, "gossamer import source -o graph");
    let length = started.elapsed();
    let address = Address::new(10, Purpose::Synthetic, 0);
    for kill in 0..12 {
        let words = ["import", "source", "-o", "graph", "--force"];
        killed_after(&folder, &words, length.mul_f64(address.unit(kill, 0)));
        // With --force the old graph stands until the new one is whole; in the instant between
        // the two renames, the old one lies beside, and importing again mends it.
        if folder.join("graph").exists() {
            succeed(&folder, "gossamer check graph");
        } else {
            assert!(folder.join(".graph.replaced").exists());
        }
    }
    succeed(&folder, "gossamer import source -o graph --force");
    succeed(&folder, "gossamer check graph");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_names_the_command_that_goes_on() {
    let (_root, folder) = numbers(400);
    succeed(&folder, "gossamer import source -o graph");
    let words = ["train", "graph", "-o", "run", "--epochs", "100000", "--patience", "0"];
    let child = gossamer(&folder, &words).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !gossamer_checkpoints(&folder.join("run")) {
        std::thread::yield_now();
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let (_, err) = said(&output);
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("gossamer resume run"), "{err}");
    assert!(gossamer_checkpoints(&folder.join("run")));
}
