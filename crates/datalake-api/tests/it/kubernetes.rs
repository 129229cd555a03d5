//! Runs as Jobs, with the Kubernetes API as a script: what is asked of it, and what is made of its answers.

use std::sync::{Arc, Mutex};

use datalake_api::{
    clock::Clock,
    launcher::{IdempotencyKey, LaunchError, RunLauncher, RunRequest, RunState, kubernetes::KubernetesLauncher},
};
use datalake_core::report::{RunId, RunMode, RunOutcome};
use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock;

use crate::fixture::now;

const CRON_JOB: &str = "datalake-processor";

/// A namespace: its Jobs, and what was asked of it.
#[derive(Debug, Default)]
struct Namespace {
    has_no_cron_job: bool,
    jobs: Vec<Value>,
    pods: Vec<Value>,
    /// What a create is answered with instead, after the Job was made elsewhere.
    refusal: Option<(u16, &'static str, &'static str)>,
    asked: Vec<String>,
    created: Option<Value>,
}

type Shared = Arc<Mutex<Namespace>>;

fn launcher(namespace: Namespace) -> (KubernetesLauncher, Shared) {
    let shared = Arc::new(Mutex::new(namespace));
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let served = Arc::clone(&shared);
    tokio::spawn(async move {
        while let Some((request, answer)) = handle.next_request().await {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let (status, document) = served.lock().unwrap().answer(&parts.method, &parts.uri.to_string(), &body);
            let body = Body::from(serde_json::to_vec(&document).unwrap());
            answer.send_response(Response::builder().status(status).body(body).unwrap());
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
            (&Method::GET, "jobs") => list("JobList", &self.jobs),
            (&Method::GET, "/api/v1/namespaces/lake/pods") => {
                assert!(query.contains("labelSelector=batch.kubernetes.io%2Fjob-name+in"), "{query}");
                list("PodList", &self.pods)
            }
            (&Method::POST, "jobs") => {
                let mut job: Value = serde_json::from_slice(body).unwrap();
                job["metadata"]["uid"] = "of-the-new-one".into();
                job["metadata"]["creationTimestamp"] = now().to_string().into();
                self.jobs.push(job.clone());
                self.created = Some(job.clone());
                match self.refusal {
                    Some((code, reason, message)) => status(code, reason, message),
                    None => (201, job),
                }
            }
            (&Method::DELETE, path) if path.starts_with("jobs/") => {
                assert!(
                    String::from_utf8_lossy(body).contains("\"propagationPolicy\":\"Background\""),
                    "pods go with their Job"
                );
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

fn cron_job() -> Value {
    let container = json!({ "name": "processor", "image": "datalake-processor:1", "args": ["process", "--output", "json"] });
    let template = json!({ "spec": { "restartPolicy": "Never", "containers": [container] } });
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": CRON_JOB, "namespace": "lake", "uid": "of-the-cron-job" },
        "spec": { "schedule": "0 * * * *", "jobTemplate": { "spec": { "backoffLimit": 2, "aNewField": 1, "template": template } } },
    })
}

/// A Job of the CronJob.
fn job(name: &str, status: &Value) -> Value {
    let owner = json!({ "apiVersion": "batch/v1", "kind": "CronJob", "name": CRON_JOB, "uid": "of-the-cron-job", "controller": true });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "namespace": "lake", "uid": format!("of-{name}"), "creationTimestamp": "2026-11-24T11:00:00Z", "ownerReferences": [owner] },
        "spec": cron_job()["spec"]["jobTemplate"]["spec"],
        "status": status,
    })
}

fn complete() -> Value {
    json!({ "conditions": [{ "type": "Complete", "status": "True" }], "completionTime": "2026-11-24T11:01:00Z", "startTime": "2026-11-24T11:00:01Z" })
}

/// What a launch asks for after the CronJob and the Jobs were read.
fn asked_after_reading(shared: &Shared) -> Vec<String> {
    let asked = shared.lock().unwrap().asked.clone();
    assert_eq!(asked[..2], ["GET cronjobs/datalake-processor", "GET jobs"]);
    asked[2..].to_vec()
}

fn wish(launcher: &KubernetesLauncher, key: &str) -> RunRequest {
    RunRequest {
        run_id: Some(launcher.run_id_of(&IdempotencyKey::parse(key).unwrap())),
        mode: RunMode::Incremental,
    }
}

