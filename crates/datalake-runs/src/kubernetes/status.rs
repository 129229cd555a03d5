//! Where a run stands, from its Job and its pods. A function of what exists; nothing is remembered.

use std::sync::Arc;

use datalake_core::report::{RunId, RunOutcome};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::{ContainerStateTerminated, ContainerStatus, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::job;
use crate::{
    failure_message::last_words,
    run::{Run, RunState, Trigger},
};

/// What the CronJob's controller marks the Jobs with that it makes.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// A pod is made within a second of its Job, and its container within seconds of the pod; what takes so long is kept from it.
const POD_WAIT_MAX: SignedDuration = SignedDuration::from_secs(15);

/// The run of a Job, as far as Kubernetes knows it. `pods` are the Job's own among others; none where they could not be read.
pub(super) fn run_of(job: &Job, pods: Option<&[Pod]>, now: Timestamp) -> Option<Run> {
    let name = job.metadata.name.as_deref()?;
    let status = job.status.clone().unwrap_or_default();
    let observed = Observed {
        job,
        status: &status,
        were_pods_listed: pods.is_some(),
        pods: newest_last(pods.unwrap_or_default(), name),
        now,
    };
    let (state, error) = observed.state();
    let ended_at = match state {
        RunState::Ended(_) => ended_at(job, &status),
        RunState::Pending | RunState::Running => None,
    };
    let parameters = job::parameters_of(job);
    Some(Run {
        run_id: RunId::parse(name).ok()?,
        state,
        mode: Some(parameters.mode),
        parameters: Some(parameters),
        trigger: trigger_of(job),
        started_at: status.start_time.as_ref().map(|time| time.0),
        ended_at,
        error,
        log_tail: observed.pods.iter().rev().find_map(|pod| log_tail(pod)),
        report: None,
    })
}

/// Whether the Job has come to its end by itself.
pub(super) fn is_ended(job: &Job) -> bool {
    is_complete(job) || is_failed(job)
}

/// Whether the Job has come to its end and succeeded.
pub(super) fn is_complete(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| condition(status, "Complete").is_some())
}

/// Whether the Job makes pods only once an operator resumes it.
pub(super) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true))
}

/// Whether the Job is active, and no pod of it is ready, has failed or has succeeded. Kubernetes removes an ended pod only after it has counted
/// it here.
pub(super) fn has_no_pod_counted(job: &Job) -> bool {
    let status = job.status.clone().unwrap_or_default();
    let is_ending = condition(&status, "FailureTarget").is_some() || condition(&status, "SuccessCriteriaMet").is_some();
    let counts = [status.ready, status.failed, status.succeeded];
    let is_none_counted = counts.into_iter().flatten().all(|count| count == 0);
    let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
    let is_none_uncounted = uncounted.failed.iter().chain(&uncounted.succeeded).all(Vec::is_empty);
    is_active(job) && !is_ending && is_none_counted && is_none_uncounted
}

/// Whether the pod belongs to the Job of that name.
pub(super) fn is_pod_of(pod: &Pod, job: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(super::launcher::JOB_NAME))
        .is_some_and(|name| name == job)
}

/// Whether the Job has come to its end and failed.
pub(super) fn is_failed(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| condition(status, "Failed").is_some())
}

/// Whether the Job may still make or hold a pod.
pub(super) fn is_active(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_none() && !is_ended(job)
}

/// Whether somebody deleted the Job before its end: its pod may still be at work.
pub(super) fn is_leaving(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some() && !is_ended(job)
}

/// Whether its pods can tell more than the Job itself.
pub(super) fn needs_pods(job: &Job) -> bool {
    is_active(job) || is_failed(job)
}

/// A Job and its pods, the newest last.
struct Observed<'a> {
    job: &'a Job,
    status: &'a JobStatus,
    pods: Vec<&'a Pod>,
    were_pods_listed: bool,
    now: Timestamp,
}

