//! CSV files: what their values allow, and reading them.

use std::io::{BufRead as _, Read};

use arrow_array::RecordBatch;
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format as CsvFormat;
use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;
use camino::Utf8Path;
use regex::Regex;

use super::interface::With;
use crate::StepError;
use crate::task::open;

/// Rows of a batch.
const BATCH: usize = 8192;

/// A CSV file and how it is written.
pub(super) struct Csv<'a> {
    path: &'a Utf8Path,
    format: CsvFormat,
    header: bool,
}

impl<'a> Csv<'a> {
    pub(super) fn new(path: &'a Utf8Path, with: &With) -> Result<Self, StepError> {
        let texts: Vec<String> = with.nulls.iter().map(|text| regex::escape(text)).collect();
        // No text at all is null if the list is empty; `$^` with a character before it never matches.
        let pattern =
            if texts.is_empty() { "[^\\s\\S]".to_owned() } else { format!("^(?:{})$", texts.join("|")) };
        let nulls = Regex::new(&pattern).map_err(|error| StepError::Order(error.to_string()))?;
        let tabs = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let delimiter = with.delimiter.unwrap_or(if tabs { '\t' } else { ',' });
        let format = CsvFormat::default()
            .with_header(with.header)
            .with_delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .with_null_regex(nulls);
        Ok(Self { path, format, header: with.header })
    }

    /// The columns with the types that all values of the file allow: it reads the whole file.
    pub(super) fn infer(&self) -> Result<SchemaRef, StepError> {
        let result = self.format.infer_schema(self.content()?, None);
        let (schema, _) = result.map_err(|error| self.error(&error, None))?;
        if schema.fields().is_empty() {
            let line = if self.header { "not even a line that names its columns" } else { "no line" };
            return Err(StepError::format(self.path, format!("it is empty: {line}")));
        }
        let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StepError::column(self.path, pair[0], "two columns have this name"));
        }
        Ok(SchemaRef::new(schema))
    }

    /// Hands out the rows, read as this schema says.
    pub(super) fn read(
        &self,
        schema: &SchemaRef,
        mut take: impl FnMut(RecordBatch) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let reader = ReaderBuilder::new(schema.clone())
            .with_format(self.format.clone())
            .with_batch_size(BATCH)
            .build(self.content()?)
            .map_err(|error| self.error(&error, Some(schema)))?;
        for batch in reader {
            take(batch.map_err(|error| self.error(&error, Some(schema)))?)?;
        }
        Ok(())
    }

    /// The file's bytes without a byte order mark.
    fn content(&self) -> Result<impl Read, StepError> {
        let mut reader = open(self.path)?;
        let start =
            reader.fill_buf().map_err(|source| StepError::Read { path: self.path.to_string(), source })?;
        if start.starts_with(b"\xEF\xBB\xBF") {
            reader.consume(3);
        }
        Ok(reader)
    }

    /// The reader's error, with the column's name instead of its number.
    fn error(&self, error: &ArrowError, schema: Option<&SchemaRef>) -> StepError {
        let text = match error {
            ArrowError::CsvError(text) | ArrowError::ParseError(text) => text.clone(),
            other => other.to_string(),
        };
        let value = Regex::new(
            r"(?s)^Error while parsing value '(.*?)' as type '(.*?)' for column (\d+) at line (\d+)",
        )
        .ok()
        .and_then(|pattern| pattern.captures(&text).map(|found| found.extract::<4>().1.map(str::to_owned)));
        let column = |place: &str| Some(schema?.fields().get(place.parse::<usize>().ok()?)?.name().clone());
        if let Some([value, kind, place, line]) = value
            && let (Some(column), Ok(line)) = (column(&place), line.parse::<u64>())
        {
            // The reader's "line" counts records from zero, the header included.
            let row = if self.header { line } else { line + 1 };
            let problem = format!("row {row}: {value:?} is no {kind}");
            return StepError::column(self.path, &column, problem);
        }
        StepError::format(self.path, text)
    }
}
