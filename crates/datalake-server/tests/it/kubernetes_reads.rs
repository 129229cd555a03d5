//! Reading Jobs: what is reported about them, and how many requests that takes.

use std::{collections::VecDeque, sync::Arc};

use datalake_core::{
    keys,
    run::{RunId, RunOutcome},
};
use datalake_runs::{launcher::RunLauncher, run::RunState, runs::Runs};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    memory::MemoryBucket,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    kubernetes_fixture::{Namespace, asked, job, launcher},
    run_fixture::report,
};

/// Most requested runs ended long ago, and their Jobs are gone.
#[tokio::test]
async fn report_makes_reading_the_job_unnecessary() {
    let (launcher, shared) = launcher(Namespace::default());
    let (bucket, report) = (MemoryBucket::new(), report("over", 1));
    let bytes = serde_json::to_vec(&report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    bucket.put(&key, bytes, PutMode::Create, &Metadata::new()).await.unwrap();
    let history = Runs::new(Arc::new(bucket), Arc::new(launcher));
    assert!(history.find(&report.run_id).await.unwrap().is_some());
    assert_eq!(asked(&shared), Vec::<String>::new());
    assert!(history.find(&RunId::parse("unknown").unwrap()).await.unwrap().is_none());
    assert_eq!(asked(&shared), ["GET jobs"]);
}

#[tokio::test]
async fn pod_status_explains_a_failed_job() {
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

/// Many readers cause as many requests to Kubernetes as one.
#[tokio::test]
async fn concurrent_reads_share_requests() {
    let (launcher, shared) = launcher(Namespace {
        jobs: vec![job("active", &json!({ "active": 1 }))],
        ..Namespace::default()
    });
    let active = RunId::parse("active").unwrap();
    // There is no watch here, so the first read lists the Jobs itself.
    assert!(launcher.find(&active).await.is_some());
    let (asked_before, begun) = (asked(&shared).len(), tokio::time::Instant::now());
    let found = futures_util::future::join_all((0..50).map(|_| launcher.find(&active))).await;
    assert!(found.iter().all(Option::is_some));
    let (asked_after, seconds) = (asked(&shared).len(), begun.elapsed().as_secs());
    // One list of pods a second, on however slow a machine.
    assert!(u64::try_from(asked_after - asked_before).unwrap() <= seconds + 1);
    // Concurrent requests for an unknown run share one list.
    let unknown = RunId::parse("unknown").unwrap();
    let found = futures_util::future::join_all((0..50).map(|_| launcher.find(&unknown))).await;
    assert!(found.iter().all(Option::is_none));
    let lists = asked(&shared).iter().filter(|asked| *asked == "GET jobs").count();
    assert_eq!(lists, 2);
}

/// From the first listing to a Job that is gone with its pods, so only this server knows why it failed.
#[tokio::test]
async fn watched_jobs_are_cached_past_their_end() {
    let versioned = |name: &str, version: &str, status: &Value| {
        let mut job = job(name, status);
        job["metadata"]["resourceVersion"] = version.into();
        job
    };
    let failed = json!({ "failed": 1, "startTime": "2026-11-24T11:00:01Z",
        "conditions": [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": "2026-11-24T11:01:00Z" }] });
    let terminated = json!({ "terminated": { "exitCode": 1, "message": "{\"error\":\"its failure\"}" } });
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
            // The server may end a watch at any time; it continues where it was.
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
        async move { launcher.watch_jobs(shutdown).await }
    });
    while !launcher.runs().await.iter().any(|run| run.run_id.as_str() == b) {
        changes.changed().await.unwrap();
    }
    let run = launcher.find(&a).await.unwrap();
    assert_eq!(run.state, RunState::Ended(RunOutcome::Failed));
    assert!(run.error.unwrap().contains("its failure"));
    assert_eq!(run.ended_at, Some("2026-11-24T11:01:00Z".parse().unwrap()));
    shutdown.cancel();
    following.await.unwrap();
}
