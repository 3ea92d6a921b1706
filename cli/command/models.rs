//! `tidemill models`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use tidemill_engine::Project;
use tidemill_engine::name::{AliasName, ModelName};
use tidemill_engine::registry::{Deed, HistoryEntry, ModelSummary, Registry, Rollback, Version};
use tidemill_engine::withdrawn::{Quarantines, VersionMark};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::table::{Column, Table};
use crate::ui::text::{count, number, size, time};

/// Look at registered models, and move what points to them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill models list" => "list the models",
    "tidemill models show diabetes" => "list the versions of one",
    "tidemill models rollback diabetes --why 'complaints from ward 4'" => "go back to the champion before",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with registered models.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the models of the project.
    #[command(after_long_help = examples![
        "tidemill models list" => "list the models with their aliases",
    ])]
    List,
    /// Show the versions of a model, or one of them.
    #[command(after_long_help = examples![
        "tidemill models show diabetes" => "list the versions",
        "tidemill models show diabetes 3" => "show one of them, with its metrics and its file",
    ])]
    Show {
        /// The model.
        model: ModelName,
        /// The version's number.
        version: Option<u64>,
    },
    /// Tell everything that happened to a model.
    #[command(after_long_help = examples![
        "tidemill models history diabetes" => "who did what, and why",
    ])]
    History {
        /// The model.
        model: ModelName,
    },
    /// Point an alias to a version.
    #[command(after_long_help = examples![
        "tidemill models alias diabetes champion 3 --why 'approved by the board'" => "let champion point to version 3",
    ])]
    Alias {
        /// The model.
        model: ModelName,
        /// The alias, such as `champion`.
        alias: AliasName,
        /// The version's number.
        version: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Take an alias back to the version that held it before, and hold the removed version back.
    ///
    /// Endpoints that serve the removed version serve again what they served before. No run promotes or deploys the removed
    /// version again until `tidemill models unhold`.
    #[command(after_long_help = examples![
        "tidemill models rollback diabetes --why 'complaints from ward 4'" => "go back to the champion before",
    ])]
    Rollback {
        /// The model.
        model: ModelName,
        /// The alias.
        #[arg(long, default_value = "champion")]
        alias: AliasName,
        #[command(flatten)]
        why: Why,
    },
    /// Let a version go that a rollback holds back: the next run may promote it again.
    #[command(after_long_help = examples![
        "tidemill models unhold diabetes 4 --why 'it was the data'" => "let the next run promote version 4 again",
    ])]
    Unhold {
        /// The model.
        model: ModelName,
        /// The version's number.
        version: u64,
        #[command(flatten)]
        why: Why,
    },
}

/// The reason, for the history.
#[derive(Debug, clap::Args)]
pub(crate) struct Why {
    /// The reason, for the history.
    #[arg(long = "why", value_name = "TEXT", default_value = "")]
    pub(crate) text: String,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let registry = Registry::at(project.state());
    let deed = |why: &'_ Why| (project.user().to_owned(), why.text.clone());
    match &args.command {
        Command::List => list(context, &project, &registry)?,
        Command::Show { model, version: None } => show(context, &project, &registry, model)?,
        Command::Show { model, version: Some(version) } => {
            show_one(context, &project, &registry, (model, *version))?;
        }
        Command::History { model } => history(context, &registry.history(model)?)?,
        Command::Alias { model, alias, version, why } => {
            let (by, why) = deed(why);
            let moved = registry.alias_set(model, alias, *version, Deed { by: &by, why: &why })?;
            let done = if moved.is_some() { "points" } else { "already points" };
            let value = json!({ "model": model, "alias": alias, "to": version, "moved": moved });
            context.ui.result(&value, || format!("{alias} of {model} {done} to version {version}\n"))?;
        }
        Command::Rollback { model, alias, why } => {
            let (by, why) = deed(why);
            let rollback = registry.rollback(model, alias, Deed { by: &by, why: &why })?;
            context.ui.result(&rollback, || rolled_back(model, &rollback))?;
        }
        Command::Unhold { model, version, why } => {
            let (by, why) = deed(why);
            let hold = registry.unhold(model, *version, Deed { by: &by, why: &why })?;
            let value = json!({ "model": model, "hold": hold });
            let text =
                format!("version {version} of {model} is no longer on hold; the next run may promote it\n");
            context.ui.result(&value, || text)?;
        }
    }
    Ok(Exit::Done)
}

/// The versions of a model that rest on quarantined content.
type Bad = BTreeMap<u64, VersionMark>;

fn bad(project: &Project, model: &ModelName) -> Result<Bad, CliError> {
    Ok(Quarantines::below(project.state()).bad_versions(project.cache(), model)?)
}

/// A model at a glance.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    summary: ModelSummary,
    quarantined: Bad,
}

fn list(context: &Context, project: &Project, registry: &Registry) -> Result<(), CliError> {
    let models = registry.models()?;
    let listed = models
        .iter()
        .map(|model| Ok(Listed { summary: registry.summary(model)?, quarantined: bad(project, model)? }));
    let listed: Vec<Listed> = listed.collect::<Result<_, CliError>>()?;
    context.ui.result(&json!({ "models": listed }), || {
        if listed.is_empty() {
            return "no model is registered yet; a pipeline's `register` step does it\n".to_owned();
        }
        let mut table =
            Table::new(&[Column::Text("MODEL"), Column::Number("VERSIONS"), Column::Text("ALIASES")]);
        for Listed { summary, quarantined } in &listed {
            let aliases = summary.aliases.iter().map(|(alias, version)| {
                let mark = if quarantined.contains_key(version) { QUARANTINED } else { "" };
                format!("{alias} {version}{mark}")
            });
            let aliases: Vec<String> = aliases.collect();
            table.row([summary.model.to_string(), summary.versions.to_string(), aliases.join(", ")]);
        }
        table.render(0)
    })?;
    Ok(())
}

