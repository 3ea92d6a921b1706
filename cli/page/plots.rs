//! The page of `tidemill plots`: every plot output of one run or of several, side by side.

use serde::Serialize;
use tidemill_engine::Project;
use tidemill_engine::name::StepId;
use tidemill_engine::record::RunRecord;

use super::chart;
use super::plot::{self, Content, Drawing, Found, PAGE};
use super::table::Table;
use super::template::{self, Scripts};
use crate::error::CliError;
use crate::ui::text::{clean, count, time};

/// More plots than this are too many for one page.
const MOST: usize = 200;

/// The plots of some runs.
#[derive(Debug, Serialize)]
pub(crate) struct Plots {
    /// The pipelines, each once.
    pipelines: Vec<String>,
    /// The runs, as they were asked for.
    runs: Vec<Run>,
    /// The plots, in the order of the steps.
    plots: Vec<Plot>,
    /// What is not on the page.
    notes: Vec<String>,
}

/// A run in the head of the page.
#[derive(Debug, Serialize)]
struct Run {
    id: String,
    started: String,
    pipeline: String,
}

/// One plot output.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Plot {
    name: String,
    path: String,
    cells: Vec<Cell>,
}

/// A drawing.
#[derive(Debug, Clone, Serialize)]
struct Cell {
    /// Which runs it belongs to, where that is not plain.
    runs: String,
    drawing: Drawing,
}

/// An output in several runs.
struct Row {
    step: StepId,
    output: String,
    /// One for each run that has it: the place of the run, and what was found.
    found: Vec<(usize, Found)>,
}

impl Plots {
    /// Gathers the plots of these runs; of one step only, if one is named.
    pub(crate) fn of(project: &Project, records: &[RunRecord], step: Option<&str>) -> Result<Self, CliError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut notes = Vec::new();
        for (place, record) in records.iter().enumerate() {
            let (found, unknown) = plot::find(project, record)?;
            for found in found.into_iter().filter(|found| step.is_none_or(|step| means(step, &found.step))) {
                add(&mut rows, place, found);
            }
            if unknown > 0 {
                let steps = count(unknown, "step");
                notes.push(format!(
                    "The recipes of {steps} of run {} are gone from the cache, and their plots with them.",
                    record.run
                ));
            }
        }
        if rows.len() > MOST {
            notes.push(format!(
                "The first {MOST} of {} plots are on this page; `--step` chooses others.",
                rows.len()
            ));
            rows.truncate(MOST);
        }
        let mut room = PAGE;
        let ids: Vec<&str> = records.iter().map(|record| record.run.as_str()).collect();
        let plots = rows.iter().map(|row| row.draw(project, &ids, &mut room)).collect::<Result<_, _>>()?;
        let mut pipelines: Vec<String> = records.iter().map(|record| record.pipeline.to_string()).collect();
        pipelines.dedup();
        Ok(Self { pipelines, runs: records.iter().map(Run::of).collect(), plots, notes })
    }

    /// How many plots there are.
    pub(crate) fn count(&self) -> usize {
        self.plots.len()
    }

    /// The page.
    pub(crate) fn html(&self) -> Result<String, CliError> {
        template::render("plots.html", self, scripts(&self.plots))
    }

    /// The plots alone, for another page.
    pub(super) fn into_parts(self) -> (Vec<Plot>, Vec<String>) {
        (self.plots, self.notes)
    }
}

/// What a page with these plots needs.
pub(super) fn scripts(plots: &[Plot]) -> Scripts {
    match plots.iter().flat_map(|plot| &plot.cells).any(|cell| cell.drawing.spec.is_some()) {
        true => Scripts::Vega,
        false => Scripts::None,
    }
}

/// Whether a step is meant: by its name in the pipeline file, or with its matrix values.
fn means(text: &str, step: &StepId) -> bool {
    step.as_str() == text || step.step() == text
}

fn add(rows: &mut Vec<Row>, place: usize, found: Found) {
    match rows.iter_mut().find(|row| row.step == found.step && row.output == found.output) {
        Some(row) => row.found.push((place, found)),
        None => rows.push(Row {
            step: found.step.clone(),
            output: found.output.clone(),
            found: vec![(place, found)],
        }),
    }
}

impl Run {
    fn of(record: &RunRecord) -> Self {
        Self {
            id: record.run.to_string(),
            started: time(record.started),
            pipeline: record.pipeline.to_string(),
        }
    }
}

impl Row {
    fn draw(&self, project: &Project, ids: &[&str], room: &mut u64) -> Result<Plot, CliError> {
        // The same bytes are drawn once, whatever the number of runs that have them.
        let mut drawn: Vec<(Vec<&str>, &Found, Content)> = Vec::new();
        for (place, found) in &self.found {
            match drawn.iter_mut().find(|(_, known, _)| known.artifact.digest == found.artifact.digest) {
                Some((runs, ..)) => runs.push(ids[*place]),
                None => drawn.push((vec![ids[*place]], found, Content::read(project, found, room)?)),
            }
        }
        let name = self.found.first().map(|(_, found)| found.name()).unwrap_or_default();
        let tables: Vec<&Table> = drawn.iter().filter_map(|(.., content)| content.table()).collect();
        let cells = match tables.len() > 1 && tables.len() == drawn.len() && chart::agree(&tables) {
            true => vec![overlaid(&name, &drawn)],
            false => drawn.iter().map(|(runs, _, content)| alone(&name, runs, content, ids.len())).collect(),
        };
        let mut paths: Vec<String> = self.found.iter().map(|(_, found)| clean(&found.path)).collect();
        paths.dedup();
        Ok(Plot { name, path: paths.join(", "), cells })
    }
}

/// The same table of several runs in one chart, whose legend names them.
fn overlaid(name: &str, drawn: &[(Vec<&str>, &Found, Content)]) -> Cell {
    let names: Vec<String> = drawn.iter().map(|(runs, ..)| runs.join(", ")).collect();
    let contents: Vec<(&str, &Content)> =
        names.iter().zip(drawn).map(|(name, (.., content))| (name.as_str(), content)).collect();
    let label = format!("{name} of {}", count(names.len(), "run"));
    Cell { runs: String::new(), drawing: Drawing::of(label, &contents) }
}

/// What some runs drew, of so many.
fn alone(name: &str, runs: &[&str], content: &Content, of: usize) -> Cell {
    let label = format!("{name} of run {}", runs.join(", "));
    let told = match runs.len() {
        _ if of == 1 => String::new(),
        all if all == of => format!("The same in all {of} runs."),
        _ => runs.join(", "),
    };
    Cell { runs: told, drawing: Drawing::of(label, &[(runs[0], content)]) }
}
