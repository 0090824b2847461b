//! What the columns of a table mean, shared by the readers of tables.

use std::sync::Arc;

use super::date::seconds;
use super::numbers::{Behind, Numbers};
use super::{INTERACTS, ITEM, ReadOptions, Row, USER};
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
    /// An attribute's value: the row says it of its head, and the relation is the property.
    Value,
    /// When an interaction was: a date, or seconds since 1970.
    Time,
    /// A user: the head of an interaction.
    User,
    /// An item: the tail of one.
    Item,
    /// Nothing we read.
    Ignored,
}

const WORDS: &[(Role, &[&str])] = &[
    (Role::Head, &["head", "subject", "source", "h", "s", "node1", "head_id"]),
    (Role::Relation, &["relation", "predicate", "edge", "r", "p", "label", "relation_id"]),
    (Role::Tail, &["tail", "object", "target", "t", "o", "node2", "tail_id"]),
    (Role::Weight, &["weight", "confidence", "score"]),
    (Role::From, &["from", "since", "valid_from", "start"]),
    (Role::Until, &["until", "valid_until", "end"]),
    (Role::Graph, &["graph", "document", "context"]),
    (Role::HeadType, &["head_type", "subject_type", "source_type"]),
    (Role::TailType, &["tail_type", "object_type", "target_type"]),
    (Role::HeadLabel, &["head_label", "subject_label", "source_label"]),
    (Role::TailLabel, &["tail_label", "object_label", "target_label"]),
    (Role::Value, &["value"]),
    (Role::Time, &["time", "timestamp"]),
    (Role::User, &["user"]),
    (Role::Item, &["item"]),
    (Role::Ignored, &["-", "_", "rating"]),
];

fn role(word: &str) -> Option<Role> {
    // RecBole's headers say a column's kind after a colon.
    let word = word.trim().split(':').next().unwrap_or_default().to_ascii_lowercase();
    WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(role, _)| *role)
}

/// The roles of a table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    roles: Vec<Role>,
    /// Values that stand in no column: those of `--map relation=:knows`.
    constants: Vec<(Role, String)>,
    /// Columns that a row must have.
    least: usize,
    /// True if a row may have columns beyond those with a role.
    open: bool,
}

impl Fields {
    fn new(roles: Vec<Role>) -> Self {
        Self { least: roles.len(), roles, constants: Vec::new(), open: false }
    }

    /// The roles that a first row spells out, if it is a header.
    fn from_header(first: &[&str]) -> Option<Self> {
        // Those of interactions are said by a map alone.
        let of_facts = |role: &Role| !matches!(role, Role::User | Role::Item | Role::Time);
        let found: Vec<Option<Role>> =
            first.iter().map(|word| role(word).filter(of_facts)).collect();
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
        Some(Self::new(roles))
    }

    /// The roles for a table with this first row, and whether that row is a header.
    ///
    /// # Errors
    /// [`GraphError::Request`] when `--columns` or `--map` makes no sense.
    pub fn choose(options: &ReadOptions, first: &[&str]) -> Result<(Self, bool), GraphError> {
        if let Some(map) = &options.map {
            return Self::from_map(map, first);
        }
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
        let usual = Self::new(vec![Role::Head, Role::Relation, Role::Tail, Role::Weight]);
        Ok(match header {
            Some(header) => (header, true),
            None => (Self { least: 3, ..usual }, false),
        })
    }

    /// The roles that `--map` gives to columns, by their header or their number.
    fn from_map(map: &str, first: &[&str]) -> Result<(Self, bool), GraphError> {
        let wrong = |what: String| GraphError::Request {
            what: format!("--map {map}: {what}"),
            hint: format!(
                "write for example --map head=1,relation=:knows,tail=2, or user=1,item=2 for \
                 interactions: a column by its header or number, or a value after a colon; the \
                 first row is {}",
                first.join(", ")
            ),
        };
        let mut fields = Self { open: true, ..Self::new(Vec::new()) };
        let mut header = false;
        if map.split(',').any(|part| part.trim_start().starts_with("user=")) {
            // What users and items do is one relation, and both have a type.
            let said =
                [(Role::Relation, INTERACTS), (Role::HeadType, USER), (Role::TailType, ITEM)];
            fields.constants = said.map(|(role, value)| (role, value.to_string())).to_vec();
        }
        for part in map.split(',') {
            let (word, column) = part.split_once('=').ok_or_else(|| wrong(format!("'{part}'")))?;
            let role = role(word).ok_or_else(|| wrong(format!("there is no role '{word}'")))?;
            if let Some(value) = column.strip_prefix(':') {
                fields.constants.push((role, value.to_string()));
                continue;
            }
            let named = first.iter().position(|cell| cell.trim() == column.trim());
            let numbered = column.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let named = named.filter(|_| numbered.is_none());
            let place = numbered.or(named).filter(|place| *place < first.len());
            let place = place.ok_or_else(|| wrong(format!("there is no column '{column}'")))?;
            header |= named.is_some();
            if fields.roles.len() <= place {
                fields.roles.resize(place + 1, Role::Ignored);
            }
            fields.roles[place] = role;
        }
        let has = |role: Role| fields.roles.contains(&role);
        if has(Role::User) || has(Role::Item) {
            return match has(Role::User) && has(Role::Item) {
                true => Ok((Self { least: fields.roles.len(), ..fields }, header)),
                false => Err(wrong("an interaction has a user and an item".into())),
            };
        }
        fields.least = fields.roles.len();
        let end = if fields.are_attributes() { Role::Value } else { Role::Tail };
        for needed in [Role::Head, Role::Relation, end] {
            let constant = fields.constants.iter().any(|(role, _)| *role == needed);
            if !constant && !fields.roles.contains(&needed) {
                let word = WORDS.iter().find(|entry| entry.0 == needed).map_or("", |e| e.1[0]);
                return Err(wrong(format!("{word} has no column")));
            }
        }
        Ok((fields, header))
    }

