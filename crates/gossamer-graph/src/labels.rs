//! Labels while a graph is being built: texts by language and id.
//!
//! *Invariant:* of several labels of an id in one language the first counts; where one has no
//! language, the first in any language stands for it.

use std::collections::HashSet;

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnWriter;

use crate::vocab::{Vocab, write_texts};

/// Labels of one kind of thing.
#[derive(Debug, Default)]
pub struct Labels {
    languages: Vocab,
    texts: Vec<u8>,
    /// (language, id, place of arrival), texts end at `ends`.
    rows: Vec<(u32, u32, u32)>,
    ends: Vec<u64>,
    /// (language, thing) that [`push_once`](Self::push_once) has seen.
    labelled: HashSet<(u32, u32)>,
}

impl Labels {
    /// None.
    pub fn new() -> Self {
        Self { languages: Vocab::new(), ends: vec![0], ..Self::default() }
    }

    /// Takes a label of a thing; the language is empty where there is none.
    pub fn push(&mut self, thing: u32, label: &str, language: &str) {
        let language = self.languages.intern(language);
        self.rows.push((language, thing, self.rows.len() as u32));
        self.texts.extend_from_slice(label.as_bytes());
        self.ends.push(self.texts.len() as u64);
    }

    /// Takes a label unless the thing has one in this language already.
    pub fn push_once(&mut self, thing: u32, label: &str, language: &str) {
        if self.labelled.insert((self.languages.intern(language), thing)) {
            self.push(thing, label, language);
        }
    }

    /// How many were taken.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True before the first one.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn text(&self, place: u32) -> &str {
        let range = self.ends[place as usize] as usize..self.ends[place as usize + 1] as usize;
        std::str::from_utf8(&self.texts[range]).unwrap_or_default()
    }

    /// How many belong to a thing that `owned` does not know.
    pub fn n_without(&self, owned: impl Fn(u32) -> bool) -> u64 {
        self.rows.iter().filter(|(_, thing, _)| !owned(*thing)).count() as u64
    }

    /// Writes `label` and, for each language, `label@LANGUAGE`: a text for each of `n_ids` ids,
    /// which `id` gives to things.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(
        &self,
        writer: &mut ColumnWriter,
        n_ids: usize,
        id: impl Fn(u32) -> Option<u32>,
    ) -> Result<(), FileError> {
        let row = |row: &(u32, u32, u32)| id(row.1).map(|id| (row.0, id, row.2));
        let mut rows: Vec<(u32, u32, u32)> = self.rows.iter().filter_map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        let mut plain: Vec<Option<(bool, u32)>> = vec![None; n_ids];
        for (language, id, place) in &rows {
            // One without a language before all others, then the first to arrive.
            let mine = (!self.languages.name(*language).is_empty(), *place);
            let slot = &mut plain[*id as usize];
            *slot = Some(slot.map_or(mine, |known| known.min(mine)));
        }
        let text = |slot: &Option<(bool, u32)>| slot.map_or("", |(_, place)| self.text(place));
        write_texts(writer, "label", plain.iter().map(text))?;
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let language = self.languages.name(group[0].0);
            if language.is_empty() {
                continue;
            }
            let mut rest = group.iter().peekable();
            let texts = (0..n_ids as u32).map(|id| {
                let mut label = "";
                while let Some((_, _, place)) = rest.next_if(|row| row.1 == id) {
                    label = if label.is_empty() { self.text(*place) } else { label };
                }
                label
            });
            write_texts(writer, &format!("label@{language}"), texts)?;
        }
        Ok(())
    }
}
