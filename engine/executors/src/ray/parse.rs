//! What Ray says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::script::{CANCELLER, LATE, LOST, NODES, TRIAL};
use crate::shell::one_line;
use crate::{End, ExecutorError, State, Ticket};

/// One of Ray's jobs, ours or not: with a submission id if it was submitted.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    submission_id: Option<String>,
    status: String,
    message: Option<String>,
    error_type: Option<String>,
    driver_exit_code: Option<i32>,
    driver_node_id: Option<String>,
    driver_agent_http_address: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

/// All jobs.
pub(super) fn jobs(answer: &[u8]) -> Option<Vec<Known>> {
    serde_json::from_slice(answer).ok()
}

/// One job.
pub(super) fn job(answer: &[u8]) -> Option<Known> {
    serde_json::from_slice(answer).ok()
}

/// The jobs that have their places on several nodes, by the names of these.
pub(super) fn placed(answer: &[u8]) -> Option<BTreeSet<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let groups = answer["data"]["result"]["result"].as_array()?.iter();
    let placed = groups.filter(|group| group["state"] != "PENDING");
    Some(placed.filter_map(|group| Some(group["name"].as_str()?.to_owned())).collect())
}

impl Known {
    /// Its ticket, if it is one of ours.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        let (batch, job) = self.submission_id.as_ref()?.split_once('.')?;
        Some(Ticket { batch: batch.parse().ok()?, job: job.parse().ok()? })
    }

    /// The node that it runs or ran on, if it began.
    pub(super) fn node(&self) -> Option<&str> {
        self.driver_node_id.as_deref()
    }

    /// Why it waits although its driver runs: it has several nodes, and no place on them yet.
    pub(super) fn waits_for_nodes(&self, placed: &BTreeSet<String>) -> Option<State> {
        let nodes = self.metadata.as_ref()?.get(NODES)?;
        let waits = self.status == "RUNNING" && !placed.contains(self.submission_id.as_ref()?);
        waits.then(|| State::Queued { reason: Some(format!("it waits for {nodes} nodes at once")) })
    }

    /// Whether it has several nodes and runs, as far as Ray knows.
    pub(super) fn has_several(&self) -> bool {
        self.status == "RUNNING" && self.metadata.as_ref().is_some_and(|said| said.contains_key(NODES))
    }

    /// What Ray says of its state.
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Whether it waits.
    pub(super) fn waits(&self) -> bool {
        self.status == "PENDING"
    }

    /// Whether nothing follows.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "STOPPED" | "SUCCEEDED" | "FAILED")
    }

    /// Whether it has ended well.
    pub(super) fn went_well(&self) -> bool {
        self.status == "SUCCEEDED"
    }

    /// Its name, if it has cancelled others or tried a program, and has ended.
    pub(super) fn done_helper(&self) -> Option<&str> {
        let helps = |id: &&str| id.starts_with(CANCELLER) || id.starts_with(TRIAL);
        self.submission_id.as_deref().filter(helps).filter(|_| self.has_ended())
    }

    /// Where it is.
    pub(super) fn state(&self) -> Option<State> {
        Some(match self.status.as_str() {
            "PENDING" => State::Queued { reason: self.message.as_deref().map(one_line) },
            "RUNNING" => State::Running { host: self.driver_agent_http_address.as_deref().and_then(host) },
            "STOPPED" => State::Ended { end: End::Cancelled },
            "SUCCEEDED" => State::Ended { end: End::Exited { code: 0 } },
            "FAILED" => State::Ended { end: self.failure() },
            _ => return None,
        })
    }

    fn failure(&self) -> End {
        match self.driver_exit_code {
            // So the keeper says that the time was up.
            Some(code) if code == -LATE => return End::TimedOut,
            Some(code) if code == -LOST => return End::NodeLost,
            Some(code @ ..0) => return End::Killed { signal: -code },
            Some(code) => return End::of_code(code),
            None => {}
        }
        let message = self.message();
        let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        match self.error_type.as_deref().unwrap_or_default() {
            // It ended by itself in the moment in which it was to be stopped.
            "JOB_ENTRYPOINT_COMMAND_START_ERROR" if has(&["NoSuchProcess"]) => End::Cancelled,
            "RUNTIME_ENV_SETUP_FAILURE"
            | "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
            | "JOB_SUPERVISOR_ACTOR_START_FAILURE"
            | "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"
            | "JOB_ENTRYPOINT_COMMAND_START_ERROR" => End::NotStarted { reason: essence(message) },
            // What is left is that the process which kept it is gone.
            _ if has(&["killed by `ray.kill`"]) => End::Cancelled,
            _ if has(&["low on memory"]) => End::OutOfMemory,
            _ if has(&["preempted"]) => End::Preempted,
            _ => End::NodeLost,
        }
    }
}

