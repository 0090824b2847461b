//! What the columns of a table mean, shared by the readers of tables.

use super::{ReadOptions, ReadReport, Row, TripleSink};
use crate::error::{GraphError, Mistake};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The head's name.
    Head,
    /// The relation's name.
    Relation,
    /// The tail's name.
    Tail,
    /// A number.
    Weight,
    /// A year, date or time.
    From,
    /// A year, date or time.
    Until,
    /// A named graph.
    Graph,
    /// A type.
    HeadType,
    /// A type.
    TailType,
    /// A label.
    HeadLabel,
    /// A label.
    TailLabel,
    /// Nothing we read.
    Ignored,
}

const WORDS: &[(Role, &[&str])] = &[
    (Role::Head, &["head", "subject", "source", "h", "s", "node1"]),
    (Role::Relation, &["relation", "predicate", "edge", "r", "p", "label"]),
    (Role::Tail, &["tail", "object", "target", "t", "o", "node2"]),
    (Role::Weight, &["weight", "confidence", "score"]),
    (Role::From, &["from", "since", "valid_from", "start"]),
    (Role::Until, &["until", "valid_until", "end"]),
    (Role::Graph, &["graph", "document", "context"]),
    (Role::HeadType, &["head_type", "subject_type", "source_type"]),
    (Role::TailType, &["tail_type", "object_type", "target_type"]),
    (Role::HeadLabel, &["head_label", "subject_label", "source_label"]),
    (Role::TailLabel, &["tail_label", "object_label", "target_label"]),
    (Role::Ignored, &["-", "_"]),
];

fn role(word: &str) -> Option<Role> {
    let word = word.trim().to_ascii_lowercase();
    WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(role, _)| *role)
}

/// The roles of a table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    roles: Vec<Role>,
    /// True if weights and more may be missing at the end of a row.
    lenient: bool,
}

impl Fields {
    /// The roles that a first row spells out, if it is a header.
    fn from_header(first: &[&str]) -> Option<Self> {
        let found: Vec<Option<Role>> = first.iter().map(|word| role(word)).collect();
        let has = |wanted: Role| found.contains(&Some(wanted));
        if !(has(Role::Head) && has(Role::Relation) && has(Role::Tail)) {
            return None;
        }
        // The first column of a role counts; a column nobody knows is not read.
        let mut roles = Vec::new();
        for role in found {
            let role = role.filter(|role| !roles.contains(role)).unwrap_or(Role::Ignored);
            roles.push(role);
        }
        Some(Self { roles, lenient: false })
    }

    /// The roles for a table with this first row, and whether that row is a header.
    ///
    /// # Errors
    /// [`GraphError::Request`] when `--columns` makes no sense.
    pub fn choose(options: &ReadOptions, first: &[&str]) -> Result<(Self, bool), GraphError> {
        let header = Self::from_header(first);
        if let Some(columns) = &options.columns {
            let words: Vec<&str> = columns.split(',').collect();
            let chosen = Self::from_header(&words).ok_or_else(|| GraphError::Request {
                what: format!("--columns {columns} does not name head, relation and tail"),
                hint: "write for example --columns head,relation,tail,weight; - skips a column"
                    .into(),
            })?;
            return Ok((chosen, header.is_some()));
        }
        let usual = vec![Role::Head, Role::Relation, Role::Tail, Role::Weight];
        Ok(match header {
            Some(header) => (header, true),
            None => (Self { roles: usual, lenient: true }, false),
        })
    }

    /// How many columns a row should have, in words.
    fn expected(&self) -> String {
        let words: Vec<&str> = self
            .roles
            .iter()
            .map(|role| WORDS.iter().find(|entry| entry.0 == *role).map_or("-", |entry| entry.1[0]))
            .collect();
        let needed = if self.lenient {
            "3 columns (head, relation, tail)".into()
        } else {
            format!("{} columns ({})", words.len(), words.join(", "))
        };
        format!("expected {needed}")
    }

    /// A row from its cells; `columns[i]` is the byte in the line where cell i starts, from 1.
    ///
    /// # Errors
    /// A [`Mistake`] without file and line, which the reader adds.
    pub fn row<'a>(&self, cells: &[&'a str], columns: &[u64]) -> Result<Row<'a>, Mistake> {
        let mistake = |cell: usize, what: String, hint: &str| {
            let column = columns.get(cell).or(columns.last()).copied().unwrap_or(1);
            Mistake { file: String::new(), line: 0, column, what, hint: hint.into() }
        };
        let least = if self.lenient { 3 } else { self.roles.len() };
        if cells.len() < least || cells.len() > self.roles.len() {
            let cell = if cells.len() < least { 0 } else { self.roles.len() };
            let what = format!("{}, found {}", self.expected(), cells.len());
            let hint = if cells.len() == 1 {
                "columns are separated by tabs (.tsv) or commas (.csv)"
            } else {
                "name the columns with --columns if they stand in another order"
            };
            return Err(mistake(cell, what, hint));
        }
        let mut row = Row::default();
        for (place, (cell, role)) in cells.iter().zip(&self.roles).enumerate() {
            let cell: &'a str = cell.trim();
            if cell.contains('\0') {
                return Err(mistake(
                    place,
                    "a NUL byte inside a name".into(),
                    "is this a text file?",
                ));
            }
            let optional = (!cell.is_empty()).then_some(cell);
            let number = |cell: &str| match cell.parse::<f32>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(mistake(
                    place,
                    format!("expected a number, found '{cell}'"),
                    "a weight is written like 0.75",
                )),
            };
            let time = |cell: &str| {
                seconds(cell).ok_or_else(|| {
                    mistake(
                        place,
                        format!("expected a date, found '{cell}'"),
                        "write 2024, 2024-05-31 or 2024-05-31T12:00:00Z",
                    )
                })
            };
            match role {
                Role::Head => row.head = cell,
                Role::Relation => row.relation = cell,
                Role::Tail => row.tail = cell,
                Role::Weight => row.weight = optional.map(number).transpose()?,
                Role::From => row.from = optional.map(time).transpose()?,
                Role::Until => row.until = optional.map(time).transpose()?,
                Role::Graph => row.graph = optional,
                Role::HeadType => row.head_type = optional,
                Role::TailType => row.tail_type = optional,
                Role::HeadLabel => row.head_label = optional,
                Role::TailLabel => row.tail_label = optional,
                Role::Ignored => {}
            }
            let needed = matches!(role, Role::Head | Role::Relation | Role::Tail);
            if needed && cell.is_empty() {
                return Err(mistake(
                    place,
                    format!("{}, this one is empty", self.expected()),
                    "give every head, relation and tail a name",
                ));
            }
        }
        Ok(row)
    }
}

