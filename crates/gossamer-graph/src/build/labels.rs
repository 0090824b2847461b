//! Labels while a graph is being built: texts by language and thing, sorted outside memory.
//!
//! *Invariant:* of several labels of an id in one language the first counts; where one has no
//! language, the first in any language stands for it.

use std::collections::HashSet;
use std::path::Path;

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnWriter;

use super::growing::TextColumn;
use super::naming::Naming;
use super::sorter::Sorter;
use super::vocab::Vocab;

/// A language and a text.
type Label = (u32, Box<str>);

/// Labels of things.
pub struct Labels {
    languages: Vocab,
    /// By thing.
    of_things: Sorter<Label>,
    /// (language, thing) that [`push_once`](Self::push_once) has seen.
    labelled: HashSet<(u32, u32)>,
}

impl Labels {
    /// None; those for which there is no room in memory wait in `folder`.
    pub fn new(folder: &Path, room: usize) -> Self {
        let of_things = Sorter::new(folder, "labels", room);
        Self { languages: Vocab::new(), of_things, labelled: HashSet::new() }
    }

    /// Takes a label of a thing; the language is empty where there is none.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(&mut self, thing: u32, label: &str, language: &str) -> Result<(), FileError> {
        let language = self.languages.intern(language);
        self.of_things.push(u128::from(thing), Some((language, label.into())))
    }

    /// Takes a label unless the thing has one in this language already.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push_once(&mut self, thing: u32, label: &str, language: &str) -> Result<(), FileError> {
        if self.labelled.insert((self.languages.intern(language), thing)) {
            self.push(thing, label, language)?;
        }
        Ok(())
    }

    /// To be called when things begin a new generation: names come as other things now.
    pub fn forget(&mut self) {
        self.labelled = HashSet::new();
    }

    /// The labels of entities and those of relations, and how many belong to neither.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn named(&mut self, naming: &Naming) -> Result<([Owned<'_>; 2], u64), FileError> {
        self.forget();
        let Self { languages, of_things, .. } = self;
        let mut owned = |plain, by_language| {
            Ok(Owned {
                languages,
                plain: of_things.beside(plain)?,
                by_language: of_things.beside(by_language)?,
                n: 0,
            })
        };
        let mut entities = owned("entity-label", "entity-languages")?;
        let mut relations = owned("relation-label", "relation-languages")?;
        let (mut lookup, mut without) = (naming.lookup(), 0);
        of_things.for_each(|thing, label| {
            let thing = thing as u32;
            let (entity, relation) = (lookup.entity(thing)?, lookup.relation(thing)?);
            without += u64::from(entity.is_none() && relation.is_none());
            for (owned, id) in [(&mut entities, entity), (&mut relations, relation)] {
                if let Some((id, label)) = id.zip(label.clone()) {
                    owned.push(id, label)?;
                }
            }
            Ok::<(), FileError>(())
        })?;
        Ok(([entities, relations], without))
    }
}

/// Labels of ids of one kind.
pub struct Owned<'a> {
    languages: &'a Vocab,
    /// By id, those without a language before the others.
    plain: Sorter<Label>,
    /// By language and id.
    by_language: Sorter<Label>,
    n: u64,
}

impl Owned<'_> {
    fn push(&mut self, id: u32, label: Label) -> Result<(), FileError> {
        let (id, language) = (u128::from(id), label.0);
        let said = !self.languages.name(language).is_empty();
        self.n += 1;
        if said {
            self.by_language.push(u128::from(language) << 32 | id, Some(label.clone()))?;
        }
        self.plain.push(id << 1 | u128::from(said), Some(label))
    }

    /// Writes `label` and, for each language, `label@LANGUAGE`: a text for each of `n_ids` ids.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn write(&mut self, writer: &mut ColumnWriter, n_ids: usize) -> Result<(), FileError> {
        if self.n == 0 {
            return Ok(());
        }
        let mut column = TextColumn::new(writer, "label")?;
        self.plain.for_each(|key, label| {
            let (_, text) = label.unwrap_or_default();
            column.push_once(writer, (key >> 1) as usize, &text)
        })?;
        column.finish(writer, n_ids)?;
        let mut current: Option<(u32, TextColumn)> = None;
        self.by_language.for_each(|key, label| {
            let (language, text) = label.unwrap_or_default();
            if current.as_ref().is_none_or(|(known, _)| *known != language) {
                if let Some((_, done)) = current.take() {
                    done.finish(writer, n_ids)?;
                }
                let name = format!("label@{}", self.languages.name(language));
                current = Some((language, TextColumn::new(writer, &name)?));
            }
            let Some((_, column)) = &mut current else { return Ok(()) };
            column.push_once(writer, key as u32 as usize, &text)
        })?;
        current.map_or(Ok(()), |(_, column)| column.finish(writer, n_ids))
    }
}
