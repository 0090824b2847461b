//! `gossamer completions`: completions for a shell.

use clap::{Arg, ArgMatches, Command as Clap};
use clap_complete::Shell;

use super::Command;
use crate::exit::Failure;
use crate::terminal::Context;

/// `gossamer completions`.
pub struct Completions;

impl Command for Completions {
    fn name(&self) -> &'static str {
        "completions"
    }
    fn summary(&self) -> &'static str {
        "Print completions for a shell"
    }
    fn example(&self) -> &'static str {
        "gossamer completions bash > ~/.local/share/bash-completion/completions/gossamer"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        let shells = clap::builder::EnumValueParser::<Shell>::new();
        clap.arg(Arg::new("shell").required(true).value_parser(shells).help("The shell"))
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let Some(shell) = arguments.get_one::<Shell>("shell") else { return Ok(()) };
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut super::program(), "gossamer", &mut text);
        context.print(&String::from_utf8_lossy(&text));
        Ok(())
    }
    fn reports_cost(&self) -> bool {
        false
    }
}
