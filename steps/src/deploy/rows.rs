//! The rows that a smoke test sends, and what it expects back.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use camino::Utf8Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;

use crate::StepError;

/// The first rows of a table.
pub(super) struct Rows {
    batch: RecordBatch,
}

impl Rows {
    /// Reads at most `limit` rows of a Parquet file.
    pub(super) fn read(path: &Utf8Path, limit: usize) -> Result<Self, StepError> {
        let wrong = |problem: &dyn std::fmt::Display| StepError::format(path, problem.to_string());
        let file =
            std::fs::File::open(path).map_err(|source| StepError::Read { path: path.to_string(), source })?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(&error))?;
        let schema = reader.schema().clone();
        let reader = reader.with_limit(limit).build().map_err(|error| wrong(&error))?;
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
        let batch = concat_batches(&schema, &batches).map_err(|error| wrong(&error))?;
        if batch.num_rows() == 0 {
            return Err(wrong(&"there is no row to try the model with"));
        }
        Ok(Self { batch })
    }

    #[cfg(test)]
    pub(super) fn of(batch: RecordBatch) -> Self {
        Self { batch }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is such a column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.batch.column_by_name(column).is_some()
    }

    /// A column's values for an input of this datatype; a missing number is null, a missing text the empty text.
    pub(super) fn values(&self, column: &str, datatype: &str) -> Result<Vec<Json>, String> {
        let array = self.column(column)?;
        let as_type = match datatype {
            "FP64" | "FP32" => DataType::Float64,
            "INT64" => DataType::Int64,
            "BOOL" => DataType::Boolean,
            "BYTES" => DataType::Utf8,
            other => return Err(format!("input `{column}` takes {other}, which no column becomes")),
        };
        let array = cast(array, &as_type).map_err(|error| format!("column `{column}`: {error}"))?;
        let mut values = to_json(&array);
        if datatype == "BYTES" {
            values.iter_mut().filter(|value| value.is_null()).for_each(|value| *value = Json::from(""));
        }
        Ok(values)
    }

    /// A column's values as they are.
    pub(super) fn raw(&self, column: &str) -> Result<Vec<Json>, String> {
        let array = self.column(column)?;
        let as_type = match array.data_type() {
            DataType::Boolean => DataType::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                DataType::Utf8
            }
            kind if kind.is_integer() => DataType::Int64,
            _ => DataType::Float64,
        };
        let array = cast(array, &as_type).map_err(|error| format!("column `{column}`: {error}"))?;
        Ok(to_json(&array))
    }

    fn column(&self, name: &str) -> Result<&ArrayRef, String> {
        self.batch.column_by_name(name).ok_or_else(|| format!("the predictions have no column `{name}`"))
    }
}

/// The values of a column that was cast to one of the four types above.
fn to_json(array: &ArrayRef) -> Vec<Json> {
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().map(Json::from).collect(),
        DataType::Boolean => array.as_boolean().iter().map(Json::from).collect(),
        DataType::Utf8 => array.as_string::<i32>().iter().map(Json::from).collect(),
        _ => array.as_primitive::<Float64Type>().iter().map(Json::from).collect(),
    }
}
