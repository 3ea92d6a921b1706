//! `tidemill show`.

use serde::Serialize;
use tidemill_engine::event::Triggered;
use tidemill_engine::record::{History, Recap, RunRecord, StepRecord};

use super::runs::outcome;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::help::examples;
use crate::ui::failure::{self, Again, Telling};
use crate::ui::reads;
use crate::ui::style::{Paint, Tone};
use crate::ui::summary::{self, End};
use crate::ui::table::{Column, Table};
use crate::ui::text::{clean, duration, time};

/// Show a run: what started it, its parameters, its steps, and how it ended.
#[derive(Debug, clap::Args)]
#[command(after_long_help = examples![
    "tidemill show" => "show the last run",
    "tidemill show 20261120-235" => "show the run whose id begins so",
])]
pub(crate) struct Args {
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    record: &'a RunRecord,
    summary: &'a Recap,
}

/// Shows the run.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let record = history.find(&args.run)?;
    let mut recap = Recap::of(&history.events(&record.run)?);
    if let Some(previous) = history.previous_with_metrics(&record.pipeline, &record.run)? {
        recap.compare(&previous);
    }
    context.ui.result(&Shown { record: &record, summary: &recap }, || {
        let paint = context.ui.out.paint;
        let mut text = head(&record, paint);
        text.push('\n');
        text.push_str(&steps(&record));
        text.push_str(&end(context, &record, recap.clone()));
        text
    })?;
    Ok(Exit::Done)
}

fn head(record: &RunRecord, paint: Paint) -> String {
    let mut text = format!("{} of {}\n", paint.text(Tone::Strong, record.run.as_str()), record.pipeline);
    let mut line = |word: &str, rest: &str| {
        text.push_str(&format!("  {} {}\n", paint.text(Tone::Faint, &format!("{word:<9}")), clean(rest)));
    };
    line("file", &record.file);
    line("cause", &cause(record));
    if let Some(git) = &record.git {
        let dirty = if git.dirty { ", with changes that are not committed" } else { "" };
        line("commit", &format!("{}{dirty}", git.commit));
    }
    line("started", &time(record.started));
    line("outcome", outcome(record));
    line("time", &duration(record.wall_ms));
    for (name, value) in &record.overrides {
        line("set", &format!("{name} = {value}"));
    }
    for notice in &record.notices {
        line("note", notice);
    }
    for told in reads::of(record) {
        line("note", &told);
    }
    text
}

/// What started the run; the trigger and what it answers, if it was one.
fn cause(record: &RunRecord) -> String {
    let cause = record.cause.words();
    match &record.triggered {
        None => cause.to_owned(),
        Some(Triggered { trigger: None, source, .. }) => {
            format!("{cause} by {}", clean(source.rsplit('/').next().unwrap_or(source)))
        }
        Some(Triggered { trigger: Some(trigger), kind, source, id }) => {
            format!("{cause} (trigger {trigger}): {} {} from {}", clean(kind), clean(id), clean(source))
        }
    }
}

fn steps(record: &RunRecord) -> String {
    let columns = [
        Column::Text("STEP"),
        Column::Text("STATE"),
        Column::Number("TIME"),
        Column::Text("KEY"),
        Column::Text("REASON"),
    ];
    let mut table = Table::new(&columns);
    for step in &record.steps {
        table.row([
            step.step.to_string(),
            step.state.clone(),
            time_of(step),
            step.key.map(|key| key.short()).unwrap_or_default(),
            step.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render(2)
}

/// What a step's last attempt took, if it succeeded in this run.
fn time_of(step: &StepRecord) -> String {
    let usage = step.attempts.last().and_then(|attempt| attempt.usage);
    usage.map(|usage| duration(usage.wall_ms)).unwrap_or_default()
}

/// What went wrong, and the summary without the steps that ran: these have been listed.
fn end(context: &Context, record: &RunRecord, mut recap: Recap) -> String {
    let paint = context.ui.out.paint;
    let telling = Telling { paint, folder: &context.folder, again: Again::of(record) };
    let failures = failure::draw(&recap, &telling);
    recap.ran.clear();
    let end = record.outcome.map(|outcome| End {
        run: &record.run,
        outcome,
        wall_ms: record.wall_ms,
        counts: record.counts,
    });
    failures + &summary::draw(&recap, end.as_ref(), paint, context.width)
}