/// What stands behind a version that rests on quarantined content.
const QUARANTINED: &str = " (quarantined)";

fn show(
    context: &Context,
    project: &Project,
    registry: &Registry,
    model: &ModelName,
) -> Result<(), CliError> {
    let summary = registry.summary(model)?;
    let versions = registry.versions(model)?;
    let bad = bad(project, model)?;
    let value = json!({
        "model": model,
        "aliases": summary.aliases,
        "held": summary.held,
        "quarantined": bad,
        "versions": versions,
    });
    context.ui.result(&value, || {
        let mut table = Table::new(&[
            Column::Number("VERSION"),
            Column::Text("REGISTERED"),
            Column::Text("MODEL"),
            Column::Text("ALIASES"),
            Column::Text("RUN"),
        ]);
        for version in versions.iter().rev() {
            table.row([
                version.version.to_string(),
                time(version.created),
                version.model.digest.short(),
                marks(&summary, &bad, version.version),
                version.run.clone(),
            ]);
        }
        table.render(0)
    })?;
    Ok(())
}

/// What points to a version, and whether it is on hold or bad.
fn marks(summary: &ModelSummary, bad: &Bad, version: u64) -> String {
    let aliases = summary.aliases.iter().filter(|(_, points_to)| **points_to == version);
    let mut marks: Vec<String> = aliases.map(|(alias, _)| alias.to_string()).collect();
    if summary.held.contains(&version) {
        marks.push("(on hold)".to_owned());
    }
    if bad.contains_key(&version) {
        marks.push(QUARANTINED.trim_start().to_owned());
    }
    marks.join(", ")
}

fn show_one(
    context: &Context,
    project: &Project,
    registry: &Registry,
    (model, number): (&ModelName, u64),
) -> Result<(), CliError> {
    let bad = bad(project, model)?;
    let version = registry.version(model, number)?;
    let hold = registry.hold_of(model, number)?;
    let file = registry.model_file(model, &version.model.digest);
    let summary = registry.summary(model)?;
    let aliases: Vec<&AliasName> = summary
        .aliases
        .iter()
        .filter(|(_, points_to)| **points_to == number)
        .map(|(alias, _)| alias)
        .collect();
    let value = json!({
        "model": model,
        "registered": version,
        "aliases": aliases,
        "hold": hold,
        "quarantined": bad.get(&number),
        "file": file,
    });
    context.ui.result(&value, || {
        let mut text = format!("{model} version {number}");
        let marks = marks(&summary, &bad, number);
        if !marks.is_empty() {
            text.push_str(&format!("  {marks}"));
        }
        text.push('\n');
        text.push_str(&about(&version));
        text.push_str(&format!("  file        {}\n", context.relative(&file)));
        if let Some(hold) = &hold {
            text.push_str(&format!("  hold        {}\n", hold.describe()));
        }
        if let Some(mark) = bad.get(&number) {
            text.push_str(&format!("  bad         {}\n", crate::ui::text::clean(&mark.describe())));
        }
        text
    })?;
    Ok(())
}

fn about(version: &Version) -> String {
    let mut text = format!("  model       {} ({})\n", version.model.digest, size(version.model.size));
    text.push_str(&format!("  registered  {}\n", time(version.created)));
    text.push_str(&format!("  run         {} of pipeline {}\n", version.run, version.pipeline));
    if let Some(commit) = &version.commit {
        text.push_str(&format!("  commit      {commit}\n"));
    }
    if let Some(description) = &version.description {
        text.push_str(&format!("  about       {}\n", crate::ui::text::clean(description)));
    }
    for (tag, value) in &version.tags {
        text.push_str(&format!("  tag         {tag} = {}\n", crate::ui::text::clean(value)));
    }
    let metrics = version.metrics.as_object().into_iter().flatten();
    for (name, value) in metrics.filter_map(|(name, value)| Some((name, value.as_f64()?))) {
        text.push_str(&format!("  metric      {name} = {}\n", number(value)));
    }
    text
}

fn history(context: &Context, entries: &[HistoryEntry]) -> Result<(), CliError> {
    context.ui.result(&json!({ "history": entries }), || {
        let mut table = Table::new(&[Column::Text("WHEN"), Column::Text("WHAT"), Column::Text("WHO")]);
        for entry in entries {
            table.row([time(entry.at), entry.describe(), entry.by.clone()]);
        }
        table.render(0)
    })?;
    Ok(())
}

fn rolled_back(model: &ModelName, rollback: &Rollback) -> String {
    let Rollback { moved, held, endpoints } = rollback;
    let mut text = format!("{} of {model} is back at version {}\n", moved.alias, moved.version);
    text.push_str(&format!("version {held} is on hold until `tidemill models unhold {model} {held}`\n"));
    for restored in endpoints {
        let endpoint = &restored.endpoint;
        match &restored.now {
            Some((model, version)) => {
                text.push_str(&format!("endpoint {endpoint} serves version {version} of {model} again\n"));
            }
            None => text.push_str(&format!(
                "endpoint {endpoint} never served anything else and still serves version {held}\n"
            )),
        }
    }
    if endpoints.is_empty() {
        text.push_str(&format!("{} served it\n", count(0, "endpoint")));
    }
    text
}
