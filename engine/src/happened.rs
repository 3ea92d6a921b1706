//! What happens to runs, models and endpoints, as events: made in one place for triggers that wait for it and for sinks that are told.
//!
//! May not know: who wants to know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tidemill_triggers::CloudEvent;

use crate::event::{Cause, Outcome};
use crate::name::{AliasName, AttemptId, EndpointName, ModelName, PipelineName, RunId, StepId};
use crate::registry::{Registry, RegistryError};

/// An event as a value: the attributes of a `CloudEvent`.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: &'static str,
    pub(crate) subject: Option<String>,
    pub(crate) time: Timestamp,
    pub(crate) data: Json,
}

impl Happened {
    /// As triggers see it.
    pub(crate) fn event(&self) -> Json {
        let mut event = json!({
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.kind, "time": self.time, "data": self.data,
        });
        if let Some(subject) = &self.subject {
            event["subject"] = json!(subject);
        }
        event
    }

    /// As others see it, to whom the project's name is a part of where it happened; none if it cannot be told to others.
    pub(crate) fn told_of(&self, project: &str) -> Option<CloudEvent> {
        let source = format!("/projects/{}{}", encoded(project), self.source);
        let event = CloudEvent::new(&self.id, &source, self.kind).ok()?.with_time(self.time).ok()?;
        let event = match &self.subject {
            Some(subject) => event.with_subject(subject).ok()?,
            None => event,
        };
        Some(event.with_json(self.data.clone()))
    }
}

/// A text as one part of a path in an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A run began.
pub(crate) fn run_started(run: &RunId, pipeline: &PipelineName, cause: Cause, time: Timestamp) -> Happened {
    let data = json!({ "run": run, "pipeline": pipeline, "cause": cause });
    of_pipeline("tidemill.run.started", run.to_string(), pipeline, time, data)
}

/// A run ended.
pub(crate) fn run_ended(run: &RunId, pipeline: &PipelineName, outcome: Outcome, time: Timestamp) -> Happened {
    let kind = match outcome {
        Outcome::Succeeded => "tidemill.run.succeeded",
        _ => "tidemill.run.failed",
    };
    let data = json!({ "run": run, "pipeline": pipeline, "outcome": outcome });
    of_pipeline(kind, run.to_string(), pipeline, time, data)
}

/// A step that was executed ended. `why`: why it failed, if it did.
pub(crate) fn step_ended(
    (run, pipeline): (&RunId, &PipelineName),
    step: &StepId,
    attempt: &AttemptId,
    why: Option<String>,
    time: Timestamp,
) -> Happened {
    let mut data = json!({ "run": run, "pipeline": pipeline, "step": step, "attempt": attempt });
    let kind = match why {
        None => "tidemill.step.succeeded",
        Some(why) => {
            data["why"] = json!(why);
            "tidemill.step.failed"
        }
    };
    let happened = of_pipeline(kind, format!("{run}/{attempt}"), pipeline, time, data);
    Happened { subject: Some(step.to_string()), ..happened }
}

fn of_pipeline(
    kind: &'static str,
    id: String,
    pipeline: &PipelineName,
    time: Timestamp,
    data: Json,
) -> Happened {
    let (source, subject) = (format!("/pipelines/{pipeline}"), Some(pipeline.to_string()));
    Happened { id, source, kind, subject, time, data }
}

/// The versions of a model that were registered, by their numbers.
pub(crate) fn versions(
    registry: &Registry,
    model: &ModelName,
) -> Result<BTreeMap<u64, Happened>, RegistryError> {
    let versions = registry.versions(model)?.into_iter().map(|version| {
        let happened = Happened {
            id: format!("{model}/{}", version.version),
            source: format!("/models/{model}"),
            kind: "tidemill.model.registered",
            subject: Some(model.to_string()),
            time: version.created,
            data: json!({
                "model": model, "version": version.version, "run": version.about.run, "pipeline": version.about.pipeline,
                "metrics": version.about.metrics,
            }),
        };
        (version.version, happened)
    });
    Ok(versions.collect())
}

/// The moves of an alias, by their numbers.
pub(crate) fn moves(
    registry: &Registry,
    model: &ModelName,
    alias: &AliasName,
) -> Result<BTreeMap<u64, Happened>, RegistryError> {
    let moves = registry.alias_moves(model, alias)?.into_iter().zip(1..).map(|(moved, number)| {
        let happened = Happened {
            id: format!("{model}@{alias}/{number}"),
            source: format!("/models/{model}"),
            kind: "tidemill.model.moved",
            subject: Some(format!("{model}@{alias}")),
            time: moved.at,
            data: json!({
                "model": model, "alias": alias, "version": moved.version, "from": moved.from, "rollback": moved.rollback,
                "by": moved.by, "why": moved.why,
            }),
        };
        (number, happened)
    });
    Ok(moves.collect())
}

/// What an endpoint should serve from then on, by the numbers of its log.
pub(crate) fn deployments(
    registry: &Registry,
    endpoint: &EndpointName,
) -> Result<BTreeMap<u64, Happened>, RegistryError> {
    let states = registry.desired_states(endpoint)?.into_iter().zip(1..).map(|(desired, number)| {
        let happened = Happened {
            id: format!("{endpoint}/{number}"),
            source: format!("/endpoints/{endpoint}"),
            kind: "tidemill.deployment.changed",
            subject: Some(endpoint.to_string()),
            time: desired.at,
            data: json!({
                "endpoint": endpoint, "model": desired.model, "version": desired.version, "run": desired.run,
                "by": desired.by, "why": desired.why, "rollback": desired.rollback,
            }),
        };
        (number, happened)
    });
    Ok(states.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_told_says_where_it_happened() {
        let run = RunId::new("20261130-000000-aaaaaa").unwrap();
        let pipeline = PipelineName::new("flights").unwrap();
        let happened = run_ended(&run, &pipeline, Outcome::GateClosed, Timestamp::UNIX_EPOCH);
        assert_eq!(happened.event()["source"], "/pipelines/flights");
        let event = happened.told_of("my project ä").unwrap();
        assert_eq!(event.source(), "/projects/my%20project%20%C3%A4/pipelines/flights");
        assert_eq!((event.kind(), event.id()), ("tidemill.run.failed", run.as_str()));
        assert_eq!(event.as_value()["data"]["outcome"], "gate-closed");
    }
}
