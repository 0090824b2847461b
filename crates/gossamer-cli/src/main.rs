//! The `gossamer` program.
//!
//! *Invariant:* results go to standard output (a table, or JSON with `--json`), everything else to
//! standard error; exit codes are those of [`exit`].
//! *Not here:* learning and judging (`gossamer`); each command is a file in [`command`].

mod exit;
mod allocator;
mod container;
mod terminal;
mod output;
mod words;
mod tensorboard;
mod report;
mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    let gives_back = allocator::gives_back();
    let matches = command::program().get_matches();
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::SUCCESS };
    let result = command::find(name)
        .map_err(|unknown| exit::Failure::from(gossamer::Error::from(unknown)))
        .and_then(|command| {
            let context = terminal::Context::new(arguments, gives_back)?;
            let result = command.run(arguments, &context);
            context.close(result.is_ok(), command.reports_cost());
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
