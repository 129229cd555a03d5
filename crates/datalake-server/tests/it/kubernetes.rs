//! Runs as Jobs: the requests to Kubernetes for starting, joining and stopping one.

use datalake_core::run::{RunId, RunMode, RunOutcome};
use datalake_runs::{
    launcher::{LaunchError, RunLauncher, RunRequest},
    run::{RunParameters, RunState, Trigger},
};
use serde_json::{Value, json};

use crate::{
    fixture::now,
    kubernetes_fixture::{Namespace, asked, complete, full, job, key_id, keyed, launcher, pod, replica, request},
};

/// The status of a Job whose pod has not become ready.
fn begun() -> Value {
    json!({ "active": 1, "startTime": "2026-11-24T11:00:00Z" })
}

/// A Job that runs the processor with further arguments.
fn job_with(name: &str, status: &Value, arguments: &[&str]) -> Value {
    let mut job = job(name, status);
    let args = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap();
    args.extend(arguments.iter().map(|&argument| argument.into()));
    job
}

#[tokio::test]
async fn run_is_a_job_of_the_current_template() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("datalake-processor-29384756", &complete())],
        ..Namespace::default()
    });
    let launched = launcher.launch(full()).await.unwrap();
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
        ["GET jobs", "GET jobs", "GET cronjobs/datalake-processor", "POST jobs"]
    );
}

#[tokio::test]
async fn permitted_deletions_are_arguments_of_the_job() {
    let (launcher, shared) = launcher(Namespace::default());
    let parameters = RunParameters {
        mode: RunMode::Full,
        allow_mass_delete_of: Some(RunId::parse("blocked-1").unwrap()),
    };
    let launched = launcher
        .launch(RunRequest::new(None, parameters.clone(), Trigger::Api))
        .await
        .unwrap();
    assert_eq!(launched.run.parameters, Some(parameters));
    let created = shared.lock().unwrap().created.clone().unwrap();
    assert_eq!(
        created["spec"]["template"]["spec"]["containers"][0]["args"],
        json!(["process", "--output", "json", "--full", "--allow-mass-delete-of", "blocked-1"])
    );
}

/// The Jobs that exist when the request arrives, and whether the request joins one of them.
async fn check_joined(namespace: Namespace, request: RunRequest, expected: Option<&str>) {
    let (launcher, shared) = launcher(namespace);
    let launched = launcher.launch(request).await.unwrap();
    match expected {
        Some(name) => assert_eq!((launched.run.run_id.as_str(), launched.started), (name, false)),
        None => assert!(launched.started, "{launched:?}"),
    }
    let created = shared.lock().unwrap().created.is_some();
    assert_eq!(created, expected.is_none());
}

#[tokio::test]
async fn job_with_unscheduled_pods_is_joined() {
    let with = |pods, status: Value| Namespace {
        jobs: vec![job("a", &status)],
        pods,
        ..Namespace::default()
    };
    check_joined(with(vec![], json!({})), request(), Some("a")).await;
    check_joined(with(vec![pod("a", None)], begun()), request(), Some("a")).await;
    check_joined(with(vec![pod("a", Some(""))], begun()), request(), Some("a")).await;
    check_joined(with(vec![pod("another", Some("node"))], begun()), request(), Some("a")).await;
    // It may have read the sources.
    check_joined(with(vec![pod("a", Some("node"))], begun()), request(), None).await;
    check_joined(with(vec![pod("a", None), pod("a", Some("node"))], begun()), request(), None).await;
    check_joined(with(vec![], json!({ "active": 1, "ready": 1 })), request(), None).await;
    check_joined(with(vec![], json!({ "active": 1, "failed": 1 })), request(), None).await;
    check_joined(with(vec![], json!({ "active": 1, "succeeded": 1 })), request(), None).await;
    let uncounted = json!({ "active": 0, "uncountedTerminatedPods": { "succeeded": ["x"] } });
    check_joined(with(vec![], uncounted), request(), None).await;
    check_joined(with(vec![], complete()), request(), None).await;
}

/// A pod that starts and ends before the pods are listed is counted in the Job, which is read afterwards.
#[tokio::test]
async fn job_is_read_after_its_pods() {
    let namespace = |status| Namespace {
        jobs: vec![job("a", &begun())],
        status_after_pods: Some(status),
        ..Namespace::default()
    };
    check_joined(namespace(begun()), request(), Some("a")).await;
    check_joined(namespace(json!({ "active": 1, "failed": 1 })), request(), None).await;
    check_joined(namespace(complete()), request(), None).await;
}

