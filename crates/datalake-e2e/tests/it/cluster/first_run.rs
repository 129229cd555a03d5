//! A lake without a table: the API starts exactly one first run, with any number of replicas.

use std::{
    collections::BTreeSet,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::release::{Release, TIMEOUT, wait_until};

/// The fixed name of the first attempt, in every installation.
const FIRST_RUN: &str = "datalake-processor-24sli2qlvo";

/// Long enough for several checks of each replica, which checks every second.
const OBSERVED_FOR: Duration = Duration::from_secs(8);

#[test]
fn two_replicas_start_one_first_run() {
    let release = Release::with_blocked_runs("first", &[]);
    let pods = wait_until("both replicas are started", TIMEOUT, || {
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
    assert_eq!(release.job_names(), BTreeSet::new(), "no run starts before the bucket exists");

    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/src-data");
    release.upload(&samples);
    // Each replica names the run.
    let replicas: Vec<_> = pods
        .iter()
        .map(|pod| release.forward(&format!("pod/{}", pod.as_str().unwrap()), 8080))
        .collect();
    for replica in &replicas {
        wait_until("a replica names the first run", TIMEOUT, || {
            let response = replica.request("/data", &[]);
            let is_named = response.status == 503 && response.body["run"]["id"] == FIRST_RUN;
            is_named.then_some(()).ok_or(format!("{response:?}"))
        });
    }
    let expected = BTreeSet::from([FIRST_RUN.to_owned()]);
    #[expect(clippy::disallowed_methods, reason = "tests cannot control the clock of a cluster")]
    let started = Instant::now();
    while started.elapsed() < OBSERVED_FOR {
        assert_eq!(release.job_names(), expected);
        sleep(Duration::from_millis(500));
    }
    release.allow_scheduling();
    for replica in &replicas {
        wait_until("the samples are served", TIMEOUT, || {
            let stats = replica.request("/stats", &[]);
            (stats.body["count"] == 100).then_some(()).ok_or(format!("{stats:?}"))
        });
    }
    assert_eq!(release.job_names(), expected);
    // Rows are served before the Job is complete.
    wait_until("the first run has succeeded", TIMEOUT, || {
        let run = replicas[0].json(&format!("/runs/{FIRST_RUN}"));
        (run["state"] == "succeeded").then_some(()).ok_or(run.to_string())
    });
}
