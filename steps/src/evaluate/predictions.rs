//! The raw test rows, each with what the chosen model says of it.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::{Field, Schema};
use camino::Utf8Path;

use crate::StepError;
use crate::predict::Predicted;
use crate::scores::largest;
use crate::table::{TableReader, TableWriter};
use crate::transform::Classes;

/// Writes the test rows with the column `prediction` more; for classes with `label`, and a probability for each in
/// `probability_<class>`.
pub(super) fn write(
    test: &Utf8Path,
    to: &Utf8Path,
    predicted: &Predicted,
    classes: Option<&Classes>,
) -> Result<(), StepError> {
    let reader = TableReader::open(test)?;
    let added = columns(predicted, classes);
    for (name, _) in &added {
        if reader.schema().field_with_name(name).is_ok() {
            let problem = "the predictions get a column of this name: rename it in `ingest`";
            return Err(StepError::column(test, name, problem));
        }
    }
    let mut fields: Vec<Field> =
        reader.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.extend(added.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)));
    let schema = Arc::new(Schema::new(fields));
    let mut writer = TableWriter::create(to, &schema)?;
    let mut first = 0;
    for batch in reader {
        let batch = batch?;
        let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
        arrays.extend(added.iter().map(|(_, array)| array.slice(first, batch.num_rows())));
        let batch_out = RecordBatch::try_new(schema.clone(), arrays)
            .map_err(|error| StepError::format(to, error.to_string()))?;
        writer.write(&batch_out)?;
        first += batch.num_rows();
    }
    writer.finish()
}

fn numbers(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values.iter().copied()))
}

fn columns(predicted: &Predicted, classes: Option<&Classes>) -> Vec<(String, ArrayRef)> {
    match (predicted, classes) {
        (Predicted::Numbers(values), _) => vec![("prediction".to_owned(), numbers(values))],
        (Predicted::Shares { .. }, None) => Vec::new(),
        (Predicted::Shares { classes: count, shares }, Some(classes)) => {
            let places = shares.chunks_exact(*count).map(largest);
            let labels: ArrayRef = match classes {
                Classes::Integers(classes) => {
                    Arc::new(Int64Array::from_iter_values(places.map(|place| classes[place])))
                }
                Classes::Texts(classes) => {
                    Arc::new(StringArray::from_iter_values(places.map(|place| &classes[place])))
                }
            };
            let share = |(place, name): (usize, String)| {
                let values: Vec<f64> = shares.iter().skip(place).step_by(*count).copied().collect();
                (format!("probability_{name}"), numbers(&values))
            };
            let mut columns = vec![("label".to_owned(), labels)];
            columns.extend(classes.names().into_iter().enumerate().map(share));
            columns
        }
    }
}
