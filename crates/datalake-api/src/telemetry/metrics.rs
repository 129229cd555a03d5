//! The metrics of a server, in the text format of Prometheus. Each [`Metrics`] has its own recorder. There is no
//! global recorder.

use std::{fmt, sync::Arc, time::Duration};

use datalake_core::{
    clock::{Clock, whole_seconds},
    count::count,
    run::{Counts, RunOutcome, RunReport},
};
use datalake_runs::run::Run;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::{
    freshness::confirmed_at,
    snapshots::watch::{TableState, TableStatus},
};

/// Seconds: from a response from memory to the longest time that a request may take.
const DURATION_BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// The gauges and their help texts. Those for the counts of the last run are in [`counts`].
const GAUGES: &[(&str, &str)] = &[
    ("datalake_table_readable", "1 if the last check of the table succeeded, else 0"),
    (
        "datalake_table_checked_timestamp_seconds",
        "Time at which the store last confirmed the version in memory",
    ),
    ("datalake_table_version", "Version of the table in memory"),
    ("datalake_table_rows", "Rows in the version in memory"),
    ("datalake_table_age_seconds", "Seconds since the version in memory was committed"),
    (
        "datalake_data_age_seconds",
        "Seconds since the table was last known to reflect the sources: since its commit, or the start of a later successful run",
    ),
    ("datalake_rejects_open", "Sources that are currently rejected"),
    (
        "datalake_last_run_succeeded",
        "1 if the last run succeeded, else 0; stopped runs are not counted",
    ),
    (
        "datalake_last_run_duration_seconds",
        "Duration of the last run with a report, by a monotonic clock",
    ),
    ("datalake_last_run_end_timestamp_seconds", "End of the last run with a report"),
];

const REQUESTS: &str = "datalake_http_requests_total";
const REQUEST_DURATION: &str = "datalake_http_request_duration_seconds";

/// Counters, gauges and histograms. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusRecorder>);

impl Metrics {
    /// Metrics with a new recorder.
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
        let recorder = builder.expect("the constant has buckets").build_recorder();
        with_local_recorder(&recorder, describe);
        Self(Arc::new(recorder))
    }

    /// Counts a request. `route` is the template of the path, because the number of paths is unbounded.
    pub fn count_request(&self, route: &str, status: u16, elapsed: Duration) {
        with_local_recorder(&*self.0, || {
            let labels = [("route", route.to_owned()), ("status", status.to_string())];
            counter!(REQUESTS, &labels).increment(1);
            histogram!(REQUEST_DURATION, &labels).record(elapsed);
        });
    }

    /// All metrics as text. `runs` are the latest runs, latest first.
    pub fn render(&self, table: &TableStatus, runs: &[Run], clock: Clock) -> String {
        with_local_recorder(&*self.0, || {
            gauge!("datalake_table_readable").set(if table.failing_since.is_none() && table.checked_at.is_some() {
                1.0
            } else {
                0.0
            });
            if let Some(checked_at) = table.checked_at {
                gauge!("datalake_table_checked_timestamp_seconds").set(checked_at.as_duration().as_secs_f64());
            }
            if let TableState::Loaded(snapshot) = &table.state {
                gauge!("datalake_table_version").set(float(snapshot.version().number()));
                gauge!("datalake_table_rows").set(float(count(snapshot.len())));
                gauge!("datalake_rejects_open").set(float(count(snapshot.rejected_count())));
                let committed_at = snapshot.version().committed_at();
                gauge!("datalake_table_age_seconds").set(float(whole_seconds(committed_at, clock.now())));
                gauge!("datalake_data_age_seconds").set(float(whole_seconds(confirmed_at(committed_at, runs), clock.now())));
            }
            // Stopping a run is intentional, so it must not raise an alert.
            let mut outcomes = runs.iter().filter_map(|run| run.state.outcome());
            if let Some(outcome) = outcomes.find(|outcome| *outcome != RunOutcome::Stopped) {
                gauge!("datalake_last_run_succeeded").set(if outcome == RunOutcome::Succeeded { 1.0 } else { 0.0 });
            }
            // A run that was killed has no report. Then the statistics remain those of the run before it.
            if let Some(report) = runs.iter().find_map(|run| run.report.as_deref()) {
                set_last_run(report);
            }
        });
        self.0.handle().render()
    }

    /// Aggregates the samples since the last call. Without it, samples would accumulate between scrapes.
    pub fn run_upkeep(&self) {
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
    describe_counter!(REQUESTS, "Requests handled");
    describe_histogram!(REQUEST_DURATION, "Seconds from the head of a request to the head of its response");
    let described = GAUGES
        .iter()
        .copied()
        .chain(counts(&Counts::default()).map(|(name, help, _)| (name, help)));
    for (name, help) in described {
        describe_gauge!(name, help);
    }
}

fn set_last_run(report: &RunReport) {
    gauge!("datalake_last_run_duration_seconds").set(Duration::from_millis(report.elapsed_ms).as_secs_f64());
    gauge!("datalake_last_run_end_timestamp_seconds").set(report.ended_at.as_duration().as_secs_f64());
    for (name, _, number) in counts(&report.counts) {
        gauge!(name).set(float(number));
    }
}

/// A gauge with its help text for each count of a report.
fn counts(counts: &Counts) -> [(&'static str, &'static str, u64); 17] {
    // Destructured without `..`, so that the compiler reports a missing count.
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
        rejected_new,
        rejects_open,
        warnings,
    } = *counts;
    [
        ("datalake_last_run_listed", "Objects listed by the last run", listed),
        ("datalake_last_run_csv_listed", "CSV sources listed by the last run", csv_listed),
        ("datalake_last_run_images_listed", "Images listed by the last run", images_listed),
        (
            "datalake_last_run_ignored",
            "Objects ignored by the last run: they are not sources",
            ignored,
        ),
        ("datalake_last_run_csv_read", "CSV sources read by the last run", csv_read),
        ("datalake_last_run_images_read", "Images read by the last run", images_read),
        ("datalake_last_run_added", "Rows added by the last run", added),
        ("datalake_last_run_changed", "Rows changed by the last run", changed),
        ("datalake_last_run_removed", "Rows removed by the last run", removed),
        ("datalake_last_run_users", "Rows after the last run", users),
        ("datalake_last_run_images_copied", "Images copied by the last run", images_copied),
        (
            "datalake_last_run_images_removed",
            "Image copies removed by the last run",
            images_removed,
        ),
        (
            "datalake_last_run_normalized",
            "Sources accepted by the last run after a documented correction",
            normalized,
        ),
        ("datalake_last_run_rejected", "Sources read and rejected by the last run", rejected),
        (
            "datalake_last_run_rejected_new",
            "Sources rejected by the last run and not before",
            rejected_new,
        ),
        (
            "datalake_last_run_rejects_open",
            "Sources rejected after the last run, by any run",
            rejects_open,
        ),
        (
            "datalake_last_run_warnings",
            "Sources accepted by the last run with a warning",
            warnings,
        ),
    ]
}

/// Exact below 2^53, which no count here reaches.
fn float(number: u64) -> f64 {
    Duration::from_secs(number).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        const PAGE: &str = include_str!("../../../../docs/src/operations.md");
        let gauges = GAUGES.iter().map(|(name, _)| *name);
        let counts = counts(&Counts::default()).map(|(name, ..)| name);
        for name in gauges.chain(counts).chain([REQUESTS, REQUEST_DURATION]) {
            assert!(PAGE.contains(&format!("`{name}`")), "{name}");
        }
    }
}
