//! A folder that is whole or absent: files listed with their checksums in a sealed manifest.
//!
//! `manifest` is a text file. Its first line is `gossamer KIND VERSION CHECKSUM`, the checksum
//! covering everything else; `file NAME BYTES FORM …` lists a file, `note KEY VALUE` a fact.
//! A file of form `columns` carries its own checksums, of which the manifest repeats the top one; a
//! file of form `bytes` has one checksum per MiB.
//!
//! *Invariant:* a folder with a manifest is complete; each byte of each listed file is covered by a
//! checksum.

mod draft;
mod summed;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::column::ColumnFile;
use crate::file::{FileError, checksum, read_at, read_whole, write_whole};

pub use draft::{Draft, remove_folder, set_aside, share};
pub use summed::{SummedFile, Summing, Sums};

const MANIFEST: &str = "manifest";
const VERSION: u32 = 1;
/// Bytes per checksum of a plain file: near enough to name a place.
pub const BLOCK_BYTES: u64 = 1 << 20;

/// Writes the manifest of what is in `folder` now. Subfolders and hidden files are left out.
///
/// # Errors
/// [`FileError`].
pub fn seal(
    kind: &'static str,
    folder: &Path,
    notes: &BTreeMap<String, String>,
) -> Result<(), FileError> {
    seal_with(kind, folder, notes, &BTreeMap::new())
}

/// Seals a folder some of whose files were summed while they were written.
fn seal_with(
    kind: &'static str,
    folder: &Path,
    notes: &BTreeMap<String, String>,
    known: &BTreeMap<String, Sums>,
) -> Result<(), FileError> {
    let entries = fs::read_dir(folder).map_err(FileError::io("list", folder))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != MANIFEST && !name.starts_with('.'))
        .collect();
    names.sort();
    let mut body = String::new();
    for name in names {
        let path = folder.join(&name);
        File::open(&path).and_then(|f| f.sync_all()).map_err(FileError::io("sync", &path))?;
        let bytes = fs::metadata(&path).map_err(FileError::io("read", &path))?.len();
        let (form, sums) = match known.get(&name) {
            Some(Sums(sums)) => ("bytes", sums.clone()),
            None if name.ends_with(".gcol") => {
                ("columns", vec![ColumnFile::open(&path)?.fingerprint()])
            }
            None => ("bytes", block_sums(&path, bytes)?),
        };
        let sums: Vec<String> = sums.iter().map(|sum| format!("{sum:016x}")).collect();
        body += &format!("file {name} {bytes} {form} {}\n", sums.join(" "));
    }
    for (key, value) in notes {
        body += &format!("note {key} {}\n", value.replace('\n', " "));
    }
    let first = format!("gossamer {kind} {VERSION} {:016x}\n", seal_of(kind, VERSION, &body));
    write_whole(&folder.join(MANIFEST), (first + &body).as_bytes())
}

fn seal_of(kind: &str, version: u32, body: &str) -> u64 {
    checksum(format!("{kind} {version}\n{body}").as_bytes())
}

fn block_sums(path: &Path, bytes: u64) -> Result<Vec<u64>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let mut sums = Vec::new();
    let mut buffer = vec![0; BLOCK_BYTES.min(bytes) as usize];
    for offset in (0..bytes).step_by(BLOCK_BYTES as usize) {
        let part = &mut buffer[..(bytes - offset).min(BLOCK_BYTES) as usize];
        read_at(&file, path, offset, part)?;
        sums.push(checksum(part));
    }
    Ok(sums)
}

/// The first by name of the folders in a folder that say they are of a kind.
fn first_within(kind: &str, folder: &Path) -> Option<String> {
    let says = format!("gossamer {kind} ");
    let within = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_one = |path: &PathBuf| {
        read_whole(&path.join(MANIFEST)).is_ok_and(|text| text.starts_with(says.as_bytes()))
    };
    within.filter(is_one).min().map(|path| path.display().to_string())
}

#[derive(Debug, Clone)]
struct Listed {
    bytes: u64,
    columns: bool,
    sums: Vec<u64>,
}

/// A sealed folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    files: BTreeMap<String, Listed>,
    /// Facts that the writer noted.
    pub notes: BTreeMap<String, String>,
    fingerprint: u64,
}

