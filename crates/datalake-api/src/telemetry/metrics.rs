//! What the server counts, in the text format of Prometheus. The recorder is this value's own: nothing is global.

use std::{fmt, sync::Arc, time::Duration};

use datalake_core::report::{Counts, RunOutcome, RunReport};
use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::snapshots::watch::{Held, TableState};
use datalake_core::clock::{Clock, whole_seconds};
use datalake_runs::run::{Run, RunState};

/// From an answer out of memory to the longest that a request may take, in seconds.
const DURATION_BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// What each gauge tells to whoever reads the text. Those of the last run's counts are in [`counts`].
const GAUGES: &[(&str, &str)] = &[
    (
        "datalake_table_readable",
        "1 where the store confirmed the table when it was last asked, else 0",
    ),
    (
        "datalake_table_checked_timestamp_seconds",
        "When the store last confirmed the version held",
    ),
    ("datalake_table_version", "The version held"),
    ("datalake_table_rows", "Users in the version held"),
    ("datalake_table_age_seconds", "Seconds since the commit of the version held"),
    (
        "datalake_data_age_seconds",
        "Seconds since the table was last known to be what the sources say: its commit, or the start of a later run that succeeded",
    ),
    ("datalake_rejects_open", "Sources that are rejected now"),
    ("datalake_last_run_succeeded", "1 where the last run that ended succeeded, else 0"),
    (
        "datalake_last_run_duration_seconds",
        "How long the last run took that left a report, by a monotonic clock",
    ),
    (
        "datalake_last_run_end_timestamp_seconds",
        "When the last run ended that left a report",
    ),
];

const REQUESTS: &str = "datalake_http_requests_total";
const REQUEST_DURATION: &str = "datalake_http_request_duration_seconds";

/// Counters, gauges and histograms. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusRecorder>);

impl Metrics {
    /// A recorder of its own.
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
        let recorder = builder.expect("the buckets are a constant that is not empty").build_recorder();
        with_local_recorder(&recorder, describe);
        Self(Arc::new(recorder))
    }

    /// Counts an answered request. `route` is the template, never the path: paths are as many as users.
    pub fn count_request(&self, route: &str, status: u16, elapsed: Duration) {
        with_local_recorder(&*self.0, || {
            let labels = [("route", route.to_owned()), ("status", status.to_string())];
            counter!(REQUESTS, &labels).increment(1);
            histogram!(REQUEST_DURATION, &labels).record(elapsed);
        });
    }

    /// Everything as text, with the table as it is held now and the newest runs, the newest first.
    pub fn render(&self, table: &TableState, runs: &[Run], clock: Clock) -> String {
        with_local_recorder(&*self.0, || {
            gauge!("datalake_table_readable").set(if table.failing_since.is_none() && table.checked_at.is_some() {
                1.0
            } else {
                0.0
            });
            if let Some(checked_at) = table.checked_at {
                gauge!("datalake_table_checked_timestamp_seconds").set(checked_at.as_duration().as_secs_f64());
            }
            if let Held::Snapshot(snapshot) = &table.held {
                gauge!("datalake_table_version").set(float(snapshot.version().number()));
                gauge!("datalake_table_rows").set(float(count(snapshot.len())));
                gauge!("datalake_rejects_open").set(float(count(snapshot.rejected_count())));
                let committed_at = snapshot.version().committed_at();
                gauge!("datalake_table_age_seconds").set(float(whole_seconds(committed_at, clock.now())));
                gauge!("datalake_data_age_seconds").set(float(whole_seconds(confirmed_at(committed_at, runs), clock.now())));
            }
            // Whoever stops a run knows of it: that is no failure to wake somebody for.
            let mut outcomes = runs.iter().filter_map(|run| run.state.outcome());
            if let Some(outcome) = outcomes.find(|outcome| *outcome != RunOutcome::Stopped) {
                gauge!("datalake_last_run_succeeded").set(if outcome == RunOutcome::Succeeded { 1.0 } else { 0.0 });
            }
            // A run that was killed leaves none: then the figures stay those of the one before.
            if let Some(report) = runs.iter().find_map(|run| run.report.as_deref()) {
                set_last_run(report);
            }
        });
        self.0.handle().render()
    }

    /// Folds what was recorded since the last time: without it, and without anybody who asks for the text, samples would pile up.
    pub fn fold(&self) {
        self.0.handle().run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Requests answered");
    describe_histogram!(REQUEST_DURATION, "Seconds from a request's head to that of its answer");
    let described = GAUGES
        .iter()
        .copied()
        .chain(counts(&Counts::default()).map(|(name, words, _)| (name, words)));
    for (name, words) in described {
        describe_gauge!(name, words);
    }
}

fn set_last_run(report: &RunReport) {
    gauge!("datalake_last_run_duration_seconds").set(Duration::from_millis(report.elapsed_ms).as_secs_f64());
    gauge!("datalake_last_run_end_timestamp_seconds").set(report.ended_at.as_duration().as_secs_f64());
    for (name, _, number) in counts(&report.counts) {
        gauge!(name).set(float(number));
    }
}

/// A gauge for each count of a report, with what it tells.
fn counts(counts: &Counts) -> [(&'static str, &'static str, u64); 16] {
    // Taken apart, so that a new count is not forgotten here.
    let Counts {
        listed,
        csv_listed,
        images_listed,
        ignored,
        csv_read,
        images_read,
        added,
        changed,
        removed,
        users,
        images_copied,
        images_removed,
        normalized,
        rejected,
        rejects_open,
        warnings,
    } = *counts;
    [
        ("datalake_last_run_listed", "Objects that the last run listed", listed),
        ("datalake_last_run_csv_listed", "Users' CSVs among them", csv_listed),
        ("datalake_last_run_images_listed", "Users' images among them", images_listed),
        ("datalake_last_run_ignored", "Objects among them that are not sources", ignored),
        ("datalake_last_run_csv_read", "CSVs that the last run read", csv_read),
        ("datalake_last_run_images_read", "Images that the last run read", images_read),
        ("datalake_last_run_added", "Rows that the last run added", added),
        ("datalake_last_run_changed", "Rows that the last run changed", changed),
        ("datalake_last_run_removed", "Rows that the last run removed", removed),
        ("datalake_last_run_users", "Rows after the last run", users),
        ("datalake_last_run_images_copied", "Images that the last run copied", images_copied),
        (
            "datalake_last_run_images_removed",
            "Copied images that the last run removed",
            images_removed,
        ),
        (
            "datalake_last_run_normalized",
            "Sources that the last run accepted after a documented correction",
            normalized,
        ),
        (
            "datalake_last_run_rejected",
            "Sources that the last run read and rejected",
            rejected,
        ),
        (
            "datalake_last_run_rejects_open",
            "Sources rejected after the last run, by whichever run",
            rejects_open,
        ),
        (
            "datalake_last_run_warnings",
            "Sources that the last run accepted with a warning",
            warnings,
        ),
    ]
}

/// When the table was last known to be what the sources say. A run that had nothing to do makes no version, and shows it all the same.
pub fn confirmed_at(committed_at: Timestamp, runs: &[Run]) -> Timestamp {
    last_success(runs).map_or(committed_at, |began| began.max(committed_at))
}

/// When the newest run began that succeeded.
fn last_success(runs: &[Run]) -> Option<Timestamp> {
    let succeeded = |run: &&Run| run.state == RunState::Ended(RunOutcome::Succeeded);
    runs.iter().filter(succeeded).filter_map(|run| run.started_at).max()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Exact for all that is counted here, which is far below 2^53.
fn float(number: u64) -> f64 {
    Duration::from_secs(number).as_secs_f64()
}
