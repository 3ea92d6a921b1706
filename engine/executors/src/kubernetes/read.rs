//! What a Job and its pods say of a job of ours.

use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job as Object, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use super::manifest::{BATCH, END, JOB, ORDER};
use super::pod::{end, ended_at, has_failed, host, is_hopeless, is_older, lives, under_way, was_ended};
use super::several;
use crate::{End, State, Ticket};

/// How long its controller may take to make a pod before it is asked why.
const PLACING: Duration = Duration::from_secs(3);

/// What is seen of a job, and what has to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    State(State),
    /// It has ended, and that is not written down yet.
    Ended(End),
    /// It never begins, so it has to be ended.
    Hopeless {
        /// Why.
        reason: String,
    },
    /// It has had no pod for a while: its events say why.
    NoPod,
}

/// The ticket on an object of ours.
pub(super) fn ticket(meta: &ObjectMeta) -> Option<Ticket> {
    let labels = meta.labels.as_ref()?;
    Some(Ticket { batch: labels.get(BATCH)?.parse().ok()?, job: labels.get(JOB)?.parse().ok()? })
}

/// The end that a note on a Job tells.
fn noted(job: &Object, note: &str) -> Option<End> {
    serde_json::from_str(job.metadata.annotations.as_ref()?.get(note)?).ok()
}

/// Where a job is, by its Job and all pods of it.
pub(super) fn seen(job: &Object, pods: &[Pod], now: Timestamp) -> Seen {
    if let Some(end) = noted(job, END) {
        return Seen::State(State::Ended { end });
    }
    let order = noted(job, ORDER);
    if let Some(state) = under_way_of(job, pods, now) {
        return match state {
            Seen::Hopeless { reason } if order.is_some() => {
                Seen::State(State::Queued { reason: Some(reason) })
            }
            seen => seen,
        };
    }
    let pod = told_by(job, pods);
    if condition(job, "Complete").is_some() {
        return Seen::Ended(End::Exited { code: 0 });
    }
    if let Some(failed) = condition(job, "Failed") {
        // The controller says so if we ended it, or somebody else gave the Job a time.
        let late = failed.reason.as_deref() == Some("DeadlineExceeded");
        return Seen::Ended(match (late, order, pod) {
            (true, Some(end), _) => end,
            (true, None, _) => End::TimedOut,
            (false, _, Some(pod)) => end(pod),
            // Somebody, or something, removed it.
            (false, _, None) => End::NodeLost,
        });
    }
    match (condition(job, "Suspended"), order, pod) {
        // If it were resumed it would have no time.
        (Some(_), Some(end), _) => Seen::Ended(end),
        (Some(_), None, _) => Seen::State(State::Queued { reason: Some("the Job is suspended".to_owned()) }),
        // Its controller has not heard of the end yet.
        (None, _, Some(pod)) => Seen::State(State::Running { host: host(pod) }),
        (None, _, None) if is_older(job.metadata.creation_timestamp.as_ref(), PLACING, now) => Seen::NoPod,
        (None, _, None) => Seen::State(State::Queued { reason: None }),
    }
}

/// Where a job is that has pods which live.
fn under_way_of(job: &Object, pods: &[Pod], now: Timestamp) -> Option<Seen> {
    let mut living: Vec<&Pod> = pods.iter().filter(|pod| lives(pod, now)).collect();
    if several::pods(job) == 1 {
        // An old control plane makes another pod where one was deleted; the last one tells.
        living = living
            .into_iter()
            .max_by_key(|pod| pod.metadata.creation_timestamp.clone())
            .into_iter()
            .collect();
    }
    living.sort_by_key(|pod| several::rank(pod));
    let waits = |pod: &&Pod| matches!(under_way(pod), State::Queued { .. });
    let state = match living.iter().find(|pod| waits(pod)) {
        Some(waiting) => match under_way(waiting) {
            State::Queued { reason: Some(reason) } if is_hopeless(waiting, now) => {
                return Some(Seen::Hopeless { reason });
            }
            state => state,
        },
        // The others are not made yet.
        None if !living.is_empty() && pods.len() < several::pods(job) => State::Queued { reason: None },
        None => under_way(living.first()?),
    };
    Some(Seen::State(state))
}

/// The pod that tells how a job ended: the last one, or of several the first that failed and was not ended because another one had.
fn told_by<'a>(job: &Object, pods: &'a [Pod]) -> Option<&'a Pod> {
    match several::pods(job) {
        1 => pods.iter().max_by_key(|pod| pod.metadata.creation_timestamp.clone()),
        _ => pods.iter().filter(|pod| has_failed(pod)).min_by_key(|pod| (was_ended(pod), ended_at(pod))),
    }
}

