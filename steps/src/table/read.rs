//! Reading a Parquet file batch by batch.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::StepError;
use crate::nearest::nearest;

/// Rows of a batch.
const BATCH: usize = 8192;

/// A Parquet file that is being read.
pub(crate) struct TableReader {
    path: Utf8PathBuf,
    schema: SchemaRef,
    rows: usize,
    batches: ParquetRecordBatchReader,
}

impl TableReader {
    /// Opens a file to read all its columns.
    pub(crate) fn open(path: &Utf8Path) -> Result<Self, StepError> {
        Self::with_columns(path, None)
    }

    /// Opens a file to read these columns, or all; they come in the order of the file.
    pub(crate) fn with_columns(path: &Utf8Path, columns: Option<&[String]>) -> Result<Self, StepError> {
        let file =
            std::fs::File::open(path).map_err(|source| StepError::Read { path: path.to_string(), source })?;
        let damaged = |error: parquet::errors::ParquetError| StepError::format(path, error.to_string());
        let mut builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?.with_batch_size(BATCH);
        let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        if let Some(columns) = columns {
            let schema = builder.schema();
            let chosen =
                (0..schema.fields().len()).filter(|place| columns.contains(schema.field(*place).name()));
            let mask = ProjectionMask::roots(builder.parquet_schema(), chosen);
            builder = builder.with_projection(mask);
        }
        let batches = builder.build().map_err(damaged)?;
        Ok(Self {
            path: path.to_owned(),
            schema: arrow_array::RecordBatchReader::schema(&batches),
            rows,
            batches,
        })
    }

    /// The columns that are read.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Each of these must be a column that is read.
    pub(crate) fn require<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<(), StepError> {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let Some(unknown) = names.into_iter().find(|name| !columns.contains(&name.as_str())) else {
            return Ok(());
        };
        let problem = nearest(unknown, columns.iter().copied()).map_or_else(
            || "there is no such column".to_owned(),
            |near| format!("there is no such column; is `{near}` meant?"),
        );
        Err(StepError::column(&self.path, unknown, problem))
    }

    /// How many rows the file has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

impl Iterator for TableReader {
    type Item = Result<RecordBatch, StepError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.map_err(|error| StepError::format(&self.path, error.to_string())))
    }
}
