//! The Open Graph Benchmark's raw files: edges as numbers, one file for each kind of edge.
//!
//! A graph of one kind of thing has `edge.csv` and, line by line beside it, `edge_reltype.csv`; one
//! of several has `relations/HEAD___RELATION___TAIL/edge.csv`, and its numbers restart with every
//! type, so names begin with their type. Its splits are PyTorch files, which are not read.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Layout, find_file};
use crate::error::GraphError;
use crate::read::numbers::{Behind, ListOrder, Numbered, Numbers};
use crate::read::source::{self, Source};

/// The Open Graph Benchmark's raw files.
#[derive(Debug)]
pub struct Ogb;

impl Layout for Ogb {
    fn name(&self) -> &'static str {
        "ogb"
    }
    fn summary(&self) -> &'static str {
        "Open Graph Benchmark: raw edges as numbers, of one kind or of many, with mapping/ beside; \
         all of them, since its splits are PyTorch files: see --split"
    }
    fn paper(&self) -> &'static str {
        "Hu et al.: Open Graph Benchmark (NeurIPS 2020)"
    }
    fn example(&self) -> &'static str {
        "raw/edge.csv.gz, raw/edge_reltype.csv.gz"
    }
    fn sources(&self, folder: &Path) -> Result<Option<Vec<Source>>, GraphError> {
        let inner = folder.join("raw");
        let raw = if inner.is_dir() { inner } else { folder.to_path_buf() };
        let mapping = raw.parent().unwrap_or(folder).join("mapping");
        if raw.join("relations").is_dir() {
            return many_kinds(&raw, &mapping).map(Some);
        }
        one_kind(&raw, &mapping)
    }
}

fn list(mapping: &Path, name: &str) -> Result<Option<Numbered>, GraphError> {
    let path = find_file(mapping, &[name]);
    path.map(|path| Numbered::read(&path, ListOrder::NumberComma)).transpose()
}

fn shared(list: Option<Numbered>) -> Option<Arc<dyn Behind>> {
    list.map(|list| -> Arc<dyn Behind> { Arc::new(list) })
}

fn one_kind(raw: &Path, mapping: &Path) -> Result<Option<Vec<Source>>, GraphError> {
    let counts = find_file(raw, &["num-edge-list.csv"]);
    let (Some(path), Some(_)) = (find_file(raw, &["edge.csv"]), counts) else { return Ok(None) };
    let beside = find_file(raw, &["edge_reltype.csv"]);
    let heads = shared(list(mapping, "nodeidx2entityid.csv")?);
    let relations = match &beside {
        Some(_) => shared(list(mapping, "reltype2relid.csv")?),
        None => None,
    };
    let relation = if beside.is_some() { "3" } else { ":edge" };
    let source = Source {
        path,
        format: Some("csv"),
        map: Some(format!("head=1,tail=2,relation={relation}")),
        numbers: Some(Arc::new(Numbers { tails: heads.clone(), heads, relations })),
        beside,
        ..Source::default()
    };
    Ok(Some(vec![source]))
}

fn many_kinds(raw: &Path, mapping: &Path) -> Result<Vec<Source>, GraphError> {
    let mut kinds = Vec::new();
    let relations = raw.join("relations");
    let entries = std::fs::read_dir(&relations).map_err(|error| wrong(&relations, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.split("___").collect();
        if let ([head, relation, tail], Some(path)) =
            (&parts[..], find_file(&entry.path(), &["edge.csv"]))
        {
            kinds.push(([head, relation, tail].map(|part| part.to_string()), path));
        }
    }
    kinds.sort();
    let counts = counts(raw)?;
    let mut lists: Vec<(String, Arc<dyn Behind>)> = Vec::new();
    let mut names_of = |kind: &str| -> Result<Arc<dyn Behind>, GraphError> {
        if let Some((_, names)) = lists.iter().find(|(known, _)| known == kind) {
            return Ok(Arc::clone(names));
        }
        let prefix = format!("{kind}/");
        let names = match list(mapping, &format!("{kind}_entidx2name.csv"))? {
            Some(names) => names.under(&prefix),
            None => {
                let n = counts.iter().find(|(known, _)| known == kind).map_or(0, |(_, n)| *n);
                Numbered::counted(&prefix, n)
            }
        };
        lists.push((kind.to_string(), Arc::new(names)));
        Ok(Arc::clone(&lists[lists.len() - 1].1))
    };
    let mut sources = Vec::new();
    for ([head, relation, tail], path) in kinds {
        let (heads, tails) = (Some(names_of(&head)?), Some(names_of(&tail)?));
        let types = format!("head_type=:{head},tail_type=:{tail}");
        sources.push(Source {
            path,
            format: Some("csv"),
            map: Some(format!("head=1,tail=2,relation=:{relation},{types}")),
            numbers: Some(Arc::new(Numbers { heads, tails, relations: None })),
            ..Source::default()
        });
    }
    Ok(sources)
}

/// How many things there are of each type: a header of types, and a line of numbers.
fn counts(raw: &Path) -> Result<Vec<(String, usize)>, GraphError> {
    let Some(path) = find_file(raw, &["num-node-dict.csv"]) else { return Ok(Vec::new()) };
    let mut text = String::new();
    source::open(&path)?.read_to_string(&mut text).map_err(|error| wrong(&path, &error))?;
    let mut lines = text.lines();
    let (types, numbers) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let pairs = types.split(',').zip(numbers.split(','));
    pairs
        .map(|(kind, number)| {
            let number = number.trim().parse().ok().filter(|number: &usize| *number < 1 << 32);
            let number = number.ok_or_else(|| wrong(&path, &"its second line is no numbers"))?;
            Ok((kind.trim().to_string(), number))
        })
        .collect()
}

fn wrong(path: &Path, what: &dyn std::fmt::Display) -> GraphError {
    GraphError::Source {
        path: PathBuf::from(path),
        what: format!("cannot be read: {what}"),
        hint: "check that the download is whole".into(),
    }
}
