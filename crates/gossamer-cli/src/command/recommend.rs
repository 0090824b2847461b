//! `gossamer recommend`: what users will want.

use std::io::Write;
use std::path::Path;

use clap::{ArgMatches, Command as Clap};
use gossamer::Error;
use gossamer::Split;
use gossamer::recommend::reasons::{Facts, Seen, Shared, around, speaking};
use gossamer::recommend::run::Run;
use gossamer::recommend::scores::Learned;
use gossamer::recommend::{Settings, Shape, plans};
use gossamer_graph::read::USER;
use gossamer_machine::file::{FileError, Whole};
use serde_json::{Value, json};

use super::{Command, flag, folder, number, option, path, text};
use crate::exit::Failure;
use crate::output;
use crate::terminal::Context;

/// `gossamer recommend`.
pub struct Recommend;

/// Reasons shown for an item.
const REASONS: usize = 3;

impl Command for Recommend {
    fn name(&self) -> &'static str {
        "recommend"
    }
    fn summary(&self) -> &'static str {
        "List the items that a user will want most and does not have, with reasons; or for all users"
    }
    fn example(&self) -> &'static str {
        "gossamer recommend run/ --user 7 -k 20 --explain"
    }
    fn arguments(&self, clap: Clap) -> Clap {
        clap.arg(folder("run", "A finished run of a recommender"))
            .arg(option("user", "NAME", "The user, as the interactions name it"))
            .arg(option("all", "FILE", "Write the lists of all users to a tab-separated file"))
            .arg(option("k", "N", "How many items [default: 10]").short('k'))
            .arg(flag(
                "explain",
                "Name the user's items that say most for each, and the facts it shares with them",
            ))
            .arg(flag(
                "novel",
                "Leave out the most taken items, which have half of all interactions",
            ))
    }
    fn keeps_budget(&self) -> bool {
        true
    }
    fn run(&self, arguments: &ArgMatches, context: &Context) -> Result<(), Failure> {
        let asking = |shape: &Shape, settings: &Settings, tables| {
            plans::asking(shape, settings, tables, &context.machine)
        };
        let (run, _) = Run::open_within(&path(arguments, "run"), asking)?;
        let k = number(arguments, "k")?.unwrap_or(10);
        let novel = arguments.get_flag("novel").then(|| run.problem.novel());
        let marked = novel.as_deref();
        match (text(arguments, "user"), text(arguments, "all")) {
            (Some(user), None) => {
                one(&run, user, (k, arguments.get_flag("explain"), marked), context)
            }
            (None, Some(file)) => all(&run, Path::new(file), (k, marked), context),
            _ => {
                let hint = "--user NAME lists them, --all FILE writes everybody's";
                Err(Failure::input("give either --user or --all", hint))
            }
        }
    }
}

/// A user's name as the interactions have it; none if it is no user's.
fn bare(name: &str) -> Option<&str> {
    name.strip_prefix(USER)?.strip_prefix('/')
}

fn user_name(run: &Run, user: usize) -> Result<String, Failure> {
    let name = run.graph.entities().name(run.problem.users[user]).map_err(Error::from)?;
    Ok(bare(&name).unwrap_or(&name).to_string())
}

/// The place of a user, by its name with or without the type before it.
fn user_of(run: &Run, name: &str) -> Result<usize, Failure> {
    let entities = run.graph.entities();
    for name in [name.to_string(), format!("{USER}/{name}")] {
        if let Some(id) = entities.find(&name).map_err(Error::from)?
            && let Ok(place) = run.problem.users.binary_search(&id)
        {
            return Ok(place);
        }
    }
    let full = format!("{USER}/{}", bare(name).unwrap_or(name));
    let nearest = entities.nearest(&full, 3).map_err(Error::from)?;
    let nearest = nearest.iter().filter_map(|name| bare(name).map(str::to_string)).collect();
    Err(Error::UnknownName { kind: "user", name: name.into(), nearest }.into())
}

fn item_name(run: &Run, item: u32) -> Result<String, Failure> {
    Ok(run.graph.entities().shown(run.problem.items[item as usize]).map_err(Error::from)?)
}

/// Why an item is listed, in names.
struct Reasons {
    /// Items of the user that speak for it, with how much.
    items: Vec<(String, f32)>,
    /// Facts that it shares with some of the user's: relation, entity, how many.
    shared: Vec<(String, String, usize)>,
    /// What the recommender saw around the user (true) or the item: relation, entity, share.
    seen: Vec<(bool, Option<String>, String, f32)>,
}

impl Reasons {
    fn of(
        run: &Run,
        (user, item): (usize, u32),
        own: &[u32],
        facts: &Facts,
    ) -> Result<Self, Failure> {
        let named = |(own, weight): (u32, f32)| Ok((item_name(run, own)?, weight));
        let shared = |Shared { relation, entity, n }: Shared| {
            let relation = run.graph.relations().shown(relation).map_err(Error::from)?;
            Ok((relation, run.graph.entities().shown(entity).map_err(Error::from)?, n))
        };
        let items = speaking(&run.learned, item, own, REASONS).into_iter().map(named);
        let of_facts = facts.shared(item, own, REASONS).into_iter().map(shared);
        let seen = |seen: Seen| {
            let relation = seen.relation.map(|relation| run.graph.relations().shown(relation));
            let relation = relation.transpose().map_err(Error::from)?;
            let entity = run.graph.entities().shown(seen.entity).map_err(Error::from)?;
            Ok((seen.of_user, relation, entity, seen.share))
        };
        let around = around(run, [user, item as usize], REASONS);
        Ok(Self {
            items: items.collect::<Result<_, Failure>>()?,
            shared: of_facts.collect::<Result<_, Failure>>()?,
            seen: around.into_iter().map(seen).collect::<Result<_, Failure>>()?,
        })
    }