    /// True if a row is an interaction: its head is a user.
    pub fn are_interactions(&self) -> bool {
        self.roles.contains(&Role::User)
    }

    /// True if a row is an attribute: its tail is the value.
    pub fn are_attributes(&self) -> bool {
        self.roles.contains(&Role::Value)
    }

    /// How many columns a row should have, in words.
    fn expected(&self) -> String {
        let words: Vec<&str> = self
            .roles
            .iter()
            .map(|role| WORDS.iter().find(|entry| entry.0 == *role).map_or("-", |entry| entry.1[0]))
            .collect();
        let needed = if self.open {
            format!("at least {} columns", self.least)
        } else if self.least < words.len() {
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
    pub fn row<'a>(
        &'a self,
        cells: &[&'a str],
        columns: &[u64],
        numbers: Option<&'a Numbers>,
    ) -> Result<Row<'a>, Mistake> {
        let at = |cell: usize| columns.get(cell).or(columns.last()).copied().unwrap_or(1);
        if cells.len() < self.least || (cells.len() > self.roles.len() && !self.open) {
            let cell = if cells.len() < self.least { 0 } else { self.roles.len() };
            let what = format!("{}, found {}", self.expected(), cells.len());
            let hint = if cells.len() == 1 {
                "columns are separated by tabs (.tsv) or commas (.csv)"
            } else {
                "name the columns with --columns or --map if they stand in another order"
            };
            return Err(mistake(at(cell), what, hint));
        }
        let mut row = Row::default();
        for (role, value) in &self.constants {
            self.put(&mut row, *role, value, numbers)
                .map_err(|(what, hint)| mistake(1, what, hint))?;
        }
        for (place, (cell, role)) in cells.iter().zip(&self.roles).enumerate() {
            self.put(&mut row, *role, cell.trim(), numbers)
                .map_err(|(what, hint)| mistake(at(place), what, hint))?;
        }
        Ok(row)
    }

    /// Puts a value into its place of a row.
    fn put<'a>(
        &self,
        row: &mut Row<'a>,
        role: Role,
        cell: &'a str,
        numbers: Option<&'a Numbers>,
    ) -> Result<(), (String, &'static str)> {
        if cell.contains('\0') {
            return Err(("a NUL byte inside a name".into(), "is this a text file?"));
        }
        let named =
            matches!(role, Role::User | Role::Item | Role::Head | Role::Relation | Role::Tail);
        if cell.is_empty() && named {
            let what = format!("{}, this one is empty", self.expected());
            return Err((what, "give every head, relation and tail a name"));
        }
        type List = Option<Arc<dyn Behind>>;
        let name = |of: fn(&Numbers) -> &List| -> Result<&'a str, _> {
            let list = numbers.and_then(|numbers| of(numbers).as_deref());
            list.map_or(Ok(cell), |list| list.name(cell))
        };
        let numbered = |what: String| (what, "the list and the triples must be of one version");
        let some = (!cell.is_empty()).then_some(cell);
        match role {
            Role::Head => row.head = name(|of| &of.heads).map_err(numbered)?,
            Role::Tail => row.tail = name(|of| &of.tails).map_err(numbered)?,
            Role::Relation => row.relation = name(|of| &of.relations).map_err(numbered)?,
            Role::Weight => row.weight = some.map(weight).transpose()?,
            Role::From => row.from = some.map(time).transpose()?,
            Role::Until => row.until = some.map(time).transpose()?,
            Role::Graph => row.graph = some,
            Role::HeadType => row.head_type = some,
            Role::TailType => row.tail_type = some,
            Role::HeadLabel => row.head_label = some,
            Role::TailLabel => row.tail_label = some,
            Role::Value => row.tail = cell,
            Role::Time => {
                let number = cell.parse::<f64>().ok().filter(|n| (1e5..1e15).contains(&n.abs()));
                let found = some.map(|cell| number.map_or_else(|| time(cell), |n| Ok(n as i64)));
                row.from = found.transpose()?;
            }
            Role::User => row.head = name(|of| &of.heads).map_err(numbered)?,
            Role::Item => row.tail = name(|of| &of.tails).map_err(numbered)?,
            Role::Ignored => {}
        }
        Ok(())
    }
}

