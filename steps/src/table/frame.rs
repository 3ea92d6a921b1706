//! Some columns of a table in memory.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Column, Kind, TableReader};
use crate::StepError;

/// Some columns of a table in memory, in the order that was asked for.
#[derive(Debug)]
pub(crate) struct Frame {
    path: Utf8PathBuf,
    rows: usize,
    columns: Vec<(String, Column)>,
}

impl Frame {
    /// Reads these columns.
    pub(crate) fn read(path: &Utf8Path, names: &[String]) -> Result<Self, StepError> {
        let reader = TableReader::with_columns(path, Some(names))?;
        reader.require(names)?;
        let rows = reader.rows();
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let field = reader.schema().field_with_name(name).map_err(|_| no_column(path, name))?;
            let kind =
                Kind::of(field.data_type()).map_err(|problem| StepError::column(path, name, problem))?;
            columns.push((name.clone(), Column::empty(kind)));
        }
        for batch in reader {
            let batch = batch?;
            for (name, column) in &mut columns {
                let array = batch.column_by_name(name).ok_or_else(|| no_column(path, name))?;
                column.append(array).map_err(|problem| StepError::column(path, name, problem))?;
            }
        }
        Ok(Self { path: path.to_owned(), rows, columns })
    }

    /// The file that it was read from.
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A column.
    pub(crate) fn column(&self, name: &str) -> Result<&Column, StepError> {
        let column = self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column);
        column.ok_or_else(|| no_column(&self.path, name))
    }

    /// A column of numbers of which none is missing.
    pub(crate) fn complete_numbers(&self, name: &str) -> Result<&[f64], StepError> {
        let Column::Numbers(values) = self.column(name)? else {
            return Err(StepError::column(&self.path, name, "numbers are needed, but it holds texts"));
        };
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(row) => {
                let problem = format!("row {} has no finite value", row + 1);
                Err(StepError::column(&self.path, name, problem))
            }
        }
    }
}

fn no_column(path: &Utf8Path, name: &str) -> StepError {
    StepError::column(path, name, "there is no such column")
}
