//! Writing a Parquet file whose bytes depend on its content only.
//!
//! No time, no version of this program and no metadata of the source enter the file, and one thread writes it, so the same
//! table gives the same bytes on every machine, and downstream keys stay as they are.

use std::fs::File;
use std::io::BufWriter;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::StepError;
use crate::task::create;

/// A Parquet file that is being written.
pub(crate) struct TableWriter {
    path: Utf8PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<BufWriter<File>>,
}

impl TableWriter {
    /// Creates a file for a table of these columns.
    pub(crate) fn create(path: &Utf8Path, schema: &Schema) -> Result<Self, StepError> {
        let plain = |field: &Field| Field::new(field.name(), field.data_type().clone(), true);
        let fields: Vec<Field> = schema.fields().iter().map(|field| plain(field)).collect();
        let schema = SchemaRef::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_created_by("tidemill".to_owned())
            .set_compression(Compression::SNAPPY)
            .build();
        let writer = ArrowWriter::try_new(create(path)?, schema.clone(), Some(properties))
            .map_err(|error| StepError::format(path, error.to_string()))?;
        Ok(Self { path: path.to_owned(), schema, writer })
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StepError> {
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())
            .map_err(|error| StepError::format(&self.path, error.to_string()))?;
        self.writer.write(&batch).map_err(|error| StepError::format(&self.path, error.to_string()))
    }

    /// Completes the file.
    pub(crate) fn finish(mut self) -> Result<(), StepError> {
        use std::io::Write as _;
        self.writer.finish().map_err(|error| StepError::format(&self.path, error.to_string()))?;
        let flushed = self.writer.inner_mut().flush();
        flushed.map_err(|source| StepError::Write { path: self.path.to_string(), source })
    }
}
