//! A lake without a table: the API sees to the first run, once, however many replicas there are.

use std::{
    collections::BTreeSet,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::release::{PATIENCE, Release, until};

/// The fixed name: every replica of every installation tries this one first.
const FIRST_RUN: &str = "datalake-processor-24sli2qlvo";

/// Each replica looks every second what is to be done.
const WATCHED_FOR: Duration = Duration::from_secs(8);

#[test]
fn of_two_replicas_one_starts_the_first_run() {
    let release = Release::held("first", &[]);
    let pods = until("both replicas answer", PATIENCE, || {
        let pods = release.get(&["pods", "--selector", "app.kubernetes.io/component=api"]);
        let is_ready = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["started"] == true;
        let pods = pods["items"].as_array().unwrap().clone();
        let names: Vec<_> = pods
            .iter()
            .filter(|pod| is_ready(pod))
            .map(|pod| pod["metadata"]["name"].clone())
            .collect();
        (names.len() == 2).then_some(names).ok_or(format!("{pods:?}"))
    });
    release.kubectl(&["rollout", "status", "deployment/datalake-demo-s3", "--timeout", "120s"]);
    assert_eq!(release.job_names(), BTreeSet::new(), "there is no bucket yet");

    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/src-data");
    release.upload(&samples);
    // Each replica says itself which run makes the table.
    let replicas: Vec<_> = pods
        .iter()
        .map(|pod| release.forward(&format!("pod/{}", pod.as_str().unwrap()), 8080))
        .collect();
    for replica in &replicas {
        until("the first run is named", PATIENCE, || {
            let answer = replica.ask("/data", &[]);
            let is_named = answer.status == 503 && answer.body["run"]["id"] == FIRST_RUN;
            is_named.then_some(()).ok_or(format!("{answer:?}"))
        });
    }
    let expected = BTreeSet::from([FIRST_RUN.to_owned()]);
    #[expect(clippy::disallowed_methods, reason = "a cluster has a clock of its own, which no test can move")]
    let begun = Instant::now();
    while begun.elapsed() < WATCHED_FOR {
        assert_eq!(release.job_names(), expected);
        sleep(Duration::from_millis(500));
    }
    release.let_go();
    for replica in &replicas {
        until("the samples are served", PATIENCE, || {
            let stats = replica.ask("/stats", &[]);
            (stats.body["count"] == 100).then_some(()).ok_or(format!("{stats:?}"))
        });
    }
    assert_eq!(release.job_names(), expected);
    // Its rows are served before its Job is complete.
    until("the first run has succeeded", PATIENCE, || {
        let run = replicas[0].json(&format!("/runs/{FIRST_RUN}"));
        (run["state"] == "succeeded").then_some(()).ok_or(run.to_string())
    });
}