impl Observed<'_> {
    fn state(&self) -> (RunState, Option<String>) {
        let status = self.status;
        if condition(status, "Complete").is_some() {
            return (RunState::Ended(RunOutcome::Succeeded), None);
        }
        if let Some(failed) = condition(status, "Failed") {
            let (outcome, words) = self.failure(failed);
            return (RunState::Ended(outcome), Some(words));
        }
        if self.job.metadata.deletion_timestamp.is_some() {
            return (RunState::Ended(RunOutcome::Stopped), Some("its Job was deleted".to_owned()));
        }
        if condition(status, "Suspended").is_some() {
            let words = "its Job is suspended; it goes on when `spec.suspend` is false again";
            return (RunState::Pending, Some(words.to_owned()));
        }
        if let Some(target) = condition(status, "FailureTarget") {
            return (RunState::Running, Some(self.failure(target).1));
        }
        let attempts = status.failed.filter(|failed| *failed > 0).map(|failed| {
            let last = self.last_failure();
            match failed {
                1 => format!("1 attempt has failed and it is tried again: {last}"),
                _ => format!("{failed} attempts have failed and it is tried again; the last one: {last}"),
            }
        });
        let is_said_to_run = self.pods.is_empty() && status.ready.is_some_and(|ready| ready > 0);
        let is_running = is_said_to_run || self.pods.iter().any(|pod| phase(pod) == "Running");
        if is_running || condition(status, "SuccessCriteriaMet").is_some() {
            return (RunState::Running, attempts);
        }
        (RunState::Pending, self.pending_words().or(attempts))
    }

    /// What the last pod that failed said of it.
    fn last_failure(&self) -> String {
        let said = self.pods.iter().rev().find_map(|pod| failed_words(pod));
        said.unwrap_or_else(|| {
            let words = match self.were_pods_listed {
                true => "its pod vanished",
                false => "its pods could not be listed",
            };
            words.to_owned()
        })
    }

    /// Why a Job has not begun, where that is more than the usual second.
    fn pending_words(&self) -> Option<String> {
        if let Some(words) = self.waiting_words() {
            return Some(words);
        }
        let (metadata, status) = (&self.job.metadata, self.status);
        let created_at = metadata.creation_timestamp.as_ref()?.0;
        let has_pod = !self.pods.is_empty() || status.active.is_some_and(|active| active > 0);
        let name = metadata.name.as_deref().unwrap_or_default();
        let is_late = self.now.duration_since(created_at) > POD_WAIT_MAX && status.failed.is_none_or(|failed| failed == 0);
        (!has_pod && is_late).then(|| {
            format!("Kubernetes has made no pod for it: the namespace's quota may be full, or an admission rule forbids it; `kubectl describe job {name}` tells which")
        })
    }

    fn waiting_words(&self) -> Option<String> {
        self.pods.iter().rev().find_map(|pod| waiting_words(pod, self.now))
    }

    /// What a condition that fails the Job means for whoever started the run.
    fn failure(&self, condition: &JobCondition) -> (RunOutcome, String) {
        let message = condition.message.as_deref().unwrap_or_default();
        match condition.reason.as_deref().unwrap_or_default() {
            "PodFailurePolicy" => {
                let outcome = match exit_status(message) {
                    Some(2) => RunOutcome::Misconfigured,
                    Some(4) => RunOutcome::Refused,
                    _ => RunOutcome::Failed,
                };
                let said = self.pods.iter().rev().find_map(|pod| failed_words(pod));
                (outcome, said.unwrap_or_else(|| message.to_owned()))
            }
            "BackoffLimitExceeded" => {
                let last = self.last_failure();
                let words = match self.status.failed.unwrap_or_default() {
                    0 | 1 => format!("its one attempt failed: {last}"),
                    failed => format!("{failed} attempts failed; the last one: {last}"),
                };
                (RunOutcome::Failed, words)
            }
            "DeadlineExceeded" => {
                let seconds = self.job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
                let deadline = match seconds {
                    Some(seconds) => format!("the {seconds} s of its activeDeadlineSeconds"),
                    None => "its activeDeadlineSeconds".to_owned(),
                };
                let waiting = self.waiting_words().map(|words| format!(": {words}")).unwrap_or_default();
                (RunOutcome::Failed, format!("it was not done within {deadline}{waiting}"))
            }
            reason => (RunOutcome::Failed, with(format!("its Job failed ({reason})"), message)),
        }
    }
}

/// What keeps a pod's containers from running, in words.
fn waiting_words(pod: &Pod, now: Timestamp) -> Option<String> {
    let waiting = |status: &&ContainerStatus| status.state.as_ref().and_then(|state| state.waiting.clone());
    let made_at = pod.metadata.creation_timestamp.as_ref();
    let is_late = made_at.is_some_and(|Time(made_at)| now.duration_since(*made_at) > POD_WAIT_MAX);
    for waiting in container_statuses(pod).iter().filter_map(waiting) {
        let message = waiting.message.unwrap_or_default();
        let what = match waiting.reason.as_deref().unwrap_or_default() {
            "ContainerCreating" if is_late => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                format!(
                    "the container is still being made: its image is being pulled, or a volume cannot be mounted; `kubectl describe pod {name}` tells which"
                )
            }
            "" | "ContainerCreating" | "PodInitializing" => continue,
            reason @ ("ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable") => {
                format!("the image cannot be pulled ({reason})")
            }
            reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
                format!("the container cannot be made ({reason})")
            }
            reason => format!("the container waits ({reason})"),
        };
        return Some(with(what, &message));
    }
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let unschedulable = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(with(
        "no node takes its pod".to_owned(),
        unschedulable.message.as_deref().unwrap_or_default(),
    ))
}

