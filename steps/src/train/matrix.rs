//! The training rows as the numbers that an algorithm sees.
//!
//! They are computed by the very graph that the model will contain, so what is learned from is what will be predicted from.

use camino::Utf8Path;

use super::write::features_only;
use crate::StepError;
use crate::model::{Element, Model, Tensor};
use crate::predict::{places, tensor};
use crate::table::Frame;
use crate::transform::{Prediction, Transform};

/// Rows that are transformed at once.
const CHUNK: usize = 4096;

/// The rows as numbers, row by row, with their targets.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
    /// What is predicted: a number, or the place of a class.
    pub(super) targets: Vec<f64>,
}

impl Matrix {
    /// The rows of a part.
    pub(super) fn read(path: &Utf8Path, transform: &Transform) -> Result<Self, StepError> {
        let names = transform.features.iter().map(|feature| feature.name.clone());
        let frame = Frame::read(path, &names.chain([transform.target.clone()]).collect::<Vec<_>>())?;
        let targets = match &transform.task {
            Prediction::Regression => frame.complete_numbers(&transform.target)?.to_vec(),
            Prediction::Classification(classes) => {
                places(&frame, &transform.target, classes)?.into_iter().map(|place| place as f64).collect()
            }
        };
        let model = |source| StepError::Model { path: "transform".to_owned(), source };
        let graph = Model::load(&features_only(transform)).map_err(model)?;
        let mut values = Vec::new();
        for first in (0..frame.rows()).step_by(CHUNK) {
            let rows = first..(first + CHUNK).min(frame.rows());
            let inputs = inputs(&graph, &frame, &rows)?;
            for (_, output) in graph.run(inputs).map_err(model)? {
                if let Tensor::F64(_, numbers) = output {
                    values.extend(numbers);
                }
            }
        }
        let columns = transform.features.iter().map(|feature| feature.treatment.width()).sum();
        Ok(Self { rows: frame.rows(), columns, values, targets })
    }

    /// One row.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// An algorithm that cannot learn from missing values says so.
    pub(super) fn complete(&self) -> Result<(), StepError> {
        if self.values.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let problem = "a feature has missing values; let `preprocess` impute them, or use boosting";
        Err(StepError::Training(problem.to_owned()))
    }
}

fn inputs(
    graph: &Model,
    frame: &Frame,
    rows: &std::ops::Range<usize>,
) -> Result<Vec<(String, Tensor)>, StepError> {
    let input = |name: &str, element: Element| {
        let tensor = tensor(frame.column(name)?, element, rows.clone());
        let wrong = |problem| {
            let problem = format!("{problem}, which is another kind than `preprocess` saw");
            StepError::column(frame.path(), name, problem)
        };
        Ok((name.to_owned(), tensor.map_err(wrong)?))
    };
    graph.inputs().iter().map(|spec| input(&spec.name, spec.element)).collect()
}
