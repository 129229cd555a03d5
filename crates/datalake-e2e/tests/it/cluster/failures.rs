//! Messages of `/runs/{id}` about failed and pending runs. The tests edit the CronJob, from whose current template the API creates Jobs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    port_forward::{PortForward, Response},
    release::{Release, TIMEOUT, create, wait_until},
};

/// The client sees the message within this time.
const REPORTED_WITHIN: Duration = Duration::from_mins(1);

const CONTAINER: &str = "/spec/template/spec/containers/0";

#[test]
fn failed_run_reports_its_cause() {
    // The policy would deny Jobs of an edited CronJob.
    let release = Release::with_samples("failures", &["api.admissionPolicy.enabled=false"]);
    let api = release.api();
    let template = release.get(&["cronjob", "datalake-processor"])["spec"]["jobTemplate"].take();

    let image = with_image(&template, "datalake-processor:none");
    check(
        &release,
        &api,
        &image,
        "pending",
        &["cannot pull the image", "datalake-processor:none"],
    );
    let secret = with_variable(&template, "AWS_SECRET_ACCESS_KEY", "wrong");
    check(
        &release,
        &api,
        &secret,
        "misconfigured",
        &["the secret key does not match", "AWS_SECRET_ACCESS_KEY"],
    );
    let lake = with_variable(&template, "DATALAKE_LAKE", "s3://nowhere");
    check(&release, &api, &lake, "misconfigured", &["bucket", "nowhere"]);
    delete_pod_of_run(&release, &api, &template);
    exceed_quota(&release, &api, &template);

    // Reads have continued, and runs succeed with the original template.
    let run = start_run(&release, &api, &template);
    expect_run(&release, &api, &run, "succeeded", &[]);
    assert_eq!(api.json("/stats")["count"], 100);
}

/// A run from this template reaches this state, with a message that contains all of `words`. It is not active when the check returns, so the
/// next run does not join it.
#[track_caller]
fn check(release: &Release, api: &PortForward, template: &Value, state: &str, words: &[&str]) {
    let run = start_run(release, api, template);
    expect_run(release, api, &run, state, words);
    match state {
        "pending" | "running" => stop_run(release, api, &run),
        _ => expect_ended(release, api, &run),
    }
}

/// Deletes the pod of a run that waits for a store that does not respond.
fn delete_pod_of_run(release: &Release, api: &PortForward, template: &Value) {
    // A closed port of the S3 server's pod, which the run retries for seconds.
    let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=demo-s3"]);
    let closed = format!("http://{}:9", pods["items"][0]["status"]["podIP"].as_str().unwrap());
    let mut hanging = with_variable(template, "DATALAKE_S3_ENDPOINT", &closed);
    hanging["spec"]["backoffLimit"] = json!(0);
    let run = start_run(release, api, &hanging);
    expect_run(release, api, &run, "running", &[]);
    let selector = format!("batch.kubernetes.io/job-name={run}");
    release.kubectl(&["delete", "pod", "--selector", &selector, "--grace-period", "0", "--force"]);
    expect_run(release, api, &run, "failed", &["the pod no longer exists"]);
}

fn exceed_quota(release: &Release, api: &PortForward, template: &Value) {
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "full", "namespace": release.namespace }, "spec": { "hard": { "pods": "0" } } });
    create(&quota, &[]).unwrap();
    wait_until("the quota is enforced", TIMEOUT, || {
        let quota = release.get(&["resourcequota", "full"]);
        quota["status"]["hard"].is_object().then_some(()).ok_or(quota.to_string())
    });
    check(release, api, template, "pending", &["no pod", "quota", "kubectl describe job"]);
    release.kubectl(&["delete", "resourcequota", "full"]);
}

/// Starts a run from this template, and returns its ID.
#[track_caller]
fn start_run(release: &Release, api: &PortForward, template: &Value) -> String {
    let patch = json!([{ "op": "replace", "path": "/spec/jobTemplate", "value": template }]);
    release.kubectl(&[
        "patch",
        "cronjob",
        "datalake-processor",
        "--type",
        "json",
        "--patch",
        &patch.to_string(),
    ]);
    let run = release.post(api, &[]);
    assert_eq!(run.status, 202, "{run:?}");
    run.body["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn expect_run(release: &Release, api: &PortForward, run_id: &str, state: &str, words: &[&str]) {
    // A client without the token does not get the cause.
    let authorization = release.authorization();
    wait_until("the run reports its cause", REPORTED_WITHIN, || {
        let run = api.request(&format!("/runs/{run_id}"), &["--header", &authorization]).body;
        let error = run["error"].as_str().unwrap_or_default();
        let is_reported = run["state"] == state && words.iter().all(|word| error.contains(word));
        is_reported.then_some(()).ok_or(format!("{state}, {words:?} are expected: {run}"))
    });
}

/// A run that has ended cannot be stopped (409).
fn expect_ended(release: &Release, api: &PortForward, run_id: &str) {
    release.wait_for_jobs();
    let response = delete_run(release, api, run_id);
    assert_eq!(response.status, 409, "{response:?}");
}

/// Stops the run.
fn stop_run(release: &Release, api: &PortForward, run_id: &str) {
    let stopped = delete_run(release, api, run_id);
    assert_eq!(stopped.status, 202, "{stopped:?}");
    release.wait_for_jobs();
    expect_run(release, api, run_id, "stopped", &["deleted"]);
}

fn delete_run(release: &Release, api: &PortForward, run_id: &str) -> Response {
    let authorization = release.authorization();
    api.request(&format!("/runs/{run_id}"), &["--request", "DELETE", "--header", &authorization])
}

fn with_image(template: &Value, image: &str) -> Value {
    let mut template = template.clone();
    template.pointer_mut(CONTAINER).unwrap()["image"] = json!(image);
    template
}

fn with_variable(template: &Value, name: &str, value: &str) -> Value {
    let mut template = template.clone();
    let variables = template.pointer_mut(CONTAINER).unwrap()["env"].as_array_mut().unwrap();
    let variable = variables.iter_mut().find(|variable| variable["name"] == name);
    *variable.expect("the chart sets it") = json!({ "name": name, "value": value });
    template
}