    fn json(&self) -> [Value; 3] {
        let item = |(name, weight): &(String, f32)| json!({"item": name, "says": weight});
        let shared = |(relation, entity, n): &(String, String, usize)| json!({"relation": relation, "entity": entity, "items": n});
        let seen = |(of_user, relation, entity, share): &(bool, Option<String>, String, f32)| {
            let around = if *of_user { "user" } else { "item" };
            json!({"around": around, "relation": relation, "entity": entity, "share": share})
        };
        [
            self.items.iter().map(item).collect(),
            self.shared.iter().map(shared).collect(),
            self.seen.iter().map(seen).collect(),
        ]
    }

    fn cells(&self) -> Vec<String> {
        let item = |(name, weight): &(String, f32)| format!("{name} {weight:.3}");
        let shared = |(relation, entity, n): &(String, String, usize)| {
            format!("{relation} {entity} ({n} of yours)")
        };
        let items: Vec<String> = self.items.iter().map(item).collect();
        let facts: Vec<String> = self.shared.iter().map(shared).collect();
        let mut cells = vec![items.join("; "), facts.join("; ")];
        if !self.seen.is_empty() {
            let seen =
                |(of_user, relation, entity, share): &(bool, Option<String>, String, f32)| {
                    let around = if *of_user { "you" } else { "it" };
                    let relation = relation.as_deref().unwrap_or("had");
                    format!("{around}: {relation} {entity} {share:.2}")
                };
            cells.push(self.seen.iter().map(seen).collect::<Vec<_>>().join("; "));
        }
        cells
    }
}

/// The list of one user.
fn one(
    run: &Run,
    name: &str,
    (k, explain, marked): (usize, bool, Option<&[bool]>),
    context: &Context,
) -> Result<(), Failure> {
    let user = user_of(run, name)?;
    let own = run.problem.seen(user, &Split::ALL);
    let listed = run.recommend(user, k, marked, &context.machine);
    let wanted: Vec<u32> = listed.iter().map(|(item, _)| *item).chain(own.clone()).collect();
    let pass = |visit: &mut dyn FnMut([u32; 3])| run.census.for_each_fact(&run.graph, visit);
    let facts = explain.then(|| Facts::of(&run.problem.items, &wanted, pass)).transpose()?;
    let mut headings = vec!["", "item", "score"];
    if explain {
        headings.extend(["because of", "shares"]);
        if matches!(run.learned, Learned::Conditioned(_)) {
            headings.push("looks at");
        }
    }
    let (mut rows, mut list) = (output::table(&headings), Vec::new());
    for (place, (item, score)) in (1..).zip(listed) {
        let of = |facts| Reasons::of(run, (user, item), &own, facts);
        let reasons = facts.as_ref().map(of).transpose()?;
        if context.json {
            let id = run.problem.items[item as usize];
            let mut value = json!({
                "name": run.graph.entities().name(id).map_err(Error::from)?,
                "label": run.graph.entities().label(id).map_err(Error::from)?,
                "score": score,
            });
            if let Some(reasons) = reasons {
                let [items, shared, seen] = reasons.json();
                (value["reasons"], value["shared"]) = (items, shared);
                if seen.as_array().is_some_and(|seen| !seen.is_empty()) {
                    value["looks_at"] = seen;
                }
            }
            list.push(value);
            continue;
        }
        let mut cells = vec![place.to_string(), item_name(run, item)?, format!("{score:.3}")];
        cells.extend(reasons.into_iter().flat_map(|reasons| reasons.cells()));
        rows.add_row(cells);
    }
    if context.json {
        context.print(&json!({"user": user_name(run, user)?, "items": list}).to_string());
        return Ok(());
    }
    for column in [1, 3, 4, 5] {
        if let Some(column) = rows.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Left);
        }
    }
    context.print(&rows.trim_fmt());
    Ok(())
}

/// The lists of all users, into a file.
fn all(
    run: &Run,
    file: &Path,
    (k, marked): (usize, Option<&[bool]>),
    context: &Context,
) -> Result<(), Failure> {
    let name = |id: u32| run.graph.entities().name(id).map_err(Error::from);
    let failed = |error| Error::from(FileError::io("write", file)(error));
    let mut out = Whole::create(file).map_err(Error::from)?;
    out.write_all(b"user\trank\titem\tscore\n").map_err(failed)?;
    let total = run.problem.users.len() as u64;
    for user in 0..run.problem.users.len() {
        if user % 64 == 0 {
            let (stage, unit, detail) = ("recommending", "users", "");
            let done = user as u64;
            let progress = gossamer::Progress { stage, done, total, unit, detail };
            gossamer::Observer::progress(context, &progress);
        }
        let user_name = user_name(run, user)?;
        for (rank, (item, score)) in (1..).zip(run.recommend(user, k, marked, &context.machine)) {
            let item = name(run.problem.items[item as usize])?;
            writeln!(out, "{user_name}\t{rank}\t{item}\t{score}").map_err(failed)?;
        }
    }
    out.finish().map_err(Error::from)?;
    context.print(&format!("the lists of {total} users: {}", file.display()));
    Ok(())
}
