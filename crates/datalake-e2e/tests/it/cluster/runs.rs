//! From `helm install` to rows, and runs by whomever they are started.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::Value;

use super::{
    forward::Forward,
    release::{PATIENCE, Release, post, until},
};

/// What the contract promises: so long after a run's end every replica shows its result.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn the_samples_are_served_and_runs_of_every_kind_show() {
    let release = Release::with_samples("runs", &[]);
    let pods = release.pods("api");
    assert_eq!(pods.len(), 2, "{pods:?}");
    let replicas: Vec<Forward> = pods.iter().map(|pod| release.forward(&format!("pod/{pod}"), 8080)).collect();
    installed(&release, &replicas[0]);
    posted(&release, &replicas);
    at_once(&release, &replicas);
    by_one_key(&release, &replicas);
    by_many_keys(&release, &replicas);
    after_an_upload(&release, &replicas);
    more_than_three(&release, &replicas);
    by_kubectl(&release, &replicas);
}

fn installed(release: &Release, api: &Forward) {
    let stats = api.json("/stats?on=2026-11-24");
    assert_eq!((&stats["count"], &stats["without_image"]), (&100.into(), &6.into()), "{stats}");
    release.helm_test();
}

/// Source → POST → Job → pod → report → row.
fn posted(release: &Release, replicas: &[Forward]) {
    let jobs_before = release.job_names();
    let refused = replicas[0].ask("/data", &["--request", "POST"]);
    assert_eq!(refused.status, 401, "{refused:?}");
    let refused = replicas[0].ask("/data", &["--request", "POST", "--header", "Authorization: Bearer wrong"]);
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(release.job_names(), jobs_before, "who holds no token starts nothing");

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

/// While no pod has a node, requests share a Job.
fn at_once(release: &Release, replicas: &[Forward]) {
    let jobs_before = release.job_names();
    release.hold();
    let ids = many(release, replicas, 50, |_| None);
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(made_since(release, &jobs_before), ids);
    release.let_go();
    release.settle();
}

fn by_one_key(release: &Release, replicas: &[Forward]) {
    let jobs_before = release.job_names();
    let key = |_| Some("monday".to_owned());
    release.hold();
    let ids = many(release, replicas, 100, key);
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Its body cannot change, on no replica.
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
    release.let_go();
    release.settle();
    // The run has ended, and the key still names it.
    assert_eq!(many(release, replicas, 2, key), ids);
    assert_eq!(made_since(release, &jobs_before), ids);
}

/// Each replica creates one Job at worst; a key that joined is known to every replica.
fn by_many_keys(release: &Release, replicas: &[Forward]) {
    let jobs_before = release.job_names();
    release.hold();
    let key = |number| Some(format!("tuesday-{number}"));
    let ids = many(release, replicas, 20, key);
    assert!(ids.len() <= replicas.len(), "{ids:?}");
    assert_eq!(made_since(release, &jobs_before), ids);
    let by_key: Vec<String> = (0..20)
        .map(|number| one(release, &replicas[0], &format!("tuesday-{number}")))
        .collect();
    release.let_go();
    release.settle();
    for (number, id) in by_key.iter().enumerate() {
        assert_eq!(
            one(release, &replicas[1], &format!("tuesday-{number}")),
            *id,
            "of another replica, after the end"
        );
    }
}

/// The run that a request with this key is answered with.
fn one(release: &Release, replica: &Forward, key: &str) -> String {
    let answer = release.post(replica, &["--header", &format!("Idempotency-Key: {key}")]);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

/// A pod that a node has may have listed the sources: whatever is uploaded then is in another run.
fn after_an_upload(release: &Release, replicas: &[Forward]) {
    let first = release.post(&replicas[0], &[]);
    assert_eq!(first.status, 202, "{first:?}");
    let id = first.body["id"].as_str().unwrap();
    until("a node has the pod", PATIENCE, || {
        let pods = release.get(&["pods", "--selector", &format!("batch.kubernetes.io/job-name={id}")]);
        let node = pods["items"][0]["spec"]["nodeName"].as_str();
        node.map(drop).ok_or(pods.to_string())
    });
    release.edit("1002", "Later");
    let second = release.post(&replicas[1], &["--header", "Prefer: wait=60"]);
    assert_eq!((second.status, &second.body["state"]), (202, &"succeeded".into()), "{second:?}");
    assert_ne!(second.body["id"], first.body["id"]);
    served(replicas, "1002", "Later");
    release.settle();
}

/// Runs of other modes cannot be joined: three are active, and the fourth request is to be repeated later.
fn more_than_three(release: &Release, replicas: &[Forward]) {
    release.hold();
    for name in ["held-1", "held-2", "held-3"] {
        release.kubectl(&["create", "job", "--from=cronjob/datalake-processor", name]);
    }
    let full = ["--header", "Content-Type: application/json", "--data", r#"{"mode":"full"}"#];
    for replica in replicas {
        let refused = release.post(replica, &full);
        assert_eq!(refused.status, 429, "{refused:?}");
        assert_eq!(refused.body["type"], "urn:datalake:problem:too-many-runs");
        // An incremental one joins one of them.
        let joined = release.post(replica, &[]);
        assert_eq!(joined.status, 202, "{joined:?}");
        assert!(joined.body["id"].as_str().unwrap().starts_with("held-"), "{joined:?}");
    }
    release.let_go();
    release.settle();
}

/// The CronJob's history limits take older Jobs away meanwhile.
fn made_since(release: &Release, jobs_before: &BTreeSet<String>) -> BTreeSet<String> {
    release.job_names().difference(jobs_before).cloned().collect()
}

fn by_kubectl(release: &Release, replicas: &[Forward]) {
    release.edit("1001", "Byhand");
    release.kubectl(&["create", "job", "--from=cronjob/datalake-processor", "by-hand"]);
    until("the Job ends", PATIENCE, || {
        let run = replicas[0].ask("/runs/by-hand", &[]);
        (run.body["state"] == "succeeded").then_some(()).ok_or(format!("{run:?}"))
    });
    served(replicas, "1001", "Byhand");
    for replica in replicas {
        let runs = replica.json("/runs");
        let listed = runs["runs"].as_array().unwrap().iter().any(|run| run["id"] == "by-hand");
        assert!(listed, "{runs}");
    }
}

/// The runs that so many requests at once are answered with, spread over the replicas, each with its key.
fn many(release: &Release, replicas: &[Forward], count: usize, key: impl Fn(usize) -> Option<String>) -> BTreeSet<String> {
    let authorization = release.authorization();
    let ask = |replica: &Forward, key: Option<String>| {
        let key = key.map(|key| format!("Idempotency-Key: {key}"));
        let arguments: Vec<&str> = key.iter().flat_map(|key| ["--header", key]).collect();
        post(replica, &authorization, &arguments)
    };
    let ask = &ask;
    thread::scope(|scope| {
        let asked: Vec<_> = (0..count)
            .map(|number| {
                let key = key(number);
                scope.spawn(move || ask(&replicas[number % replicas.len()], key))
            })
            .collect();
        let answers = asked.into_iter().map(|asking| asking.join().unwrap());
        answers
            .map(|answer| {
                assert_eq!(answer.status, 202, "{answer:?}");
                answer.body["id"].as_str().unwrap().to_owned()
            })
            .collect()
    })
}

#[track_caller]
fn served(replicas: &[Forward], user_id: &str, first_name: &str) {
    let path = format!("/data/{user_id}");
    for replica in replicas {
        until("the row is served", SERVED_WITHIN, || {
            let row: Value = replica.json(&path);
            let is_there = row["first_name"] == first_name;
            // A version that is not read yet, or one without the row: not the same fault.
            is_there
                .then_some(())
                .ok_or_else(|| format!("{row} of {}", replica.json("/versions?limit=1")))
        });
    }
}
