//! `gossamer resume`: go on with a run that was stopped.

use clap::{ArgMatches, Command as Clap};
use gossamer::train::resume;

use super::train::{conclude, save_every, saving};
use super::{Command, folder, path};
use crate::exit::Failure;
use crate::terminal::Context;

/// `gossamer resume`.
pub struct Resume;

impl Command for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }
    fn summary(&self) -> &'static str {
        "Go on with a run that was stopped; it ends with the bytes of an uninterrupted one"
    }
    fn example(&self) -> &'static str {
        "gossamer resume run/"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A run folder that training was stopped in")).arg(save_every())
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let run = path(arguments, "run");
        conclude(resume(&run, saving(arguments)?, &context.machine, context), &run, context)
    }
}