#[tokio::test]
async fn job_created_after_the_request_is_joined() {
    let namespace = |status: Value, arguments: &[&str]| Namespace {
        created_later: vec![job_with("later", &status, arguments)],
        pods: vec![pod("later", Some("node"))],
        ..Namespace::default()
    };
    check_joined(namespace(json!({ "active": 1, "ready": 1 }), &[]), request(), Some("later")).await;
    check_joined(namespace(complete(), &[]), request(), Some("later")).await;
    check_joined(namespace(begun(), &["--full"]), full(), Some("later")).await;
    let failed = json!({ "conditions": [{ "type": "Failed", "status": "True" }] });
    check_joined(namespace(failed, &[]), request(), None).await;
    check_joined(namespace(begun(), &[]), full(), None).await;
}

#[tokio::test]
async fn run_with_fewer_permissions_is_not_joined() {
    let with = |arguments: &[&str]| Namespace {
        jobs: vec![job_with("a", &begun(), arguments)],
        ..Namespace::default()
    };
    check_joined(with(&[]), full(), None).await;
    check_joined(with(&["--full"]), full(), Some("a")).await;
    check_joined(with(&["--full"]), request(), Some("a")).await;
    check_joined(with(&["--dry-run"]), request(), None).await;
    let permitting = |run_id: &str| {
        let parameters = RunParameters {
            allow_mass_delete_of: Some(RunId::parse(run_id).unwrap()),
            ..RunParameters::default()
        };
        RunRequest::new(None, parameters, Trigger::Api)
    };
    check_joined(with(&["--full"]), permitting("x"), None).await;
    check_joined(with(&["--allow-mass-delete-of", "y"]), permitting("x"), None).await;
    check_joined(with(&["--allow-mass-delete-of", "x"]), permitting("x"), Some("a")).await;
    // A suspended Job waits for an operator.
    let mut suspended = job("a", &json!({}));
    suspended["spec"]["suspend"] = true.into();
    let namespace = Namespace {
        jobs: vec![suspended],
        ..Namespace::default()
    };
    check_joined(namespace, request(), None).await;
}

/// A trigger without a waiting client joins any active run: the first run only has to create the table.
#[tokio::test]
async fn first_run_joins_an_active_run() {
    let namespace = Namespace {
        jobs: vec![job("a", &json!({ "active": 1, "ready": 1 }))],
        ..Namespace::default()
    };
    let first = RunRequest::new(None, RunParameters::default(), Trigger::FirstRun);
    check_joined(namespace, first, Some("a")).await;
}

#[tokio::test]
async fn fourth_run_is_rejected() {
    let reading = json!({ "active": 1, "ready": 1 });
    let mut leaving = job("leaving", &reading);
    leaving["metadata"]["deletionTimestamp"] = now().to_string().into();
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("a", &reading), job("b", &reading), leaving, job("ended", &complete())],
        ..Namespace::default()
    });
    for request in [request(), full(), keyed(&launcher, "k")] {
        let error = launcher.launch(request).await.unwrap_err();
        assert!(matches!(error, LaunchError::TooManyRuns), "{error:?}");
    }
    // One ends.
    shared.lock().unwrap().jobs.retain(|job| job["metadata"]["name"] != "leaving");
    assert!(launcher.launch(request()).await.unwrap().started);
}

/// Requests of one replica share the Job that is created while they wait in the queue.
#[tokio::test]
async fn concurrent_requests_share_one_job() {
    let (launcher, shared) = launcher(Namespace::default());
    let requests = (0..50).map(|number| match number % 3 {
        0 => request(),
        key => keyed(&launcher, &format!("key-{key}")),
    });
    let launched = futures_util::future::join_all(requests.map(|request| launcher.launch(request))).await;
    let launched: Vec<_> = launched.into_iter().map(Result::unwrap).collect();
    assert!(
        launched.iter().all(|each| each.run.run_id == launched[0].run.run_id),
        "{launched:?}"
    );
    assert_eq!(launched.iter().filter(|each| each.started).count(), 1);
    assert_eq!(asked(&shared).iter().filter(|asked| *asked == "POST jobs").count(), 1);
}

/// Replicas that see the same Jobs derive the same name, also without a key; other requests have other names.
#[tokio::test]
async fn replicas_share_one_job() {
    let before = || Namespace {
        jobs: vec![job("datalake-processor-29384756", &complete())],
        ..Namespace::default()
    };
    let (one, _) = launcher(before());
    let (other, shared) = launcher(Namespace {
        refusal: Some((409, "AlreadyExists", "jobs.batch already exists")),
        ..before()
    });
    let first = one.launch(request()).await.unwrap();
    let second = other.launch(request()).await.unwrap();
    assert_eq!(first.run.run_id, second.run.run_id);
    assert_eq!((first.started, second.started), (true, false));
    shared.lock().unwrap().refusal = None;
    let (third, _) = launcher(before());
    assert_ne!(third.launch(full()).await.unwrap().run.run_id, first.run.run_id);
}

