//! Runs by the schedule beside posted ones.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    forward::Forward,
    release::{PATIENCE, Release, has_ended, until},
};

/// What Kubernetes writes on the Jobs of a schedule, and on no other.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

#[test]
fn ticks_beside_posted_runs_end_in_one_history() {
    let release = Release::with_samples(
        "schedule",
        &["processor.schedule=* * * * *", "processor.successfulJobsHistoryLimit=1000"],
    );
    let api = release.api();
    // One that came before there was a bucket could only fail.
    let too_early = release.job_names();
    let mut edits = 0_u32;
    // Each round posts a run over an edit; the ticks come when they come.
    until("two ticks have ended", PATIENCE, || {
        edits += 1;
        release.edit("1000", &format!("Edit{edits}"));
        let run = release.post(&api, &[]);
        // A few edits a second: runs that have begun to read cannot be joined, and three are the limit.
        assert!([202, 429].contains(&run.status), "{run:?}");
        let ticks = release.jobs();
        let is_counted = |job: &&Value| is_tick(job) && has_ended(job) && !too_early.contains(&name(job));
        let ended = ticks.iter().filter(is_counted).count();
        (ended >= 2).then_some(()).ok_or(format!("{ended} ticks have ended, {edits} edits"))
    });
    release.settle();
    side_by_side(&release, &api);
    // The POST of the last edit may have found three active runs.
    let last = release.post(&api, &["--header", "Prefer: wait=60"]);
    assert_eq!(last.body["state"], "succeeded", "{last:?}");

    assert_eq!(api.json("/data/1000")["first_name"], format!("Edit{edits}"));
    assert_eq!(api.json("/stats")["count"], 100);
    let runs = api.json("/runs?limit=1000");
    let runs = runs["runs"].as_array().unwrap();
    let ticks: BTreeSet<_> = release.jobs().iter().filter(|job| is_tick(job)).map(name).collect();
    let ticks: BTreeSet<_> = ticks.difference(&too_early).cloned().collect();
    let (ticked, posted): (Vec<_>, Vec<_>) = runs.iter().partition(|run| ticks.contains(run["id"].as_str().unwrap()));
    assert!(ticked.len() >= 2 && posted.len() >= 2, "{runs:?}");
    for run in ticked {
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    linear(runs);
}

/// A tick comes while a posted run is yet to begin; both begin at the same moment.
fn side_by_side(release: &Release, api: &Forward) {
    let jobs_before = release.job_names();
    release.hold();
    release.edit("1001", "Both");
    let posted = release.post(api, &[]);
    assert_eq!(posted.status, 202, "{posted:?}");
    let posted = posted.body["id"].as_str().unwrap().to_owned();
    let tick = until("a tick comes", PATIENCE, || {
        let jobs = release.jobs();
        let tick = jobs
            .iter()
            .filter(|job| is_tick(job))
            .map(name)
            .find(|tick| !jobs_before.contains(tick));
        tick.filter(|tick| *tick != posted).ok_or(format!("{jobs:?}"))
    });
    release.let_go();
    release.settle();
    let times = |name: &str| {
        let status = release.get(&["job", name])["status"].take();
        // Both are UTC of one form, so that their texts are in the order of the times.
        let time = |field: &str| status[field].as_str().unwrap_or_else(|| panic!("{name}: {status}")).to_owned();
        (time("startTime"), time("completionTime"))
    };
    let ((posted_began, posted_ended), (tick_began, tick_ended)) = (times(&posted), times(&tick));
    assert!(
        posted_began <= tick_ended && tick_began <= posted_ended,
        "{posted}: {posted_began} to {posted_ended}; {tick}: {tick_began} to {tick_ended}"
    );
    for run in [&posted, &tick] {
        let run = api.json(&format!("/runs/{run}"));
        assert_eq!(run["state"], "succeeded", "{run}");
    }
    assert_eq!(api.json("/data/1001")["first_name"], "Both");
}

/// Each version is one run's, and none is missing between the first and the last.
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

fn is_tick(job: &Value) -> bool {
    job["metadata"]["annotations"][SCHEDULED].is_string()
}

fn name(job: &Value) -> String {
    job["metadata"]["name"].as_str().unwrap().to_owned()
}
