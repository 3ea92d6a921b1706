//! `tidemill triggers`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tidemill_engine::graph::{On, Trigger};
use tidemill_engine::name::TriggerName;
use tidemill_engine::trigger::{self, Fate, Order, Pipeline, Pipelines, Settled, State};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::table::{Column, Table};
use crate::ui::text::{clean, time};
use crate::ui::triggering;

/// Look at the triggers of the project: what starts runs by itself, and what they have led to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill triggers list" => "all triggers, what each waits for, and when its next time comes",
    "tidemill triggers log" => "what arrived lately, and what became of it",
    "tidemill triggers fire nightly" => "act as if its time had come",
])]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done with triggers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// All triggers, what each waits for, and when its next time comes.
    #[command(after_long_help = examples!["tidemill triggers list" => "all triggers of the project"])]
    List,
    /// The next times of a schedule, as its trigger has it.
    #[command(after_long_help = examples![
        "tidemill triggers next nightly" => "the next five times of the trigger nightly",
        "tidemill triggers next nightly --count 20" => "the next twenty",
    ])]
    Next(NextArgs),
    /// What arrived lately, and what became of it.
    #[command(after_long_help = examples!["tidemill triggers log" => "what waits, what runs, and what was done with"])]
    Log,
    /// Have a trigger act as if its event had come. It is left for the daemon, or for the next `tick`.
    #[command(after_long_help = examples![
        "tidemill triggers fire nightly" => "act as if its time had come",
        "tidemill triggers fire arrived --data '{\"month\": 3}'" => "with the data of an event",
    ])]
    Fire(FireArgs),
}

/// Which times.
#[derive(Debug, clap::Args)]
pub(crate) struct NextArgs {
    /// The trigger; with its pipeline before it if two have one of this name, such as `flights#nightly`.
    #[arg(value_name = "TRIGGER")]
    pub(crate) name: String,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) count: u64,
}

/// What is fired.
#[derive(Debug, clap::Args)]
pub(crate) struct FireArgs {
    /// The trigger; with its pipeline before it if two have one of this name, such as `flights#nightly`.
    #[arg(value_name = "TRIGGER")]
    pub(crate) name: String,
    /// The data of the event, as JSON.
    #[arg(long, value_name = "JSON", default_value = "null")]
    pub(crate) data: String,
    /// What tells this from another one: fired twice with the same, it leads to one run.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    pipeline: String,
    file: String,
    trigger: TriggerName,
    kind: &'static str,
    waits_for: String,
    enabled: bool,
    next: Option<Timestamp>,
    last_begun: Option<Timestamp>,
}

/// Does what the subcommand says.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let pipelines = Pipelines::read(&project, &Pipelines::default())?;
    let state = trigger::peek(project.state()).map_err(trigger::DispatchError::Queue)?;
    match &args.command {
        Command::List => list(context, &pipelines, &state),
        Command::Next(args) => next(context, &pipelines, args),
        Command::Log => log(context, &state),
        Command::Fire(args) => {
            let (file, own, trigger) = find(&pipelines, &args.name)?;
            let data = serde_json::from_str(&args.data)
                .map_err(|error| CliError::usage(format!("--data is no JSON: {error}")))?;
            if !trigger.enabled {
                return Err(CliError::usage(format!("the trigger {} is not enabled", trigger.name)));
            }
            let event = json!({ "data": &data });
            trigger.params_of(&event).map_err(|lacking| CliError::Usage {
                message: lacking.to_string(),
                hint: Some("give it with --data".to_owned()),
            })?;
            let now = Timestamp::now();
            let id = args.id.clone().unwrap_or_else(|| format!("{now} {}", std::process::id()));
            let order = Order { id, file: file.to_owned(), trigger: trigger.name.clone(), data };
            trigger::leave(project.state(), &order)
                .map_err(CliError::file("write below", project.state()))?;
            context.ui.result(
                &json!({ "file": order.file, "trigger": order.trigger, "id": order.id }),
                || {
                    format!(
                        "{}#{} is fired: the daemon takes it, or the next `tidemill tick`\n",
                        own.name, order.trigger
                    )
                },
            )?;
            Ok(Exit::Done)
        }
    }
}

fn list(context: &Context, pipelines: &Pipelines, state: &State) -> Result<Exit, CliError> {
    let now = Timestamp::now();
    let mut listed = Vec::new();
    for (file, pipeline) in pipelines.iter() {
        if let Some(mistake) = &pipeline.mistake {
            context.ui.tell(&format!("{file} cannot be used: {}\n", clean(mistake)));
        }
        for trigger in &pipeline.triggers {
            let next = match &trigger.on {
                On::Cron { schedule, .. } if trigger.enabled => schedule.next_after(now),
                _ => None,
            };
            listed.push(Listed {
                pipeline: pipeline.name.to_string(),
                file: file.to_owned(),
                trigger: trigger.name.clone(),
                kind: trigger.on.kind(),
                waits_for: triggering::waits_for(trigger),
                enabled: trigger.enabled,
                next,
                last_begun: state.last_begun(file, &trigger.name),
            });
        }
    }
    for told in trigger::in_circles(pipelines) {
        context.ui.tell(&format!("{told}\n"));
    }
    context.ui.result(&listed, || {
        if listed.is_empty() {
            return "no pipeline of this project has triggers\n".to_owned();
        }
        let mut table =
            Table::new(&["PIPELINE", "TRIGGER", "WAITS FOR", "NEXT", "LAST RUN"].map(Column::Text));
        for one in &listed {
            let next = match one.next {
                Some(next) => time(next),
                None if one.enabled => String::new(),
                None => "not enabled".to_owned(),
            };
            let last = one.last_begun.map(time).unwrap_or_default();
            table.row([one.pipeline.clone(), one.trigger.to_string(), one.waits_for.clone(), next, last]);
        }
        table.render(0)
    })?;
    Ok(Exit::Done)
}

