//! What `evaluate` takes and gives; the comments of [`With`] are its manual.

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};

use crate::nearest::nearest;
use crate::scores::{NAMES, larger_is_better};
use crate::with::{self, problem};

/// The `with` table of `evaluate`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct With {
    /// The score on the validation rows by which the best candidate is chosen: `rmse` (the default for numbers), `mae`, `r2`, `log_loss` (the default for classes), `accuracy`, `f1`, `auc`.
    pub(crate) metric: Option<String>,
    /// The column that holds the truth; by default the one that the models say they predict.
    pub(crate) target: Option<String>,
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let unknown = self.metric.as_deref().filter(|metric| larger_is_better(metric).is_none());
        let problem = |metric: &str| WithProblem {
            help: nearest(metric, NAMES).map(|near| format!("is `{near}` meant?")),
            ..problem(&["metric"], format!("there is no score `{metric}`"))
        };
        unknown.map(problem).into_iter().collect()
    }
}

/// The interface of `evaluate`.
pub(crate) fn interface() -> Interface {
    let input = |name, required, many, doc| InputPort { name, required, many, doc };
    let output = |name, path, kind, doc| OutputPort { name, path, kind, optional: false, doc };
    Interface {
        name: "evaluate",
        version: 1,
        summary: "chooses the best of several models on validation rows and judges it on test rows",
        inputs: vec![
            input("models", true, true, "the candidates"),
            input("validation", false, false, "the rows to choose by; needed only among several candidates"),
            input("test", true, false, "the rows to judge the chosen model by; no choice is made on them"),
            input("rival", false, false, "a model that is judged on the same test rows, for the gate"),
        ],
        outputs: vec![
            output("best", "best.onnx", OutputKind::Model, "the chosen candidate, byte for byte"),
            output(
                "metrics",
                "metrics.json",
                OutputKind::Metrics,
                "the test scores of the chosen model, those of the rival under `rival`, and the validation score that it \
                 was chosen by under `validation`",
            ),
            output(
                "predictions",
                "predictions.parquet",
                OutputKind::File,
                "the raw test rows, each with its prediction",
            ),
            output("report", "report.json", OutputKind::Report, "what was compared and chosen, and why"),
            output(
                "plot",
                "plot.vl.json",
                OutputKind::Plot,
                "the predictions against the truth, as Vega-Lite",
            ),
        ],
        with: with::fields::<With>(),
        effect: false,
    }
}
