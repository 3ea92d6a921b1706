//! Asking the history: which runs fulfil conditions, in which order, with which columns.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _};

use super::column::{Cell, Column, Field, resolve};
use super::condition::{Condition, Test};
use super::error::{RecordError, Trouble};
use super::index;
use super::line::RunLine;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Only runs of this pipeline.
    pub pipeline: Option<OfPipeline>,
    /// Only runs that fulfil all of these.
    pub conditions: Vec<Condition>,
    /// The order; newest first without one.
    pub sort: Option<Sort>,
    /// The names of the columns to show; without them the usual ones, and those that the conditions and the order name.
    pub columns: Option<Vec<String>>,
    /// How many runs, at most.
    pub limit: usize,
}

/// A pipeline whose runs are meant.
#[derive(Debug, Clone)]
pub struct OfPipeline {
    /// Its name.
    pub name: String,
    /// Its file, relative to the project, if there is one; without it, it is an error that no run is of the pipeline.
    pub file: Option<String>,
}

/// An order of runs. Those that have nothing in the column come last; equal ones stand newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    column: String,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct Found {
    /// The columns to show.
    pub columns: Vec<Column>,
    /// The runs, in order, with the metrics and parameters of these columns.
    pub runs: Vec<RunLine>,
    /// How many runs fulfil the conditions, shown or not.
    pub matched: usize,
    /// How many runs there are.
    pub total: usize,
}

impl Sort {
    /// The order that a text says: `COLUMN`, `COLUMN:asc` or `COLUMN:desc`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (column, direction) = match text.rsplit_once(':') {
            Some((column, "desc")) => (column, Direction::Descending),
            Some((column, "asc")) => (column, Direction::Ascending),
            // A matrix value may hold a colon.
            _ => (text, Direction::Ascending),
        };
        Self { column: column.trim().to_owned(), direction }
    }
}

/// The column names in a list with commas; a comma in brackets belongs to a step's matrix values.
#[must_use]
pub fn column_names(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let names = text.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The columns that a table has if nothing else was said.
const USUAL: [Field; 8] = [
    Field::Run,
    Field::Started,
    Field::Pipeline,
    Field::Outcome,
    Field::Executed,
    Field::Cached,
    Field::Failed,
    Field::Time,
];

/// A query with its names resolved.
struct Resolved {
    tests: Vec<(Column, Test)>,
    sort: Option<(Column, Direction)>,
    shown: Vec<Column>,
}

/// Answers a query from an index that is up to date.
pub(super) fn select(connection: &Connection, query: &Query) -> Result<Found, Trouble> {
    // One state of the index, however many questions.
    let transaction = connection.unchecked_transaction()?;
    let total = count(&transaction, "")?;
    if total == 0 {
        let columns = USUAL.map(Column::Field).to_vec();
        return Ok(Found { columns, runs: Vec::new(), matched: 0, total });
    }
    let series = index::series(&transaction)?;
    let resolved = resolve_all(query, &series.iter().map(|(_, column)| column.clone()).collect::<Vec<_>>())?;
    let of_pipeline = restriction(&transaction, query.pipeline.as_ref())?;
    let (chosen, matched) = if resolved.tests.is_empty() && resolved.sort.is_none() {
        (newest(&transaction, &of_pipeline, query.limit)?, count(&transaction, &of_pipeline)?)
    } else {
        let all = newest(&transaction, &of_pipeline, usize::MAX)?;
        choose(&transaction, all, &resolved, &series, query.limit)?
    };
    let runs: Result<Vec<RunLine>, _> =
        chosen.into_iter().map(|no| line(&transaction, no, &resolved.shown, &series)).collect();
    Ok(Found { columns: resolved.shown, runs: runs?, matched, total })
}

fn resolve_all(query: &Query, known: &[Column]) -> Result<Resolved, RecordError> {
    let mut tests = Vec::new();
    for condition in &query.conditions {
        let column = resolve(&condition.column, known)?;
        let test = condition.test(&column)?;
        tests.push((column, test));
    }
    let sort =
        query.sort.as_ref().map(|sort| Ok::<_, RecordError>((resolve(&sort.column, known)?, sort.direction)));
    let sort = sort.transpose()?;
    let named = match &query.columns {
        Some(names) => names.iter().map(|name| resolve(name, known)).collect::<Result<Vec<_>, _>>()?,
        None => tests
            .iter()
            .map(|(column, _)| column)
            .chain(sort.iter().map(|(column, _)| column))
            .cloned()
            .collect(),
    };
    let mut shown = match query.columns {
        Some(_) if named.contains(&Column::Field(Field::Run)) => Vec::new(),
        Some(_) => vec![Column::Field(Field::Run)],
        None => USUAL.map(Column::Field).to_vec(),
    };
    for column in named {
        if !shown.contains(&column) {
            shown.push(column);
        }
    }
    Ok(Resolved { tests, sort, shown })
}

/// The further condition of a statement that only runs of this pipeline count.
fn restriction(connection: &Connection, pipeline: Option<&OfPipeline>) -> Result<String, Trouble> {
    let Some(OfPipeline { name, file }) = pipeline else { return Ok(String::new()) };
    let mut statement = connection.prepare_cached("SELECT no FROM pipeline WHERE name = ?1 OR file = ?2")?;
    let numbers = statement.query_map([Some(name), file.as_ref()], |row| row.get::<_, i64>(0))?;
    let numbers: Vec<String> =
        numbers.map(|number| number.map(|number| number.to_string())).collect::<Result<_, _>>()?;
    Ok(match numbers.as_slice() {
        [one] => format!(" AND pipeline = {one}"),
        [] if file.is_none() => return Err(RecordError::UnknownPipeline { name: name.clone() }.into()),
        several => format!(" AND pipeline IN ({})", several.join(", ")),
    })
}

/// How many runs there are.
fn count(connection: &Connection, restriction: &str) -> rusqlite::Result<usize> {
    let statement = format!("SELECT count(*) FROM run WHERE state >= 2{restriction}");
    let count: i64 = connection.prepare_cached(&statement)?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The rows of runs, newest first.
fn newest(connection: &Connection, restriction: &str, limit: usize) -> rusqlite::Result<Vec<usize>> {
    // A run that has a pipeline has a line; so the state is asked only where it stands in the index that is swept.
    let state = if restriction.is_empty() { "state >= 2" } else { "true" };
    let statement = format!("SELECT no FROM run WHERE {state}{restriction} ORDER BY id DESC LIMIT ?1");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&statement)?;
    statement.query_map([limit], |row| Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))?.collect()
}