impl Folder {
    /// Opens a folder and verifies its manifest. Cost: one small read.
    ///
    /// # Errors
    /// [`FileError::Missing`] when there is no manifest or it is of another kind,
    /// [`FileError::Corrupt`] when it was changed.
    pub fn open(kind: &str, path: &Path) -> Result<Self, FileError> {
        let manifest = path.join(MANIFEST);
        if !manifest.is_file() {
            let what = format!("there is no {kind} here");
            let hint = match first_within(kind, path) {
                Some(within) => format!("there are some in it: name one, such as {within}"),
                None => format!("a {kind} folder has a file called '{MANIFEST}'; check the path"),
            };
            return Err(FileError::Missing { path: path.to_path_buf(), what, hint });
        }
        let bytes = read_whole(&manifest)?;
        let damaged =
            |offset: usize, what: &str| FileError::corrupt(&manifest, offset as u64, what);
        let text = String::from_utf8(bytes).map_err(|_| damaged(0, "not UTF-8 text"))?;
        let (first, body) = text.split_once('\n').ok_or_else(|| damaged(0, "no first line"))?;
        let words: Vec<&str> = first.split(' ').collect();
        let &[magic, found, version, sum] = words.as_slice() else {
            return Err(damaged(0, "the first line makes no sense"));
        };
        let version: u32 = version.parse().map_err(|_| damaged(0, "no version"))?;
        if version > VERSION {
            let (path, readable) = (path.to_path_buf(), VERSION);
            return Err(FileError::FormatTooNew { path, found: version, readable });
        }
        let seal = seal_of(found, version, body);
        if magic != "gossamer" || sum != format!("{seal:016x}") {
            return Err(damaged(0, "the checksum does not match"));
        }
        if found != kind {
            let what = format!("this is a {found}, not a {kind}");
            let hint = format!("name a {kind} folder");
            return Err(FileError::Missing { path: path.to_path_buf(), what, hint });
        }
        let mut folder = Self {
            path: path.to_path_buf(),
            files: BTreeMap::new(),
            notes: BTreeMap::new(),
            fingerprint: seal,
        };
        for line in body.lines() {
            folder.take_line(line).ok_or_else(|| damaged(first.len(), "a line makes no sense"))?;
        }
        Ok(folder)
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        if word == "note" {
            let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
            self.notes.insert(key.to_string(), value.to_string());
        } else if word == "file" {
            let mut words = rest.split(' ').filter(|word| !word.is_empty());
            let name = words.next()?.to_string();
            let bytes = words.next()?.parse().ok()?;
            let columns = words.next()? == "columns";
            let sums: Option<Vec<u64>> =
                words.map(|word| u64::from_str_radix(word, 16).ok()).collect();
            self.files.insert(name, Listed { bytes, columns, sums: sums? });
        }
        Some(())
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that stands for the whole content.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The names of the files listed.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// True if the folder lists a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A note as a number, where it is one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.notes.get(key)?.parse().ok()
    }

    /// The checksums of a file of form `bytes`, for one who shares it.
    pub fn sums(&self, name: &str) -> Option<Sums> {
        self.files.get(name).map(|listed| Sums(listed.sums.clone()))
    }

    fn listed(&self, name: &str) -> Result<(&Listed, PathBuf), FileError> {
        let path = self.path.join(name);
        let listed = self.files.get(name).ok_or_else(|| FileError::Missing {
            path: path.clone(),
            what: "the folder does not list this file".into(),
            hint: "the folder was written without it; make it anew".into(),
        })?;
        let bytes = fs::metadata(&path).map_err(FileError::io("read", &path))?.len();
        if bytes != listed.bytes {
            let what = format!("{bytes} bytes long, {} were written", listed.bytes);
            return Err(FileError::corrupt(&path, bytes.min(listed.bytes), what));
        }
        Ok((listed, path))
    }

    /// Opens a listed column file.
    ///
    /// # Errors
    /// [`FileError`]; also when it is whole but not the one that was sealed.
    pub fn columns(&self, name: &str) -> Result<ColumnFile, FileError> {
        let (listed, path) = self.listed(name)?;
        let file = ColumnFile::open(&path)?;
        if listed.sums != [file.fingerprint()] {
            return Err(FileError::corrupt(&path, 0, "this is another file than the sealed one"));
        }
        Ok(file)
    }

