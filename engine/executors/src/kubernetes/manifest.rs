//! What Kubernetes is told: the Job of one of our jobs, the Secret with its variables, and the marks on them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job as Object;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use super::{KubernetesSettings, several};
use crate::keeper::GRACE;
use crate::{Batch, BatchId, End, ExecutorError, Job, Resources, Ticket};

/// A label: the batch.
pub(super) const BATCH: &str = "tidemill/batch";
/// A label: the place of the job in it.
pub(super) const JOB: &str = "tidemill/job";
/// A note on a Job: how it ended, written down when that was first seen, for its pod may go before it.
pub(super) const END: &str = "tidemill/end";
/// A note on a Job: we end it, and this is how it is to be told.
pub(super) const ORDER: &str = "tidemill/end-ordered";
/// A note on a Job: what people call the batch.
const NAME: &str = "tidemill/name";
/// How long a Job is kept that nobody forgets, in seconds: a week.
const KEPT: u32 = 7 * 24 * 3600;

/// The name of the Job, and of its Secret: whoever submits it again finds it taken.
pub(super) fn name(ticket: &Ticket) -> String {
    format!("tidemill-{}-{}", ticket.batch, ticket.job)
}

/// A selector of all that belongs to batches.
pub(super) fn selector(batches: &[BatchId]) -> String {
    let ids: Vec<&str> = batches.iter().map(BatchId::as_str).collect();
    format!("{BATCH} in ({})", ids.join(","))
}

/// The Job of one job of a batch.
pub(super) fn job(
    batch: &Batch,
    ticket: &Ticket,
    settings: &KubernetesSettings,
) -> Result<Object, ExecutorError> {
    let job = &batch.jobs[ticket.job as usize];
    check(job)?;
    let labels = labels(ticket);
    let mut manifest = json!({
        "metadata": { "name": name(ticket), "labels": labels, "annotations": { NAME: batch.name } },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT,
            "template": { "metadata": { "labels": labels }, "spec": pod(ticket, job, &batch.resources, settings) },
        },
    });
    if batch.resources.nodes > 1 {
        several::spread(&mut manifest["spec"], ticket, batch.resources.nodes);
    }
    Ok(serde_json::from_value(manifest).expect("it is a Job"))
}

fn check(job: &Job) -> Result<(), ExecutorError> {
    if job.argv.iter().chain(job.env.values()).any(|text| text.contains('\0')) {
        let reason = "a command or variable holds a NUL".to_owned();
        return Err(ExecutorError::Refused { engine: "Kubernetes".to_owned(), reason });
    }
    Ok(())
}

pub(super) fn labels(ticket: &Ticket) -> BTreeMap<String, String> {
    BTreeMap::from([(BATCH.to_owned(), ticket.batch.to_string()), (JOB.to_owned(), ticket.job.to_string())])
}

fn pod(ticket: &Ticket, job: &Job, resources: &Resources, settings: &KubernetesSettings) -> Value {
    let KubernetesSettings {
        image,
        node_selector,
        tolerations,
        priority_class,
        service_account,
        gpu_resource,
        gpu_label,
        gpu_memory_label,
        ..
    } = settings;
    let mut needs = BTreeMap::from([("cpu".to_owned(), resources.cpus.to_string())]);
    needs.extend(resources.memory.map(|bytes| ("memory".to_owned(), bytes.to_string())));
    let mut nodes = node_selector.clone();
    if resources.gpus > 0 {
        needs.insert(gpu_resource.clone(), resources.gpus.to_string());
        nodes.extend(resources.gpu_type.clone().map(|kind| (gpu_label.clone(), kind)));
    }
    // A number on a label is compared with a smaller one only.
    let memory = resources.vram.filter(|_| resources.gpus > 0).map(|bytes| {
        let more_than = bytes.div_ceil(1 << 20).saturating_sub(1).to_string();
        let label = json!({ "key": gpu_memory_label, "operator": "Gt", "values": [more_than] });
        let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": [label] }] });
        json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } })
    });
    // A dollar may begin the name of a variable; two are one.
    let command: Vec<String> = job.argv.iter().map(|word| word.replace('$', "$$")).collect();
    let variables =
        if job.env.is_empty() { json!([]) } else { json!([{ "secretRef": { "name": name(ticket) } }]) };
    let tolerations: Vec<Value> = tolerations
        .iter()
        .map(|taint| {
            json!({
                "key": taint.key,
                "operator": if taint.value.is_some() { "Equal" } else { "Exists" },
                "value": taint.value,
                "effect": taint.effect,
            })
        })
        .collect();
    json!({
        "restartPolicy": "Never",
        // Of the pod, not of the Job: the time in the queue is not counted.
        "activeDeadlineSeconds": resources.time.map(|time| time.as_millis().div_ceil(1000).clamp(1, i32::MAX as u128) as i64),
        "terminationGracePeriodSeconds": GRACE,
        "enableServiceLinks": false,
        "automountServiceAccountToken": service_account.is_some(),
        "serviceAccountName": service_account,
        "priorityClassName": priority_class,
        "nodeSelector": nodes,
        "tolerations": tolerations,
        "affinity": memory.unwrap_or_else(|| json!({})),
        "containers": [{
            "name": "job",
            "image": image,
            "command": command,
            "envFrom": variables,
            "resources": { "requests": needs, "limits": needs },
            "volumeMounts": [{ "name": "shm", "mountPath": "/dev/shm" }],
        }],
        // Without it a container has 64 MiB of shared memory, too little for the workers of a data loader.
        "volumes": [{ "name": "shm", "emptyDir": { "medium": "Memory" } }],
    })
}

