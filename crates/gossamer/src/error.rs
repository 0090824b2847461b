//! What can go wrong, each with what, where, and the next step.

use gossamer_graph::GraphError;
use gossamer_machine::ledger::bytes_in_words;
use gossamer_machine::{FileError, Ledger, Unknown};

/// What kind of trouble an error is; faces map it to an exit code or a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The user's input makes no sense.
    Input,
    /// A name nobody knows.
    Unknown,
    /// More memory is needed than was allowed.
    Budget,
    /// A file is damaged.
    Corrupt,
    /// The system refused to read or write.
    Io,
    /// The user asked to stop.
    Stopped,
}

/// Why a call of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A file of ours.
    #[error(transparent)]
    File(#[from] FileError),
    /// A score function, loss … that does not exist.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// An entity or relation that the graph does not have.
    #[error("{}", unknown_name(kind, name, nearest))]
    UnknownName {
        /// "entity" or "relation".
        kind: &'static str,
        /// The name as it was asked for.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// A label that several entities carry.
    #[error("'{label}' is the label of several: {}\nhint: ask by name", owners.join(", "))]
    Ambiguous {
        /// The label.
        label: String,
        /// Those who carry it, label and name.
        owners: Vec<String>,
    },
    /// A setting that makes no sense.
    #[error("setting '{key}': {what}\nhint: {hint}")]
    Setting {
        /// The setting.
        key: String,
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },
    /// The budget is smaller than the least that the work needs.
    #[error("{}", too_small(*asked, *smallest, ledger))]
    BudgetTooSmall {
        /// Bytes allowed.
        asked: u64,
        /// Bytes needed with the smallest blocks.
        smallest: u64,
        /// What they are for.
        ledger: Box<Ledger>,
    },
    /// A request that makes no sense.
    #[error("{what}\nhint: {hint}")]
    Request {
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },
    /// Training met a number that is none.
    #[error(
        "the loss became {loss} in epoch {epoch}\nhint: lower learning_rate, or raise regularisation; what was saved before is whole"
    )]
    Diverged {
        /// Not finite.
        loss: f64,
        /// The epoch.
        epoch: u64,
    },
    /// A product was verified, and is wrong.
    #[error(
        "{what}\nhint: this is no mistake of the data; memory or processor may be faulty. gossamer resume goes on from the last checkpoint"
    )]
    Fault {
        /// What is wrong, and where.
        what: String,
    },
    /// The user asked to stop; what was done is saved.
    #[error("stopped; everything up to here is saved")]
    Stopped,
}

impl Error {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Graph(GraphError::File(error)) | Self::File(error) => match error {
                FileError::Corrupt { .. } | FileError::FormatTooNew { .. } => Category::Corrupt,
                FileError::Io { .. } | FileError::Full { .. } => Category::Io,
                _ => Category::Input,
            },
            Self::Graph(GraphError::Cancelled) | Self::Stopped => Category::Stopped,
            Self::Unknown(_)
            | Self::Graph(GraphError::Unknown(_))
            | Self::UnknownName { .. }
            | Self::Ambiguous { .. } => Category::Unknown,
            Self::BudgetTooSmall { .. } => Category::Budget,
            Self::Fault { .. } => Category::Corrupt,
            _ => Category::Input,
        }
    }
}

fn unknown_name(kind: &str, name: &str, nearest: &[String]) -> String {
    let hint = if nearest.is_empty() {
        format!("gossamer inspect shows the graph; is '{name}' spelled as in its source?")
    } else {
        // Names may have commas of their own.
        format!("nearest: '{}'", nearest.join("', '"))
    };
    format!("the graph has no {kind} '{name}'\nhint: {hint}")
}

fn too_small(asked: u64, smallest: u64, ledger: &Ledger) -> String {
    let mut text = format!("a budget of {} is too small: ", bytes_in_words(asked));
    let lines =
        ledger.lines.iter().map(|line| format!("{} {}", line.name, bytes_in_words(line.bytes)));
    text += &lines.collect::<Vec<_>>().join(" + ");
    // Round up, so that the hint is enough.
    let mebibytes = smallest.div_ceil(1 << 20);
    text += &format!(" = {}\nhint: --budget {mebibytes}MiB is the least", bytes_in_words(smallest));
    match ledger.largest() {
        Some(line) => text + &format!("; the largest part is {} ({})", line.name, line.shape),
        None => text,
    }
}
