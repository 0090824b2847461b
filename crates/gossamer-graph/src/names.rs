//! Names ↔ ids of a graph, read from columns as they are asked for.
//!
//! *Invariant:* no more than some thousand names are in memory, unless [`load`](Names::load) is
//! asked for all.

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnFile;

/// Names in memory, by id.
#[derive(Debug)]
pub struct Loaded {
    text: String,
    ends: Vec<usize>,
}

impl Loaded {
    /// The name of an id that there is.
    pub fn get(&self, id: u32) -> &str {
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[id as usize]]
    }
}

/// Names and labels of a graph, read as they are asked for.
#[derive(Debug)]
pub struct Names {
    file: ColumnFile,
    n_names: u32,
}

impl Names {
    /// The names in a column file that [`Vocab::write`](crate::build::vocab::Vocab::write) wrote.
    ///
    /// # Errors
    /// [`FileError::Missing`] when it has none, [`FileError::Corrupt`] when they do not fit.
    pub fn open(file: ColumnFile) -> Result<Self, FileError> {
        let n_offsets = file.expect::<u64>("name.offsets")?.n_values;
        let n_names = n_offsets.saturating_sub(1);
        if n_names > u64::from(u32::MAX) || file.n_values("name.order") != n_names {
            return Err(FileError::corrupt(file.path(), 0, "the name columns do not fit together"));
        }
        Ok(Self { file, n_names: n_names as u32 })
    }

    /// The column file behind the names: types, attributes and what else is kept per id.
    pub fn file(&self) -> &ColumnFile {
        &self.file
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.n_names as usize
    }

    /// True if there are no names.
    pub fn is_empty(&self) -> bool {
        self.n_names == 0
    }

    fn text(&self, column: &str, row: u32) -> Result<String, FileError> {
        let mut ends = Vec::with_capacity(2);
        let row = u64::from(row);
        self.file.read::<u64>(&format!("{column}.offsets"), row..row + 2, &mut ends)?;
        let mut bytes = Vec::new();
        self.file.read::<u8>(&format!("{column}.bytes"), ends[0]..ends[1], &mut bytes)?;
        String::from_utf8(bytes)
            .map_err(|_| FileError::corrupt(self.file.path(), ends[0], "a text is not UTF-8"))
    }

