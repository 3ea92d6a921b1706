//! A gate: conditions on a step's metrics that let the downstream steps go on or stop them. It is asked in every run.

use std::collections::BTreeMap;

use tidemill_cache::ActionResult;

use super::outputs::Outputs;
use crate::Value;
use crate::error::EngineError;
use crate::event::Condition;
use crate::graph::Step;
use crate::interface::OutputKind;
use crate::project::Project;

/// A metrics file may be this large, in bytes.
pub const METRICS_LIMIT: u64 = 4 * 1024 * 1024;

/// The numbers of a step's metrics outputs by dotted name; truth values count as 0 and 1, other values are left out.
/// Where a step has several metrics outputs, the names begin with the output's name.
pub type Metrics = BTreeMap<String, f64>;

/// Reads the metrics of a step; none if a file is no longer in the cache.
///
/// # Errors
/// If the cache cannot be read.
pub fn metrics(project: &Project, step: &Step, outputs: &Outputs) -> Result<Option<Metrics>, EngineError> {
    let of_kind = || step.outputs.iter().filter(|(_, output)| output.kind == OutputKind::Metrics);
    let several = of_kind().count() > 1;
    let mut metrics = Metrics::new();
    for (name, _) in of_kind() {
        let Some(Some(artifact)) = outputs.get(name) else { continue };
        if !project.cache().available(artifact)? {
            return Ok(None);
        }
        let bytes = project.cache().read(artifact, METRICS_LIMIT)?;
        let prefix = if several { name.as_str() } else { "" };
        if let Ok(value) = serde_json::from_slice(&bytes) {
            flatten(prefix, &value, &mut metrics);
        }
    }
    Ok(Some(metrics))
}

/// Adds the numbers of a JSON value under dotted names.
pub(crate) fn flatten(prefix: &str, value: &serde_json::Value, into: &mut Metrics) {
    let name = |part: &str| match prefix {
        "" => part.to_owned(),
        prefix => format!("{prefix}.{part}"),
    };
    match value {
        serde_json::Value::Object(members) => {
            for (part, value) in members {
                flatten(&name(part), value, into);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&name(&index.to_string()), value, into);
            }
        }
        serde_json::Value::Number(number) => {
            into.extend(number.as_f64().map(|number| (prefix.to_owned(), number)));
        }
        serde_json::Value::Bool(truth) => {
            into.insert(prefix.to_owned(), f64::from(u8::from(*truth)));
        }
        serde_json::Value::Null | serde_json::Value::String(_) => {}
    }
}

/// Asks a step's gate. A condition that speaks of a `rival` is passed over while there is none.
///
/// # Errors
/// If a condition names a metric that does not exist.
pub fn ask(step: &Step, metrics: &Metrics) -> Result<Vec<Condition>, EngineError> {
    step.gate
        .iter()
        .map(|condition| {
            let names: Vec<String> = condition.expression.names().into_iter().map(String::from).collect();
            let values: Metrics =
                names.iter().filter_map(|name| Some((name.clone(), *metrics.get(name)?))).collect();
            let of_rival = |name: &String| name.split('.').any(|part| part == "rival");
            let no_rival = !metrics.keys().any(of_rival);
            let holds = if no_rival && names.iter().any(of_rival) {
                None
            } else {
                Some(truth(step, condition, metrics)?)
            };
            Ok(Condition { text: condition.text.clone(), holds, values })
        })
        .collect()
}

fn truth(
    step: &Step,
    condition: &crate::graph::GateCondition,
    metrics: &Metrics,
) -> Result<bool, EngineError> {
    let wrong = |reason: String| EngineError::Gate {
        step: step.id.to_string(),
        condition: condition.text.clone(),
        reason,
    };
    let lookup = |name: &str| metrics.get(name).map(|number| Value::Float(*number));
    match condition.expression.evaluate(&lookup) {
        Ok(Value::Bool(truth)) => Ok(truth),
        Ok(other) => Err(wrong(format!("it gives {other}, not true or false"))),
        Err(error) => {
            let known: Vec<&str> = metrics.keys().map(String::as_str).collect();
            Err(wrong(format!("{error}; the metrics are: {}", known.join(", "))))
        }
    }
}

/// The outputs of a result as the graph names them.
#[must_use]
pub fn outputs_of(step: &Step, result: &ActionResult) -> Outputs {
    step.outputs
        .keys()
        .map(|name| (name.clone(), result.outputs.get(name.as_str()).cloned().flatten()))
        .collect()
}
