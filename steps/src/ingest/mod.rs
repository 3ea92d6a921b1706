//! `ingest`: CSV and Parquet files become one table. It reads row by row and keeps no file in memory.

mod csv;
mod interface;
mod layout;
mod source;

use crate::catalog::Entry;
use crate::say::say;
use crate::table::TableWriter;
use crate::{StepError, Task, with};
use interface::With;
use layout::Layout;

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry =
    Entry { interface: interface::interface, check: with::check::<With>, run, effect: None };

/// Reads the source and writes the table.
fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let files = source::find(&task.inputs("source"), &with)?;
    let schemas = files.iter().map(|file| file.schema(&with)).collect::<Result<Vec<_>, _>>()?;
    let layout = Layout::new(&files, &schemas, &with)?;
    let mut writer = TableWriter::create(&task.output("table")?, layout.schema())?;
    let mut rows = 0;
    for (file, schema) in files.iter().zip(&schemas) {
        file.read(&layout.read_as(schema), &with, |batch| {
            rows += batch.num_rows();
            writer.write(&layout.arrange(file.path(), &batch)?)
        })?;
    }
    writer.finish()?;
    say(format_args!(
        "{rows} rows of {} columns from {} file(s)",
        layout.schema().fields().len(),
        files.len()
    ));
    for field in layout.schema().fields() {
        say(format_args!("  {}: {}", field.name(), field.data_type()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
