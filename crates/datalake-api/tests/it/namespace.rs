//! The Kubernetes API as a script: a namespace with Jobs and pods, and what was asked of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use datalake_api::{
    clock::Clock,
    launcher::{IdempotencyKey, RunLauncher, RunRequest, Trigger, kubernetes::KubernetesLauncher},
};
use datalake_core::report::RunMode;
use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock;

use crate::fixture::now;

pub(crate) const CRON_JOB: &str = "datalake-processor";

/// A namespace: its Jobs, and what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) has_no_cron_job: bool,
    pub(crate) jobs: Vec<Value>,
    pub(crate) pods: Vec<Value>,
    /// What a create is answered with instead, after the Job was made elsewhere.
    pub(crate) refusal: Option<(u16, &'static str, &'static str)>,
    /// Jobs that somebody else made between our looking and our making one.
    pub(crate) elders: Vec<Value>,
    /// Lists of Jobs until those that were deleted have ended.
    pub(crate) lists_until_gone: usize,
    /// What each watch is told, in turn; those that come later hear nothing.
    pub(crate) watches: VecDeque<Vec<Value>>,
    pub(crate) asked: Vec<String>,
    pub(crate) created: Option<Value>,
}

pub(crate) type Shared = Arc<Mutex<Namespace>>;

pub(crate) fn launcher(namespace: Namespace) -> (KubernetesLauncher, Shared) {
    let shared = Arc::new(Mutex::new(namespace));
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let served = Arc::clone(&shared);
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
    (
        KubernetesLauncher::new(Client::new(service, "lake"), CRON_JOB, Clock::new(now)),
        shared,
    )
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
            (&Method::GET, "jobs") if query.contains("resourceVersionMatch=Exact") => {
                assert!(query.contains("resourceVersion=7"), "as they were when ours was made: {query}");
                list("JobList", &[self.elders.as_slice(), self.jobs.as_slice()].concat())
            }
            (&Method::GET, "jobs") => {
                self.lists_until_gone = self.lists_until_gone.saturating_sub(1);
                if self.lists_until_gone == 0 {
                    self.jobs.retain(|job| job["metadata"]["deletionTimestamp"].is_null());
                }
                list("JobList", &self.jobs)
            }
            (&Method::GET, "/api/v1/namespaces/lake/pods") => {
                assert!(query.contains("labelSelector=batch.kubernetes.io%2Fjob-name+in"), "{query}");
                list("PodList", &self.pods)
            }
            (&Method::POST, "jobs") => {
                let mut job: Value = serde_json::from_slice(body).unwrap();
                job["metadata"]["uid"] = "of-the-new-one".into();
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

pub(crate) fn wish(launcher: &KubernetesLauncher, key: &str) -> RunRequest {
    RunRequest {
        run_id: Some(launcher.run_id_of(&IdempotencyKey::parse(key).unwrap())),
        mode: RunMode::Incremental,
        trigger: Trigger::Posted,
    }
}
