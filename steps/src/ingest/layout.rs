//! The layout of the table: which columns of the files it has, under which names and with which types.

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use camino::Utf8Path;

use super::interface::{ColumnType, With};
use super::source::SourceFile;
use crate::StepError;
use crate::nearest::nearest;

/// The columns of the table.
pub(super) struct Layout {
    /// The columns' old names, in the order of the table.
    sources: Vec<String>,
    /// The columns' new names and types.
    schema: SchemaRef,
}

impl Layout {
    /// The layout that all files allow and the `with` table asks for.
    pub(super) fn new(files: &[SourceFile], schemas: &[SchemaRef], with: &With) -> Result<Self, StepError> {
        let (Some(first), Some(file)) = (schemas.first(), files.first()) else {
            return Err(StepError::Order("the source holds no file".to_owned()));
        };
        for (schema, other) in schemas.iter().zip(files) {
            same_columns(first, schema, other.path(), file.path())?;
        }
        let all: Vec<&str> = first.fields().iter().map(|field| field.name().as_str()).collect();
        known(file.path(), &all, with.rename.keys())?;
        let renamed = |old: &str| with.rename.get(old).cloned().unwrap_or_else(|| old.to_owned());
        let news: Vec<String> = all.iter().map(|old| renamed(old)).collect();
        if let Some(twice) = news.iter().enumerate().find(|(place, name)| news[..*place].contains(name)) {
            return Err(StepError::column(file.path(), twice.1, "two columns would have this name"));
        }
        let new_names: Vec<&str> = news.iter().map(String::as_str).collect();
        known(file.path(), &new_names, with.types.keys())?;
        known(file.path(), &new_names, with.columns.iter().flatten())?;
        let chosen = with.columns.clone().unwrap_or_else(|| news.clone());
        let mut sources = Vec::with_capacity(chosen.len());
        let mut fields = Vec::with_capacity(chosen.len());
        for name in &chosen {
            let place = news.iter().position(|new| new == name);
            let old = place.map_or(name.as_str(), |place| all[place]);
            let data_type = match with.types.get(name) {
                Some(column_type) => column_type.data_type(),
                None => common_type(schemas, old),
            };
            fields.push(Field::new(name, data_type, true));
            sources.push(old.to_owned());
        }
        Ok(Self { sources, schema: SchemaRef::new(Schema::new(fields)) })
    }

    /// The columns of the table.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How a CSV file of these columns is to be read: under its own names, with the table's types.
    pub(super) fn read_as(&self, file: &SchemaRef) -> SchemaRef {
        let field = |field: &Field| {
            let place = self.sources.iter().position(|source| source == field.name());
            let data_type =
                place.map_or(DataType::Utf8, |place| self.schema.field(place).data_type().clone());
            Field::new(field.name(), data_type, true)
        };
        SchemaRef::new(Schema::new(file.fields().iter().map(|f| field(f)).collect::<Vec<_>>()))
    }

    /// The rows of a file, with the table's columns.
    pub(super) fn arrange(&self, path: &Utf8Path, batch: &RecordBatch) -> Result<RecordBatch, StepError> {
        let column = |(source, field): (&String, &std::sync::Arc<Field>)| -> Result<ArrayRef, StepError> {
            let missing = || StepError::column(path, source, "there is no such column");
            let array = batch.column_by_name(source).ok_or_else(missing)?;
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(array, field.data_type(), &strict)
                .map_err(|error| StepError::column(path, source, error.to_string()))
        };
        let columns =
            self.sources.iter().zip(self.schema.fields()).map(column).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| StepError::format(path, error.to_string()))
    }
}

impl ColumnType {
    fn data_type(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

/// Every name must be a column.
fn known<'n>(
    path: &Utf8Path,
    columns: &[&str],
    names: impl IntoIterator<Item = &'n String>,
) -> Result<(), StepError> {
    let Some(unknown) = names.into_iter().find(|name| !columns.contains(&name.as_str())) else {
        return Ok(());
    };
    let near = nearest(unknown, columns.iter().copied());
    let problem = near.map_or_else(
        || format!("there is no such column; there are {}", columns.join(", ")),
        |near| format!("there is no such column; is `{near}` meant?"),
    );
    Err(StepError::column(path, unknown, problem))
}

/// The columns of all files must have the same names, in any order.
fn same_columns(
    first: &Schema,
    other: &Schema,
    path: &Utf8Path,
    first_path: &Utf8Path,
) -> Result<(), StepError> {
    let lacks = |schema: &Schema, of: &Schema| {
        let lacking = of.fields().iter().find(|field| schema.field_with_name(field.name()).is_err());
        lacking.map(|field| field.name().clone())
    };
    if let Some(name) = lacks(other, first) {
        return Err(StepError::column(path, &name, format!("it is missing, but `{first_path}` has it")));
    }
    match lacks(first, other) {
        Some(name) => Err(StepError::column(path, &name, format!("`{first_path}` does not have it"))),
        None => Ok(()),
    }
}

/// The type that the values of a column have in all files. A column without any value is text.
fn common_type(schemas: &[SchemaRef], name: &str) -> DataType {
    let types = schemas.iter().filter_map(|schema| schema.field_with_name(name).ok().map(Field::data_type));
    let join = |left: DataType, right: &DataType| match (&left, right) {
        (left_type, right) if left_type == right => left,
        (DataType::Null, right) => right.clone(),
        (_, DataType::Null) => left,
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => DataType::Utf8,
    };
    match types.fold(DataType::Null, join) {
        DataType::Null => DataType::Utf8,
        known => known,
    }
}
