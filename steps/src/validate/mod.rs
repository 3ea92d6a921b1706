//! `validate`: holds a table against rules. Data that break one stop the pipeline.

mod interface;
mod rule;
mod rules;

pub(crate) use interface::With;

use serde::Serialize;

use crate::catalog::Entry;
use crate::say::say;
use crate::table::TableReader;
use crate::task::copy;
use crate::{StepError, Task, with};
use rules::Rules;

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry =
    Entry { interface: interface::interface, check: with::check::<With>, run, effect: None };

/// What is written as `report`.
#[derive(Serialize)]
struct Report<'a> {
    rows: u64,
    passed: bool,
    rules: &'a [rule::Outcome],
}

/// Checks the table and passes it on as it is.
fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let path = task.input("table")?;
    let table = TableReader::open(&path)?;
    let mut rules =
        Rules::new(&with, table.schema()).map_err(|(path, message)| StepError::With { path, message })?;
    let mut rows = 0;
    for batch in table {
        let batch = batch?;
        rules.see(&batch, rows);
        rows += batch.num_rows() as u64;
    }
    let outcomes = rules.finish(rows);
    let broken: Vec<String> = outcomes.iter().filter_map(rule::Outcome::complaint).collect();
    task.write_json("report", &Report { rows, passed: broken.is_empty(), rules: &outcomes })?;
    if !broken.is_empty() {
        return Err(StepError::Invalid { rules: outcomes.len(), broken });
    }
    say(format_args!("{rows} rows satisfy {} rules", outcomes.len()));
    copy(&path, &task.output("table")?)
}

#[cfg(test)]
mod tests;
