//! From `helm install` to rows, and runs that are started in every way.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::Value;

use super::{
    port_forward::PortForward,
    release::{Release, TIMEOUT, post, wait_until},
};

/// Every replica shows the result of a run within this time after its end.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn samples_are_served_and_all_runs_are_listed() {
    let release = Release::with_samples("runs", &[]);
    let pods = release.pods("api");
    assert_eq!(pods.len(), 2, "{pods:?}");
    let replicas: Vec<PortForward> = pods.iter().map(|pod| release.forward(&format!("pod/{pod}"), 8080)).collect();
    installed(&release, &replicas[0]);
    posted(&release, &replicas);
    at_once(&release, &replicas);
    by_one_key(&release, &replicas);
    by_many_keys(&release, &replicas);
    after_an_upload(&release, &replicas);
    more_than_three(&release, &replicas);
    by_kubectl(&release, &replicas);
}

fn installed(release: &Release, api: &PortForward) {
    let stats = api.json("/stats?on=2026-11-24");
    assert_eq!((&stats["count"], &stats["without_image"]), (&100.into(), &6.into()), "{stats}");
    release.helm_test();
}

/// Source → POST → Job → pod → report → row.
fn posted(release: &Release, replicas: &[PortForward]) {
    let jobs_before = release.job_names();
    let rejected = replicas[0].request("/data", &["--request", "POST"]);
    assert_eq!(rejected.status, 401, "{rejected:?}");
    let rejected = replicas[0].request("/data", &["--request", "POST", "--header", "Authorization: Bearer wrong"]);
    assert_eq!(rejected.status, 401, "{rejected:?}");
    assert_eq!(release.job_names(), jobs_before, "a request without the token starts no run");

    release.edit("1000", "Posted");
    let run = release.post(&replicas[0], &["--header", "Prefer: wait=60"]);
    assert_eq!(run.status, 202, "{run:?}");
    assert_eq!(run.body["state"], "succeeded", "{run:?}");
    assert_eq!(run.body["counts"]["changed"], 1, "{run:?}");
    let id = run.body["id"].as_str().unwrap();
    assert_eq!(run.location, format!("/runs/{id}"));
    served(replicas, "1000", "Posted");
    let job = release.get(&["job", id]);
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
}

/// While no pod is scheduled, requests share a Job.
fn at_once(release: &Release, replicas: &[PortForward]) {
    let jobs_before = release.job_names();
    release.block_scheduling();
    let ids = many(release, replicas, 50, |_| None);
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(created_since(release, &jobs_before), ids);
    release.allow_scheduling();
    release.wait_for_jobs();
}

fn by_one_key(release: &Release, replicas: &[PortForward]) {
    let jobs_before = release.job_names();
    let key = |_| Some("monday".to_owned());
    release.block_scheduling();
    let ids = many(release, replicas, 100, key);
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Another body with the same key is rejected by every replica.
    for replica in replicas {
        let full = [
            "--header",
            "Idempotency-Key: monday",
            "--header",
            "Content-Type: application/json",
            "--data",
            r#"{"mode":"full"}"#,
        ];
        let reused = release.post(replica, &full);
        assert_eq!(reused.status, 422, "{reused:?}");
    }
    release.allow_scheduling();
    release.wait_for_jobs();
    // The key still identifies the run after its end.
    assert_eq!(many(release, replicas, 2, key), ids);
    assert_eq!(created_since(release, &jobs_before), ids);
}

/// Each replica creates at most one Job, and every replica knows the keys that joined.
fn by_many_keys(release: &Release, replicas: &[PortForward]) {
    let jobs_before = release.job_names();
    release.block_scheduling();
    let key = |number| Some(format!("tuesday-{number}"));
    let ids = many(release, replicas, 20, key);
    assert!(ids.len() <= replicas.len(), "{ids:?}");
    assert_eq!(created_since(release, &jobs_before), ids);
    let by_key: Vec<String> = (0..20)
        .map(|number| one(release, &replicas[0], &format!("tuesday-{number}")))
        .collect();
    release.allow_scheduling();
    release.wait_for_jobs();
    for (number, id) in by_key.iter().enumerate() {
        assert_eq!(
            one(release, &replicas[1], &format!("tuesday-{number}")),
            *id,
            "on another replica, after the end of the run"
        );
    }
}

/// The ID of the run for a request with this key.
fn one(release: &Release, replica: &PortForward, key: &str) -> String {
    let response = release.post(replica, &["--header", &format!("Idempotency-Key: {key}")]);
    assert_eq!(response.status, 202, "{response:?}");
    response.body["id"].as_str().unwrap().to_owned()
}

