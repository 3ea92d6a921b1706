//! Running a model on rows of a table.

use camino::{Utf8Path, Utf8PathBuf};

use crate::StepError;
use crate::model::{Element, Model, Tensor};
use crate::scores::{self, Scores};
use crate::table::{Column, Frame};
use crate::task::read;
use crate::transform::Classes;

/// Rows that are run at once, so that memory does not grow with the table.
const CHUNK: usize = 4096;

/// A model file with what its notes say.
#[derive(Debug)]
pub(crate) struct Predictor {
    path: Utf8PathBuf,
    bytes: Vec<u8>,
    model: Model,
    target: String,
    algorithm: Option<String>,
    classes: Option<Classes>,
}

/// What a model says of rows.
#[derive(Debug)]
pub(crate) enum Predicted {
    /// A number for each row.
    Numbers(Vec<f64>),
    /// The probabilities of all classes, row by row.
    Shares {
        /// How many classes there are.
        classes: usize,
        /// The probabilities.
        shares: Vec<f64>,
    },
}

impl Predictor {
    /// Reads a model file. The target takes the place of the one that the model notes.
    pub(crate) fn open(path: &Utf8Path, target: Option<&str>) -> Result<Self, StepError> {
        Self::load(path, read(path)?, target)
    }

    /// A model whose file has these bytes.
    pub(crate) fn load(path: &Utf8Path, bytes: Vec<u8>, target: Option<&str>) -> Result<Self, StepError> {
        let model =
            Model::load(&bytes).map_err(|source| StepError::Model { path: path.to_string(), source })?;
        let note = |name: &str| model.metadata().get(name).cloned();
        let Some(target) = target.map(str::to_owned).or_else(|| note("target")) else {
            let problem = "the model does not note which column it predicts; set `target` in `with`";
            return Err(StepError::format(path, problem));
        };
        let classes = match note("classes") {
            None => None,
            Some(text) => Some(
                serde_json::from_str(&text).map_err(|error| StepError::format(path, error.to_string()))?,
            ),
        };
        let algorithm = note("algorithm");
        Ok(Self { path: path.to_owned(), bytes, model, target, algorithm, classes })
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The column that it predicts.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// How it was trained, if it notes that.
    pub(crate) fn algorithm(&self) -> Option<&str> {
        self.algorithm.as_deref()
    }

    /// The classes that it tells apart; none for a regression.
    pub(crate) fn classes(&self) -> Option<&Classes> {
        self.classes.as_ref()
    }

    /// The rows of a table with all columns that it takes, and its target.
    pub(crate) fn frame(&self, table: &Utf8Path) -> Result<Frame, StepError> {
        let inputs = self.model.inputs().iter().map(|spec| spec.name.clone());
        Frame::read(table, &inputs.chain([self.target.clone()]).collect::<Vec<_>>())
    }

    /// What it says of these rows.
    pub(crate) fn predict(&self, frame: &Frame) -> Result<Predicted, StepError> {
        let mut results = Vec::with_capacity(frame.rows());
        for first in (0..frame.rows()).step_by(CHUNK) {
            let rows = first..(first + CHUNK).min(frame.rows());
            let (name, tensor) = self.run(frame, rows)?;
            match tensor {
                Tensor::F64(_, values) => results.extend(values),
                Tensor::F32(_, values) => results.extend(values.into_iter().map(f64::from)),
                Tensor::I64(..) | Tensor::Bool(..) | Tensor::Text(..) => {
                    return Err(StepError::format(&self.path, format!("the output `{name}` holds no FP64")));
                }
            }
        }
        Ok(match &self.classes {
            None => Predicted::Numbers(results),
            Some(classes) => Predicted::Shares { classes: classes.count(), shares: results },
        })
    }

    /// The output that is judged, on these rows.
    fn run(&self, frame: &Frame, rows: std::ops::Range<usize>) -> Result<(String, Tensor), StepError> {
        let mut inputs = Vec::with_capacity(self.model.inputs().len());
        for spec in self.model.inputs() {
            let tensor =
                tensor(frame.column(&spec.name)?, spec.element, rows.clone()).map_err(|problem| {
                    let problem = format!("the model `{}` takes {}, but {problem}", self.path, spec.element);
                    StepError::column(frame.path(), &spec.name, problem)
                })?;
            inputs.push((spec.name.clone(), tensor));
        }
        let source = |source| StepError::Model { path: self.path.to_string(), source };
        let outputs = self.model.run(inputs).map_err(source)?;
        let wanted = if self.classes.is_some() { "probabilities" } else { "prediction" };
        let output = outputs.into_iter().find(|(name, _)| name == wanted);
        output.ok_or_else(|| StepError::format(&self.path, format!("the model has no output `{wanted}`")))
    }

    /// How good it is on rows whose target is known.
    pub(crate) fn score(&self, frame: &Frame, predicted: &Predicted) -> Result<Scores, StepError> {
        if frame.rows() == 0 {
            return Err(StepError::format(frame.path(), "there is no row to score a model on"));
        }
        match (predicted, &self.classes) {
            (Predicted::Shares { classes, shares }, Some(known)) => {
                let truth = places(frame, &self.target, known)?;
                Ok(scores::classification(&truth, shares, *classes))
            }
            (Predicted::Numbers(predicted), _) => {
                Ok(scores::regression(frame.complete_numbers(&self.target)?, predicted))
            }
            (Predicted::Shares { .. }, None) => {
                Err(StepError::format(&self.path, "the model has no note `classes`"))
            }
        }
    }
}

/// Some rows of a column as a model takes them; an error in words if they cannot be. A missing number is NaN, a missing text
/// is empty; the other types have nothing that means missing.
pub(crate) fn tensor(
    column: &Column,
    element: Element,
    rows: std::ops::Range<usize>,
) -> Result<Tensor, String> {
    let shape = vec![rows.len(), 1];
    let first = rows.start;
    match (column, element) {
        (Column::Numbers(values), Element::F64) => Ok(Tensor::F64(shape, values[rows].to_vec())),
        (Column::Numbers(values), Element::F32) => {
            Ok(Tensor::F32(shape, values[rows].iter().map(|value| *value as f32).collect()))
        }
        (Column::Numbers(values), Element::I64) => {
            let whole = |value: f64| (value as i64 as f64 == value).then_some(value as i64);
            Ok(Tensor::I64(shape, converted(&values[rows], first, whole)?))
        }
        (Column::Numbers(values), Element::Bool) => {
            let truth = |value: f64| (value == 0.0 || value == 1.0).then_some(value == 1.0);
            Ok(Tensor::Bool(shape, converted(&values[rows], first, truth)?))
        }
        (Column::Texts(values), Element::Text) => {
            let texts = values[rows].iter().map(|value| value.clone().unwrap_or_default()).collect();
            Ok(Tensor::Text(shape, texts))
        }
        (Column::Numbers(_), Element::Text) => Err("it holds numbers".to_owned()),
        (Column::Texts(_), _) => Err("it holds texts".to_owned()),
    }
}

/// All values, each of which must be convertible; rows are counted from the first one's place.
fn converted<T>(values: &[f64], first: usize, convert: impl Fn(f64) -> Option<T>) -> Result<Vec<T>, String> {
    let pairs = values.iter().enumerate();
    pairs
        .map(|(place, value)| {
            convert(*value).ok_or_else(|| format!("row {} holds {value}", first + place + 1))
        })
        .collect()
}

/// For every row the place of its class.
pub(crate) fn places(frame: &Frame, target: &str, classes: &Classes) -> Result<Vec<usize>, StepError> {
    let unknown = |row: usize| {
        let problem = format!("row {} is of a class that the model does not know", row + 1);
        StepError::column(frame.path(), target, problem)
    };
    let found: Vec<Option<usize>> = match (frame.column(target)?, classes) {
        (Column::Numbers(values), Classes::Integers(classes)) => {
            values.iter().map(|value| classes.iter().position(|class| *class as f64 == *value)).collect()
        }
        (Column::Texts(values), Classes::Texts(classes)) => {
            let place =
                |value: &Option<String>| classes.iter().position(|class| Some(class) == value.as_ref());
            values.iter().map(place).collect()
        }
        _ => vec![None; frame.rows()],
    };
    found.into_iter().enumerate().map(|(row, place)| place.ok_or_else(|| unknown(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[f64], element: Element) -> Result<Tensor, String> {
        tensor(&Column::Numbers(values.to_vec()), element, 1..values.len())
    }

    #[test]
    fn a_column_becomes_what_the_model_takes() {
        let shape = || vec![2, 1];
        assert_eq!(numbers(&[9.0, 1.0, 0.0], Element::F64), Ok(Tensor::F64(shape(), vec![1.0, 0.0])));
        assert_eq!(numbers(&[9.0, 1.5, 0.0], Element::F32), Ok(Tensor::F32(shape(), vec![1.5, 0.0])));
        assert_eq!(numbers(&[9.0, 1.0, -7.0], Element::I64), Ok(Tensor::I64(shape(), vec![1, -7])));
        assert_eq!(numbers(&[9.0, 1.0, 0.0], Element::Bool), Ok(Tensor::Bool(shape(), vec![true, false])));
        let texts = Column::Texts(vec![Some("a".to_owned()), None]);
        let expected = Tensor::Text(shape(), vec!["a".to_owned(), String::new()]);
        assert_eq!(tensor(&texts, Element::Text, 0..2), Ok(expected));
    }

    #[test]
    fn what_would_lose_its_meaning_is_refused() {
        let refused = |values: &[f64], element| numbers(values, element).unwrap_err();
        assert_eq!(refused(&[9.0, 1.5], Element::I64), "row 2 holds 1.5");
        assert_eq!(refused(&[9.0, 1.0, f64::NAN], Element::I64), "row 3 holds NaN");
        assert_eq!(refused(&[9.0, 2.0], Element::Bool), "row 2 holds 2");
        assert_eq!(refused(&[9.0], Element::Text), "it holds numbers");
        assert!(tensor(&Column::Texts(vec![None]), Element::F64, 0..1).is_err());
    }
}