/// The host in an address.
fn host(address: &str) -> Option<String> {
    let host = reqwest::Url::parse(address).ok()?.host_str()?.to_owned();
    Some(host)
}

/// What a text of Ray comes to: the last line, if it is one of Python's tracebacks.
fn essence(text: &str) -> String {
    let last = || text.lines().rev().map(str::trim).find(|line| line.len() > 1);
    one_line(last().filter(|_| text.contains("Traceback (most recent call last)")).unwrap_or(text))
}

/// Why it does not do what it was asked for.
pub(super) fn refusal(engine: &str, status: u16, answer: &[u8]) -> ExecutorError {
    let text = String::from_utf8_lossy(answer);
    let (engine, reason) = (engine.to_owned(), format!("{} (HTTP {status})", essence(&text)));
    match status {
        429 => ExecutorError::Full { engine, reason },
        // The dashboard passes on what it was answered itself.
        500.. if !text.contains("Request failed with status code 4") => {
            ExecutorError::Unreachable { engine, reason }
        }
        _ => ExecutorError::Refused { engine, reason },
    }
}

/// Whether there is no such log yet.
pub(super) fn has_no_log(answer: &[u8]) -> bool {
    answer.starts_with(b"A file is not found")
}

/// Whether the node that the log lies on is gone, or its agent.
pub(super) fn has_no_node(answer: &[u8]) -> bool {
    answer.starts_with(b"Agent for node id")
}

