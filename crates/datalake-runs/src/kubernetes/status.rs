//! The state of a run, derived from its Job and its pods. Makes no requests and remembers nothing.

use datalake_core::run::{RunId, RunOutcome};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{job, pod};
use crate::run::{Run, RunState, Trigger};

/// The message of a run whose Job was deleted before its end.
pub(super) const DELETED: &str = "the Job was deleted";

/// The annotation of Jobs that the CronJob controller creates.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The run of a Job; none if the Job's name is not a run ID. `pods` may include pods of other Jobs; none if the pods could not be listed.
pub(super) fn run_of(job: &Job, pods: Option<&[Pod]>, now: Timestamp) -> Option<Run> {
    let name = job.metadata.name.as_deref()?;
    let status = job.status.clone().unwrap_or_default();
    let observed = Observed {
        job,
        status: &status,
        were_pods_listed: pods.is_some(),
        pods: newest_first(pods.unwrap_or_default(), name),
        now,
    };
    let (state, error) = observed.state();
    let parameters = job::parameters_of(job);
    Some(Run {
        mode: Some(parameters.mode),
        parameters: Some(parameters),
        trigger: trigger_of(job),
        started_at: status.start_time.as_ref().map(|time| time.0),
        ended_at: if state.is_active() { None } else { ended_at(job, &status) },
        error,
        log_tail: observed.pods.iter().find_map(|pod| pod::log_tail(pod)),
        ..Run::new(RunId::parse(name).ok()?, state)
    })
}

/// Whether the Job has completed or failed.
pub(super) fn is_ended(job: &Job) -> bool {
    is_complete(job) || is_failed(job)
}

/// Whether the Job has completed successfully.
pub(super) fn is_complete(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| condition(status, "Complete").is_some())
}

/// Whether the Job has failed.
pub(super) fn is_failed(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| condition(status, "Failed").is_some())
}

/// Whether the Job may still create pods or have active ones.
pub(super) fn is_active(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_none() && !is_ended(job)
}

/// Whether the Job was deleted before its end, and its pods may still be running.
pub(super) fn is_terminating(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some() && !is_ended(job)
}

/// Whether the Job creates no pods until an operator resumes it.
pub(super) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true))
}

/// Whether the Job is active, and none of its pods is ready, has failed or has succeeded. Kubernetes removes an ended pod only after it has
/// counted the pod here.
pub(super) fn has_no_pod_counted(job: &Job) -> bool {
    let status = job.status.clone().unwrap_or_default();
    let is_ending = condition(&status, "FailureTarget").is_some() || condition(&status, "SuccessCriteriaMet").is_some();
    let counts = [status.ready, status.failed, status.succeeded];
    let is_none_counted = counts.into_iter().flatten().all(|count| count == 0);
    let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
    let is_none_uncounted = uncounted.failed.iter().chain(&uncounted.succeeded).all(Vec::is_empty);
    is_active(job) && !is_ending && is_none_counted && is_none_uncounted
}

/// Whether the Job's pods may show more than the Job itself.
pub(super) fn needs_pods(job: &Job) -> bool {
    is_active(job) || is_failed(job)
}

/// A Job and its pods, in descending order of creation.
struct Observed<'a> {
    job: &'a Job,
    status: &'a JobStatus,
    pods: Vec<&'a Pod>,
    were_pods_listed: bool,
    now: Timestamp,
}

