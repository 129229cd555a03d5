//! What a pod of a Job shows: why it waits, why it failed, the end of its log. Makes no requests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::job;
use crate::failure_message::failure_message;

/// Kubernetes normally creates a pod within a second of its Job, and a container within seconds of its pod. A longer wait is reported.
pub(super) const START_WAIT_MAX: SignedDuration = SignedDuration::from_secs(15);

/// Whether the pod belongs to the Job of that name.
pub(super) fn is_owned_by(pod: &Pod, job: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(job::JOB_NAME_LABEL))
        .is_some_and(|name| name == job)
}

/// Whether the pod is bound to a node, so its container may have started.
pub(super) fn is_bound(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}

/// Whether the pod is running.
pub(super) fn is_running(pod: &Pod) -> bool {
    phase(pod) == "Running"
}

/// Why no container of the pod runs yet.
pub(super) fn waiting_message(pod: &Pod, now: Timestamp) -> Option<String> {
    let created_at = pod.metadata.creation_timestamp.as_ref();
    let is_late = created_at.is_some_and(|Time(created_at)| now.duration_since(*created_at) > START_WAIT_MAX);
    let waiting = |status: &ContainerStatus| status.state.as_ref()?.waiting.clone();
    for waiting in container_statuses(pod).into_iter().filter_map(waiting) {
        let what = match waiting.reason.as_deref().unwrap_or_default() {
            "ContainerCreating" if is_late => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                format!(
                    "the container is still being created: its image may still be pulled, or a volume cannot be mounted; see `kubectl describe pod {name}`"
                )
            }
            "" | "ContainerCreating" | "PodInitializing" => continue,
            reason @ ("ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable") => {
                format!("cannot pull the image ({reason})")
            }
            reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
                format!("cannot create the container ({reason})")
            }
            reason => format!("the container is waiting ({reason})"),
        };
        return Some(join_message(what, waiting.message.as_deref()));
    }
    let unschedulable = condition(pod, "PodScheduled", "False")?;
    Some(join_message(
        "the pod cannot be scheduled on any node".to_owned(),
        unschedulable.message.as_deref(),
    ))
}

/// Why the pod failed: the error of its process, or why Kubernetes removed it; none if it has not failed.
pub(super) fn pod_failure_message(pod: &Pod) -> Option<String> {
    if phase(pod) != "Failed" {
        return None;
    }
    if let Some(disruption) = condition(pod, "DisruptionTarget", "True") {
        return Some(join_message("the pod was removed".to_owned(), disruption.message.as_deref()));
    }
    let failed = terminated(pod).into_iter().find(|terminated| terminated.exit_code != 0);
    let pod_failure = || {
        let message = pod.status.as_ref().and_then(|status| status.message.as_deref());
        join_message("the pod failed".to_owned(), message)
    };
    Some(failed.map_or_else(pod_failure, exit_message))
}

/// The end of the log of the pod's process, as far as Kubernetes keeps it.
pub(super) fn log_tail(pod: &Pod) -> Option<Arc<str>> {
    let messages = terminated(pod).into_iter().filter_map(|terminated| terminated.message.as_deref());
    messages.filter(|text| !text.trim().is_empty()).map(Arc::from).next_back()
}

/// `what`, followed by the message if there is one.
pub(super) fn join_message(what: String, message: Option<&str>) -> String {
    match message {
        None | Some("") => what,
        Some(message) => format!("{what}: {message}"),
    }
}

fn exit_message(terminated: &ContainerStateTerminated) -> String {
    let message = terminated.message.as_deref();
    let error = failure_message(message.unwrap_or_default());
    match (terminated.reason.as_deref().unwrap_or_default(), terminated.exit_code) {
        ("OOMKilled", _) => "the process ran out of memory; increase `resources.limits.memory`".to_owned(),
        (_, 137) => join_message("the process was killed (exit status 137)".to_owned(), Some(&error)),
        (_, 143) => join_message("the process was terminated (exit status 143)".to_owned(), Some(&error)),
        (reason @ ("ContainerCannotRun" | "StartError" | "DeadlineExceeded"), _) => {
            join_message(format!("cannot run the container ({reason})"), message)
        }
        (_, status @ (1 | 2 | 4)) if error.is_empty() => format!("process exited with status {status} and no output"),
        // The state of the run already has the meaning of these statuses.
        (_, 1 | 2 | 4) => error,
        (_, status) => join_message(format!("process exited with status {status}"), Some(&error)),
    }
}

fn condition<'a>(pod: &'a Pod, kind: &str, status: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
    let mut conditions = conditions.unwrap_or_default().iter();
    conditions.find(|condition| condition.type_ == kind && condition.status == status)
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn terminated(pod: &Pod) -> Vec<&ContainerStateTerminated> {
    let statuses = container_statuses(pod).into_iter();
    statuses.filter_map(|status| status.state.as_ref()?.terminated.as_ref()).collect()
}

/// The statuses of the init containers, followed by those of the others.
fn container_statuses(pod: &Pod) -> Vec<&ContainerStatus> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten()).collect()
}
