//! Numbers that a source uses for names, and the lists that say which is which.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use super::{ReadOptions, source};
use crate::error::{GraphError, Mistake};

/// What names stand behind what a source writes.
pub trait Behind: std::fmt::Debug + Send + Sync {
    /// The name that is meant; an empty one where the row is to be left out.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn name<'a>(&'a self, written: &'a str) -> Result<&'a str, String>;
}

/// The names behind the numbers of a source; what has no list is a name already.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// Of heads.
    pub heads: Option<Arc<dyn Behind>>,
    /// Of tails: the same list, unless numbers restart for each type.
    pub tails: Option<Arc<dyn Behind>>,
    /// Of relations.
    pub relations: Option<Arc<dyn Behind>>,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// A name, white space, its number.
    NameFirst,
    /// A number, a tab, its name.
    NumberFirst,
    /// A number, a comma, its name, perhaps in quotes.
    NumberComma,
    /// A name, its number and more, between white space.
    NameThenMore,
}

/// Names by number.
#[derive(Debug, Default)]
pub struct Numbered {
    file: String,
    text: String,
    /// Start and end in `text`; empty where a number has no name.
    places: Vec<(usize, usize)>,
}

impl Numbered {
    /// Numbers beyond this are typing errors; a list is dense.
    const MOST: u64 = 1 << 32;

    /// The numbers below `n`, each under its prefix: names where no list gives any.
    pub fn counted(prefix: &str, n: usize) -> Self {
        let mut list = Self { file: format!("{prefix}…"), ..Self::default() };
        for number in 0..n {
            list.put(number, prefix, &number.to_string());
        }
        list
    }

    /// The same list with every name under a prefix.
    pub fn under(&self, prefix: &str) -> Self {
        let mut list = Self { file: self.file.clone(), ..Self::default() };
        list.places.resize(self.places.len(), (0, 0));
        for (number, place) in self.places.iter().enumerate().filter(|(_, place)| place.1 > 0) {
            list.put(number, prefix, &self.text[place.0..place.1]);
        }
        list
    }

    /// These names, and those of another list for the numbers that have none here.
    pub fn then(&self, other: &Self) -> Self {
        let mut list = Self { file: self.file.clone(), ..Self::default() };
        for number in 0..self.places.len().max(other.places.len()) {
            let name = match self.at(number) {
                "" => other.at(number),
                own => own,
            };
            if !name.is_empty() {
                list.put(number, "", name);
            }
        }
        list
    }

    fn put(&mut self, number: usize, prefix: &str, name: &str) {
        if self.places.len() <= number {
            self.places.resize(number + 1, (0, 0));
        }
        let start = self.text.len();
        self.text.push_str(prefix);
        self.text.push_str(name);
        self.places[number] = (start, self.text.len());
    }

    /// Reads a list. A first line that is one number alone, or a header, is passed over.
    ///
    /// # Errors
    /// [`GraphError::Mistakes`] with the first line that is not understood.
    pub fn read(path: &Path, order: ListOrder) -> Result<Self, GraphError> {
        let file = path.display().to_string();
        let options = ReadOptions { file: file.clone(), ..ReadOptions::default() };
        let mut list = Self { file, ..Self::default() };
        for (number, line) in source::open(path)?.lines().enumerate() {
            let line = line.map_err(|error| source::unreadable(&options, &error))?;
            let line = line.trim_end_matches('\r');
            let alone = !line.trim().is_empty() && line.trim().bytes().all(|b| b.is_ascii_digit());
            if line.trim().is_empty() || (number == 0 && alone) {
                continue;
            }
            match list.take(line, order) {
                Ok(()) => {}
                // A header such as "id	label".
                Err(_) if number == 0 => {}
                Err(what) => {
                    let hint = "each line is a name and its number, separated by a tab".into();
                    let (file, line, column) = (list.file, number as u64 + 1, 1);
                    let mistakes = vec![Mistake { file, line, column, what, hint }];
                    return Err(GraphError::Mistakes { mistakes, total: 1 });
                }
            }
        }
        Ok(list)
    }

    fn take(&mut self, line: &str, order: ListOrder) -> Result<(), String> {
        let cut = match order {
            ListOrder::NameFirst => line.trim_end().rsplit_once(['\t', ' ']),
            ListOrder::NameThenMore => {
                let mut words = line.split_whitespace();
                words.next().zip(words.next())
            }
            ListOrder::NumberFirst => line.split_once('\t').map(|(number, name)| (name, number)),
            ListOrder::NumberComma => {
                line.split_once(',').map(|(number, name)| (name.trim().trim_matches('"'), number))
            }
        };
        let (name, number) = cut.ok_or("expected a name and a number")?;
        let (name, number) = (name.trim(), number.trim());
        let wrong = || format!("expected a number, found '{number}'");
        let place = number.parse::<u64>().map_err(|_| wrong())?;
        // A list in any order is dense in the end; a far-off number would only cost memory.
        if place >= Self::MOST || name.is_empty() {
            return Err(format!("expected a name and its number, found '{line}'"));
        }
        let place = place as usize;
        if place > 4 * self.places.len() + 1_000_000 {
            return Err(format!("number {place} leaves a large gap after {}", self.places.len()));
        }
        if !self.at(place).is_empty() {
            return Err(format!("number {place} already stands for '{}'", self.at(place)));
        }
        self.put(place, "", name);
        Ok(())
    }

    fn at(&self, place: usize) -> &str {
        self.places.get(place).map_or("", |(start, end)| &self.text[*start..*end])
    }
}

impl Behind for Numbered {
    fn name<'a>(&'a self, number: &'a str) -> Result<&'a str, String> {
        let place: Option<usize> = number.trim().parse().ok();
        match place.map(|place| self.at(place)) {
            Some(name) if !name.is_empty() => Ok(name),
            Some(_) => Err(format!("number {number} has no name in {}", self.file)),
            None => Err(format!("expected a number of {}, found '{number}'", self.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_orders_read_and_mistakes_are_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("entity2id.txt");
        std::fs::write(&path, "3\nnew york\t1\nb 0\r\n\nc\t2\n").unwrap();
        let list = Numbered::read(&path, ListOrder::NameFirst).unwrap();
        assert_eq!(["0", "1", "2"].map(|n| list.name(n).unwrap()), ["b", "new york", "c"]);
        assert!(list.name("3").unwrap_err().contains("has no name in"));
        assert!(list.name("x").unwrap_err().contains("found 'x'"));
        std::fs::write(&path, "id\tlabel\n0\tb c\n1\td\n").unwrap();
        let list = Numbered::read(&path, ListOrder::NumberFirst).unwrap();
        assert_eq!(list.name("0"), Ok("b c"));
        std::fs::write(&path, "0\tb\n0\tc\n").unwrap();
        let said = Numbered::read(&path, ListOrder::NumberFirst).unwrap_err().to_string();
        assert!(said.contains("entity2id.txt:2:1") && said.contains("already stands for 'b'"));
    }
}