/// A pod that is scheduled may have listed the sources, so a later upload needs another run.
fn after_an_upload(release: &Release, replicas: &[PortForward]) {
    let first = release.post(&replicas[0], &[]);
    assert_eq!(first.status, 202, "{first:?}");
    let id = first.body["id"].as_str().unwrap();
    wait_until("the pod is scheduled", TIMEOUT, || {
        let pods = release.get(&["pods", "--selector", &format!("batch.kubernetes.io/job-name={id}")]);
        let node = pods["items"][0]["spec"]["nodeName"].as_str();
        node.map(drop).ok_or(pods.to_string())
    });
    release.edit("1002", "Later");
    let second = release.post(&replicas[1], &["--header", "Prefer: wait=60"]);
    assert_eq!((second.status, &second.body["state"]), (202, &"succeeded".into()), "{second:?}");
    assert_ne!(second.body["id"], first.body["id"]);
    served(replicas, "1002", "Later");
    release.wait_for_jobs();
}

/// A full run cannot join incremental ones: with three active runs, it is a 429.
fn more_than_three(release: &Release, replicas: &[PortForward]) {
    release.block_scheduling();
    for name in ["pending-1", "pending-2", "pending-3"] {
        release.kubectl(&["create", "job", "--from=cronjob/datalake-processor", name]);
    }
    let full = ["--header", "Content-Type: application/json", "--data", r#"{"mode":"full"}"#];
    for replica in replicas {
        let rejected = release.post(replica, &full);
        assert_eq!(rejected.status, 429, "{rejected:?}");
        assert_eq!(rejected.body["type"], "/docs/problems#too-many-runs");
        // An incremental run joins one of them.
        let joined = release.post(replica, &[]);
        assert_eq!(joined.status, 202, "{joined:?}");
        assert!(joined.body["id"].as_str().unwrap().starts_with("pending-"), "{joined:?}");
    }
    release.allow_scheduling();
    release.wait_for_jobs();
}

/// The Jobs that are new. The CronJob's history limits may have removed older ones.
fn created_since(release: &Release, jobs_before: &BTreeSet<String>) -> BTreeSet<String> {
    release.job_names().difference(jobs_before).cloned().collect()
}

fn by_kubectl(release: &Release, replicas: &[PortForward]) {
    release.edit("1001", "Manual");
    release.kubectl(&["create", "job", "--from=cronjob/datalake-processor", "manual"]);
    wait_until("the Job ends", TIMEOUT, || {
        let run = replicas[0].request("/runs/manual", &[]);
        (run.body["state"] == "succeeded").then_some(()).ok_or(format!("{run:?}"))
    });
    served(replicas, "1001", "Manual");
    for replica in replicas {
        let runs = replica.json("/runs");
        let listed = runs["runs"].as_array().unwrap().iter().any(|run| run["id"] == "manual");
        assert!(listed, "{runs}");
    }
}

/// The IDs of the runs for `count` concurrent requests, distributed over the replicas, each with its key.
fn many(release: &Release, replicas: &[PortForward], count: usize, key: impl Fn(usize) -> Option<String>) -> BTreeSet<String> {
    let authorization = release.authorization();
    let post_with_key = |replica: &PortForward, key: Option<String>| {
        let key = key.map(|key| format!("Idempotency-Key: {key}"));
        let arguments: Vec<&str> = key.iter().flat_map(|key| ["--header", key]).collect();
        post(replica, &authorization, &arguments)
    };
    let post_with_key = &post_with_key;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let key = key(number);
                scope.spawn(move || post_with_key(&replicas[number % replicas.len()], key))
            })
            .collect();
        let responses = threads.into_iter().map(|thread| thread.join().unwrap());
        responses
            .map(|response| {
                assert_eq!(response.status, 202, "{response:?}");
                response.body["id"].as_str().unwrap().to_owned()
            })
            .collect()
    })
}

/// Waits until the row has this first name.
#[track_caller]
pub(super) fn served(replicas: &[PortForward], user_id: &str, first_name: &str) {
    let path = format!("/data/{user_id}");
    for replica in replicas {
        wait_until("the row is served", SERVED_WITHIN, || {
            let row: Value = replica.json(&path);
            let is_served = row["first_name"] == first_name;
            // The message shows whether the version is not loaded yet, or does not contain the edit.
            is_served
                .then_some(())
                .ok_or_else(|| format!("{row} of {}", replica.json("/versions?limit=1")))
        });
    }
}
