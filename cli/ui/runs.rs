//! A list of runs as a table.

use tidemill_engine::record::{Column as Named, Field, Found, RunLine, standing};

use super::figures::{self, NOTHING};
use super::table::{Column, Table};
use super::text::{duration, time};

/// How many characters of a commit's hash are shown.
const COMMIT: usize = 12;

/// The table of runs.
pub(crate) fn draw(found: &Found) -> String {
    if found.total == 0 {
        return "no runs yet\n".to_owned();
    }
    if found.runs.is_empty() {
        return "no such runs\n".to_owned();
    }
    let titles: Vec<String> = found.columns.iter().map(title).collect();
    let columns: Vec<Vec<String>> = found.columns.iter().map(|column| cells(column, &found.runs)).collect();
    let set = |(column, title): (&Named, &'_ String)| (is_number(column, &found.runs), title.clone());
    let settings: Vec<(bool, String)> = found.columns.iter().zip(&titles).map(set).collect();
    let settings: Vec<Column<'_>> = settings
        .iter()
        .map(|(is_number, title)| if *is_number { Column::Number(title) } else { Column::Text(title) })
        .collect();
    let mut table = Table::new(&settings);
    for place in 0..found.runs.len() {
        table.add(columns.iter().map(|cells| cells[place].clone()));
    }
    table.render(0)
}

/// What every run has is a word in capitals; what the pipeline named, as it named it.
fn title(column: &Named) -> String {
    match column {
        Named::Field(field) => field.name().to_uppercase(),
        Named::Metric { .. } | Named::Param(_) => column.to_string(),
    }
}

fn is_number(column: &Named, runs: &[RunLine]) -> bool {
    match column {
        Named::Field(field) => matches!(
            field,
            Field::Executed | Field::Cached | Field::Skipped | Field::Failed | Field::Blocked | Field::Time
        ),
        Named::Metric { .. } => true,
        Named::Param(_) => numbers(&column.to_string(), runs).is_some(),
    }
}

/// The numbers in a column of values; none if anything else is among them.
fn numbers(name: &str, runs: &[RunLine]) -> Option<Vec<Option<f64>>> {
    let number = |run: &RunLine| match run.values.get(name) {
        None => Some(None),
        Some(value) => value.as_f64().map(Some),
    };
    runs.iter().map(number).collect()
}

fn cells(column: &Named, runs: &[RunLine]) -> Vec<String> {
    let name = match column {
        Named::Field(field) => return runs.iter().map(|run| cell(*field, run)).collect(),
        Named::Metric { .. } | Named::Param(_) => column.to_string(),
    };
    match numbers(&name, runs) {
        Some(numbers) => figures::column(&numbers),
        None => runs
            .iter()
            .map(|run| run.values.get(&name).map_or_else(|| NOTHING.to_owned(), super::comparison::value))
            .collect(),
    }
}

fn cell(field: Field, run: &RunLine) -> String {
    let counts = &run.counts;
    match field {
        Field::Run => run.run.to_string(),
        Field::Started => time(run.started),
        Field::Finished => run.finished.map_or_else(|| NOTHING.to_owned(), time),
        Field::Pipeline => run.pipeline.to_string(),
        Field::File => run.file.clone(),
        Field::Outcome => standing(run.outcome, run.alive).to_owned(),
        Field::Cause => run.cause.as_str().to_owned(),
        Field::Commit => commit(run),
        Field::Executed => counts.executed.to_string(),
        Field::Cached => counts.cached.to_string(),
        Field::Skipped => counts.skipped.to_string(),
        Field::Failed => counts.failed.to_string(),
        Field::Blocked => counts.blocked.to_string(),
        Field::Time => duration(run.wall_ms),
    }
}

/// The beginning of the hash; with a plus if there were changes that it does not have.
fn commit(run: &RunLine) -> String {
    let Some(git) = &run.git else { return NOTHING.to_owned() };
    let hash: String = git.commit.chars().take(COMMIT).collect();
    if git.dirty { format!("{hash}+") } else { hash }
}
