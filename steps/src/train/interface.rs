//! What `train` takes and gives; the comments of [`With`] are its manual.

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};

use crate::with::{self, problem};

/// The `with` table of `train`. The tables of the other algorithms may be there too and are not used, so that one step can
/// have a matrix over the algorithm.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct With {
    /// How to learn: `ridge` (a line, for numbers), `boosting` (trees, for numbers or two classes) or `logistic` (for classes).
    pub(crate) algorithm: Algorithm,
    /// Of ridge: alpha, the weight of the penalty on large coefficients (default 1).
    #[serde(default)]
    pub(crate) ridge: Ridge,
    /// Of boosting: rounds, `learning_rate`, `max_depth`, `min_leaf`, l2, subsample, seed, patience.
    #[serde(default)]
    pub(crate) boosting: Boosting,
    /// Of logistic: c, the inverse weight of the penalty on large coefficients (default 1); iterations (default 100).
    #[serde(default)]
    pub(crate) logistic: Logistic,
}

/// How to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    Ridge,
    Boosting,
    Logistic,
}

impl Algorithm {
    /// The word in the pipeline file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ridge => "ridge",
            Self::Boosting => "boosting",
            Self::Logistic => "logistic",
        }
    }
}

/// Settings of ridge regression.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ridge {
    /// The weight of the penalty: `||y - Xw||² + alpha ||w||²`, the intercept free.
    pub(crate) alpha: f64,
}

/// Settings of gradient boosting.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Boosting {
    /// How many trees at most.
    pub(crate) rounds: u32,
    /// How much of each tree is added.
    pub(crate) learning_rate: f64,
    /// How many questions a tree asks at most.
    pub(crate) max_depth: u32,
    /// The least weight of a leaf: for numbers, its rows.
    pub(crate) min_leaf: f64,
    /// The weight of the penalty on large leaf values.
    pub(crate) l2: f64,
    /// The share of rows that each tree sees.
    pub(crate) subsample: f64,
    /// The seed that draws these rows.
    pub(crate) seed: u64,
    /// After how many rounds without a better score on the validation rows to stop; 0 never stops early.
    pub(crate) patience: u32,
}

/// Settings of logistic regression.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logistic {
    /// The inverse weight of the penalty: `c · log loss + ||w||² / 2`, the intercept free.
    pub(crate) c: f64,
    /// How many steps of Newton's method at most.
    pub(crate) iterations: u32,
}

impl Default for Ridge {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl Default for Boosting {
    fn default() -> Self {
        Self {
            rounds: 100,
            learning_rate: 0.1,
            max_depth: 3,
            min_leaf: 20.0,
            l2: 0.0,
            subsample: 1.0,
            seed: 0,
            patience: 0,
        }
    }
}

impl Default for Logistic {
    fn default() -> Self {
        Self { c: 1.0, iterations: 100 }
    }
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let boosting = &self.boosting;
        let wrong: [(bool, [&str; 2], &str); 9] = [
            (!(self.ridge.alpha >= 0.0 && self.ridge.alpha.is_finite()), ["ridge", "alpha"], "at least 0"),
            (!(1..=10_000).contains(&boosting.rounds), ["boosting", "rounds"], "from 1 to 10000"),
            (
                !(boosting.learning_rate > 0.0 && boosting.learning_rate <= 1.0),
                ["boosting", "learning_rate"],
                "more than 0 and at most 1",
            ),
            (!(1..=16).contains(&boosting.max_depth), ["boosting", "max_depth"], "from 1 to 16"),
            (!(0.0..=1e9).contains(&boosting.min_leaf), ["boosting", "min_leaf"], "from 0 to 1e9"),
            (!(0.0..=1e9).contains(&boosting.l2), ["boosting", "l2"], "from 0 to 1e9"),
            (
                !(boosting.subsample > 0.0 && boosting.subsample <= 1.0),
                ["boosting", "subsample"],
                "more than 0 and at most 1",
            ),
            (!(self.logistic.c > 0.0 && self.logistic.c.is_finite()), ["logistic", "c"], "more than 0"),
            (self.logistic.iterations == 0, ["logistic", "iterations"], "at least 1"),
        ];
        wrong
            .into_iter()
            .filter(|(is_wrong, ..)| *is_wrong)
            .map(|(_, path, range)| problem(&path, format!("it must be {range}")))
            .collect()
    }
}

/// The interface of `train`.
pub(crate) fn interface() -> Interface {
    let input = |name, required, doc| InputPort { name, required, many: false, doc };
    Interface {
        name: "train",
        version: 1,
        summary: "learns a model that takes raw rows: ridge or logistic regression, or gradient boosting",
        inputs: vec![
            input("train", true, "the training rows of `preprocess`"),
            input("transform", true, "the transform of `preprocess`, which goes into the model"),
            input("validation", false, "the validation rows, for boosting with `patience`"),
        ],
        outputs: vec![
            OutputPort {
                name: "model",
                path: "model.onnx",
                kind: OutputKind::Model,
                optional: false,
                doc: "the model: one ONNX graph that takes raw rows",
            },
            OutputPort {
                name: "metrics",
                path: "metrics.json",
                kind: OutputKind::Metrics,
                optional: false,
                doc: "how well the model fits its training rows",
            },
        ],
        with: with::fields::<With>(),
        effect: false,
    }
}
