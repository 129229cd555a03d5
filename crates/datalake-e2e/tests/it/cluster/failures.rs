//! What `/runs/{id}` says of a run that does not get on, in the words of whoever has to mend it. The CronJob is edited by hand, as an
//! operator in need does; the API makes its Jobs from the CronJob as it is.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    forward::{Answer, Forward},
    release::{PATIENCE, Release, create, until},
};

/// So soon whoever started the run is told.
const TOLD_WITHIN: Duration = Duration::from_mins(1);

const CONTAINER: &str = "/spec/template/spec/containers/0";

#[test]
fn a_run_that_fails_says_why() {
    // The policy would deny what is edited by hand.
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
    killed(&release, &api, &template);
    out_of_quota(&release, &api, &template);

    // Reads went on, and so do runs once all is mended.
    let run = started(&release, &api, &template);
    told(&release, &api, &run, "succeeded", &[]);
    assert_eq!(api.json("/stats")["count"], 100);
}

/// A run from this template gets to this state, and all of these words are said. Afterwards there is none that the next one would join.
#[track_caller]
fn check(release: &Release, api: &Forward, template: &Value, state: &str, words: &[&str]) {
    let run = started(release, api, template);
    told(release, api, &run, state, words);
    match state {
        "pending" | "running" => stop(release, api, &run),
        _ => ended(release, api, &run),
    }
}

/// The pod goes while its run waits for a store that does not answer.
fn killed(release: &Release, api: &Forward, template: &Value) {
    // A port of the S3 server's pod at which nobody listens: it is tried for seconds.
    let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=demo-s3"]);
    let nobody = format!("http://{}:9", pods["items"][0]["status"]["podIP"].as_str().unwrap());
    let mut hanging = with_variable(template, "DATALAKE_S3_ENDPOINT", &nobody);
    hanging["spec"]["backoffLimit"] = json!(0);
    let run = started(release, api, &hanging);
    told(release, api, &run, "running", &[]);
    let selector = format!("batch.kubernetes.io/job-name={run}");
    release.kubectl(&["delete", "pod", "--selector", &selector, "--grace-period", "0", "--force"]);
    told(release, api, &run, "failed", &["the pod no longer exists"]);
}

fn out_of_quota(release: &Release, api: &Forward, template: &Value) {
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "full", "namespace": release.namespace }, "spec": { "hard": { "pods": "0" } } });
    create(&quota, &[]).unwrap();
    until("the quota is obeyed", PATIENCE, || {
        let quota = release.get(&["resourcequota", "full"]);
        quota["status"]["hard"].is_object().then_some(()).ok_or(quota.to_string())
    });
    check(release, api, template, "pending", &["no pod", "quota", "kubectl describe job"]);
    release.kubectl(&["delete", "resourcequota", "full"]);
}

/// The id of a run that is made from this template.
#[track_caller]
fn started(release: &Release, api: &Forward, template: &Value) -> String {
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
fn told(release: &Release, api: &Forward, run_id: &str, state: &str, words: &[&str]) {
    // A client without the token does not get the cause.
    let authorization = release.authorization();
    until("the run says what is wrong", TOLD_WITHIN, || {
        let run = api.ask(&format!("/runs/{run_id}"), &["--header", &authorization]).body;
        let error = run["error"].as_str().unwrap_or_default();
        let is_told = run["state"] == state && words.iter().all(|word| error.contains(word));
        is_told.then_some(()).ok_or(format!("{state}, {words:?} are expected: {run}"))
    });
}

/// A run that has ended cannot be stopped, and says so.
fn ended(release: &Release, api: &Forward, run_id: &str) {
    release.settle();
    let refused = delete(release, api, run_id);
    assert_eq!(refused.status, 409, "{refused:?}");
}

/// Stops the run.
fn stop(release: &Release, api: &Forward, run_id: &str) {
    let stopped = delete(release, api, run_id);
    assert_eq!(stopped.status, 202, "{stopped:?}");
    release.settle();
    told(release, api, run_id, "stopped", &["deleted"]);
}

fn delete(release: &Release, api: &Forward, run_id: &str) -> Answer {
    let authorization = release.authorization();
    api.ask(&format!("/runs/{run_id}"), &["--request", "DELETE", "--header", &authorization])
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
