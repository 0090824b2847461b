//! What can go wrong with a graph, each with what, where, and the next step.

use std::path::PathBuf;

use gossamer_machine::FileError;

/// A place in a source file that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1: the byte within the line.
    pub column: u64,
    /// What is wrong and what was expected.
    pub what: String,
    /// The next step.
    pub hint: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, column, what, hint } = self;
        write!(f, "{file}:{line}:{column}: {what}")?;
        if hint.is_empty() { Ok(()) } else { write!(f, "\nhint: {hint}") }
    }
}

fn list(mistakes: &[Mistake], total: u64) -> String {
    let mut text = String::new();
    for (place, mistake) in mistakes.iter().enumerate() {
        // A hint is said once, not once per line.
        let again = place > 0 && mistakes[place - 1].hint == mistake.hint;
        let shown = Mistake { hint: String::new(), ..mistake.clone() };
        text += &if again || mistakes.len() > 1 {
            format!("{shown}\n")
        } else {
            format!("{mistake}\n")
        };
    }
    if total > mistakes.len() as u64 {
        text += &format!("… and {} more\n", total - mistakes.len() as u64);
    }
    if mistakes.len() > 1
        && let Some(first) = mistakes.first()
    {
        text += &format!("hint: {}\n", first.hint);
    }
    text + "hint: --skip-bad-rows imports the other rows and counts these"
}

/// Why a graph could not be read, written or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A file of ours is damaged, missing or refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name that is not registered.
    #[error(transparent)]
    Unknown(#[from] gossamer_machine::Unknown),
    /// A source file has rows that could not be understood.
    #[error("{}", list(mistakes, *total))]
    Mistakes {
        /// The first of them.
        mistakes: Vec<Mistake>,
        /// How many there are.
        total: u64,
    },
    /// A source could not be opened or decoded.
    #[error("{}: {what}\nhint: {hint}", path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },
    /// A request that makes no sense.
    #[error("{what}\nhint: {hint}")]
    Request {
        /// What is wrong.
        what: String,
        /// The next step.
        hint: String,
    },
    /// The user asked to stop.
    #[error("stopped; nothing was written")]
    Cancelled,
}
