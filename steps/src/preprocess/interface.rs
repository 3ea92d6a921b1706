//! What `preprocess` takes and gives; the comments of [`With`] are its manual.

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};

use crate::transform::{Impute, Scale};
use crate::with::{self, problem, share};

/// The `with` table of `preprocess`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct With {
    /// The column to predict.
    pub(crate) target: String,
    /// What is predicted: `regression` (a number) or `classification`; by default what the target's type says: texts and truth values are classes.
    #[serde(default)]
    pub(crate) task: Option<TaskKind>,
    /// The share of rows held back for the final test; by default 0.2.
    #[serde(default = "fifth")]
    pub(crate) test: f64,
    /// The share of rows held back for choosing among models; by default 0.2.
    #[serde(default = "fifth")]
    pub(crate) validation: f64,
    /// The seed of the shuffle: another seed gives other parts; by default 0.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Whether each part gets the same shares of the classes; by default false.
    #[serde(default)]
    pub(crate) stratify: bool,
    /// The columns that a model sees; by default all but the target.
    #[serde(default)]
    pub(crate) features: Option<Vec<String>>,
    /// How numbers are scaled: `standard` (mean 0, deviation 1, the default) or `none`.
    #[serde(default)]
    pub(crate) scale: Scale,
    /// What stands for a missing number: `median` (the default), `mean` or `none`. A missing category becomes the most frequent one.
    #[serde(default)]
    pub(crate) impute: Impute,
    /// How categories are encoded: `one-hot`, an indicator for each; a value unknown to the training part sets none.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one encoding; naming it in a pipeline is allowed")]
    pub(crate) encode: Encode,
    /// Columns of numbers that name categories; texts always do.
    #[serde(default)]
    pub(crate) categorical: Vec<String>,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TaskKind {
    Regression,
    Classification,
}

/// How categories are encoded.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encode {
    #[default]
    OneHot,
}

fn fifth() -> f64 {
    0.2
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let mut problems: Vec<WithProblem> = [("test", self.test), ("validation", self.validation)]
            .into_iter()
            .filter_map(|(name, value)| share(&[name], value))
            .collect();
        if problems.is_empty() && self.test + self.validation >= 1.0 {
            problems.push(problem(&["test"], "test and validation leave no row for training"));
        }
        if self.stratify && self.task == Some(TaskKind::Regression) {
            problems.push(problem(&["stratify"], "only a classification has classes"));
        }
        let features = self.features.as_deref();
        if features.is_some_and(<[String]>::is_empty) {
            problems.push(problem(&["features"], "it names no column"));
        }
        if features.is_some_and(|features| features.contains(&self.target)) {
            problems.push(problem(&["features"], "the target is no feature"));
        }
        let twice = |names: &[String]| (1..names.len()).find(|&place| names[..place].contains(&names[place]));
        if let Some(place) = features.and_then(twice) {
            problems.push(problem(&["features", &place.to_string()], "the column is named twice"));
        }
        problems
    }
}

/// The interface of `preprocess`.
pub(crate) fn interface() -> Interface {
    let part = |name, path, doc| OutputPort { name, path, kind: OutputKind::File, optional: false, doc };
    Interface {
        name: "preprocess",
        version: 1,
        summary: "splits a table into parts and fits imputing, scaling and encoding on the training part",
        inputs: vec![InputPort { name: "table", required: true, many: false, doc: "the table, as Parquet" }],
        outputs: vec![
            part("train", "train.parquet", "the rows to learn from, with their raw values"),
            part("validation", "validation.parquet", "the rows to choose a model by"),
            part("test", "test.parquet", "the rows to judge the chosen model by"),
            part("transform", "transform.json", "how raw values become numbers; it goes into the model"),
        ],
        with: with::fields::<With>(),
        effect: false,
    }
}
