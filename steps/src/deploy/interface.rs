//! What `deploy` declares of itself.

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};
use tidemill_engine::name::EndpointName;

use crate::with::{self, problem};

/// The one way of rolling out that there is: one model takes all requests.
pub(super) const SINGLE: &str = "single";

/// The `with` table of `deploy`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    /// The endpoint that serves the model then.
    #[schemars(with = "String")]
    pub(super) endpoint: EndpointName,
    /// How it is rolled out; by default, and the only one yet, `single`.
    #[serde(default = "single")]
    mode: String,
    /// The largest relative difference between an answer and the evaluation's prediction; by default 1e-9.
    #[serde(default = "tolerance")]
    pub(super) tolerance: f64,
    /// How many rows of the predictions the smoke test sends; by default 64.
    #[serde(default = "rows")]
    pub(super) rows: usize,
}

fn single() -> String {
    SINGLE.to_owned()
}

fn tolerance() -> f64 {
    1e-9
}

fn rows() -> usize {
    64
}

/// The most rows that a smoke test sends: one request must hold them.
const MOST_ROWS: usize = 10_000;

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let mut problems = Vec::new();
        if self.mode != SINGLE {
            let help = Some(format!("leave `mode` out, or write `mode = \"{SINGLE}\"`"));
            let message = format!("the mode `{}` is not available yet", self.mode);
            problems.push(WithProblem { help, ..problem(&["mode"], message) });
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            problems.push(problem(&["tolerance"], "a tolerance is a number that is not negative"));
        }
        if !(1..=MOST_ROWS).contains(&self.rows) {
            problems.push(problem(&["rows"], format!("a smoke test sends 1 to {MOST_ROWS} rows")));
        }
        problems
    }
}

pub(super) fn interface() -> Interface {
    let input = |name, doc| InputPort { name, required: true, many: false, doc };
    Interface {
        name: "deploy",
        version: 1,
        summary: "Tries a registered model on a server of its own, then lets an endpoint serve it",
        inputs: vec![
            input("model", "The model file."),
            input("version", "The version that `register` gave it."),
            input("predictions", "Rows of raw features with the evaluation's `prediction` (Parquet)."),
        ],
        outputs: vec![OutputPort {
            name: "deployment",
            path: "deployment.json",
            kind: OutputKind::File,
            optional: false,
            doc: "What the endpoint serves, and how many rows the smoke test compared.",
        }],
        with: with::fields::<With>(),
        effect: true,
    }
}