/// Those of the rows (newest first) that pass all tests, sorted, and how many passed.
fn choose(
    connection: &Connection,
    mut rows: Vec<usize>,
    resolved: &Resolved,
    series: &[(i64, Column)],
    limit: usize,
) -> rusqlite::Result<(Vec<usize>, usize)> {
    let needed =
        resolved.tests.iter().map(|(column, _)| column).chain(resolved.sort.iter().map(|(column, _)| column));
    let length = rows.iter().max().map_or(0, |largest| largest + 1);
    let cells = cells(connection, &needed.collect(), series, length)?;
    for (column, test) in &resolved.tests {
        let cells = &cells[column];
        rows.retain(|row| cells[*row].as_ref().is_some_and(|cell| test.holds(cell)));
    }
    let matched = rows.len();
    if let Some((column, direction)) = &resolved.sort {
        rows = sorted(rows, &cells[column], *direction, limit);
    }
    rows.truncate(limit);
    Ok((rows, matched))
}

/// The first rows in the order of their cells; without a cell they come last, and equal ones stay in their order.
fn sorted(rows: Vec<usize>, cells: &[Option<Cell>], direction: Direction, limit: usize) -> Vec<usize> {
    let mut placed: Vec<(usize, usize)> = rows.into_iter().enumerate().collect();
    let order = |(place, row): &(usize, usize), (other_place, other): &(usize, usize)| {
        let by_value = match (&cells[*row], &cells[*other]) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) if direction == Direction::Ascending => a.order(b),
            (Some(a), Some(b)) => b.order(a),
        };
        by_value.then(place.cmp(other_place))
    };
    if limit < placed.len() {
        placed.select_nth_unstable_by(limit, order);
        placed.truncate(limit);
    }
    placed.sort_unstable_by(order);
    placed.into_iter().map(|(_, row)| row).collect()
}

/// Columns with what stands in them, by row.
type Cells<'a> = BTreeMap<&'a Column, Vec<Option<Cell>>>;

/// What stands in these columns: one sweep over the runs for all fields, and one for each metric and parameter.
fn cells<'a>(
    connection: &Connection,
    columns: &BTreeSet<&'a Column>,
    series: &[(i64, Column)],
    length: usize,
) -> rusqlite::Result<Cells<'a>> {
    let mut cells = Cells::new();
    let mut fields = Vec::new();
    for column in columns {
        match column {
            Column::Field(field) => fields.push((*column, index::expression(*field))),
            Column::Metric { .. } | Column::Param(_) => {
                let number = series.iter().find(|(_, known)| known == *column).map(|(number, _)| *number);
                let statement =
                    format!("SELECT run, value FROM value WHERE series = {}", number.unwrap_or(-1));
                cells.extend(sweep(connection, &statement, &[column], length)?);
            }
        }
    }
    if !fields.is_empty() {
        let (columns, expressions): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let statement = format!("SELECT no, {} FROM run WHERE state >= 2", expressions.join(", "));
        cells.extend(sweep(connection, &statement, &columns, length)?);
    }
    Ok(cells)
}

/// The columns that a statement gives after the number of the row.
fn sweep<'a>(
    connection: &Connection,
    statement: &str,
    columns: &[&'a Column],
    length: usize,
) -> rusqlite::Result<Cells<'a>> {
    let mut swept: Vec<Vec<Option<Cell>>> = vec![vec![None; length]; columns.len()];
    let mut statement = connection.prepare(statement)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let place = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        for (column, cells) in swept.iter_mut().enumerate() {
            if let Some(cell) = cells.get_mut(place) {
                *cell = Cell::read(row.get_ref(column + 1)?);
            }
        }
    }
    Ok(columns.iter().copied().zip(swept).collect())
}

/// The line of a row with the values of these columns.
fn line(
    connection: &Connection,
    row: usize,
    shown: &[Column],
    series: &[(i64, Column)],
) -> rusqlite::Result<RunLine> {
    let number = i64::try_from(row).unwrap_or(i64::MAX);
    let mut line = index::line(connection, number)?;
    let mut find = connection.prepare_cached("SELECT value FROM value WHERE series = ?1 AND run = ?2")?;
    for (number_of_series, column) in series.iter().filter(|(_, column)| shown.contains(column)) {
        let cell =
            find.query_row([*number_of_series, number], |row| Ok(Cell::read(row.get_ref(0)?))).optional()?;
        if let Some(cell) = cell.flatten() {
            line.values.insert(column.to_string(), cell.to_json());
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_colons_of_a_matrix_stay() {
        assert_eq!(column_names("run, train[a=1,b=2].loss,,seed"), ["run", "train[a=1,b=2].loss", "seed"]);
        let sort = Sort::parse("train[a=x:y].loss");
        assert_eq!((sort.column.as_str(), sort.direction), ("train[a=x:y].loss", Direction::Ascending));
        assert_eq!(Sort::parse("started:desc").direction, Direction::Descending);
    }
}