/// The Secret with the variables of a job. It goes with the Job.
pub(super) fn secret(owner: &Object, ticket: &Ticket, job: &Job) -> Option<Secret> {
    if job.env.is_empty() {
        return None;
    }
    let data = job.env.iter().map(|(name, value)| (name.clone(), ByteString(value.clone().into_bytes())));
    Some(Secret {
        metadata: of_job(owner, ticket),
        data: Some(data.collect()),
        immutable: Some(true),
        ..Secret::default()
    })
}

/// What is said of an object that goes with a Job and has its name.
pub(super) fn of_job(owner: &Object, ticket: &Ticket) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: name(ticket),
        uid: owner.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    ObjectMeta {
        name: Some(name(ticket)),
        labels: Some(labels(ticket)),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}

/// What makes the controller end a Job and keep it: no time is left. It is told as `end`.
pub(super) fn order_of_end(end: &End) -> Value {
    json!({ "metadata": { "annotations": { ORDER: noted(end) } }, "spec": { "activeDeadlineSeconds": 0 } })
}

/// What writes down how a Job ended.
pub(super) fn note_of_end(end: &End) -> Value {
    json!({ "metadata": { "annotations": { END: noted(end) } } })
}

/// The same change, of the Job as it was seen: if somebody has changed it meanwhile, it is none.
pub(super) fn as_seen(mut change: Value, seen: &Object) -> Value {
    change["metadata"]["resourceVersion"] = json!(seen.metadata.resource_version);
    change
}

/// Whether a change is meant for a Job as it was seen.
pub(super) fn is_as_seen(change: &Value) -> bool {
    change["metadata"].get("resourceVersion").is_some()
}

fn noted(end: &End) -> String {
    serde_json::to_string(end).expect("an end can be written")
}

#[cfg(test)]
mod tests {
    use super::super::Toleration;
    use super::*;

    fn one(resources: Resources, settings: &KubernetesSettings) -> Result<Value, ExecutorError> {
        let argv = ["sh", "-c", "echo $HOME $(id)"].map(str::to_owned).to_vec();
        let env = BTreeMap::from([("TOKEN".to_owned(), "the-secret".to_owned())]);
        let id: BatchId = "a".repeat(26).parse().unwrap();
        let batch = Batch { id, name: "Story, ü".to_owned(), resources, jobs: vec![Job { argv, env }] };
        let ticket = batch.tickets().next().unwrap();
        job(&batch, &ticket, settings).map(|job| serde_json::to_value(job).unwrap())
    }

    fn settings() -> KubernetesSettings {
        KubernetesSettings::of_image("registry/image:1".to_owned())
    }

    #[test]
    fn a_job_says_what_it_needs() {
        let resources = Resources {
            cpus: 4,
            memory: Some(1 << 30),
            gpus: 2,
            gpu_type: Some("NVIDIA-H200".to_owned()),
            vram: Some(40 << 30),
            time: Some(std::time::Duration::from_millis(1500)),
            ..Resources::default()
        };
        let toleration = Toleration { key: "nvidia.com/gpu".to_owned(), value: None, effect: None };
        let settings = KubernetesSettings { tolerations: vec![toleration], ..settings() };
        let object = one(resources, &settings).unwrap();
        let spec = &object["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let needs = json!({ "cpu": "4", "memory": "1073741824", "nvidia.com/gpu": "2" });
        assert_eq!(container["resources"], json!({ "requests": needs, "limits": needs }));
        assert_eq!(spec["nodeSelector"], json!({ "nvidia.com/gpu.product": "NVIDIA-H200" }));
        let affinity = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let label = json!({ "key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["40959"] });
        assert_eq!(affinity["nodeSelectorTerms"], json!([{ "matchExpressions": [label] }]));
        assert_eq!(spec["tolerations"], json!([{ "key": "nvidia.com/gpu", "operator": "Exists" }]));
        assert_eq!(spec["activeDeadlineSeconds"], 2);
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!((&object["spec"]["backoffLimit"], &spec["restartPolicy"]), (&json!(0), &json!("Never")));
        assert_eq!(object["metadata"]["labels"], object["spec"]["template"]["metadata"]["labels"]);
        assert_eq!(object["metadata"]["name"], format!("tidemill-{}-0", "a".repeat(26)));
    }

    #[test]
    fn variables_are_in_the_secret_alone_and_dollars_are_no_variables() {
        let object = one(Resources::default(), &settings()).unwrap();
        assert!(!object.to_string().contains("the-secret"));
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["sh", "-c", "echo $$HOME $$(id)"]));
        assert_eq!(container["envFrom"][0]["secretRef"]["name"], object["metadata"]["name"]);
    }

    #[test]
    fn several_nodes_are_pods_that_know_each_other() {
        let object = one(Resources { nodes: 3, ..Resources::default() }, &settings()).unwrap();
        let spec = &object["spec"];
        assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(3), &json!(3)));
        assert_eq!(spec["completionMode"], "Indexed");
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["subdomain"], object["metadata"]["name"]);
        let apart = &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
        assert_eq!(apart["labelSelector"]["matchLabels"], object["metadata"]["labels"]);
        let variables = pod["containers"][0]["env"].as_array().unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        let first = format!("{name}-0.{name}");
        assert!(variables.contains(&json!({ "name": "MASTER_ADDR", "value": first })), "{variables:?}");
    }
}