impl Observed<'_> {
    /// The state of the run, and why it failed or does not progress.
    fn state(&self) -> (RunState, Option<String>) {
        let status = self.status;
        if condition(status, "Complete").is_some() {
            return (RunState::Ended(RunOutcome::Succeeded), None);
        }
        if let Some(failed) = condition(status, "Failed") {
            let (outcome, message) = self.failure(failed);
            return (RunState::Ended(outcome), Some(message));
        }
        if self.job.metadata.deletion_timestamp.is_some() {
            return (RunState::Ended(RunOutcome::Stopped), Some(DELETED.to_owned()));
        }
        if condition(status, "Suspended").is_some() {
            let message = "the Job is suspended; set its `spec.suspend` to false to resume it";
            return (RunState::Pending, Some(message.to_owned()));
        }
        if let Some(target) = condition(status, "FailureTarget") {
            return (RunState::Running, Some(self.failure(target).1));
        }
        let is_ready = self.pods.is_empty() && status.ready.is_some_and(|ready| ready > 0);
        let is_running = is_ready || self.pods.iter().any(|pod| pod::is_running(pod));
        if is_running || condition(status, "SuccessCriteriaMet").is_some() {
            return (RunState::Running, self.retry_message());
        }
        (RunState::Pending, self.pending_message().or_else(|| self.retry_message()))
    }

    fn retry_message(&self) -> Option<String> {
        let failed = self.status.failed.filter(|failed| *failed > 0)?;
        let last = self.last_failure();
        Some(match failed {
            1 => format!("1 attempt failed, retrying: {last}"),
            _ => format!("{failed} attempts failed, retrying; the last error: {last}"),
        })
    }

    /// The message of the last pod that failed.
    fn last_failure(&self) -> String {
        self.pod_failure_message().unwrap_or_else(|| {
            let message = match self.were_pods_listed {
                true => "the pod no longer exists",
                false => "cannot list the pods",
            };
            message.to_owned()
        })
    }

    /// Why the Job has not started, if it takes longer than usual.
    fn pending_message(&self) -> Option<String> {
        if let Some(message) = self.waiting_message() {
            return Some(message);
        }
        let (metadata, status) = (&self.job.metadata, self.status);
        let created_at = metadata.creation_timestamp.as_ref()?.0;
        let has_pod = !self.pods.is_empty() || status.active.is_some_and(|active| active > 0);
        let name = metadata.name.as_deref().unwrap_or_default();
        let is_late = self.now.duration_since(created_at) > pod::START_WAIT_MAX && status.failed.is_none_or(|failed| failed == 0);
        (!has_pod && is_late).then(|| {
            format!("Kubernetes has created no pod: the namespace's quota may be exhausted, or an admission policy may deny the pod; see `kubectl describe job {name}`")
        })
    }

    fn waiting_message(&self) -> Option<String> {
        self.pods.iter().find_map(|pod| pod::waiting_message(pod, self.now))
    }

    fn pod_failure_message(&self) -> Option<String> {
        self.pods.iter().find_map(|pod| pod::pod_failure_message(pod))
    }

    /// The outcome and the message of a run whose Job has this condition of a failure.
    fn failure(&self, condition: &JobCondition) -> (RunOutcome, String) {
        let message = condition.message.as_deref().unwrap_or_default();
        match condition.reason.as_deref().unwrap_or_default() {
            "PodFailurePolicy" => {
                let outcome = match exit_status(message) {
                    Some(2) => RunOutcome::Misconfigured,
                    Some(4) => RunOutcome::Blocked,
                    _ => RunOutcome::Failed,
                };
                (outcome, self.pod_failure_message().unwrap_or_else(|| message.to_owned()))
            }
            "BackoffLimitExceeded" => {
                let last = self.last_failure();
                let message = match self.status.failed.unwrap_or_default() {
                    0 | 1 => format!("the only attempt failed: {last}"),
                    failed => format!("{failed} attempts failed; the last error: {last}"),
                };
                (RunOutcome::Failed, message)
            }
            "DeadlineExceeded" => {
                let seconds = self.job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
                let deadline = match seconds {
                    Some(seconds) => format!("{seconds} s (`activeDeadlineSeconds`)"),
                    None => "`activeDeadlineSeconds`".to_owned(),
                };
                let waiting = self.waiting_message();
                let message = pod::join_message(format!("the run did not end within {deadline}"), waiting.as_deref());
                (RunOutcome::Failed, message)
            }
            reason => (
                RunOutcome::Failed,
                pod::join_message(format!("the Job failed ({reason})"), Some(message)),
            ),
        }
    }
}

/// The exit status in the message of a pod failure policy: "Container processor for pod a/b failed with exit code 4 matching FailJob rule at
/// index 0".
fn exit_status(message: &str) -> Option<u8> {
    let (_, rest) = message.split_once("exit code ")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What triggered the run. kubectl and this program set the same annotation, so the field manager that Kubernetes recorded decides between them.
fn trigger_of(job: &Job) -> Option<Trigger> {
    let is_annotated = |name| {
        job.metadata
            .annotations
            .as_ref()
            .is_some_and(|annotations| annotations.contains_key(name))
    };
    if is_annotated(SCHEDULED) {
        return Some(Trigger::Schedule);
    }
    // Controllers manage the status of every Job.
    let entries = job.metadata.managed_fields.iter().flatten();
    let entries = entries.filter(|entry| entry.subresource.is_none());
    let mut triggers = entries.filter_map(|entry| match entry.manager.as_deref()? {
        "kube-controller-manager" if !is_annotated(job::INSTANTIATE) => Some(Trigger::Schedule),
        "kubectl-create" => Some(Trigger::Kubectl),
        manager => [Trigger::Api, Trigger::FirstRun]
            .into_iter()
            .find(|trigger| job::field_manager(*trigger) == manager),
    });
    triggers.next()
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

fn newest_first<'a>(pods: &'a [Pod], job: &str) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = pods.iter().filter(|pod| pod::is_owned_by(pod, job)).collect();
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
    pods.reverse();
    pods
}

#[cfg(test)]
mod tests;
