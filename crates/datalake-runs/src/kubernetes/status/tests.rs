//! Jobs and pods as a cluster shows them, and the runs that are derived from them.

use k8s_openapi::serde_json::{self, Value, json};

use super::*;

const NAME: &str = "datalake-processor-1";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_478_400 + seconds).unwrap()
}

fn job(status: &Value) -> Job {
    let metadata = json!({ "name": NAME, "creationTimestamp": at(0).to_string() });
    let spec =
        json!({ "activeDeadlineSeconds": 3300, "template": { "spec": { "containers": [{ "name": "processor", "args": ["process"] }] } } });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap()
}

fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at(9).to_string() })
}

/// A pod of the Job with this status, created `seconds` after the Job.
fn pod(seconds: i64, status: &Value) -> Pod {
    let labels = json!({ "batch.kubernetes.io/job-name": NAME });
    let metadata = json!({ "name": format!("pod-{seconds}"), "labels": labels, "creationTimestamp": at(seconds).to_string() });
    serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    json!({ "phase": "Pending", "containerStatuses": [container(&state)] })
}

fn ended(exit_code: i32, reason: &str, message: &str) -> Value {
    let state = json!({ "terminated": { "exitCode": exit_code, "reason": reason, "message": message } });
    json!({ "phase": "Failed", "containerStatuses": [container(&state)] })
}

fn container(state: &Value) -> Value {
    json!({ "name": "processor", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state })
}

/// Checks the state of the run, 30 seconds after the Job was created, and that its message has these words.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "cases are values")]
fn check(status: Value, pods: &[Pod], state: &str, words: &[&str]) {
    let run = run_of(&job(&status), Some(pods), at(30)).unwrap();
    let error = run.error.unwrap_or_default();
    assert_eq!(run.state.as_str(), state, "{status}: {error}");
    assert!(words.iter().all(|word| error.contains(word)), "{status}: {error}");
    assert_eq!(words.is_empty(), error.is_empty(), "{status}: {error}");
    assert_eq!(run.ended_at.is_some(), !run.state.is_active(), "{status}");
}

#[test]
fn new_job_is_pending_without_a_message() {
    let young = run_of(&job(&json!({})), Some(&[]), at(2)).unwrap();
    assert_eq!(
        (young.state, young.error),
        (RunState::Pending, None),
        "Kubernetes needs a second to create the pod"
    );
}

#[test]
fn pending_message_has_the_cause() {
    check(
        json!({}),
        &[],
        "pending",
        &["has created no pod", "quota", &format!("kubectl describe job {NAME}")],
    );
    check(json!({ "active": 1 }), &[pod(1, &json!({ "phase": "Pending" }))], "pending", &[]);
    // The pod is 10 seconds old.
    check(
        json!({ "active": 1 }),
        &[pod(20, &waiting("ContainerCreating", ""))],
        "pending",
        &[],
    );
    check(json!({ "active": 1 }), &[pod(1, &waiting("PodInitializing", ""))], "pending", &[]);
    check(
        json!({ "active": 1 }),
        &[pod(1, &waiting("ContainerCreating", ""))],
        "pending",
        &["still being created", "volume", "kubectl describe pod pod-1"],
    );
    check(
        json!({ "active": 1 }),
        &[pod(1, &waiting("ImagePullBackOff", "Back-off pulling image \"x\""))],
        "pending",
        &["cannot pull the image (ImagePullBackOff)", "image \"x\""],
    );
    check(
        json!({ "active": 1 }),
        &[pod(1, &waiting("CreateContainerConfigError", "secret \"s3\" not found"))],
        "pending",
        &["cannot create the container", "secret \"s3\" not found"],
    );
    let unschedulable = json!({ "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" });
    check(
        json!({ "active": 1 }),
        &[pod(1, &json!({ "phase": "Pending", "conditions": [unschedulable] }))],
        "pending",
        &["the pod cannot be scheduled", "0/1 nodes"],
    );
    check(
        json!({ "conditions": [condition("Suspended", "JobSuspended", "")] }),
        &[],
        "pending",
        &["suspended"],
    );
}

