//! A scripted Kubernetes API: a namespace with Jobs and pods, and the requests that it received.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use datalake_core::clock::Clock;
use datalake_core::run::{RunId, RunMode};
use datalake_runs::{
    idempotency::IdempotencyKey,
    kubernetes::launcher::KubernetesLauncher,
    launcher::{RunLauncher, RunRequest},
    run::{RunParameters, Trigger},
};
use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock;

use crate::fixture::now;

pub(crate) const CRON_JOB: &str = "datalake-processor";

/// A namespace: its Jobs, and the requests that it received.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) has_no_cron_job: bool,
    pub(crate) jobs: Vec<Value>,
    pub(crate) pods: Vec<Value>,
    /// The response to a create instead, after another client created the Job.
    pub(crate) refusal: Option<(u16, &'static str, &'static str)>,
    /// After a list of pods, the statuses of the Jobs become this one: their pods end between the two reads.
    pub(crate) status_after_pods: Option<Value>,
    /// After the first list of Jobs, these exist as well: another replica creates them.
    pub(crate) created_later: Vec<Value>,
    /// Whether the account may patch Jobs.
    pub(crate) patch_is_forbidden: bool,
    /// The events of each watch in order; later watches receive none.
    pub(crate) watches: VecDeque<Vec<Value>>,
    pub(crate) asked: Vec<String>,
    pub(crate) created: Option<Value>,
}

pub(crate) type Shared = Arc<Mutex<Namespace>>;

pub(crate) fn launcher(namespace: Namespace) -> (KubernetesLauncher, Shared) {
    let shared = Arc::new(Mutex::new(namespace));
    (serve(Arc::clone(&shared)), shared)
}

fn serve(served: Shared) -> KubernetesLauncher {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some((request, answer)) = handle.next_request().await {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let uri = parts.uri.to_string();
            let (status, body) = if uri.contains("watch=true") {
                let Some(events) = served.lock().unwrap().watches.pop_front() else {
                    unanswered.push(answer);
                    continue;
                };
                let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
                (200, (lines.join("\n") + "\n").into_bytes())
            } else {
                let (status, document) = served.lock().unwrap().answer(&parts.method, &uri, &body);
                (status, serde_json::to_vec(&document).unwrap())
            };
            answer.send_response(Response::builder().status(status).body(Body::from(body)).unwrap());
        }
    });
    KubernetesLauncher::new(Client::new(service, "lake"), CRON_JOB, Clock::new(now))
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let document = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "metadata": {} });
    (code, document)
}

fn list(kind: &str, items: &[Value]) -> (u16, Value) {
    (
        200,
        json!({ "kind": kind, "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": items }),
    )
}