/// Why a pod failed: what its process said, or what was done to it.
fn failed_words(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    if phase(pod) != "Failed" {
        return None;
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if let Some(disruption) = conditions
        .iter()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")
    {
        return Some(with(
            "its pod was removed".to_owned(),
            disruption.message.as_deref().unwrap_or_default(),
        ));
    }
    let terminated = |status: &&ContainerStatus| status.state.as_ref().and_then(|state| state.terminated.clone());
    let ended = container_statuses(pod)
        .iter()
        .filter_map(terminated)
        .find(|ended| ended.exit_code != 0);
    Some(match ended {
        Some(ended) => ended_words(&ended),
        None => with("its pod failed".to_owned(), status.message.as_deref().unwrap_or_default()),
    })
}

fn ended_words(ended: &ContainerStateTerminated) -> String {
    let said = last_words(ended.message.as_deref().unwrap_or_default());
    match (ended.reason.as_deref().unwrap_or_default(), ended.exit_code) {
        ("OOMKilled", _) => "its process was killed: it needs more memory than `resources.limits.memory` allows".to_owned(),
        (_, 137) => with("its process was killed (exit status 137)".to_owned(), &said),
        (_, 143) => with("its process was asked to end (exit status 143)".to_owned(), &said),
        (reason @ ("ContainerCannotRun" | "StartError" | "DeadlineExceeded"), _) => with(
            format!("the container cannot run ({reason})"),
            ended.message.as_deref().unwrap_or_default(),
        ),
        // The contract gives these statuses a meaning, and the process says the rest.
        (_, status @ (1 | 2 | 4)) if said.is_empty() => format!("its process ended with exit status {status} and said nothing"),
        (_, 1 | 2 | 4) => said,
        (_, status) => with(format!("its process ended with exit status {status}"), &said),
    }
}

/// The exit status that a pod failure policy names: "Container processor for pod a/b failed with exit code 4 matching FailJob rule at index 0".
fn exit_status(message: &str) -> Option<u8> {
    let (_, rest) = message.split_once("exit code ")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Who made the Job, by what its maker left on it: kubectl and this program mark theirs alike, and Kubernetes notes which program it was.
fn trigger_of(job: &Job) -> Option<Trigger> {
    let is_marked = |name| job.metadata.annotations.as_ref().is_some_and(|texts| texts.contains_key(name));
    if is_marked(SCHEDULED) {
        return Some(Trigger::Schedule);
    }
    // Its status is kept up by others.
    let notes = job
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|note| note.subresource.is_none());
    let mut makers = notes.filter_map(|note| match note.manager.as_deref()? {
        "kube-controller-manager" if !is_marked(job::INSTANTIATE) => Some(Trigger::Schedule),
        "kubectl-create" => Some(Trigger::Kubectl),
        manager => [Trigger::Api, Trigger::FirstRun]
            .into_iter()
            .find(|trigger| job::manager(*trigger) == manager),
    });
    makers.next()
}

/// What a pod's process wrote last, as far as Kubernetes keeps it.
fn log_tail(pod: &Pod) -> Option<Arc<str>> {
    let message = |status: &ContainerStatus| status.state.as_ref()?.terminated.as_ref()?.message.clone();
    let messages = container_statuses(pod).into_iter().filter_map(message);
    messages.filter(|text| !text.trim().is_empty()).map(Arc::from).next_back()
}

fn ended_at(job: &Job, status: &JobStatus) -> Option<Timestamp> {
    let since = |kind| condition(status, kind).and_then(|condition| condition.last_transition_time.as_ref());
    let time = status
        .completion_time
        .as_ref()
        .or_else(|| since("Failed"))
        .or_else(|| since("Complete"))
        .or(job.metadata.deletion_timestamp.as_ref());
    time.map(|Time(at)| *at)
}

fn condition<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition.type_ == kind && condition.status == "True")
}

fn newest_last<'a>(pods: &'a [Pod], job: &str) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = pods.iter().filter(|pod| is_pod_of(pod, job)).collect();
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
    pods
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn container_statuses(pod: &Pod) -> Vec<&ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status
        .and_then(|status| status.init_container_statuses.as_deref())
        .unwrap_or_default();
    let main = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(main).collect()
}

fn with(what: String, message: &str) -> String {
    match message {
        "" => what,
        message => format!("{what}: {message}"),
    }
}

#[cfg(test)]
mod tests;
