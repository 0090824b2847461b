//! `gossamer similar`: the entities whose rows are most alike.

use clap::{Arg, ArgMatches, Command as Clap};
use gossamer::query::Answerer;
use gossamer::{Error, Run};
use serde_json::json;

use super::{Command, folder, number, option, path, text};
use crate::exit::Failure;
use crate::output;
use crate::terminal::Context;

/// `gossamer similar`.
pub struct Similar;

impl Command for Similar {
    fn name(&self) -> &'static str {
        "similar"
    }
    fn summary(&self) -> &'static str {
        "The entities most like one, by their learned rows"
    }
    fn example(&self) -> &'static str {
        "gossamer similar run/ France -k 5"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A finished run"))
            .arg(
                Arg::new("name")
                    .required(true)
                    .value_name("NAME")
                    .help("An entity, by name or label"),
            )
            .arg(option("k", "N", "How many [default: 10]").short('k'))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let answerer = Answerer::new(Run::open(&path(arguments, "run"))?, &context.machine)?;
        let entity = answerer.entity(text(arguments, "name").unwrap_or_default())?;
        let k = number(arguments, "k")?.unwrap_or(10);
        let names = answerer.run.graph.entities();
        let mut rows = output::table(&["", "entity", "similarity"]);
        let mut list = Vec::new();
        for (place, (other, score)) in
            answerer.similar(entity, k, &context.machine)?.into_iter().enumerate()
        {
            let shown = names.shown(other).map_err(Error::from)?;
            rows.add_row([(place + 1).to_string(), shown, format!("{score:.3}")]);
            let (name, label) =
                (names.name(other).map_err(Error::from)?, names.label(other).map_err(Error::from)?);
            list.push(json!({"name": name, "label": label, "similarity": score}));
        }
        if context.json {
            let name = names.name(entity).map_err(Error::from)?;
            context.print(&json!({"entity": name, "similar": list}).to_string());
        } else {
            context.print(&rows.trim_fmt());
        }
        Ok(())
    }
}