#[test]
fn running_run_has_the_message_of_its_failed_attempts() {
    check(json!({ "active": 1 }), &[pod(1, &json!({ "phase": "Running" }))], "running", &[]);
    check(json!({ "active": 1, "ready": 1 }), &[], "running", &[]);
    check(
        json!({ "conditions": [condition("SuccessCriteriaMet", "", "")] }),
        &[],
        "running",
        &[],
    );
    let pods = [
        pod(1, &ended(1, "Error", "{\"error\":\"the store does not answer\"}")),
        pod(9, &json!({ "phase": "Running" })),
    ];
    check(
        json!({ "active": 1, "failed": 1 }),
        &pods,
        "running",
        &["1 attempt failed", "the store does not answer"],
    );
    check(
        json!({ "failed": 1 }),
        &[],
        "pending",
        &["1 attempt failed", "the pod no longer exists"],
    );
    check(json!({ "failed": 2 }), &[], "pending", &["2 attempts failed"]);
    let unlisted = run_of(&job(&json!({ "failed": 1 })), None, at(30)).unwrap().error.unwrap();
    assert!(
        unlisted.contains("cannot list the pods") && !unlisted.contains("no longer exists"),
        "{unlisted}"
    );
    check(
        json!({ "conditions": [condition("FailureTarget", "BackoffLimitExceeded", "")], "failed": 3 }),
        &pods,
        "running",
        &["3 attempts failed", "the store does not answer"],
    );
}

#[test]
fn ended_run_has_the_message_of_its_failure() {
    check(json!({ "conditions": [condition("Complete", "", "")] }), &[], "succeeded", &[]);
    let denied = pod(1, &ended(2, "Error", "{\"error\":\"AccessDenied\"}"));
    let policy = |status| {
        condition(
            "Failed",
            "PodFailurePolicy",
            &format!("Container processor for pod a/b failed with exit code {status} matching FailJob rule at index 0"),
        )
    };
    check(
        json!({ "conditions": [policy(2)] }),
        std::slice::from_ref(&denied),
        "misconfigured",
        &["AccessDenied"],
    );
    check(
        json!({ "conditions": [policy(4)] }),
        &[pod(1, &ended(4, "Error", ""))],
        "blocked",
        &["exited with status 4"],
    );
    check(json!({ "conditions": [policy(2)] }), &[], "misconfigured", &["exit code 2"]);
    let exhausted = json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 3 });
    check(
        exhausted.clone(),
        &[pod(1, &ended(1, "Error", "gone"))],
        "failed",
        &["3 attempts failed", "gone"],
    );
    check(
        exhausted.clone(),
        &[pod(1, &ended(137, "OOMKilled", ""))],
        "failed",
        &["out of memory", "resources.limits.memory"],
    );
    check(exhausted.clone(), &[pod(1, &ended(137, "Error", ""))], "failed", &["was killed"]);
    check(
        exhausted.clone(),
        &[pod(1, &ended(143, "Error", ""))],
        "failed",
        &["was terminated"],
    );
    check(
        exhausted.clone(),
        &[pod(1, &ended(3, "Error", "odd"))],
        "failed",
        &["exited with status 3", "odd"],
    );
    check(exhausted, &[], "failed", &["the pod no longer exists"]);
    let disruption = json!({ "type": "DisruptionTarget", "status": "True", "message": "node pressure" });
    check(
        json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 1 }),
        &[pod(1, &json!({ "phase": "Failed", "conditions": [disruption] }))],
        "failed",
        &["the only attempt failed", "the pod was removed", "node pressure"],
    );
    check(
        json!({ "conditions": [condition("Failed", "DeadlineExceeded", "")] }),
        &[pod(1, &waiting("ErrImagePull", "no such image"))],
        "failed",
        &["within 3300 s (`activeDeadlineSeconds`)", "no such image"],
    );
    check(
        json!({ "conditions": [condition("Failed", "SomethingNew", "unexpected")] }),
        &[],
        "failed",
        &["SomethingNew", "unexpected"],
    );
}