#[tokio::test]
async fn a_run_is_a_job_of_the_live_template() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("datalake-processor-29384756", &complete())],
        ..Namespace::default()
    });
    let launched = launcher
        .launch(RunRequest {
            run_id: None,
            mode: RunMode::Full,
        })
        .await
        .unwrap();
    assert_eq!(
        (launched.started, launched.run.state, launched.run.mode),
        (true, RunState::Pending, Some(RunMode::Full))
    );
    let created = shared.lock().unwrap().created.clone().unwrap();
    assert_eq!(created["metadata"]["name"], launched.run.run_id.as_str());
    assert_eq!(created["spec"]["aNewField"], 1, "a field that this program does not know");
    assert_eq!(created["spec"]["template"]["spec"]["containers"][0]["args"][3], "--full");
    assert_eq!(created["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(created["metadata"]["ownerReferences"][0].get("blockOwnerDeletion"), None);
    assert_eq!(asked_after_reading(&shared)[0], "POST jobs");
}

/// Replicas that are asked at the same time try the same name, also without a key.
#[tokio::test]
async fn of_two_replicas_one_makes_the_job() {
    let before = || Namespace {
        jobs: vec![job("datalake-processor-29384756", &complete())],
        ..Namespace::default()
    };
    let (first, _) = launcher(before());
    let (second, _) = launcher(Namespace {
        refusal: Some((409, "AlreadyExists", "jobs.batch already exists")),
        ..before()
    });
    let first = first.launch(RunRequest::default()).await.unwrap();
    let second = second.launch(RunRequest::default()).await.unwrap();
    assert_eq!(first.run.run_id, second.run.run_id);
    assert_eq!((first.started, second.started), (true, false));
}

#[tokio::test]
async fn an_active_job_is_joined_whoever_made_it() {
    for active in ["datalake-processor-29384756", "by-hand"] {
        let (launcher, shared) = launcher(Namespace {
            jobs: vec![
                job(active, &json!({ "active": 1 })),
                job("datalake-processor-29384755", &complete()),
            ],
            ..Namespace::default()
        });
        let wished = wish(&launcher, "k");
        for request in [RunRequest::default(), wished.clone(), wished] {
            let launched = launcher.launch(request).await.unwrap();
            assert_eq!((launched.run.run_id.as_str(), launched.started), (active, false));
        }
        assert!(shared.lock().unwrap().created.is_none());
        // The key's run is the one that it joined, also after its end.
        shared.lock().unwrap().jobs = vec![job(active, &complete())];
        let late = launcher.launch(wish(&launcher, "k")).await.unwrap();
        assert_eq!(
            (late.run.run_id.as_str(), late.run.state),
            (active, RunState::Ended(RunOutcome::Succeeded))
        );
    }
}

#[tokio::test]
async fn a_key_names_one_job() {
    let (launcher, shared) = launcher(Namespace::default());
    let wished = wish(&launcher, "k");
    let name = wished.run_id.clone().unwrap();
    let first = launcher.launch(wished.clone()).await.unwrap();
    assert_eq!((&first.run.run_id, first.started), (&name, true));
    shared.lock().unwrap().jobs = vec![job(name.as_str(), &complete())];
    let again = launcher.launch(wished).await.unwrap();
    assert_eq!((&again.run.run_id, again.started), (&name, false));
    assert_ne!(wish(&launcher, "other").run_id.unwrap(), name);
}

#[tokio::test]
async fn somebody_elses_jobs_are_not_runs() {
    let mut other = job("backup", &json!({ "active": 1 }));
    other["metadata"]["ownerReferences"][0]["name"] = "backup".into();
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![other],
        ..Namespace::default()
    });
    assert!(launcher.launch(RunRequest::default()).await.unwrap().started);
    let backup = RunId::parse("backup").unwrap();
    assert!(launcher.find(&backup).await.is_none());
    launcher.stop(&backup).await.unwrap();
    assert!(!shared.lock().unwrap().asked.iter().any(|asked| asked.starts_with("DELETE")));
}

#[tokio::test]
async fn an_active_run_is_stopped_with_its_pods() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("active", &json!({ "active": 1 })), job("ended", &complete())],
        ..Namespace::default()
    });
    for name in ["active", "ended", "unknown"] {
        launcher.stop(&RunId::parse(name).unwrap()).await.unwrap();
    }
    let asked = shared.lock().unwrap().asked.clone();
    assert_eq!(
        asked.iter().filter(|asked| asked.starts_with("DELETE")).collect::<Vec<_>>(),
        ["DELETE jobs/active"]
    );
}

async fn check_failure(namespace: Namespace, words: &[&str]) {
    let (launcher, _) = launcher(namespace);
    let error = launcher.launch(RunRequest::default()).await.unwrap_err();
    let LaunchError::Failed { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
}

#[tokio::test]
async fn what_kubernetes_refuses_is_told() {
    let refused = |code, reason, message| Namespace {
        refusal: Some((code, reason, message)),
        ..Namespace::default()
    };
    check_failure(
        refused(403, "Forbidden", "jobs.batch is forbidden: exceeded quota"),
        &["refuses to make the Job", "exceeded quota"],
    )
    .await;
    check_failure(refused(422, "Invalid", "denied by the policy"), &["denied by the policy"]).await;
    let none = Namespace {
        has_no_cron_job: true,
        ..Namespace::default()
    };
    check_failure(none, &["there is no CronJob", "cronjob=datalake-processor", "namespace=lake"]).await;
}

#[tokio::test]
async fn a_pod_tells_what_its_job_does_not() {
    let labels = json!({ "batch.kubernetes.io/job-name": "active" });
    let waiting = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } });
    let container = json!({ "name": "processor", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": waiting });
    let pod =
        json!({ "metadata": { "name": "active-x", "labels": labels }, "status": { "phase": "Pending", "containerStatuses": [container] } });
    let (launcher, _) = launcher(Namespace {
        jobs: vec![job("active", &json!({ "active": 1 }))],
        pods: vec![pod],
        ..Namespace::default()
    });
    let run = launcher.find(&RunId::parse("active").unwrap()).await.unwrap();
    assert_eq!(run.state, RunState::Pending);
    assert!(run.error.unwrap().contains("no such image"));
}
