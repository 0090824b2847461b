//! The house keeps its rules: the order of modules, the size of files, where `unsafe` may stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, tests apart, that nobody may pass.
const MOST_LINES: usize = 800;
/// Lines of a function that nobody may pass.
const MOST_FUNCTION_LINES: usize = 70;
const MOST_PARAMETERS: usize = 7;
const MOST_COLUMNS: usize = 100;
const MOST_ROOT_NAMES: usize = 40;
/// The files that may say `unsafe`.
const UNSAFE: [&str; 5] = [
    "gossamer-machine/src/instructions.rs",
    "gossamer-tensor/src/kernel/mod.rs",
    "gossamer-tensor/src/kernel/tile/amx.rs",
    "gossamer-tensor/src/kernel/tile/floats.rs",
    "gossamer-tensor/src/kernel/tile/pairs.rs",
];
const REFUSED_WORDS: [&str; 8] =
    ["Manager", "Handler", "Helper", "mod util", "mod utils", "mod common", "mod misc", "mod core"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = crates();
    let mut found = Vec::new();
    for entry in fs::read_dir(&root).unwrap().filter_map(Result::ok) {
        walk(&entry.path().join("src"), &mut found);
    }
    found.sort();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A file without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn files_functions_and_lines_keep_their_size() {
    for (name, text) in sources() {
        let code = code(&text);
        assert!(code.lines().count() <= MOST_LINES, "{name} has {} lines", code.lines().count());
        for (number, line) in text.lines().enumerate() {
            // Tables of numbers and sentences in tests may be wide; code may not.
            let wide = line.chars().count() > MOST_COLUMNS && number < code.lines().count();
            let prose = line.contains("//!") || line.contains('"') || line.contains("#[error");
            assert!(!wide || prose, "{name}:{} is {} wide", number + 1, line.chars().count());
        }
        for (start, length) in functions(code) {
            assert!(
                length <= MOST_FUNCTION_LINES,
                "{name}:{start} is a function of {length} lines"
            );
        }
        for signature in code.split("fn ").skip(1) {
            let list = signature.split_once('(').map_or("", |(_, rest)| rest);
            let list = list.split(") ").next().and_then(|list| list.split(");").next());
            let list = list.unwrap_or("");
            let parameters = list
                .lines()
                .filter(|line| line.trim().ends_with(',') && line.contains(": "))
                .count();
            assert!(
                parameters <= MOST_PARAMETERS,
                "{name}: fn {} takes {parameters}",
                signature.lines().next().unwrap_or("")
            );
        }
    }
}

/// (line, length) of every function, by its indentation.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "pub(crate) fn ", "unsafe fn "].iter().any(|p| body.starts_with(p));
        // What is only declared, as in a trait, has no lines of its own.
        if !is_function || body.ends_with(';') {
            continue;
        }
        let indent = line.len() - body.len();
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| *line == close);
        if let Some(length) = end {
            found.push((start + 1, length + 1));
        }
    }
    found
}

#[test]
fn every_file_opens_with_what_it_is_and_refuses_vague_words() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "{name} does not say what it is");
        for word in REFUSED_WORDS {
            assert!(!code(&text).contains(word), "{name} says {word}");
        }
    }
}

#[test]
fn unsafe_stands_only_where_it_may_and_each_time_with_its_reason() {
    for (name, text) in sources() {
        let code = code(&text);
        let uses = code.matches("unsafe {").count();
        assert!(uses == 0 || UNSAFE.contains(&name.as_str()), "{name} has unsafe code");
        assert!(
            uses <= code.matches("// SAFETY:").count(),
            "{name} has unsafe code without its reason"
        );
    }
}

/// Names of the modules that a `lib.rs` declares, in order.
fn modules(text: &str) -> Vec<String> {
    let names =
        text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    names.filter_map(|rest| Some(rest.strip_suffix(';')?.to_string())).collect()
}