#[test]
fn newest_pod_of_the_job_has_the_message() {
    let old = pod(1, &ended(1, "Error", "first"));
    let new = pod(5, &ended(1, "Error", "second"));
    let mut other = pod(9, &ended(1, "Error", "another Job's"));
    other.metadata.labels = Some([("batch.kubernetes.io/job-name".to_owned(), "other".to_owned())].into());
    let status = json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 2 });
    check(status, &[new, other, old], "failed", &["second"]);
}

#[test]
fn deleted_job_is_a_stopped_run() {
    let mut deleted = job(&json!({ "active": 1 }));
    deleted.metadata.deletion_timestamp = Some(Time(at(10)));
    let run = run_of(&deleted, Some(&[]), at(30)).unwrap();
    assert_eq!(run.state, RunState::Ended(RunOutcome::Stopped));
    assert!(!is_active(&deleted));
}

#[test]
fn parameters_are_read_from_the_arguments() {
    let mut full = job(&json!({}));
    let read = |job: &Job| run_of(job, Some(&[]), at(30)).unwrap().parameters.unwrap();
    assert_eq!(read(&full), crate::run::RunParameters::default());
    let containers = &mut full.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers;
    containers[0].args = Some(["process", "--full", "--allow-mass-delete-of", "a"].map(str::to_owned).to_vec());
    let read = read(&full);
    assert_eq!((read.mode.as_str(), read.allow_mass_delete_of), ("full", RunId::parse("a").ok()));
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "cases are values")]
fn check_trigger(annotations: Value, managed_fields: Value, expected: Option<Trigger>) {
    let metadata = json!({ "name": NAME, "annotations": annotations, "managedFields": managed_fields });
    let job = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
    assert_eq!(
        run_of(&job, Some(&[]), at(30)).unwrap().trigger,
        expected,
        "{annotations}, {managed_fields}"
    );
}

#[test]
fn annotations_and_field_manager_reveal_the_trigger() {
    let scheduled = || json!({ "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-24T08:00:00Z" });
    let manual = || json!({ "cronjob.kubernetes.io/instantiate": "manual" });
    let controller = json!({ "manager": "kube-controller-manager" });
    let status = json!({ "manager": "kube-controller-manager", "subresource": "status" });
    let by = |manager: &str| json!([status, { "manager": manager }]);
    check_trigger(scheduled(), json!([]), Some(Trigger::Schedule));
    // Clusters before 1.28 set no annotation.
    check_trigger(json!({}), json!([controller, status]), Some(Trigger::Schedule));
    check_trigger(manual(), by("kubectl-create"), Some(Trigger::Kubectl));
    check_trigger(manual(), by("datalake-posted"), Some(Trigger::Api));
    check_trigger(manual(), by("datalake-first_run"), Some(Trigger::FirstRun));
    check_trigger(manual(), by("datalake-kubectl"), None);
    check_trigger(manual(), by("k9s"), None);
    check_trigger(manual(), json!([controller, status]), None);
    check_trigger(json!({}), json!([status]), None);
    check_trigger(json!({}), json!(null), None);
}

#[test]
fn log_tail_is_the_message_of_the_newest_pod_that_has_one() {
    let status = json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 2 });
    let pods = [
        pod(1, &ended(1, "Error", "first")),
        pod(5, &ended(1, "Error", "one\ntwo")),
        pod(9, &ended(1, "Error", " ")),
    ];
    let tail = |pods| run_of(&job(&status), Some(pods), at(30)).unwrap().log_tail;
    assert_eq!(tail(&pods).as_deref(), Some("one\ntwo"));
    assert_eq!(tail(&[]), None);
}
