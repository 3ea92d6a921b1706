//! `tidemill show`.

use tidemill_engine::event::{Cause, Stamped};
use tidemill_engine::record::{History, RunRecord, StepRecord};

use super::runs::outcome;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::ui::report::Report;
use crate::ui::style::{Paint, Tone};
use crate::ui::table::{Column, Table};
use crate::ui::text::{clean, duration, time};
use crate::ui::{failure, summary};

/// Show a run: what started it, its parameters, its steps, and how it ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its id, the beginning of it, or `last`.
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// Shows the run.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let history = History::below(project.state());
    let record = history.find(&args.run)?;
    let events = history.events(&record.run)?;
    context.ui.result(&record, || {
        let paint = context.ui.out.paint;
        let mut text = head(&record, paint);
        text.push('\n');
        text.push_str(&steps(&record));
        text.push_str(&end(context, &events, paint));
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
    line("cause", cause(&record.cause));
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
    text
}

fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Command => "command",
        Cause::Ci => "CI job",
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

fn end(context: &Context, events: &[Stamped], paint: Paint) -> String {
    let report = Report::of(events);
    failure::draw(&report, paint, &context.folder) + &summary::draw(&report, &[], paint)
}
