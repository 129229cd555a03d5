//! Runs as Jobs, with the Kubernetes API as a script: what is asked of it, and what is made of its answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use datalake_api::{
    clock::Clock,
    launcher::{IdempotencyKey, LaunchError, RunLauncher, RunRequest, RunState, Trigger, kubernetes::KubernetesLauncher},
    run_history::RunHistory,
};
use datalake_core::{
    keys,
    report::{RunId, RunMode, RunOutcome},
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    memory::MemoryBucket,
};
use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_test::mock;

use crate::{fixture::now, runs::report};

const CRON_JOB: &str = "datalake-processor";

/// A namespace: its Jobs, and what was asked of it.
#[derive(Debug, Default)]
struct Namespace {
    has_no_cron_job: bool,
    jobs: Vec<Value>,
    pods: Vec<Value>,
    /// What a create is answered with instead, after the Job was made elsewhere.
    refusal: Option<(u16, &'static str, &'static str)>,
    /// Jobs that somebody else made between our looking and our making one.
    elders: Vec<Value>,
    /// Lists of Jobs until those that were deleted have ended.
    lists_until_gone: usize,
    /// What each watch is told, in turn; those that come later hear nothing.
    watches: VecDeque<Vec<Value>>,
    asked: Vec<String>,
    created: Option<Value>,
}

type Shared = Arc<Mutex<Namespace>>;

fn launcher(namespace: Namespace) -> (KubernetesLauncher, Shared) {
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

fn asked(shared: &Shared) -> Vec<String> {
    shared.lock().unwrap().asked.clone()
}

fn wish(launcher: &KubernetesLauncher, key: &str) -> RunRequest {
    RunRequest {
        run_id: Some(launcher.run_id_of(&IdempotencyKey::parse(key).unwrap())),
        mode: RunMode::Incremental,
        trigger: Trigger::Posted,
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
            trigger: Trigger::Posted,
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
    assert_eq!(
        asked(&shared),
        ["GET jobs", "GET cronjobs/datalake-processor", "POST jobs", "GET jobs"]
    );
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

/// With different keys they make different Jobs. All but the first take theirs back and answer with the first one's run, also later.
#[tokio::test]
async fn of_two_replicas_with_different_keys_the_first_keeps_its_job() {
    let elder = "datalake-processor-elder";
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("datalake-processor-29384756", &complete())],
        elders: vec![job("by-an-even-later-one", &complete()), job(elder, &json!({ "active": 1 }))],
        ..Namespace::default()
    });
    let wished = wish(&launcher, "k");
    let name = wished.run_id.clone().unwrap();
    let launched = launcher.launch(wished.clone()).await.unwrap();
    assert_eq!((launched.run.run_id.as_str(), launched.started), (elder, false));
    assert_eq!(asked(&shared)[4], format!("DELETE jobs/{name}"));
    assert_eq!(launcher.answer_to(&name).as_str(), elder);
    // It is no run, and never was.
    shared.lock().unwrap().jobs = vec![job(elder, &complete())];
    assert!(launcher.find(&name).await.is_none());
    assert_eq!(
        launcher.runs().await.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(),
        [elder]
    );
    let again = launcher.launch(wished).await.unwrap();
    assert_eq!((again.run.run_id.as_str(), again.started), (elder, false));
}

/// A key that joined here is repeated where nobody knows that, and has a run of its own there: that is a run here, too.
#[tokio::test]
async fn a_run_of_another_replica_shows_whatever_its_key_joined_here() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("elder", &json!({ "active": 1 }))],
        ..Namespace::default()
    });
    let wished = wish(&launcher, "k");
    let name = wished.run_id.clone().unwrap();
    launcher.launch(wished).await.unwrap();
    assert_eq!(launcher.answer_to(&name).as_str(), "elder");
    let made_elsewhere = job(name.as_str(), &json!({ "active": 1 }));
    shared.lock().unwrap().jobs = vec![job("elder", &complete()), made_elsewhere];
    assert_eq!(launcher.find(&name).await.unwrap().run_id, name);
}

/// One replica's requests see each other, whatever their keys.
#[tokio::test]
async fn of_many_requests_at_once_one_makes_a_job() {
    let (launcher, shared) = launcher(Namespace::default());
    let wishes = (0..20).map(|number| match number % 3 {
        0 => RunRequest::default(),
        key => wish(&launcher, &format!("key-{key}")),
    });
    let launched = futures_util::future::join_all(wishes.map(|wish| launcher.launch(wish))).await;
    let launched: Vec<_> = launched.into_iter().map(Result::unwrap).collect();
    assert!(
        launched.iter().all(|each| each.run.run_id == launched[0].run.run_id),
        "{launched:?}"
    );
    assert_eq!(launched.iter().filter(|each| each.started).count(), 1);
    assert_eq!(asked(&shared).iter().filter(|asked| *asked == "POST jobs").count(), 1);
}

/// Who deletes a Job has stopped its run only once its pod has ended.
#[tokio::test]
async fn no_run_begins_beside_one_that_is_stopping() {
    let mut leaving = job("leaving", &json!({ "active": 1 }));
    leaving["metadata"]["deletionTimestamp"] = now().to_string().into();
    leaving["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![leaving],
        lists_until_gone: 3,
        ..Namespace::default()
    });
    assert!(launcher.launch(RunRequest::default()).await.unwrap().started);
    let asked = asked(&shared);
    assert_eq!(asked.iter().position(|asked| asked == "POST jobs"), Some(4), "{asked:?}");
}

