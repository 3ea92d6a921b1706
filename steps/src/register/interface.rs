//! What `register` declares of itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};
use tidemill_engine::name::{AliasName, ModelName};

use crate::with::{self, problem};

/// The word that leaves every alias where it is.
const NO_ALIAS: &str = "none";

/// The `with` table of `register`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    /// The name of the registered model.
    #[schemars(with = "String")]
    pub(super) model: ModelName,
    /// The alias that points to the version then; `none` for no alias. By default `champion`.
    #[serde(default = "champion")]
    alias: String,
    /// What people should know about the model.
    #[serde(default)]
    pub(super) description: Option<String>,
    /// Tags of the version: a table of texts.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

fn champion() -> String {
    "champion".to_owned()
}

impl With {
    /// The alias to move; none if the model is only registered.
    pub(super) fn alias(&self) -> Result<Option<AliasName>, String> {
        if self.alias == NO_ALIAS {
            return Ok(None);
        }
        AliasName::new(&self.alias).map(Some).map_err(|error| error.to_string())
    }
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        self.alias().err().map(|message| problem(&["alias"], message)).into_iter().collect()
    }
}

pub(super) fn interface() -> Interface {
    Interface {
        name: "register",
        version: 1,
        summary: "Gives a model a version in the registry and lets an alias point to it",
        inputs: vec![
            InputPort { name: "model", required: true, many: false, doc: "The model file." },
            InputPort {
                name: "metrics",
                required: false,
                many: false,
                doc: "Its metrics; kept with the version.",
            },
            InputPort {
                name: "report",
                required: false,
                many: false,
                doc: "The evaluation's report; says which model it was compared with.",
            },
        ],
        outputs: vec![OutputPort {
            name: "version",
            path: "version.json",
            kind: OutputKind::File,
            optional: false,
            doc: "The model's name, version and digest.",
        }],
        with: with::fields::<With>(),
        effect: true,
    }
}
