//! Runs as Jobs: what is asked of Kubernetes to make one, to join one and to stop one.

use datalake_api::launcher::{LaunchError, RunLauncher, RunRequest, RunState, Trigger};
use datalake_core::report::{RunId, RunMode, RunOutcome};
use serde_json::json;

use crate::{
    fixture::now,
    namespace::{Namespace, asked, complete, job, launcher, wish},
};

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