/// A pod may take its whole grace, and longer than anybody who asks is kept.
#[tokio::test(start_paused = true)]
async fn who_asks_too_early_is_told_to_come_again() {
    let mut leaving = job("leaving", &json!({ "active": 1 }));
    leaving["metadata"]["deletionTimestamp"] = now().to_string().into();
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![leaving],
        lists_until_gone: usize::MAX,
        ..Namespace::default()
    });
    let error = launcher.launch(RunRequest::default()).await.unwrap_err();
    assert!(
        matches!(&error, LaunchError::Busy { reason } if reason.contains("run=leaving")),
        "{error:?}"
    );
    assert!(shared.lock().unwrap().created.is_none());
}

/// Most runs that are looked at are long over, and their Jobs gone.
#[tokio::test]
async fn a_report_spares_the_question_for_its_job() {
    let (launcher, shared) = launcher(Namespace::default());
    let (bucket, report) = (MemoryBucket::new(), report("over", 1));
    let bytes = serde_json::to_vec(&report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    bucket.put(&key, bytes, PutMode::Create, &Metadata::new()).await.unwrap();
    let history = RunHistory::new(Arc::new(bucket), Arc::new(launcher));
    assert!(history.find(&report.run_id).await.unwrap().is_some());
    assert_eq!(asked(&shared), Vec::<String>::new());
    assert!(history.find(&RunId::parse("unknown").unwrap()).await.unwrap().is_none());
    assert_eq!(asked(&shared), ["GET jobs"]);
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

/// Whoever reads costs Kubernetes what one reader does.
#[tokio::test]
async fn reads_share_what_is_asked() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("active", &json!({ "active": 1 }))],
        ..Namespace::default()
    });
    let active = RunId::parse("active").unwrap();
    // Nobody follows here, so that the first one looks for itself.
    assert!(launcher.find(&active).await.is_some());
    let (asked_before, begun) = (asked(&shared).len(), tokio::time::Instant::now());
    let found = futures_util::future::join_all((0..50).map(|_| launcher.find(&active))).await;
    assert!(found.iter().all(Option::is_some));
    let (asked_after, seconds) = (asked(&shared).len(), begun.elapsed().as_secs());
    // One list of pods a second, on however slow a machine.
    assert!(u64::try_from(asked_after - asked_before).unwrap() <= seconds + 1);
    // Those who ask for what nobody knows at the same time are told by one list.
    let unknown = RunId::parse("unknown").unwrap();
    let found = futures_util::future::join_all((0..50).map(|_| launcher.find(&unknown))).await;
    assert!(found.iter().all(Option::is_none));
    let lists = asked(&shared).iter().filter(|asked| *asked == "GET jobs").count();
    assert_eq!(lists, 2);
}

/// From the first listing to a Job that is gone with its pods, of which nobody but this server knows why it failed.
#[tokio::test]
async fn followed_jobs_are_known_to_their_end_and_after() {
    let versioned = |name: &str, version: &str, status: &Value| {
        let mut job = job(name, status);
        job["metadata"]["resourceVersion"] = version.into();
        job
    };
    let failed = json!({ "failed": 1, "startTime": "2026-11-24T11:00:01Z",
        "conditions": [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": "2026-11-24T11:01:00Z" }] });
    let terminated = json!({ "terminated": { "exitCode": 1, "message": "{\"error\":\"its last words\"}" } });
    let container = json!({ "name": "processor", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": terminated });
    let pod = json!({
        "metadata": { "name": "a-x", "labels": { "batch.kubernetes.io/job-name": "a" } },
        "status": { "phase": "Failed", "containerStatuses": [container] },
    });
    let active = json!({ "active": 1 });
    let event = |kind: &str, job: Value| json!({ "type": kind, "object": job });
    let (launcher, _) = launcher(Namespace {
        jobs: vec![versioned("a", "1", &active)],
        pods: vec![pod],
        watches: VecDeque::from([
            vec![event("MODIFIED", versioned("a", "2", &failed))],
            // A watch ends whenever the server likes, and goes on where it was.
            vec![
                event("DELETED", versioned("a", "3", &failed)),
                event("ADDED", versioned("b", "4", &active)),
            ],
        ]),
        ..Namespace::default()
    });
    let (a, b) = (RunId::parse("a").unwrap(), "b");
    let mut changes = launcher.changes();
    let shutdown = CancellationToken::new();
    let following = tokio::spawn({
        let (launcher, shutdown) = (launcher.clone(), shutdown.clone());
        async move { launcher.follow(shutdown).await }
    });
    while !launcher.runs().await.iter().any(|run| run.run_id.as_str() == b) {
        changes.changed().await.unwrap();
    }
    let run = launcher.find(&a).await.unwrap();
    assert_eq!(run.state, RunState::Ended(RunOutcome::Failed));
    assert!(run.error.unwrap().contains("its last words"));
    assert_eq!(run.ended_at, Some("2026-11-24T11:01:00Z".parse().unwrap()));
    shutdown.cancel();
    following.await.unwrap();
}
