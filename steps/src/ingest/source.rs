//! The files of a source, each of which can tell its schema and be read.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use camino::{Utf8Path, Utf8PathBuf};

use super::csv::Csv;
use super::interface::{Format, With};
use crate::StepError;
use crate::table::TableReader;

/// A file of the source.
pub(super) struct SourceFile {
    path: Utf8PathBuf,
    format: Format,
}

/// All files of the source, in the order of their paths.
pub(super) fn find(paths: &[Utf8PathBuf], with: &With) -> Result<Vec<SourceFile>, StepError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(StepError::Order("the source holds no file".to_owned()));
    }
    files.into_iter().map(|path| SourceFile::new(path, with)).collect()
}

fn walk(folder: &Utf8Path, files: &mut Vec<Utf8PathBuf>) -> Result<(), StepError> {
    let unreadable = |source| StepError::Read { path: folder.to_string(), source };
    let entries = folder.read_dir_utf8().map_err(unreadable)?.collect::<Result<Vec<_>, _>>();
    let mut paths: Vec<Utf8PathBuf> =
        entries.map_err(unreadable)?.into_iter().map(camino::Utf8DirEntry::into_path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

impl SourceFile {
    fn new(path: Utf8PathBuf, with: &With) -> Result<Self, StepError> {
        let extension = path.extension().map(str::to_ascii_lowercase);
        let format = match (with.format, extension.as_deref()) {
            (Some(format), _) => format,
            (None, Some("csv" | "tsv" | "txt")) => Format::Csv,
            (None, Some("parquet")) => Format::Parquet,
            (None, _) => {
                let problem = "its extension tells no format; give `format`, or take it out of the source";
                return Err(StepError::format(&path, problem));
            }
        };
        Ok(Self { path, format })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Its columns under their old names, with the types that all its values allow.
    pub(super) fn schema(&self, with: &With) -> Result<SchemaRef, StepError> {
        match self.format {
            Format::Csv => Csv::new(&self.path, with)?.infer(),
            Format::Parquet => Ok(TableReader::open(&self.path)?.schema().clone()),
        }
    }

    /// Hands out its rows; a CSV file is read as this schema says.
    pub(super) fn read(
        &self,
        schema: &SchemaRef,
        with: &With,
        mut take: impl FnMut(RecordBatch) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        match self.format {
            Format::Csv => Csv::new(&self.path, with)?.read(schema, take),
            Format::Parquet => TableReader::open(&self.path)?.try_for_each(|batch| take(batch?)),
        }
    }
}