    /// The name of an id.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn name(&self, id: u32) -> Result<String, FileError> {
        self.text("name", id)
    }

    /// Bytes of every name in memory.
    pub fn bytes_of_all(&self) -> u64 {
        self.file.n_values("name.bytes") + 8 * u64::from(self.n_names)
    }

    /// Every name in memory.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn load(&self) -> Result<Loaded, FileError> {
        let n_bytes = self.file.n_values("name.bytes") as usize;
        let (text, ends) = (String::with_capacity(n_bytes), Vec::with_capacity(self.len()));
        let mut loaded = Loaded { text, ends };
        self.for_each_text("name", |_, name| {
            loaded.text.push_str(name);
            loaded.ends.push(loaded.text.len());
        })?;
        Ok(loaded)
    }

    /// The label of an id, where it has one.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn label(&self, id: u32) -> Result<Option<String>, FileError> {
        if self.file.find("label.offsets").is_none() {
            return Ok(None);
        }
        Ok(Some(self.text("label", id)?).filter(|label| !label.is_empty()))
    }

    /// Label and name in one: "France (Q142)", or the name alone.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn shown(&self, id: u32) -> Result<String, FileError> {
        let name = self.name(id)?;
        Ok(match self.label(id)? {
            Some(label) if label != name => format!("{label} ({name})"),
            _ => name,
        })
    }

    /// The id of a name. Cost: log₂ n small reads.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn find(&self, name: &str) -> Result<Option<u32>, FileError> {
        let (mut low, mut high) = (0u64, u64::from(self.n_names));
        let mut id = Vec::with_capacity(1);
        while low < high {
            let middle = low + (high - low) / 2;
            self.file.read::<u32>("name.order", middle..middle + 1, &mut id)?;
            match self.name(id[0])?.as_str().cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(id[0])),
            }
        }
        Ok(None)
    }

    /// The values of a list column for an id; none where there is no such column.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn list(&self, column: &str, id: u32) -> Result<Vec<u32>, FileError> {
        let offsets = format!("{column}.offsets");
        if self.file.find(&offsets).is_none() {
            return Ok(Vec::new());
        }
        let (mut ends, mut values, row) = (Vec::with_capacity(2), Vec::new(), u64::from(id));
        self.file.read::<u64>(&offsets, row..row + 2, &mut ends)?;
        self.file.read::<u32>(&format!("{column}.values"), ends[0]..ends[1], &mut values)?;
        Ok(values)
    }

    /// Calls `visit` with every id and text of a text column, in the order of ids, some thousand
    /// at a time in memory.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn for_each_text(
        &self,
        column: &str,
        mut visit: impl FnMut(u32, &str),
    ) -> Result<(), FileError> {
        const ROWS: u64 = 8192;
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        let n = u64::from(self.n_names);
        for start in (0..n).step_by(ROWS as usize) {
            let stop = (start + ROWS).min(n);
            self.file.read::<u64>(&format!("{column}.offsets"), start..stop + 1, &mut ends)?;
            let first = ends[0];
            let last = ends[ends.len() - 1];
            self.file.read::<u8>(&format!("{column}.bytes"), first..last, &mut bytes)?;
            for (row, pair) in ends.windows(2).enumerate() {
                let range = (pair[0] - first) as usize..(pair[1].max(pair[0]) - first) as usize;
                let text = bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok());
                let text = text.ok_or_else(|| {
                    FileError::corrupt(self.file.path(), pair[0], "a text does not fit")
                })?;
                visit(start as u32 + row as u32, text);
            }
        }
        Ok(())
    }

    /// The ids whose label (in any case) is this one.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn find_label(&self, label: &str) -> Result<Vec<u32>, FileError> {
        let mut found = Vec::new();
        if self.file.find("label.offsets").is_some() {
            let wanted = label.to_lowercase();
            self.for_each_text("label", |id, text| {
                if text.to_lowercase() == wanted {
                    found.push(id);
                }
            })?;
        }
        Ok(found)
    }

    /// The `n` names or labels most like this one, best first.
    ///
    /// # Errors
    /// [`FileError::Corrupt`].
    pub fn nearest(&self, name: &str, n: usize) -> Result<Vec<String>, FileError> {
        let mut best = Vec::new();
        for column in ["label", "name"] {
            if self.file.find(&format!("{column}.offsets")).is_some() {
                let mut texts = Vec::new();
                self.for_each_text(column, |_, text| texts.push(text.to_string()))?;
                let texts = texts.iter().map(String::as_str);
                best.extend(gossamer_machine::registry::nearest(name, texts, n));
            }
        }
        let best: Vec<&str> = best.iter().map(String::as_str).collect();
        Ok(gossamer_machine::registry::nearest(name, best.into_iter(), n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::growing::write_texts;
    use crate::build::vocab::Vocab;
    use gossamer_machine::column::ColumnWriter;
    use proptest::prelude::*;

    fn names_of(vocab: &Vocab, labels: Option<&[&str]>) -> (tempfile::TempDir, Names) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entities.gcol");
        let mut writer = ColumnWriter::create(&path).unwrap();
        vocab.write(&mut writer).unwrap();
        if let Some(labels) = labels {
            write_texts(&mut writer, "label", labels.iter().copied()).unwrap();
        }
        writer.finish().unwrap();
        let names = Names::open(ColumnFile::open(&path).unwrap()).unwrap();
        (folder, names)
    }

    proptest! {
        #[test]
        fn names_and_ids_are_a_bijection(words in prop::collection::vec(".{0,12}", 0..60)) {
            let mut vocab = Vocab::new();
            let ids: Vec<u32> = words.iter().map(|word| vocab.intern(word)).collect();
            let (_folder, names) = names_of(&vocab, None);
            for (word, id) in words.iter().zip(ids) {
                prop_assert_eq!(vocab.name(id), word.as_str());
                prop_assert_eq!(vocab.find(word), Some(id));
                prop_assert_eq!(names.find(word).unwrap(), Some(id));
                prop_assert_eq!(&names.name(id).unwrap(), word);
            }
            prop_assert_eq!(names.find("no such word at all").unwrap(), None);
        }
    }

    #[test]
    fn labels_are_found_and_shown() {
        let mut vocab = Vocab::new();
        ["Q1", "Q2", "Q3"].iter().for_each(|name| assert!(vocab.intern(name) < 3));
        let (_folder, names) = names_of(&vocab, Some(&["Paris", "paris", ""]));
        assert_eq!(names.find_label("PARIS").unwrap(), [0, 1]);
        assert_eq!(names.shown(0).unwrap(), "Paris (Q1)");
        assert_eq!(names.shown(2).unwrap(), "Q3");
        assert_eq!(names.nearest("Pariz", 1).unwrap(), ["Paris"]);
    }
}
