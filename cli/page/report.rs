//! The page of `tidemill report`: one run, from its outcome to where everything came from.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill_engine::graph;
use tidemill_engine::record::{History, RunRecord};
use tidemill_engine::{Project, artifact};

use super::environment::Environment;
use super::gather::Run;
use super::lineage::{Lineage, Origins};
use super::logs::Logs;
use super::metrics::{self, Gate, Metrics};
use super::models::Models;
use super::plots::{self, Plot, Plots};
use super::steps::{self, Failed, Steps};
use super::template::{self};
use super::timeline::Timeline;
use crate::command::runs::outcome;
use crate::error::CliError;
use crate::ui::reads;
use crate::ui::text::{clean, duration, time};

/// Everything about one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    head: Head,
    counts: Vec<(usize, &'static str)>,
    saved: String,
    failures: Vec<Failed>,
    /// The drawn graph; none if the run is older than the drawings, or its outline is gone.
    graph: Option<Picture>,
    timeline: Timeline,
    steps: Steps,
    metrics: Metrics,
    gates: Vec<Gate>,
    plots: Vec<Plot>,
    plot_notes: Vec<String>,
    models: Models,
    params: Vec<Param>,
    lineage: Lineage,
    environment: Environment,
    logs: Logs,
    notices: Vec<String>,
}

/// What a run was.
#[derive(Debug, Serialize)]
struct Head {
    run: String,
    pipeline: String,
    description: Option<String>,
    file: String,
    outcome: &'static str,
    /// The class of the outcome in the stylesheet, and its sign.
    class: &'static str,
    sign: &'static str,
    started: String,
    took: String,
    cause: &'static str,
    commit: String,
    dirty: bool,
}

/// A drawn graph.
#[derive(Debug, Serialize)]
struct Picture {
    svg: String,
    /// Its own width, in pixels.
    width: String,
}

/// A parameter.
#[derive(Debug, Serialize)]
struct Param {
    name: String,
    value: String,
    set: bool,
}

impl Report {
    /// Gathers everything about a run.
    pub(crate) fn of(project: &Project, history: &History, record: &RunRecord) -> Result<Self, CliError> {
        let run = Run::read(project, history, record)?;
        let outline = artifact::outline_of(project, record)?;
        let origins = Origins::of(&run)?;
        let (plots, plot_notes) = Plots::of(project, std::slice::from_ref(record), None)?.into_parts();
        let description = outline.as_ref().and_then(|outline| outline.description.as_deref());
        Ok(Self {
            head: Head::of(record, description),
            counts: counts(record),
            saved: duration(run.saved_ms()),
            failures: steps::failures(&run),
            graph: outline.map(|outline| Picture::of(outline.svg(&graph::states_of(record)))),
            timeline: Timeline::of(&run),
            steps: Steps::of(&run),
            metrics: Metrics::of(&run, history)?,
            gates: metrics::gates(&run),
            plots,
            plot_notes,
            models: Models::of(&run, &origins)?,
            params: params(&record.params, &record.overrides),
            lineage: Lineage::of(&run, &origins),
            environment: Environment::of(&run),
            logs: Logs::of(&run)?,
            notices: notices(record),
        })
    }

    /// The page.
    pub(crate) fn html(&self) -> Result<String, CliError> {
        template::render("report.html", self, plots::scripts(&self.plots))
    }
}

impl Picture {
    fn of(svg: String) -> Self {
        let told = svg.split_once(" width=\"").and_then(|(_, rest)| rest.split_once('"'));
        let width = told.and_then(|(width, _)| width.parse::<f64>().ok()).unwrap_or(1000.0);
        Self { svg, width: width.to_string() }
    }
}

impl Head {
    fn of(record: &RunRecord, description: Option<&str>) -> Self {
        use tidemill_engine::event::Outcome;
        let (class, sign) = match (record.outcome, record.alive) {
            (Some(Outcome::Succeeded), _) => ("executed", "✓"),
            (Some(Outcome::StepFailed | Outcome::InfrastructureFailed), _) | (None, false) => ("failed", "✗"),
            (Some(Outcome::GateClosed), _) => ("blocked", "⊘"),
            (Some(Outcome::Interrupted), _) => ("held", "‖"),
            (None, true) => ("running", "◐"),
        };
        Self {
            run: record.run.to_string(),
            pipeline: record.pipeline.to_string(),
            description: description.map(clean),
            file: clean(&record.file),
            outcome: outcome(record),
            class,
            sign,
            started: time(record.started),
            took: duration(record.wall_ms),
            cause: record.cause.words(),
            commit: record.git.as_ref().map(|git| clean(&git.commit)).unwrap_or_default(),
            dirty: record.git.as_ref().is_some_and(|git| git.dirty),
        }
    }
}

/// What is worth saying that is no failure.
fn notices(record: &RunRecord) -> Vec<String> {
    let told = record.notices.iter().map(|notice| clean(notice));
    told.chain(reads::of(record)).collect()
}

/// How many steps ended in which way; the first two always, the others where there are any.
fn counts(record: &RunRecord) -> Vec<(usize, &'static str)> {
    let counts = record.counts;
    let all = [
        (counts.executed, "executed"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.blocked, "blocked"),
        (counts.skipped, "skipped"),
    ];
    all.into_iter()
        .enumerate()
        .filter(|(place, (count, _))| *place < 2 || *count > 0)
        .map(|(_, count)| count)
        .collect()
}

fn params(
    params: &BTreeMap<String, serde_json::Value>,
    set: &BTreeMap<String, serde_json::Value>,
) -> Vec<Param> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let param = |(name, value): (&String, &serde_json::Value)| Param {
        name: clean(name),
        value: clean(&text(value)),
        set: set.contains_key(name),
    };
    params.iter().map(param).collect()
}
