//! What the tests of the engine share: a catalog without any built-in step.

use camino::Utf8Path;
use tidemill_engine::Value;
use tidemill_engine::interface::{Catalog, Interface, Standing, WithProblem};

/// A catalog without any built-in step.
pub(crate) struct Nothing;

impl Catalog for Nothing {
    fn interfaces(&self) -> &[Interface] {
        &[]
    }

    fn check(&self, _: &str, _: &Value) -> Vec<WithProblem> {
        Vec::new()
    }

    fn probe(&self, _: &str, _: &Utf8Path, _: &Value, _: &serde_json::Value) -> Result<Standing, String> {
        Ok(Standing::Same)
    }

    fn target(&self, step: &str, _: &Value) -> String {
        step.to_owned()
    }
}