impl Namespace {
    fn answer(&mut self, method: &Method, uri: &str, body: &[u8]) -> (u16, Value) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path.strip_prefix("/apis/batch/v1/namespaces/lake/").unwrap_or(path);
        self.asked.push(format!("{method} {path}"));
        let found = |name: &str| self.jobs.iter().find(|job| job["metadata"]["name"] == name).cloned();
        match (method, path) {
            (&Method::GET, "cronjobs/datalake-processor") if !self.has_no_cron_job => (200, cron_job()),
            (&Method::GET, "jobs") => {
                assert!(
                    !query.contains("resourceVersion"),
                    "a list without a version is consistent: {query}"
                );
                let listed = list("JobList", &self.jobs);
                self.jobs.append(&mut self.created_later);
                listed
            }
            (&Method::GET, "/api/v1/namespaces/lake/pods") => {
                assert!(query.contains("labelSelector=batch.kubernetes.io%2Fjob-name+in"), "{query}");
                assert!(
                    !query.contains("resourceVersion"),
                    "a list without a version is consistent: {query}"
                );
                if let Some(status) = self.status_after_pods.take() {
                    self.jobs.iter_mut().for_each(|job| job["status"] = status.clone());
                }
                list("PodList", &self.pods)
            }
            (&Method::PATCH, _) if self.patch_is_forbidden => status(403, "Forbidden", "jobs.batch is forbidden: cannot patch"),
            (&Method::PATCH, path) => {
                let patch: Value = serde_json::from_slice(body).unwrap();
                let Some(job) = self
                    .jobs
                    .iter_mut()
                    .find(|job| path.strip_prefix("jobs/").is_some_and(|name| job["metadata"]["name"] == name))
                else {
                    return status(404, "NotFound", "there is none");
                };
                assert_eq!(
                    patch["metadata"]["uid"], job["metadata"]["uid"],
                    "another Job of this name is not changed"
                );
                let added = patch["metadata"]["annotations"].as_object().unwrap().clone();
                for (name, value) in added {
                    job["metadata"]["annotations"][name] = value;
                }
                (200, job.clone())
            }
            (&Method::POST, "jobs") => {
                let mut job: Value = serde_json::from_slice(body).unwrap();
                if let Some(present) = found(job["metadata"]["name"].as_str().unwrap()) {
                    return status(409, "AlreadyExists", &format!("jobs.batch already exists: {present}"));
                }
                job["metadata"]["uid"] = format!("of-new-{}", self.jobs.len()).into();
                job["metadata"]["creationTimestamp"] = now().to_string().into();
                job["metadata"]["resourceVersion"] = "7".into();
                self.jobs.push(job.clone());
                self.created = Some(job.clone());
                match self.refusal {
                    Some((code, reason, message)) => status(code, reason, message),
                    None => (201, job),
                }
            }
            (&Method::DELETE, path) if path.starts_with("jobs/") => {
                assert!(
                    String::from_utf8_lossy(body).contains("\"propagationPolicy\":\"Foreground\""),
                    "pods go before their Job"
                );
                for job in self.jobs.iter_mut().filter(|job| job["metadata"]["name"] == path["jobs/".len()..]) {
                    job["metadata"]["deletionTimestamp"] = now().to_string().into();
                }
                (
                    200,
                    json!({ "kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {} }),
                )
            }
            (&Method::GET, path) => match path.strip_prefix("jobs/").and_then(found) {
                Some(job) => (200, job),
                None => status(404, "NotFound", "there is none"),
            },
            _ => status(405, "MethodNotAllowed", "this script knows nothing of it"),
        }
    }
}

pub(crate) fn cron_job() -> Value {
    let container = json!({ "name": "processor", "image": "datalake-processor:1", "args": ["process", "--output", "json"] });
    let template = json!({ "spec": { "restartPolicy": "Never", "containers": [container] } });
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": CRON_JOB, "namespace": "lake", "uid": "of-the-cron-job" },
        "spec": { "schedule": "0 * * * *", "jobTemplate": { "spec": { "backoffLimit": 2, "aNewField": 1, "template": template } } },
    })
}

/// A Job of the CronJob.
pub(crate) fn job(name: &str, status: &Value) -> Value {
    let owner = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "name": CRON_JOB, "uid": "of-the-cron-job", "controller": true });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "namespace": "lake", "uid": format!("of-{name}"), "creationTimestamp": "2026-11-24T11:00:00Z", "ownerReferences": [owner] },
        "spec": cron_job()["spec"]["jobTemplate"]["spec"],
        "status": status,
    })
}

pub(crate) fn complete() -> Value {
    json!({ "conditions": [{ "type": "Complete", "status": "True" }], "completionTime": "2026-11-24T11:01:00Z", "startTime": "2026-11-24T11:00:01Z" })
}

pub(crate) fn asked(shared: &Shared) -> Vec<String> {
    shared.lock().unwrap().asked.clone()
}

/// A request of the API for an incremental run without a key.
pub(crate) fn request() -> RunRequest {
    RunRequest::new(None, RunParameters::default(), Trigger::Api)
}

/// A request of the API for a full run without a key.
pub(crate) fn full() -> RunRequest {
    let parameters = RunParameters {
        mode: RunMode::Full,
        ..RunParameters::default()
    };
    RunRequest::new(None, parameters, Trigger::Api)
}

/// A request of the API for an incremental run with a key.
pub(crate) fn keyed(launcher: &KubernetesLauncher, key: &str) -> RunRequest {
    RunRequest {
        run_id: Some(key_id(launcher, key)),
        ..request()
    }
}

/// The ID of the run that the key starts.
pub(crate) fn key_id(launcher: &KubernetesLauncher, key: &str) -> RunId {
    launcher.run_id_of(&IdempotencyKey::parse(key).unwrap())
}

/// A pod of the Job, on that node if there is one.
pub(crate) fn pod(job: &str, node: Option<&str>) -> Value {
    json!({
        "metadata": { "name": format!("{job}-x"), "labels": { "batch.kubernetes.io/job-name": job } },
        "spec": { "nodeName": node, "containers": [] },
        "status": { "phase": "Pending" },
    })
}

/// The launcher of a second replica in the same namespace.
pub(crate) fn replica(shared: &Shared) -> KubernetesLauncher {
    serve(Arc::clone(shared))
}
