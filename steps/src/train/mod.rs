//! `train`: learns a model that takes raw rows, reproducible to the bit.

mod boosting;
mod interface;
mod logistic;
mod matrix;
mod ridge;
mod write;

pub(crate) use interface::With;

use boosting::Goal;
use interface::Algorithm;
use matrix::Matrix;
use write::Learned;

use crate::catalog::Entry;
use crate::predict::Predictor;
use crate::say::say;
use crate::task::read_json;
use crate::transform::{Prediction, Transform, VERSION};
use crate::{StepError, Task, with};

/// The step's entry in the catalog.
pub(crate) const ENTRY: Entry =
    Entry { interface: interface::interface, check: with::check::<With>, run, effect: None };

/// Learns from the training rows and writes the model.
fn run(task: &Task) -> Result<(), StepError> {
    let with: With = with::read(task)?;
    let transform = read_transform(task)?;
    reserved(&transform)?;
    let train = task.input("train")?;
    let matrix = Matrix::read(&train, &transform)?;
    say(format_args!("{}: {} rows of {} numbers", with.algorithm.word(), matrix.rows, matrix.columns));
    let learned = learn(task, &with, &transform, &matrix)?;
    let bytes = write::model(&transform, with.algorithm.word(), &learned);
    let path = task.output("model")?;
    let predictor = Predictor::load(&path, bytes, None)?;
    task.write("model", predictor.bytes())?;
    let frame = predictor.frame(&train)?;
    let scores = predictor.score(&frame, &predictor.predict(&frame)?)?;
    for (name, score) in &scores {
        say(format_args!("  training {name} {score}"));
    }
    task.write_json("metrics", &scores)
}

fn read_transform(task: &Task) -> Result<Transform, StepError> {
    let path = task.input("transform")?;
    let transform: Transform = read_json(&path)?;
    if transform.version == VERSION {
        return Ok(transform);
    }
    let problem = format!("it has the version {}, but this `train` reads {VERSION}", transform.version);
    Err(StepError::format(&path, problem))
}

/// A column cannot be called as an output of the model.
fn reserved(transform: &Transform) -> Result<(), StepError> {
    let taken = ["prediction", "label", "probabilities", "features"];
    match transform.features.iter().find(|feature| taken.contains(&feature.name.as_str())) {
        None => Ok(()),
        Some(feature) => {
            let problem = format!("a feature cannot be called `{}`: rename it in `ingest`", feature.name);
            Err(StepError::Training(problem))
        }
    }
}

fn learn(task: &Task, with: &With, transform: &Transform, matrix: &Matrix) -> Result<Learned, StepError> {
    match (with.algorithm, &transform.task) {
        (Algorithm::Ridge, Prediction::Regression) => {
            Ok(Learned::Lines(vec![ridge::fit(matrix, &with.ridge)?]))
        }
        (Algorithm::Logistic, Prediction::Classification(classes)) => {
            Ok(Learned::Lines(logistic::fit(matrix, classes.count(), &with.logistic)?))
        }
        (Algorithm::Boosting, prediction) => {
            let goal = match prediction {
                Prediction::Regression => Goal::Number,
                Prediction::Classification(classes) if classes.count() == 2 => Goal::SecondClass,
                Prediction::Classification(classes) => {
                    let problem =
                        format!("boosting tells two classes apart, not {}; use logistic", classes.count());
                    return Err(StepError::Training(problem));
                }
            };
            let validation = match (with.boosting.patience, task.optional_input("validation")?) {
                (0, _) => None,
                (_, Some(path)) => Some(Matrix::read(&path, transform)?),
                (_, None) => {
                    let problem = "boosting.patience needs the input `validation`";
                    return Err(StepError::Training(problem.to_owned()));
                }
            };
            Ok(Learned::Forest(boosting::fit(matrix, validation.as_ref(), goal, &with.boosting)?))
        }
        (Algorithm::Ridge, Prediction::Classification(_)) => {
            Err(StepError::Training("ridge predicts numbers, but the target holds classes".to_owned()))
        }
        (Algorithm::Logistic, Prediction::Regression) => {
            let problem = "logistic tells classes apart, but the target is a number; \
                           set `task = \"classification\"` in `preprocess` if its values are classes";
            Err(StepError::Training(problem.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
