//! The program as its users meet it: one binary, a module per kind of story.

#![allow(clippy::unwrap_used)]

mod classes;
#[cfg(target_os = "linux")]
mod full_disk;
mod kill;
mod memory;
mod networks;
mod recommend;
mod reference;
mod story;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, in a folder.
pub fn gossamer(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gossamer"));
    command.current_dir(folder).args(words);
    command
}

/// Runs a line such as "gossamer import x.tsv -o g"; words hold no spaces, unless in quotes.
pub fn run(folder: &Path, line: &str) -> Output {
    let words = words_of(line);
    assert_eq!(words[0], "gossamer", "{line}");
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    gossamer(folder, &words).output().unwrap()
}

fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_string());
        } else {
            words.extend(part.split_whitespace().map(String::from));
        }
    }
    words
}

/// Standard output and standard error.
pub fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a line that must succeed, within its budget, and returns its standard output.
pub fn succeed(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    let (out, err) = said(&output);
    assert!(output.status.success(), "{line}\n{out}\n{err}");
    assert!(!err.contains("above the budget"), "{line}\n{err}");
    out
}

/// Runs a line that must end with this code, and whose standard error must hold these parts.
pub fn fail(folder: &Path, line: &str, code: i32, parts: &[&str]) {
    let output = run(folder, line);
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(code), "{line}\n{out}\n{err}");
    assert!(!err.contains("above the budget"), "{line}\n{err}");
    for part in parts {
        assert!(err.contains(part), "{line}\nexpected: {part}\n{err}");
    }
}

/// A folder with a small graph in three files: numbers, their successors, doubles and remainders.
pub fn numbers(n: u32) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let mut files = [String::new(), String::new(), String::new()];
    for i in 0..n {
        for (relation, tail) in [("next", (i + 1) % n), ("twice", 2 * i % n), ("kind", n + i % 7)] {
            let part = match (i * 31 + relation.len() as u32 * 17) % 20 {
                0 => 1,
                1 => 2,
                _ => 0,
            };
            files[part] += &format!("n{i}\t{relation}\tn{tail}\n");
        }
    }
    std::fs::create_dir(root.path().join("source")).unwrap();
    for (name, text) in ["train", "valid", "test"].into_iter().zip(files) {
        std::fs::write(root.path().join(format!("source/{name}.txt")), text).unwrap();
    }
    let path = root.path().to_path_buf();
    (root, path)
}