fn next(context: &Context, pipelines: &Pipelines, args: &NextArgs) -> Result<Exit, CliError> {
    let (_, own, trigger) = find(pipelines, &args.name)?;
    let On::Cron { schedule, .. } = &trigger.on else {
        return Err(CliError::usage(format!(
            "{}#{} has no schedule: what it waits for is {}",
            own.name,
            trigger.name,
            triggering::waits_for(trigger)
        )));
    };
    let times =
        std::iter::successors(schedule.next_after(Timestamp::now()), |last| schedule.next_after(*last));
    let times: Vec<Timestamp> = times.take(usize::try_from(args.count).unwrap_or(usize::MAX)).collect();
    context.ui.result(&json!({ "schedule": schedule.to_string(), "times": times }), || {
        let zone = jiff::tz::TimeZone::get(schedule.zone()).unwrap_or(jiff::tz::TimeZone::UTC);
        let line = |time: &Timestamp| {
            format!(
                "{}  {}\n",
                time.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z"),
                time.strftime("%H:%M UTC")
            )
        };
        format!("{schedule}\n{}", times.iter().map(line).collect::<String>())
    })?;
    Ok(Exit::Done)
}

fn log(context: &Context, state: &State) -> Result<Exit, CliError> {
    let running: Vec<_> = state.running().collect();
    let waiting: Vec<_> = state.waiting().collect();
    let recent: Vec<_> = state.recent().collect();
    context.ui.result(&json!({ "running": running, "waiting": waiting, "recent": recent }), || {
        let mut table = Table::new(&["ARRIVED", "TRIGGER", "WHAT", "RUN", "RESULT"].map(Column::Text));
        let mut row = |arrival: &tidemill_engine::trigger::Arrival, run: String, result: String| {
            let (name, what) = (triggering::name(arrival), triggering::what(arrival));
            table.row([time(arrival.at), name, what, run, result]);
        };
        for waiting in waiting.iter().rev() {
            row(&waiting.arrival, String::new(), "waits".to_owned());
        }
        for running in &running {
            row(&running.arrival, running.run.to_string(), "runs".to_owned());
        }
        for Settled { arrival, fate, .. } in recent.iter().take(SHOWN) {
            let (run, result) = match fate {
                Fate::Ended { run, outcome } => (run.to_string(), triggering::ended(*outcome).to_owned()),
                Fate::NotBegun { reason } => {
                    (String::new(), reason.lines().next().unwrap_or_default().to_owned())
                }
                Fate::Lost { run } => (run.to_string(), "lost with its process".to_owned()),
                Fate::Dropped { why } => (String::new(), format!("no run: {}", why.words())),
            };
            row(arrival, run, result);
        }
        if waiting.is_empty() && running.is_empty() && recent.is_empty() {
            return "nothing has arrived yet\n".to_owned();
        }
        table.render(0)
    })?;
    Ok(Exit::Done)
}

/// So many of what was done with are shown.
const SHOWN: usize = 50;

/// The trigger with this name, and its file.
fn find<'a>(pipelines: &'a Pipelines, name: &str) -> Result<(&'a str, &'a Pipeline, &'a Trigger), CliError> {
    let (pipeline, wanted) = match name.rsplit_once('#') {
        Some((pipeline, wanted)) => (Some(pipeline), wanted),
        None => (None, name),
    };
    let all = || {
        pipelines.iter().flat_map(|(file, own)| own.triggers.iter().map(move |trigger| (file, own, trigger)))
    };
    let mut found = all().filter(|(file, own, trigger)| {
        let is_in = pipeline.is_none_or(|pipeline| own.name.as_str() == pipeline || *file == pipeline);
        is_in && trigger.name.as_str() == wanted
    });
    match (found.next(), found.next()) {
        (Some(found), None) => Ok(found),
        (Some((_, first, _)), Some((_, second, _))) => Err(CliError::Usage {
            message: format!("two pipelines have a trigger {wanted:?}"),
            hint: Some(format!("write `{}#{wanted}` or `{}#{wanted}`", first.name, second.name)),
        }),
        (None, _) => {
            let names: Vec<String> =
                all().map(|(_, own, trigger)| format!("{}#{}", own.name, trigger.name)).collect();
            let hint = match names.is_empty() {
                true => "no pipeline of this project has triggers".to_owned(),
                false => format!("there are {}", names.join(", ")),
            };
            Err(CliError::Usage { message: format!("there is no trigger {name:?}"), hint: Some(hint) })
        }
    }
}
