//! Labels: a name, a tab, a label, and perhaps a tab and a language.

use std::path::Path;

use super::{ReadOptions, source};
use crate::error::{GraphError, Mistake};

/// Calls `take` with (name, label, language) for each line of a file; the language is empty where
/// the third column is missing or no language tag.
///
/// # Errors
/// [`GraphError::Mistakes`] with the first line that was not understood; those of `take`.
pub fn read_labels(
    path: &Path,
    take: &mut dyn FnMut(&str, &str, &str) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
    let mut input = source::open(path)?;
    let options = ReadOptions { file: path.display().to_string(), ..ReadOptions::default() };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let n = input
            .read_until(b'\n', &mut line)
            .map_err(|error| source::unreadable(&options, &error))?;
        if n == 0 {
            break;
        }
        let mistake = |what: &str, hint: &str| {
            let (file, what, hint) = (options.file.clone(), what.into(), hint.into());
            let mistakes = vec![Mistake { file, line: number, column: 1, what, hint }];
            GraphError::Mistakes { mistakes, total: 1 }
        };
        let Ok(text) = std::str::from_utf8(&line) else {
            return Err(mistake("expected UTF-8 text", "convert the file with iconv -t UTF-8"));
        };
        if text.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = text.trim_end().split('\t').map(str::trim).collect();
        let &[name, label, ref rest @ ..] = cells.as_slice() else {
            let what = "expected a name, a tab and a label";
            return Err(mistake(what, "columns are separated by tabs"));
        };
        take(name, label, rest.first().filter(|tag| is_language(tag)).copied().unwrap_or(""))?;
    }
    Ok(())
}

/// A tag such as "en" or "pt-br".
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_tags_and_a_line_without_a_label_is_named() {
        assert!(is_language("en") && is_language("pt-br") && !is_language("wikidata"));
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("labels.tsv");
        std::fs::write(&path, "a\tAlpha\ten\n\nb\tBeta\twikidata\nc\n").unwrap();
        let mut seen = Vec::new();
        let result = read_labels(&path, &mut |name, label, language| {
            seen.push([name, label, language].map(String::from));
            Ok(())
        });
        assert_eq!(seen, [["a", "Alpha", "en"], ["b", "Beta", ""]]);
        assert!(result.unwrap_err().to_string().contains("labels.tsv:4:1"));
    }
}
