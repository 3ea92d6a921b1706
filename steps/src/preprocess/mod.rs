//! `preprocess`: splits a table into training, validation and test rows, and fits the transform on the training rows only.

mod interface;
mod split;
mod target;

pub(crate) use interface::With;

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use camino::Utf8Path;

use crate::catalog::Entry;
use crate::say::say;
use crate::table::{TableReader, TableWriter};
use crate::transform::{Settings, fit};
use crate::{StepError, Task, with};
use split::{Part, Shares, split};
use target::Target;

/// The parts, with the outputs that they become.
const PARTS: [(Part, &str); 3] =
    [(Part::Train, "train"), (Part::Validation, "validation"), (Part::Test, "test")];

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry =
    Entry { interface: interface::interface, check: with::check::<With>, run, effect: None };

/// Writes the three parts and the transform.
fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let table = task.input("table")?;
    let features = features(&table, &with)?;
    let target = Target::read(&table, &with)?;
    let rows = target.strata.iter().map(Vec::len).sum();
    let shares = Shares { test: with.test, validation: with.validation };
    let parts = split(rows, &target.strata, shares, with.seed);
    if !parts.contains(&Part::Train) {
        return Err(StepError::Training("no row is left to learn from".to_owned()));
    }
    let columns: Vec<String> = features.iter().chain([&with.target]).cloned().collect();
    write_parts(task, &table, &columns, &parts)?;
    let settings = Settings { impute: with.impute, scale: with.scale, categorical: &with.categorical };
    let transform = fit(&task.output("train")?, &with.target, target.task, &features, &settings)?;
    let width: usize = transform.features.iter().map(|feature| feature.treatment.width()).sum();
    say(format_args!("{} columns become {width} numbers", transform.features.len()));
    task.write_json("transform", &transform)
}

/// The columns that a model sees.
fn features(table: &Utf8Path, with: &With) -> Result<Vec<String>, StepError> {
    let reader = TableReader::open(table)?;
    reader.require([&with.target].into_iter().chain(with.features.iter().flatten()))?;
    let names = reader.schema().fields().iter().map(|field| field.name().clone());
    let features: Vec<String> =
        with.features.clone().unwrap_or_else(|| names.filter(|name| *name != with.target).collect());
    if features.is_empty() {
        return Err(StepError::column(table, &with.target, "there is no column besides the target"));
    }
    match with.categorical.iter().find(|name| !features.contains(name)) {
        Some(name) => Err(StepError::column(table, name, "`categorical` names it, but it is no feature")),
        None => Ok(features),
    }
}

/// Deals the rows to the files of their parts, in the order of the table.
fn write_parts(task: &Task, table: &Utf8Path, columns: &[String], parts: &[Part]) -> Result<(), StepError> {
    let reader = TableReader::with_columns(table, Some(columns))?;
    let schema = reader.schema().clone();
    let create = |(part, output)| Ok((part, TableWriter::create(&task.output(output)?, &schema)?));
    let mut writers = PARTS.into_iter().map(create).collect::<Result<Vec<_>, StepError>>()?;
    let mut first = 0;
    for batch in reader {
        let batch = batch?;
        let dealt = &parts[first..first + batch.num_rows()];
        for (part, writer) in &mut writers {
            let mask = BooleanArray::from(dealt.iter().map(|dealt| dealt == part).collect::<Vec<_>>());
            let rows = filter_record_batch(&batch, &mask)
                .map_err(|error| StepError::format(table, error.to_string()))?;
            writer.write(&rows)?;
        }
        first += batch.num_rows();
    }
    writers.into_iter().try_for_each(|(_, writer)| writer.finish())?;
    for (part, output) in PARTS {
        say(format_args!("{output}: {} rows", parts.iter().filter(|dealt| **dealt == part).count()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