fn condition<'a>(job: &'a Object, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T12:00:00Z";

    /// What is seen of a Job with these conditions and notes, and pods with these statuses.
    fn see(conditions: &Value, notes: &Value, pods: &[Value]) -> Seen {
        let meta = json!({ "annotations": notes, "creationTimestamp": "2026-01-01T11:00:00Z" });
        let job = json!({ "metadata": meta, "status": { "conditions": conditions } });
        let job = serde_json::from_value(job).unwrap();
        let pods: Vec<Pod> = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
        seen(&job, &pods, NOW.parse().unwrap())
    }

    /// What is seen of a Job that has two pods, of which these are there.
    fn see_two(conditions: &Value, pods: &[Value]) -> Seen {
        let meta = json!({ "creationTimestamp": "2026-01-01T11:00:00Z" });
        let spec = json!({ "completions": 2, "template": {} });
        let job = json!({ "metadata": meta, "spec": spec, "status": { "conditions": conditions } });
        let job = serde_json::from_value(job).unwrap();
        let pods: Vec<Pod> = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
        seen(&job, &pods, NOW.parse().unwrap())
    }

    fn pod(status: &Value) -> Value {
        json!({ "metadata": {}, "spec": { "nodeName": "n1", "containers": [] }, "status": status })
    }

    fn condition(kind: &str, reason: &str) -> Value {
        json!([{ "type": kind, "status": "True", "reason": reason }])
    }

    fn container(state: &Value) -> Value {
        json!([{ "name": "job", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state }])
    }

    fn waiting(reason: &str, message: &str, since: &str) -> Value {
        let state = container(&json!({ "waiting": { "reason": reason, "message": message } }));
        pod(&json!({ "phase": "Pending", "startTime": since, "containerStatuses": state }))
    }

    fn failed_of(status: &Value) -> Seen {
        see(&condition("Failed", "BackoffLimitExceeded"), &json!({}), &[pod(status)])
    }

    fn exited(code: i32, reason: &str) -> Seen {
        let state = container(&json!({ "terminated": { "exitCode": code, "reason": reason } }));
        failed_of(&json!({ "phase": "Failed", "containerStatuses": state }))
    }

    fn disrupted(reason: &str) -> Seen {
        let state = container(&json!({ "terminated": { "exitCode": 143, "reason": "Error" } }));
        let conditions = json!([{ "type": "DisruptionTarget", "status": "True", "reason": reason }]);
        failed_of(&json!({ "phase": "Failed", "containerStatuses": state, "conditions": conditions }))
    }

    fn queued(reason: Option<&str>) -> Seen {
        Seen::State(State::Queued { reason: reason.map(str::to_owned) })
    }

    fn running() -> Seen {
        Seen::State(State::Running { host: Some("n1".to_owned()) })
    }

    #[test]
    fn what_waits_says_why() {
        assert_eq!(see(&json!([]), &json!({}), &[]), Seen::NoPod);
        let conditions = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu." }]);
        let unplaced = json!({ "metadata": {}, "spec": { "containers": [] },
            "status": { "phase": "Pending", "conditions": conditions } });
        assert_eq!(
            see(&json!([]), &json!({}), &[unplaced]),
            queued(Some("Unschedulable: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu."))
        );
        assert_eq!(see(&json!([]), &json!({}), &[waiting("ContainerCreating", "", NOW)]), queued(None));
        let image = waiting("ErrImagePull", "toomanyrequests: slow down", NOW);
        assert_eq!(
            see(&json!([]), &json!({}), &[image]),
            queued(Some("ErrImagePull: toomanyrequests: slow down"))
        );
        assert_eq!(
            see(&condition("Suspended", "JobSuspended"), &json!({}), &[]),
            queued(Some("the Job is suspended"))
        );
    }

    #[test]
    fn what_never_begins_is_told() {
        let reason = "ErrImagePull: reference \"x\": not found";
        let hopeless = Seen::Hopeless { reason: reason.to_owned() };
        let image = waiting("ErrImagePull", "reference \"x\": not found", NOW);
        assert_eq!(see(&json!([]), &json!({}), std::slice::from_ref(&image)), hopeless);
        let order = json!({ ORDER: r#"{"end":"not-started","reason":"it has no image"}"# });
        assert_eq!(see(&json!([]), &order, &[image]), queued(Some(reason)));
        let late = condition("Failed", "DeadlineExceeded");
        let end = End::NotStarted { reason: "it has no image".to_owned() };
        assert_eq!(see(&late, &order, &[]), Seen::Ended(end));
        let long = waiting("CreateContainerConfigError", "secret not there", "2026-01-01T11:44:00Z");
        assert!(matches!(see(&json!([]), &json!({}), &[long]), Seen::Hopeless { .. }));
    }

    #[test]
    fn ends_are_told_apart() {
        let ended = Seen::Ended;
        assert_eq!(see(&condition("Complete", ""), &json!({}), &[]), ended(End::Exited { code: 0 }));
        assert_eq!(exited(7, "Error"), ended(End::Exited { code: 7 }));
        assert_eq!(exited(139, "Error"), ended(End::Killed { signal: 11 }));
        assert_eq!(exited(137, "OOMKilled"), ended(End::OutOfMemory));
        assert_eq!(exited(137, "ContainerStatusUnknown"), ended(End::NodeLost));
        assert!(matches!(exited(128, "StartError"), Seen::Ended(End::NotStarted { .. })));
        let without =
            |reason: &str| failed_of(&json!({ "phase": "Failed", "reason": reason, "message": "why" }));
        assert_eq!(without("DeadlineExceeded"), ended(End::TimedOut));
        assert_eq!(without("Evicted"), ended(End::Preempted));
        assert_eq!(without("OutOfcpu"), ended(End::Preempted));
        assert_eq!(without("NodeLost"), ended(End::NodeLost));
        assert_eq!(
            without("NodeAffinity"),
            ended(End::NotStarted { reason: "NodeAffinity: why".to_owned() })
        );
        assert_eq!(disrupted("PreemptionByScheduler"), ended(End::Preempted));
        assert_eq!(disrupted("EvictionByEvictionAPI"), ended(End::Preempted));
        assert_eq!(disrupted("DeletionByTaintManager"), ended(End::NodeLost));
        let gone = see(&condition("Failed", "BackoffLimitExceeded"), &json!({}), &[]);
        assert_eq!(gone, ended(End::NodeLost));
    }

    #[test]
    fn whose_end_it_was_is_told_by_the_controller() {
        let order = json!({ ORDER: r#"{"end":"cancelled"}"# });
        let late = condition("Failed", "DeadlineExceeded");
        assert_eq!(see(&late, &order, &[]), Seen::Ended(End::Cancelled));
        assert_eq!(see(&late, &json!({}), &[]), Seen::Ended(End::TimedOut));
        // It was faster.
        let complete = condition("Complete", "");
        assert_eq!(see(&complete, &order, &[]), Seen::Ended(End::Exited { code: 0 }));
        assert_eq!(see(&condition("Suspended", ""), &order, &[]), Seen::Ended(End::Cancelled));
        let noted = json!({ END: r#"{"end":"exited","code":7}"# });
        assert_eq!(see(&json!([]), &noted, &[]), Seen::State(State::Ended { end: End::Exited { code: 7 } }));
    }

    #[test]
    fn what_may_still_run_has_not_ended() {
        let late = condition("Failed", "DeadlineExceeded");
        let runs = container(&json!({ "running": {} }));
        let told_too_early =
            pod(&json!({ "phase": "Failed", "reason": "DeadlineExceeded", "containerStatuses": runs }));
        assert_eq!(see(&late, &json!({}), &[told_too_early]), running());
        let ending = |until: &str, conditions: &Value| {
            let mut pod =
                pod(&json!({ "phase": "Running", "containerStatuses": runs, "conditions": conditions }));
            pod["metadata"]["deletionTimestamp"] = json!(until);
            see(&late, &json!({}), &[pod])
        };
        assert_eq!(ending("2026-01-01T12:00:05Z", &json!([])), running());
        // Its node does not answer: that may change, until its controller has given it up for long.
        assert_eq!(ending("2026-01-01T10:00:00Z", &json!([])), running());
        let lost =
            json!([{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager" }]);
        assert_eq!(ending("2026-01-01T11:58:00Z", &lost), running());
        assert_eq!(ending("2026-01-01T10:00:00Z", &lost), Seen::Ended(End::TimedOut));
        // Its controller has not heard of the end yet.
        let terminated = container(&json!({ "terminated": { "exitCode": 0 } }));
        let over = pod(&json!({ "phase": "Succeeded", "containerStatuses": terminated }));
        assert_eq!(see(&json!([]), &json!({}), &[over]), running());
    }

    #[test]
    fn of_several_pods_all_have_to_run() {
        let runs = container(&json!({ "running": {} }));
        let runs = pod(&json!({ "phase": "Running", "containerStatuses": runs }));
        let waits = waiting("ContainerCreating", "", NOW);
        assert_eq!(see_two(&json!([]), std::slice::from_ref(&runs)), queued(None));
        assert_eq!(see_two(&json!([]), &[runs.clone(), waits]), queued(None));
        assert_eq!(see_two(&json!([]), &[runs.clone(), runs]), running());
    }

    #[test]
    fn of_several_pods_the_first_that_failed_tells() {
        let failed = |code: i32, at: &str| {
            let ended = json!({ "exitCode": code, "reason": "Error", "finishedAt": at });
            pod(
                &json!({ "phase": "Failed", "containerStatuses": container(&json!({ "terminated": ended })) }),
            )
        };
        let late = condition("Failed", "BackoffLimitExceeded");
        let (first, second) = (failed(7, "2026-01-01T11:50:00Z"), failed(9, "2026-01-01T11:50:01Z"));
        let exited = |code| Seen::Ended(End::Exited { code });
        assert_eq!(see_two(&late, &[second.clone(), first]), exited(7));
        // Its controller ended it in the same second or before that was told.
        let mut ended = failed(143, "2026-01-01T11:50:00Z");
        ended["metadata"]["deletionTimestamp"] = json!("2026-01-01T11:50:10Z");
        assert_eq!(see_two(&late, &[ended, second]), exited(9));
    }
}
