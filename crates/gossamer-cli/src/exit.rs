//! Exit codes, stable: scripts may rely on them.
//!
//! 0 done · 1 a check found damage or a failure without a kind of its own · 2 input that makes no
//! sense · 3 a name nobody knows · 4 the budget is too small · 5 a file is damaged · 6 the system
//! refused to read or write · 130 stopped by the user.

use std::io::Write;
use std::process::ExitCode;

use gossamer::{Category, Error};

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let code = match error.category() {
            Category::Input => 2,
            Category::Unknown => 3,
            Category::Budget => 4,
            Category::Corrupt => 5,
            Category::Io => 6,
            Category::Stopped => 130,
        };
        Self { message: error.to_string(), code }
    }
}

impl Failure {
    /// Input that makes no sense.
    pub fn input(what: impl Into<String>, hint: &str) -> Self {
        Self { message: format!("{}\nhint: {hint}", what.into()), code: 2 }
    }

    /// The system refused.
    pub fn system(what: impl Into<String>) -> Self {
        Self { message: what.into(), code: 6 }
    }

    /// The same failure with a hint of the command's own.
    pub fn hinting(mut self, hint: &str) -> Self {
        self.message += &format!("\nhint: {hint}");
        self
    }

    /// The same failure in other words.
    pub fn saying(mut self, message: &str) -> Self {
        self.message = message.into();
        self
    }

    /// True if the user asked for it.
    pub fn stopped(&self) -> bool {
        self.code == 130
    }

    /// True if the system refused to read or write.
    pub fn of_system(&self) -> bool {
        self.code == 6
    }

    /// Says it and gives the exit code.
    pub fn report(self) -> ExitCode {
        let prefix = if self.stopped() { "" } else { "error: " };
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{prefix}{}", self.message);
        ExitCode::from(self.code)
    }
}
