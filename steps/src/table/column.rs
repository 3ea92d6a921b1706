//! A column in memory, as the steps compute with it.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

/// A column in memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    /// Numbers and truth values (1 and 0); what is missing is NaN.
    Numbers(Vec<f64>),
    /// Texts; what is missing is `None`.
    Texts(Vec<Option<String>>),
}

/// Which of the two a type becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Numbers and truth values.
    Number,
    /// Texts.
    Text,
}

impl Kind {
    /// The kind of a type; an error in words for a type that is neither.
    pub(crate) fn of(data_type: &DataType) -> Result<Self, String> {
        use DataType as T;
        match data_type {
            data_type if data_type.is_numeric() => Ok(Self::Number),
            T::Boolean => Ok(Self::Number),
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Ok(Self::Text),
            T::Dictionary(_, values) => Self::of(values),
            other => Err(format!("its type {other} is neither a number, a truth value nor text")),
        }
    }
}

impl Column {
    /// An empty column of this kind.
    pub(crate) fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Number => Self::Numbers(Vec::new()),
            Kind::Text => Self::Texts(Vec::new()),
        }
    }

    /// Appends an array; an error in words if it is of another kind.
    pub(crate) fn append(&mut self, array: &ArrayRef) -> Result<(), String> {
        match (self, Kind::of(array.data_type())?) {
            (Self::Numbers(values), Kind::Number) => {
                let numbers = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
                let numbers = numbers.as_primitive::<Float64Type>();
                values.extend(numbers.iter().map(|value| value.unwrap_or(f64::NAN)));
                Ok(())
            }
            (Self::Texts(values), Kind::Text) => {
                values.extend(text_values(array)?);
                Ok(())
            }
            _ => Err("its kind changes within the file".to_owned()),
        }
    }
}

/// The values of an array as texts.
fn text_values(array: &ArrayRef) -> Result<Vec<Option<String>>, String> {
    let texts = cast(array, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(texts.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect())
}
