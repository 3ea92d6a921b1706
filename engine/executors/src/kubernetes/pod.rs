//! What a pod says: whether something of it runs, why it waits, and how it ended.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::shell::one_line;
use crate::{End, State};

/// How long a pod that its controller has given up is waited for, beyond the time that it has to end: its node may answer again.
const GIVEN_UP: Duration = Duration::from_secs(300);
/// How long a container may fail to be made: images come back, and so do registries.
const MAKING: Duration = Duration::from_secs(900);

/// Whether a time is longer ago than that.
pub(super) fn is_older(time: Option<&Time>, age: Duration, now: Timestamp) -> bool {
    time.is_some_and(|time| now.duration_since(time.0).unsigned_abs() > age && time.0 < now)
}

fn pod_condition<'a>(pod: &'a Pod, kind: &str, status: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == status)
}

/// Why something else than the command ended a pod, in one word.
fn disruption(pod: &Pod) -> Option<&str> {
    pod_condition(pod, "DisruptionTarget", "True")?.reason.as_deref()
}

fn reason(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default()
}

pub(super) fn host(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerState> {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    statuses.unwrap_or_default().iter().filter_map(|status| status.state.as_ref())
}

/// Whether something of a pod runs or may still run.
pub(super) fn lives(pod: &Pod, now: Timestamp) -> bool {
    // Its node is gone, or has not answered for so long that it was given up.
    let given_up = disruption(pod) == Some("DeletionByTaintManager") || reason(pod) == "NodeLost";
    if disruption(pod) == Some("DeletionByPodGC")
        || (given_up && is_older(pod.metadata.deletion_timestamp.as_ref(), GIVEN_UP, now))
    {
        return false;
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    // A kubelet that ends a pod may tell the end before it is there.
    !matches!(phase, Some("Succeeded" | "Failed")) || containers(pod).any(|state| state.running.is_some())
}

/// What a pod says that has not ended.
pub(super) fn under_way(pod: &Pod) -> State {
    let Some(host) = host(pod) else {
        let waits = pod_condition(pod, "PodScheduled", "False");
        return State::Queued {
            reason: waits.and_then(|waits| said(waits.reason.as_deref(), waits.message.as_deref())),
        };
    };
    match containers(pod).find_map(|state| state.waiting.as_ref()) {
        Some(waiting) if pod.metadata.deletion_timestamp.is_none() => State::Queued {
            reason: match waiting.reason.as_deref() {
                // It is on its way.
                None | Some("ContainerCreating" | "PodInitializing") => None,
                reason => said(reason, waiting.message.as_deref()),
            },
        },
        _ if containers(pod).next().is_none() && pod.metadata.deletion_timestamp.is_none() => {
            State::Queued { reason: None }
        }
        _ => State::Running { host: Some(host) },
    }
}

/// A reason and a message of Kubernetes in one line.
fn said(reason: Option<&str>, message: Option<&str>) -> Option<String> {
    let texts = [reason, message].map(|text| text.filter(|text| !text.is_empty()));
    let texts: Vec<&str> = texts.into_iter().flatten().collect();
    (!texts.is_empty()).then(|| one_line(&texts.join(": ")))
}

/// Whether the container of a pod is never made: what it asks for is not there, or it has failed for too long.
pub(super) fn is_hopeless(pod: &Pod, now: Timestamp) -> bool {
    let Some(waiting) = containers(pod).find_map(|state| state.waiting.as_ref()) else { return false };
    let message = waiting.message.as_deref().unwrap_or_default();
    let denied = [
        "not found",
        "NotFound",
        "denied",
        "nauthorized",
        "manifest unknown",
        "does not exist",
        "no match for platform",
    ];
    match waiting.reason.as_deref() {
        Some("InvalidImageName" | "ErrImageNeverPull") => true,
        Some("ErrImagePull" | "ImagePullBackOff") if denied.iter().any(|text| message.contains(text)) => true,
        _ => is_older(pod.status.as_ref().and_then(|status| status.start_time.as_ref()), MAKING, now),
    }
}

/// Whether it failed.
pub(super) fn has_failed(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed")
}

/// Whether its controller ended it, without a reason of its own.
pub(super) fn was_ended(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && disruption(pod).is_none()
}

/// When its container ended.
pub(super) fn ended_at(pod: &Pod) -> Option<&Time> {
    containers(pod).find_map(|state| state.terminated.as_ref()?.finished_at.as_ref())
}

/// How a pod ended that failed.
pub(super) fn end(pod: &Pod) -> End {
    match disruption(pod) {
        Some("DeletionByTaintManager" | "DeletionByPodGC") => return End::NodeLost,
        Some(_) => return End::Preempted,
        None => {}
    }
    match reason(pod) {
        "DeadlineExceeded" => return End::TimedOut,
        "NodeLost" => return End::NodeLost,
        // A node that has too little of something, shuts down, or was full after all when the pod came.
        "Evicted"
        | "Preempting"
        | "Shutdown"
        | "NodeShutdown"
        | "Terminated"
        | "UnexpectedAdmissionError" => {
            return End::Preempted;
        }
        reason if reason.starts_with("OutOf") => return End::Preempted,
        _ => {}
    }
    match containers(pod).find_map(|state| state.terminated.as_ref()) {
        Some(terminated) => end_of_container(terminated),
        None => {
            let status = pod.status.as_ref();
            let said = said(Some(reason(pod)), status.and_then(|status| status.message.as_deref()));
            End::NotStarted {
                reason: said.unwrap_or_else(|| "its pod failed and does not say why".to_owned()),
            }
        }
    }
}

fn end_of_container(terminated: &ContainerStateTerminated) -> End {
    let ContainerStateTerminated { reason, message, signal, exit_code, .. } = terminated;
    match reason.as_deref() {
        Some("OOMKilled") => return End::OutOfMemory,
        // The node began anew, and nobody saw how it ended.
        Some("ContainerStatusUnknown" | "Unknown") => return End::NodeLost,
        Some("ContainerCannotRun" | "StartError") => {
            let said = said(reason.as_deref(), message.as_deref()).expect("it has a reason");
            return End::NotStarted { reason: said };
        }
        _ => {}
    }
    match (signal, exit_code) {
        (Some(signal), _) if *signal > 0 => End::Killed { signal: *signal },
        (_, code) => End::of_code(*code),
    }
}