/// The rows of one table on their way to a sink: the first decides what columns mean.
pub struct TableRows<'a> {
    options: &'a ReadOptions,
    sink: &'a mut dyn TripleSink,
    fields: Option<Fields>,
    /// What was read so far.
    pub report: ReadReport,
}

impl<'a> TableRows<'a> {
    /// Of a table not begun.
    pub fn new(options: &'a ReadOptions, sink: &'a mut dyn TripleSink) -> Self {
        Self { options, sink, fields: None, report: ReadReport::default() }
    }

    /// Counts a mistake at a line.
    pub fn mistake(&mut self, line: u64, mistake: Mistake) {
        let file = self.options.file.clone();
        self.report.mistake(Mistake { file, line, ..mistake });
    }

    /// Takes the cells of a line.
    ///
    /// # Errors
    /// Those of the sink, and of `--columns`; a row that is not understood is counted.
    pub fn take(&mut self, line: u64, cells: &[&str]) -> Result<(), GraphError> {
        if self.fields.is_none() {
            let (fields, header) = Fields::choose(self.options, cells)?;
            self.fields = Some(fields);
            if header {
                return Ok(());
            }
        }
        let Some(fields) = &self.fields else { return Ok(()) };
        match fields.row(cells, &starts(cells)) {
            Ok(row) => {
                self.report.rows += 1;
                self.sink.row(&row)
            }
            Err(mistake) => {
                self.mistake(line, mistake);
                Ok(())
            }
        }
    }
}

/// The byte in the line where each cell starts, from 1.
fn starts(cells: &[&str]) -> Vec<u64> {
    let mut next = 1;
    cells
        .iter()
        .map(|cell| {
            let start = next;
            next += cell.len() as u64 + 1;
            start
        })
        .collect()
}

/// A mistake whose file and line are added later.
pub fn mistake(column: u64, what: impl Into<String>, hint: &str) -> Mistake {
    Mistake { file: String::new(), line: 0, column, what: what.into(), hint: hint.into() }
}

/// Seconds since 1970 of a year, a date or a UTC time.
pub fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let (sign, digits) = date.strip_prefix('-').map_or((1, date), |rest| (-1, rest));
    let mut parts = digits.split('-').map(|part| part.parse::<i64>().ok().filter(|n| *n >= 0));
    let year = sign * parts.next()??;
    let month = parts.next().map_or(Some(1), |part| part)?;
    let day = parts.next().map_or(Some(1), |part| part)?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && year.abs() < 100_000;
    if !valid || parts.next().is_some() {
        return None;
    }
    let mut clock = time.trim_end_matches('Z').split(':').filter(|part| !part.is_empty());
    let mut unit = |bound: i64| match clock.next() {
        None => Some(0),
        Some(part) => part.parse::<i64>().ok().filter(|n| (0..bound).contains(n)),
    };
    let within_day = unit(24)? * 3600 + unit(60)? * 60 + unit(61)?;
    Some(days_from_civil(year, month, day) * 86_400 + within_day)
}

/// Days since 1970-01-01 in the Gregorian calendar; years start in March so that leap days come
/// last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds("1970"), Some(0));
        assert_eq!(seconds("2000-03-01"), Some(951_868_800));
        assert_eq!(seconds("1970-01-02T01:00:01Z"), Some(90_001));
        assert_eq!(seconds("1969-12-31"), Some(-86_400));
        for nonsense in ["", "May", "2000-13-01", "2000-01-01T25:00:00", "1-2-3-4"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_header_or_columns_set_the_order() {
        let options = ReadOptions::default();
        let (fields, header) =
            Fields::choose(&options, &["object", "subject", "predicate"]).unwrap();
        assert!(header);
        let row = fields.row(&["b", "a", "r"], &[1, 3, 5]).unwrap();
        assert_eq!((row.head, row.relation, row.tail), ("a", "r", "b"));
        let options =
            ReadOptions { columns: Some("tail,-,relation,head,weight".into()), ..options };
        let (fields, header) = Fields::choose(&options, &["b", "x", "r", "a", "0.5"]).unwrap();
        assert!(!header);
        let row = fields.row(&["b", "x", "r", "a", "0.5"], &[1, 3, 5, 7, 9]).unwrap();
        assert_eq!((row.head, row.tail, row.weight), ("a", "b", Some(0.5)));
        assert_eq!(
            fields.row(&["b", "x", "r", "a", "heavy"], &[1, 3, 5, 7, 9]).unwrap_err().column,
            9
        );
    }
}