/// The modules named after `crate::`, one or a list in braces.
fn used_modules(rest: &str) -> Vec<&str> {
    let first =
        |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    match rest.strip_prefix('{') {
        Some(list) => {
            let list = list.split('}').next().unwrap_or("");
            list.split(',').map(str::trim).map(|item| &item[..first(item)]).collect()
        }
        None => vec![&rest[..first(rest)]],
    }
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let files: BTreeMap<String, String> = sources().into_iter().collect();
    for (root, text) in files
        .iter()
        .filter(|(name, _)| name.ends_with("src/lib.rs") || name.ends_with("src/main.rs"))
    {
        let folder = root.rsplit_once('/').unwrap().0;
        let order = modules(text);
        for (name, text) in &files {
            let Some(inside) = name.strip_prefix(&format!("{folder}/")) else { continue };
            let own = inside.split(['/', '.']).next().unwrap_or("");
            let Some(place) = order.iter().position(|module| module == own) else { continue };
            for line in code(text).lines().filter(|line| !line.trim_start().starts_with("//")) {
                for used in line.split("crate::").skip(1).flat_map(used_modules) {
                    let below = order.iter().position(|module| *module == used);
                    let below = below.is_some_and(|other| other > place);
                    assert!(!below, "{name} uses {used}, which stands below {own} in {root}");
                }
            }
        }
    }
}

#[test]
fn crates_meet_only_as_designed() {
    let uses = |of: &str| {
        let text = fs::read_to_string(crates().join(of).join("Cargo.toml")).unwrap();
        let text = text.split("[dev-dependencies]").next().unwrap().to_string();
        let all = ["gossamer-machine", "gossamer-tensor", "gossamer-graph", "gossamer-cli"];
        all.into_iter().filter(|name| text.contains(&format!("\n{name} "))).collect::<Vec<_>>()
    };
    assert_eq!(uses("gossamer-machine"), Vec::<&str>::new());
    assert_eq!(uses("gossamer-tensor"), ["gossamer-machine"]);
    assert_eq!(uses("gossamer-graph"), ["gossamer-machine"]);
    assert_eq!(uses("gossamer"), ["gossamer-machine", "gossamer-tensor", "gossamer-graph"]);
}

#[test]
fn lower_floors_do_not_speak_the_words_of_upper_ones() {
    for (name, text) in sources() {
        let refused: &[&str] = if name.starts_with("gossamer-tensor") {
            &["entity", "entities", "relation", "triple"]
        } else if name.starts_with("gossamer-machine") {
            &["entity", "entities", "triple", "embedding"]
        } else {
            continue;
        };
        for (number, line) in code(&text).lines().enumerate() {
            for word in refused {
                assert!(!line.to_lowercase().contains(word), "{name}:{} says {word}", number + 1);
            }
        }
    }
}

#[test]
fn libraries_read_no_clock_no_environment_and_print_nothing() {
    let refused =
        ["Instant::now", "SystemTime", "std::env", "env::var", "println!", "print!(", "eprint"];
    for (name, text) in sources().into_iter().filter(|(name, _)| !name.starts_with("gossamer-cli"))
    {
        for line in code(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in refused {
                assert!(!line.contains(word), "{name} says {word}");
            }
        }
    }
}

#[test]
fn no_table_is_ever_one_slice() {
    for (name, text) in
        sources().into_iter().filter(|(name, _)| name.starts_with("gossamer/src/table"))
    {
        for signature in code(&text).split("pub fn ").skip(1) {
            let signature = signature.split(" {").next().unwrap_or("");
            let result = signature.rsplit_once("->").map_or("", |(_, result)| result);
            // Rows of some ids are no table.
            let some = ["row(", "row<", "rows<"].iter().any(|name| signature.starts_with(name));
            let whole = result.contains("[f32]") && !some;
            assert!(!whole && !result.contains("Vec<f32>"), "{name}: {signature}");
        }
        assert!(!code(&text).contains("pub blocks"), "{name} shows its blocks");
    }
}

#[test]
fn crate_roots_stay_small() {
    for (name, text) in sources().into_iter().filter(|(name, _)| name.ends_with("src/lib.rs")) {
        let names: usize = text
            .lines()
            .filter(|line| line.starts_with("pub "))
            .map(|line| line.matches(',').count() + 1)
            .sum();
        assert!(names <= MOST_ROOT_NAMES, "{name} shows {names} names");
    }
}

#[test]
fn the_newcomers_example_stays_short() {
    let example = include_str!("../../examples/first.rs");
    let main = example.split("fn main").nth(1).unwrap_or_default();
    assert!(main.lines().count() <= 30);
}