/// Times have a resolution of a second: an older Job may look like the latest, and the name of its successor is in use.
#[tokio::test]
async fn names_in_use_are_skipped() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("z", &complete())],
        ..Namespace::default()
    });
    let first = launcher.launch(request()).await.unwrap();
    {
        let mut namespace = shared.lock().unwrap();
        for job in &mut namespace.jobs {
            job["metadata"]["creationTimestamp"] = now().to_string().into();
        }
        namespace.pods = vec![pod(first.run.run_id.as_str(), Some("node"))];
    }
    let second = launcher.launch(request()).await.unwrap();
    assert!(second.started);
    assert_ne!(first.run.run_id, second.run.run_id);
}

#[tokio::test]
async fn key_names_its_job_on_every_replica() {
    let (launcher, shared) = launcher(Namespace::default());
    let name = key_id(&launcher, "k");
    let first = launcher.launch(keyed(&launcher, "k")).await.unwrap();
    assert_eq!((&first.run.run_id, first.started), (&name, true));
    shared.lock().unwrap().jobs = vec![job(name.as_str(), &complete())];
    let again = replica(&shared).launch(keyed(&launcher, "k")).await.unwrap();
    assert_eq!((&again.run.run_id, again.started), (&name, false));
    assert_ne!(key_id(&launcher, "other"), name);
    check_reused(&launcher, "k").await;
}

/// The same key with another body.
async fn check_reused(launcher: &datalake_runs::kubernetes::launcher::KubernetesLauncher, key: &str) {
    let other = RunRequest {
        run_id: Some(key_id(launcher, key)),
        ..full()
    };
    let error = launcher.launch(other).await.unwrap_err();
    assert!(matches!(error, LaunchError::KeyReused { .. }), "{error:?}");
}

#[tokio::test]
async fn joined_key_is_resolved_by_every_replica() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job_with("a", &begun(), &["--full"])],
        ..Namespace::default()
    });
    let joined = launcher.launch(keyed(&launcher, "k")).await.unwrap();
    assert_eq!((joined.run.run_id.as_str(), joined.started), ("a", false));
    shared.lock().unwrap().jobs[0]["status"] = complete();
    let other = replica(&shared);
    let again = other.launch(keyed(&other, "k")).await.unwrap();
    assert_eq!(
        (again.run.run_id.as_str(), again.run.state),
        ("a", RunState::Ended(RunOutcome::Succeeded))
    );
    check_reused(&other, "k").await;
    // The Job is gone, and with it the record of the key.
    shared.lock().unwrap().jobs.clear();
    assert!(other.launch(keyed(&other, "k")).await.unwrap().started);
}

#[tokio::test]
async fn unrecordable_key_starts_its_own_run() {
    let (launcher, _) = launcher(Namespace {
        jobs: vec![job("a", &begun())],
        patch_is_forbidden: true,
        ..Namespace::default()
    });
    let launched = launcher.launch(keyed(&launcher, "k")).await.unwrap();
    assert_eq!((launched.run.run_id, launched.started), (key_id(&launcher, "k"), true));
    // Without a key there is nothing to record.
    let launched = launcher.launch(request()).await.unwrap();
    assert!(!launched.started);
}

#[tokio::test]
async fn jobs_of_other_owners_are_not_runs() {
    let mut other = job("backup", &json!({ "active": 1 }));
    other["metadata"]["ownerReferences"][0]["name"] = "backup".into();
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![other],
        ..Namespace::default()
    });
    assert!(launcher.launch(request()).await.unwrap().started);
    let backup = RunId::parse("backup").unwrap();
    assert!(launcher.find(&backup).await.is_none());
    launcher.stop(&backup).await.unwrap();
    assert!(!shared.lock().unwrap().asked.iter().any(|asked| asked.starts_with("DELETE")));
}

#[tokio::test]
async fn stop_deletes_the_job_and_its_pods() {
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
    let error = launcher.launch(request()).await.unwrap_err();
    let LaunchError::Failed { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
}

#[tokio::test]
async fn kubernetes_errors_are_reported() {
    let refused = |code, reason, message| Namespace {
        refusal: Some((code, reason, message)),
        ..Namespace::default()
    };
    check_failure(
        refused(403, "Forbidden", "jobs.batch is forbidden: exceeded quota"),
        &["cannot create the Job", "exceeded quota"],
    )
    .await;
    check_failure(refused(422, "Invalid", "denied by the policy"), &["denied by the policy"]).await;
    let none = Namespace {
        has_no_cron_job: true,
        ..Namespace::default()
    };
    check_failure(none, &["CronJob datalake-processor not found in namespace lake", "--cronjob"]).await;
}