/// What the logs of a job are in the answer of the Jobs API.
pub(super) fn logs(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Logs {
        logs: String,
    }
    serde_json::from_slice::<Logs>(answer).ok().map(|answer| answer.logs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ticket() -> Ticket {
        Ticket { batch: "a".repeat(26).parse().unwrap(), job: 3 }
    }

    /// The state that is read from one of Ray's jobs with these fields.
    fn state(fields: &serde_json::Value) -> Option<State> {
        let mut answer = json!([
            { "type": "DRIVER", "job_id": "01000000", "submission_id": null, "status": "RUNNING" },
            { "type": "SUBMISSION", "submission_id": "raysubmit_1", "status": "FAILED" },
            { "type": "SUBMISSION", "submission_id": ticket().to_string() },
        ]);
        for (name, value) in fields.as_object().unwrap() {
            answer[2][name] = value.clone();
        }
        let known = jobs(answer.to_string().as_bytes())?;
        let ours: Vec<_> = known.iter().filter(|known| known.ticket() == Some(ticket())).collect();
        assert_eq!(ours.len(), 1);
        ours[0].state()
    }

    fn job_of(fields: &serde_json::Value) -> Known {
        job(fields.to_string().as_bytes()).unwrap()
    }

    fn failed(fields: &serde_json::Value) -> End {
        let mut fields = fields.clone();
        fields["status"] = "FAILED".into();
        match state(&fields) {
            Some(State::Ended { end }) => end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn states_are_told_apart() {
        let waits = json!({ "status": "PENDING", "message": "It may be waiting\nfor resources." });
        let reason = Some("It may be waiting; for resources.".to_owned());
        assert_eq!(state(&waits), Some(State::Queued { reason }));
        let runs = json!({ "status": "RUNNING", "driver_agent_http_address": "http://10.0.0.5:52365" });
        assert_eq!(state(&runs), Some(State::Running { host: Some("10.0.0.5".to_owned()) }));
        let ended = |end| Some(State::Ended { end });
        assert_eq!(state(&json!({ "status": "STOPPED" })), ended(End::Cancelled));
        assert_eq!(state(&json!({ "status": "SUCCEEDED" })), ended(End::Exited { code: 0 }));
        assert_eq!(state(&json!({ "status": "SOMETHING" })), None);
    }

    #[test]
    fn what_has_no_place_on_its_nodes_waits() {
        let id = ticket().to_string();
        let job = json!({ "submission_id": id, "status": "RUNNING", "metadata": { NODES: "2" } });
        let known = job_of(&job);
        let group = |state: &str| {
            let groups = json!([{ "name": id, "state": state }]);
            placed(json!({ "data": { "result": { "result": groups } } }).to_string().as_bytes()).unwrap()
        };
        let reason = Some("it waits for 2 nodes at once".to_owned());
        assert_eq!(known.waits_for_nodes(&group("PENDING")), Some(State::Queued { reason }));
        assert_eq!(known.waits_for_nodes(&group("CREATED")), None);
        assert_eq!(job_of(&json!({ "status": "RUNNING" })).waits_for_nodes(&group("PENDING")), None);
    }

    #[test]
    fn failures_are_told_apart() {
        let code = |code: i32| failed(&json!({ "driver_exit_code": code }));
        assert_eq!(code(7), End::Exited { code: 7 });
        assert_eq!(code(139), End::Killed { signal: 11 });
        assert_eq!(code(142), End::Killed { signal: 14 });
        assert_eq!(code(-14), End::TimedOut);
        assert_eq!(code(-10), End::NodeLost);
        assert_eq!(code(-9), End::Killed { signal: 9 });
        let died =
            |message: &str| failed(&json!({ "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": message }));
        assert_eq!(died("The actor is dead because it was killed by `ray.kill`."), End::Cancelled);
        assert_eq!(died("1 worker(s) were killed due to the node running low on memory."), End::OutOfMemory);
        assert_eq!(died("the actor's node was preempted: spot"), End::Preempted);
        assert_eq!(died("The actor died because its node has died."), End::NodeLost);
        let traceback = "Failed.\nTraceback (most recent call last):\n  File \"x\"\nOSError: no package\n.\n";
        assert_eq!(
            failed(&json!({ "error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": traceback })),
            End::NotStarted { reason: "OSError: no package".to_owned() }
        );
        let gone = json!({
            "error_type": "JOB_ENTRYPOINT_COMMAND_START_ERROR",
            "message": "psutil.NoSuchProcess: process no longer exists",
        });
        assert_eq!(failed(&gone), End::Cancelled);
    }

    #[test]
    fn an_answer_that_is_none_is_none() {
        assert!(jobs(b"<html>").is_none());
        assert!(jobs(b"[{\"submission_id\": \"x\"}]").is_none());
        assert!(job(b"[]").is_none());
    }

    #[test]
    fn refusals_are_told_apart() {
        let refusal = |status, text: &str| refusal("ray", status, text.as_bytes());
        assert!(matches!(refusal(401, "Unauthorized"), ExecutorError::Refused { .. }));
        assert!(matches!(refusal(429, "slowly"), ExecutorError::Full { .. }));
        assert!(matches!(refusal(503, "starting"), ExecutorError::Unreachable { .. }));
        let passed_on = "RuntimeError: Request failed with status code 400: Traceback (most recent call last):\n  File\nValueError: no\n.\n";
        let ExecutorError::Refused { reason, .. } = refusal(500, passed_on) else { panic!("not refused") };
        assert_eq!(reason, "ValueError: no (HTTP 500)");
    }
}
