//! A Job that has several pods at once, one on each node. They come one after another: that none of them waits in vain for the others is
//! the affair of what queues Jobs in the cluster, if it has such a thing.

use k8s_openapi::api::batch::v1::Job as Object;
use k8s_openapi::api::core::v1::{Pod, Service, ServiceSpec};
use serde_json::{Value, json};

use super::manifest::{labels, name, of_job};
use crate::Ticket;
use crate::several::variables;

/// A note on a pod, by its controller: its rank.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Makes pods of the one that a Job would have. They are found by their names below that of the Service.
pub(super) fn spread(spec: &mut Value, ticket: &Ticket, nodes: u32) {
    spec["completionMode"] = json!("Indexed");
    spec["completions"] = json!(nodes);
    spec["parallelism"] = json!(nodes);
    let pod = &mut spec["template"]["spec"];
    let name = name(ticket);
    pod["subdomain"] = json!(name);
    pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([
        { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": labels(ticket) } }
    ]);
    let rank = json!({ "fieldRef": { "fieldPath": format!("metadata.annotations['{INDEX}']") } });
    let same =
        variables(ticket, nodes).map(|(name, value)| json!({ "name": name, "value": value.to_string() }));
    let mut env = vec![
        json!({ "name": "TIDEMILL_NODE_RANK", "valueFrom": rank }),
        json!({ "name": "NODE_RANK", "valueFrom": rank }),
        json!({ "name": "MASTER_ADDR", "value": format!("{name}-0.{name}") }),
    ];
    env.extend(same);
    pod["containers"][0]["env"] = json!(env);
}

/// The Service that gives the pods their names, from before they are ready. It goes with the Job.
pub(super) fn service(owner: &Object, ticket: &Ticket) -> Option<Service> {
    owner.spec.as_ref()?.completions.filter(|pods| *pods > 1)?;
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        selector: Some(labels(ticket)),
        ..ServiceSpec::default()
    };
    Some(Service { metadata: of_job(owner, ticket), spec: Some(spec), ..Service::default() })
}

/// How many pods a Job has at once.
pub(super) fn pods(job: &Object) -> usize {
    let pods = job.spec.as_ref().and_then(|spec| spec.completions);
    pods.and_then(|pods| usize::try_from(pods).ok()).unwrap_or(1)
}

/// The rank of a pod, if it has one.
pub(super) fn rank(pod: &Pod) -> Option<u32> {
    pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()
}