/// A weight.
///
/// # Errors
/// What is wrong with it, and the next step.
pub fn weight(cell: &str) -> Result<f32, (String, &'static str)> {
    let number = cell.parse().ok().filter(|value: &f32| value.is_finite());
    number.ok_or_else(|| {
        (format!("expected a number, found '{cell}'"), "a weight is written like 0.75")
    })
}

fn time(cell: &str) -> Result<i64, (String, &'static str)> {
    seconds(cell).ok_or_else(|| {
        let hint = "write 2024, 2024-05-31 or 2024-05-31T12:00:00Z";
        (format!("expected a date, found '{cell}'"), hint)
    })
}

/// The byte in the line where each cell starts, from 1.
pub fn starts(cells: &[&str]) -> Vec<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_names_columns_by_number_header_or_value() {
        let map = |map: &str| ReadOptions { map: Some(map.into()), ..ReadOptions::default() };
        let first = ["a", "1", "b"];
        let (fields, header) =
            Fields::choose(&map("head=1,relation=:cites,tail=3,weight=2"), &first).unwrap();
        assert!(!header);
        let row = fields.row(&["x", "0.5", "y", "more"], &[1, 3, 5, 7], None).unwrap();
        assert_eq!((row.head, row.relation, row.tail, row.weight), ("x", "cites", "y", Some(0.5)));
        assert!(fields.row(&["x", "0.5"], &[1, 3], None).unwrap_err().what.contains("at least 3"));
        let first = ["to", "kind", "from"];
        let (fields, header) =
            Fields::choose(&map("head=from,relation=kind,tail=to"), &first).unwrap();
        assert!(header);
        let row = fields.row(&["b", "r", "a"], &[1, 3, 5], None).unwrap();
        assert_eq!((row.head, row.relation, row.tail), ("a", "r", "b"));
        for wrong in ["head=1", "head=9,relation=1,tail=2", "who=1", "head"] {
            assert!(Fields::choose(&map(wrong), &first).is_err(), "{wrong}");
        }
    }

    #[test]
    fn users_and_items_are_said_by_a_map_alone() {
        let map = |map: &str| ReadOptions { map: Some(map.into()), ..ReadOptions::default() };
        let first = ["who", "what", "when", "stars"];
        let chosen = Fields::choose(&map("user=who,item=what,time=when,rating=stars"), &first);
        let (fields, header) = chosen.unwrap();
        assert!(header);
        let row = fields.row(&["7", "9", "881250949", "5"], &[1, 3, 5, 15], None).unwrap();
        assert_eq!((row.head, row.relation, row.tail), ("7", INTERACTS, "9"));
        assert_eq!((row.head_type, row.tail_type), (Some(USER), Some(ITEM)));
        assert_eq!((row.from, row.weight), (Some(881_250_949), None));
        let day = fields.row(&["7", "9", "2001-01-01", "5"], &[1, 3, 5, 16], None).unwrap();
        assert_eq!(day.from, Some(978_307_200));
        let said = Fields::choose(&map("user=who,item=whta"), &first).unwrap_err().to_string();
        assert!(said.contains("there is no column 'whta'") && said.contains("who, what"), "{said}");
        assert!(Fields::choose(&map("user=who,rating=stars"), &first).is_err());
        // In a table of facts a column called item is any column.
        let header = ["head", "relation", "tail", "item"];
        let (fields, _) = Fields::choose(&ReadOptions::default(), &header).unwrap();
        assert_eq!(fields.row(&["a", "r", "b", "x"], &[1, 3, 5, 7], None).unwrap().tail, "b");
    }

    #[test]
    fn a_header_or_columns_set_the_order() {
        let options = ReadOptions::default();
        let (fields, header) =
            Fields::choose(&options, &["object", "subject", "predicate"]).unwrap();
        assert!(header);
        let row = fields.row(&["b", "a", "r"], &[1, 3, 5], None).unwrap();
        assert_eq!((row.head, row.relation, row.tail), ("a", "r", "b"));
        let options =
            ReadOptions { columns: Some("tail,-,relation,head,weight".into()), ..options };
        let (fields, header) = Fields::choose(&options, &["b", "x", "r", "a", "0.5"]).unwrap();
        assert!(!header);
        let row = fields.row(&["b", "x", "r", "a", "0.5"], &[1, 3, 5, 7, 9], None).unwrap();
        assert_eq!((row.head, row.tail, row.weight), ("a", "b", Some(0.5)));
        assert_eq!(
            fields.row(&["b", "x", "r", "a", "heavy"], &[1, 3, 5, 7, 9], None).unwrap_err().column,
            9
        );
    }
}
