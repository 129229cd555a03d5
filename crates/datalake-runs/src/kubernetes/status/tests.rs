//! Jobs and pods as a cluster shows them, and the run that each makes.

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

/// A pod of the Job, with this status, made so many seconds after the Job.
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

/// The state and the words of the run, half a minute after the Job was made.
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
fn before_a_pod_runs() {
    let young = run_of(&job(&json!({})), Some(&[]), at(2)).unwrap();
    assert_eq!(
        (young.state, young.error),
        (RunState::Pending, None),
        "a Job is a second old before it has a pod"
    );
    check(
        json!({}),
        &[],
        "pending",
        &["has made no pod", "quota", &format!("kubectl describe job {NAME}")],
    );
    check(json!({ "active": 1 }), &[pod(1, &json!({ "phase": "Pending" }))], "pending", &[]);
    // Half a minute after the Job was made.
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
        &["still being made", "volume", "kubectl describe pod pod-1"],
    );
    check(
        json!({ "active": 1 }),
        &[pod(1, &waiting("ImagePullBackOff", "Back-off pulling image \"x\""))],
        "pending",
        &["the image cannot be pulled (ImagePullBackOff)", "image \"x\""],
    );
    check(
        json!({ "active": 1 }),
        &[pod(1, &waiting("CreateContainerConfigError", "secret \"s3\" not found"))],
        "pending",
        &["the container cannot be made", "secret \"s3\" not found"],
    );
    let unschedulable = json!({ "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" });
    check(
        json!({ "active": 1 }),
        &[pod(1, &json!({ "phase": "Pending", "conditions": [unschedulable] }))],
        "pending",
        &["no node takes its pod", "0/1 nodes"],
    );
    check(
        json!({ "conditions": [condition("Suspended", "JobSuspended", "")] }),
        &[],
        "pending",
        &["suspended"],
    );
}

#[test]
fn while_it_runs() {
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
        &["1 attempt has failed", "the store does not answer"],
    );
    check(
        json!({ "failed": 1 }),
        &[],
        "pending",
        &["1 attempt has failed", "its pod vanished"],
    );
    check(json!({ "failed": 2 }), &[], "pending", &["2 attempts have failed"]);
    let unheard = run_of(&job(&json!({ "failed": 1 })), None, at(30)).unwrap().error.unwrap();
    assert!(
        unheard.contains("could not be listed") && !unheard.contains("vanished"),
        "{unheard}"
    );
    check(
        json!({ "conditions": [condition("FailureTarget", "BackoffLimitExceeded", "")], "failed": 3 }),
        &pods,
        "running",
        &["3 attempts failed", "the store does not answer"],
    );
}

#[test]
fn after_its_end() {
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
        "refused",
        &["exit status 4"],
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
        &["more memory", "resources.limits.memory"],
    );
    check(exhausted.clone(), &[pod(1, &ended(137, "Error", ""))], "failed", &["was killed"]);
    check(exhausted.clone(), &[pod(1, &ended(143, "Error", ""))], "failed", &["asked to end"]);
    check(
        exhausted.clone(),
        &[pod(1, &ended(3, "Error", "odd"))],
        "failed",
        &["exit status 3", "odd"],
    );
    check(exhausted, &[], "failed", &["its pod vanished"]);
    let disruption = json!({ "type": "DisruptionTarget", "status": "True", "message": "node pressure" });
    check(
        json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 1 }),
        &[pod(1, &json!({ "phase": "Failed", "conditions": [disruption] }))],
        "failed",
        &["its one attempt failed", "its pod was removed", "node pressure"],
    );
    check(
        json!({ "conditions": [condition("Failed", "DeadlineExceeded", "")] }),
        &[pod(1, &waiting("ErrImagePull", "no such image"))],
        "failed",
        &["within the 3300 s of its activeDeadlineSeconds", "no such image"],
    );
    check(
        json!({ "conditions": [condition("Failed", "SomethingNew", "told")] }),
        &[],
        "failed",
        &["SomethingNew", "told"],
    );
}

/// The newest pod speaks, and pods of other Jobs are not heard.
#[test]
fn of_several_pods() {
    let old = pod(1, &ended(1, "Error", "first"));
    let new = pod(5, &ended(1, "Error", "second"));
    let mut other = pod(9, &ended(1, "Error", "another Job's"));
    other.metadata.labels = Some([("batch.kubernetes.io/job-name".to_owned(), "other".to_owned())].into());
    let status = json!({ "conditions": [condition("Failed", "BackoffLimitExceeded", "")], "failed": 2 });
    check(status, &[new, other, old], "failed", &["second"]);
}

#[test]
fn a_job_that_is_deleted_has_stopped() {
    let mut deleted = job(&json!({ "active": 1 }));
    deleted.metadata.deletion_timestamp = Some(Time(at(10)));
    let run = run_of(&deleted, Some(&[]), at(30)).unwrap();
    assert_eq!(run.state, RunState::Ended(RunOutcome::Stopped));
    assert!(!is_active(&deleted));
}

#[test]
fn the_parameters_are_read_from_the_arguments() {
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
fn check_trigger(annotations: Value, notes: Value, expected: Option<Trigger>) {
    let metadata = json!({ "name": NAME, "annotations": annotations, "managedFields": notes });
    let job = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
    assert_eq!(run_of(&job, Some(&[]), at(30)).unwrap().trigger, expected, "{annotations}, {notes}");
}

#[test]
fn who_made_a_job() {
    let scheduled = || json!({ "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-24T08:00:00Z" });
    let manual = || json!({ "cronjob.kubernetes.io/instantiate": "manual" });
    let controller = json!({ "manager": "kube-controller-manager" });
    let status = json!({ "manager": "kube-controller-manager", "subresource": "status" });
    let by = |manager: &str| json!([status, { "manager": manager }]);
    check_trigger(scheduled(), json!([]), Some(Trigger::Schedule));
    // Clusters before 1.28 leave no annotation.
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
fn what_a_pod_wrote_last_is_kept_whole() {
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
