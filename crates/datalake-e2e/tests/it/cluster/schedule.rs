//! Scheduled runs in parallel with runs by `POST /data`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    port_forward::PortForward,
    release::{Release, TIMEOUT, has_ended, wait_until},
    runs::served,
};

/// An annotation that Kubernetes sets only on scheduled Jobs.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

#[test]
fn scheduled_and_posted_runs_produce_one_history() {
    let release = Release::with_samples(
        "schedule",
        &["processor.schedule=* * * * *", "processor.successfulJobsHistoryLimit=1000"],
    );
    let api = release.api();
    // Runs that started before the bucket existed have failed.
    let too_early = release.job_names();
    let mut edits = 0_u32;
    // Each round edits a source and posts a run, while scheduled runs start.
    wait_until("two scheduled runs have ended", TIMEOUT, || {
        edits += 1;
        release.edit("1000", &format!("Edit{edits}"));
        let run = release.post(&api, &[]);
        // A few edits per second: runs that have started reading cannot be joined, and three is the limit.
        assert!([202, 429].contains(&run.status), "{run:?}");
        let scheduled = release.jobs();
        let is_counted = |job: &&Value| is_scheduled(job) && has_ended(job) && !too_early.contains(&name(job));
        let ended = scheduled.iter().filter(is_counted).count();
        (ended >= 2)
            .then_some(())
            .ok_or(format!("{ended} scheduled runs have ended, {edits} edits"))
    });
    release.wait_for_jobs();
    side_by_side(&release, &api);
    // The POST of the last edit may have found three active runs.
    let last = release.post(&api, &["--header", "Prefer: wait=60"]);
    assert_eq!(last.body["state"], "succeeded", "{last:?}");

    assert_eq!(api.json("/data/1000")["first_name"], format!("Edit{edits}"));
    assert_eq!(api.json("/stats")["count"], 100);
    let runs = api.json("/runs?limit=1000");
    let runs = runs["runs"].as_array().unwrap();
    let scheduled: BTreeSet<_> = release.jobs().iter().filter(|job| is_scheduled(job)).map(name).collect();
    let scheduled: BTreeSet<_> = scheduled.difference(&too_early).cloned().collect();
    let (scheduled_runs, posted): (Vec<_>, Vec<_>) = runs.iter().partition(|run| scheduled.contains(run["id"].as_str().unwrap()));
    assert!(scheduled_runs.len() >= 2 && posted.len() >= 2, "{runs:?}");
    for run in scheduled_runs {
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    linear(runs);
}

/// A scheduled run is created while a posted run is pending; both start at the same time.
fn side_by_side(release: &Release, api: &PortForward) {
    let jobs_before = release.job_names();
    release.block_scheduling();
    release.edit("1001", "Both");
    let posted = release.post(api, &[]);
    assert_eq!(posted.status, 202, "{posted:?}");
    let posted = posted.body["id"].as_str().unwrap().to_owned();
    let scheduled = wait_until("a scheduled run is created", TIMEOUT, || {
        let jobs = release.jobs();
        let scheduled = jobs
            .iter()
            .filter(|job| is_scheduled(job))
            .map(name)
            .find(|scheduled| !jobs_before.contains(scheduled));
        scheduled.filter(|scheduled| *scheduled != posted).ok_or(format!("{jobs:?}"))
    });
    release.allow_scheduling();
    release.wait_for_jobs();
    let times = |name: &str| {
        let status = release.get(&["job", name])["status"].take();
        // Both are UTC in the same format, so their text order is the time order.
        let time = |field: &str| status[field].as_str().unwrap_or_else(|| panic!("{name}: {status}")).to_owned();
        (time("startTime"), time("completionTime"))
    };
    let ((posted_start, posted_end), (scheduled_start, scheduled_end)) = (times(&posted), times(&scheduled));
    assert!(
        posted_start <= scheduled_end && scheduled_start <= posted_end,
        "{posted}: {posted_start} to {posted_end}; {scheduled}: {scheduled_start} to {scheduled_end}"
    );
    for run in [&posted, &scheduled] {
        let run = api.json(&format!("/runs/{run}"));
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    served(std::slice::from_ref(api), "1001", "Both");
}

/// Each version belongs to one run, and there is no gap between the first and the last.
fn linear(runs: &[Value]) {
    let mut versions: Vec<u64> = runs
        .iter()
        .filter(|run| run["committed"] == true)
        .map(|run| run["version"].as_u64().unwrap())
        .collect();
    versions.sort_unstable();
    let first = versions[0];
    let expected: Vec<u64> = (first..).take(versions.len()).collect();
    assert_eq!(versions, expected, "{runs:?}");
    assert!(versions.len() > 2, "{runs:?}");
}

fn is_scheduled(job: &Value) -> bool {
    job["metadata"]["annotations"][SCHEDULED].is_string()
}

fn name(job: &Value) -> String {
    job["metadata"]["name"].as_str().unwrap().to_owned()
}