    /// A listed plain file, verified block by block as it is read.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open_bytes(&self, name: &str) -> Result<VerifiedFile, FileError> {
        let (listed, path) = self.listed(name)?;
        let file = File::open(&path).map_err(FileError::io("open", &path))?;
        Ok(VerifiedFile { path, file, bytes: listed.bytes, sums: listed.sums.clone() })
    }

    /// The content of a listed plain file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, FileError> {
        let file = self.open_bytes(name)?;
        let mut content = Vec::with_capacity(file.bytes as usize);
        let mut buffer = Vec::new();
        for block in 0..file.n_blocks() {
            file.block(block, &mut buffer)?;
            content.extend_from_slice(&buffer);
        }
        Ok(content)
    }

    /// Verifies every byte of every listed file.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the first damaged place.
    pub fn check(&self) -> Result<(), FileError> {
        for (name, listed) in &self.files {
            if listed.columns {
                self.columns(name)?.check()?;
            } else {
                let file = self.open_bytes(name)?;
                let mut buffer = Vec::new();
                (0..file.n_blocks()).try_for_each(|block| file.block(block, &mut buffer))?;
            }
        }
        Ok(())
    }
}

/// A plain file whose blocks are verified as they are read.
#[derive(Debug)]
pub struct VerifiedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    sums: Vec<u64>,
}

impl VerifiedFile {
    /// How many blocks it has.
    pub fn n_blocks(&self) -> usize {
        self.bytes.div_ceil(BLOCK_BYTES) as usize
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a block into `out`, which is cleared first.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] with the block's place.
    pub fn block(&self, block: usize, out: &mut Vec<u8>) -> Result<(), FileError> {
        let offset = block as u64 * BLOCK_BYTES;
        out.clear();
        out.resize((self.bytes - offset).min(BLOCK_BYTES) as usize, 0);
        read_at(&self.file, &self.path, offset, out)?;
        if self.sums.get(block) != Some(&checksum(out)) {
            let what = format!("the checksum of these {} bytes does not match", out.len());
            return Err(FileError::corrupt(&self.path, offset, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::ColumnWriter;

    fn sample(target: &Path) -> Folder {
        let draft = Draft::create("graph", target, false).unwrap();
        fs::write(draft.path("notes.txt"), "hello").unwrap();
        let mut writer = ColumnWriter::create(&draft.path("a.gcol")).unwrap();
        writer.column("ids", &[1u32, 2]).unwrap();
        writer.finish().unwrap();
        draft.finish(&BTreeMap::from([("n_triples".to_string(), "2".to_string())])).unwrap()
    }

    #[test]
    fn a_draft_that_does_not_become_whole_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let draft = Draft::create("graph", &root.path().join("g"), false).unwrap();
        fs::write(draft.path("notes.txt"), "hello").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_appears_whole_and_is_not_replaced_unasked() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("g");
        let folder = sample(&target);
        assert_eq!(folder.number("n_triples"), Some(2));
        assert_eq!(folder.read("notes.txt").unwrap(), b"hello");
        assert_eq!(folder.columns("a.gcol").unwrap().read_all::<u32>("ids").unwrap(), [1, 2]);
        assert!(matches!(Draft::create("graph", &target, false), Err(FileError::Exists { .. })));
        let draft = Draft::create("graph", &target, true).unwrap();
        assert!(target.join("notes.txt").exists(), "the old one stays until the new one is whole");
        draft.finish(&BTreeMap::new()).unwrap();
        assert!(!target.join("notes.txt").exists());
        assert!(Folder::open("run", &target).is_err());
    }

    #[test]
    fn any_flipped_byte_in_any_file_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("g");
        sample(&target);
        for name in ["manifest", "notes.txt", "a.gcol"] {
            let path = target.join(name);
            let whole = fs::read(&path).unwrap();
            for place in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[place] ^= 1;
                fs::write(&path, &damaged).unwrap();
                let result = Folder::open("graph", &target).and_then(|folder| folder.check());
                assert!(result.is_err(), "{name} byte {place}");
            }
            fs::write(&path, &whole).unwrap();
        }
        Folder::open("graph", &target).unwrap().check().unwrap();
    }
}
