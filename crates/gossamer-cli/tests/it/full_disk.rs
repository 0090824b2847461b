//! A disk that is full: a small file system of the test's own, for which the process must be
//! allowed a name space; where it is not, nothing is tested.

use std::path::Path;
use std::process::{Command, Output};

use crate::{numbers, said, succeed};

/// Runs a script in which `disk` is a file system of some bytes, and `$GOSSAMER` the program.
fn on_disk(folder: &Path, bytes: &str, script: &str) -> Option<Output> {
    std::fs::create_dir(folder.join("disk")).unwrap();
    let mount = format!("mount -t tmpfs -o size={bytes} tmpfs disk");
    let run = |script: &str| {
        Command::new("unshare")
            .args(["--mount", "--user", "--map-root-user", "sh", "-euc", script])
            .env("GOSSAMER", env!("CARGO_BIN_EXE_gossamer"))
            .current_dir(folder)
            .output()
    };
    let able = run(&mount).is_ok_and(|output| output.status.success());
    able.then(|| run(&format!("{mount}\n{script}")).unwrap())
}

#[test]
fn a_run_whose_disk_is_full_says_what_is_missing_and_goes_on_to_the_same_bytes() {
    let (_root, folder) = numbers(1600);
    succeed(&folder, "gossamer import source -o graph");
    let words = "--dim 32 --epochs 90 --validate-every 9 --patience 0 --batch 2000 \
                 --form negative-sampling --loss softmax-cross-entropy --negatives 16 \
                 --partitions 4 --rows f32 --threads 1";
    let train = format!("gossamer train graph --save-every 0 {words}");
    let refused = crate::run(&folder, &format!("{train} --budget 1MiB -o whole"));
    let refusal = said(&refused).1;
    let (_, least) = refusal.split_once("hint: --budget ").unwrap();
    let words = format!("{words} --budget {}", least.split([' ', ';']).next().unwrap());
    succeed(&folder, &format!("gossamer train graph {words} -o whole"));
    // Someone else fills the disk once there is a checkpoint.
    let script = format!(
        "$GOSSAMER train graph --save-every 0 {words} -o disk/run 2> said & \
         while ! ls -d disk/run/checkpoint-* > /dev/null 2>&1; do sleep .01; done
         dd if=/dev/zero of=disk/other bs=64k 2> /dev/null || true
         wait $! && echo trained || echo $?
         cat said; rm disk/other
         $GOSSAMER resume disk/run 2> /dev/null
         cp disk/run/tables.safetensors resumed"
    );
    let Some(output) = on_disk(&folder, "32m", &script) else { return };
    let (out, err) = said(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.starts_with("6\n"), "{out}");
    for part in [
        &format!("the disk at {}/disk", folder.canonicalize().unwrap().display()),
        " are left",
        "hint: make room there",
        "hint: gossamer resume disk/run",
    ] {
        assert!(out.contains(part), "expected: {part}\n{out}");
    }
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("resumed") == bytes("whole/tables.safetensors"));
}

#[test]
fn nothing_half_written_stays_on_a_disk_that_is_too_small() {
    let (_root, folder) = numbers(4000);
    succeed(&folder, "gossamer import source -o graph");
    for command in ["import source -o disk/graph", "train graph --dim 64 --epochs 1 -o disk/run"] {
        let script = format!("$GOSSAMER {command} && echo done || echo $?; ls -A disk");
        let Some(output) = on_disk(&folder, "64k", &script) else { return };
        let (out, err) = said(&output);
        assert_eq!(out, "6\n", "{command}\n{err}");
        assert!(err.contains("/disk") && err.contains(" are left"), "{command}\n{err}");
        std::fs::remove_dir(folder.join("disk")).unwrap();
    }
}
